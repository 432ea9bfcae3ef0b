"""What modules, optimizers, losses and initial values refuse, in PyTorch's words."""

from __future__ import annotations

from typing import Any

import pytest
from lines import Lines, outcome
from nn_lines import model

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


def assigned_before_init(t: Any, value: Any) -> Any:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.a = value

    return Net()


def registered_before_init(t: Any) -> Any:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.register_buffer("a", t.ones(1))

    return Net()


def bare(t: Any) -> Any:
    class Net(t.nn.Module):
        pass

    return Net


def set_attribute(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


ERRORS: list[Lines] = [
    lambda t: assigned_before_init(t, t.nn.Linear(1, 1)),
    lambda t: assigned_before_init(t, t.nn.Parameter(t.ones(1))),
    lambda t: registered_before_init(t),
    lambda t: bare(t)()(1),
    lambda t: bare(t)().missing,
    lambda t: bare(t)(3),
    lambda t: bare(t)(a=3),
    lambda t: set_attribute(t.nn.Linear(1, 1), "weight", t.ones(1, 1)),
    lambda t: set_attribute(t.nn.Linear(1, 1), "weight", 3),
    lambda t: set_attribute(t.nn.Sequential(t.nn.ReLU()), "0", 3),
    lambda t: set_attribute(model(t), "seen", "x"),
    lambda t: t.nn.Linear(1, 1).register_parameter("a.b", None),
    lambda t: t.nn.Linear(1, 1).register_parameter("", None),
    lambda t: t.nn.Linear(1, 1).register_parameter(3, None),
    lambda t: t.nn.Linear(1, 1).register_parameter("in_features", None),
    lambda t: t.nn.Linear(1, 1).register_parameter("z", t.ones(1)),
    lambda t: t.nn.Linear(1, 1).register_buffer("z", 3),
    lambda t: t.nn.Linear(1, 1).register_buffer("weight", t.ones(1)),
    lambda t: t.nn.Linear(1, 1).add_module("z", 3),
    lambda t: t.nn.Linear(1, 1).add_module("a.b", t.nn.ReLU()),
    lambda t: t.nn.Linear(1, 1).add_module("", t.nn.ReLU()),
    lambda t: t.nn.Linear(1, 1).add_module(3, t.nn.ReLU()),
    lambda t: model(t).get_submodule("head.x"),
    lambda t: model(t).get_submodule("head.1.weight"),
    lambda t: model(t).get_parameter("note"),
    lambda t: model(t).get_parameter("head.1.zz"),
    lambda t: model(t).get_buffer("scale"),
    lambda t: model(t).set_submodule("head.7", t.nn.ReLU(), strict=True),
    lambda t: model(t).set_submodule("", t.nn.ReLU()),
    lambda t: model(t).to(t.int64),
    lambda t: model(t).train(3),
    lambda t: model(t).load_state_dict({}),
    lambda t: model(t).load_state_dict(3),
    lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": t.ones(2, 2), "b": 1, "x.y": 2, "bias": "x"}),
    lambda t: t.nn.Sequential(t.nn.ReLU())[3],
    lambda t: t.nn.Sequential(t.nn.ReLU()) + 3,
    lambda t: t.nn.Sequential(t.nn.ReLU()).insert(5, t.nn.ReLU()),
    lambda t: t.nn.ModuleList([t.nn.ReLU()])[1],
    lambda t: t.nn.ModuleList().extend(3),
    lambda t: t.nn.ModuleList()(3),
    lambda t: t.nn.ModuleDict()["a"],
    lambda t: t.nn.ModuleDict(3),
    lambda t: t.nn.ParameterList([t.ones(1)])(3),
    lambda t: t.nn.ParameterList(t.ones(1)),
    lambda t: t.nn.Parameter([1.0]),
    lambda t: t.nn.Parameter(t.tensor([1])),
    lambda t: t.optim.SGD([], lr=1),
    lambda t: t.optim.SGD(t.ones(1), lr=1),
    lambda t: t.optim.SGD([3], lr=1),
    lambda t: t.optim.SGD([t.ones(1, requires_grad=True) * 2], lr=1),
    lambda t: t.optim.SGD([t.ones(1)], lr=-1),
    lambda t: t.optim.SGD([t.ones(1)], lr=t.ones(2)),
    lambda t: t.optim.SGD([t.ones(1)], momentum=-1),
    lambda t: t.optim.SGD([t.ones(1)], weight_decay=-1),
    lambda t: t.optim.SGD([t.ones(1)], nesterov=True),
    lambda t: t.optim.SGD([{"params": {t.ones(1)}}], lr=1),
    lambda t: t.optim.SGD([{"params": [t.ones(1)]}, 3], lr=1),
    lambda t: t.optim.SGD([("a", t.ones(1)), t.ones(1)], lr=1),
    lambda t: twice(t, [{"params": [SHARED[t]]}, {"params": [SHARED[t]]}]),
    lambda t: twice(t, [SHARED[t], SHARED[t]]),
    lambda t: t.optim.SGD([t.ones(1)]).load_state_dict({"state": {}, "param_groups": []}),
    lambda t: t.optim.SGD([t.ones(1)]).load_state_dict({"state": {}, "param_groups": [{"params": []}]}),
    lambda t: t.nn.MSELoss(reduction="x")(t.ones(1), t.ones(1)),
    lambda t: t.nn.L1Loss(reduction="x")(t.ones(1), t.ones(1)),
    lambda t: t.nn.L1Loss(size_average=False)(t.ones(2), t.ones(2)),
    lambda t: t.nn.functional.l1_loss(t.ones(2, 1), t.ones(2)),
    lambda t: t.nn.BCELoss()(t.ones(2), t.ones(1)),
    lambda t: t.nn.BCELoss()(t.ones(2) * 2, t.ones(2)),
    lambda t: t.nn.BCEWithLogitsLoss()(t.ones(2), t.ones(1)),
    lambda t: t.nn.functional.one_hot(t.tensor([1.0])),
    lambda t: t.nn.functional.one_hot(t.tensor([-1])),
    lambda t: t.nn.functional.one_hot(t.tensor([3]), 2),
    lambda t: t.nn.functional.one_hot(t.zeros(0).long()),
    lambda t: t.nn.init.kaiming_uniform_(t.ones(3)),
    lambda t: t.nn.init.kaiming_uniform_(t.ones(3, 2), mode="x"),
    lambda t: t.nn.init.kaiming_normal_(t.zeros(0, 2)),
    lambda t: t.nn.init.eye_(t.ones(3)),
    lambda t: t.nn.init.dirac_(t.ones(3)),
    lambda t: t.nn.init.dirac_(t.ones(3, 2, 1), groups=2),
    lambda t: t.nn.init.orthogonal_(t.ones(3)),
    lambda t: t.nn.init.sparse_(t.ones(3), 0.1),
    lambda t: t.nn.init.calculate_gain("x"),
    lambda t: t.nn.init.calculate_gain("leaky_relu", "x"),
]
SHARED = {t: t.ones(1) for t in (torch, chainrule)}


def twice(t: Any, params: Any) -> Any:
    return repr(t.optim.SGD(params, lr=1))


@pytest.mark.parametrize("lines", ERRORS)
def test_errors_have_pytorchs_words(lines: Lines) -> None:
    (theirs, their_warnings), (ours, our_warnings) = outcome(lines, torch), outcome(lines, chainrule)
    assert our_warnings == their_warnings
    if isinstance(theirs, list) and len(theirs) == 2 and theirs[0].endswith("Error"):
        assert ours[0] == theirs[0]
        known = theirs[1].replace("torch.nn.modules", "chainrule.nn")
        assert ours[1] == known
    else:
        assert ours == theirs
