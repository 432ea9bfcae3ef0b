"""The operations: one block each, a file per family.  Importing this attaches them to Tensor."""

from __future__ import annotations

from . import (
    activation,
    arithmetic,
    assignment,
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

_ns.boxes = namespace

__all__ = [
    "activation", "arithmetic", "assignment", "choice", "comparison", "complex", "convert", "exponential", "extremes",
    "filling", "index", "linalg", "loss", "namespace", "public", "reduce", "rounding", "shape", "statistics",
    "trigonometric",
]  # fmt: skip
