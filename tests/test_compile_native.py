"""Kernels as machine code: they do what their text says, refuse what they were not made for, and are let go."""

from __future__ import annotations

import gc
import itertools
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import epilogue, linear, lower, mathlib, walker, watching
from chainrule.compiler.guards import Expected, alone, guard
from chainrule.compiler.native import available, made, native
from chainrule.compiler.program import var_of
from chainrule.func import tree
from compiling import call

pytest.importorskip("llvmlite")


@pytest.fixture
def native_compile() -> Any:
    return lambda f: torch.compile(f, fullgraph=True)


def as_python(text: str) -> Callable[..., Any]:
    """A kernel run by Python itself, over NumPy numbers."""
    names: dict[str, Any] = {"np": np}
    for d in mathlib.DTYPES:
        names |= {f"fast_{name}_{d}": getattr(np, name) for name in ("exp", "sin", "cos", "tanh", "sqrt")}
        names |= {f"sum_{d}": lambda s, x: s + x, f"largest_{d}": max, f"fast_far_{d}": lambda f, x: f | (abs(x) > 1e5)}
    exec("from __future__ import annotations\n" + text, names)
    function: Callable[..., Any] = names[text[4 : text.index("(")]]
    return function


def kernels(f: Callable[..., Any], *args: Any) -> list[Any]:
    compiled = torch.compile(f, fullgraph=True)
    compiled(*args)
    return [k for e in compiled.entries for k in e.runner.kernels]


X = torch.linspace(-2, 2, 60)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a loop": (torch.func.grad_and_value(lambda x: (torch.sin(x) * torch.exp(-x * x) + torch.tanh(x)).sum()), (X,)),
    "rows": (torch.func.grad(lambda x: torch.softmax(x, -1).square().sum()), (X.reshape(6, 10),)),
    "broadcasting": (lambda x, y: torch.where(x > y, x * y, torch.sqrt(abs(x))), (X.reshape(6, 10), X[:6, None])),
    "integers": (lambda k: (k * 3 - k.abs()).clamp(-4, 9), (torch.arange(-9, 9),)),
    "bools": (lambda x: (x > 0) & ~(x > 1) | (x == 2), (X,)),
    "straight code": (torch.func.grad(lambda u: torch.exp(u) * u**3 - u / 7), (torch.tensor(0.3, dtype=torch.float64),)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_kernels_do_what_they_say(case: str) -> None:
    f, args = CASES[case]
    found = [k for k in kernels(f, *args) if k.text.startswith("def")]
    assert found
    for kernel in found:
        rng = np.random.default_rng(0)
        lengths = iter([w for w in kernel.words if isinstance(w, int)])

        def given(name: str, dtype: str, array: bool) -> Any:
            if array:
                a = rng.normal(size=4000) * 3  # noqa: B023
                return a > 0 if dtype == "bool" else a.astype(dtype)
            if name in ("first", "last"):
                return 0 if name == "first" else kernel.blocks  # noqa: B023
            return next(lengths) if dtype == "int" else 0.75  # noqa: B023

        mine = [given(*p) for p in lower.parameters(kernel.text)]
        its = [np.copy(a) if isinstance(a, np.ndarray) else a for a in mine]
        assert call(kernel.text, *mine) == int(as_python(kernel.text)(*its) or 0)
        for a, b in zip(mine, its, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_arrays_that_are_not_ready_are_copied() -> None:
    f = torch.compile(lambda x: torch.exp(x) + x.sum(), fullgraph=True)
    x = torch.linspace(-1, 1, 24).reshape(4, 6)
    f(x)
    unaligned = np.frombuffer(b"0" + x.numpy().tobytes(), np.uint8)[1:].view(np.float32).reshape(4, 6)

    class Own(np.ndarray[Any, Any]):
        pass

    run, wanted = f.entries[0].runner.run, f.function(x).numpy()
    turned = np.asfortranarray(x.numpy())
    for other in (x.numpy(), turned, unaligned, x.numpy().view(Own), np.stack([x.numpy()] * 2, -1)[..., 0]):
        np.testing.assert_allclose(run(other)[0], wanted, rtol=1e-6)
    assert len(f.entries) == 1


def test_arrays_of_other_dtypes_are_refused() -> None:
    f = torch.compile(torch.exp, fullgraph=True)
    x = np.arange(4, dtype=np.float32)
    f(torch.as_tensor(x))
    run = f.entries[0].runner.run
    for other in (x.astype(float), x.astype("i4"), x.astype(">f4"), [1.0], None, np.float32(1)[None].astype("f2")):
        with pytest.raises(TypeError):
            run(other)
    with pytest.raises(TypeError):
        run(x, x)


def test_numbers_stand_for_arrays_without_axes() -> None:
    f = torch.compile(lambda u: u * 2 + 1, fullgraph=True)
    for dtype in (torch.float32, torch.float64, torch.int64, torch.int32):
        assert f(torch.tensor(3, dtype=dtype)).item() == 7
    runs = {e.runner.program.inputs[0].dtype.name: e.runner.run for e in f.entries}
    for name, run in runs.items():
        number = np.dtype(name).type(4)
        assert run(number) == run(np.array(number)) == (9,)
        assert type(run(number)[0]) is np.dtype(name).type
    with pytest.raises(TypeError):
        runs["float64"](np.float32(4))


def test_numbers_of_all_kinds() -> None:
    text = (
        "def line(a: float64, b: float32, i: int64, j: int32, t: bool, a_: float64[:], b_: float32[:], i_: int64[:], "
        "j_: int32[:], t_: bool[:]):\n"
        "    a_[0] = -a\n    b_[0] = b\n    i_[0] = i + 1\n    j_[0] = -j\n    t_[0] = not t"
    )
    found = [np.zeros(1, d) for d in ("float64", "float32", "int64", "int32", "bool")]
    assert call(text, 1.5, 0.1, 2**62, -7, True, *found) == 0
    assert [a[0] for a in found] == [-1.5, np.float32(0.1), 2**62 + 1, 7, False]
    assert call("def line(a: float64):\n    return a != a", float("nan")) == 1


def test_scratch_that_cannot_be_had() -> None:
    text = "def loop(n: int):\n    a = np.empty(n, np.float64)\n    return False"
    assert [call(text, 10), call(text, 1 << 59)] == [0, 2]


def test_what_a_kernel_cannot_say() -> None:
    for body in ("return a / b", "return a + 1.0", "while a: pass", "return np.gamma(a)", "a = 1.0", "return a ** b"):
        with pytest.raises((NotImplementedError, TypeError, KeyError)):
            lower.lower(f"def line(a: int64, b: int64):\n    {body}\n    return a < b")


def test_code_goes_when_nobody_has_it() -> None:
    code = native.__wrapped__("def line(a_: float64[:]):\n    a_[0] = a_[0] * 12345.0")
    seen = weakref.ref(code)
    del code
    gc.collect()
    assert seen() is None


def test_where_objects_lie_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    monkeypatch.setitem(walker.FIELD, "flags", walker.FIELD["descr"])
    available.cache_clear()
    try:
        assert not available()
    finally:
        monkeypatch.undo()
        available.cache_clear()


# --- products -------------------------------------------------------------------------------------------------------

SIZES = [
    (1, 1, 1), (1, 5, 7), (7, 5, 1), (3, 4, 5), (13, 17, 33), (12, 32, 64), (32, 64, 128), (25, 400, 50), (40, 900, 129),
    (1, 64, 300), (2, 64, 300), (300, 64, 1), (5, 1, 9), (128, 3, 10), (33, 33, 33),
    (100, 3, 1), (5000, 2, 3), (3, 5000, 2), (2, 8, 5), (1, 31, 100), (1, 8, 40), (70, 21, 50),
]  # fmt: skip


@pytest.mark.parametrize("registers", [(32, 64), (16, 32), (32, 16)])  # how many, and of how many bytes
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_however_they_lie(
    dtype: Any, registers: Any, own_generator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "registers", lambda: registers)
    for (m, k, n), turns in itertools.product(SIZES, itertools.product((False, True), repeat=3)):
        a, b = torch.randn(m, k, dtype=dtype), torch.randn(k, n, dtype=dtype)
        a, b = (t.t().contiguous() if turn else t for t, turn in zip((a, b), turns, strict=False))

        def f(a: Any, b: Any, turns: Any = turns) -> Any:
            c = (a.t() if turns[0] else a) @ (b.t() if turns[1] else b)
            return (c.t() if turns[2] else c) * 1

        compiled = torch.compile(f, fullgraph=True)
        found = compiled(a, b)
        assert not compiled.entries[0].runner.calls, "all of it is done by kernels"
        difference = (found - f(a, b)).abs().max().item()
        assert difference < {torch.float32: 6e-6, torch.float64: 1e-14}[dtype] * k**0.5, (m, k, n, turns)


@pytest.mark.parametrize("registers", [(32, 64), (16, 32), (32, 16)])
def test_what_follows_a_product_is_done_where_its_rows_lie(
    registers: Any, own_generator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "registers", lambda: registers)
    monkeypatch.setattr(epilogue, "LEAST", 1)
    monkeypatch.setattr(epilogue, "NEAR", 9000)  # bytes, so that there are several blocks
    layer = torch.nn.functional.linear
    follows: list[Any] = [
        lambda x, w, b, r: torch.relu(layer(x, w, b)),
        lambda x, w, b, r: r - 0.1 * (x @ w.t()),
        lambda x, w, b, r: layer(x.unsqueeze(0), w, b) * 2 + r,
        lambda x, w, b, r: (y := layer(x, w, b).clamp(-0.5, 0.5), y.sum(), (y * r).amax()),
        lambda x, w, b, r: torch.where((y := x @ w.t()) > b, y, r.t().contiguous().t()).reshape(-1),
    ]
    for m, k, n in [(48, 16, 32), (131, 40, 70), (13, 5, 33), (1001, 8, 9), (47, 530, 20), (6, 7, 40)]:
        given = torch.randn(m, k), torch.randn(n, k), torch.randn(n), torch.randn(m, n)
        for f in follows:
            compiled = torch.compile(f, fullgraph=True)
            for _ in range(2):
                for found, wanted in zip(tree.flatten(compiled(*given))[0], tree.flatten(f(*given))[0], strict=True):
                    assert torch.allclose(found, wanted, rtol=1e-4, atol=2e-5 * k**0.5), (m, k, n)
            runner = compiled.entries[0].runner
            assert sum(isinstance(s, epilogue.Chain) for s in runner.steps) == 1
            assert [k.text.startswith("def loop") for k in runner.kernels].count(True) == 1


def test_a_product_that_others_read_is_not_overwritten(native_compile: Any, own_generator: Any) -> None:
    x, w = torch.randn(600, 20), torch.randn(20, 200)
    for f in (
        lambda x, w: (x @ w, torch.relu(x @ w)),
        lambda x, w: (torch.relu(x @ w), (x @ w).t()),
        lambda x, w: torch.relu(x @ w) + (x @ w).sum(0),
        lambda x, w: torch.tanh(x @ w),  # where the loop takes longer than the memory
    ):
        compiled = native_compile(f)
        for found, wanted in zip(tree.flatten(compiled(x, w))[0], tree.flatten(f(x, w))[0], strict=True):
            assert torch.allclose(found, wanted, atol=1e-4)
        assert not any(isinstance(s, epilogue.Chain) for s in compiled.entries[0].runner.steps)


BATCHES = [
    ((3, 4, 5), (3, 5, 6)), ((3, 4, 5), (5, 6)), ((2, 3, 4, 5), (2, 3, 5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((4, 5), (3, 5, 6)),
    ((5,), (3, 5, 6)), ((3, 4, 5), (5,)), ((5,), (5,)), ((8, 40, 50), (8, 50, 60)), ((1, 1, 3), (4, 3, 2)),
    ((9, 7, 2, 3), (7, 3, 4)), ((9, 100, 3), (9, 3, 2)), ((9, 2, 100), (100, 3)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", BATCHES)
def test_products_of_batches(shapes: Any, native_compile: Any, own_generator: Any) -> None:
    a, b = (torch.randn(*s, dtype=torch.float64) for s in shapes)
    for f in (lambda a, b: (a @ b) * 1, torch.func.grad(lambda a, b: (a @ b).square().sum(), (0, 1))):
        for x, y in zip(tree.flatten(native_compile(f)(a, b))[0], tree.flatten(f(a, b))[0], strict=True):
            assert torch.allclose(x, y, rtol=1e-12, atol=1e-12)


def test_heads_are_read_where_they_are(native_compile: Any, own_generator: Any) -> None:
    q = torch.randn(2, 10, 3, 7)
    f = lambda q: q.permute(0, 2, 1, 3) @ q.permute(0, 2, 3, 1)
    compiled = native_compile(f)
    assert torch.allclose(compiled(q), f(q), atol=1e-5)
    assert all(k.text.startswith(("def product", "def pack")) for k in compiled.entries[0].runner.kernels)


# --- guards ---


def tensors_of_many_kinds() -> list[Any]:
    x = torch.arange(6.0)
    wide = torch.arange(12.0)
    swapped, scalar = torch.arange(6.0), torch.tensor(1.5) * 2
    swapped._a = swapped._a.astype(">f4")
    with torch.inference_mode():
        inference = torch.arange(6.0)
    viewed = torch.arange(6.0)
    part = viewed[1:3]
    fixed = torch.arange(6.0)
    fixed._a.flags.writeable = False
    found = [
        x,
        x.requires_grad_(False),
        torch.arange(6.0, requires_grad=True),
        torch.nn.Parameter(torch.arange(6.0)),
        x.double(),
    ]
    found += [
        torch.arange(5.0),
        x.reshape(2, 3),
        x.reshape(2, 3).t(),
        x[::2],
        wide[:6],
        wide[6:],
        wide[::2],
        swapped,
        scalar,
    ]
    found += [
        torch.tensor(1.5),
        scalar.double(),
        inference,
        viewed,
        part,
        fixed,
        None,
        3.0,
        x._a,
        torch.arange(6) > 2,
        x.detach(),
    ]
    return found


@pytest.mark.parametrize("written", [False, True])
def test_guards_in_machine_code_say_what_guards_in_python_say(written: bool) -> None:
    many = tensors_of_many_kinds()
    agreed = set()
    for a, b in itertools.product([t for t in many if isinstance(t, torch.Tensor)], many):
        expected = [Expected(type(a), a._rg, var_of(a._a), written), Expected(type(a), a._rg, var_of(a._a), False)]
        for pair in ((a, b), (b, a), (a, a)):
            found, slow = (guard(expected, native)(*pair) for native in (True, False))
            assert bool(found) == bool(slow)
            if found == 1 and written:
                assert alone([0], pair, [t._a for t in pair]), "what is sure is so"
            agreed.add((found, bool(found) and alone([0], pair, [t._a for t in pair])))
    assert agreed == (
        {(0, False), (1, True), (2, True), (2, False)} if written else {(0, False), (1, True), (1, False)}
    )


def test_tensors_made_in_machine_code_hold_and_let_go() -> None:
    new = made(torch.Tensor, *watching.members.values())
    a, node = np.ones(2), object()
    before = [sys.getrefcount(o) for o in (a, node)]
    y = new(a, True, node)
    assert y._a is a
    assert y._rg is True
    assert y._node is node
    assert (y._grad, y._v, y._meta, y.__dict__) == (None, None, None, {})
    assert gc.is_tracked(y)
    del y
    assert [sys.getrefcount(o) for o in (a, node)] == before


def test_other_settings_are_other_programs(native_compile: Any) -> None:
    f = native_compile(lambda x: x * torch.ones(3) if x.requires_grad else x * 2)
    x = torch.ones(3, requires_grad=True)
    assert f(x).requires_grad
    with torch.no_grad():
        assert not f(x).requires_grad
    assert f(x).requires_grad
    torch.set_default_dtype(torch.float64)
    try:
        assert f(x).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert f(x).dtype == torch.float32
    with torch.inference_mode():
        assert f(x).is_inference()
    assert len(f.entries) == 3


def test_packed_matrices_are_there_as_long_as_they_are_used(native_compile: Any, own_generator: Any) -> None:
    constant = torch.randn(60, 60, dtype=torch.float64).numpy().copy()

    def f(x: Any) -> Any:
        y, turned = x, torch.tensor(constant).t()
        for _ in range(4):
            z = torch.tanh(y @ turned)
            y = torch.softmax(z * 1.5 + y.mean(), -1) + z @ turned / 60 + z @ x.t() / 60
        return y

    x = torch.randn(60, 60, dtype=torch.float64)
    compiled = native_compile(f)
    assert torch.allclose(compiled(x), f(x), rtol=1e-10, atol=1e-10)
    packs = [k for k in compiled.entries[0].runner.kernels if k.text.startswith("def pack")]
    assert len(packs) == 2, "each once"
