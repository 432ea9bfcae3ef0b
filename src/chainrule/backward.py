"""``backward`` and ``grad``: what is asked of a sweep, checked, then run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import engine, errors, transforms
from .anomaly import Watch, tracers
from .arrays import numpy_
from .arrays.namespace import dtype_of, namespace
from .errors import explained
from .graph import GradientEdge, inner_edge, reachable
from .leaves import collect, deposit
from .modes import OFF, ON, current, enter, level
from .node import Box, Node, Nowhere, Several, check_versions
from .quiet import quietly, reset_errors
from .tensor import Tensor, wrap


def edge_of(t: Any) -> Any:
    """Where the gradient of ``t`` goes: its node, or itself if it is a leaf."""
    return t if t.is_leaf else t._node


def fit(xp: Any, g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """``g`` as the cotangent of an input of this shape and dtype: broadcasting summed away, casts undone."""
    if g.shape != shape and not shape:
        g = xp.sum(g)
    elif g.shape != shape:
        extra = len(g.shape) - len(shape)
        axes = tuple(i - len(g.shape) for i in range(len(g.shape))
                     if i < extra or (shape[i - extra] == 1 and g.shape[i] != 1))  # fmt: skip
        if axes:
            g = xp.sum(g, axis=axes, keepdims=True)
        if g.shape != shape:
            g = xp.reshape(g, shape) if extra else xp.broadcast_to(g, shape)
    return g if dtype_of(g) == dtype else xp.astype(g, dtype)


def _roots(outputs: tuple[Any, ...], grads: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    """Where the sweep starts and with which cotangents; PyTorch's errors in PyTorch's order."""
    given = (None,) * len(outputs) if grads is None else _tuple(grads)
    cotangents = []
    for i, (y, g) in enumerate(zip(outputs, given, strict=False)):
        if not isinstance(y, Tensor):
            raise AssertionError("Expected output to be a torch.Tensor")
        cotangents.append(_implicit(y, create_graph) if g is None else _given(i, y, g, create_graph))
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    for i, y in enumerate(outputs):
        if not y._rg or type(y._node) is Nowhere:
            raise explained(RuntimeError(errors.no_grad_fn(i)), "no graph", y)
    return [(edge_of(y), g) for y, g in zip(outputs, cotangents, strict=True)]


def _implicit(y: Tensor, create_graph: bool) -> Any:
    """The cotangent of an output for which none is given."""
    if not y._rg:
        return None
    if y._shape and y.numel() != 1:
        raise explained(RuntimeError(errors.not_scalar(y._shape)), "not scalar", y)
    if y._dtype.kind == "c":
        raise explained(RuntimeError(errors.not_real(y.dtype)))
    g = one(y) if type(y) is Tensor else namespace((y._a,)).ones_like(y._a)
    return y._wrap(g) if create_graph else g


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
        return g if g._dtype == y._dtype else g.to(y.dtype)
    raw = g._a if g._rank == y._rank else g
    return raw if dtype_of(raw) == y._dtype else namespace((raw,)).astype(raw, y._dtype)


def _sweep(outputs: Sequence[Any], roots: list[tuple[Any, Any]], keep: bool, create_graph: bool) -> engine.Sweep:
    """A sweep over the namespace of the cotangents (a batch of them makes it ours) and of what was computed."""
    arrays = [g for _, g in roots]
    tensors = create_graph or _dual(outputs)
    if not tensors and (len(outputs) > 1 or outputs[0]._rank > 2 or not isinstance(arrays[0], np.generic)):
        arrays += [y._a for y in outputs]
    sweep = engine.Sweep(namespace(arrays), fit, outputs[0]._wrap, keep, tensors)
    if tensors:
        sweep.recorded = create_graph or (None if outputs[0]._rank > 2 else False)
    return sweep


def _dual(outputs: Sequence[Any]) -> bool:
    """Whether there may be tangents in the graph, which the rules must see: then they get Tensors, recorded or not."""
    here = level.get()
    return any(isinstance(y, Tensor) and (y._first or (here is not None and y._rank == here.rank)) for y in outputs)


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables: Any = None, inputs: Any = None,
) -> None:  # fmt: skip
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
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        grad_tensors = grad_variables
    targets = None if inputs is None else _tuple(_values(inputs, "backward"))
    if targets == ():
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    transforms.forbid(transforms.NO_BACKWARD)
    outputs = _standing(_tuple(tensors), grad_tensors)
    if not outputs:
        return
    if create_graph:
        warnings.warn(errors.GRAD_CYCLE, UserWarning, stacklevel=3)
    keep = create_graph if retain_graph is None else retain_graph
    roots = _roots(outputs, grad_tensors, create_graph or _dual(outputs))
    sweep = _sweep(outputs, roots, keep, create_graph)
    if targets is not None:
        targets = _inputs(targets)
        for t in targets:
            t.retain_grad()
        _aim(sweep, roots, {edge_of(t) for t in targets})
    sweep.shared.update(id(g) for _, g in roots)
    _run(sweep, roots, deposit, outputs)


_ndarray = np.ndarray
_ONES: dict[Any, Any] = {np.float32: np.float32(1), np.float64: np.float64(1)}


def one(y: Tensor) -> Any:
    """The cotangent that ``backward()`` starts from when none is given; None if ``y`` is not one real number."""
    a = y._a
    found = _ONES.get(type(a))
    if found is not None:
        return found
    if a.dtype.kind == "c":
        return None
    if type(a) is not _ndarray:
        return type(a)(1)
    if not a.shape:
        return _ONES.get(a.dtype.type) or a.dtype.type(1)
    return np.ones(a.shape, a.dtype) if a.size == 1 else None


def sweep_numbers(y: Tensor, g: Any, keep: bool) -> None:
    """The commonest backward by the shortest way: one output over NumPy, numbers only, into every leaf."""
    sweep = engine.Sweep(numpy_, fit, wrap, keep, False)
    sweep.shared.add(id(g))
    _run(sweep, ((y if y._node is None else y._node, g),), deposit, (y,))


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None,
    create_graph: bool = False, only_inputs: bool = True, allow_unused: bool | None = None,
    is_grads_batched: bool = False, materialize_grads: bool = False,
) -> Any:  # fmt: skip
    """The gradients of the weighted sum of ``outputs`` with respect to each of ``inputs``, as a tuple.

    Of ``inputs`` given by name, in a dictionary, the gradients come by name.

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
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other "
            "parts of the graph, please use torch.autograd.backward.", FutureWarning, stacklevel=2,
        )  # fmt: skip
    if type(outputs) is Tensor and isinstance(inputs, Tensor) and outputs._rg and inputs._rg and not create_graph:
        if grad_outputs is None and not is_grads_batched and level.get() is None and (g := one(outputs)) is not None:
            found_one = _grad_of_one(outputs, inputs, g, bool(retain_graph))
            if found_one is not None:
                return (found_one,)
            if not (allow_unused or materialize_grads):
                raise explained(RuntimeError(errors.unused(0)))
            return _materialized((None,), (inputs,), False) if materialize_grads else (None,)
    if isinstance(inputs, Mapping):
        given = (grad_outputs, retain_graph, create_graph, True, allow_unused, is_grads_batched, materialize_grads)
        return dict(zip(inputs, grad(outputs, tuple(_values(inputs, "grad")), *given), strict=True))
    ys, xs = _standing(_tuple(outputs), grad_outputs), _tuple(inputs)
    if not xs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        batched = _batched(ys, xs, grad_outputs, retain_graph, create_graph, allow_unused or materialize_grads)
        return _materialized(batched, xs, create_graph) if materialize_grads else batched
    roots = _roots(ys, grad_outputs, create_graph or _dual(ys))  # PyTorch looks at the outputs first
    targets = []
    xs = _inputs(xs)
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
    _aim(sweep, roots, set(targets))
    arrived = _run(sweep, roots, collect, ys)
    found = []
    for i, (x, edge) in enumerate(zip(xs, targets, strict=True)):
        g = arrived.get(edge)
        if g is None and not (allow_unused or materialize_grads):
            raise explained(RuntimeError(errors.unused(i)))
        if g is not None and not create_graph:
            g = g._cut() if isinstance(g, Tensor) and g._rank >= x._rank else x._wrap(g)
        found.append(g)
    return _materialized(found, xs, create_graph) if materialize_grads else tuple(found)


def _materialized(found: Sequence[Any], xs: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    """The gradients, and zeros for those inputs that have none."""
    full = list(found)
    for i, (g, x) in enumerate(zip(found, xs, strict=True)):
        if g is None:
            full[i] = x._wrap(namespace((x._a,)).zeros_like(x._a))
            full[i]._rg = create_graph
    return tuple(full)


def _grad_of_one(y: Tensor, x: Tensor, g: Any, keep: bool) -> Tensor | None:
    """The commonest gradient by the shortest way: of one number over NumPy with respect to one tensor."""
    root = y if y._node is None else y._node
    target = x if x._node is None else edge_of(x)
    if type(root) is Nowhere:
        raise explained(RuntimeError(errors.no_grad_fn(0)), "no graph", y)
    sweep = engine.Sweep(numpy_, fit, wrap, keep, False)
    sweep.targets = {target}
    if target._seq:
        sweep.capture = {target: None}
    sweep.wanted = reachable((root,), sweep.targets)
    plain = not target._seq and target._meta is None  # nobody is to be asked about the total
    found = _run(sweep, ((root, g),), _totals if plain else collect, (y,)).get(target)
    return None if found is None else wrap(found)


def _totals(sweep: engine.Sweep, totals: dict[Any, Any]) -> dict[Any, Any]:
    return totals


def _batched(
    ys: Any, xs: Any, grads: Any, retain_graph: bool | None, create_graph: bool, allow_unused: Any
) -> tuple[Any, ...]:
    """``is_grads_batched``: one sweep for many cotangents, stacked along their first dimension."""
    from .func.vmap import vmap

    gs = (None,) * len(ys) if grads is None else _tuple(grads)
    for i, (y, g) in enumerate(zip(ys, gs, strict=False)):
        if g is None:
            _implicit(y, create_graph)
            raise ValueError("vmap: with is_grads_batched=True each output needs a grad_output of its own, got None")
        if not g._shape:
            raise IndexError(errors.NO_BATCH)
        if g._shape[1:] != y._shape:
            raise explained(RuntimeError(errors.batch_mismatch(i, g.shape[1:], y.shape)))

    unused: list[int] = []

    def one(*each: Any) -> Any:
        nonlocal unused
        found = grad(ys, xs, each, retain_graph, create_graph, allow_unused=allow_unused)
        unused = [i for i, g in enumerate(found) if g is None]
        return tuple([g for g in found if g is not None])

    found = list(vmap(one)(*gs))
    for i in unused:
        found.insert(i, None)
    return tuple(found)


def _aim(sweep: engine.Sweep, roots: Any, targets: set[Any]) -> None:
    """Let the sweep visit only what leads to ``targets``, nodes or leaves."""
    sweep.targets = targets
    sweep.capture = dict.fromkeys(e for e in targets if e._seq)
    sweep.wanted = reachable([e for e, _ in roots], targets)


def _run(
    sweep: engine.Sweep, roots: Any, settle: Callable[[engine.Sweep, dict[Any, Any]], Any], outputs: Sequence[Any]
) -> Any:
    """What ``settle`` makes of the leaves' totals after one sweep from ``outputs``.

    Both run without NumPy's warnings, as PyTorch has none; under ``create_graph`` they are recorded, and else not,
    whatever the mode here.
    """
    mode = current()
    if mode.watched:
        sweep.watch = Watch(mode)
    if tracers:
        settle = tracers[-1].watch(sweep, outputs, settle)
    for token in quietly:
        try:
            if sweep.create_graph and sweep.recorded is not None:
                plain = ON if sweep.recorded else OFF
                enter(plain if mode is ON or mode is OFF else mode.but(enabled=sweep.recorded))
            return settle(sweep, sweep.run(roots))
        except MemoryError as e:
            raise errors.no_memory("the gradient of a leaf", e) from None
        finally:
            try:
                if sweep.create_graph:
                    enter(mode)
            finally:
                reset_errors(token)


def _values(inputs: Any, function: str) -> Any:
    """The inputs, also where they were given by name."""
    if isinstance(inputs, Mapping):
        if type(inputs) is dict:
            return inputs.values()
        raise TypeError(
            f"`inputs` argument to `{function}()` must be a dict, not {type(inputs).__name__}. Other Mapping types are "
            "not supported."
        )
    return inputs


def _tuple(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, (Box, GradientEdge)) else tuple(x)


def _standing(outputs: tuple[Any, ...], grads: Any) -> tuple[Any, ...]:
    """The outputs, with a tensor of its gradient's shape in the place of each edge."""
    if not any(isinstance(y, GradientEdge) for y in outputs):
        return outputs
    given = (None,) * len(outputs) if grads is None else _tuple(grads)
    return tuple([_stand_in(y, g) if isinstance(y, GradientEdge) else y
                  for y, g in zip(outputs, (*given, *[None] * len(outputs)), strict=False)])  # fmt: skip


def _stand_in(edge: GradientEdge, like: Any) -> Tensor:
    """A tensor whose gradient goes where an edge leads, of whose value nothing is known."""
    found = inner_edge(edge)
    if not found._seq:
        return found  # type: ignore[no-any-return]
    if like is None:
        raise explained(RuntimeError(errors.EDGE_WITHOUT_GRAD))
    rank = 2 if found.extra is None else found.extra.rank
    t = wrap(like._a if isinstance(like, Tensor) else like, rank)
    t._rg, t._node = True, found
    return t


def _inputs(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors to differentiate with respect to, or tensors that stand for such."""
    for t in given:
        if not isinstance(t, (Tensor, GradientEdge)):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
    return tuple([_stand_in(t, np.zeros(())) if isinstance(t, GradientEdge) else t for t in given])


def _called(node: Node, *grads: Any) -> Any:
    """``grad_fn(*grads)``: the gradients of its inputs from those of its outputs; recorded, if the mode says so."""
    if len(grads) != node.count:
        raise TypeError(f"expected {node.count} arguments, got {len(grads)} instead")
    for i, g in enumerate(grads):
        if not isinstance(g, Tensor):
            raise TypeError(f"argument {i} is not a Variable")
    sweep = engine.Sweep(namespace(grads), fit, grads[0]._wrap, True, True)
    g, saved, extra = grads[0] if node.count == 1 else Several(dict(enumerate(grads))), node.saved, node.extra
    if saved is None:
        if extra is None or extra.packed is None:
            raise explained(RuntimeError(errors.freed_graph(node)), "freed", node)
        saved = extra.packed.open(node, True)
    if node.tensors is not None:
        check_versions(node)
        saved = node.unpack(saved)
    found = engine.ruled(sweep, node, g, saved)
    if extra is not None and extra.metas is not None:
        found = [c if c is None or m is None else fit(sweep.xp, c, *m) for c, m in zip(found, extra.metas, strict=True)]
    shown = node.as_shown(found)
    return shown[0] if len(shown) == 1 else tuple(shown)


setattr(Node, "__call__", _called)  # noqa: B010  the engine knows no Tensor
