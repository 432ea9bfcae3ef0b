"""Rules made wrong on purpose, to see that a test finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def plant(monkeypatch: pytest.MonkeyPatch, node: type[Any], pulls: Sequence[Any]) -> None:
    """Give the nodes of an operation other rules."""
    monkeypatch.setattr(node, "pulls", tuple(pulls))
    if node.place is not None:
        monkeypatch.setattr(node, "alone", staticmethod(pulls[node.place]))
