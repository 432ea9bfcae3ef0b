"""Leaves: where a sweep ends, and gradients are added up in ``.grad``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, errors
from .arrays.namespace import dtype_of, is_numpy, namespace
from .engine import of_many, of_one
from .errors import explained
from .forks import renewed
from .meta import Inference, meta
from .modes import current
from .node import Box, Node, RemovableHandle
from .tensor import wrap

# NumPy drops the GIL inside large additions, so two threads adding into one .grad would lose terms.  Reentrant,
# so that a signal handler with a backward of its own need not wait for the one that it interrupts.
_locks = tuple(threading.RLock() for _ in range(64))
_lock = threading.RLock()  # for those that had no gradient: nothing is added, a name is set
_ndarray = np.ndarray


@renewed
def _unlock() -> None:
    global _locks, _lock
    _locks, _lock = tuple(threading.RLock() for _ in _locks), threading.RLock()


class AccumulateGrad(Node):
    """A leaf's place in the graph, for those who look at it or hang hooks there; edges lead to the leaf itself."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        super().__init__((), (None,), None, None, None)
        self.variable = variable
        self.note(variable._shape, variable._dtype)

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def pull(self, sweep: Any, g: Any, saved: Any) -> tuple[Any, ...]:
        """Add a gradient to the leaf's, when the node is called as a function."""
        deposit(sweep, {self.variable: g})
        return ()

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook((), grad_outputs)`` after the gradient has been added to the leaf's ``.grad``."""
        return RemovableHandle(meta(self.variable).own_hooks("post"), hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before the gradient is added; it may return another."""
        return RemovableHandle(meta(self.variable).own_hooks("pre"), hook)


def deposit(sweep: Any, totals: dict[Any, Any]) -> None:
    """Add to each leaf's ``.grad`` its total.

    What can fail comes first, users' hooks and new memory: after an error every ``.grad`` is as it was.  Then
    leaf after leaf changes in a single step.  A signal in between finds some leaves with the new gradient and
    others with the old, none with a part of it.
    """
    ready: list[tuple[Any, Any, Any, Any]] = []
    hooked: list[tuple[Any, Any]] = []
    targets, recorded = sweep.targets, sweep.recorded
    for leaf, g in totals.items():
        if targets is not None and leaf not in targets:
            continue
        if leaf._meta is not None:
            g = _hooks_before(sweep, leaf, g)
            if g is None:
                continue
            if leaf._rg and not leaf.is_leaf:  # a view that was a leaf of its own, until its base was written to
                raise explained(RuntimeError(errors.MOVED_INSIDE))
            hooked.append((leaf, g))
        if not recorded:
            g = g._a  # without its tangent, as PyTorch
        if leaf._rg:  # it may have been told otherwise since
            old = leaf._grad
            ready.append((leaf, g, old, _replacement(sweep, leaf, g, old)))
    late = []
    with _lock:
        for item in ready:
            leaf, g, old, new = item
            if old is None and leaf._grad is None:
                leaf._grad = new
            else:
                late.append(item)
    for leaf, g, old, new in late:
        with _locks[id(leaf) >> 6 & 63]:
            if leaf._grad is not old:  # another thread, or a hook, was there first
                old = leaf._grad
                new = _replacement(sweep, leaf, g, old)
            if new is not None:
                leaf._grad = new
                continue
            a = old._a
            version = old._v or old._cell()
            version[0] += 1
            if type(a) is _ndarray:
                np.add(a, g, a)
            elif isinstance(a, Box):
                old._hold(old._wrap(a + g))
            else:
                old._a = a + g
    for leaf, g in hooked:
        _hooks_after(sweep, leaf, g)


def collect(sweep: Any, totals: dict[Any, Any]) -> dict[Any, Any]:
    """The cotangents of the sweep's targets, by edge; those of leaves after their hooks."""
    found = dict(sweep.capture)
    for leaf, g in totals.items():
        if leaf in sweep.targets:
            found[leaf] = g if leaf._meta is None else _own_hooks(sweep, leaf, g)
    return found


def _replacement(sweep: Any, leaf: Any, g: Any, old: Any) -> Any:
    """What is to stand in ``leaf.grad`` in the place of ``old``; None if ``g`` is to be added to what ``old`` holds."""
    if sweep.create_graph and sweep.recorded:
        blank = namespace((leaf._a,)).zeros_like(leaf._a, dtype=dtype_of(g._a))
        return leaf._wrap(blank).copy_(g) if old is None else old + g
    if old is None:
        if type(g) is _ndarray:  # in memory that is nobody else's, laid out as the leaf's array is
            a, shared = leaf._a, sweep.shared
            if g.base is not None or id(g) in shared or (g.ndim > 1 and type(a) is _ndarray and g.strides != a.strides):
                own = np.empty_like(a if type(a) is _ndarray else g, g.dtype)
                own[...] = g
                g = own
            shared.add(id(g))
        return wrap(g, leaf._rank)
    if type(old._v) is Inference and not current().inference:
        raise RuntimeError(errors.INFERENCE_WRITE)
    if type(old._v) is Inference or (type(old._a) is _ndarray and not is_numpy(g)):
        return wrap(old._a + g, leaf._rank)
    return None


# --- hooks of leaves ---


def _own_hooks(sweep: Any, leaf: Any, g: Any) -> Any:
    """The leaf's cotangent in the dtype that it is to have, as its own hooks leave it."""
    hooks, said = leaf._meta.hooks, leaf._meta.grad_dtype
    if said is not None and said[0] is not None and said[0] != dtype_of(g):
        g = sweep.take(sweep.show(g, leaf).to(dtypes._BY_NUMPY[said[0]]))
    return sweep.take(of_one(sweep, hooks, sweep.show(g, leaf))) if hooks else g


def _hooks_before(sweep: Any, leaf: Any, g: Any) -> Any:
    g = _own_hooks(sweep, leaf, g)
    if leaf._meta.pre:
        (t,) = of_many(sweep, leaf._meta.pre, (sweep.show(g, leaf),))
        g = None if t is None else sweep.take(t)
    return g


def _hooks_after(sweep: Any, leaf: Any, g: Any) -> None:
    for hook in list(leaf._meta.accumulate_hooks.values()):
        if (found := sweep.ask(hook, leaf)) is not None:
            raise TypeError(f"expected Variable, but hook returned '{type(found).__name__}'")
    if leaf._meta.post:
        of_many(sweep, leaf._meta.post, (), (sweep.show(g, leaf),))


def retain(sweep: Any, t: Any, g: Any) -> None:
    """Add a cotangent to the ``.grad`` of a tensor that is no leaf and asked for it with ``retain_grad()``."""
    g = sweep.show(g, t)
    with _locks[id(t) >> 6 & 63]:
        t._grad = g.clone() if t._grad is None else t._grad + g
