"""What the tests of checkpoints have in common: both libraries' module of them, and functions to run twice."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

KINDS = pytest.mark.parametrize("reentrant", [False, True], ids=["plain", "reentrant"])


def module(T: Any) -> Any:
    return importlib.import_module(f"{T.__name__}.utils.checkpoint")


class Counted:
    """A function that counts how often it is run."""

    def __init__(self, f: Any) -> None:
        self.f, self.runs, self.ends = f, 0, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.runs += 1
        result = self.f(*args, **kwargs)
        self.ends += 1
        return result


def waves(x: Any) -> Any:
    y = x.sin()
    return (y * y).exp()


def slope(x: float) -> float:
    return float(np.exp(np.sin(x) ** 2) * 2 * np.sin(x) * np.cos(x))
