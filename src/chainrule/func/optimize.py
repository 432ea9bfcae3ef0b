"""SciPy's optimisers, fed with exact derivatives: a function of tensors as functions of flat NumPy vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ..extras import load
from ..tensor import Tensor, wrap
from . import tree
from .forward import jvp
from .implicit import custom_root, newton
from .jacobians import hessian, jacfwd, jacrev
from .reverse import grad, grad_and_value
from .sparse import SparseHessian, SparseJacobian
from .vector import Packed

Array = np.ndarray[Any, Any]
GRADIENT_FREE = {"nelder-mead", "powell", "cobyla", "cobyqa"}
BY_MATRIX = {"dogleg", "trust-exact"}  # these take a Hessian, not products with it
BY_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
DENSE = 200  # unknowns up to which a Hessian is made as a matrix


class Objective:
    """``fun(x, *args)`` of tensors, in nests or not, as functions of a flat float64 vector, such as SciPy calls.

    ``x0`` is the vector of the nest given; ``pack`` and ``unpack`` go between vectors and nests.  For a scalar
    function there are ``value``, ``grad``, ``value_and_grad`` (for ``jac=True``), ``hess`` and ``hessp``; for one that
    returns several numbers, ``value`` (all of them, flat) and ``jac``.  With ``sparse``, ``hess`` and ``jac`` return
    ``scipy.sparse`` arrays, whose pattern is found once.

    >>> import chainrule as torch
    >>> from scipy.optimize import minimize
    >>> f = torch.func.Objective(lambda p: ((p["a"] - 3) ** 2).sum() + p["b"] ** 4, {"a": torch.zeros(2), "b": torch.ones(())})
    >>> found = minimize(f.value_and_grad, f.x0, jac=True, hess=f.hess, method="trust-exact")
    >>> f.unpack(found.x)["a"]
    tensor([3., 3.])
    """

    def __init__(self, fun: Callable[..., Any], x: Any, *args: Any, sparse: bool = False) -> None:
        self._packed, self._sparse = Packed(x, "Objective: x"), sparse
        self._point = x
        self.fun: Callable[[Any], Any] = lambda x: fun(x, *args)
        self.x0 = self.pack(x)

    def pack(self, x: Any) -> Array:
        """A nest as a vector of float64."""
        return np.array(self._packed.pack(x).detach().numpy(), np.float64)

    def unpack(self, v: Array) -> Any:
        """A vector as a nest, with its tensors' shapes and dtypes."""
        return self._packed.unpack(wrap(np.array(v, np.float64)))

    def value(self, v: Array) -> Any:
        found = self._outputs(self.fun(self.unpack(v)))
        return float(found[0]) if self._scalar else found

    def grad(self, v: Array) -> Array:
        return self.pack(grad(self.fun)(self.unpack(v)))

    def value_and_grad(self, v: Array) -> tuple[float, Array]:
        g, value = grad_and_value(self.fun)(self.unpack(v))
        return value.item(), self.pack(g)

    def hess(self, v: Array) -> Any:
        if self._sparse:
            return self._sparse_hessian(self.unpack(v)).astype(np.float64)
        return np.asarray(hessian(self._flat)(wrap(np.array(v, np.float64))).detach().numpy())

    def hessp(self, v: Array, direction: Array) -> Array:
        at, along = self.unpack(v), self.unpack(direction)
        return self.pack(jvp(grad(self.fun), (at,), (along,))[1])

    def jac(self, v: Array) -> Any:
        if self._sparse:
            return self._sparse_jacobian(self.unpack(v)).astype(np.float64)
        at = wrap(np.array(v, np.float64))
        wide = self._flat(at).numel() < len(v)
        return np.asarray((jacrev if wide else jacfwd)(self._flat)(at).detach().numpy()).reshape(-1, len(v))

    def _flat(self, v: Tensor) -> Tensor:
        found = [a.reshape(-1) for a in tree.flatten(self.fun(self._packed.unpack(v)))[0]]
        out = found[0] if len(found) == 1 else self._packed.join(found)
        return out.double().reshape(() if self._scalar else (-1,))

    def _outputs(self, found: Any) -> Array:
        leaves = tree.flatten(found)[0]
        return np.concatenate([a.detach().numpy().reshape(-1) for a in leaves]).astype(np.float64)

    @cached_property
    def _scalar(self) -> bool:
        found = self.fun(self._point)
        return isinstance(found, Tensor) and not found.shape

    @cached_property
    def _sparse_hessian(self) -> SparseHessian:
        return SparseHessian(self.fun, self._point)

    @cached_property
    def _sparse_jacobian(self) -> SparseJacobian:
        return SparseJacobian(self.fun, self._point)


def minimize(
    fun: Callable[..., Any], x0: Any, *params: Any, method: str | None = None, differentiable: bool = False,
    linear: Any = "dense", **options: Any,
) -> Any:  # fmt: skip
    """The x at which ``fun(x, *params)`` is least, near ``x0``, by ``scipy.optimize.minimize`` and exact derivatives.

    ``x0`` is a tensor or a nest of them.  Each method gets what it can use: the gradient, and the Hessian, or, for
    more than 200 unknowns, products with it.  Without ``method``, "trust-exact" up to 200 unknowns and "L-BFGS-B"
    beyond; with bounds or constraints SciPy's choice.  ``options`` go on to SciPy (``tol``, ``bounds``, ...).

    The result is SciPy's, with ``x`` and ``jac`` as x0 is, ``fun`` and ``hess`` as tensors.  With ``differentiable``,
    x has derivatives with respect to ``params``, of every order: by the implicit function theorem, from gradient = 0
    (and, within ``bounds``, entries at a bound stay there).  It is then made exact by Newton's method.  ``linear`` is
    as in :func:`custom_root`.

    >>> import chainrule as torch
    >>> def rosenbrock(x, a):
    ...     return (a - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> a = torch.tensor(1.5, requires_grad=True)
    >>> x = torch.func.minimize(rosenbrock, torch.zeros(2), a, differentiable=True).x
    >>> x[1].backward()
    >>> x.detach(), a.grad  # (a, a²) and 2 a
    (tensor([1.5000, 2.2500]), tensor(3.))
    """
    optimize = load("scipy.optimize", "special", "minimize")
    constants = tree.tree_map(_constant, params)
    f = Objective(fun, tree.tree_map(_constant, x0), *constants)
    if method is None and not options.keys() & {"bounds", "constraints"}:
        method = "trust-exact" if len(f.x0) <= DENSE else "L-BFGS-B"
    name = (method or "").lower()
    given: dict[str, Any] = {}
    if name in BY_MATRIX or (name in BY_PRODUCTS and len(f.x0) <= DENSE):
        given["hess"] = f.hess
    elif name in BY_PRODUCTS:
        given["hessp"] = f.hessp
    call: Any = f.value
    if name not in GRADIENT_FREE:
        given["jac"], call = True, f.value_and_grad
    found = optimize.minimize(call, f.x0, method=method, **given, **options)
    return _as_tensors(found, f, fun, params, differentiable, options.get("bounds"), linear)


def _constant(a: Any) -> Any:
    return a.detach() if isinstance(a, Tensor) else a


def _as_tensors(found: Any, f: Objective, fun: Any, params: Any, differentiable: bool, bounds: Any, linear: Any) -> Any:
    x = f.unpack(found.x)
    if differentiable:
        x = _attached(fun, x, params, f, bounds, linear)
    found.x = x
    found.fun = fun(x, *params) if differentiable else wrap(np.asarray(found.fun))
    for name in ("jac", "grad"):  # trust-constr calls it grad, and something else jac
        if np.shape(found.get(name)) == f.x0.shape:
            found[name] = f.unpack(found[name])
    if "hess" in found and isinstance(found.hess, np.ndarray):
        found.hess = wrap(found.hess)
    return found


def _attached(fun: Any, x: Any, params: Any, f: Objective, bounds: Any, linear: Any) -> Any:
    """x as the root of the gradient, or, within bounds, of x less where a step down the gradient would be put."""
    low = high = None
    if bounds is not None:
        optimize = load("scipy.optimize", "special", "minimize")
        b = bounds if isinstance(bounds, optimize.Bounds) else optimize.Bounds(*np.array(_infinite(bounds)).T)
        low, high = (tree.flatten(f.unpack(np.broadcast_to(edge, f.x0.shape)))[0] for edge in (b.lb, b.ub))

    def residual(x: Any, *params: Any) -> Any:
        g = grad(fun)(x, *params)
        if low is None or high is None:
            return g
        xs, rebuild = tree.flatten(x)
        steps = zip(xs, tree.flatten(g)[0], low, high, strict=True)
        return rebuild([a - (a - s).maximum(lo).minimum(hi) for a, s, lo, hi in steps])

    return custom_root(residual, x, *params, solver=newton, linear=linear)


def _infinite(bounds: Any) -> list[tuple[float, float]]:
    return [(-np.inf if lo is None else lo, np.inf if hi is None else hi) for lo, hi in bounds]
