"""Operations under the names that PyTorch's dispatcher has for them: ``torch.ops.aten.mm.default``.

They say which operation is meant, as for a selective checkpoint; call ``torch.mm`` to compute.
"""

from __future__ import annotations

import re
from typing import Any

from ..primitive import Primitive


class OpOverload:
    """One operation.  All overloads of a name are one operation here, and equal."""

    def __init__(self, name: str, overload: str = "default") -> None:
        self._name, self._overload = name, overload

    def name(self) -> str:
        """As PyTorch writes it: ``aten::mm``."""
        return f"aten::{self._name}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpOverload) and other._name.strip("_") == self._name.strip("_")

    def __hash__(self) -> int:
        return hash(self._name.strip("_"))

    def __str__(self) -> str:
        return f"aten.{self._name}.{self._overload}"

    def __repr__(self) -> str:
        return f"<OpOverload(op='aten.{self._name}', overload='{self._overload}')>"


class OpOverloadPacket:
    """The overloads of one name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("_"):
            raise AttributeError(overload)
        return OpOverload(self._name, overload)

    def __str__(self) -> str:
        return f"aten.{self._name}"


def named(prim: Primitive) -> OpOverload:
    """The operation that a primitive is: ``MmBackward0`` is the node of ``mm``."""
    stem = prim.label.rpartition(":")[2].partition("Backward")[0]
    return OpOverload(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower())


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return OpOverloadPacket(name)
