"""Tensor: an array that remembers where it came from.

This file holds what a tensor *is*: its place in the graph, its gradient, its text.  What its array answers
is in ``holder``.  What can be *done* with it is declared in ``ops``, one block per operation, and attached to the
class from there.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, errors, transforms
from .arrays.namespace import is_numpy, namespace
from .errors import explained
from .holder import Holder, ground
from .meta import Inference, meta
from .modes import current as _mode
from .modes import level as _current_level
from .modes import unusual as _unusual
from .node import Nowhere, Port, RemovableHandle, more

_ndarray = np.ndarray
_new = object.__new__
_level = _current_level.get


class Tensor(Holder):
    """An n-dimensional array of one dtype, recorded for differentiation when ``requires_grad``.

    ``Tensor(data)`` always makes float32, as PyTorch's old constructor does; ``chainrule.tensor(data)``
    infers the dtype.

    >>> import chainrule as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (3 * x**2).sum()
    >>> y.backward()
    >>> x.grad
    tensor([ 6., 12.])
    """

    __module__ = "chainrule"  # as its name is printed, and what a pickle asks for

    # _a the array; _rg requires_grad; _node what made it; _v version cell [n, bases that have views], shared
    # with views and detached aliases, None while nobody writes or shares; _meta what few have
    __slots__ = ("__dict__", "__weakref__", "_a", "_grad", "_meta", "_node", "_rg", "_v")
    _a: Any
    _grad: Any
    _meta: Any
    _node: Any
    _rg: bool
    _v: Any
    _rank = 2
    _carry: Any  # what arrays.dual does when a tangent is written; and what only tensors that carry one have
    _lend: Any
    _keep: Any
    __array_priority__ = 1000

    def __init__(self, *data: Any, device: Any = None) -> None:
        value = data[0] if len(data) == 1 else data
        if isinstance(value, Tensor):
            self._a, self._v = value._own(), value._cell()
        else:
            from .from_data import sizes_or_data

            self._a, self._v = sizes_or_data(data, dtypes.default_float()), None
        self._rg, self._node, self._grad, self._meta = False, None, None, None

    # --- the array ---

    def _wrap(self, a: Any) -> Tensor:
        """``a`` as a constant tensor of this tensor's level."""
        return wrap(a, self._rank)

    def _constant(self) -> Tensor:
        """The same memory as a constant of differentiation, at every level."""
        a = self._own()
        inner = a._constant() if isinstance(a, Tensor) else a
        return lower(inner) if self._rank % 2 else wrap(inner, self._rank)

    def _cell(self) -> list[int]:
        if self._v is None:
            self._v = [0]
        found: list[int] = self._v
        return found

    # --- its place in the graph ---

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted for this tensor; only leaves may be told so."""
        return self._rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if type(value) is not bool:
            raise RuntimeError("requires_grad must be a bool")
        if value and self._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "only Tensors of floating point and complex dtype can require gradients"
                    f"\nThis one is {self.dtype}. Convert it first: x = x.float(), or write the numbers as 1.0, 2.0."
                )
            )
        if value and type(self._v) is Inference and not _mode().inference:
            raise explained(RuntimeError(errors.INFERENCE_REQUIRES_GRAD))
        node = node_slot.__get__(self)
        if type(node) is Nowhere:  # a view of what requires grad; it may become a leaf of its own
            if value and type(self) is Tensor:
                self._node = None
            return
        if node is not None and not value:
            raise RuntimeError(errors.NOT_A_LEAF + errors.DETACH_IT)
        if node is not None:
            raise RuntimeError(errors.NOT_A_LEAF)
        self._rg = value
        if self._meta is not None and self._meta.views is not None:
            self._tell_views()

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients of this leaf (in place), and return it."""
        if type(requires_grad) is not bool:
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                f"{type(requires_grad).__name__}"
            )
        transforms.forbid(transforms.NO_REQUIRES_GRAD)
        if requires_grad and self._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "only Tensors of floating point dtype can require gradients"
                    f"\nThis one is {self.dtype}. Convert it first: x = x.float().requires_grad_()."
                )
            )
        node = node_slot.__get__(self)
        if not requires_grad or node is None or type(node) is Nowhere:  # to what has a history this says nothing new
            self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """True for tensors made by the user, not by an operation on tensors that require grad."""
        node = self._node
        return node is None or not node._seq or type(node) is Nowhere  # no number: a leaf that this one stands for

    @property
    def grad_fn(self) -> Any:
        """The node that made this tensor; None for a leaf."""
        node = self._node
        if node is None or not node._seq:
            return None
        node.note(self._shape, self._dtype)
        return node.public

    @property
    def output_nr(self) -> int:
        """Which of its ``grad_fn``'s results it is: 0 for the first."""
        return self._node.number if type(self._node) is Port else 0

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` has accumulated here, or None."""
        node = node_slot.__get__(self)
        if self._grad is None and node is not None and type(node) is not Nowhere and not self.retains_grad:
            warnings.warn(errors.NON_LEAF_GRAD, UserWarning, stacklevel=2)
        found: Tensor | None = self._grad
        return found

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._shape != self._shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                    f"'{list(self.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
            said = None if self._meta is None else self._meta.grad_dtype
            want = self._dtype if said is None else said[0]
            if want is not None and value._dtype != want:
                raise explained(
                    RuntimeError(
                        f"attempting to assign a gradient with dtype '{errors.scalar_type(value._dtype).lower()}' to a "
                        f"tensor with grad_dtype '{errors.scalar_type(want)}'. The gradient must match the tensor's "
                        "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype attribute with a "
                        "specific dtype, or None to allow any dtype. Set grad_dtype with caution. Diverging the dtypes of "
                        "a tensor and its gradient may break downstream systems that assume they match."
                        "\nWrite x.grad = g.to(x.grad_dtype)."
                    )
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def grad_dtype(self) -> dtypes.dtype | None:
        """The dtype of this leaf's gradient: its own, unless another was set; None if any is allowed."""
        if not self.is_leaf:
            raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
        said = None if self._meta is None else self._meta.grad_dtype
        if said is None:
            return self.dtype
        return None if said[0] is None else dtypes._BY_NUMPY[said[0]]

    @grad_dtype.setter
    def grad_dtype(self, value: dtypes.dtype | None) -> None:
        if not (value is None or isinstance(value, dtypes.dtype)):
            raise RuntimeError(f"grad_dtype must be a torch.dtype or None, but got {type(value).__name__}")
        if not self.is_leaf:
            raise RuntimeError("grad_dtype can only be set on leaf tensors.")
        want = None if value is None else value.np
        if want is not None and self._grad is not None and self._grad._dtype != want:
            raise RuntimeError(
                f"Cannot set grad_dtype to '{errors.scalar_type(want)}' because there is already a gradient with dtype "
                f"'{errors.scalar_type(self._grad._dtype).lower()}'. Please clear the gradient (.grad = None) before "
                "changing grad_dtype, or ensure the new grad_dtype matches the existing gradient's dtype."
            )
        meta(self).grad_dtype = (want,)

    @property
    def retains_grad(self) -> bool:
        """Whether :meth:`retain_grad` was called, so that a sweep fills ``grad`` though this is no leaf."""
        return self._meta is not None and self._meta.retains

    @property
    def _version(self) -> int:
        """How often this tensor's memory has been written to; inference tensors do not count."""
        if type(self._v) is Inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self._v is None else self._v[0]

    def is_inference(self) -> bool:
        """Whether this tensor was made in :class:`chainrule.inference_mode`."""
        return type(self._v) is Inference

    @property
    def _base(self) -> Tensor | None:
        return None if self._meta is None else self._meta.base

    def _is_view(self) -> bool:
        return self._base is not None

    @property
    def data(self) -> Tensor:
        """The same memory as a constant; writes through it are not seen by autograd."""
        out = self._constant()
        out._v = Inference([0]) if type(self._v) is Inference else None
        return out

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self._a = value._own()

    def detach(self) -> Tensor:
        """The same memory, cut from the graph; writes to either are checked against backward."""
        out = self._constant()
        out._v = self._cell()
        return out

    def _cut(self) -> Tensor:
        """This tensor without the history it has at its own level."""
        if not self._rg:
            return self
        out = self._wrap(self._own())
        out._v = self._cell()
        return out

    def detach_(self) -> Tensor:
        """Cut this tensor itself off its history: a leaf from now on.  RuntimeError for a view."""
        if self._is_view():
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
                "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
                "detach_() cannot be called on these gradients."
            )
        self._cell()  # backward looks closer at what has one: a saved value may have lost its history here
        self._node, self._rg = None, False
        if self._meta is not None and self._meta.views is not None:
            self._tell_views()
        return self

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Add this tensor's gradient into ``.grad`` of every leaf it depends on; see ``autograd.backward``."""
        if gradient is None and not create_graph and inputs is None and type(self) is Tensor and self._rg and (
            type(self._node) is not Nowhere and _level() is None and not transforms.running()
        ):  # fmt: skip
            g = _backward.one(self)
            if g is not None:
                _backward.sweep_numbers(self, g, bool(retain_graph))
                return
        _backward.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def clear_autograd_grad(self) -> None:
        """Free the graph behind this tensor at once; a later ``backward()`` through it is the freed-graph error."""
        if not self.is_leaf:
            free(self._node)

    def retain_grad(self) -> None:
        """Keep this non-leaf tensor's gradient in its ``.grad`` too."""
        transforms.forbid(transforms.NO_RETAIN_GRAD)
        if not self._rg:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if type(node_slot.__get__(self)) is not Nowhere and not self.is_leaf:
            meta(self).retains = True
            more(self._node).capture = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` when this tensor's gradient is known; it may return another to use instead."""
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        hooks = meta(self).own_hooks("hooks") if self.is_leaf else more(self._node).hooks("tensor")
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(leaf)`` each time a backward has added to this leaf's ``.grad``."""
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if not self.is_leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return RemovableHandle(meta(self).own_hooks("accumulate_hooks"), hook)

    def _accumulator(self) -> Any:
        """The node at which this leaf's gradient arrives, the same as long as somebody holds it."""
        m = meta(self)
        found = m.accumulator and m.accumulator()
        if found is None:
            found = leaves.AccumulateGrad(self)
            m.accumulator = weakref.ref(found)
        return found

    def _retain(self, sweep: Any, g: Any) -> None:
        """Add a cotangent, known now, to the ``.grad`` of a tensor that asked for it."""
        leaves.retain(sweep, self, g)

    # --- as text, and in a file ---

    def __repr__(self) -> str:
        from .printing import format_tensor

        if transforms.batches(self):  # it stands for many values
            return transforms.show("GradTrackingTensor", self._rank, "", repr(self._a))
        try:
            a = ground(self)
        except RuntimeError:  # it stands for none yet: shown for one who prints while looking for a mistake
            return f"{type(self).__name__}(shape={list(self.shape)}, of {self._a!r})"
        try:
            node = self.grad_fn
            name = None if node is None else node.name().rpartition("::")[2]
        except RuntimeError:  # a view whose history cannot be rebuilt
            name = "Invalid"
        xp = namespace((a,))
        lazy = getattr(xp, "lazy", False)
        text = format_tensor(
            a if lazy else np.asarray(a),
            default_dtype_name=dtypes.get_default_dtype().name,
            requires_grad=self._rg and name is None,
            grad_fn_name=name,
            tangent=self._tangent_text(),
            lazy=lazy,
        )
        return text if is_numpy(self._a) else f"{xp.name}: {text}"

    def _tangent_text(self) -> str | None:
        return None

    def __format__(self, spec: str) -> str:
        if not self._shape and (spec or type(self) is Tensor):
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self._own(), self._rg, self.__dict__)


node_slot: Any = Tensor.__dict__["_node"]  # the history as it is noted, up to date or not


class Lifted(Tensor):
    """A Tensor over something other than a NumPy array: another library's array, a trace, a transform's array.

    Its rank, like what transforms' arrays hold besides ``_a``, is in ``__dict__``: so all Tensors have one
    layout, and a plain tensor that is written to with a transform's value can become one of its kind.
    """

    __slots__ = ()


def _rebuild(cls: type[Tensor], a: Any, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    t: Tensor = init(_new(cls), a, requires_grad)
    t.__dict__.update(attributes)
    return t


def init(t: Any, a: Any, requires_grad: bool = False) -> Any:
    t._a, t._rg, t._node, t._grad, t._v, t._meta = a, requires_grad, None, None, None, None
    if _unusual and _mode().inference:
        t._v = Inference([0])
    return t


def wrap(a: Any, rank: int = 2) -> Tensor:
    """``a`` as a constant Tensor of the given rank."""
    if rank == 2 and (type(a) is _ndarray or isinstance(a, np.generic)):
        t = _new(Tensor)
        t._a = a
        t._rg = False
        t._node = t._grad = t._v = t._meta = None
        if _unusual and _mode().inference:
            t._v = Inference([0])
        return t
    t = init(_new(Lifted), a)
    t._rank = rank
    return t  # type: ignore[no-any-return]


def lower(a: Any) -> Tensor:
    """What a transform's array held, as the Tensor it was outside."""
    return a if isinstance(a, Tensor) else wrap(a)


from . import backward as _backward  # noqa: E402  at the end: they need Tensor
from . import leaves  # noqa: E402
from .graph import free  # noqa: E402
