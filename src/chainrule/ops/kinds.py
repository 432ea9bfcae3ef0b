"""From a declaration to what users call: functions, methods, in-place forms and operators.

``public`` collects the functions under PyTorch's names; ``chainrule`` exports them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .. import errors
from ..lanes import binary_lane, general, unary_lane
from ..primitive import Elementwise
from ..tensor import Tensor
from ..writes import compute_into

public: dict[str, Callable[..., Tensor]] = {}  # few give anything else


class Unary(Protocol):
    """A function of one tensor."""

    def __call__(self, input: Tensor, *, out: Tensor | None = None) -> Tensor: ...


class Binary(Protocol):
    """A function of two tensors, or of a tensor and a number."""

    def __call__(self, input: Tensor | float, other: Tensor | float, *, out: Tensor | None = None) -> Tensor: ...


def attach(**members: Any) -> None:
    """Make functions, or properties, members of Tensor."""
    for name, member in members.items():
        setattr(Tensor, name, member)


def _dress(function: Any, name: str, doc: str | None, shapes: str) -> Any:
    function.__name__ = function.__qualname__ = name.rpartition(".")[2]
    function.__doc__ = "\n\n    ".join(filter(None, (doc, shapes, f"Source: ``torch.{name}``.\n    ")))
    function.__module__ = "chainrule"
    return function


def export(name: str, function: Any, *, method: bool = True, in_place: bool = False) -> Any:
    """Make ``function`` public under ``name``; as a Tensor method too, and as ``name_`` that writes into self.

    A name with a dot is that of a function in a namespace such as ``special``, which imports it.
    """
    if "." in name:
        return function
    public[name] = function
    if method:
        setattr(Tensor, name, function)
    if in_place:
        write = in_place_of(function, name)
        setattr(Tensor, f"{name}_", write)
    return function


def export_all(*functions: Any, method: bool = True) -> None:
    """:func:`export` each under its own name."""
    for function in functions:
        export(function.__name__, function, method=method)


def in_place_of(function: Callable[..., Tensor], name: str) -> Any:
    """``function`` as a method that makes its first argument hold the result."""

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return compute_into(self, function, args, kwargs)

    return _dress(
        write, f"Tensor.{name}_", f"In-place ``{name}``: writes the result into this tensor and returns it.", ""
    )


def no_kernel(name: str) -> NotImplementedError:
    """PyTorch's error where its CPU kernel ``name`` takes no complex numbers: a primitive's ``real_only``."""
    return NotImplementedError(f"\"{name}\" not implemented for '{{}}'")


def only_floats(kernel: str, *tensors: Tensor) -> None:
    """PyTorch's error unless all are real floats, for an operation that has no other kernel."""
    for x in tensors:
        if x._dtype.kind != "f":
            raise errors.not_of_complex(no_kernel(kernel), x._dtype)


def _named(cls: type[Elementwise], name: str | None) -> str:
    """The name to make an operation public under, which errors then call it by."""
    name = name or errors.snake_case(cls.__name__)
    errors.exported.setdefault(cls.__name__, name.replace(".", "_"))
    return name


def unary(cls: type[Elementwise], name: str | None = None, *, in_place: bool = True, operator: str = "") -> Unary:
    """Declare a function of one tensor: ``name(x)``, ``x.name()``, ``x.name_()``."""
    name = _named(cls, name)
    prim = cls()
    lane: Unary = _dress(unary_lane(prim), name, cls.__doc__, "``input`` has any shape; so has the result.")
    export(name, lane, in_place=in_place)
    if operator:
        attach(**{operator: lane})
    return lane


def binary(cls: type[Elementwise], fn: Any = None, name: str | None = None, operators: tuple[str, ...] = ()) -> Binary:
    """Declare a function of two broadcast arguments, with the Python operators it answers to."""
    name = _named(cls, name)
    prim = cls()
    lane: Binary = _dress(
        binary_lane(prim, fn)[0], name, cls.__doc__,
        "``input`` and ``other`` broadcast; one of them may be a Python number.",
    )  # fmt: skip
    export(name, lane, in_place=True)
    if operators:
        straight, swapped = binary_lane(prim, fn, method=True)
        attach(**{operators[0]: straight})
        if len(operators) > 1:
            augmented = operators[0].replace("__", "__i", 1)
            attach(**{operators[1]: straight if prim.commutes else swapped, augmented: _augmented(straight)})
    return lane


def _augmented(function: Any) -> Any:
    def write(self: Tensor, other: Any) -> Any:
        return compute_into(self, function, (other,), {})

    return write


__all__ = ["Binary", "Unary", "binary", "export", "general", "in_place_of", "public", "unary"]
