"""A bar that shows how far a loop has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from ...extras import load

T = TypeVar("T")


def progress(iterable: Iterable[T], desc: str | None = None, **options: Any) -> Iterator[T]:
    """The items of ``iterable``, a :class:`DataLoader` say, while a bar shows how many have been and are to come.

    ``desc`` stands before the bar; ``options`` go to ``tqdm``, which does the drawing.  Raises MissingExtra where
    that is not installed.

    Source: none in PyTorch.

    >>> import io
    >>> sum(progress(range(4), "adding", file=io.StringIO()))
    6
    """
    bar: Iterator[T] = iter(load("tqdm", "train", "a progress bar").tqdm(iterable, desc=desc, **options))
    return bar
