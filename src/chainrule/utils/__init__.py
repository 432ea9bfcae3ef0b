"""PyTorch's ``torch.utils``: ``checkpoint``, ``data``, ``dlpack``, ``hooks``, each imported when it is first named."""

from __future__ import annotations

import importlib as _importlib

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
