"""Every operation, on each of its samples, in every reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import every_array as arrays
import every_op as numbers
from chainrule.primitive import Elementwise, Primitive
from op_cases import Case, all_cases, primitives

_STEPS = dict.fromkeys(
    ("Floor", "Ceil", "Round", "RoundTo", "Remainder", "Trunc", "Frac", "Fmod", "DivFloor", "DivTrunc"),
    "SymPy leaves the derivative of a step open",
)


@dataclass(frozen=True)
class Reading:
    """One check, what it is made of, and the operations it does not hold for, with the reason."""

    check: Callable[[Case], None]
    values: bool = False  # also of operations without derivatives
    added: bool = True  # also of the shapes that are added to an operation's own samples
    complex: bool = False  # also of samples that are complex
    formula: bool = False  # not of what is an algorithm over numbers
    exceptions: dict[str, str] = field(default_factory=dict)

    def takes(self, case: Case) -> bool:
        complex_ = any(case.args[i].dtype.kind == "c" for i in case.arrays)
        if self.check is arrays.wirtinger and case.prim.real_only is not None:
            return False
        return (
            (self.values or bool(case.moving)) and (self.added or case.declared)
            and (self.complex or not complex_) and (case.prim.formula or not self.formula)
        )  # fmt: skip


READINGS = [
    Reading(numbers.reverse),
    Reading(numbers.forward),
    Reading(numbers.transposed),
    Reading(numbers.higher),
    Reading(numbers.mixed),
    Reading(numbers.series),
    Reading(numbers.batched, values=True, complex=True),
    Reading(arrays.single, values=True, exceptions={"Cast": "its dtype is what it is told"}),
    Reading(arrays.layouts, values=True),
    Reading(arrays.wirtinger, complex=True),
    Reading(arrays.symbolic, values=True, formula=True, added=False, exceptions={"IsNan": "a symbol is never nan"}),
    Reading(arrays.by_sympy, formula=True, added=False, exceptions=_STEPS),
    Reading(arrays.symbolic_batch, formula=True, added=False),
    Reading(arrays.lazy, formula=True, values=True, added=False),
    Reading(arrays.xla, formula=True, values=True, added=False),
]

CASES = all_cases()


def checks(excepted: bool) -> list[pytest.param]:
    return [
        pytest.param(r, c, id=f"{r.check.__name__}-{c.name}")
        for r in READINGS for c in CASES
        if r.takes(c) and (c.prim.name in r.exceptions) == excepted
    ]  # fmt: skip


@pytest.mark.parametrize(("reading", "case"), checks(False))
def test_reading(reading: Reading, case: Case) -> None:
    reading.check(case)


def test_exceptions_are_needed() -> None:
    for reading in READINGS:
        for name in reading.exceptions:
            mine = [c for c in CASES if c.prim.name == name and reading.takes(c)]
            assert mine, f"{name} is excepted from {reading.check.__name__}, which does not take it"
            assert any(fails(reading, c) for c in mine), f"{name} passes {reading.check.__name__} now"


def fails(reading: Reading, case: Case) -> bool:
    try:
        reading.check(case)
    except pytest.skip.Exception:
        return True
    except Exception:
        return True
    return False


@pytest.mark.parametrize("prim", primitives(), ids=lambda p: p.name)
def test_no_operation_is_untested(prim: Primitive) -> None:
    mine = [c for c in CASES if type(c.prim) is type(prim)]
    assert mine, "declare samples beside the operation"
    if not prim.differentiable:
        assert not any(c.moving for c in mine)
        said = any("differentiable" in vars(c) for c in type(prim).__mro__[:-2] if c not in (Primitive, Elementwise))
        assert said or not any(c(*c.xs()).is_floating_point() for c in mine), "real numbers without a rule: say so"
    elif prim.variadic or any(prim.pulls):  # without any, PyTorch refuses to go back through it, and so do we
        assert any(c.moving for c in mine), "no sample has an argument that a rule is declared for"
        reached = {i for c in mine for i in c.moving}
        declared = {i for i, p in enumerate(mine[0].prim.pulls) if p is not None}
        assert mine[0].prim.variadic or declared <= reached, "a rule that no sample reaches"


def test_every_rule_is_run() -> None:
    assert len(CASES) >= 250
    assert sum(r.takes(c) for r in READINGS for c in CASES) >= 3000
