"""Families of operations that are imported when one of their names is first used.

Importing all of them with the package would take longer than importing NumPy.  ``families.py`` lists their names.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..tensor import Tensor
from .families import FAMILIES
from .kinds import public

functions = {name: family for family, (names, _) in FAMILIES.items() for name in names.split()}
methods = {name: family for family, (_, names) in FAMILIES.items() for name in names.split()}


class Later:
    """Stands in Tensor for a member whose family is not imported yet; importing that puts the member here."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, t: Any, kind: type[Tensor]) -> Any:
        importlib.import_module(f"{__package__}.{methods[self.name]}")
        return getattr(kind if t is None else t, self.name)


for _name in methods:
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, Later(_name))


def find(name: str) -> Any:
    """The function of this name, its family imported; KeyError if there is none."""
    importlib.import_module(f"{__package__}.{functions[name]}")
    return public[name]


def load_all() -> None:
    """Import every family."""
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.{family}")
