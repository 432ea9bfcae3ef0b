"""Products with the Jacobian and the Hessian of a function, and these matrices whole.

PyTorch's older interface: it takes tensors with a history and gives tensors with one, and can be ``strict`` about
what does not depend on what.  ``chainrule.func`` has the same as transforms of functions, which nest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import modes
from ..creation import eye, zeros, zeros_like
from ..errors import explained
from ..func.vmap import vmap
from ..ops.shape import stack
from ..tensor import Tensor
from .calls import (
    _COTANGENT,
    _GRADIENT,
    _HESSIAN,
    _INDEPENDENT,
    _JACOBIAN,
    _ONE_INPUT,
    _SECOND,
    _SECOND_COTANGENT,
    Found,
    Tensors,
    _Call,
    _grads,
    _must_depend,
    _tensors,
)
from .forward_ad import dual_level, make_dual, unpack_dual

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

# --- products ---


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), vᵀJ)``, the vector on the left of the Jacobian: one sweep back.

    ``inputs`` is a tensor or a tuple of them, ``v`` has the structure and shapes of the output and may be left out
    if that is one number.  The product has the structure and shapes of ``inputs``.

    ``create_graph`` keeps both results in the graph of the inputs and of ``v``.  ``strict`` makes an error of an
    input that the outputs do not depend on, where else the product is zero.

    TypeError for what is no tensor; RuntimeError for a ``v`` that does not match, and what is not ``strict``.

    Source: ``torch.autograd.functional.vjp``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.vjp(lambda x: x**2, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    with modes.enable_grad():
        call = _Call("vjp", inputs, create_graph, strict)
        several, outputs = call.run(func)
        weights = call.direction(
            v, outputs, several, "the user-provided function returns a single Tensor with a single element"
        )
    with modes.set_grad_enabled(create_graph or modes.is_grad_enabled()):
        found = _grads(outputs, call.inputs, weights, create_graph=create_graph)
        product = call.filled(found, call.inputs, _INDEPENDENT, "jacobian")
    return call.finished(outputs, several), call.finished(product, call.several)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), Jv)``, the vector on the right of the Jacobian, by two sweeps back.

    The first sweep is linear in what it starts from; the second finds its transpose.  ``v`` has the structure and
    shapes of ``inputs`` and may be left out if that is one number; the product those of the output.  Options and
    errors are :func:`vjp`'s.  :func:`chainrule.func.jvp` needs one pass and no graph.

    Source: ``torch.autograd.functional.jvp``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.jvp(lambda x: x.prod(), torch.tensor([2.0, 3.0]), torch.tensor([1.0, 0.0]))
    (tensor(6.), tensor(3.))
    """
    with modes.enable_grad():
        call = _Call("jvp", inputs, create_graph, strict)
        direction = call.direction(v, call.inputs, call.several, _ONE_INPUT)
        several, outputs = call.run(func)
        weights = tuple([zeros_like(y, requires_grad=True) for y in outputs])
        swept = _grads(outputs, call.inputs, weights, create_graph=True)
        if strict:
            _must_depend(swept, _GRADIENT)
    with modes.set_grad_enabled(create_graph or modes.is_grad_enabled()):
        found = _grads(swept, weights, direction, create_graph=create_graph)
        product = call.filled(found, outputs, _COTANGENT, "jacobian")
    return call.finished(outputs, several), call.finished(product, several)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), vᵀH)`` for the Hessian of a function that gives one number.

    ``v`` and the product have the structure and shapes of ``inputs``.  Options and errors are :func:`vjp`'s.

    Source: ``torch.autograd.functional.vhp``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with modes.enable_grad():
        call, direction, y, jacobian = _first(func, "vhp", inputs, v, create_graph, strict)
    with modes.set_grad_enabled(create_graph or modes.is_grad_enabled()):
        found = _grads(jacobian, call.inputs, direction, create_graph=create_graph)
        product = call.filled(found, call.inputs, _SECOND, "hessian")
    return call.finished((y,), False), call.finished(product, call.several)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), Hv)`` for the Hessian of a function that gives one number.

    For a function with continuous second derivatives it is :func:`vhp`, at the price of one more sweep.

    Source: ``torch.autograd.functional.hvp``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with modes.enable_grad():
        call, direction, y, jacobian = _first(func, "hvp", inputs, v, create_graph, strict)
        weights = tuple([zeros_like(x).requires_grad_() for x in call.inputs])
        swept = _grads(jacobian, call.inputs, weights, create_graph=True)
        if strict:
            _must_depend(jacobian, _HESSIAN)
    with modes.set_grad_enabled(create_graph or modes.is_grad_enabled()):
        found = _grads(swept, weights, direction, create_graph=create_graph)
        product = call.filled(found, call.inputs, _SECOND_COTANGENT, "hessian")
    return call.finished((y,), False), call.finished(product, call.several)


def _first(
    func: Any, name: str, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Found, Any, Found]:
    """What both Hessian products begin with: the function's value, and its recorded gradient."""
    call = _Call(name, inputs, create_graph, strict)
    direction = call.direction(v, call.inputs, call.several, _ONE_INPUT)
    y = call.run_scalar(func)
    gradient = _grads((y,), call.inputs, create_graph=True)
    if strict:
        _must_depend(gradient, _JACOBIAN)
    return call, direction, y, gradient


# --- whole matrices ---


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """All partial derivatives: for an output of shape (m,) and an input of shape (n,), a tensor of shape (m, n).

    With a tuple of inputs a tuple, and with a tuple of outputs a tuple of those: ``[i][j]`` is that of output i by
    input j.  ``vectorize`` does all sweeps as one batch.  ``strategy="forward-mode"`` goes forward, an input
    element at a time, and needs ``vectorize``.  Other options and errors are :func:`vjp`'s.

    Source: ``torch.autograd.functional.jacobian``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.jacobian(lambda x: x * x.sum(), torch.tensor([1.0, 2.0]))
    tensor([[4., 1.],
            [2., 5.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward(func, inputs, create_graph, strict, vectorize)
    with modes.enable_grad():
        call = _Call("jacobian", inputs, create_graph, strict)
        several, outputs = call.run(func)
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
                "Please either set `strict=False` or `vectorize=False`."
            )
        rows = _all_rows(call, outputs) if vectorize else [_rows(call, i, y) for i, y in enumerate(outputs)]
    found = [call.finished(row, call.several) for row in rows]
    return tuple(found) if several else found[0]


def _rows(call: _Call, i: int, y: Tensor) -> list[Tensor]:
    """One output's Jacobian by each input, an element after the other."""
    flat = y.reshape(-1)
    columns: list[list[Tensor]] = [[] for _ in call.inputs]
    for element in range(y.numel()):
        found = _grads((flat[element],), call.inputs, retain_graph=True, create_graph=call.create_graph)
        for j, (x, g) in enumerate(zip(call.inputs, found, strict=True)):
            if call.strict and g is None:
                raise RuntimeError(
                    f"Output {i} of the user-provided function is independent of input {j}. This is not allowed in "
                    "strict mode."
                )
            if call.strict and call.create_graph and not g.requires_grad:  # type: ignore[union-attr]
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {j}. This is not allowed in "
                    "strict mode when create_graph=True."
                )
            columns[j].append(zeros_like(x) if g is None else g)
    return [
        stack(each).view(*y.shape, *x.shape) if each else zeros(*y.shape, *x.shape, dtype=x.dtype)
        for each, x in zip(columns, call.inputs, strict=True)
    ]


def _all_rows(call: _Call, outputs: Tensors) -> list[list[Tensor]]:
    """Each output's Jacobian by each input, by one sweep for all elements of all outputs."""
    flat = tuple([y.reshape(-1) for y in outputs])
    sizes = [y.numel() for y in outputs]
    found = _grads(flat, call.inputs, _unit_vectors(flat), create_graph=call.create_graph, is_grads_batched=True)
    whole = [zeros(sum(sizes), *x.shape, dtype=x.dtype) if g is None else g
             for g, x in zip(found, call.inputs, strict=True)]  # fmt: skip
    return [
        [g[start : start + n].view(*y.shape, *x.shape) for g, x in zip(whole, call.inputs, strict=True)]
        for y, n, start in zip(outputs, sizes, _starts(sizes), strict=True)
    ]


def _forward(func: Any, inputs: Any, create_graph: bool, strict: bool, vectorize: bool) -> Any:
    """The Jacobian with a tangent for each input element, all in one batch."""
    if create_graph or strict:
        option, error = ("create_graph", NotImplementedError) if create_graph else ("strict", RuntimeError)
        raise error(
            f'torch.autograd.functional.jacobian: `{option}=True` and `strategy="forward-mode"` are not supported '
            f'together (yet). Please either set `{option}=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise explained(
            NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
                "`vectorize=True`.\nPass vectorize=True."
            )
        )
    tupled, xs = _tensors(inputs, "inputs", "jacobian")
    seen: list[Any] = []

    def pushed(*tangents: Tensor) -> Tensors:
        with dual_level():
            duals = [make_dual(x, t.view_as(x)) for x, t in zip(xs, tangents, strict=True)]
            several, outputs = _tensors(func(*duals), "outputs", "jacobian")
            pairs = [unpack_dual(y) for y in outputs]
        seen[:] = [several, [p.primal.shape for p in pairs]]
        return tuple([zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs])

    sizes = [x.numel() for x in xs]
    columns = vmap(pushed)(*_unit_vectors(xs))
    several, shapes = seen
    found = [
        [c[start : start + n].movedim(0, -1).reshape(*shape, *x.shape)
         for x, n, start in zip(xs, sizes, _starts(sizes), strict=True)]
        for c, shape in zip(columns, shapes, strict=True)
    ]  # fmt: skip
    rows = [tuple(row) if tupled else row[0] for row in found]
    return tuple(rows) if several else rows[0]


def _unit_vectors(xs: Tensors) -> Tensors:
    """For each of several tensors, laid out flat, its part of the unit vectors of all of them together."""
    sizes = [x.numel() for x in xs]
    total = sum(sizes)
    return tuple(
        [eye(total, dtype=x.dtype)[:, start : start + n] for x, n, start in zip(xs, sizes, _starts(sizes), strict=True)]
    )


def _starts(sizes: list[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """All second derivatives of a function that gives one number: the Jacobian of its gradient.

    For an input of shape (n,) it has shape (n, n); for a tuple of inputs it is a tuple of tuples, ``[i][j]`` that
    by inputs i and j.  Options and errors are :func:`jacobian`'s; ``outer_jacobian_strategy`` is the strategy of
    the outer of the two Jacobians.

    Source: ``torch.autograd.functional.hessian``.

    >>> import chainrule as torch
    >>> torch.autograd.functional.hessian(lambda x: x.prod() ** 2, torch.tensor([1.0, 2.0]))
    tensor([[8., 8.],
            [8., 2.]])
    """
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    several, xs = _tensors(inputs, "inputs", "hessian")

    def gradient(*xs: Tensor) -> Tensors:
        if outer_jacobian_strategy == "forward-mode":
            for x in xs:
                x._rg = True  # a variable here, as it is inside the batch of the outer Jacobian
        call = _Call("hessian", xs, True, strict)
        found = _grads((call.run_scalar(func),), call.inputs, create_graph=True)
        filled = tuple([zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)])
        if strict:
            _must_depend(filled, _JACOBIAN)
        return filled

    with modes.enable_grad():
        found = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if several else found[0][0]
