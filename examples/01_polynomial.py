"""The derivative of a polynomial: by hand, by autograd, and as a slope one can see."""

from __future__ import annotations

from common import BLUE, GOLD, RED, check, new_figure, output_folder, save

import chainrule as torch


def f(x):
    return 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5


def slope_by_hand(x):
    """Each power comes down as a factor: 5x^4 becomes 20x^3, and so on."""
    return 20 * x**3 + 9 * x**2 + 14 * x + 9


def main() -> None:
    folder = output_folder(__doc__)

    print("f(x) = 5x^4 + 3x^3 + 7x^2 + 9x - 5, at x = 2")
    print(f"by hand:   f'(x) = 20x^3 + 9x^2 + 14x + 9, so f'(2) = {slope_by_hand(2)}")

    x = torch.tensor(2.0, requires_grad=True)  # a number whose gradient is wanted
    y = f(x)  # the value, and behind it the graph of how it came about
    y.backward()  # back through the graph, from y to x
    print(f"autograd:  f(2) = {y.item():g}, and x.grad = {x.grad}")
    check("f(2)", y.item(), 145)
    check("f'(2)", x.grad.item(), 233)

    old = torch.autograd.Variable(torch.Tensor([2]), requires_grad=True)  # as programs from before 2018 say it
    f(old).backward()
    print(f"old style: x.grad = {old.grad}")
    check("f'(2), old style", old.grad.item(), 233)

    step = 1e-6
    measured = (f(2 + step) - f(2 - step)) / (2 * step)
    print(f"measured:  between x = 2 - {step:g} and x = 2 + {step:g} f rises by {measured:.6f} per unit of x")
    check("the measured slope", measured, 233)

    # One backward gives the slope at many points: each element of the sum depends on its own x alone.
    xs = torch.linspace(-1, 3, 200, requires_grad=True)
    f(xs).sum().backward()
    check("f' on [-1, 3]", xs.grad.numpy(), slope_by_hand(xs.detach().numpy()))
    draw(folder / "01_polynomial.png", xs)


def draw(path, xs) -> None:
    figure = new_figure(7, 5.5)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    at, values, slopes = xs.detach().numpy(), f(xs.detach()).numpy(), xs.grad.numpy()
    top.plot(at, values, color=BLUE, label="f(x)")
    top.axline((2, 145), slope=233, color=GOLD, linestyle="--", label="tangent at x = 2, slope 233")
    top.plot(2, 145, "o", color="black", zorder=3)
    top.set(title="f(x) = 5x⁴ + 3x³ + 7x² + 9x − 5", ylabel="f(x)", ylim=(-60, 600))
    top.legend()
    bottom.plot(at, slopes, color=RED, label="f′(x), by autograd")
    bottom.plot(2, 233, "o", color="black", zorder=3)
    bottom.annotate("f′(2) = 233", (2, 233), (-8, 8), textcoords="offset points", ha="right")
    bottom.set(xlabel="x", ylabel="f′(x)", xlim=(-1, 3))
    bottom.legend()
    save(figure, path)


if __name__ == "__main__":
    main()
