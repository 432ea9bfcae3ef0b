"""``why`` finds the reason that was planted, and the line."""

from __future__ import annotations

import pytest

import chainrule as torch
from chainrule.explain import Answer, why


def leaf(value: object) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def codes(answer: Answer) -> list[str]:
    return [r.code for r in answer.reasons]


def told(answer: Answer) -> str:
    """The line of the first reason, as its text."""
    line = answer.reasons[0].line
    return "" if line is None else line.text


# --- None -------------------------------------------------------------------------------------------------


def test_integers_have_none() -> None:
    n = torch.tensor([1, 2])
    assert codes(why(n)) == ["integer"]
    assert "n = n.float()" in str(why(n))


def test_nobody_asked() -> None:
    x = torch.tensor(1.0)
    assert codes(why(x)) == ["never asked"]
    assert told(why(x)) == "x = torch.tensor(1.0)"


def test_it_was_cut_off() -> None:
    w = leaf(2.0)
    x = (w * 3).detach()
    assert codes(why(x)) == ["cut"]
    assert ".detach()" in str(why(x))
    assert told(why(x)) == "x = (w * 3).detach()"


def test_recording_was_off() -> None:
    w = leaf(2.0)
    with torch.no_grad():
        x = w * 3
    assert codes(why(x)) == ["not recorded"]
    assert told(why(x)) == "x = w * 3"


def test_it_was_computed() -> None:
    w = leaf(2.0)
    a = w * 3
    y = a * a
    y.backward()
    assert codes(why(a)) == ["non-leaf"]
    assert "a.retain_grad()" in str(why(a))
    assert told(why(a)) == "a = w * 3"


def test_no_sweep_yet() -> None:
    x = leaf(2.0)
    z = torch.sin(x)
    assert codes(why(x)) == codes(why(x, z)) == ["no sweep"]
    assert "z.backward()" in str(why(x))
    r = leaf(2.0) * 1
    r.retain_grad()
    q = r * r
    assert codes(why(r, q)) == ["no sweep"]


def test_the_result_does_not_depend_on_it() -> None:
    x, w = leaf(2.0), leaf(3.0)
    a = x.detach()
    b = a * w
    y = b + 1
    answer = why(x, y)
    assert codes(answer) == ["cut on the way"]
    assert told(answer) == "a = x.detach()"
    z = w * 2
    assert codes(why(x, z)) == ["not used"]
    y.backward()
    assert codes(why(x, y)) == ["cut on the way"]


def test_nothing_here_depends_on_it() -> None:
    assert codes(why(leaf(1.0))) == ["nothing"]


# --- zero ---------------------------------------------------------------------------------------------------


def test_zero_in_a_dead_unit() -> None:
    x = leaf([1.0, -2.0])
    h = torch.relu(x - 3)
    y = (h * 2).sum()
    y.backward(retain_graph=True)
    answer = why(x, y)
    assert codes(answer) == ["zero step"]
    assert "h = " in str(answer)


def test_zero_by_a_factor_and_by_cancelling() -> None:
    x, w = leaf(2.0), leaf(0.0)
    y = x * w
    y.backward(retain_graph=True)
    assert "slope in x is 0" in str(why(x, y))
    v = leaf(2.0)
    y = torch.sin(v) - torch.sin(v)
    y.backward(retain_graph=True)
    assert codes(why(v, y)) == ["cancels"]


# --- nan ----------------------------------------------------------------------------------------------------


def test_nan_from_the_branch_not_taken() -> None:
    x = leaf(-1.0)
    root = torch.sqrt(x)
    y = torch.where(x > 0, root, x)
    y.backward(retain_graph=True)
    answer = why(x, y)
    assert codes(answer) == ["nan value", "nan step"]
    assert "root = sqrt(x)" in str(answer)


def test_an_infinite_slope() -> None:
    x = leaf(0.0)
    y = torch.sqrt(x)
    y.backward(retain_graph=True)
    answer = why(x, y)
    assert codes(answer) == ["nan step"]
    assert "becomes inf" in str(answer)


# --- more than it should be -------------------------------------------------------------------------------------


def test_swept_twice() -> None:
    x = leaf(3.0)
    y = x**2
    y.backward(retain_graph=True)
    assert codes(why(x, y)) == ["right"]
    y.backward(retain_graph=True)
    answer = why(x)
    assert codes(answer) == ["multiple"]
    assert "2 times dy/dx = 6" in str(answer)


def test_something_was_there_before() -> None:
    x = leaf(3.0)
    (5 * x).backward()
    y = x**2
    y.backward(retain_graph=True)
    answer = why(x, y)
    assert codes(answer) == ["rest"]
    assert "the rest, 5," in str(answer)


def test_used_several_times() -> None:
    x = leaf(3.0)
    y = x * x + x
    y.backward(retain_graph=True)
    assert codes(why(x, y)) == ["right", "parts"]
    assert why(x, y).reasons[1].values["n"] == 3


def test_a_freed_graph_leaves_the_lines() -> None:
    x = leaf(3.0)
    y = x**2
    y.backward()
    z = x**3
    z.backward()
    answer = why(x)
    assert codes(answer) == ["swept"]
    assert "y.backward()" in str(answer)
    assert "z.backward()" in str(answer)


def test_a_loop_that_never_sets_it_back() -> None:
    x = leaf(3.0)
    for _ in range(3):
        y = x**2
        y.backward()
    assert codes(why(x)) == ["in a loop"]


def test_chinese_and_wrong_arguments() -> None:
    x = leaf(3.0)
    y = x * 2
    assert "请调用 y.backward()" in str(why(x, y, lang="zh"))
    with pytest.raises(TypeError, match="asks about a tensor"):
        why(3.0)  # type: ignore[arg-type]
    assert x.grad is None
    y.backward()  # the graph is as it was
    assert x.grad.item() == 2
