"""What this namespace can do, as the standard has programs ask."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..device import device as _device
from . import types

_NAMES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64",
    "complex128",
)  # fmt: skip
ALL = {name: dtypes.bool_ if name == "bool" else getattr(dtypes, name) for name in _NAMES}


class Info:
    """What ``__array_namespace_info__()`` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Indexing by truth values and results whose shape depends on values are there; 64 dimensions at most."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        """Where arrays are made: the processor's memory."""
        return _device("cpu")

    def devices(self) -> list[Any]:
        """All devices."""
        return [_device("cpu")]

    def default_dtypes(self, *, device: Any = None) -> dict[str, dtypes.dtype]:
        """The dtypes of Python's numbers."""
        return {
            "real floating": dtypes.get_default_dtype(),
            "complex floating": dtypes.from_numpy(dtypes.default_complex()),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, dtypes.dtype]:
        """The dtypes of a kind, or all, by name."""
        return {name: d for name, d in ALL.items() if kind is None or types.isdtype(d, kind)}


def __array_namespace_info__() -> Info:  # noqa: N807  the standard's name
    """What this namespace can do."""
    return Info()
