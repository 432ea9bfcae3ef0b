"""The picture of a derivative: a curve with its tangent, or level lines with the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..explain.differences import Array
from ..explain.expression import Expression
from ..extras import load
from .derive import NoAnswerError, symbol
from .partials import table

_COLOURS: Final = ("#1f5fa8", "#c8553d", "#2f8f5b", "#8a5aa8")
_PANELS: Final = 3  # derivatives drawn
_ACCENT: Final = "#e0a030"
_STYLE: Final = {
    "figure.dpi": 150, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e4e4", "axes.edgecolor": "#888888", "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def draw(formula: Expression, at: Mapping[str, float], order: int, file: str) -> Path:
    """Write the picture of a formula of one or two variables around a point to an image file; returns its path.

    Raises NoAnswerError for more variables and for a kind of file that matplotlib does not write.
    """
    if len(at) > 2:
        raise NoAnswerError(f"--plot draws formulas of one or two variables, not of {len(at)}")
    path = Path(file) if Path(file).suffix else Path(f"{file}.png")
    figure_class = load("matplotlib.figure", "explain", "--plot").Figure
    with load("matplotlib", "explain", "--plot").rc_context(_STYLE):
        figure = figure_class(figsize=(7, 6), layout="compressed")
        if len(at) == 1:
            _curves(figure, formula, at, min(order, _PANELS))
        else:
            _levels(figure, formula, at)
        try:
            figure.savefig(path)
        except ValueError as error:
            raise NoAnswerError(f"--plot {file}: {error}") from error
    return path


def _curves(figure: Any, formula: Expression, at: Mapping[str, float], order: int) -> None:
    """The function with its tangent above, and below it a panel for each derivative."""
    ((name, x),) = at.items()
    xs = np.append(_around(x, _reach(at)), x)
    found = table(formula, {name: xs}, order)
    panels = figure.subplots(len(found), 1, sharex=True, squeeze=False, height_ratios=[2, *[1] * (len(found) - 1)])
    for panel, (orders, values), colour in zip(panels[:, 0], found.items(), _COLOURS, strict=False):
        low, high = _limits(values)
        with np.errstate(invalid="ignore"):
            drawn = abs(values - (low + high) / 2) < 2 * (high - low)  # no line across a pole
        drawn &= np.isfinite(found[(0,)])  # a slope may have a formula where the function has no value
        panel.plot(xs[:-1], np.where(drawn, values, np.nan)[:-1], color=colour, lw=2)
        panel.axvline(x, color="#bbbbbb", lw=1, ls=":")
        here = f"{values[-1]:.6g} at {name} = {x:.6g}"
        panel.plot(x, values[-1], "o", color="black", ms=5, zorder=3, label=here)
        panel.set_ylim(low, high)
        panel.set_ylabel(symbol(at, orders) if any(orders) else "f")
        panel.legend(loc="best")
    top, slope = panels[0, 0], found[(1,)][-1]
    top.axline((x, found[(0,)][-1]), slope=slope, color=_ACCENT, lw=1.5, ls="--", label=f"tangent, slope {slope:.6g}")
    top.legend(loc="best")
    top.set_title(_title(formula, at))
    panels[-1, 0].set_xlabel(name)
    panels[-1, 0].set_xlim(xs[0], xs[-2])


def _levels(figure: Any, formula: Expression, at: Mapping[str, float]) -> None:
    """Level lines, with the gradient at the point: across them, towards larger values."""
    (name_u, u), (name_v, v) = at.items()
    reach = _reach(at)
    grid_u, grid_v = np.meshgrid(_around(u, reach), _around(v, reach))
    values = table(formula, {name_u: grid_u, name_v: grid_v}, 0)[(0, 0)]
    here = table(formula, {name_u: np.array([u]), name_v: np.array([v])}, 1)
    gradient = np.array([here[(1, 0)][0], here[(0, 1)][0]])
    axes = figure.subplots()
    levels = load("matplotlib.ticker", "explain", "--plot").MaxNLocator(24).tick_values(*_limits(values))
    shades = axes.contourf(grid_u, grid_v, values, levels=levels, cmap="viridis", extend="both")
    axes.contour(shades, colors="white", linewidths=0.4, alpha=0.6)
    figure.colorbar(shades, label="f")
    if gradient.any():
        tip = np.array([u, v]) + gradient / np.linalg.norm(gradient) * reach * 0.45
        arrow = {"arrowstyle": "-|>", "color": _ACCENT, "lw": 2.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 18}
        axes.annotate("", tip, (u, v), arrowprops=arrow)
    text = f"gradient ({gradient[0]:.6g}, {gradient[1]:.6g})"
    axes.plot(u, v, "o", color="white", mec="black", ms=7, label=text)
    axes.legend(loc="lower right", frameon=True, facecolor="white", framealpha=0.9)
    axes.set(xlabel=name_u, ylabel=name_v, aspect="equal", title=_title(formula, at))
    axes.grid(False)


def _reach(at: Mapping[str, float]) -> float:
    """How far to draw on each side of the point."""
    return max(1.0, *map(abs, at.values()))


def _around(x: float, reach: float) -> Array:
    return np.linspace(x - reach, x + reach, 401)


def _limits(values: Array) -> tuple[float, float]:
    """Limits of an axis that show the values, without the spikes beside a pole."""
    finite = values[np.isfinite(values)]
    low, quarter, three_quarters, high = np.quantile(finite, [0, 0.25, 0.75, 1])
    spread = 8 * (three_quarters - quarter) or 1.0
    low, high = max(low, quarter - spread), min(high, three_quarters + spread)
    margin = 0.06 * (high - low) or 1.0  # a constant needs some room too
    return low - margin, high + margin


def _title(formula: Expression, at: Mapping[str, float]) -> str:
    text = f"f({', '.join(at)}) = {formula.unparse()}"
    return text if len(text) <= 80 else f"{text[:77]}..."
