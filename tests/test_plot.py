"""Plots: the points that are marked are the right ones, and what is drawn is the function and its derivatives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import chainrule as torch
from chainrule.explain import fonts
from chainrule.explain.curves import gradients, orders_of

pytest.importorskip("matplotlib")
from chainrule.explain import plot


def test_orders_are_the_derivatives() -> None:
    xs = np.linspace(-2, 2, 9)
    found = orders_of(lambda x: torch.sin(2 * x), xs, 3)
    want = [np.sin(2 * xs), 2 * np.cos(2 * xs), -4 * np.sin(2 * xs), -8 * np.cos(2 * xs)]
    assert np.allclose(found, want)

    def branching(x: torch.Tensor) -> torch.Tensor:
        return x * x if x > 0 else -x

    assert np.allclose(orders_of(branching, [-1.0, 2.0], 1), [[1, 4], [-1, 4]])


def test_extrema_and_inflections() -> None:
    p = plot(lambda x: x**3 - 3 * x + 1, (-2.5, 2))
    assert [(m.kind, pytest.approx(m.x, abs=1e-9), pytest.approx(m.y, abs=1e-9)) for m in p.marks] == [
        ("maximum", -1, 3), ("minimum", 1, -1), ("inflection", 0, 1)]  # fmt: skip
    kinks = plot(lambda x: (x - 0.3).abs(), (-1, 1)).marks
    assert [(m.kind, pytest.approx(m.x)) for m in kinks] == [("minimum", 0.3)]


@pytest.mark.parametrize(
    "f", [lambda x: 1 / x, lambda x: x * 0 + 3, torch.exp, lambda x: torch.floor(x), lambda x: torch.log(x), lambda x: x**4],
    ids=["pole", "constant", "exp", "steps", "half", "flat minimum"],
)  # fmt: skip
def test_nothing_is_marked_that_is_not_there(f: object) -> None:
    kinds = [m.kind for m in plot(f, (-2, 2)).marks]
    assert kinds == (["minimum"] if f(torch.tensor(2.0)).item() == 16 else [])  # type: ignore[operator]


def test_curves_tangent_and_axes() -> None:
    p = plot(torch.sin, (0, 3), orders=(0, 2), at=1.0)
    top, second = p.figure.axes
    line = top.lines[0]
    assert np.allclose(line.get_ydata(), np.sin(line.get_xdata()))
    assert np.allclose(second.lines[0].get_ydata(), -np.sin(second.lines[0].get_xdata()))
    assert any("slope 0.540302" in text.get_text() for text in top.get_legend().get_texts())
    assert top.get_xlim() == (0, 3)


def test_a_surface_with_its_gradients() -> None:
    def f(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return u**2 * v

    y, du, dv = gradients(f, np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]]))
    assert np.allclose(y, [[3, -4]])
    assert np.allclose(du, [[6, -4]])
    assert np.allclose(dv, [[1, 4]])
    p = plot(f, ((-1, 1), (0, 2)), at=(0.5, 1.0))
    space, plane = p.figure.axes
    assert space.name == "3d"
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("u", "v")
    assert "gradient (1, 0.25) at (0.5, 1)" in plane.get_legend().get_texts()[0].get_text()
    assert plot(f).figure.axes[1].get_xlim() == (-3, 3)


def test_settings_are_put_back_and_files_written(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    p = plot(torch.exp, (-1, 1), orders=range(5))
    assert dict(matplotlib.rcParams) == before
    assert p.save(tmp_path / "exp").read_bytes().startswith(b"\x89PNG")
    assert p._repr_png_().startswith(b"\x89PNG")
    assert "⁽⁴⁾" in p.figure.axes[4].get_ylabel()


def test_chinese_only_where_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(lang: str) -> str:
        legend = plot(lambda x: x**2, (-1, 1), orders=(0, 1, 2), lang=lang).figure.axes[0].get_legend()  # type: ignore[arg-type]
        return str(legend.get_texts()[0].get_text())

    monkeypatch.setattr(fonts, "prepare", lambda: None)
    assert words("zh") == words("en") == "minimum: 0"
    monkeypatch.setattr(fonts, "prepare", lambda: "A font")
    assert words("zh").startswith("极小值")


@pytest.mark.parametrize("range_", [(1, 1), (2, 1), (0, math.inf), (math.nan, 1)])
def test_ranges_that_are_none(range_: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="range must be"):
        plot(torch.exp, range_)


def test_orders_that_are_none() -> None:
    for orders in ((), (-1,), (21,)):
        with pytest.raises(ValueError, match="orders must be from 0 to 20"):
            plot(torch.exp, orders=orders)


def test_a_function_that_gives_no_number_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"shape \[2\]: take y\[0\]"):
        plot(lambda x: torch.stack([x, x]), (-1, 1))
    with pytest.raises(TypeError, match="one tensor, not float"):
        plot(lambda x: math.sin(x), (-1, 1))
