"""What the examples share: where pictures go, how they look, and the check that a number is right."""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from chainrule.explain import fonts

BLUE, RED, GREEN, GOLD, GREY = "#1f5fa8", "#c8553d", "#2f8f5b", "#e0a030", "#9aa0a6"

mpl.rcParams.update({
    "figure.dpi": 150, "font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "axes.edgecolor": "#888888", "grid.color": "#e4e4e4",
    "legend.frameon": False, "lines.linewidth": 2,
})  # fmt: skip


def output_folder(description: str) -> Path:
    """The folder for pictures, from ``--out`` (``plots`` unless given); made if it is not there."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path("plots"), help="the folder for pictures (plots)")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check(what: str, got: Any, expected: Any, tolerance: float = 1e-4) -> None:
    """End the program with exit status 1 unless the numbers are as expected."""
    if not np.allclose(got, expected, rtol=tolerance, atol=tolerance):
        sys.exit(f"WRONG: {what} should be {expected}, and is {got}")


def new_figure(width: float = 7, height: float = 4.5) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path)
    print(f"saved {path}")


@cache
def words(chinese: str, english: str) -> str:
    """A label in Chinese where this machine has a font for it, otherwise in English."""
    if fonts.prepare() is not None:
        return chinese
    print(f"(a label is {english!r} and not {chinese!r}: {fonts.ADVICE})", file=sys.stderr)
    return english
