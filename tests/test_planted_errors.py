"""The tests, tested: wrong rules are planted in every operation, and each must be caught by the reading meant for it.

A planted operation is a subclass of the real one, under a name that is taken out of the table again.  What cannot
be told from the right rule is listed: flipping the sign of a slope that is 0 plants nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import every_array as arrays
import every_op as numbers
from chainrule.arrays import namespace as ns
from chainrule.primitive import Elementwise, Primitive, table
from op_cases import INVARIANT, Case, cases, primitives

Rule = Callable[..., Any]
Change = Callable[[Rule], Rule]

# Rules that give 0 whatever comes: no factor or sign can be told from another.
ZERO = {
    (n, 0)
    for n in ("Sign", "Floor", "Ceil", "Round", "RoundTo", "Trunc", "Fill", "Copy", "DivFloor", "DivTrunc", "SignDet")
} | {(n, 1) for n in ("Copysign", "Nextafter", "DivFloor", "DivTrunc")}

OPERATIONS = {p.name: p for p in primitives()}
RULES = [
    (name, i) for name, p in OPERATIONS.items() if p.differentiable and not p.variadic
    for i, pull in enumerate(p.pulls) if pull is not None
]  # fmt: skip


def planted(prim: Primitive, at: int | None = None, reverse: Change | None = None, **body: Any) -> Primitive:
    """``prim`` with the reverse rule of one argument (or of all) changed, or with other attributes of its class."""
    base = type(prim)

    def changed(self: Any, name: str) -> tuple[Any, frozenset[str]]:
        pull, needs = base._reverse(self, name)
        if reverse is None or pull is None or (at is not None and name != prim.args[at]):
            return pull, needs
        return reverse(pull), needs

    label = "PlantedBackward0"
    try:
        made: Primitive = type(f"Planted{prim.name}", (base,), {"_reverse": changed, **body})(label)
    finally:
        table.pop(label, None)
    whole = made.whole
    if whole is not None and reverse is not None:

        def each(xp: Any, g: Any, s: Any, p: Any) -> list[Any]:
            found = enumerate(whole(xp, g, s, p))
            return [
                c if c is None or at not in (None, i) else reverse(lambda *_, c=c: c)(xp, g, s, p) for i, c in found
            ]

        made.whole = each
    return made


def caught(wrong: Primitive, right: Primitive, reading: Callable[[Case], None]) -> bool:
    """Whether ``reading`` fails for some sample once the wrong operation stands in for the right one."""
    complex_too = reading in (arrays.wirtinger, numbers.batched)
    for case in cases(right):
        if not complex_too and any(case.args[i].dtype.kind == "c" for i in case.arrays):
            continue
        if not case.moving and reading is not numbers.batched:
            continue
        try:
            with np.errstate(all="ignore"):
                reading(replace(case, prim=wrong))
        except Exception:
            return True
    return False


def real(name: str) -> bool:
    """Whether an operation has real samples, which all readings of derivatives but one are of."""
    return any(case.args[i].dtype.kind != "c" for case in cases(OPERATIONS[name]) for i in case.moving)


def in_reverse(name: str) -> Callable[[Case], None]:
    return numbers.reverse if real(name) else arrays.wirtinger


# --- wrong reverse rules --------------------------------------------------------------------------------------


def times(factor: float) -> Change:
    return lambda pull: lambda *a: factor * pull(*a)


def constant(pull: Rule) -> Rule:
    return lambda xp, g, s, p: xp.stop(pull(xp, g, s, p))


def writing(pull: Rule) -> Rule:
    def rule(xp: Any, g: Any, s: Any, p: Any) -> Any:
        if isinstance(g, np.ndarray):
            g *= 1
        return pull(xp, g, s, p)

    return rule


def wider(pull: Rule) -> Rule:
    return lambda xp, g, s, p: xp.astype(pull(xp, g, s, p), np.float64)


@pytest.mark.parametrize(("name", "i"), [r for r in RULES if r not in ZERO])
@pytest.mark.parametrize("factor", [-1, 1.001, 1 + 1e-6])
def test_a_wrong_slope(name: str, i: int, factor: float) -> None:
    right = OPERATIONS[name]
    assert caught(planted(right, i, times(factor)), right, in_reverse(name))


def gives_complex(name: str) -> bool:
    """Whether complex numbers come out of real ones; the readings take those apart (as INVARIANT does), into copies."""
    prim, case = OPERATIONS[name], next(cases(OPERATIONS[name]))
    return prim(*map(numbers.torch.asarray, case.args), **case.params).is_complex()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "i"), [r for r in RULES if real(r[0]) and r[0] not in INVARIANT and not gives_complex(r[0])]
)
def test_a_rule_that_writes_into_its_cotangent(name: str, i: int) -> None:
    right = OPERATIONS[name]
    assert caught(planted(right, i, writing), right, numbers.reverse)


@pytest.mark.parametrize("name", sorted({n for n, _ in RULES if real(n) and not OPERATIONS[n].broadcasts}))
def test_a_wrong_dtype(name: str) -> None:
    """Where the rule alone decides: with broadcasting, the engine gives each cotangent its dtype."""
    assert caught(planted(OPERATIONS[name], reverse=wider), OPERATIONS[name], arrays.single)


def nonlinear() -> Iterator[str]:
    """Operations whose second derivative is not 0."""
    for name, prim in OPERATIONS.items():
        if prim.differentiable and real(name):
            for case in cases(prim):
                vs = [case.direction(0), case.direction(1)]
                if case.moving and abs(numbers.directional(case, case.xs(), vs).item()) > 1e-6:
                    yield name
                    break


NONLINEAR = list(nonlinear())


@pytest.mark.parametrize("name", NONLINEAR)
def test_a_rule_that_is_right_only_once(name: str) -> None:
    """The first derivative is right, but cut off from the graph: the second comes out wrong."""
    wrong = planted(OPERATIONS[name], reverse=constant)
    assert not caught(wrong, OPERATIONS[name], numbers.reverse)
    assert caught(wrong, OPERATIONS[name], numbers.higher)
    assert caught(wrong, OPERATIONS[name], numbers.mixed)


@pytest.mark.parametrize("name", [n for n, p in OPERATIONS.items() if p.variadic])
@pytest.mark.parametrize("factor", [-1, 1.001, 1 + 1e-6])
def test_a_wrong_slope_of_one_of_many(name: str, factor: float) -> None:
    right = OPERATIONS[name]

    def vjp_each(*args: Any, **params: Any) -> Any:
        first, second, *others = type(right).vjp_each(*args, **params)
        return [first, factor * second, *others]

    assert caught(planted(right, vjp_each=staticmethod(vjp_each)), right, numbers.reverse)


# --- operands exchanged, broadcasting forgotten -------------------------------------------------------------------

PAIRS = [
    n for n, p in OPERATIONS.items()
    if len(p.args) == 2 and p.whole is None and all((n, i) in RULES for i in (0, 1)) and real(n)
]  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_rules_of_two_operands_exchanged(name: str) -> None:
    right = OPERATIONS[name]
    base = type(right)
    wrong = planted(right, _reverse=lambda self, arg: base._reverse(self, right.args[1 - right.args.index(arg)]))
    assert caught(wrong, right, numbers.reverse) == (name not in ("Add", "DivFloor", "DivTrunc")), (
        "equal rules for both"
    )


@pytest.mark.parametrize("name", PAIRS)
def test_two_operands_exchanged_within_a_rule(name: str) -> None:
    right = OPERATIONS[name]
    uses = [i for i in (0, 1) if right.needs[i] & set(right.args)]
    for i in uses:
        base = type(right)

        def changed(self: Any, arg: str, i: int = i, base: Any = base) -> Any:
            pull, needs = base._reverse(self, arg)
            if arg != right.args[i]:
                return pull, needs
            return (lambda xp, g, s, p: pull(xp, g, (s[0], s[2], s[1]), p)), needs | set(right.args)

        assert caught(planted(right, _reverse=changed), right, numbers.reverse), f"in the rule for {right.args[i]}"
    without = "Add Sub AddScaled Fill Copy Put CopySlices Complex Nextafter DivFloor DivTrunc"
    assert uses or name in without.split(), "rules without operands"


@pytest.mark.parametrize("name", [n for n in PAIRS if OPERATIONS[n].broadcasts and n != "CopySlices"] + ["Where"])
def test_broadcasting_not_undone(name: str) -> None:  # CopySlices gets its values expanded
    right = OPERATIONS[name]
    assert caught(planted(right, broadcasts=False), right, numbers.reverse)


@pytest.mark.parametrize(
    "name", ["Sum", "Mean", "Prod", "Amax", "Amin", "Expand", "Reshape", "Permute", "GetItem", "Gather", "Mv", "Dot"]
)
def test_a_cotangent_of_another_shape(name: str) -> None:
    """The rule hands its cotangent on as it came."""
    wrong = planted(OPERATIONS[name], 0, lambda pull: lambda xp, g, s, p: g)
    assert caught(wrong, OPERATIONS[name], numbers.reverse)


# --- the other readings: forward mode, batches, series, complex numbers --------------------------------------------


@pytest.mark.parametrize("name", [n for n, p in OPERATIONS.items() if p.variadic or any(p.pulls)])
@pytest.mark.parametrize("factor", [-1, 1.001, 1 + 1e-6])
def test_a_wrong_tangent(name: str, factor: float) -> None:
    """Forward mode alone is wrong."""
    right = OPERATIONS[name]
    base = type(right)

    def jvp(self: Any, *args: Any) -> Any:
        t = base.jvp(self, *args)
        return None if t is None else factor * t

    wrong = planted(right, jvp=jvp)
    if all((name, i) in ZERO for i in range(len(right.args))):
        return
    if right.view:  # a view's tangent is a view of the tangent: no rule is asked
        return
    if not real(name):
        assert caught(wrong, right, arrays.wirtinger)
        return
    assert not caught(wrong, right, numbers.reverse)
    assert caught(wrong, right, numbers.forward)
    assert caught(wrong, right, numbers.transposed)


@pytest.mark.parametrize("name", NONLINEAR)
def test_claiming_to_be_linear(name: str) -> None:
    right = OPERATIONS[name]
    read_from_its_body = right.composite and None in right.pushes
    assert caught(planted(right, jointly_linear=True), right, numbers.series) or read_from_its_body


def first_only(xp: Any, out: Any) -> Any:
    return xp.broadcast_to(out[:1], tuple(out.shape))


def backwards(xp: Any, out: Any) -> Any:
    return xp.flip(out, axis=(-len(out.shape),))


def larger(xp: Any, out: Any) -> Any:
    return out * 1.000001


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("change", [first_only, backwards, larger])
def test_a_wrong_batch_rule(name: str, change: Rule) -> None:
    right = OPERATIONS[name]
    base = type(right)
    wrong = planted(right, batch=lambda self, *args: change(ns.boxes, base.batch(self, *args)))
    values = right(*[numbers.torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in next(cases(right)).args],
                   **next(cases(right)).params)  # fmt: skip
    if change is larger and values._dtype.kind not in "fc":
        return  # there is no such thing as a slightly larger truth or index
    assert caught(wrong, right, numbers.batched)


COMPLEX = [n for n, p in OPERATIONS.items() if p.differentiable and p.real_only is None]


@pytest.mark.parametrize("name", [n for n in COMPLEX if isinstance(OPERATIONS[n], Elementwise)])
def test_a_slope_not_conjugated(name: str) -> None:
    right = OPERATIONS[name]
    formulas = [
        a for a in right.args if not hasattr(right, f"vjp_{a}")
        and (callable(getattr(right, f"d_{a}", None)) or hasattr(right, f"per_{a}"))
    ]  # fmt: skip
    wrong = planted(right, _conjugate=lambda self, arg, pull: pull)
    depends = name not in ("Maximum", "Minimum", "Relu", "AddScaled")  # real slopes
    assert caught(wrong, right, arrays.wirtinger) == (bool(formulas) and depends)


# --- what every test is held to --------------------------------------------------------------------------------------

LEAKS = {
    "grad mode": "torch.set_grad_enabled(False)",
    "the default dtype": "torch.set_default_dtype(torch.float64)",
    "the default random generator": "torch.rand(3)",
}


def test_leaks_are_caught(tmp_path: Path) -> None:
    """conftest.py fails a test that changes what all tests share, and restores it for the next."""
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    body = "import chainrule as torch\n"
    for i, line in enumerate(LEAKS.values()):
        body += f"def test_leak_{i}():\n    {line}\ndef test_clean_{i}():\n    assert torch.is_grad_enabled()\n"
    body += "def test_own(own_generator):\n    torch.rand(3)\n"
    (tmp_path / "test_leaks.py").write_text(body)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    report = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    assert f"{2 * len(LEAKS) + 1} passed, {len(LEAKS)} errors" in report, report
    for what in LEAKS:
        assert f"left changed {what}" in report
