"""Every optimiser with its options, and a run of each: what the tests with and without PyTorch have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Options = dict[str, Any]


class Case(NamedTuple):
    """An optimiser with its options, and the dtype of what it moves."""

    name: str
    options: Options
    dtype: str = "float64"


COMMON: list[Options] = [{}, {"maximize": True}, {"weight_decay": 0.1}, {"maximize": True, "weight_decay": 0.1}]
ADAM: list[Options] = [
    {"lr": 0.01}, {"betas": (0.5, 0.9), "eps": 1e-3}, {"betas": (0.0, 0.0)}, {"betas": (0.3, 0.99)},
]  # fmt: skip
OPTIONS: dict[str, list[Options]] = {
    "SGD": [
        *COMMON, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.3},
        {"momentum": 0.9, "dampening": 1, "weight_decay": 0.1, "maximize": True},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"fused": True, "weight_decay": 0.1},
        {"foreach": True},
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
    "Muon": [
        {}, {"lr": 0.1, "weight_decay": 0.0}, {"nesterov": False, "momentum": 0.5}, {"adjust_lr_fn": "match_rms_adamw"},
        {"adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-3},
    ],
    "LBFGS": [
        {}, {"lr": 0.1}, {"lr": 0.5, "history_size": 3}, {"max_iter": 1}, {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "max_eval": 3}, {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2},
    ],
}  # fmt: skip
REAL_ONLY = ("Adafactor", "Muon")
DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = ((3, 4), (5,), (), (2, 3, 2))
SMALL = ((2, 3), (3,), ())  # for the recorded runs
MATRICES = ((3, 4), (5, 2), (4, 4))  # for Muon
CHECKED = (1, 2, 7, 100)  # after how many steps the numbers are compared


def label(case: Case) -> str:
    return " ".join([case.name, *[f"{k}={v}" for k, v in case.options.items()], case.dtype])


def filled(name: str, options: Options) -> Options:
    return {"lr": 0.01, **options} if name in ("SGD", "Adagrad") else options


CASES: dict[str, Case] = {
    label(case): case
    for name, several in OPTIONS.items()
    for case in [
        *[Case(name, filled(name, o)) for o in several],
        *([] if name in REAL_ONLY else [Case(name, filled(name, several[0]), "complex128")]),
    ]
}


def fits(case: Case) -> bool:
    """Whether PyTorch takes the case."""
    return not case.dtype.startswith("complex") or not (case.name in REAL_ONLY or case.options.get("fused"))


def _normal(draw: Any, shape: Any, dtype: str) -> Any:
    x = draw.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * draw.standard_normal(shape)
    return np.array(x).astype(dtype)


def run(t: Any, case: Case, shapes: Any = SHAPES, steps: int = CHECKED[-1]) -> dict[int, list[Any]]:
    """The parameters and the states after so many steps with the library ``t``.

    The gradient is that of a quadratic function, plus noise.  The second parameter has one only at every other step.
    """
    dtype, draw = case.dtype, np.random.default_rng(1)
    start = np.random.default_rng(0)
    params = [t.from_numpy(_normal(start, shape, dtype)).requires_grad_() for shape in shapes]
    optimizer = getattr(t.optim, case.name)(params, **case.options)
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
                found[step] += [value.numpy().copy() for _, value in sorted(optimizer.state.get(p, {}).items())]
    return found


def run_lbfgs(t: Any, case: Case, steps: int = 4) -> dict[int, list[Any]]:
    """The parameters after each step on a curved valley, and how often the function was evaluated."""
    start = [[-1.2, 1.0], [0.5 - 1j, 1 + 2j]] if case.dtype.startswith("complex") else [[-1.2, 1.0], [0.5]]
    params = [t.tensor(x, dtype=getattr(t, case.dtype), requires_grad=True) for x in start]
    optimizer = t.optim.LBFGS(params, **case.options)

    def closure() -> Any:
        optimizer.zero_grad()
        x, y = params
        valley = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss = (valley * valley.conj()).real.sqrt() if valley.is_complex() else valley
        loss = loss + ((y * y.conj()).real if y.is_complex() else y * y).sum()
        loss.backward()
        return loss

    found = {}
    for step in range(1, steps + 1):
        optimizer.step(closure)
        state = optimizer.state[params[0]]
        counts = [np.array(float(state[name])) for name in ("func_evals", "n_iter")]
        found[step] = [*[p.detach().numpy().copy() for p in params], *counts]
    return found


def outcome(t: Any, case: Case) -> dict[str, list[Any]]:
    """A run as JSON has it: after 2 steps and at the end, real numbers only."""
    if case.name == "LBFGS":
        found = run_lbfgs(t, case, 3)
    else:
        found = run(t, case, MATRICES if case.name == "Muon" else SMALL, 7 if case.name == "Muon" else 100)
    return {str(step): [real(x) for x in found[step]] for step in (2, max(found))}


def real(x: Any) -> list[float]:
    flat = np.asarray(x).reshape(-1)
    return (flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat).tolist()  # type: ignore[no-any-return]
