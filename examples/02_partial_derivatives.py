"""Slopes at a point, what a tensor knows of itself, partial derivatives, and a whole curve of slopes."""

from __future__ import annotations

import warnings

import numpy as np
from common import GOLD, GREEN, RED, check, new_figure, output_folder, save, words

import chainrule as torch


def main() -> None:
    folder = output_folder(__doc__)
    at_a_point()
    of_two_variables(folder / "02_gradient.png")
    at_many_points(folder / "02_function_and_derivative.png")


def at_a_point() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    y = 3 * x**2
    y.backward()
    print(f"y = 3x^2 at x = 3: y = {y.item():g}, dy/dx = {x.grad.item():g}")
    check("3x^2 at 3", y.item(), 27)
    check("its derivative", x.grad.item(), 18)

    print("\nx was made by us, a leaf of the graph; y was computed, and its grad_fn is the way back:")
    print(f"  {'':14} {'x':12} y")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # y.grad warns that only leaves keep their gradient, which is the lesson
        for name in ("data", "grad", "is_leaf", "requires_grad"):
            print(f"  {name:14} {getattr(x, name)!s:12} {getattr(y, name)!s}")
    print(f"  {'grad_fn':14} {x.grad_fn!s:12} {y.grad_fn.name()}")
    check("x and y are leaves", [x.is_leaf, y.is_leaf], [True, False])

    x = torch.tensor(3.0, requires_grad=True)
    y = 6 * x**2 + 2 * x + 4
    y.backward()
    print(f"\ny = 6x^2 + 2x + 4 at x = 3: y = {y.item():g}, dy/dx = 12x + 2 = {x.grad.item():g}")
    check("6x^2 + 2x + 4 at 3", y.item(), 64)
    check("its derivative", x.grad.item(), 38)


def f(u, v):
    return u**3 + v**2 + 4 * u * v


def of_two_variables(path) -> None:
    u = torch.tensor(3.0, requires_grad=True)
    v = torch.tensor(4.0, requires_grad=True)
    value = f(u, v)
    value.backward()
    print(f"\nf(u, v) = u^3 + v^2 + 4uv at (3, 4): f = {value.item():g}")
    print(f"  df/du = 3u^2 + 4v = {u.grad.item():g}")
    print(f"  df/dv = 2v + 4u   = {v.grad.item():g}")
    check("f(3, 4)", value.item(), 91)
    check("its gradient", [u.grad.item(), v.grad.item()], [43, 20])

    us, vs = np.meshgrid(np.linspace(0, 6, 200), np.linspace(1, 7, 200))
    figure = new_figure(6.4, 5.4)
    axes = figure.subplots()
    shades = axes.contourf(us, vs, f(us, vs), levels=24, cmap="viridis")
    axes.contour(shades, colors="white", linewidths=0.4, alpha=0.6)
    figure.colorbar(shades, label="f(u, v)")
    tip = np.array([3, 4]) + 1.6 * np.array([43, 20]) / np.hypot(43, 20)
    axes.annotate("", tip, (3, 4), arrowprops={"arrowstyle": "-|>", "color": GOLD, "lw": 2.5, "shrinkA": 0})
    axes.plot(3, 4, "o", color="white", markeredgecolor="black", markersize=7)
    axes.annotate("gradient (43, 20)", (3, 4), (0, -18), textcoords="offset points", color="white", weight="bold")
    axes.set(xlabel="u", ylabel="v", title="f(u, v) = u³ + v² + 4uv rises fastest along its gradient", aspect="equal")
    axes.grid(False)
    save(figure, path)


def at_many_points(path) -> None:
    x = torch.linspace(-20, 20, 20, requires_grad=True)
    y = x**2
    y.sum().backward()  # the sum, for backward starts from one number; d(sum)/dx[i] = dy[i]/dx[i]
    print(f"\ny = x^2 at {len(x)} points from -20 to 20: dy/dx goes from {x.grad[0].item():g} to {x.grad[-1].item():g}")
    at, slopes = x.detach().numpy(), x.grad.numpy()
    check("the derivative of x^2 is 2x", slopes, 2 * at)

    figure = new_figure()
    axes = figure.subplots()
    function, derivative = words("函数 导数", "function derivative").split()
    axes.plot(at, y.detach().numpy(), "o-", color=RED, markersize=4, label=f"{function}  y = x²")
    axes.plot(at, slopes, "o-", color=GREEN, markersize=4, label=f"{derivative}  dy/dx = 2x")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="x")
    axes.legend(loc="upper center")
    save(figure, path)


if __name__ == "__main__":
    main()
