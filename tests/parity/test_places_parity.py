"""Devices that are not there, memory that is shared or to be filled, and the old backward hooks, beside PyTorch's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from lines import Lines, outcome, rounded

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


def inside(t: Any, where: Any) -> Any:
    with where:
        return t.zeros(2)


FLAGS = ("cpu", "cuda", "meta", "mps", "mtia", "vulkan", "xpu", "mkldnn", "nested", "quantized", "sparse", "sparse_csr")
PLACES: list[Lines] = [
    *(
        lambda t, kind=kind, use=use: use(t, kind)
        for kind in ("cuda", "xpu")
        for use in (
            lambda t, kind: getattr(t.ones(1), kind)(),
            lambda t, kind: getattr(t.ones(1), kind)(0),
            lambda t, kind: getattr(t.ones(1), kind)("cpu"),
            lambda t, kind: getattr(t.nn.Linear(2, 2), kind)(),
            lambda t, kind: t.nn.Linear(2, 2).to(kind),
            lambda t, kind: t.nn.Linear(2, 2, device=kind),
            lambda t, kind: t.nn.Linear(2, 2).to_empty(device=kind),
            lambda t, kind: t.zeros(2, device=kind),
            lambda t, kind: t.tensor([1.0], device=f"{kind}:1"),
            lambda t, kind: t.ones(2).to(t.device(kind, 1)),
            lambda t, kind: inside(t, t.device(kind)),
        )
    ),
    *(
        lambda t, args=args: repr(t.device(*args))
        for args in (
            ("cpu",), ("cpu", 0), ("cpu:3",), ("cuda", None), ("mps",), ("meta",), ("foo:1",), ("cpu:",), ("",), ("cpu::1",),
            ("cpu:01",), ("cpu:1:2",), ("CPU",), (5,), ("cuda:0", 1), ("cuda", -2),
        )
    ),
    lambda t: repr(copy.deepcopy(pickle.loads(pickle.dumps(t.device(t.device("cuda:1")))))),
    lambda t: inside(t, t.device("cpu")),
    lambda t: t.ones(2).to("mps"),
    lambda t: t.ones(2, device=0),
    lambda t: t.nn.Linear(2, 2).ipu(),
    lambda t: [getattr(t.ones(1), f"is_{flag}") for flag in FLAGS],
    lambda t: [t.ones(1).get_device(), t.ones(1).is_pinned()],
    lambda t: t.ones(1).pin_memory(),
]  # fmt: skip


@pytest.mark.parametrize("lines", PLACES)
def test_devices(lines: Lines) -> None:
    assert outcome(lines, chainrule) == outcome(lines, torch)


# --- memory ----------------------------------------------------------------------------------------------


def shared(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    y = x * 2
    before = x.is_shared()
    x.share_memory_()
    whose = [x.is_shared(), x.detach().is_shared(), x[1:].is_shared(), x.clone().is_shared()]
    return [before, whose, x, y.share_memory_(), t.ones(0).share_memory_().is_shared()]


def net(t: Any) -> Any:
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2))
    net(t.rand(3, 2)).pow(2).sum().backward()
    return net


def shared_module(t: Any) -> Any:
    model = net(t)
    weight = model[0].weight
    same = model.share_memory() is model and weight is model[0].weight
    return [same, weight, weight.is_shared(), weight.grad.is_shared(), model[1].running_mean.is_shared()]


def emptied(t: Any, recurse: bool) -> Any:
    model = net(t)
    weight, before = model[0].weight, model[0].weight.data_ptr()
    model.to_empty(device="cpu", recurse=recurse)
    return [
        weight is model[0].weight,
        weight.shape,
        repr(weight.dtype),
        weight.requires_grad,
        weight.data_ptr() == before,
    ]


@pytest.mark.parametrize(
    "lines",
    [shared, shared_module, lambda t: emptied(t, True), lambda t: emptied(t, False), lambda t: net(t).to_empty("cpu"),
     lambda t: net(t).to_empty()],
)  # fmt: skip
def test_memory(lines: Lines) -> None:
    assert outcome(lines, chainrule, rounded) == outcome(lines, torch, rounded)


# --- register_backward_hook --------------------------------------------------------------------------------


def hooked(t: Any, make: Callable[[], Any], *inputs: Any, changed: Any = None) -> Any:
    t.manual_seed(1)
    module, seen = make(), []
    handle = module.register_backward_hook(lambda m, gi, go: seen.append((type(m).__name__, gi, go)) or changed)
    out = module(*(t.ones(2, 2, requires_grad=True) * 3 if i is None else i for i in inputs))
    first = out
    while not isinstance(first, t.Tensor):
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    (first**2).sum().backward()
    handle.remove()
    module(*(t.ones(2, 2) if i is None else i for i in inputs))
    return [seen, [p.grad for p in module.parameters()], module._is_full_backward_hook]


def module(t: Any, forward: Callable[..., Any]) -> Callable[[], Any]:
    return type("Layer", (t.nn.Module,), {"forward": lambda self, *args: forward(*args)})


def both(t: Any, *names: str) -> Any:
    m, seen = t.nn.Tanh(), []
    for name in names:
        getattr(m, name)(lambda m, *grads: seen.append(grads))
    m(t.ones(2, requires_grad=True) * 2).sum().backward()
    return seen


OLD_HOOKS: list[Lines] = [
    lambda t: hooked(t, lambda: t.nn.Softmax(1), None),
    lambda t: hooked(t, t.nn.ReLU, None),
    lambda t: hooked(t, t.nn.ReLU, None, changed=(t.ones(2, 2) * 7,)),
    lambda t: hooked(t, lambda: t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh()), None),
    lambda t: hooked(t, module(t, lambda a, b: (a * b, a + b)), None, None),
    lambda t: hooked(t, module(t, lambda a: {"a": a * 2}), None),
    lambda t: hooked(t, module(t, lambda a: [a * 2]), None),
    lambda t: hooked(t, module(t, lambda a, n: a * n), None, 2),
    lambda t: both(t, "register_full_backward_hook", "register_backward_hook"),
    lambda t: both(t, "register_backward_hook", "register_full_backward_hook"),
    lambda t: both(t, "register_backward_hook", "register_full_backward_pre_hook"),
]


@pytest.mark.parametrize("lines", OLD_HOOKS)
def test_old_backward_hooks(lines: Lines) -> None:
    assert outcome(lines, chainrule, rounded) == outcome(lines, torch, rounded)
