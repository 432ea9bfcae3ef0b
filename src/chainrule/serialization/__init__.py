"""Saving and loading: PyTorch's files, read without running anything that is in them.

``files`` has ``save`` and ``load``.  A file is an ``archive`` of records; one of them is a pickle, written by
``pickler`` and read by ``unpickler``, which finds only names that are ``allowed``; the others are ``storages``, the
memory that its tensors lie in.  ``budget`` counts what a file asks for, ``atomic`` replaces files as a whole.
"""

from __future__ import annotations

from .allowed import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .errors import EmptyFileError, LoadError
from .files import get_unsafe_globals_in_checkpoint, load, save

__all__ = [
    "EmptyFileError", "LoadError", "add_safe_globals", "clear_safe_globals", "get_safe_globals",
    "get_unsafe_globals_in_checkpoint", "load", "safe_globals", "save",
]  # fmt: skip
