"""What a node saved, as others see it: packed by a user's hooks, or read under PyTorch's names."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import errors, modes
from .errors import explained
from .modes import Hooks
from .node import Box, Node, check_versions, more
from .saved_parameters import HIDDEN, PARAMETERS, input_metadata
from .tensor import Tensor, wrap

# --- values that hooks hold ---


class Held:
    """One saved value in a hook's hands.  What comes back gets the history that was saved, if it has one.

    ``edge`` is where the gradient of an input goes.  An output's is the node that saved it, which must not
    be kept here, or the graph would hold itself.
    """

    __slots__ = ("edge", "number", "packed", "rank", "shape", "slot", "unpack")

    def __init__(self, value: Any, hooks: Hooks, shown: Tensor, edge: Any = None) -> None:
        pack, self.unpack = hooks
        self.number = not isinstance(value, Box) and not hasattr(value, "shape")  # a Python number stays one
        self.rank, self.shape, self.edge = shown._rank, shown._shape, edge
        self.slot = shown._keep() if shown._first else None  # the tangent is not handed out
        version = 0 if shown._v is None else shown._v[0]
        with modes.no_grad():
            self.packed = pack(shown)
        if shown._v is not None and shown._v[0] != version:
            raise RuntimeError(errors.PACK_WRITES)

    def open(self) -> Tensor:
        """The value as a Tensor, an input's with its history."""
        t = self.unpack(self.packed)
        if not isinstance(t, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        if t._shape != self.shape:
            raise explained(RuntimeError(errors.size_mismatch(self.shape, t._shape)))
        out = wrap(t._own() if t._rank == self.rank else t, self.rank)
        if self.slot is not None:
            self.slot.lend(out)
        if self.edge is not None:
            out._rg, out._node = True, self.edge  # a leaf's edge is the leaf: this tensor stands for it
        return out

    def raw(self) -> Any:
        """What stands for the value in a rule."""
        a = self.open()._a
        return a.item() if self.number else a


class Packed:
    """A node's saved values where hooks hold some of them."""

    __slots__ = ("values",)

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def open(self, node: Node, create_graph: bool) -> tuple[Any, ...]:
        """``node.saved`` as it was; under ``create_graph`` the inputs that hooks held are Tensors."""
        found = list(self.values)
        for place in in_order(node):
            held = found[place]
            if type(held) is Held:
                found[place] = held.open() if create_graph and place and not held.number else held.raw()
        return tuple(found)


def edge(t: Tensor) -> Any:
    """Where the gradient of a tensor goes; None if it wants none."""
    return None if not t._rg else t if t._node is None else t._node


def pack(node: Node, hooks: Hooks, out: Any) -> None:
    """Give the tensors that ``node``, which made ``out``, has saved to the hooks."""
    tensors = node.tensors
    if tensors is None:
        return
    values = list(node.saved)
    for place in in_order(node):
        if place == 0 and values[0] is not None:
            values[0] = Held(values[0], hooks, out)
        elif place and tensors and (t := tensors[place - 1]) is not None:
            values[place] = Held(values[place], hooks, t, edge(t))
    _repack(node, values, (None,) * len(tensors))


def _repack(node: Node, values: list[Any], tensors: tuple[Any, ...]) -> None:
    extra = more(node)
    extra.packed = Packed(values)
    node.saved, node.tensors = None, tensors
    if type(values[0]) is Held:
        extra.cell = None


class SavedTensor:
    """One value that a node saved.  ``grad_fn._raw_saved_self``, and the like, give it."""

    def __init__(self, node: Node, place: int) -> None:
        self._node, self._place = node, place

    def _values(self, complaint: str) -> Any:
        node = self._node
        packed = None if node.extra is None else node.extra.packed
        values = node.saved if packed is None else packed.values
        if values is None or (node.tensors is None and node.prim is not None):
            raise explained(RuntimeError(complaint))
        return values

    def unpack(self) -> Any:
        """The value as a Tensor with its history; None if it was not needed."""
        node, place = self._node, self._place
        value = self._values(errors.freed_graph(node))[place]
        if value is None:
            return None
        if type(value) is Held:
            opened = value.open()
            return opened if place else node.prim.restore(node, opened._a)
        if place == 0:
            return node.prim.restore(node, value)
        t = node.tensors[place - 1] if node.tensors else None
        if t is None:
            return wrap(np.asarray(value)) if not isinstance(value, Tensor) else value
        check_versions(node)
        return t

    def register_hooks(self, pack_hook: Any, unpack_hook: Any) -> None:
        """Give this one value to a pair of hooks, once; see :class:`chainrule.autograd.graph.saved_tensors_hooks`."""
        node, place = self._node, self._place
        values = list(self._values(errors.FREED_FOR_HOOKS))
        value = values[place]
        if value is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        if type(value) is Held:
            raise RuntimeError(errors.HOOKED_TWICE)
        tensors = list(node.tensors)
        t = tensors[place - 1] if place and tensors else None
        shown = t.detach() if t is not None else wrap(value if hasattr(value, "shape") else np.asarray(value))
        values[place] = Held(value, (pack_hook, unpack_hook), shown, None if t is None else edge(t))
        if t is not None:
            tensors[place - 1] = None
        _repack(node, values, tuple(tensors))

    @property
    def data(self) -> Any:
        """The value without its history."""
        return None if (t := self.unpack()) is None else t.detach()

    def __eq__(self, other: object) -> bool:
        return type(other) is SavedTensor and other._node is self._node and other._place == self._place

    def __hash__(self) -> int:
        return hash((id(self._node), self._place))


class Kept:
    """A tensor that is saved by itself, by a user's Function or a checkpoint: checked for writes, or in a hook's hands.

    ``owner`` is a weak reference to the node that saves; ``number`` says which of its outputs the tensor is, if
    it is one, whose history must not be kept here, or the graph would hold itself.
    """

    __slots__ = ("_held", "_number", "_owner", "_required", "_tensor", "_version")

    def __init__(self, t: Tensor, owner: Any = None, number: int | None = None) -> None:
        self._owner, self._number = owner, number
        self._tensor: Tensor | None = None
        self._held: Held | None = None
        hooks = modes.current().hooks
        if hooks is not None:
            self._held = Held(t, hooks, t, edge(t) if number is None else None)
            return
        if number is None:
            self._tensor, self._required = t, t._rg
        else:
            self._tensor, self._required = wrap(t._a, t._rank), False
            self._tensor._v = t._cell()
        self._version = 0 if t._v is None else t._v[0]

    def unpack(self) -> Tensor:
        """The tensor, with its history."""
        node = None if self._owner is None else self._owner()
        t = self._tensor
        if self._held is not None:
            t = self._held.open()
        elif t is None:
            raise explained(RuntimeError(errors.freed_graph(node)))
        else:
            now = 0 if t._v is None else t._v[0]
            if self._required and not t._rg:
                raise RuntimeError(errors.DETACHED)
            if now != self._version:
                raise explained(RuntimeError(errors.modified_in_place(node, t, now, self._version)))
        if self._number is None:
            return t
        out = wrap(t._a, t._rank)
        out._v = t._v
        if node is not None:
            out._node, out._rg = node.edge_to(self._number), True
        if t._first:
            t._lend(out)
        return out

    def with_tangents(self, of: dict[int, Tensor], outputs: Any) -> None:
        """Keep a tensor's tangent too: ``of`` has, by id, those that carry one for those that were saved without."""
        t = self._tensor
        if t is not None and self._number is None:
            self._tensor = of.get(id(t), t)
        elif t is not None and (out := outputs[self._number])._first:
            out._lend(t)

    def register_hooks(self, pack_hook: Any, unpack_hook: Any) -> None:
        """Give the tensor to a pair of hooks, once."""
        t = self._tensor
        if self._held is not None:
            raise RuntimeError(errors.HOOKED_TWICE)
        if t is None:
            raise RuntimeError(errors.FREED_FOR_HOOKS)
        self._held = Held(t, (pack_hook, unpack_hook), t.detach(), edge(t))
        self._tensor = None

    @property
    def data(self) -> Tensor:
        """The tensor without its history."""
        return self.unpack().detach()

    def release(self) -> None:
        """Let go of the tensor."""
        self._tensor = self._held = None


# --- PyTorch's names ---

# What a declaration calls its arguments, and PyTorch its saved tensors.  By the name of the node, without
# ``Backward`` and number, where it is not as everywhere.
NAMES: dict[str, dict[str, str]] = {
    "": {"x": "self", "y": "other", "out": "result", "c": "condition", "x_shape": "self_sym_sizes"},
    "Pow": {"y": "exponent"},
    "Mm": {"y": "mat2"},
    "Bmm": {"y": "mat2"},
    "Mv": {"y": "vec"},
    "Dot": {"y": "tensor"},
    "Addmm": {"x": "mat1", "w": "mat2"},
    "MseLoss": {"y": "target"},
    "NllLoss": {"logp": "self"},
    "BinaryCrossEntropy": {"y": "target"},
    "SmoothL1Loss": {"y": "target"},
    "HuberLoss": {"y": "target"},
    "Addcmul": {"y": "tensor1", "z": "tensor2"},
    "Addcdiv": {"y": "tensor1", "z": "tensor2"},
    "Cdist": {"x": "x1", "y": "x2"},
    "MaskedFill": {"c": "mask"},
    "Convolution": {"x": "input", "w": "weight"},
    "NativeLayerNorm": {"x": "input"},
    "NativeBatchNorm": {"x": "input"},
    "LinalgMatrixExp": {"a": "self"},
    "LinalgPinv": {"a": "self"},
    "LinalgSolveTriangular": {"a": "self"},
    "LinalgDet": {"a": "A"},
    "LinalgSlogdet": {"a": "A"},
    "LinalgSolveEx": {"a": "A"},
    "LinalgCholeskyEx": {"out": "L"},
    "LinalgInvEx": {"out": "inverse"},
    "LinalgLuFactorEx": {"out": "LU"},
    "MaxUnpool2D": {"at": "indices"},
    "MaxUnpool3D": {"at": "indices"},
    "Embedding": {"index": "indices"},
    "IndexReduce": {"src": "source"},
    "BinaryCrossEntropyWithLogits": {"y": "target", "yes": "pos_weight"},
    "GridSampler2D": {"x": "input"},
    "GridSampler3D": {"x": "input"},
    "CtcLoss": {"x": "log_probs"},
    "Lerp": {"y": "end"},
}
_NUMBERS = {"Pow": ("y",), "Lerp": ("weight",)}  # saved Python numbers that PyTorch shows as numbers
_WITHOUT = ("weight", "yes")  # what is 1 where PyTorch has None

# The arguments for which PyTorch's node has an edge, in its order, where these are not all that have a derivative.
# An operation of a tensor and a number has an edge for the number, unless PyTorch has a separate one for that case.
EDGES: dict[str, tuple[int, ...]] = {
    "PowBackward0": (0,),
    "PowBackward2": (1,),
    "RsubBackward1": (1,),
    "RemainderBackward0": (0,),
    "FmodBackward0": (0,),
    "FillBackward2": (0,),
    "ZeroBackward0": (0,),
    "AddmmBackward0": (2, 0, 1),
    "CopysignBackward1": (0,),
    "XlogyBackward1": (1,),
    "XlogyBackward2": (0,),
    "MaskedFillBackward0": (2,),
    "MaskedFillBackward1": (2, 1),
}
# Parameters that PyTorch's nodes show too, under these names.
_SHOWN = ("alpha", "beta", "delta", "lambd", "max", "min", "negative_slope", "threshold")


def names(node: Node) -> dict[str, Any]:
    """PyTorch's name of each thing that a node of this kind may save, and its place in ``saved``, or parameter."""
    prim = node.prim
    if prim is None or prim.variadic:
        return {}
    special = NAMES.get(node.name().partition("Backward")[0], {})
    places = EDGES.get(node.name(), range(len(prim.args)))
    wanted = frozenset().union(*[prim.needs[i] for i in places])
    found: dict[str, Any] = {}
    for place, arg in enumerate(("out", *prim.args)):
        if arg in wanted:
            found[special.get(arg) or NAMES[""].get(arg, arg)] = place
    for arg in prim.args:
        if f"{arg}_shape" in wanted:
            found[NAMES[""].get(f"{arg}_shape", f"{arg}_sym_sizes")] = f"{arg}_shape"
    return found | {name: name for name in _SHOWN if name in prim.params}


def in_order(node: Node) -> list[int]:
    """The places of what is saved in PyTorch's order: inputs by name, then the output."""
    places = [(place == 0, name, place) for name, place in names(node).items() if isinstance(place, int)]
    return [place for _, _, place in sorted(places)]


def _public(self: Node) -> Node:
    """The node as a user is shown it: its class now has PyTorch's names of what is saved.

    They are not looked up by ``__getattr__``: a class that has it is slower at every attribute, in every sweep.
    """
    cls: Any = type(self)
    if not cls.__dict__.get("_named"):
        if self.prim is not None and not self.prim.variadic:
            with_rule = tuple([i for i, rule in enumerate(self.prim.pulls) if rule is not None])
            cls.shown = EDGES.get(self.name(), with_rule)
        hidden = HIDDEN.get(self.name().partition("Backward")[0], ())
        for name, place in names(self).items():
            if name in hidden:
                continue
            if isinstance(place, int):
                setattr(cls, f"_raw_saved_{name}", property(_of(self, partial(SavedTensor, place=place))))
            setattr(cls, f"_saved_{name}", property(_of(self, partial(_saved, place=place))))
        for name, shown in PARAMETERS.get(self.name(), {}).items():
            if name not in ("alpha", "negative_slope") or not hasattr(cls, f"_saved_{name}"):
                setattr(cls, f"_saved_{name}", property(_of(self, shown)))
        cls._named = True
    return self


def _of(node: Node, shown: Any) -> Any:
    """``shown`` for such a node.  One that only looks like another operation, whose last step it is, saved other things."""
    kind = node.name().partition("Backward")[0].lower()

    def found(self: Node) -> Any:
        mine = self.name().partition("Backward")[0].lower()
        if mine == kind or self.prim is None or (kind != "add" and (kind in mine or mine in kind)):
            return shown(self)
        raise AttributeError(f"{self.name()} has saved nothing of this name")

    return found


def _saved(self: Node, place: int | str) -> Any:
    if isinstance(place, str):
        return None if self.params is None else self.params.get(place)
    found = SavedTensor(self, place).unpack()
    number = self.prim.args[place - 1] in _NUMBERS.get(self.name().partition("Backward")[0], ()) if place else 0
    if place and self.tensors and self.tensors[place - 1] is None:
        return found.item() if number else None if self.prim.args[place - 1] in _WITHOUT else found
    return found


setattr(Node, "_input_metadata", property(input_metadata))  # noqa: B010
setattr(Node, "public", property(_public))  # noqa: B010  the engine knows neither Tensors nor names
