"""PyTorch's own databases of optimisers' options and of what optimisers and modules refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the databases need it
from sides import carried
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db
from torch.utils._pytree import tree_map

pytestmark = [
    pytest.mark.usefixtures("own_generator", "one_thread"),
    pytest.mark.filterwarnings("ignore"),  # of PyTorch's, about its own old arguments
]

OPTIMIZERS = [info for info in optim_db if hasattr(chainrule.optim, info.optim_cls.__name__)]  # all but SparseAdam


def steps(t: Any, name: str, options: dict[str, Any]) -> list[Any]:
    start = np.random.default_rng(0).normal(size=(3, 4)), np.random.default_rng(1).normal(size=(4, 2))
    x = t.tensor(np.random.default_rng(2).normal(size=(5, 3)))
    params = [t.nn.Parameter(t.tensor(a)) for a in start]
    optimizer, losses = getattr(t.optim, name)(params, **options), []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((x @ params[0]).tanh() @ params[1]).pow(2).mean()
        losses.append(loss.item())
        loss.backward()
        return loss

    for _ in range(3 if name == "LBFGS" else 12):  # which takes 20 steps in one, and doubles errors in each
        optimizer.step(closure)
    return [losses, *(p.detach().numpy() for p in params)]


@pytest.mark.parametrize("info", OPTIMIZERS, ids=lambda info: info.optim_cls.__name__)
def test_options(info: Any) -> None:
    name = info.optim_cls.__name__
    for case in info.optim_inputs_func(device="cpu"):
        if case.kwargs.get("differentiable"):
            continue  # parameters are no leaves there: see test_optim_options_parity.py
        theirs = steps(torch, name, case.kwargs)
        ours = steps(chainrule, name, carried(case.kwargs))
        tolerance = {"Muon": 2e-2, "LBFGS": 1e-6}.get(name, 1e-10)  # Muon rounds to bfloat16
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"{name}: {case.desc}")


def carried_once(tree: Any) -> Any:
    """As ``carried``, but a tensor that is there twice is one tensor."""
    made: dict[int, Any] = {}

    def one(a: Any) -> Any:
        return made.setdefault(id(a), carried(a))

    return tree_map(one, list(tree) if isinstance(tree, map) else tree)


def refusal(make: Any) -> tuple[str, str]:
    try:
        make()
    except Exception as e:
        return type(e).__name__, str(e).partition("\n")[0]
    return "nothing", ""


@pytest.mark.parametrize("info", OPTIMIZERS, ids=lambda info: info.optim_cls.__name__)
def test_what_optimizers_refuse(info: Any) -> None:
    name, seen = info.optim_cls.__name__, 0
    for case in info.optim_error_inputs_func("cpu", torch.float32):
        given = case.optimizer_error_input
        theirs = refusal(lambda given=given: info.optim_cls(given.params, **given.kwargs))
        if theirs[0] == "nothing":
            continue  # refused at a step
        ours = refusal(
            lambda given=given: getattr(chainrule.optim, name)(carried_once(given.params), **carried(given.kwargs))
        )
        assert ours == theirs, given.desc
        seen += 1
    assert seen > 3


@pytest.mark.parametrize(
    "info", [i for i in module_db if i.module_error_inputs_func is not None], ids=lambda info: info.module_cls.__name__
)
def test_what_modules_refuse(info: Any) -> None:
    name = info.module_cls.__name__
    for case in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=False, training=False
    ):
        sample = case.module_error_input

        def run(t: Any, sample: Any = sample) -> Any:
            made, given = sample.constructor_input, sample.forward_input
            over = carried if t is chainrule else lambda tree: tree
            module = getattr(t.nn, name)(*over(made.args), **over(made.kwargs))
            return None if given is None else module(*over(given.args), **over(given.kwargs))

        assert refusal(lambda run=run: run(chainrule)) == refusal(lambda run=run: run(torch))
