"""Errors name the user's variables and lines, and the smallest mend; in Chinese too."""

from __future__ import annotations

import linecache
import textwrap
from typing import Any

import pytest

import chainrule as torch
from chainrule import nn
from chainrule.explain import lessons
from chainrule.explain.names import Names, around
from chainrule.language import set_language

PROGRAMS = {
    "twice": ("""
        x = torch.tensor(2.0, requires_grad=True)
        y = x * x
        y.backward()
        y.backward()
        """, "Trying to backward through the graph a second time",
        ["`y` (twice.py:3: y = x * x)", "First sweep: twice.py:4", "This sweep:  twice.py:5",
         "Mend: twice.py:4: y.backward(retain_graph=True)"], ["它属于 `y`", "twice.py:4", "改法"]),
    "loop": ("""
        x = torch.tensor(2.0, requires_grad=True)
        y = torch.sin(x)
        for _ in range(3):
            y.backward()
        """, "Trying to backward", ["This sweep:  loop.py:5", "loop.py:4: for _ in range(3):", "Compute y inside"],
        ["循环", "loop.py:4"]),
    "augmented": ("""
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        a = x * 2
        a += 5
        b = a * a
        a += 1
        b.sum().backward()
        """, "modified by an inplace operation",
        ["The value is `a`", "needed by `b` (augmented.py:5: b = a * a)", "changed by augmented.py:6: a += 1",
         "Mend: a = a + 1"], ["这个值是 `a`", "augmented.py:6"]),
    "method": ("""
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        a = torch.exp(x)
        a.mul_(2)
        a.sum().backward()
        """, "modified by an inplace operation", ["The value is `a`", "method.py:4: a.mul_(2)", "Mend: a = a.mul(2)"],
        ["method.py:4"]),
    "entry": ("""
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        a = x * 2
        b = a * a
        a[0] = 3
        b.sum().backward()
        """, "modified by an inplace operation", ["changed by entry.py:5: a[0] = 3"], ["entry.py:5"]),
    "constant": ("""
        x = torch.tensor(2.0)
        y = x * 3
        y.backward()
        """, "does not require grad and does not have a grad_fn",
        ["`y` comes from constant.py:3: y = x * 3", "`x` in it does not require grad: constant.py:2",
         "Mend: x = torch.tensor(2.0, requires_grad=True)"], ["`x` 不需要梯度"]),
    "detached": ("""
        x = torch.tensor(2.0, requires_grad=True)
        y = (x * 3).detach()
        y.backward()
        """, "does not require grad", ["`y` comes from detached.py:3", "cut by detach()"], ["detach()"]),
    "vector": ("""
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        y = x * 2
        y.backward()
        """, "grad can be implicitly created only for scalar outputs", ["Mend: y.sum().backward()"], ["[2]"]),
    "numpy": ("""
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        z = x.numpy() + 1
        """, "Can't call numpy() on Tensor that requires grad", ["Mend: z = x.detach().numpy() + 1"], ["NumPy"]),
    "leaf": ("""
        w = torch.tensor([2.0, 3.0], requires_grad=True)
        w -= 0.1 * w
        """, "a leaf Variable that requires grad", ["Mend: with torch.no_grad(): w -= 0.1 * w"], ["参数"]),
    "shapes": ("""
        w = torch.tensor([2.0, 3.0])
        v = torch.ones(3)
        w + v
        """, "The size of tensor a (2) must match the size of tensor b (3)",
        ["tensor a is `w` of shape [2], tensor b is `v` of shape [3]: shapes.py:4: w + v"], ["tensor a 是 `w`"]),
    "product": ("""
        x = torch.ones(4, 3)
        w = torch.ones(2, 3)
        y = x @ w
        """, "mat1 and mat2 shapes cannot be multiplied (4x3 and 2x3)",
        ["`x` has shape [4, 3], `w` has shape [2, 3]: product.py:4: y = x @ w", "Mend: y = x @ w.T"],
        ["`x` 的形状是 [4, 3]", "转置"]),
    "turned": ("""
        x = torch.ones(4, 3)
        w = torch.ones(4, 2)
        y = torch.relu(x @ w)
        """, "mat1 and mat2 shapes cannot be multiplied (4x3 and 4x2)", ["Mend: y = torch.relu(x.T @ w)"], ["改法"]),
    "matrix and vector": ("""
        x = torch.ones(4, 3)
        v = torch.ones(4)
        y = x @ v
        """, "size mismatch, got input (4), mat (4x3), vec (4)",
        ["`x` has shape [4, 3], `v` has shape [4]", "Mend: y = x.T @ v"], ["`v` 的形状是 [4]", "转置"]),
    "vector's dtype": ("""
        x = torch.ones(4, 3)
        v = torch.ones(3, dtype=torch.float64)
        y = x @ v
        """, "addmv input tensors must have the same dtype, but got Double, Float, and Double",
        ["`x` holds torch.float32, `v` holds torch.float64", "Mend: y = x.to(v.dtype) @ v"], ["类型不同"]),
    "layer": ("""
        net = torch.nn.Linear(5, 2)
        x = torch.ones(4, 3)
        y = net(x)
        """, "mat1 and mat2 shapes cannot be multiplied (4x3 and 5x2)",
        ["vectors of 5 numbers", "`x` has shape [4, 3], `net.weight` has shape [2, 5]: layer.py:4: y = net(x)"],
        ["长度为 5 的向量", "`net.weight` 的形状是 [2, 5]"]),
    "dtypes": ("""
        x = torch.ones(4, 3)
        w = torch.ones(3, 2, dtype=torch.float64)
        y = x @ w + 1
        """, "expected m1 and m2 to have the same dtype",
        ["`x` holds torch.float32, `w` holds torch.float64: dtypes.py:4: y = x @ w + 1", "Mend: y = x.to(w.dtype) @ w + 1"],
        ["`x` 的类型是 torch.float32", "改法"]),
    "double data": ("""
        net = torch.nn.Linear(3, 2)
        x = torch.ones(4, 3, dtype=torch.float64)
        y = net(x)
        """, "mat1 and mat2 must have the same dtype",
        ["`net.weight` holds torch.float32", "Mend: y = net(x.to(net.weight.dtype))"], ["model.double()"]),
    "dot": ("""
        u = torch.ones(3)
        v = torch.ones(3, dtype=torch.float64)
        y = torch.dot(u, v)
        """, "dot : expected both vectors to have same dtype", ["Mend: y = torch.dot(u.to(v.dtype), v)"], ["类型"]),
    "cast": ("""
        n = torch.tensor([1, 2])
        n += 1.5
        """, "result type Float can't be cast to the desired output type Long",
        ["`n` holds torch.int64: cast.py:3: n += 1.5", "Mend: n = n + 1.5"], ["`n` 的类型是 torch.int64"]),
}  # fmt: skip


def note(name: str) -> tuple[str, str]:
    """What a program's error says first, and its note."""
    text = textwrap.dedent(PROGRAMS[name][0])
    file = f"{name}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    with pytest.raises(RuntimeError) as caught:
        exec(compile(text, file, "exec"), {"torch": torch, "__name__": "program"})
    return str(caught.value), "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_error_points_at_the_users_code(name: str, own_generator: torch.Generator) -> None:
    _, sentence, english, chinese = PROGRAMS[name]
    said, more = note(name)
    assert sentence in said
    for part in english:
        assert part in more
    set_language("zh")
    said_in_chinese, more = note(name)
    assert said_in_chinese == said  # PyTorch's sentence is what people search for
    for part in chinese:
        assert part in more


@pytest.mark.parametrize("name", ["twice", "augmented", "constant", "vector", "numpy", "leaf", "product", "turned",
                                  "dtypes", "double data", "dot", "cast", "matrix and vector", "vector's dtype"])  # fmt: skip
def test_the_mend_mends(name: str, own_generator: torch.Generator) -> None:
    """The line that is named, replaced by the one that is given, makes the program run."""
    text = textwrap.dedent(PROGRAMS[name][0])
    _, more = note(name)
    mend = next(line for line in more.splitlines() if line.startswith("Mend: ")).removeprefix("Mend: ")
    old = {"twice": "y.backward()", "augmented": "a += 1", "constant": "x = torch.tensor(2.0)", "vector": "y.backward()",
           "numpy": "z = x.numpy() + 1", "leaf": "w -= 0.1 * w", "product": "y = x @ w", "turned": "y = torch.relu(x @ w)",
           "dtypes": "y = x @ w + 1", "double data": "y = net(x)", "dot": "y = torch.dot(u, v)",
           "cast": "n += 1.5", "matrix and vector": "y = x @ v", "vector's dtype": "y = x @ v"}[name]  # fmt: skip
    exec(text.replace(old, mend.removeprefix("twice.py:4: "), 1), {"torch": torch})


def test_where_nothing_is_found_the_general_advice_stays() -> None:
    with pytest.raises(RuntimeError) as caught:
        eval("(torch.tensor([1.0], requires_grad=True) * torch.ones(2)).backward()", {"torch": torch})
    assert "Reduce it first" in caught.value.__notes__[0]


def test_a_fault_in_the_lesson_does_not_hide_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> list[str]:
        raise KeyError("a bug")

    monkeypatch.setitem(lessons._TOPICS, "numpy", broken)
    with pytest.raises(RuntimeError, match="Can't call numpy") as caught:
        torch.ones(2, requires_grad=True).numpy()
    assert "NumPy does not record" in caught.value.__notes__[0]


def test_every_topic_is_worded_in_chinese() -> None:
    assert set(lessons._TOPICS) == set(lessons._CHINESE)


def test_names_of_parameters_and_of_what_is_held(own_generator: torch.Generator) -> None:
    net, weights = nn.Linear(2, 1), [torch.ones(2), torch.ones(3)]
    settings = {"rate": torch.tensor(0.1)}
    names = around()
    assert names.of(net.weight) == "net.weight"
    assert names.of(weights[1]) == "weights[1]"
    assert names.of(settings["rate"]) == "settings['rate']"
    assert Names().of(net.weight) is None
