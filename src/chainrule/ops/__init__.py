"""The operations: one block each, a file per family.

Importing this attaches the families named here to Tensor; the others follow when one of their names is used.
"""

from __future__ import annotations

from . import (
    activation,
    arithmetic,
    assignment,
    aten,
    choice,
    comparison,
    complex,
    convert,
    exponential,
    extremes,
    filling,
    index,
    linalg,
    loss,
    polar,
    reduce,
    rounding,
    shape,
    statistics,
    trigonometric,
)
from .kinds import public

# isort: split
from ..arrays import namespace as _ns
from . import namespace
from .later import find, functions, load_all

_ns.boxes = namespace

__all__ = [
    "activation", "arithmetic", "assignment", "aten", "choice", "comparison", "complex", "convert", "exponential",
    "extremes", "filling", "find", "functions", "index", "linalg", "load_all", "loss", "namespace", "polar",
    "public", "reduce", "rounding", "shape", "statistics", "trigonometric",
]  # fmt: skip
