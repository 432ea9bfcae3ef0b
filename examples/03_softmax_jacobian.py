"""Two ways to ask for a gradient, and the Jacobian of softmax, row by row."""

from __future__ import annotations

import numpy as np
from common import BLUE, check, new_figure, output_folder, save

import chainrule as torch
import chainrule.nn.functional as F


def main() -> None:
    folder = output_folder(__doc__)
    torch.manual_seed(0)
    two_ways()
    jacobian_of_softmax(folder / "03_softmax_jacobian.png")


def two_ways() -> None:
    """A model x*w that says 2 where the truth is 1: its squared error is 1, and falls as w does."""
    x, target = torch.ones(1), torch.ones(1)
    w = torch.full((1,), 2.0)
    try:
        torch.autograd.grad(F.mse_loss(x * w, target), w)
    except RuntimeError as error:
        print(f"w does not require a gradient, so there is none:\n  {str(error).splitlines()[0]}")

    w.requires_grad_()
    loss = F.mse_loss(x * w, target)  # anew: the graph is recorded while computing
    (returned,) = torch.autograd.grad(loss, w)  # returns the gradient, and leaves w.grad alone
    check("w.grad after autograd.grad is None", w.grad is None, True)
    loss = F.mse_loss(x * w, target)
    loss.backward()  # returns nothing, and adds the gradient to w.grad
    print(f"loss {loss.item():g}; autograd.grad returns {returned}, backward leaves w.grad = {w.grad}")
    check("the loss", loss.item(), 1)
    check("d loss / d w", [returned.item(), w.grad.item()], [2, 2])


def jacobian_of_softmax(path) -> None:
    """dp[i]/da[j] is p[i](1 - p[i]) for i = j and -p[i]p[j] otherwise."""
    a = torch.rand(3, requires_grad=True)
    p = F.softmax(a, dim=0)
    print(f"\na = {a.tolist()}\np = softmax(a) = {p.tolist()}")
    # Three sweeps through one graph: the first two must keep it for the next.
    rows = [torch.autograd.grad(p[i], a, retain_graph=i < 2)[0] for i in range(3)]
    jacobian = torch.stack(rows)
    print(f"dp[i]/da[j] =\n{jacobian}")

    q = p.detach().numpy()
    check("the Jacobian", jacobian.numpy(), np.diag(q) - np.outer(q, q))
    check("its rows sum to 0, for softmax sums to 1", jacobian.sum(1).numpy(), 0)
    at_once = torch.func.jacrev(lambda t: F.softmax(t, dim=0))(a.detach())
    check("the Jacobian by torch.func.jacrev", at_once.numpy(), jacobian.numpy())
    check("PyTorch's numbers for this seed", jacobian[0].numpy(), [0.2230, -0.1480, -0.0750])

    figure = new_figure(8, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    left.bar(range(3), q, color=BLUE, width=0.6)
    left.set(title="p = softmax(a)", xticks=range(3), xticklabels=[f"p{i}" for i in range(3)], ylim=(0, 0.5))
    left.grid(axis="x", visible=False)
    for i, height in enumerate(q):
        left.text(i, height + 0.01, f"{height:.3f}", ha="center")
    matrix = jacobian.numpy()
    shades = right.imshow(matrix, cmap="RdBu_r", vmin=-0.25, vmax=0.25)
    for (i, j), value in np.ndenumerate(matrix):
        right.text(j, i, f"{value:+.3f}", ha="center", va="center", color="white" if abs(value) > 0.17 else "black")
    right.set(
        title="its Jacobian: dp[i] / da[j]", xticks=range(3), xticklabels=[f"a{j}" for j in range(3)],
        yticks=range(3), yticklabels=[f"p{i}" for i in range(3)],
    )  # fmt: skip
    right.grid(False)
    right.spines[:].set_visible(False)
    figure.colorbar(shades, ax=right)
    save(figure, path)


if __name__ == "__main__":
    main()
