"""A line fitted to noisy points around y = 2x + 1, by gradient descent."""

from __future__ import annotations

import numpy as np
from common import BLUE, GREY, RED, check, new_figure, output_folder, save

import chainrule as torch
from chainrule import nn

EPOCHS = 100


class LinearRegression(nn.Module):
    """y = weight * x + bias."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x):
        return self.linear(x)


def main() -> None:
    folder = output_folder(__doc__)
    torch.manual_seed(0)  # PyTorch draws the same points and the same first weights from this seed
    x = torch.rand(100, 1) * 10
    y = 2 * x + 1 + torch.randn(100, 1)

    model = LinearRegression()
    losses = train(model, x, y)
    weight, bias = model.linear.weight.item(), model.linear.bias.item()
    print(f"\n{model}\nfitted: y = {weight:.4f} x + {bias:.4f}, from points around y = 2 x + 1")
    check("the last loss, PyTorch's for this seed", losses[-1], 0.9801)
    check("weight and bias, PyTorch's for this seed", [weight, bias], [2.0589, 0.4918])
    best = np.polyfit(x.numpy().ravel(), y.numpy().ravel(), 1)
    print(f"least squares, where gradient descent is heading: y = {best[0]:.4f} x + {best[1]:.4f}")
    draw(folder / "05_linear_regression.png", x, y, model, losses)


def train(model, x, y) -> list[float]:
    """Gradient descent; the loss before each step."""
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for epoch in range(1, EPOCHS + 1):
        loss = criterion(model(x), y)
        optimizer.zero_grad()  # or backward would add to the gradients of the last epoch
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if epoch % 10 == 0:
            print(f"Epoch [{epoch}/{EPOCHS}], Loss: {loss.item():.4f}")
    return losses


def draw(path, x, y, model, losses) -> None:
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    ends = torch.tensor([[0.0], [10.0]])
    with torch.no_grad():
        line = model(ends)
    left.scatter(x.numpy(), y.numpy(), s=18, color=RED, alpha=0.7, linewidths=0, label="data, around 2x + 1")
    left.plot(ends.numpy(), 2 * ends.numpy() + 1, color=GREY, linewidth=1.2, linestyle="--", label="y = 2x + 1")
    weight, bias = model.linear.weight.item(), model.linear.bias.item()
    left.plot(ends.numpy(), line.numpy(), color=BLUE, label=f"fitted, y = {weight:.2f}x + {bias:.2f}")
    left.set(xlabel="x", ylabel="y", title="the line found", xlim=(0, 10))
    left.legend()
    right.semilogy(range(1, len(losses) + 1), losses, color=BLUE)
    right.set(xlabel="epoch", ylabel="mean squared error", title="the way there")
    save(figure, path)


if __name__ == "__main__":
    main()
