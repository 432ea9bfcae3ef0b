"""Options, groups and hooks of optimizers beside PyTorch's: defaults, texts, warnings and errors."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from lines import Lines
from optim_lines import NAMES, leaf, make, outcome, same, stepped

import chainrule

torch = pytest.importorskip("torch")
nan = float("nan")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


@pytest.mark.parametrize("name", NAMES)
def test_defaults_texts_and_saved_states(name: str) -> None:
    same(lambda t: make(t, name).defaults)
    same(lambda t: repr(make(t, name)))
    if name != "LBFGS":  # whose direction PyTorch keeps beside a list that it only works with
        same(lambda t: stepped(make(t, name), 2).state_dict())
    same(lambda t: stepped(make(t, name)).param_groups[0].keys())


BAD: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": -1.0}), ("SGD", {"momentum": -0.5}), ("SGD", {"weight_decay": -1}), ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.5, "dampening": 0.5}), ("SGD", {"fused": True, "differentiable": True}),
    ("SGD", {"fused": True, "foreach": True}), ("SGD", {"betas": 1}),
    ("Adam", {"lr": -1}), ("Adam", {"lr": nan}), ("Adam", {"eps": -1e-3}), ("Adam", {"betas": (1.0, 0.5)}),
    ("Adam", {"betas": (0.5, 1.0)}), ("Adam", {"betas": (-0.1, 0.5)}), ("Adam", {"weight_decay": -0.1}),
    ("Adam", {"betas": (0, 0.5)}), ("Adam", {"fused": True, "differentiable": True}),
    ("Adam", {"fused": True, "foreach": True}), ("AdamW", {"lr": -1}), ("AdamW", {"decoupled_weight_decay": True}),
    ("Adamax", {"lr": -1}), ("Adamax", {"eps": -1}), ("Adamax", {"betas": (0.5, 2)}), ("Adamax", {"weight_decay": -1}),
    ("NAdam", {"lr": -1}), ("NAdam", {"eps": -1}), ("NAdam", {"betas": (2, 0.5)}), ("NAdam", {"weight_decay": -1}),
    ("NAdam", {"momentum_decay": -1}), ("RAdam", {"lr": -1}), ("RAdam", {"eps": -1}), ("RAdam", {"betas": (0.5, -1)}),
    ("RAdam", {"weight_decay": -1}), ("Adagrad", {"lr": -1}), ("Adagrad", {"lr_decay": -1}),
    ("Adagrad", {"weight_decay": -1}), ("Adagrad", {"initial_accumulator_value": -1}), ("Adagrad", {"eps": -1}),
    ("Adagrad", {"fused": True, "differentiable": True}), ("Adagrad", {"fused": True, "foreach": True}),
    ("Adadelta", {"lr": -1}), ("Adadelta", {"rho": 2}), ("Adadelta", {"eps": -1}), ("Adadelta", {"weight_decay": -1}),
    ("RMSprop", {"lr": -1}), ("RMSprop", {"eps": -1}), ("RMSprop", {"momentum": -1}), ("RMSprop", {"weight_decay": -1}),
    ("RMSprop", {"alpha": -1}), ("Rprop", {"lr": -1}), ("Rprop", {"etas": (1.5, 2)}), ("Rprop", {"etas": (0, 2)}),
    ("ASGD", {"lr": -1}), ("ASGD", {"weight_decay": -1}), ("LBFGS", {"lr": -1}), ("Adafactor", {"lr": -1}),
    ("Adafactor", {"beta2_decay": 1}), ("Adafactor", {"eps": (-1, 1e-3)}), ("Adafactor", {"eps": (None, -1)}),
    ("Adafactor", {"d": 0.5}), ("Adafactor", {"weight_decay": -1}), ("Muon", {"lr": -1}), ("Muon", {"momentum": -1}),
    ("Muon", {"weight_decay": -1}), ("Muon", {"adjust_lr_fn": "other"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), BAD)
def test_refused_options(name: str, options: dict[str, Any]) -> None:
    (result, _) = outcome(lambda t: make(t, name, **options), chainrule)
    assert isinstance(result, list) and result[0].endswith("Error"), "PyTorch refuses this"
    if "unexpected keyword" not in result[1]:  # Python's own words, in which PyTorch's class has a longer name
        same(lambda t: make(t, name, **options))


@pytest.mark.parametrize(
    "lines",
    [
        lambda t: make(t, "Adam", lr=t.tensor([0.1, 0.2])),
        lambda t: make(t, "SGD", lr=t.tensor([0.1, 0.2])),
        lambda t: make(t, "Muon", lr=t.tensor([0.1, 0.2])),
        lambda t: make(t, "Adafactor", lr=t.tensor([0.1, 0.2])),
        lambda t: make(t, "LBFGS", lr=t.tensor([0.1, 0.2])),
        lambda t: make(t, "Adam", lr=t.tensor(0.1), foreach=True),
        lambda t: make(t, "Adam", betas=(t.tensor(0.9), 0.99)),
        lambda t: make(t, "Adam", betas=(t.tensor(0.9), t.tensor([0.9, 0.9]))),
        lambda t: make(t, "Adam", betas=(t.tensor([0.9, 0.9]), t.tensor(0.9))),
        lambda t: make(t, "Adam", betas=(t.tensor(0.9), t.tensor(0.99)), foreach=True),
        lambda t: make(t, "Muon", [leaf(t, 3)]),
        lambda t: stepped(make(t, "Muon", [leaf(t, 2, 2, dtype="complex64")])),
        lambda t: stepped(make(t, "Muon", ns_steps=100)),
        lambda t: stepped(make(t, "Muon", ns_coefficients=(1.0, 2.0))),
        lambda t: stepped(make(t, "Adafactor", [leaf(t, 2, 2, dtype="complex64")])),
        lambda t: make(t, "LBFGS", [{"params": [leaf(t)]}, {"params": [leaf(t)]}]),
        lambda t: stepped(make(t, "LBFGS", line_search_fn="other")),
        *[lambda t, name=name: stepped(make(t, name, capturable=True)) for name in
          ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adadelta", "RMSprop", "Rprop", "ASGD")],
        *[lambda t, name=name: stepped(make(t, name, [leaf(t, dtype="complex64")], fused=True, lr=0.1)) for name in
          ("SGD", "Adam", "AdamW", "Adagrad")],
        *[lambda t, name=name: stepped(make(t, name, foreach=True, differentiable=True)) for name in
          ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adadelta", "RMSprop", "Rprop", "ASGD", "Adagrad")],
        lambda t: stepped(make(t, "SGD", differentiable=True)),
        lambda t: stepped(make(t, "Adam", differentiable=True)),
    ],
)  # fmt: skip
def test_refused_tensors_and_ways(lines: Lines) -> None:
    result, _ = same(lines)
    assert result[0].endswith("Error")


@pytest.mark.parametrize(
    "lines",
    [
        lambda t: t.optim.SGD(leaf(t)),
        lambda t: t.optim.SGD([]),
        lambda t: t.optim.SGD([1.0]),
        lambda t: t.optim.SGD(["weight"]),
        lambda t: t.optim.SGD([leaf(t) * 2]),
        lambda t: t.optim.SGD([{"params": {leaf(t)}}]),
        lambda t: t.optim.SGD([("a", leaf(t)), leaf(t)]),
        lambda t: t.optim.SGD([{"lr": 1}]),
        lambda t: t.optim.SGD([leaf(t)]).add_param_group([leaf(t)]),
        lambda t: t.optim.SGD([("a", leaf(t))]).add_param_group({"params": [leaf(t)]}),
        lambda t: t.optim.SGD([leaf(t)]).add_param_group({"params": [("a", leaf(t))]}),
        lambda t: t.optim.SGD([("a", leaf(t))]).state_dict(),
        lambda t: t.optim.SGD([p := leaf(t), p]).param_groups[0]["lr"],
        lambda t: [t.optim.SGD([p := leaf(t)]), p][0].add_param_group({"params": p}),
        lambda t: t.optim.SGD(t.nn.Linear(1, 1).named_parameters()).param_groups[0]["param_names"],
        lambda t: t.optim.Optimizer([leaf(t)], {"lr": submodule(t).required}),
        lambda t: t.optim.Optimizer([leaf(t)], {}).step(),
        lambda t: t.optim.SGD([leaf(t)]).load_state_dict({"state": {}, "param_groups": []}),
        lambda t: t.optim.SGD([leaf(t)]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
        lambda t: t.optim.SGD([leaf(t)]).step(lambda: 3),
        lambda t: t.optim.LBFGS([leaf(t)]).step(lambda: 3),
        lambda t: stepped(t.optim.Adam([leaf(t), leaf(t, grad=False)])).state_dict(),
        lambda t: stepped(t.optim.SGD([leaf(t)], momentum=0.0)).state_dict(),
        lambda t: stepped(t.optim.Adagrad([leaf(t, grad=False), leaf(t, dtype="complex64")])).state_dict(),
    ],
)
def test_groups_and_what_is_no_parameter(lines: Lines) -> None:
    same(lines)


def submodule(t: Any) -> Any:
    return importlib.import_module(f"{t.__name__}.optim.optimizer")


def hooked(t: Any) -> list[Any]:
    p, seen = leaf(t), []
    o = t.optim.SGD([p], lr=0.5)
    module = submodule(t)
    handles = [
        o.register_step_post_hook(lambda *a: seen.append("own after")),
        module.register_optimizer_step_post_hook(lambda *a: seen.append("all after")),
        module.register_optimizer_step_pre_hook(lambda *a: seen.append("all before")),
        o.register_step_pre_hook(lambda *a: seen.append(("own before", len(a), len(a[1]), a[2]))),
        o.register_state_dict_pre_hook(lambda *a: seen.append(len(a))),
        o.register_state_dict_post_hook(lambda o, d: {**d, "more": 1}),
        o.register_load_state_dict_pre_hook(lambda o, d: seen.append(d["more"])),
        o.register_load_state_dict_post_hook(lambda o: seen.append("loaded")),
    ]
    o.step()
    o.load_state_dict(o.state_dict())
    for h in handles:
        h.remove()
    o.step()
    return seen


def test_hooks() -> None:
    same(hooked)

    def changing(t: Any) -> Any:
        o = t.optim.SGD([leaf(t)], lr=0.5)
        o.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
        return o.step()

    same(changing)

    def wrong(t: Any) -> Any:
        o = t.optim.SGD([leaf(t)], lr=0.5)
        o.register_step_pre_hook(lambda o, args, kwargs: 3)
        return o.step()

    result, _ = outcome(wrong, chainrule)
    assert result[0] == outcome(wrong, torch)[0][0]
    assert result[1].endswith("must return None or a tuple of (new_args, new_kwargs), but got 3.")
