"""Optimisers and schedules against what PyTorch did, as recorded by ``tools/record_golden.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
import optim_cases
import optim_schedules

GOLDEN = Path(__file__).parent / "golden"
STEPS: dict[str, Any] = json.loads((GOLDEN / "optim_cases.json").read_text(encoding="utf-8"))
RATES: dict[str, Any] = json.loads((GOLDEN / "optim_schedules.json").read_text(encoding="utf-8"))
TOLERANCE = {"LBFGS": 1e-5, "Muon": 1e-7}  # L-BFGS makes much of small differences; Muon rounds to bfloat16


def test_everything_is_recorded() -> None:
    assert STEPS.keys() - {""} == optim_cases.CASES.keys()
    assert RATES.keys() - {""} == optim_schedules.CASES.keys()


@pytest.mark.parametrize("name", optim_cases.CASES)
def test_steps(name: str) -> None:
    case = optim_cases.CASES[name]
    tolerance = TOLERANCE.get(case.name, 1e-12)
    found = optim_cases.outcome(torch, case)
    assert found.keys() == STEPS[name].keys()
    for step, wanted in STEPS[name].items():
        assert len(found[step]) == len(wanted)
        for ours, theirs in zip(found[step], wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", optim_schedules.CASES)
def test_rates(name: str) -> None:
    assert optim_schedules.outcome(torch, name) == RATES[name]
