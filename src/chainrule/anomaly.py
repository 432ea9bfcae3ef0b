"""Anomaly mode: nodes remember which line made them, and a sweep that fails says so."""

from __future__ import annotations

import sys
import warnings
from os.path import dirname
from typing import Any

import numpy as np

from .engine import ruled
from .modes import Mode, change, current
from .node import Box, Node

_HERE = dirname(__file__)
tracers: list[Any] = []  # those who trace nan now, in whatever thread


def forward_lines() -> list[str]:
    """The lines that led here, as a traceback shows them, the user's last."""
    import traceback

    frames = traceback.extract_stack()
    while frames and frames[-1].filename.startswith((_HERE, "<rule>")):  # how it is carried out is nobody's concern
        frames.pop()
    return frames.format()


def note(node: Node, parent: Any, inner: tuple[Any, ...] = ()) -> None:
    """Note in ``node`` the lines that led here, the constants it was given, and whose rule it was made in, if in one's."""
    node.metadata["traceback_"] = forward_lines()
    if inner:
        pairs = zip(node.edges, inner, strict=True)
        node.metadata["constants_"] = tuple([a if edge is None else None for edge, a in pairs])
    if parent is not None:
        node.metadata["parent_"] = parent


class Watch:
    """What anomaly mode, and exact masks, add to a sweep."""

    def __init__(self, mode: Mode) -> None:
        self.check_nan, self.anomaly = bool(mode.anomaly), mode.anomaly is not None
        self._rule = masked if mode.masks else ruled

    def rule(self, sweep: Any, node: Node, g: Any, saved: Any) -> list[Any]:
        """What the node's rules give; in anomaly mode an error if that is nan."""
        if not self.anomaly:
            return self._rule(sweep, node, g, saved)
        before = current().within
        change(within=node)
        try:
            found = self._rule(sweep, node, g, saved)
        finally:
            change(within=before)
        if self.check_nan:
            for i, c in enumerate(found):
                if _has_nan(c):
                    raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
        return found

    def failed(self, node: Any, error: Exception) -> None:
        """Warn where the forward call of the node stands at which the sweep stopped, and what induced it."""
        if node is None or not self.anomaly:
            return
        lines = node.metadata.get("traceback_")
        warnings.warn(
            f"Error detected in {node.name()}. "
            + (
                f"Traceback of forward call that caused the error:\n{''.join(lines)}" if lines else
                "No forward pass information available. Enable detect anomaly during forward pass for more information."
            ), UserWarning, stacklevel=_outside(),
        )  # fmt: skip
        while (node := node.metadata.get("parent_")) is not None and (lines := node.metadata.get("traceback_")):
            warnings.warn(
                f"\n\nPrevious calculation was induced by {node.name()}. Traceback of forward call that induced the "
                f"previous calculation:\n{''.join(lines)}", UserWarning, stacklevel=_outside(),
            )  # fmt: skip


def masked(sweep: Any, node: Node, g: Any, saved: Any) -> list[Any]:
    """What the node's rules give, but nothing where nothing arrived, and nothing through a root of zero."""
    found, prim = ruled(sweep, node, g, saved), node.prim
    if prim is None or not prim.broadcasts:  # not entry by entry
        return found
    xp = sweep.xp
    return [c if c is None or c.shape != g.shape else _mask(xp, prim, g, c) for c in found]


def _mask(xp: Any, prim: Any, g: Any, c: Any) -> Any:
    out = g == 0
    if prim.name == "Sqrt":
        out = out | (xp.isfinite(g) & ~xp.isfinite(c))
    return xp.where(out, xp.zeros_like(c), c)


def _outside() -> int:
    """How many calls up the user's code stands."""
    up, frame = 0, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        up, frame = up + 1, frame.f_back
    return up


def _has_nan(a: Any) -> bool:
    while isinstance(a, Box) and hasattr(a, "_a"):
        a = a._a
    return isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind in "fc" and bool(np.isnan(a).any())
