"""Groups of an optimiser, and its state: saved, loaded, copied."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import chainrule as torch
from chainrule.optim import SGD, Optimizer
from chainrule.optim.optimizer import required
from parameters import leaf, numbers, with_grad

pytestmark = pytest.mark.usefixtures("own_generator")


def test_a_required_option_must_be_given_in_each_group() -> None:
    assert repr(required) == "<required parameter>"
    assert Optimizer([{"params": [leaf(1.0)], "lr": 3}], {"lr": required}).param_groups[0]["lr"] == 3
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        Optimizer([leaf(1.0)], {"lr": required})


def test_a_refused_group_leaves_no_trace() -> None:
    x = leaf(1.0)
    optimizer = SGD([x])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [x]})
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        optimizer.add_param_group({"params": [x * 2]})
    assert len(optimizer.param_groups) == 1


def test_an_empty_list_of_parameters_is_explained() -> None:
    parameters = iter(())
    with pytest.raises(ValueError, match=r"optimizer got an empty parameter list\n.*nn\.ModuleList"):
        SGD(parameters)


def test_names_are_kept() -> None:
    optimizer = SGD(torch.nn.Linear(1, 1).named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="cannot add param group without names"):
        optimizer.add_param_group({"params": [leaf(1.0)]})


def test_state_goes_out_and_comes_back() -> None:
    x, y = with_grad(leaf(1.0), 2.0), with_grad(leaf(1.0, 1.0), 2.0, 4.0)
    first = SGD([{"params": [x]}, {"params": [y], "lr": 0.5}], lr=0.1, momentum=0.5)
    first.step()
    saved = first.state_dict()
    assert saved["param_groups"][1]["params"] == [1]
    assert {k: numbers(v["momentum_buffer"]) for k, v in saved["state"].items()} == {0: [2.0], 1: [2.0, 4.0]}

    a, b = with_grad(leaf(1.0, dtype=torch.float32), 2.0), with_grad(leaf(1.0, 1.0), 2.0, 4.0)
    second = SGD([{"params": [a]}, {"params": [b]}], lr=7, momentum=0.1)
    second.load_state_dict(copy.deepcopy(saved))
    assert [g["lr"] for g in second.param_groups] == [0.1, 0.5]
    assert second.state[a]["momentum_buffer"].dtype is torch.float32
    second.step()
    assert numbers(second.state[a]["momentum_buffer"]) == [3.0]
    assert numbers(first.state[x]["momentum_buffer"]) == [2.0]


def test_a_loaded_state_has_memory_of_its_own() -> None:
    x, y = with_grad(leaf(1.0), 2.0), with_grad(leaf(1.0), 2.0)
    first, second = torch.optim.Adam([x]), torch.optim.Adam([y])
    first.step()
    second.load_state_dict(first.state_dict())
    second.step()
    assert (first.state[x]["step"].item(), second.state[y]["step"].item()) == (1, 2)
    assert numbers(first.state[x]["exp_avg"]) == pytest.approx([0.2])


def test_the_tensors_of_a_state_stay_the_same() -> None:
    x = with_grad(leaf(1.0), 2.0)
    optimizer = torch.optim.Adam([x])
    optimizer.step()
    held, view = optimizer.state_dict()["state"][0]["exp_avg"], optimizer.state[x]["exp_avg"].numpy()
    optimizer.step()
    assert numbers(held) == view.tolist() == pytest.approx([0.38])
    assert held._version == 2


@pytest.mark.parametrize("way", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_of_an_optimizer(way: Any) -> None:
    x = with_grad(leaf(1.0), 2.0)
    optimizer = SGD([x], lr=0.1, momentum=0.5)
    optimizer.step()
    twin = way(optimizer)
    (y,) = twin.param_groups[0]["params"]
    assert y is not x
    with_grad(y, 1.0)
    twin.step()
    assert numbers(twin.state[y]["momentum_buffer"]) == [2.0]
    assert numbers(x) == [0.8]


def test_hooks_around_a_state() -> None:
    x = leaf(1.0)
    optimizer, seen = SGD([x], lr=0.5), []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, d: {**d, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append(d.pop("note")))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("first"), prepend=True)
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    assert seen == ["saving", 1, "first", "loaded"]
    assert state["note"] == 1
