"""Checks of derivatives against differences: ``gradcheck`` and ``gradgradcheck``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backward import grad
from ..errors import explained
from ..random import Generator
from ..tensor import Tensor, wrap

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """What :func:`gradcheck` and :func:`gradgradcheck` found to be wrong."""


def gradcheck(
    func: Function, inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False, check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False,
    masked: bool | None = None, strict: bool = False,
) -> bool:  # fmt: skip
    """Whether the derivatives of ``func`` agree with central differences, for all inputs that require grad.

    ``func`` takes the ``inputs``, a tensor or a tuple of them, and returns a tensor or a tuple of tensors, real or
    complex.  Inputs should be float64 or complex128: ``eps``, the step, and the tolerances ``|a - n| <= atol +
    rtol |n|`` are made for them.

    ``check_backward_ad``: every row of the Jacobian by reverse mode, swept twice, which may differ by
    ``nondet_tol``.  ``check_forward_ad``: every column by forward mode.  ``fast_mode``: only one random combination
    of the rows and columns.  ``check_batched_grad``, ``check_batched_forward_grad``: ``vmap`` over either against a
    loop.  ``check_undefined_grad``: outputs and inputs that take no part.  ``check_grad_dtypes``: gradients have
    their input's dtype.  ``masked`` concerns sparse tensors, which there are none of.

    With these tolerances a derivative that is wrong by a tenth of a percent passes, as it does in PyTorch.
    ``strict``, which PyTorch does not have, extrapolates the differences to a step of 0 and asks for agreement ten
    thousand times closer, to one in ten million.  Where the extrapolation itself is less sure, at a kink within a
    thousand times ``eps`` or with little left after rounding, it asks for no more than it is sure of.  It takes three
    times as many evaluations, or six.

    Returns True.  What is wrong raises :class:`GradcheckError`, or with ``raise_exception=False`` returns False.
    ValueError if no input requires grad; RuntimeError for an input whose elements share memory.

    Source: ``torch.autograd.gradcheck``.

    >>> import chainrule as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.sin, x, check_forward_ad=True)
    True
    """
    for asked, needed, what in (
        (True, check_forward_ad or check_backward_ad, "Expected at least one of check_forward_ad or check_backward_ad "
         "to be True"),
        (check_batched_grad, check_backward_ad, "Setting check_batched_grad=True requires check_backward_ad to be True"),
        (check_batched_forward_grad, check_forward_ad, "Setting check_batched_forward_grad=True requires "
         "check_forward_ad to be True"),
    ):  # fmt: skip
        if asked and not needed:
            raise AssertionError(what)
    from .checks import Check
    from .differences import Differences

    given = as_tuple(inputs)
    _check_inputs(given)
    check = Check(func, given, as_tuple(func(*given)), Differences(func, given, eps, strict), atol, rtol, fast_mode)
    try:
        if not check.live:
            check.constant(nondet_tol)
        if check_backward_ad:
            check.backward(nondet_tol, check_grad_dtypes)
        if check_forward_ad:
            check.forward(check_grad_dtypes)
            if check_undefined_grad:
                check.missing_tangents()
        if check_batched_forward_grad:
            check.batched_forward()
        if check_backward_ad:
            for i in check.live if check_batched_grad else ():
                check.batched_backward(i)
            check.zero_cotangents(bool(masked))
            if check_undefined_grad:
                check.missing_cotangents()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function, inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True,
    nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
    check_batched_grad: bool = False, check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True,
    fast_mode: bool = False, masked: bool = False, strict: bool = False,
) -> bool:  # fmt: skip
    """:func:`gradcheck` of the gradient of ``func``, as a function of the inputs and of the output's cotangents.

    ``grad_outputs`` are the cotangents, random unless given; ``gen_non_contig_grad_outputs`` spreads those in
    memory.  ``check_rev_over_rev``: second derivatives by two sweeps back; ``check_fwd_over_rev``: by a tangent
    through one.  Other options, result and errors are :func:`gradcheck`'s.

    Source: ``torch.autograd.gradgradcheck``.

    >>> import chainrule as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(torch.sin, x, check_fwd_over_rev=True)
    True
    """
    for asked, needed, what in (
        (True, check_fwd_over_rev or check_rev_over_rev, "Expected at least one of check_fwd_over_rev or "
         "check_rev_over_rev to be True"),
        (check_undefined_grad, check_rev_over_rev, "Setting check_undefined_grad=True requires check_rev_over_rev to be "
         "True"),
        (check_batched_grad, check_rev_over_rev, "Setting check_batched_grad=True requires check_rev_over_rev to be "
         "True"),
    ):  # fmt: skip
        if asked and not needed:
            raise AssertionError(what)
    given = as_tuple(inputs)
    if grad_outputs is None:
        draw = Generator()
        cotangents = tuple(
            [_cotangent(y, draw, gen_non_contig_grad_outputs) for y in as_tuple(func(*given)) if y.requires_grad]
        )
    else:
        cotangents = as_tuple(grad_outputs)
    n = len(given)
    wanted = [isinstance(x, Tensor) and x.requires_grad for x in (*given, *cotangents)]

    def gradient(*args: Any) -> tuple[Any, ...]:
        args = tuple([x.requires_grad_() if w else x for x, w in zip(args, wanted, strict=True)])  # duals do not yet
        live = [y for y in as_tuple(func(*args[:n])) if y.requires_grad]
        variables = [x for x, w in zip(args[:n], wanted, strict=False) if w]
        found = grad(live, variables, args[n:], create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradient, (*given, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, masked=masked, strict=strict,
    )  # fmt: skip


def as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _cotangent(y: Tensor, draw: Generator, spread: bool) -> Tensor:
    """Random numbers between -1 and 1 for every element of ``y``."""
    d = y._dtype if y._dtype.kind in "fc" else np.dtype(np.float64)
    shape = (*y._shape, 2)
    a = draw.uniform(shape, np.float64) * 2 - 1
    if d.kind == "c":
        a = a[..., :1] + 1j * draw.uniform((*y._shape, 1), np.float64) * np.ones(2)
    a = a.astype(d)
    return wrap(a[..., 0] if spread else a[..., 0].copy()).requires_grad_()


def _check_inputs(inputs: tuple[Any, ...]) -> None:
    """PyTorch's errors, and its warning, for inputs that cannot be varied, or not well."""
    found = [(i, x) for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    for i, x in found:
        if x._dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will "
                "likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=3,
            )
        if x.numel() and any(step == 0 and n > 1 for step, n in zip(x.stride(), x.shape, strict=True)):
            raise explained(
                RuntimeError(
                    f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                    ".contiguous on the input before passing it to gradcheck."
                    "\nOne number stands in several places, and moving it moves them all: pass x.clone()."
                )
            )
    if not found:
        raise explained(
            ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have "
                "requires_grad=True.\nSay which are to be checked: x = torch.tensor(..., requires_grad=True)."
            )
        )
