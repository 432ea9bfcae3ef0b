"""``backward`` and ``grad``: what is asked of a sweep, checked, then run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import engine, errors, modes
from .arrays import numpy_
from .arrays.namespace import dtype_of, namespace
from .errors import explained
from .quiet import QUIET, reset_errors, set_errors
from .tensor import Tensor, wrap


def edge_of(t: Any) -> Any:
    """Where the gradient of ``t`` goes: its node, or itself if it is a leaf."""
    return t if t.is_leaf else t._node


def fit(xp: Any, g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """``g`` as the cotangent of an input of this shape and dtype: broadcasting summed away, casts undone."""
    if g.shape != shape:
        extra = len(g.shape) - len(shape)
        axes = tuple(i - len(g.shape) for i in range(len(g.shape))
                     if i < extra or (shape[i - extra] == 1 and g.shape[i] != 1))  # fmt: skip
        if axes:
            g = xp.sum(g, axis=axes, keepdims=True)
        if g.shape != shape:
            g = xp.reshape(g, shape) if extra else xp.broadcast_to(g, shape)
    return g if dtype_of(g) == dtype else xp.astype(g, dtype)


def _roots(outputs: Sequence[Any], grads: Sequence[Any], create_graph: bool) -> list[tuple[Any, Any]]:
    roots = []
    for i, (y, g) in enumerate(zip(outputs, grads, strict=True)):
        if not y._rg or type(y._node) is engine.Nowhere:
            raise explained(RuntimeError(errors.no_grad_fn(i, y)))
        if g is None:
            if y._shape and y.numel() != 1:
                raise explained(RuntimeError(errors.not_scalar(y._shape)))
            g = one(y) if type(y) is Tensor else namespace((y._a,)).ones_like(y._a)
            if create_graph:
                g = y._wrap(g)
        else:
            g = _given(i, y, g, create_graph)
        roots.append((edge_of(y), g))
    return roots


def _given(i: int, y: Any, g: Any, create_graph: bool) -> Any:
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if tuple(g.shape) != tuple(y.shape):
        raise explained(
            RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape of {y.shape}."
                "\nA gradient weighs each element of the output, so the two shapes must be the same."
            )
        )
    if (dtype_of(g).kind == "c") != (y._dtype.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{i}] has a dtype of {g.dtype} and output[{i}] has a dtype of {y.dtype}."
        )
    if create_graph:
        return g
    raw = g._a if g._rank == y._rank else g
    return raw if dtype_of(raw) == y._dtype else namespace((raw,)).astype(raw, y._dtype)


def _sweep(outputs: Sequence[Any], roots: list[tuple[Any, Any]], keep: bool, create_graph: bool) -> engine.Sweep:
    """A sweep over the namespace of the cotangents (a batch of them makes it ours) and of what was computed."""
    arrays = [g for _, g in roots]
    if not create_graph and (len(outputs) > 1 or outputs[0]._rank > 2 or not isinstance(arrays[0], np.generic)):
        arrays += [y._a for y in outputs]
    return engine.Sweep(namespace(arrays), fit, outputs[0]._wrap, keep, create_graph)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of ``tensors`` into ``.grad`` of the leaves (or ``inputs``) they depend on.

    ``grad_tensors`` are the weights of the elements of each tensor, of its shape; None stands for ones and
    is allowed for scalars.  The graph is freed unless ``retain_graph`` (default: ``create_graph``).

    Source: ``torch.autograd.backward``.

    >>> import chainrule as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.backward(x * x)
    >>> x.grad
    tensor(6.)
    """
    outputs = _tuple(tensors)
    if not outputs:
        return
    grads = _grads(outputs, grad_tensors)
    if create_graph:
        warnings.warn(errors.GRAD_CYCLE, UserWarning, stacklevel=3)
    keep = create_graph if retain_graph is None else retain_graph
    wanted_inputs = None
    if inputs is not None:
        wanted_inputs = _tuple(inputs)
        if not wanted_inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _roots(outputs, grads, create_graph)
    sweep = _sweep(outputs, roots, keep, create_graph)
    targets: dict[Any, Any] = {}
    if wanted_inputs is not None:
        targets = {edge_of(t): t for t in wanted_inputs}
        sweep.capture = dict.fromkeys((e for e in targets if e._seq), None)
        sweep.wanted = engine.reachable([e for e, _ in roots], set(targets))
    leaves = _run(sweep, roots, create_graph)
    shared = sweep.shared
    shared.update(id(g) for _, g in roots)
    for node, g in sweep.capture.items():
        if g is not None:
            engine.deposit(targets[node], g, create_graph, shared)
    for leaf, g in leaves.items():
        if wanted_inputs is None or leaf in targets:
            engine.deposit(leaf, _leaf_hooks(leaf, g, create_graph), create_graph, shared)
            if leaf._meta is not None:
                leaf._meta.after_accumulate(leaf)


_F32, _ONE32 = np.dtype("float32"), np.float32(1)


def one(y: Tensor) -> Any:
    """The cotangent that ``backward()`` starts from when none is given; None if ``y`` is not one number."""
    a = y._a
    if type(a) is not np.ndarray:
        return type(a)(1)
    if not a.shape:
        if a.dtype is _F32:
            return _ONE32
        return a.dtype.type(1)
    return np.ones(a.shape, a.dtype) if a.size == 1 else None


def sweep_numbers(edge: Any, g: Any, keep: bool) -> None:
    """The commonest backward by the shortest way: one output over NumPy, numbers only, into every leaf."""
    sweep = engine.Sweep(numpy_, fit, wrap, keep, False)
    leaves = _run_quiet(sweep, ((edge, g),))
    shared = sweep.shared
    shared.add(id(g))
    for leaf, total in leaves.items():
        m = leaf._meta
        if m is None:
            engine.deposit(leaf, total, False, shared)
        else:
            engine.deposit(leaf, _leaf_hooks(leaf, total, False), False, shared)
            m.after_accumulate(leaf)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the weighted sum of ``outputs`` with respect to each of ``inputs``, as a tuple.

    Touches no ``.grad``.  ``create_graph=True`` makes the result differentiable in turn.  An input that the
    outputs do not depend on is an error, or None with ``allow_unused``, or zeros with ``materialize_grads``.

    Source: ``torch.autograd.grad``.

    >>> import chainrule as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (first,) = torch.autograd.grad(x**3, x, create_graph=True)
    >>> torch.autograd.grad(first, x)
    (tensor(18.),)
    """
    if allow_unused is False and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if type(outputs) is Tensor and isinstance(inputs, Tensor) and outputs._rg and inputs._rg and not create_graph:
        if grad_outputs is None and not is_grads_batched and (g := one(outputs)) is not None:
            found_one = _grad_of_one(outputs, inputs, g, bool(retain_graph))
            if found_one is not None:
                return (found_one,)
            if not (allow_unused or materialize_grads):
                raise explained(RuntimeError(errors.unused(0)))
            return (inputs._wrap(np.zeros_like(inputs._a)) if materialize_grads else None,)
    ys, xs = _tuple(outputs), _tuple(inputs)
    if is_grads_batched:
        return _batched(ys, xs, _tuple(grad_outputs), create_graph, allow_unused, materialize_grads)
    roots = _roots(ys, _grads(ys, grad_outputs), create_graph)  # PyTorch looks at the outputs first
    targets = []
    for x in xs:
        if not x._rg:
            raise explained(
                RuntimeError(
                    "One of the differentiated Tensors does not require grad"
                    "\nSay so before it is used: x.requires_grad_(), then compute the output, then ask for its gradient."
                )
            )
        targets.append(edge_of(x))
    keep = create_graph if retain_graph is None else retain_graph
    sweep = _sweep(ys, roots, keep, create_graph)
    captured = {e: None for e in targets if e._seq}
    if captured:
        sweep.capture = captured
    sweep.wanted = engine.reachable([e for e, _ in roots], set(targets))
    leaves = _run(sweep, roots, create_graph)
    found = []
    for i, (x, edge) in enumerate(zip(xs, targets, strict=True)):
        g = sweep.capture[edge] if edge._seq else leaves.get(edge)
        if g is None:
            if materialize_grads:
                g = namespace((x._a,)).zeros_like(x._a)
                found.append(x._wrap(g))
                continue
            if not allow_unused:
                raise explained(RuntimeError(errors.unused(i)))
            found.append(None)
            continue
        if not edge._seq:
            g = _leaf_hooks(x, g, create_graph)
        found.append(g if create_graph or (isinstance(g, engine.Box) and g._rank >= x._rank) else x._wrap(g))
    return tuple(found)


def _grad_of_one(y: Tensor, x: Tensor, g: Any, keep: bool) -> Tensor | None:
    """The commonest gradient by the shortest way: of one number over NumPy with respect to one tensor."""
    root = y if y._node is None else y._node
    target = x if x._node is None else edge_of(x)
    if type(root) is engine.Nowhere:
        raise explained(RuntimeError(errors.no_grad_fn(0, y)))
    sweep = engine.Sweep(numpy_, fit, wrap, keep, False)
    if target._seq:
        sweep.capture = {target: None}
    sweep.wanted = engine.reachable((root,), {target})
    leaves = _run_quiet(sweep, ((root, g),))
    if target._seq:
        g = sweep.capture[target]
        return None if g is None else wrap(g)
    if target not in leaves:
        return None
    found = wrap(leaves[target])
    return found if x._meta is None or not x._meta.hooks else x._meta.run_hooks(found)


def _batched(ys: Any, xs: Any, gs: Any, create_graph: bool, allow_unused: Any, materialize: bool) -> tuple[Any, ...]:
    """``is_grads_batched``: one sweep for many cotangents, stacked along their first dimension."""
    from .func.vmap import vmap

    def one(*each: Any) -> Any:
        return grad(ys, xs, each, True, create_graph, allow_unused=allow_unused, materialize_grads=materialize)

    return tuple(vmap(one)(*gs))


def _leaf_hooks(x: Any, g: Any, create_graph: bool) -> Any:
    if x._meta is None or not x._meta.hooks:
        return g
    g = x._meta.run_hooks(g if create_graph else x._wrap(g))
    return g if create_graph else g._a


def _run(sweep: engine.Sweep, roots: list[tuple[Any, Any]], create_graph: bool) -> dict[Any, Any]:
    """One sweep, recorded under ``create_graph`` whatever the mode here."""
    if not create_graph or modes.current().grad:
        return _run_quiet(sweep, roots)
    with modes.enable_grad():
        return _run_quiet(sweep, roots)


def _run_quiet(sweep: engine.Sweep, roots: Any) -> dict[Any, Any]:
    """One sweep, with NumPy's floating point warnings off, as PyTorch has none."""
    token = set_errors(QUIET)
    try:
        return sweep.run(roots)
    finally:
        reset_errors(token)


def _tuple(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, engine.Box) else tuple(x)


def _grads(outputs: tuple[Any, ...], grads: Any) -> tuple[Any, ...]:
    if grads is None:
        return (None,) * len(outputs)
    found = _tuple(grads)
    if len(found) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(found)} gradients")
    return found
