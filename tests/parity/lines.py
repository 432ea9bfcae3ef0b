"""The same lines with chainrule and with PyTorch: what they give, raise and warn of, in comparable form."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Lines = Callable[[Any], Any]


def outcome(lines: Lines, t: Any, plain: Callable[[Any], Any] | None = None) -> Any:
    """What ``lines`` give or raise with the library ``t``, made plain, and what they warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = lines(t)
        except Exception as e:
            result = (type(e).__name__, str(*e.args[:1]))
    return (plain or numbers)(result), [(w.category.__name__, str(w.message)) for w in caught]


def numbers(value: Any) -> Any:
    """Tensors as lists of exact numbers; what is no plain value as its text."""
    if hasattr(value, "detach"):
        return np.asarray(value.detach().numpy()).tolist()
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [numbers(v) for v in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def rounded(value: Any) -> Any:
    """As ``numbers``, but tensors with their dtypes, to six places, and the entries of a dict in their order."""
    if hasattr(value, "detach"):
        found = np.asarray(value.detach().numpy())
        return [str(found.dtype), rounded(np.round(found, 6).tolist())]
    if isinstance(value, dict):
        return [[k, rounded(v)] for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return "nan" if isinstance(value, float) and value != value else numbers(value)
