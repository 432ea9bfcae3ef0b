"""Every optimiser with its options, and a run of each: what the tests with and without PyTorch have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

Options = dict[str, Any]
Case = tuple[str, Options]

COMMON: list[Options] = [{}, {"maximize": True}, {"weight_decay": 0.1}, {"maximize": True, "weight_decay": 0.1}]
ADAM: list[Options] = [
    {"lr": 0.01}, {"betas": (0.5, 0.9), "eps": 1e-3}, {"betas": (0.0, 0.0)}, {"betas": (0.3, 0.99)},
]  # fmt: skip
CASES: list[Case] = [
    (name, {"lr": 0.01, **options} if name in ("SGD", "Adagrad") else options)
    for name, several in {
        "SGD": [
            *COMMON, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.3},
            {"momentum": 0.9, "dampening": 1, "weight_decay": 0.1, "maximize": True},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"fused": True, "weight_decay": 0.1}, {"foreach": True},
        ],
        "Adam": [
            *COMMON, *ADAM, {"amsgrad": True}, {"amsgrad": True, "weight_decay": 0.1, "maximize": True},
            {"decoupled_weight_decay": True, "weight_decay": 0.1}, {"fused": True}, {"foreach": True, "amsgrad": True},
        ],
        "AdamW": [{}, *ADAM, {"amsgrad": True}, {"maximize": True, "weight_decay": 0.5}, {"weight_decay": 0}],
        "Adamax": [*COMMON, *ADAM, {"foreach": True}],
        "NAdam": [*COMMON, *ADAM, {"momentum_decay": 0.1}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
        "RAdam": [*COMMON, *ADAM, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
        "Adagrad": [*COMMON, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.5, "eps": 1e-3}, {"fused": True}],
        "Adadelta": [*COMMON, {"rho": 0.5, "eps": 1e-3, "lr": 0.5}],
        "RMSprop": [
            *COMMON, {"alpha": 0.5, "eps": 1e-3}, {"momentum": 0.9}, {"centered": True, "eps": 1e-3},
            {"centered": True, "eps": 1e-3, "momentum": 0.5, "weight_decay": 0.1},
        ],
        "Rprop": [{}, {"maximize": True}, {"etas": (0.4, 1.5), "step_sizes": (1e-3, 0.05)}, {"lr": 0.1}],
        "ASGD": [*COMMON, {"lr": 0.1, "t0": 20}, {"lambd": 0.1, "alpha": 0.5, "t0": 0}],
        "Adafactor": [*COMMON, {"lr": 0.1, "beta2_decay": -0.5, "d": 2.0}, {"eps": (1e-6, 1e-2)}],
    }.items()
    for options in several
]  # fmt: skip
MUON: list[Options] = [
    {}, {"lr": 0.1, "weight_decay": 0.0}, {"nesterov": False, "momentum": 0.5}, {"adjust_lr_fn": "match_rms_adamw"},
    {"adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-3},
]  # fmt: skip
REAL_ONLY = ("Adafactor", "Muon")
DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = ((3, 4), (5,), (), (2, 3, 2))
CHECKED = (1, 2, 7, 100)  # after how many steps the numbers are compared


def label(case: Case) -> str:
    return "-".join([case[0], *[f"{k}={v}" for k, v in case[1].items()]])


def fits(case: Case, dtype: str) -> bool:
    """Whether PyTorch takes the case for parameters of this dtype."""
    return not dtype.startswith("complex") or not (case[0] in REAL_ONLY or case[1].get("fused"))


def start(dtype: str, shapes: Any = SHAPES) -> list[Any]:
    draw = np.random.default_rng(0)
    return [_normal(draw, shape, dtype) for shape in shapes]


def _normal(draw: Any, shape: Any, dtype: str) -> Any:
    x = draw.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * draw.standard_normal(shape)
    return np.array(x).astype(dtype)


def run(t: Any, case: Case, dtype: str, shapes: Any = SHAPES, steps: int = CHECKED[-1]) -> dict[int, list[Any]]:
    """The parameters and the states after so many steps with the library ``t``.

    The gradient is that of a quadratic function, plus noise.  The second parameter has one only at every other step.
    """
    name, options = case
    draw = np.random.default_rng(1)
    params = [t.from_numpy(x.copy()).requires_grad_() for x in start(dtype, shapes)]
    optimizer = getattr(t.optim, name)(params, **options)
    found = {}
    for step in range(1, steps + 1):
        for i, p in enumerate(params):
            noise = _normal(draw, p.shape, dtype)
            x = p.detach().numpy()
            p.grad = t.from_numpy(np.array((x * (0.5 + i) + 0.3 * noise).astype(dtype)))
            if i == 1 and step % 2:
                p.grad = None
        optimizer.step()
        if step in CHECKED:
            found[step] = [p.detach().numpy().copy() for p in params]
            for p in params:
                found[step] += [
                    value.numpy().copy() for _, value in sorted(optimizer.state.get(p, {}).items())
                ]  # fmt: skip
    return found
