"""The gradients of one neuron and of two, against the formulas; and the chain rule with numbers put in."""

from __future__ import annotations

import numpy as np
from common import BLUE, RED, check, new_figure, output_folder, save

import chainrule as torch
import chainrule.nn.functional as F


def main() -> None:
    folder = output_folder(__doc__)
    torch.manual_seed(4)
    one = neurons(torch.randn(1, 10), torch.randn(1, 10, requires_grad=True), expected=[0.5362])
    two = neurons(torch.randn(1, 10), torch.rand(2, 10, requires_grad=True), expected=[0.6456, 0.4000])
    draw(folder / "04_perceptrons.png", one, two)
    chain_rule()


def neurons(x, w, expected):
    """Sigmoid neurons that see the same ten inputs and should all answer 1; returns the gradient of their weights."""
    count = len(w)
    o = torch.sigmoid(x @ w.t())
    loss = F.mse_loss(o, torch.ones(1, count))
    loss.backward()
    print(f"{count} neuron{'s' * (count > 1)}: output {o.detach()}, loss {loss.item():.4f}")

    check("the output, PyTorch's for this seed", o.detach().numpy(), expected)

    # Link by link: the mean square, the sigmoid o(1 - o), the sum of inputs times weights.
    answer, inputs = o.detach().numpy(), x.numpy()
    by_hand = (2 / count * (answer - 1) * answer * (1 - answer)).T * inputs
    check("d loss / d w", w.grad.numpy(), by_hand)
    print(f"  {w.numel()} gradients, each as the formula 2/{count} (o - 1) o (1 - o) x has it")
    return w.grad.numpy()


def chain_rule() -> None:
    x = torch.tensor(1.0)
    w1, w2 = torch.tensor(2.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    b1 = b2 = torch.tensor(1.0)
    y1 = x * w1 + b1
    y2 = y1 * w2 + b2

    def slope(of, by) -> float:
        return torch.autograd.grad(of, by, retain_graph=True)[0].item()

    print("\ny1 = x w1 + b1 and y2 = y1 w2 + b2, with x = 1, w1 = w2 = 2, b1 = b2 = 1:")
    print(f"  dy2/dy1 * dy1/dw1 = {slope(y2, y1):g} * {slope(y1, w1):g} = {slope(y2, y1) * slope(y1, w1):g}")
    print(f"  dy2/dw1           = {slope(y2, w1):g}, in one go")
    check("the chain rule", slope(y2, y1) * slope(y1, w1), slope(y2, w1))
    check("dy2/dw1", slope(y2, w1), 2)


def draw(path, one, two) -> None:
    figure = new_figure(8, 4)
    left, right = figure.subplots(1, 2, sharey=True)
    inputs = np.arange(10)
    left.bar(inputs, one[0], color=BLUE)
    right.bar(inputs - 0.2, two[0], width=0.4, color=BLUE, label="first neuron")
    right.bar(inputs + 0.2, two[1], width=0.4, color=RED, label="second neuron")
    right.legend()
    for axes, title in ((left, "one neuron"), (right, "two neurons")):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(title=f"d loss / d w, {title}", xlabel="weight of input", xticks=inputs)
        axes.grid(axis="x", visible=False)
    save(figure, path)


if __name__ == "__main__":
    main()
