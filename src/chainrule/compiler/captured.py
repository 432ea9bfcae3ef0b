"""What a capture finds: a program, what each part of the function's result is, and what the function changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..primitive import Primitive
from ..tensor import Tensor
from .program import Program


@dataclass(frozen=True, slots=True)
class Value:
    """An output that the program computes.

    ``leaf``: it asks for gradients of its own.  ``spent``: the node of a history that was swept and freed meanwhile.
    """

    index: int  # among the program's outputs
    leaf: bool = False
    spent: Any = None


@dataclass(frozen=True, slots=True)
class Same:
    """An output that is one of the tensors read."""

    index: int


@dataclass(frozen=True, slots=True)
class Detached:
    """An output with the memory of a tensor read, if ``outside``, or of another output, and cut from its graph.

    ``leaf``: it asks for gradients of its own.  ``counted``: writes to it count as writes to the other.
    """

    index: int  # among the tensors read, or of the Value
    leaf: bool
    outside: bool
    counted: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """An output that is a view of a tensor read, if ``outside``, or of another output: ``chain`` leads from it there.

    ``cut``: how it was cut from its graph before, as Python says it.
    """

    index: int
    chain: tuple[tuple[Primitive, dict[str, Any]], ...]
    outside: bool
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Plain:
    """An output that is no tensor."""

    value: Any


Result = Value | Same | Detached | View | Plain


@dataclass(frozen=True, slots=True)
class Draw:
    """Random numbers: what method ``name`` of a generator gives for ``args``."""

    generator: Any
    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """A Python number that is another in each call: where it is found."""

    expression: str


@dataclass(frozen=True, slots=True)
class Write:
    """A tensor read that was written to: which output it holds then, and how many writes its version counted."""

    tensor: int
    output: int
    versions: int


@dataclass(slots=True)
class Captured:
    """What one run did.

    The first inputs of ``program`` are ``tensors``, which were read, then ``draws``, random numbers and given ones.
    ``results`` say what each leaf of ``out`` is, ``writes`` what the tensors hold at the end, and ``grads`` what their
    ``.grad`` is: a leaf's place in ``results``, or None.  If derivatives may be wanted, the cotangents of the outputs in
    ``differentiable`` are further inputs and those of the tensors in ``wanted`` further outputs, after the first
    ``outputs``.
    """

    tensors: list[Tensor]
    program: Program
    outputs: int
    out: Any
    results: list[Result]
    differentiable: list[int]
    wanted: list[int]
    draws: list[Draw | Given] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    grads: list[tuple[int, Result | None]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)  # identities of tensors whose .grad was looked at
    ordered: bool = False  # whether the layout of the tensors matters: numbers were drawn in order of memory
    conditions: list[str] = field(default_factory=list)  # on given numbers, on which the function branched
    swept: bool = False  # whether gradients were computed within
    # Whether the derivative of the pull-back is not that of its equations: they have values that were cut from the graph, or
    # Functions of the user's own.
    cut: bool = False

    def owners(self) -> set[int]:
        """Identities of tensors that have to be several: the .grad of one is set, those of the others set or looked at."""
        return self.asked | {id(self.tensors[i]) for i, _ in self.grads} if self.grads else set()

    def touched(self) -> set[int]:
        """Identities of tensors whose .grad was set or looked at, as it is where a gradient is added to it, or may have been."""
        swept = {id(t) for t in self.tensors if t._rg} if self.swept else set()
        return self.asked | swept | {id(self.tensors[i]) for i, _ in self.grads}
