"""Plots of a function and its derivatives: curves with tangent, extrema and inflections; surfaces with gradients."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..extras import load
from ..language import Language, known
from . import fonts
from .curves import POINTS, Array, Mark, gradients, marks, orders_of
from .names import by_position, required

COLOURS: Final = ("#1f5fa8", "#c8553d", "#2f8f5b", "#8a5aa8", "#7a6a2f", "#4a4a4a")
ACCENT: Final = "#e0a030"
STYLE: Final = {
    "figure.dpi": 150, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e4e4", "axes.edgecolor": "#888888", "axes.axisbelow": True, "legend.frameon": False,
    "axes.unicode_minus": False,
}  # fmt: skip
GRID: Final = 61
ARROWS: Final = 13
MAX_ORDER: Final = 20
WORDS: Final = {
    "maximum": ("maximum", "极大值"), "minimum": ("minimum", "极小值"), "inflection": ("inflection", "拐点"),
    "tangent": ("tangent at {x:.6g}, slope {slope:.6g}", "{x:.6g} 处的切线，斜率 {slope:.6g}"),
    "gradient": ("gradient ({a:.4g}, {b:.4g}) at ({u:.4g}, {v:.4g})", "({u:.4g}, {v:.4g}) 处的梯度 ({a:.4g}, {b:.4g})"),
}  # fmt: skip
_SHAPES: Final = {"maximum": "^", "minimum": "v", "inflection": "D"}


class Plot:
    """A plot that was drawn.  ``figure`` is matplotlib's; ``marks`` are the extrema and inflections found."""

    def __init__(self, figure: Any, found: list[Mark]) -> None:
        self.figure, self.marks = figure, found

    def save(self, file: str | Path) -> Path:
        """Write it, in the format of the file's ending; returns the path."""
        path = Path(file) if Path(file).suffix else Path(f"{file}.png")
        self.figure.savefig(path)
        return path

    def _repr_png_(self) -> bytes:
        held = io.BytesIO()
        self.figure.savefig(held, format="png")
        return held.getvalue()

    def __repr__(self) -> str:
        return f"Plot({', '.join(f'{m.kind} at {m.x:.6g}' for m in self.marks)})"


def plot(
    f: Callable[..., Any], range: Sequence[Any] | None = None, *, orders: Sequence[int] = (0, 1, 2), at: Any = None,
    lang: Language | None = None,
) -> Plot:  # fmt: skip
    """Draw a function of one variable with its derivatives, or one of two variables with its gradients.

    ``f`` takes 0-d tensors and gives one.  ``range`` is ``(low, high)``, by default around ``at`` or -3 to 3; for two
    variables a pair of those.  ``orders`` are the derivatives drawn, a panel each, 0 being ``f`` itself; ``at`` is where
    the tangent is drawn, or, with two variables, the gradient.  Extrema and inflections are marked where derivatives up
    to the order of 2 are among ``orders``.

    Raises ValueError for a range that is empty, not finite, or without a finite value of ``f``, and for orders that are
    negative or above 20.

    >>> import chainrule as torch
    >>> from chainrule.explain import plot
    >>> plot(lambda x: x**3 - 3 * x, (-2, 2), at=1.5)
    Plot(maximum at -1, minimum at 1, inflection at 0)
    """
    language = known(lang)
    matplotlib = load("matplotlib", "explain", "a plot")
    two, f = _variables(f, range) == 2, by_position(f)
    with matplotlib.rc_context(STYLE):
        if fonts.prepare() is None:
            language = "en"  # no font here has Chinese characters, and boxes say nothing
        if two:
            return _surface(f, range, at, language)
        return _curves(f, range, orders, at, language)


def _variables(f: Callable[..., Any], range: Any) -> int:
    if range is not None and len(range) == 2 and all(isinstance(r, Sequence) for r in range):
        return 2
    return min(2, max(1, len(_names(f))))


def _interval(given: Any, at: float | None) -> tuple[float, float]:
    reach = 3.0 if at is None else max(1.0, abs(at))
    middle = 0.0 if at is None else at
    low, high = (middle - reach, middle + reach) if given is None else map(float, given)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"range must be (low, high) with low < high, both finite, not ({low:g}, {high:g})")
    return low, high


def _say(language: Language, key: str, **values: Any) -> str:
    return WORDS[key][language == "zh"].format(**values)


def _curves(f: Any, given: Any, orders: Sequence[int], at: Any, language: Language) -> Plot:
    if not orders or min(orders) < 0 or max(orders) > MAX_ORDER:
        raise ValueError(f"orders must be from 0 to {MAX_ORDER}, not {tuple(orders)}")
    x = None if at is None else float(at)
    low, high = _interval(given, x)
    xs = np.linspace(low, high, POINTS)
    values = orders_of(f, xs, max(orders))
    if not np.isfinite(values[0]).any():
        raise ValueError(f"the function has no finite value from {low:g} to {high:g}: choose another range")
    found = marks(f, xs, values[:3])
    figure = load("matplotlib.figure", "explain", "a plot").Figure(
        figsize=(7, 2.2 + 1.6 * len(orders)), layout="constrained"
    )
    panels = figure.subplots(len(orders), 1, sharex=True, squeeze=False)[:, 0]
    for panel, order in zip(panels, orders, strict=True):
        _panel(panel, xs, values, order, found if order == 0 else [], language)
        if x is not None:
            here = orders_of(f, [x], max(order, 1))
            panel.axvline(x, color="#bbbbbb", lw=1, ls=":")
            panel.plot(x, here[order, 0], "o", color="black", ms=5, zorder=4)
            if order == 0 and np.isfinite(here[:2, 0]).all():
                label = _say(language, "tangent", x=x, slope=here[1, 0])
                panel.axline((x, here[0, 0]), slope=here[1, 0], color=ACCENT, lw=1.5, ls="--", label=label)
        if panel.get_legend_handles_labels()[1]:
            panel.legend(loc="best", fontsize=8)
    name = next(iter(_names(f)), "x")
    panels[-1].set_xlabel(name)
    panels[-1].set_xlim(low, high)
    return Plot(figure, found)


def _panel(panel: Any, xs: Array, values: Array, order: int, found: list[Mark], language: Language) -> None:
    y = values[order]
    low, high = limits(y)
    with np.errstate(invalid="ignore"):
        drawn = abs(y - (low + high) / 2) < 2 * (high - low)  # no line across a pole
    panel.plot(xs, np.where(drawn & np.isfinite(values[0]), y, np.nan), color=COLOURS[order % len(COLOURS)], lw=2)
    if order:
        panel.axhline(0, color="#bbbbbb", lw=0.8)
    for kind, shape in _SHAPES.items():
        if some := [m for m in found if m.kind == kind]:
            where = ", ".join(f"{m.x:.4g}" for m in some[:4]) + (", …" if len(some) > 4 else "")
            panel.plot([m.x for m in some], [m.y for m in some], shape, color="black", mfc="white", ms=6, zorder=5,
                       label=f"{_say(language, kind)}: {where}")  # fmt: skip
    panel.set_ylim(low, high)
    primes = "f" + "′" * order if order <= 3 else f"f⁽{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(d)] for d in str(order))}⁾"
    panel.set_ylabel(primes)


def limits(values: Array) -> tuple[float, float]:
    """Limits of an axis that show the values, without the spikes beside a pole."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return -1.0, 1.0
    low, quarter, three_quarters, high = np.quantile(finite, [0, 0.25, 0.75, 1])
    spread = 8 * (three_quarters - quarter) or 1.0
    low, high = max(low, quarter - spread), min(high, three_quarters + spread)
    margin = 0.08 * (high - low) or 1.0  # a constant needs some room too
    return float(low - margin), float(high + margin)


def _names(f: Callable[..., Any]) -> list[str]:
    try:
        return [p.name for p in required(f)]
    except (TypeError, ValueError):
        return []


def _surface(f: Any, given: Any, at: Any, language: Language) -> Plot:
    points = (None, None) if at is None else tuple(map(float, at))
    ranges = (None, None) if given is None else given
    (a, b), (c, d) = (_interval(r, p) for r, p in zip(ranges, points, strict=True))
    us, vs = np.meshgrid(np.linspace(a, b, GRID), np.linspace(c, d, GRID))
    values, _, _ = gradients(f, us, vs)
    if not np.isfinite(values).any():
        raise ValueError("the function has no finite value there: choose another range")
    low, high = limits(np.ravel(values))
    shown = np.where((values >= low) & (values <= high), values, np.nan)
    figure = load("matplotlib.figure", "explain", "a plot").Figure(figsize=(11, 5), layout="constrained")
    space = figure.add_subplot(1, 2, 1, projection="3d")
    space.locator_params(nbins=5)  # so that numbers along the slanted axes keep apart
    space.plot_surface(us, vs, shown, cmap="viridis", alpha=0.9, linewidth=0)
    plane = figure.add_subplot(1, 2, 2)
    plane.contourf(us, vs, shown, levels=24, cmap="viridis")
    gu, gv = np.meshgrid(np.linspace(a, b, ARROWS + 2)[1:-1], np.linspace(c, d, ARROWS + 2)[1:-1])
    _, du, dv = gradients(f, gu, gv)
    if du.any() or dv.any():
        plane.quiver(gu, gv, du, dv, color="white", edgecolor="#333333", linewidth=0.3, width=0.005, angles="xy")
    if 0.2 < (d - c) / (b - a) < 5:
        plane.set_aspect("equal")  # so that arrows stand at right angles to the level lines
    names = (*_names(f), "x", "y")[:2] if len(_names(f)) >= 2 else ("x", "y")
    if None not in points:
        u, v = float(points[0]), float(points[1])  # type: ignore[arg-type]
        y, ga, gb = (float(p) for p in gradients(f, np.array(u), np.array(v)))
        label = _say(language, "gradient", a=ga, b=gb, u=u, v=v)
        size = np.hypot(ga, gb)
        if size > 0:
            reach = 0.25 * min(b - a, d - c) / size
            arrow = {"arrowstyle": "-|>", "color": ACCENT, "lw": 2.5, "shrinkA": 0, "shrinkB": 0}
            plane.annotate("", (u + ga * reach, v + gb * reach), (u, v), arrowprops=arrow)
        plane.plot(u, v, "o", color="white", mec="black", ms=7, label=label)
        space.plot([u], [v], [y], "o", color="black", ms=6, zorder=9)
        plane.legend(loc="upper left", frameon=True, facecolor="white", framealpha=0.9, fontsize=8)
    plane.set(xlabel=names[0], ylabel=names[1], xlim=(a, b), ylim=(c, d))
    plane.grid(False)
    space.set(xlabel=names[0], ylabel=names[1], zlabel="f")
    return Plot(figure, [])
