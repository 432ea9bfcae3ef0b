"""What is asked of things that a call depends on: what they are, what code mentions, what has changed."""

from __future__ import annotations

import dis
import functools
import pickle
import re
import sys
import types
from collections import defaultdict
from typing import Any

import numpy as np

from ..tensor import Tensor

LITERALS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
LIBRARIES = frozenset(sys.stdlib_module_names | {"chainrule", "numpy"}) - {"__main__"}
# Attributes of modules that no forward reads, and of optimisers what they keep to be quick.
UNSEEN = ("_state_dict", "_load_state_dict", "_non_persistent", "_moves", "_recipes", "_workshop")
DESCRIPTORS = (property, classmethod, staticmethod, types.MemberDescriptorType, types.GetSetDescriptorType)


def slots_of(cls: type) -> list[str]:
    found = cls.__dict__.get("__slots__", ())
    return [n for n in ((found,) if isinstance(found, str) else found) if not n.startswith("__")]


@functools.cache
def names_in(code: types.CodeType) -> tuple[frozenset[str], ...]:
    """The global names and the attribute names that some code, with the functions in it, mentions; the global names it sets."""
    names, attributes, stored = set(), set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif step.opname == "STORE_GLOBAL":
            stored.add(step.argval)
        elif step.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER")):
            attributes.add(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = names_in(constant)
            names |= inner[0]
            attributes |= inner[1]
            stored |= inner[2]
        elif isinstance(constant, str) and constant.isidentifier():
            attributes.add(constant)  # getattr(x, "name")
    return frozenset(names | stored), frozenset(attributes), frozenset(stored)


def is_library(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in LIBRARIES


def is_constant(value: Any) -> bool:
    return isinstance(value, LITERALS) or (type(value) is tuple and all(map(is_constant, value)))


def are_floats(value: Any) -> bool:
    """Whether a value is a float, or a tuple of such."""
    return isinstance(value, float) or (type(value) is tuple and all(isinstance(v, float) for v in value))


def is_keyed_by_tensors(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(k, Tensor) for k in value) if value else type(value) is defaultdict


def title_of(f: Any) -> str:
    return getattr(f, "__qualname__", type(f).__name__)


def binding(e: str, value: str) -> str:
    """The statement that lets an expression be ``value`` again."""
    member = re.fullmatch(r"vars\((\w+)\)\[(.*)\]", e)  # of a class
    return f"setattr({member[1]}, {member[2]}, {value})" if member else f"{e} = {value}"


def same(a: Any, b: np.ndarray[Any, Any]) -> bool:
    return (
        getattr(a, "shape", None) == b.shape
        and getattr(a, "dtype", None) == b.dtype
        and np.array_equal(a, b, equal_nan=b.dtype.kind in "fc")
    )


def moved(space: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """The attributes that are no longer what they were."""
    found = [k for k in {**kept, **space} if k not in kept or k not in space or space[k] is not kept[k]]
    return [
        k for k in found if not (k.startswith(UNSEEN) or (is_constant(kept.get(k, moved)) and kept[k] == space.get(k)))
    ]


def put_back(space: dict[str, Any], kept: dict[str, Any]) -> None:
    """Let them be so again."""
    for k in moved(space, kept):
        if k in kept:
            space[k] = kept[k]
        else:
            del space[k]


def drawn(generator: Any, before: Any, undo: bool = False) -> bool:
    """Whether numbers were drawn from a generator of Python's or NumPy's; with ``undo``, they are drawn again."""
    found = pickle.dumps(generator) != pickle.dumps(before)
    if found and undo:
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = before.bit_generator.state
        elif isinstance(generator, np.random.RandomState):
            generator.set_state(before.get_state())
        else:
            generator.setstate(before.getstate())
    return found


def empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises where there are none
    except ValueError:
        return True
    return False
