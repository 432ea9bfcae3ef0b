"""Colours: only on a terminal that has them, and never in JSON."""

from __future__ import annotations

import os
import sys
from typing import Final, Literal, TextIO

Kind = Literal["heading", "good", "caution", "bad"]
_CODES: Final = {"heading": "1", "good": "32", "caution": "33", "bad": "1;31"}


def paint(text: str, kind: Kind, stream: TextIO | None = None) -> str:
    """The text as it is to be written to a stream, standard output unless given.

    >>> paint("DIFFERS", "bad")  # where standard output is not a terminal
    'DIFFERS'
    """
    return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if shown(sys.stdout if stream is None else stream) else text


def shown(stream: TextIO) -> bool:
    """Whether a stream gets colours: of the variables NO_COLOR, FORCE_COLOR and TERM the first that says something."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("TERM") == "dumb" or (sys.platform == "win32" and "WT_SESSION" not in os.environ):
        return False
    return stream.isatty()
