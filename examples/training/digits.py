"""Handwritten digits, told apart by a multilayer perceptron or a small convolutional network.

    python examples/training/digits.py              # the perceptron; about ten seconds
    python examples/training/digits.py --model conv
    python examples/training/digits.py --resume --epochs 30

The 1797 images, 8 by 8 pixels, come with scikit-learn: pip install scikit-learn tqdm matplotlib.
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits
from tqdm import tqdm
from trainer import Training, options

import chainrule as torch
from chainrule import nn
from chainrule.utils.data import DataLoader, TensorDataset, random_split


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classify = nn.Linear(32 * 2 * 2, 10)

    def forward(self, x: Any) -> Any:
        return self.classify(self.features(x).flatten(1))


def digits() -> tuple[Any, Any]:
    """Images (n, 1, 8, 8) with numbers from 0 to 1, and what they show: 1437 to learn from, 360 to be tested by."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1) / 16
    train, test = random_split(TensorDataset(images, torch.tensor(found.target)), [1437, 360])
    return train, test


def accuracy(model: Any, loader: Any) -> float:
    """The part of the images that is told right."""
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main() -> None:
    parser = options(__doc__ or "", epochs=20)
    parser.add_argument("--model", choices=["mlp", "conv"], default="mlp")
    args = parser.parse_args()
    torch.manual_seed(0)
    train, test = digits()
    loader, unseen = DataLoader(train, batch_size=64, shuffle=True), DataLoader(test, batch_size=360)
    model = Perceptron() if args.model == "mlp" else Convolutional()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
    criterion = nn.CrossEntropyLoss()
    training = Training(f"digits_{args.model}", args.out, model, optimizer, scheduler)

    def epoch() -> dict[str, float]:
        model.train()
        total = 0.0
        for x, y in tqdm(loader, leave=False):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        return {"loss": total / len(train), "accuracy": accuracy(model, unseen)}

    training.run(args.epochs, epoch, args.resume)
    print(f"accuracy on unseen digits: {accuracy(model, unseen):.4f}")


if __name__ == "__main__":
    main()
