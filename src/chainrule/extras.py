"""Optional libraries, imported when first needed, with the install command when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import missing


def load(module: str, extra: str, purpose: str) -> Any:
    """The module, or an error that names the command to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise missing(module.partition(".")[0], extra, purpose) from e


def scipy_special(purpose: str) -> Any:
    return load("scipy.special", "special", purpose)
