"""A network that learns to write, character by character, from two poems of Lewis Carroll's (1871).

    python examples/training/characters.py
    python examples/training/characters.py --resume --epochs 30

About half a minute; it needs tqdm and matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm
from trainer import Training, options

import chainrule as torch
from chainrule import nn

TEXT = (Path(__file__).parent / "looking_glass.txt").read_text(encoding="utf-8")
LETTERS = sorted(set(TEXT))


class Writer(nn.Module):
    """The next character's scores after each character."""

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS), 32)
        self.lstm = nn.LSTM(32, size, batch_first=True)
        self.score = nn.Linear(size, len(LETTERS))

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        out, state = self.lstm(self.embed(x), state)
        return self.score(out), state


def write(model: Any, beginning: str, length: int) -> str:
    """``length`` more characters, each drawn from what the network thinks likely."""
    model.eval()
    text, state = beginning, None
    x = torch.tensor([[LETTERS.index(c) for c in beginning]])
    with torch.no_grad():
        for _ in range(length):
            scores, state = model(x, state)
            x = torch.multinomial(torch.softmax(scores[:, -1] / 0.7, dim=-1), 1)
            text += LETTERS[x.item()]
    return text


def main() -> None:
    parser = options(__doc__ or "", epochs=20)
    parser.add_argument("--batches", type=int, default=20, help="batches of an epoch (20)")
    args = parser.parse_args()
    torch.manual_seed(0)
    codes = torch.tensor([LETTERS.index(c) for c in TEXT])
    model = Writer()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
    criterion = nn.CrossEntropyLoss()
    training = Training("characters", args.out, model, optimizer, scheduler)

    def epoch(batch: int = 16, steps: int = 50) -> dict[str, float]:
        model.train()
        total = 0.0
        for _ in tqdm(range(args.batches), leave=False):
            starts = torch.randint(len(codes) - steps - 1, (batch,))
            rows = starts.unsqueeze(1) + torch.arange(steps + 1)
            piece = codes[rows]
            optimizer.zero_grad()
            scores, _ = model(piece[:, :-1])
            loss = criterion(scores.flatten(0, 1), piece[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        return {"loss": total / args.batches}

    training.run(args.epochs, epoch, args.resume)
    print(write(model, "The Walrus", 200))


if __name__ == "__main__":
    main()
