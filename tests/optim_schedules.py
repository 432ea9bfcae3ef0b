"""Every schedule with its options, and a run of each: what the tests with and without PyTorch have in common."""

from __future__ import annotations

import json
from typing import Any

Build = Any  # (t.optim.lr_scheduler, optimizer, t) -> a schedule


class Halving:
    """A callable object, whose attributes a schedule saves."""

    def __init__(self) -> None:
        self.rate = 0.5

    def __call__(self, n: float) -> float:
        return float(self.rate**n)


SCHEDULES: dict[str, Build] = {
    "LambdaLR": lambda s, o, t: s.LambdaLR(o, lambda n: 0.9**n),
    "LambdaLR-list": lambda s, o, t: s.LambdaLR(o, [lambda n: 1 / (n + 1), Halving()]),
    "MultiplicativeLR": lambda s, o, t: s.MultiplicativeLR(o, lambda n: 0.9 + 0.01 * n),
    "MultiplicativeLR-object": lambda s, o, t: s.MultiplicativeLR(o, Halving()),
    "StepLR": lambda s, o, t: s.StepLR(o, 3, 0.3),
    "StepLR-1": lambda s, o, t: s.StepLR(o, 1),
    "MultiStepLR": lambda s, o, t: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.3),
    "ConstantLR": lambda s, o, t: s.ConstantLR(o),
    "ConstantLR-0.7": lambda s, o, t: s.ConstantLR(o, factor=0.7, total_iters=3),
    "LinearLR": lambda s, o, t: s.LinearLR(o),
    "LinearLR-down": lambda s, o, t: s.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=7),
    "ExponentialLR": lambda s, o, t: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o, t: s.PolynomialLR(o),
    "PolynomialLR-2": lambda s, o, t: s.PolynomialLR(o, total_iters=8, power=2.0),
    "CosineAnnealingLR": lambda s, o, t: s.CosineAnnealingLR(o, 5),
    "CosineAnnealingLR-min": lambda s, o, t: s.CosineAnnealingLR(o, T_max=3, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda s, o, t: s.CosineAnnealingWarmRestarts(o, 4),
    "CosineAnnealingWarmRestarts-2": lambda s, o, t: s.CosineAnnealingWarmRestarts(o, 2, T_mult=2, eta_min=0.01),
    "CyclicLR": lambda s, o, t: s.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "CyclicLR-2": lambda s, o, t: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 3, 2, "triangular2"),
    "CyclicLR-exp": lambda s, o, t: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "CyclicLR-scale": lambda s, o, t: s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda x: 0.8**x, scale_mode="iterations"),
    "CyclicLR-object": lambda s, o, t: s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=Halving()),
    "OneCycleLR": lambda s, o, t: s.OneCycleLR(o, 0.3, total_steps=20),
    "OneCycleLR-linear": lambda s, o, t: s.OneCycleLR(
        o, [0.3, 0.1], epochs=4, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.25, div_factor=5.0,
        final_div_factor=10.0, base_momentum=0.5, max_momentum=[0.9, 0.8],
    ),
    "OneCycleLR-three": lambda s, o, t: s.OneCycleLR(o, 0.3, total_steps=20, three_phase=True, cycle_momentum=False),
    "SequentialLR": lambda s, o, t: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9), s.LinearLR(o, 0.5, total_iters=4)], [3, 7]
    ),
    "SequentialLR-warm": lambda s, o, t: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 6)], milestones=[4]
    ),
    "ChainedScheduler": lambda s, o, t: s.ChainedScheduler([s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]),
    "ChainedScheduler-optimizer": lambda s, o, t: s.ChainedScheduler([s.StepLR(o, 2), s.MultiStepLR(o, [3])], o),
    "SWALR": lambda s, o, t: t.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=4),
    "SWALR-linear": lambda s, o, t: t.optim.swa_utils.SWALR(o, [0.05, 0.5], 3, "linear"),
    "SWALR-0": lambda s, o, t: t.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=0),
}  # fmt: skip
PLATEAUS: dict[str, dict[str, Any]] = {
    "default": {"patience": 2},
    "max": {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.1, "cooldown": 2},
    "abs": {"threshold_mode": "abs", "patience": 0, "threshold": 0.05, "min_lr": [0.02, 0.1]},
    "max-abs": {"mode": "max", "threshold_mode": "abs", "patience": 1, "min_lr": 0.01, "eps": 0.1, "factor": 0.3},
}
MEASURES = [1.0, 0.9, 0.95, 0.92, 0.93, 0.91, 0.5, 0.49, 0.495, 0.5, 0.7, float("nan"), 0.6, 0.4, 0.41, 0.42, 0.45, 0.5]
STEPS = 14
ADAMS = ("CyclicLR-2", "OneCycleLR")  # also with betas in place of momentum


def optimizer(t: Any, name: str = "SGD", tensor: bool = False) -> Any:
    """Two groups with rates of their own, which may be tensors."""
    params = [t.ones(2).requires_grad_() for _ in range(2)]
    rates = [t.tensor(r, dtype=t.float64) if tensor else r for r in (0.1, 0.2)]
    groups = [{"params": [p], "lr": r} for p, r in zip(params, rates, strict=True)]
    return t.optim.Adam(groups) if name == "Adam" else t.optim.SGD(groups, lr=0.3, momentum=0.9)


def numbers(o: Any) -> list[float]:
    """What schedules change: of each group the rate and what stands for momentum."""
    found = []
    for group in o.param_groups:
        found += [float(group["lr"]), float(group["betas"][0] if "betas" in group else group["momentum"])]
    return found


def plain(value: Any) -> Any:
    """A state with its numbers rounded, and tensors as numbers."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in sorted(value.items(), key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return float(f"{value:.12g}") if isinstance(value, float) else value


def outcome(t: Any, name: str) -> list[Any]:
    """A run as JSON has it."""
    kind, _, name = name.partition(" ")
    found = run_plateau(t, name) if kind == "plateau" else run(t, name, kind, state=True)
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


CASES: dict[str, str] = {
    name: name
    for name in [
        *[f"SGD {name}" for name in SCHEDULES],
        *[f"Adam {name}" for name in ADAMS],
        *[f"plateau {name}" for name in PLATEAUS],
    ]
}


def run(t: Any, name: str, optimizer_name: str = "SGD", tensor: bool = False, state: bool = False) -> list[Any]:
    """The numbers at each step of a schedule, and at the end its state."""
    o = optimizer(t, optimizer_name, tensor)
    scheduler = SCHEDULES[name](t.optim.lr_scheduler, o, t)
    found: list[Any] = [numbers(o)]
    for _ in range(STEPS):
        o.step()
        scheduler.step()
        found.append(numbers(o))
        assert [float(x) for x in scheduler.get_last_lr()] == [float(g["lr"]) for g in o.param_groups]
    return [*found, plain(scheduler.state_dict())] if state else found


def run_plateau(t: Any, name: str) -> list[Any]:
    o = optimizer(t)
    scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(o, **PLATEAUS[name])
    found: list[Any] = []
    for measure in MEASURES:
        o.step()
        scheduler.step(measure)
        found.append([*numbers(o), scheduler.num_bad_epochs, scheduler.cooldown_counter])
    return [*found, plain(scheduler.state_dict())]
