"""Devices.  Arrays live where their library puts them; for NumPy that is the CPU."""

from __future__ import annotations

from typing import Any


class device:
    """Where a tensor lives.  ``device("cpu")`` is the only one for NumPy's arrays."""

    __slots__ = ("index", "type")

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name, _, number = str(type.type if isinstance(type, device) else type).partition(":")
        if name != "cpu":
            raise RuntimeError(
                f"device '{type}' is not available: chainrule computes on the CPU with NumPy. For an accelerator put "
                "its library's array underneath: torch.asarray(cupy_array) or torch.asarray(jax_array)."
            )
        self.type: str = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


class memory_format:
    """How a tensor's dimensions lie in memory: a name, which is accepted and changes nothing here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class layout(memory_format):
    """How a tensor's entries are stored: here always all of them."""


contiguous_format, preserve_format = memory_format("contiguous_format"), memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")
strided = layout("strided")
