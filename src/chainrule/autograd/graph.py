"""The graph itself: its nodes, edges and saved values.  PyTorch's ``torch.autograd.graph``."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from .. import engine, modes
from .. import node as _node
from ..backward import edge_of
from ..graph import GradientEdge, visited
from ..meta import Inference
from ..modes import Setting, current
from ..node import RemovableHandle
from ..tensor import Tensor
from .function import BackwardCFunction

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
    "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class Node(ABC):
    """What a tensor's ``grad_fn`` is, whatever made it: for ``isinstance``.

    Source: ``torch.autograd.graph.Node``.

    >>> import chainrule as torch
    >>> y = torch.ones(2, requires_grad=True).exp()
    >>> isinstance(y.grad_fn, torch.autograd.graph.Node), y.grad_fn.name()
    (True, 'ExpBackward0')
    """

    @abstractmethod
    def name(self) -> str:
        """What made it."""


Node.register(_node.Node)
Node.register(BackwardCFunction)


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of ``tensor`` goes.

    Source: ``torch.autograd.graph.get_gradient_edge``.

    >>> import chainrule as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, torch.autograd.graph.get_gradient_edge(x))
    (tensor(6.),)
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    edge = edge_of(tensor)
    if not edge._seq:
        return GradientEdge(edge._accumulator(), 0)
    node = edge.public
    return GradientEdge(node, tensor.output_nr, None if node is edge else edge)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Note that memory was written to in a way that cannot be noticed: through NumPy, say.

    What had saved a tensor there then refuses to use it.

    Source: ``torch.autograd.graph.increment_version``.
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        cell = t._cell()
        if type(cell) is not Inference:
            cell[0] += 1


# --- hooks on what is saved ---


class saved_tensors_hooks(Setting):
    """Have each tensor that an operation saves for backward packed, and unpacked when it is needed.

    ``pack_hook(tensor)`` may return anything, which is kept in the tensor's place; ``unpack_hook`` gets it and
    returns a tensor with the same numbers.  Of nested pairs only the innermost is called.  A pack hook must not
    write to its tensor, and should not return the tensor itself, which may hold the graph that holds it; return
    ``tensor.detach()``.

    Source: ``torch.autograd.graph.saved_tensors_hooks``.

    >>> import chainrule as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), torch.tensor):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        for name, hook in (("pack_hook", pack_hook), ("unpack_hook", unpack_hook)):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks: {name} must be a function, not {type(hook).__name__}")
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        super().__init__(hooks=(pack_hook, unpack_hook))

    def __enter__(self) -> None:
        refusal = current().refusal
        if refusal is not None:
            raise RuntimeError(refusal)
        super().__enter__()


class save_on_cpu(saved_tensors_hooks):
    """Keep what is saved in the CPU's memory, and bring it back when it is needed.

    All tensors are there already, so nothing is moved; with ``pin_memory`` each is copied.

    Source: ``torch.autograd.graph.save_on_cpu``.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> tuple[Any, Tensor]:
            kept = tensor.detach().cpu()
            return tensor.device, kept.clone() if pin_memory else kept

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            device, kept = packed
            return kept.to(device)

        super().__init__(pack, unpack)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Refuse hooks on saved tensors inside: to enter :class:`saved_tensors_hooks` is an error with this message.

    Source: ``torch.autograd.graph.disable_saved_tensors_hooks``.
    """
    if current().hooks is not None:
        raise RuntimeError(error_message)
    with Setting(refusal=error_message):
        yield


# --- hooks on several gradients ---


class _Handles:
    """What registering a hook on several tensors returns."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[[Any], None], *, mode: Literal["all", "any"] = "all"
) -> _Handles:
    """Call ``fn`` once in each backward that computes gradients of some of ``tensors``.

    With ``mode`` "all" (the default) it is called when all that this backward will compute are there, with a
    list of one gradient, or None, for each tensor; with "any", when the first is there, with that gradient.

    Source: ``torch.autograd.graph.register_multi_grad_hook``.

    >>> import chainrule as torch
    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    >>> def show(grads):
    ...     print([g is not None for g in grads])
    >>> handle = torch.autograd.graph.register_multi_grad_hook((a, b), show)
    >>> (a * b).sum().backward()
    [True, True]
    >>> a.sum().backward()
    [True, False]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    sweeps: MutableMapping[Any, list[Any]] = weakref.WeakKeyDictionary()  # for each, what has come, and how many will
    if mode == "any":

        def first(g: Tensor) -> None:
            sweep = engine.running.get()
            if sweep not in sweeps:
                sweeps[sweep] = []
                fn(g)

        return _Handles([t.register_hook(first) for t in tensors if t.requires_grad])
    if not all(t.requires_grad for t in tensors):
        raise AssertionError("Expected gradient function to be set")

    def watch(i: int) -> Callable[[Tensor], None]:
        def arrived(g: Tensor) -> None:
            sweep: Any = engine.running.get()
            if sweep not in sweeps:
                edges = [edge_of(t) for t in tensors]
                come = visited(sweep, set(edges))
                sweeps[sweep] = [[None] * len(tensors), sum(e in come for e in edges)]
            found = sweeps[sweep]
            found[0][i], found[1] = g, found[1] - 1
            if not found[1]:
                fn(found[0])

        return arrived

    return _Handles([t.register_hook(watch(i)) for i, t in enumerate(tensors)])


# --- writing to what is saved ---


class _Handle:
    """Stands in the graph for a saved tensor that may be written to."""

    __slots__ = ("__weakref__",)


class _Saved:
    """The saved tensors under :func:`allow_mutation_on_saved_tensors`: as they are, or copies made before a write."""

    def __init__(self) -> None:
        self.original: MutableMapping[_Handle, Tensor] = weakref.WeakKeyDictionary()
        self.cloned: MutableMapping[_Handle, Tensor] = weakref.WeakKeyDictionary()
        self.open = True

    def pack(self, tensor: Tensor) -> _Handle:
        handle = _Handle()
        self.original[handle] = tensor.detach()  # an alias with the same version cell, but not the graph
        return handle

    def unpack(self, handle: _Handle) -> Tensor:
        if not self.open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
                "in which the graph was originally recorded."
            )
        return self.cloned[handle] if handle in self.cloned else self.original[handle]

    def before_write(self, tensor: Tensor) -> None:
        """Copy what is saved in the memory that is about to be written to."""
        for handle, kept in list(self.original.items()):
            if kept._v is not None and kept._v is tensor._v:
                self.cloned[handle] = kept.clone()
                del self.original[handle]

    def clear(self) -> None:
        self.original.clear()
        self.cloned.clear()


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Saved]:
    """Let tensors that are saved for backward be written to: they are copied first.

    The backward belongs inside, too.

    Source: ``torch.autograd.graph.allow_mutation_on_saved_tensors``.

    >>> import chainrule as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     z = (y**2).sum()
    ...     _ = y.sin_()
    ...     z.backward()
    >>> x.grad
    tensor([2., 4.])
    """
    if current().before_write is not None:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    saved = _Saved()
    with saved_tensors_hooks(saved.pack, saved.unpack), modes.Setting(before_write=saved.before_write):
        try:
            yield saved
        finally:
            saved.open = False
            saved.clear()
