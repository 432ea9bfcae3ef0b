"""Modules copied, saved and loaded, without PyTorch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import chainrule as torch
from chainrule import nn
from parameters import Net, numbers

pytestmark = pytest.mark.usefixtures("own_generator")


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_model_is_whole_and_its_own(way: Any) -> None:
    net = Net().eval()
    twin = way(net)
    assert type(twin) is Net
    assert not twin.training
    assert twin.first is twin.again
    assert twin.note == "plain"
    x = torch.ones(3, 2)
    assert numbers(twin(x)) == numbers(net(x))
    with torch.no_grad():
        twin.scale.fill_(0)
    assert numbers(net.scale) == 2.0
    assert twin.register_forward_hook(lambda *a: None)
    assert not net._forward_hooks


def test_a_state_without_newer_attributes_is_completed() -> None:
    net = nn.Linear(1, 1)
    state = {k: v for k, v in net.__dict__.items() if "hooks" not in k}
    old = nn.Linear.__new__(nn.Linear)
    old.__setstate__(state)
    assert numbers(old(torch.ones(1, 1))) == numbers(net(torch.ones(1, 1)))


def test_a_state_dict_shares_memory_and_its_copy_does_not() -> None:
    net = nn.Linear(1, 1, bias=False)
    live = net.state_dict()
    saved = copy.deepcopy(live)
    old = numbers(net.weight)
    with torch.no_grad():
        net.weight.add_(1)
    assert numbers(live["weight"]) == numbers(net.weight) != old
    assert not live["weight"].requires_grad
    net.load_state_dict(saved)
    assert numbers(net.weight) == old
    assert type(live) is type(saved)
    assert saved._metadata == {"": {"version": 1}}


def test_assign_takes_the_tensors_themselves() -> None:
    net = nn.Linear(1, 1)
    new = {"weight": torch.ones(1, 1, dtype=torch.float64), "bias": nn.Parameter(torch.ones(1))}
    net.load_state_dict(new, assign=True)
    assert str(net.weight.dtype) == "torch.float64"
    assert net.weight.requires_grad
    assert net.bias is new["bias"]


def test_what_does_not_fit_is_told_all_at_once() -> None:
    with pytest.raises(RuntimeError) as e:
        nn.Sequential(nn.Linear(2, 3)).load_state_dict({"0.weight": torch.ones(2, 2), "x": torch.ones(1)})
    assert str(e.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "0.bias". \n'
        '\tUnexpected key(s) in state_dict: "x". \n'
        "\tsize mismatch for 0.weight: copying a param with shape torch.Size([2, 2]) from checkpoint, "
        "the shape in current model is torch.Size([3, 2])."
    )
    found = nn.Linear(1, 1).load_state_dict({"weight": torch.ones(1, 1), "x": 3}, strict=False)
    assert found == (["bias"], ["x"])


def test_extra_state_and_the_hooks_around_a_state() -> None:
    class Counted(nn.Linear):
        calls = 0

        def get_extra_state(self) -> Any:
            return {"calls": self.calls}

        def set_extra_state(self, state: Any) -> None:
            self.calls = state["calls"]

    a, b = Counted(1, 1), Counted(1, 1)
    a.calls = 7
    seen: list[str] = []
    a.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append("before saving"))
    a.register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop("bias") and None)
    b.register_load_state_dict_pre_hook(lambda m, state, *rest: seen.append(f"before loading {sorted(state)}"))
    b.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    b.load_state_dict(a.state_dict())
    assert b.calls == 7
    assert seen == ["before saving", "before loading ['_extra_state', 'weight']"]
