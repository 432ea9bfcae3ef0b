"""Draw the README's picture: ``python tools/readme_picture.py`` writes ``docs/assets/derivative.png``.

Every number in it is chainrule's own: the slope of the tangent is ``x.grad``, the lower curve ``vmap(grad(f))``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import chainrule as torch

FILE = Path(__file__).parents[1] / "docs" / "assets" / "derivative.png"
BLUE, RED, GOLD, INK, FAINT = "#1f5fa8", "#c8553d", "#d9961a", "#24292f", "#d8dee4"
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 12, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
    "xtick.color": "#57606a", "ytick.color": "#57606a", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#eef1f4", "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def f(x: Any) -> Any:
    return torch.sin(2 * x) * torch.exp(-(x**2) / 4)


def main() -> None:
    x = torch.tensor(1.0, requires_grad=True)
    y = f(x)
    y.backward()
    at, height, slope = x.item(), y.item(), x.grad.item()

    xs = torch.linspace(-3.6, 3.6, 601)
    ys, slopes = f(xs).numpy(), torch.func.vmap(torch.func.grad(f))(xs).numpy()
    grid = xs.numpy()

    plt.rcParams.update(STYLE)
    figure, (top, low) = plt.subplots(
        2, 1, figsize=(9, 5.6), sharex=True, height_ratios=[1.25, 1], layout="constrained"
    )
    top.plot(grid, ys, color=BLUE, lw=2.6)
    low.plot(grid, slopes, color=RED, lw=2.6)
    reach = 0.75
    top.plot([at - reach, at + reach], [height - slope * reach, height + slope * reach], color=GOLD, lw=2.6, zorder=4)
    for axes, value in ((top, height), (low, slope)):
        axes.axvline(at, color="#8c959f", lw=1, ls=(0, (2, 3)), zorder=1)
        axes.axhline(0, color="#c4ccd4", lw=1, zorder=1)
        axes.plot(at, value, "o", ms=9, color=INK, mec="white", mew=1.6, zorder=5)
        axes.set_xlim(grid[0], grid[-1])
        axes.tick_params(length=0)
    code = {"family": "DejaVu Sans Mono", "size": 11.5, "zorder": 6}
    for axes, colour, text in (
        (top, BLUE, "f = lambda x: torch.sin(2 * x) * torch.exp(-x**2 / 4)"),
        (low, RED, "torch.func.vmap(torch.func.grad(f))"),
    ):
        axes.text(0, 1.03, text, transform=axes.transAxes, va="bottom", color=colour, **code)
    top.text(at + 0.42, height + 0.06, f"f(x).backward()\nx.grad  # {x.grad!s}", va="bottom", color="#8a5d0c", **code)
    low.text(at - 0.14, slope, f"{slope:.4f}", ha="right", va="center", color=INK, **code)
    top.set_ylim(-1.05, 1.5)
    top.set_yticks([-1, 0, 1])
    low.set_ylim(-1.75, 2.3)
    low.set_xlabel("x")
    figure.get_layout_engine().set(w_pad=0.14, h_pad=0.14)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FILE, dpi=160, metadata={"Software": None})
    print(FILE)


if __name__ == "__main__":
    main()
