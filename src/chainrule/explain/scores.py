"""How much each input matters, and how uncertain the result is: scores, error propagation, and their picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .. import func
from ..creation import tensor
from ..dtypes import float64
from ..extras import load
from ..language import Language, known
from ..tensor import Tensor
from .names import signature
from .refusals import tensor_result
from .text import table

NODES: Final = 48  # of the quadrature along the path from the baseline
_WORDS: Final = {
    "derivative": ("dy/dx: how much y changes per unit of x; it depends on x's unit, and holds near this point only.",
                   "dy/dx：x 每变化一个单位，y 变化多少；与 x 的单位有关，只在这一点附近成立。"),
    "product": ("x·dy/dx: the change of y if x went to 0 and y were linear; it is 0 at x = 0, however much x matters.",
                "x·dy/dx：若 y 是线性的，x 变为 0 时 y 的变化；在 x = 0 处总是 0，无论 x 多重要。"),
    "elasticity": ("elasticity (x/y)·dy/dx: per cent of y per cent of x, without units; it says nothing at y = 0.",
                   "弹性 (x/y)·dy/dx：x 变化百分之一时 y 变化百分之几，没有单位；y = 0 时没有意义。"),
    "integrated": ("integrated: x's part of y − y(baseline), along the straight path; the parts add up, but depend on the "
                   "baseline.",
                   "积分梯度：沿直线路径，y − y(基准) 中归于 x 的部分；各部分之和等于总差，但取决于基准。"),
    "share": ("share: x's part of the variance of y; correlated inputs may have negative ones.",
              "方差占比：y 的方差中归于 x 的部分；相关的输入可能为负。"),
}  # fmt: skip
_HEADS: Final = {
    "input": ("input", "输入"), "value": ("value", "值"), "derivative": ("dy/dx", "dy/dx"), "product": ("x·dy/dx", "x·dy/dx"),
    "elasticity": ("elasticity", "弹性"), "integrated": ("integrated", "积分梯度"), "share": ("share", "方差占比"),
}  # fmt: skip


@dataclass(frozen=True)
class Uncertainty:
    """What the inputs' covariance makes of the result.

    ``sd`` is by the gradient alone; ``mean2`` and ``sd2`` also use the Hessian, for normal inputs; ``shares`` are the
    inputs' parts of the first-order variance, and add up to 1.
    """

    sd: float
    mean2: float
    sd2: float
    shares: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sensitivity:
    """The scores of each input, arrays in the order of ``names``; ``print`` it, or take it apart."""

    names: list[str]
    at: np.ndarray[Any, Any]
    value: float
    derivative: np.ndarray[Any, Any]
    product: np.ndarray[Any, Any]
    elasticity: np.ndarray[Any, Any]
    integrated: np.ndarray[Any, Any]
    uncertainty: Uncertainty | None
    bars: list[tuple[float, float]]  # y with each input one standard deviation lower and higher
    language: Language

    def text(self, lang: Language | None = None) -> str:
        """A table, and what each score means and does not."""
        zh = (self.language if lang is None else known(lang)) == "zh"
        scores = ["derivative", "product", "elasticity", "integrated"]
        columns = [self.names, [f"{v:.6g}" for v in self.at]]
        columns += [[f"{v:.6g}" for v in getattr(self, s)] for s in scores]
        if self.uncertainty is not None:
            scores.append("share")
            columns.append([f"{v:.1%}" for v in self.uncertainty.shares])
        head = [_HEADS[k][zh] for k in ("input", "value", *scores)]
        rows = [head, *map(list, zip(*columns, strict=True))]
        lines = [f"y = {self.value:.6g}", "", *table(rows, right=range(1, len(head))), ""]
        lines += [f"- {_WORDS[s][zh]}" for s in scores]
        if (u := self.uncertainty) is not None:
            lines += ["", f"y = {self.value:.6g} ± {u.sd:.3g}" + ("；二阶：" if zh else "; to second order ")
                      + f"{u.mean2:.6g} ± {u.sd2:.3g}"]  # fmt: skip
        return "\n".join(lines)

    def tornado(self) -> Any:
        """matplotlib's figure of y with each input one standard deviation lower and higher, the longest bars on top.

        Raises ValueError if no uncertainties were given.
        """
        if not self.bars:
            raise ValueError("a tornado plot needs uncertainties: sensitivity(f, ..., sd=[...])")
        figure = load("matplotlib.figure", "explain", "a plot").Figure(
            figsize=(6.5, 1 + 0.45 * len(self.names)), layout="constrained"
        )
        axes = figure.subplots()
        order = sorted(range(len(self.names)), key=lambda i: abs(self.bars[i][1] - self.bars[i][0]))
        for row, i in enumerate(order):
            for end, colour in zip(self.bars[i], ("#5a7db0", "#c8553d"), strict=True):
                axes.barh(row, end - self.value, left=self.value, color=colour, height=0.7)
        axes.axvline(self.value, color="#444444", lw=1)
        axes.set_yticks(range(len(order)), [self.names[i] for i in order])
        axes.set_xlabel("y")
        return figure

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__


def sensitivity(
    f: Callable[..., Any], *point: Any, sd: Any = None, covariance: Any = None, baseline: Any = 0.0,
    lang: Language | None = None,
) -> Sensitivity:  # fmt: skip
    """How much each input of ``f`` matters at a point, by four scores, and what their uncertainty makes of the result.

    ``f``, a function or a module, takes numbers or tensors, as ``point`` has them, and gives one number; entries of tensors
    count as inputs.  Tensors keep their dtype, and numbers are float64.
    ``sd`` are the inputs' standard deviations, one or one each, taken as independent; or ``covariance`` is their matrix.
    ``baseline`` is where integrated gradients begin, one number or one each.

    Raises ValueError for a result that is not one number, and uncertainties of the wrong number or sign.

    >>> from chainrule.explain import sensitivity
    >>> s = sensitivity(lambda a, b: a**2 * b, 3.0, 2.0, sd=[0.1, 0.2])
    >>> s.derivative.tolist(), s.elasticity.tolist()
    ([12.0, 9.0], [2.0, 1.0])
    >>> round(s.uncertainty.sd**2, 6), s.uncertainty.shares.round(4).tolist()
    (4.68, [0.3077, 0.6923])
    """
    arrays = [np.asarray(p.detach().numpy() if isinstance(p, Tensor) else p, float) for p in point]
    kinds = [p.dtype if isinstance(p, Tensor) and p.is_floating_point() else float64 for p in point]
    names = _named(f, arrays)
    x = np.concatenate([a.ravel() for a in arrays]) if arrays else np.zeros(0)
    if not x.size:
        raise ValueError("give the function its arguments: sensitivity(f, 3.0, 2.0)")
    ends = np.cumsum([a.size for a in arrays])

    def g(v: Any) -> Any:
        parts = [v[e - a.size : e].reshape(a.shape).to(d) for a, e, d in zip(arrays, ends, kinds, strict=True)]
        y = tensor_result(f(*parts))
        if y.numel() != 1:
            raise ValueError(f"the result has shape {list(y.shape)}: reduce it to one number, as y.sum()")
        return y.reshape(()).to(float64)

    def slope(at: Any) -> Any:
        return func.grad(g)(tensor(at, dtype=float64)).detach().numpy()

    value, d = g(tensor(x, dtype=float64)).item(), slope(x)
    start = np.broadcast_to(np.asarray(baseline, float), x.shape)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    mean = sum(w / 2 * slope(start + (t + 1) / 2 * (x - start)) for t, w in zip(nodes, weights, strict=True))
    spread = _covariance(sd, covariance, x.size)
    uncertainty, bars = None, []
    if spread is not None:
        hessian = func.hessian(g)(tensor(x, dtype=float64)).detach().numpy()
        uncertainty = _propagated(value, d, hessian, spread)
        for i, step in enumerate(np.sqrt(np.diag(spread))):
            move = np.eye(x.size)[i] * step
            low, high = (g(tensor(x + s * move, dtype=float64)).item() for s in (-1, 1))
            bars.append((low, high))
    elasticity = x * d / value if value else np.full(x.size, math.nan)
    return Sensitivity(names, x, value, d, x * d, elasticity, (x - start) * mean, uncertainty, bars, known(lang))


def _named(f: Callable[..., Any], arrays: Sequence[np.ndarray[Any, Any]]) -> list[str]:
    try:
        parameters = signature(f).parameters.values()
        titles = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    except (TypeError, ValueError):
        titles = []
    titles += [f"x{i + 1}" for i in range(len(titles), len(arrays))]
    return [
        f"{title}{list(at) if at else ''}"
        for title, a in zip(titles, arrays, strict=False)
        for at in np.ndindex(a.shape)
    ]


def _covariance(sd: Any, covariance: Any, n: int) -> Any:
    if sd is not None and covariance is not None:
        raise ValueError("give sd or covariance, not both: the covariance holds the standard deviations")
    if sd is not None:
        spread = np.asarray(sd, float)
        if spread.shape not in ((), (n,)) or not (spread >= 0).all():
            raise ValueError(f"sd must be one number, or {n}, none of them negative")
        return np.diag(np.broadcast_to(spread, (n,)) ** 2)
    if covariance is None:
        return None
    matrix = np.asarray(covariance, float)
    if matrix.shape != (n, n) or not np.allclose(matrix, matrix.T):
        raise ValueError(f"covariance must be a symmetric matrix of shape [{n}, {n}]")
    if np.linalg.eigvalsh(matrix).min() < -1e-9 * abs(matrix).max():
        raise ValueError("covariance has a negative eigenvalue: no inputs vary so")
    return matrix


def _propagated(value: float, d: Any, hessian: Any, spread: Any) -> Uncertainty:
    """First order from the gradient; second order from the Hessian too, with the moments of normal inputs."""
    first = float(d @ spread @ d)
    turned = hessian @ spread
    second = first + float(np.trace(turned @ turned)) / 2
    shares = d * (spread @ d) / first if first else np.zeros(d.size)
    return Uncertainty(math.sqrt(first), value + float(np.trace(turned)) / 2, math.sqrt(max(second, 0.0)), shares)
