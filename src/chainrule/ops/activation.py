"""Activations."""

from __future__ import annotations

from typing import Any

from ..arrays.namespace import dtype_of
from ..errors import not_tensor
from ..lanes import general
from ..outputs import EXACT, FOUND, takes_out
from ..primitive import Elementwise, Primitive
from ..tensor import Tensor
from .kinds import export, no_kernel, only_floats, unary
from .reduce import _to_dtype, axes
from .samples import ONE


class Sigmoid(Elementwise):
    """``1 / (1 + exp(-x))``."""

    forward = lambda xp, x: xp.sigmoid(x)
    d_x = lambda out: out * (1 - out)
    floats = True
    scalar = "sigmoid({x})"
    samples = ONE


sigmoid = unary(Sigmoid)


class Relu(Elementwise):
    """``max(x, 0)``, with slope 0 at 0."""

    forward = lambda xp, x: xp.relu(x)
    flat_x = lambda out: out <= 0
    real_only = NotImplementedError("clamp is not supported for complex types")
    scalar = "{x} if not ({x} < 0) else 0"
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {}), ((1.5,), {})]

    def prepare(self, arrays: Any, params: Any) -> Any:
        if dtype_of(arrays[0]).kind == "b":
            raise RuntimeError("Boolean inputs not supported for relu")
        return super().prepare(arrays, params)


relu = unary(Relu)


class Log1pExp(Elementwise):
    """``log(1 + exp(x))``, in a form that cannot overflow."""

    real_only = no_kernel("softplus_cpu")
    forward = lambda xp, x: xp.softplus(x)
    d_x = lambda xp, x: xp.sigmoid(x)
    scalar = "softplus({x})"
    samples = ONE


class Softplus(Elementwise):
    """``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x > threshold``."""

    composite = True
    real_only = no_kernel("softplus_cpu")
    forward = lambda xp, x, *, beta, threshold: softplus_forward(xp, x, beta, threshold)
    d_x = lambda xp, x, beta, threshold: softplus_slope(xp, x if beta == 1 else x * beta, threshold)
    samples = [(args, {"beta": beta, "threshold": 0.75}) for (args, _), beta in zip(ONE, (1.0, 0.5, 2.0), strict=True)]


def softplus_forward(xp: Any, x: Any, beta: float, threshold: float) -> Any:
    if beta == 1:
        linear = x > threshold
        return xp.softplus(x) if none(xp, linear) else xp.where(linear, x, xp.softplus(x))
    return xp.where(x * beta > threshold, x, xp.softplus(x * beta) / beta)


def softplus_slope(xp: Any, x: Any, threshold: float) -> Any:
    linear = x > threshold
    return xp.sigmoid(x) if none(xp, linear) else xp.where(linear, xp.ones_like(x), xp.sigmoid(x))


def none(xp: Any, mask: Any) -> bool:
    """Whether numbers, which may be looked at, say that the mask holds nowhere."""
    return hasattr(xp, "between") and not xp.any(mask)


Log1pExp()
_softplus = Softplus()


class Erf(Elementwise):
    """The error function, ``2/√π ∫₀ˣ exp(-t²) dt``."""

    forward = lambda xp, x: xp.erf(x)
    d_x = lambda xp, x: 2 / xp.sqrt(xp.asarray(xp.pi, dtype=x.dtype)) * xp.exp(-(x * x))
    floats = True
    real_only = no_kernel("erf_vml_cpu")
    scalar = "erf({x})"
    samples = ONE


erf = unary(Erf)


class Softmax(Primitive):
    """``exp(x) / sum(exp(x))`` along ``axis``, shifted by the maximum so that it cannot overflow."""

    composite = True
    real_only, refused = no_kernel("softmax_lastdim_kernel_impl"), "ciub"
    forward = lambda xp, x, *, axis: softmax_forward(xp, x, axis)
    vjp_x = lambda xp, g, out, axis: (g - xp.sum_product(g, out, axis=axis)) * out  # diag(p) - p pᵀ, symmetric
    jvp_x = lambda xp, t, out, axis: (t - xp.sum_product(t, out, axis=axis)) * out
    samples = [(((3, 4),), {"axis": (-1,)}), (((2, 3),), {"axis": (-2,)}), (((3,),), {"axis": (-1,)})]


def softmax_forward(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    if hasattr(xp, "softmax"):
        return xp.softmax(x, axis)
    return normalised(xp, xp.exp(x - xp.peak(x, axis=axis)), axis)


def normalised(xp: Any, e: Any, axis: tuple[int, ...]) -> Any:
    return e / (xp.sum(e) if len(axis) == len(e.shape) == 1 else xp.sum(e, axis=axis, keepdims=True))


class LogSoftmax(Primitive):
    """``x - log(sum(exp(x)))`` along ``axis``."""

    composite = True
    real_only, refused = no_kernel("log_softmax_lastdim_kernel_impl"), "ciub"
    forward = lambda xp, x, *, axis: log_softmax_forward(xp, x, axis)
    vjp_x = lambda xp, g, out, axis: g - xp.exp(out) * xp.sum(g, axis=axis, keepdims=True)
    jvp_x = lambda xp, t, out, axis: t - xp.sum(xp.exp(out) * t, axis=axis, keepdims=True)
    samples = [(((3, 4),), {"axis": (-1,)}), (((2, 3),), {"axis": (-2,)})]


def log_softmax_forward(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    if hasattr(xp, "softmax"):
        return xp.softmax(x, axis, True)
    x = x - xp.peak(x, axis=axis)
    return x - xp.log(xp.sum(xp.exp(x), axis=axis, keepdims=True))


_softmax, _log_softmax = [Softmax(), Softmax()], [LogSoftmax(), LogSoftmax()]  # along the last dimension, another
_softmax[1].real_only = no_kernel("softmax_kernel_impl")  # type: ignore[misc]
_log_softmax[1].real_only = no_kernel("log_softmax_kernel_impl")  # type: ignore[misc]


@takes_out(EXACT)
def softmax(
    input: Tensor, dim: int | None = None, dtype: Any = None, *, _stacklevel: int = 3, out: Tensor | None = None
) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``: positive numbers that sum to 1.

    Source: ``torch.softmax``, ``torch.nn.functional.softmax``.
    """
    return _normal("softmax", _softmax, input, dim, dtype)


@takes_out(EXACT)
def log_softmax(
    input: Tensor, dim: int | None = None, dtype: Any = None, *, _stacklevel: int = 3, out: Tensor | None = None
) -> Tensor:
    """The logarithm of :func:`softmax`, without overflow.

    Source: ``torch.log_softmax``, ``torch.nn.functional.log_softmax``.
    """
    return _normal("log_softmax", _log_softmax, input, dim, dtype)


def _normal(name: str, prims: Any, x: Tensor, dim: int | None, dtype: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise not_tensor(name, input=x)
    if dtype is not None:
        x = _to_dtype(x, dtype)
    axis = axes(x, _chosen(name, x) if dim is None else dim)
    prim = prims[axis != (-1,) and axis != ()]
    return general(prim, (x,), params={"axis": axis})


def _chosen(name: str, x: Tensor) -> int:
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        UserWarning, stacklevel=4,
    )  # fmt: skip
    return 0 if x.ndim in (0, 1, 3) else 1


@takes_out(FOUND)
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Tensor | None = None) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``, a smooth :func:`relu`; linear where ``beta * x > threshold``.

    Source: ``torch.nn.functional.softplus``.
    """
    if not isinstance(input, Tensor):
        raise not_tensor("softplus", input=input)
    only_floats("softplus_cpu", input)
    return general(_softplus, (input,), params={"beta": beta, "threshold": threshold})


export("softmax", softmax)
export("log_softmax", log_softmax)
