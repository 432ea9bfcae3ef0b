"""The operations: one block each, a file per family.  Importing this attaches them to Tensor."""

from __future__ import annotations

from . import activation, convert, elementwise, index, linalg, loss, reduce, shape
from .kinds import public

# isort: split
from ..arrays import namespace as _ns
from . import namespace

_ns.boxes = namespace

__all__ = ["activation", "convert", "elementwise", "index", "linalg", "loss", "namespace", "public", "reduce", "shape"]
