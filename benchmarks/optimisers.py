"""Steps of optimisers against PyTorch's, by default as it takes them: for loop on the CPU; and with ``fused=True``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from compare import Row, race

MLP = [(128, 64), (128,), (10, 128), (10,)]
SIZES = {"an MLP 64-128-10": MLP, "4 tiny": [(3, 2), (3,), (1, 3), (1,)], "100 of 64": [(64, 64), (64,)] * 50,
         "a million": [(1000, 1000)]}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3}, "SGD momentum": {"lr": 1e-3, "momentum": 0.9}, "Adam": {}, "AdamW": {}, "RMSprop": {},
    "Adagrad": {}, "NAdam": {}, "RAdam": {}, "Adamax": {}, "Adadelta": {}, "Rprop": {}, "ASGD": {},
}  # fmt: skip
# PyTorch has plain gradient descent as one operation; NumPy needs two.
GOALS = {("SGD", "100 of 64"): 0.6, ("SGD", "a million"): 0.4}


def stepper(t: Any, name: str, shapes: Any, **more: Any) -> Callable[[], Any]:
    """A step with gradients that stay."""
    rng = np.random.default_rng(0)
    params = [t.from_numpy(rng.standard_normal(s).astype(np.float32)).requires_grad_() for s in shapes]
    for p in params:
        p.grad = t.ones_like(p) * 0.1
    step: Callable[[], Any] = getattr(t.optim, name.split()[0])(params, **OPTIONS[name], **more).step
    return step


def rows(smoke: bool) -> Iterator[Row]:
    """The figures; at size 1 (``smoke``) only to see that everything still runs."""
    import torch

    import chainrule

    torch.set_num_threads(1)
    rounds, target = (1, 1e-6) if smoke else (15, 0.01)
    for size, shapes in SIZES.items():
        for name in OPTIONS if size == "an MLP 64-128-10" else ("SGD", "Adam"):
            here = [(1,)] if smoke else shapes
            times = race({"ours": stepper(chainrule, name, here), "peer": stepper(torch, name, here)}, rounds, target)
            yield Row(
                f"{name}, {size}",
                times["ours"],
                times["peer"],
                goal=0.5 if "SGD" in name and size != "an MLP 64-128-10" else 1,
            )
    here = [(1,)] if smoke else MLP
    for name in ("SGD", "Adam"):
        contestants = {"ours": stepper(chainrule, name, here), "peer": stepper(torch, name, here, fused=True)}
        times = race(contestants, rounds, target)
        yield Row(f"{name}, an MLP, PyTorch fused", times["ours"], times["peer"], goal=0.7)
