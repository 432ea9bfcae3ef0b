"""Sizes as layers take them: one number for all axes, or one for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Sizes = int | Sequence[int]


def for_each(value: Any, rank: int) -> tuple[Any, ...]:
    """A number ``rank`` times; several as they are."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * rank
