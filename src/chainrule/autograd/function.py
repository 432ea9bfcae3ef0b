"""Functions with a derivative of the user's own: PyTorch's ``torch.autograd.function``.

``forward`` and ``backward`` share a ``ctx``, on which the user keeps what he likes.  The graph holds it, and it knows
its place in the graph only weakly: so a graph dies with its last tensor.  A tensor's ``grad_fn`` is its twin, with the
same attributes, that holds the graph.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from .. import errors, modes
from ..errors import explained
from ..node import RemovableHandle
from ..tensor import Tensor, wrap
from . import applied

__all__ = ["BackwardCFunction", "Function", "FunctionCtx", "FunctionMeta", "InplaceFunction", "once_differentiable"]


class FunctionCtx:
    """What ``forward`` says about a call: what to save, what it wrote to, which outputs have no gradient."""

    to_save: Any = None
    saved_for_forward: Any = None
    dirty_tensors: Any = None
    non_differentiable: Any = None
    _materializes = True
    _wrote = False

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``backward``, where ``ctx.saved_tensors`` gives them back, checked for writes since.

        They may be arguments, outputs, or others; but what is computed inside, and is neither, has no gradient
        of its own in a double backward.  Other things than tensors may be plain attributes.
        """
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``jvp``, where ``ctx.saved_tensors`` gives them back."""
        for t in tensors:
            if not (isinstance(t, Tensor) or t is None):
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes "
                    "on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Name the arguments that ``forward`` writes to in place; it must return them."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Name the outputs that have no gradient, such as indices; ``backward`` gets zeros for them."""
        self.non_differentiable = args

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Does nothing any more: shared memory is noticed."""
        warnings.warn(
            "`mark_shared_storage` is deprecated. Tensors with shared storages are automatically tracked. Note that "
            "calls to `set_()` are not tracked", FutureWarning, stacklevel=2,
        )  # fmt: skip

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` and ``jvp`` get zeros (the default) or None where there is no gradient or tangent."""
        self._materializes = value


class BackwardCFunction(FunctionCtx):
    """One call of a :class:`Function`: the ``ctx``, and the ``grad_fn`` of the call's outputs, which is equal to it."""

    __slots__ = ("_holds",)
    _holds: Any
    _forward_cls: Any
    _applied: Any = staticmethod(lambda: None)  # a weak reference to the node
    _saved: tuple[Any, ...] | None = ()
    needs_input_grad: tuple[bool, ...] = ()

    def _with(self, node: Any) -> BackwardCFunction:
        """The twin that holds the node."""
        twin = object.__new__(type(self))
        twin.__dict__, twin._holds = self.__dict__, node
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BackwardCFunction) and other.__dict__ is self.__dict__

    def __hash__(self) -> int:
        return id(self.__dict__)

    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{type(self).__name__} object at {id(self):#x}>"

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved; an error if a value was overwritten since, or the graph freed."""
        if self.saved_for_forward is not None:
            found: tuple[Any, ...] = self.saved_for_forward
            return found
        if self._saved is None:
            raise explained(RuntimeError(errors.freed_graph(self)))
        opened = tuple([None if kept is None else kept.unpack() for kept in self._saved])
        if self._forward_cls.clear_saved_tensors_on_access:
            self._release()
        return opened

    @property
    def _raw_saved_tensors(self) -> tuple[Any, ...]:
        if self._saved is None:
            raise explained(RuntimeError(errors.freed_graph(self)))
        return self._saved

    def _release(self) -> None:
        for kept in self._saved or ():
            if kept is not None:
                kept.release()
        if self._saved:
            self._saved = None

    def apply(self, *grads: Any) -> Any:
        """Run the user's ``backward``, or ``vjp``."""
        cls = self._forward_cls
        backward, vjp = cls.backward, cls.vjp
        if backward is not Function.backward and vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement "
                "one of them."
            )
        rule = backward if vjp is Function.vjp else vjp
        return rule(self, list(grads)) if cls.boxed_grads_call else rule(self, *grads)

    @property
    def _notes(self) -> dict[Any, Any]:
        """What generated rules for vmap remember of this call."""
        found: dict[Any, Any] = self.__dict__.setdefault("_noted", {})
        return found

    @property
    def _node(self) -> Any:
        node = self._applied()
        if node is None:
            raise RuntimeError(
                "This call is no longer, or not yet, part of a graph: none of its outputs is alive. Keep a tensor that "
                "was computed from it."
            )
        return node

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """(node, output number) of each argument that is a tensor."""
        found: tuple[tuple[Any, int], ...] = self._node.next_functions
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """A dictionary for whoever wants to note something about this call; anomaly mode does."""
        found: dict[str, Any] = self._node.metadata
        return found

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after ``backward``; it may return other grad_inputs."""
        found: RemovableHandle = self._node.register_hook(hook)
        return found

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before ``backward``; it may return other grad_outputs."""
        found: RemovableHandle = self._node.register_prehook(hook)
        return found

    def _sequence_nr(self) -> int:
        return int(self._node._seq)


class FunctionMeta(type):
    """Gives each Function the class of its calls, ``<name>Backward``."""

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:
        super().__init__(name, bases, attrs)
        cls._signature: Any = None  # of forward, once it is known
        cls._backward_cls = type(f"{name}Backward", (BackwardCFunction,), {"_forward_cls": cls, "__module__": __name__})


class Function(metaclass=FunctionMeta):
    """An operation whose derivative you write: a class with ``forward`` and ``backward``, used through ``apply``.

    ``forward(ctx, *args)`` computes with plain tensors and saves on ``ctx`` what ``backward(ctx, *grads)`` needs,
    which returns one gradient per argument, of the argument's shape (None for one that is no tensor).  Or
    ``forward(*args)`` is without ``ctx`` and ``setup_context(ctx, inputs, output)`` saves: so written, a Function
    works under every transform of ``func``.  ``jvp(ctx, *tangents)`` gives forward mode; for vmap set
    ``generate_vmap_rule = True``, or write ``vmap(info, in_dims, *args)``.

    Source: ``torch.autograd.Function``.

    >>> import chainrule as torch
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x**2
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x)
    tensor(8., grad_fn=<CubeBackward>)
    >>> torch.autograd.grad(Cube.apply(x), x)
    (tensor(12.),)
    """

    _backward_cls: Any
    generate_vmap_rule = False  # whether forward, backward and jvp may be run on batches, to make a rule for vmap
    clear_saved_tensors_on_access = False  # whether the first look at ctx.saved_tensors lets go of them
    boxed_grads_call = False  # whether backward gets its gradients as one list, from which it may drop them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{self.__class__} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.", DeprecationWarning, stacklevel=2,
        )  # fmt: skip

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise explained(
            RuntimeError(
                "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
                "function with static forward method. (Example: "
                "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
                f"\nWrite {type(self).__name__}.apply(x)."
            )
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The value: ``forward(ctx, *args)``, or ``forward(*args)`` beside a :meth:`setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save on ``ctx`` what the derivative needs, given the arguments and what ``forward`` made of them."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each argument, from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangent of each output, from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """The value for a batch: ``(output, out_dims)``, where ``in_dims`` says which dimension of each is mapped over."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the Function."""
        separate = cls.setup_context is not Function.setup_context
        if separate:
            args, kwargs = _bound(cls, args, kwargs)
        ranks = [a._rank for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        if ranks and max(ranks) > 2:
            from . import lifted  # with what transforms need, which not every program does

            return lifted.apply(cls, max(ranks), args, kwargs, separate)
        return applied.call(cls, 2, args, kwargs, separate)


def _bound(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as ``forward`` names them, with its defaults."""
    if cls._signature is None:
        signature = inspect.signature(cls.forward)
        kinds = {p.kind for p in signature.parameters.values()}
        simple = kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
        cls._signature = signature, len(signature.parameters) if simple else -1
    signature, count = cls._signature
    if len(args) == count and not kwargs:
        return args, kwargs
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


class InplaceFunction(Function):
    """An old name for a :class:`Function` that writes in place."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class Error(Function):
    """What a result passes through that must not be differentiated; its derivative is the complaint."""

    @staticmethod
    def forward(ctx: Any, complaint: str, *tensors: Any) -> Any:
        ctx.complaint = complaint
        return tuple([None if t is None else t.detach() for t in tensors])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise explained(RuntimeError(ctx.complaint))


Error._backward_cls.__name__ = "Error"  # as which a result is shown that must not be differentiated


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A ``backward`` that cannot be differentiated in turn: doing so is an error instead of a wrong number.

    Source: ``torch.autograd.function.once_differentiable``.
    """

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with modes.no_grad():
            outputs = fn(ctx, *args)
        if not modes.current().grad or not any(isinstance(a, Tensor) and a._rg for a in args):
            return outputs
        several = isinstance(outputs, tuple)
        marked = [None if t is None else _asking(t) for t in (outputs if several else (outputs,))]
        found = Error.apply(
            "trying to differentiate twice a function that was marked with @once_differentiable"
            f"\n{ctx.name()} computes its gradient unrecorded. Drop the decorator if its backward consists of tensor "
            "operations.", *marked,
        )  # fmt: skip
        return found if several else found[0]

    return wrapper


def _asking(t: Tensor) -> Tensor:
    fresh = wrap(t._own(), t._rank)
    fresh._rg = True
    return fresh
