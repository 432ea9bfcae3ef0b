"""Tensor: an array that remembers where it came from.

This file holds what a tensor *is*: its data, its place in the graph, its gradient.  What can be *done*
with it is declared in ``ops``, one block per operation, and attached to the class from there.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from . import dtypes, engine, errors, transforms
from .arrays.namespace import dtype_of, is_array, is_numpy, namespace
from .engine import Box, Nowhere, Port, RemovableHandle
from .errors import explained
from .methods import TensorMethods
from .modes import current as _mode
from .modes import level as _current_level
from .modes import unusual as _unusual

_new = object.__new__
_level = _current_level.get


class Meta:
    """What few tensors have: being a view, views of their own, hooks, retain_grad."""

    base: Any = None  # the tensor this is a view of, never itself a view
    last: Any = None  # the last step on the way from the base: (the step before, operation, parameters)
    created: str | None = None  # a view made in "no_grad" mode or as one of "several": writes are errors
    number = 0
    seen = 0  # what the version counter said when this view's history was noted
    views: list[weakref.ref[Any]] | None = None
    behind: list[weakref.ref[Any]] = []  # those of them whose history is of the past
    retains = False
    hooks: dict[int, Callable[..., Any]] = {}  # a leaf's, by when they are called: on its cotangent,
    pre: dict[int, Callable[..., Any]] = {}  # before it is accumulated (a hook of the node),
    accumulate_hooks: dict[int, Callable[..., Any]] = {}  # when it has been,
    post: dict[int, Callable[..., Any]] = {}  # and last (of the node)
    accumulator: weakref.ref[Any] | None = None

    def own_hooks(self, kind: str) -> dict[int, Callable[..., Any]]:
        found: dict[int, Callable[..., Any]] = self.__dict__.setdefault(kind, {})
        return found

    @property
    def chain(self) -> tuple[tuple[Any, dict[str, Any]], ...]:
        """How to get here from the base, step by step.  A view of a view adds its own, so none repeats the others'."""
        return steps(self.last)

    def live_views(self) -> list[Any]:
        return [] if self.views is None else [v for ref in self.views if (v := ref()) is not None]

    def all_views(self) -> list[Any]:
        """The views whose history is of the past among them."""
        found = self.live_views() + [v for ref in self.behind if (v := ref()) is not None]
        return list({id(v): v for v in found}.values()) if self.behind else found


def steps(last: Any) -> tuple[tuple[Any, dict[str, Any]], ...]:
    """A way of views from its last step: (the step before, operation, parameters)."""
    found = []
    while last is not None:
        last, prim, params = last
        found.append((prim, params))
    return tuple(reversed(found))


class Inference(list[Any]):
    """The version cell of a tensor made in inference mode.  Nobody counts its writes, so nobody may save it."""

    def __getitem__(self, i: Any) -> Any:
        raise RuntimeError(errors.INFERENCE_SAVED)


def meta(t: Any) -> Meta:
    if t._meta is None:
        t._meta = Meta()
    found: Meta = t._meta
    return found


class Tensor(TensorMethods, Box):
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
        if len(data) == 1 and not isinstance(data[0], int):
            value = data[0]
            if isinstance(value, Tensor):
                self._a, self._v = value._own(), value._cell()
            else:
                from .creation import to_array

                self._a, self._v = to_array(value, dtypes.default_float()), None
        else:
            if not all(isinstance(n, int) for n in data):
                raise TypeError(
                    "new(): Tensor(2, 3) takes sizes and Tensor([2, 3]) takes data; for a number with a "
                    "gradient write torch.tensor(2.0, requires_grad=True)"
                )
            self._a, self._v = np.zeros(data or (0,), dtypes.default_float()), None
        self._rg, self._node, self._grad, self._meta = False, None, None, None

    # --- the array ------------------------------------------------------------------------------

    def _wrap(self, a: Any) -> Tensor:
        """``a`` as a constant tensor of this tensor's level."""
        return wrap(a, self._rank)

    def _own(self) -> Any:
        """The array itself, made one that can be shared: NumPy's 0-d results are immutable scalars."""
        a = self._a
        if isinstance(a, np.generic):
            try:
                self._a = a = np.array(a)
            except MemoryError as e:
                raise errors.no_memory("a number that others are to share", e) from None
        return a

    def _value(self, asked: str) -> Any:
        """What stands for this tensor where numbers are ``asked`` for: by item(), bool() or numpy()."""
        return self._a

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

    @property
    def _dtype(self) -> np.dtype[Any]:
        return dtype_of(self._a)

    @property
    def _shape(self) -> tuple[int, ...]:
        """The shape as a plain tuple; a transform's array may hide axes of what it holds."""
        found: tuple[int, ...] = self._a.shape
        return found

    @property
    def shape(self) -> dtypes.Size:
        return dtypes.Size(self._shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes._BY_NUMPY[dtype_of(self._a)]

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def dim(self) -> int:
        return len(self._shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self._shape[self._dim(dim)]

    def numel(self) -> int:
        return dtypes.Size(self._shape).numel()

    nelement = numel

    def _dim(self, dim: int) -> int:
        """``dim`` as a non-negative index, or PyTorch's error."""
        n = len(self._shape)
        if not -max(n, 1) <= dim < max(n, 1):
            raise IndexError(errors.dim_range(dim, n))
        return dim % max(n, 1)

    def element_size(self) -> int:
        return self._dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self._dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.numel() * self.itemsize

    def stride(self, dim: int | None = None) -> Any:
        strides = tuple(s // self._dtype.itemsize for s in self._a.strides) if is_numpy(self._a) else _dense(self.shape)
        return strides if dim is None else strides[self._dim(dim)]

    def is_contiguous(self) -> bool:
        return not isinstance(self._a, np.ndarray) or self._a.flags.c_contiguous

    def data_ptr(self) -> int:
        return int(self._own().__array_interface__["data"][0])

    def is_floating_point(self) -> bool:
        return self._dtype.kind == "f"

    def is_complex(self) -> bool:
        return self._dtype.kind == "c"

    @property
    def device(self) -> Any:
        from .device import device

        return device("cpu")

    is_cuda = False
    is_sparse = False
    is_quantized = False

    # --- its place in the graph -------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted for this tensor; only leaves may be told so."""
        return self._rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
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
        self._rg = bool(value)
        if self._meta is not None and self._meta.views:
            self._tell_views()

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients of this leaf (in place), and return it."""
        transforms.forbid(transforms.NO_REQUIRES_GRAD)
        if requires_grad and self._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "only Tensors of floating point dtype can require gradients"
                    f"\nThis one is {self.dtype}. Convert it first: x = x.float().requires_grad_()."
                )
            )
        if self.is_leaf or not requires_grad:
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
        return None if node is None or not node._seq else node.public

    @property
    def output_nr(self) -> int:
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
            if value._dtype != self._dtype:
                raise explained(
                    RuntimeError(
                        f"attempting to assign a gradient with dtype '{errors.scalar_type(value._dtype).lower()}' to a "
                        f"tensor with grad_dtype '{errors.scalar_type(self._dtype)}'. The gradient must match the "
                        "tensor's grad_dtype (defaults to the tensor's dtype).\nWrite x.grad = g.to(x.dtype)."
                    )
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def retains_grad(self) -> bool:
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
        if self._is_view():
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
                "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
                "detach_() cannot be called on these gradients."
            )
        self._cell()  # backward looks closer at what has one: a saved value may have lost its history here
        self._node, self._rg = None, False
        if self._meta is not None and self._meta.views:
            self._tell_views()
        return self

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Add this tensor's gradient into ``.grad`` of every leaf it depends on; see ``autograd.backward``."""
        transforms.forbid(transforms.NO_BACKWARD)
        if gradient is None and not create_graph and inputs is None and type(self) is Tensor and self._rg and (
            type(self._node) is not Nowhere and _level() is None
        ):  # fmt: skip
            g = _backward.one(self)
            if g is not None:
                _backward.sweep_numbers(self if self._node is None else self._node, g, bool(retain_graph))
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
            engine.more(self._node).capture = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` when this tensor's gradient is known; it may return another to use instead."""
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        hooks = meta(self).own_hooks("hooks") if self.is_leaf else engine.more(self._node).hooks("tensor")
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

    # --- out to Python and NumPy --------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The same memory as a NumPy array; refused while a gradient is wanted, unless ``force``."""
        if self._rg and not force:
            raise explained(RuntimeError(errors.no_numpy()))
        a = self._own()
        return a if type(a) is np.ndarray and self._rank == 2 else np.asarray(_ground(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        a = self.numpy()
        return np.array(a, dtype, copy=copy)

    def item(self) -> Any:
        """The only element as a Python number."""
        a = _ground(self, "item")
        if self.numel() != 1:
            raise explained(
                RuntimeError(
                    f"a Tensor with {self.numel()} elements cannot be converted to Scalar"
                    "\nReduce it first (x.sum().item()), pick one (x[0].item()), or take all: x.tolist()."
                )
            )
        return a.item() if hasattr(a, "item") else np.asarray(a).item()

    def tolist(self) -> Any:
        return np.asarray(_ground(self)).tolist()

    def __bool__(self) -> bool:
        a = _ground(self, "bool") if self._rank > 2 else None
        n = self.numel()
        if n != 1:
            many = "more than one value" if n else "no values"
            raise explained(
                RuntimeError(
                    f"Boolean value of Tensor with {many} is ambiguous"
                    "\nSay which is meant: (x > 0).all() or (x > 0).any()."
                )
            )
        return bool(self.item() if a is None else a)

    def _scalar(self) -> Any:
        if self._rg:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
                "Consider using tensor.detach() first.",
                UserWarning, stacklevel=3,
            )  # fmt: skip
        return self.item()

    def __float__(self) -> float:
        return float(dtypes.number_as(self._scalar(), dtypes.float64.np))

    def __int__(self) -> int:
        return int(dtypes.number_as(self._scalar(), dtypes.int64.np))

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self._dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return int(self._shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        from .printing import format_tensor

        if transforms.batches(self):  # it stands for many values
            return transforms.show("GradTrackingTensor", self._rank, "", repr(self._a))
        try:
            a = _ground(self)
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
    if rank == 2 and (type(a) is np.ndarray or isinstance(a, np.generic)):
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


def as_tensor_like(value: Any, t: Tensor) -> Tensor:
    """A user's value, beside a tensor, as a tensor."""
    if isinstance(value, Tensor):
        return value
    if is_array(value):
        return wrap(value)
    return wrap(np.asarray(value))


def _ground(a: Any, asked: str = "numpy") -> Any:
    """The plain array at the bottom; for an array that stands for many or for none, an error that says so."""
    while isinstance(a, Box):
        a = a._value(asked) if isinstance(a, Tensor) else _no_value(a)
    return a


def _no_value(a: Any) -> NoReturn:
    raise RuntimeError(
        f"a value was asked of {type(a).__name__}, which stands for many or for none: inside vmap, jvp or compile, "
        "`if`, float(), .item() and print cannot see numbers. Write torch.where(condition, a, b) instead of `if`."
    )


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, n = [], 1
    for length in reversed(shape):
        strides.append(n)
        n *= length
    return tuple(reversed(strides))


from . import backward as _backward  # noqa: E402  at the end: they need Tensor
from . import leaves  # noqa: E402
from .graph import free  # noqa: E402
