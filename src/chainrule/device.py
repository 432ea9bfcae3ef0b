"""Devices.  Arrays live where their library puts them; for NumPy that is the CPU."""

from __future__ import annotations

import re
from typing import Any

from .errors import explained

_KINDS = (
    "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, "
    "privateuseone"
)
_INSTEAD = (
    "\nchainrule computes on the CPU with NumPy. For an accelerator put its library's array underneath: "
    "torch.asarray(cupy_array) or torch.asarray(jax_array)."
)


class device:
    """The name of a place where tensors may live.  ``device("cpu")`` is where NumPy's arrays do, and the only one to be had.

    As a context it changes nothing, since new tensors are there anyway; of another place it is an error.
    RuntimeError for a name that PyTorch does not know.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            raise no_accelerator()
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' (position 1) must be str, not {_word(type)}")
        name, colon, number = type.partition(":")
        if not type:
            raise RuntimeError("Device string must not be empty")
        if name not in _KINDS.split(", "):
            raise RuntimeError(f"Expected one of {_KINDS} device type at start of device string: {name}")
        if colon and not re.fullmatch("0|[1-9][0-9]*", number):
            raise RuntimeError(f"Invalid device string: '{type}'")
        if colon and index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        self.type: str = name
        self.index = int(number) if colon else index

    def __enter__(self) -> device:
        on_cpu(self)
        return self

    def __exit__(self, *error: Any) -> None:
        pass

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


def _word(value: Any) -> str:
    return type(value).__name__


def on_cpu(where: Any) -> None:
    """Nothing for the CPU, or None; an error for another device that a user names."""
    if where is not None and where != "cpu" and (kind := device(where).type) != "cpu":
        raise unavailable(kind)


def unavailable(kind: str) -> Exception:
    """The error of PyTorch's build without devices of this kind."""
    if kind in ("cuda", "xpu", "mtia"):
        return explained(AssertionError(f"Torch not compiled with {kind.upper()} enabled{_INSTEAD}"))
    return explained(RuntimeError(f"PyTorch is not linked with support for {kind} devices{_INSTEAD}"))


def no_accelerator() -> Exception:
    """The error for a device that a user names by its number alone."""
    return explained(RuntimeError(f"Cannot access accelerator device when none is available.{_INSTEAD}"))


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
