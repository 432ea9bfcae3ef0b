"""What goes wrong with a file: one family of errors, whose text names the file and the reason."""

from __future__ import annotations

import pickle

from ..errors import explained

_LONGEST = 300  # characters of a message: what a hostile file says in it is cut


class LoadError(RuntimeError, pickle.UnpicklingError):
    """A file is damaged, or holds what must not be loaded: both of PyTorch's classes, so that either handler works."""


class EmptyFileError(LoadError, EOFError):
    """There is nothing in the file."""


def broken(name: str, reason: str) -> LoadError:
    """The archive itself is damaged."""
    return _error("PytorchStreamReader failed reading zip archive: ", name, reason, "")


def refused(name: str, reason: str, mend: str = "") -> LoadError:
    """What the archive holds cannot be loaded; ``mend`` says what to do about it."""
    return _error("Weights only load failed. ", name, reason, mend)


def _error(start: str, name: str, reason: str, mend: str) -> LoadError:
    where = f" ({name if len(name) <= 80 else '...' + name[-77:]})"
    room = _LONGEST - len(start) - len(where)
    reason = reason.replace("\n", " ")
    text = start + (reason if len(reason) <= room else reason[: room - 3] + "...") + where
    return explained(LoadError(f"{text}\n{mend}" if mend else text))
