"""What the training examples share: epochs with a checkpoint after each, going on from one, and the learning curve."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chainrule as torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import BLUE, RED, new_figure, save


def options(description: str, epochs: int) -> argparse.ArgumentParser:
    """The command line that both examples understand."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help=f"how often all data are gone through ({epochs})")
    parser.add_argument("--out", type=Path, default=Path("plots"), help="the folder for picture and checkpoint (plots)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    return parser


class Training:
    """A model on its way: what is needed to go on as if it had never stopped."""

    def __init__(self, name: str, folder: Path, model: Any, optimizer: Any, scheduler: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.folder = name, folder
        self.parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        self.history: list[dict[str, float]] = []

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.name}.pt"

    def store(self) -> None:
        """Everything that the next epoch depends on: weights, optimiser, learning rate, and the random stream."""
        state = {name: part.state_dict() for name, part in self.parts.items()}
        torch.save({**state, "random": torch.get_rng_state(), "history": self.history}, self.checkpoint)

    def restore(self) -> None:
        state = torch.load(self.checkpoint)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        self.history = state["history"]

    def run(self, epochs: int, epoch: Callable[[], dict[str, float]], resume: bool) -> None:
        """Train until ``epochs`` are done; ``epoch`` trains for one, and gives what is to be drawn."""
        if resume:
            self.restore()
        while len(self.history) < epochs:
            self.history.append(epoch())
            self.parts["scheduler"].step()
            said = ", ".join(f"{what} {value:.4f}" for what, value in self.history[-1].items())
            print(f"epoch {len(self.history)}: {said}")
            self.store()
        self.draw()

    def draw(self) -> None:
        """The learning curve: the loss, and beside it the accuracy where there is one."""
        figure = new_figure()
        axes = figure.add_subplot()
        epochs = range(1, len(self.history) + 1)
        axes.plot(epochs, [h["loss"] for h in self.history], color=BLUE, marker=".")
        axes.set(xlabel="epoch", title=self.name.replace("_", ", "))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel("loss", color=BLUE)
        axes.set_ylim(bottom=0)
        if "accuracy" in self.history[0]:
            right = axes.twinx()
            right.plot(epochs, [h["accuracy"] for h in self.history], color=RED, marker=".")
            right.set_ylabel("accuracy on unseen digits", color=RED)
            right.grid(visible=False)
        save(figure, self.folder / f"{self.name}.png")
