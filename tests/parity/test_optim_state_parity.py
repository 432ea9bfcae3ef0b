"""States of optimizers: taken up by the other library, of older versions, copied, lent to other parameters."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from optim_lines import NAMES, converted, leaf, make, outcome, same, stepped

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


@pytest.mark.parametrize("back", [False, True], ids=["from PyTorch", "to PyTorch"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
def test_a_state_is_taken_up_by_the_other_library(name: str, back: bool) -> None:
    """Three steps with one, two more with either, give the same."""
    first, second = (chainrule, torch) if back else (torch, chainrule)
    options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}

    def start(t: Any) -> Any:
        params = [t.tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True) for _ in range(2)]
        return params, make(t, name, [{"params": params[:1], "lr": 0.01}, {"params": params[1:]}], lr=0.02, **options)

    def go_on(t: Any, params: Any, o: Any, steps: int) -> None:
        def closure() -> Any:
            o.zero_grad()
            loss = sum(((p - i) ** 4).sum() for i, p in enumerate(params))
            loss.backward()
            return loss

        for _ in range(steps):
            closure() if name != "LBFGS" else None
            o.step(*([closure] if name == "LBFGS" else []))

    if name == "LBFGS":

        def start(t: Any) -> Any:
            params = [t.tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True) for _ in range(2)]
            return params, t.optim.LBFGS(params, lr=0.1, max_iter=4)

    params, o = start(first)
    go_on(first, params, o, 3)
    others, other = start(second)
    other.load_state_dict(converted(o.state_dict(), second))
    for p, q in zip(params, others, strict=True):
        q.data = second.from_numpy(p.detach().numpy().copy())
    go_on(first, params, o, 2)
    go_on(second, others, other, 2)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-9, atol=1e-9)


def test_old_states_with_numbers_for_tensors() -> None:
    def lines(t: Any) -> Any:
        o = stepped(t.optim.NAdam([leaf(t)]))
        state = o.state_dict()
        state["state"][0].update(step=5, mu_product=0.25)
        for group in state["param_groups"]:
            del group["decoupled_weight_decay"], group["maximize"], group["foreach"]
        o.load_state_dict(state)
        return stepped(o).state_dict()

    def asgd(t: Any) -> Any:
        o = stepped(t.optim.ASGD([leaf(t)]))
        o.load_state_dict({**o.state_dict(), "state": {0: {"step": 3, "eta": 0.125, "mu": 1, "ax": t.ones(2)}}})
        return stepped(o).state_dict()

    def adam(t: Any) -> Any:
        o = stepped(t.optim.AdamW([leaf(t)]))
        state = o.state_dict()
        state["state"][0]["step"] = 7
        state["param_groups"][0] = {"params": [0], "lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
        o.load_state_dict(state)
        return stepped(o).state_dict()

    for case in (lines, asgd, adam):
        ours, theirs = (sorted(map(str, outcome(case, t)[0])) for t in (chainrule, torch))
        assert ours == theirs


@pytest.mark.parametrize("way", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies(way: Any) -> None:
    def lines(t: Any) -> Any:
        o = way(stepped(t.optim.Adam([leaf(t)])))
        o.param_groups[0]["params"][0].grad = t.ones(2)
        return stepped(o).state_dict()

    same(lines)


def swapped(t: Any, change: Any = lambda params, state: (params, state), first: int = 1) -> Any:
    p, q = leaf(t), leaf(t)
    o = stepped(t.optim.Adam([p]), first)
    params, state = change({"p": q}, copy.deepcopy(o.state_dict()))
    with t.optim.swap_in_optimizer_params_and_state(o, params, state):
        o.param_groups[0]["lr"] = 0.5
        o.step()
        inside = [o.param_groups[0]["params"][0] is q, *o.state[q].values()]
    o.step()
    return [p, q, inside, o.state_dict(), state]


@pytest.mark.parametrize(
    "change",
    [
        lambda p, s: (p, s), lambda p, s: (p, 3), lambda p, s: (p, {**s, "state": 3}), lambda p, s: ({}, s),
        lambda p, s: (p, {**s, "state": {p["p"]: {}}}), lambda p, s: (p, {**s, "state": {0: 3}}),
        lambda p, s: (p, {**s, "param_groups": 3}), lambda p, s: (p, {**s, "param_groups": []}),
        lambda p, s: (p, {**s, "param_groups": [3]}), lambda p, s: (p, {**s, "param_groups": [{"params": ["a"]}]}),
        lambda p, s: (p, {**s, "param_groups": [{"params": [0, 1]}]}), lambda p, s: (p, {**s, "state": {7: {}}}),
        lambda p, s: (p, {**s, "param_groups": [{"params": [0], "more": 1}]}),
    ],
)  # fmt: skip
def test_an_optimizer_lent_to_other_parameters(change: Any) -> None:
    same(lambda t: swapped(t, change))
    same(lambda t: swapped(t, change, first=0))
