"""``nn.Module`` beside PyTorch's: texts, walks, saved states, hooks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from lines import Lines, outcome
from nn_lines import model

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


# --- texts -----------------------------------------------------------------------------------------------

TEXTS: list[Lines] = [
    lambda t: repr(t.nn.Linear(3, 2, bias=False)),
    lambda t: repr(
        t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Sequential(t.nn.ReLU(True)), t.nn.Flatten(), t.nn.Identity())
    ),
    lambda t: repr(t.nn.Sequential()),
    lambda t: repr(t.nn.ModuleList([t.nn.ReLU(), t.nn.Tanh(), t.nn.Tanh(), t.nn.Sequential(t.nn.Tanh())])),
    lambda t: repr(t.nn.ModuleList()),
    lambda t: repr(t.nn.ModuleDict({"a": t.nn.Softmax(1), "b": t.nn.LogSoftmax(dim=-1), "c": t.nn.Softplus(2, 9)})),
    lambda t: repr(t.nn.ParameterList([t.ones(2, 3), t.nn.Parameter(t.tensor(1.0)), "x"])),
    lambda t: repr(t.nn.ParameterDict({"w": t.ones(2, 3), "n": 5})),
    lambda t: repr([t.nn.MSELoss(), t.nn.CrossEntropyLoss(weight=t.ones(2)), t.nn.L1Loss(reduction="sum")]),
    lambda t: repr(t.nn.Parameter(t.tensor([[1.0, 2.0]]))),
    lambda t: repr([t.nn.Parameter(t.ones(1), requires_grad=False), t.nn.Parameter()]),
    lambda t: str(t.optim.SGD([t.ones(1)], lr=0.1, momentum=0.9, nesterov=True)),
    lambda t: str(t.optim.SGD([{"params": [t.ones(1)]}, {"params": t.ones(2), "lr": 3}], lr=t.tensor(0.5))),
    lambda t: str(t.optim.SGD(t.nn.Linear(1, 1).named_parameters())),
    lambda t: str(t.nn.Linear(1, 1).load_state_dict({"weight": t.ones(1, 1)}, strict=False)),
    lambda t: [n for n in dir(t.nn.Sequential(t.nn.Linear(1, 1))) if n in ("0", "weight", "training", "append")],
]


@pytest.mark.parametrize("lines", TEXTS)
def test_texts(lines: Lines) -> None:
    assert outcome(lines, chainrule) == outcome(lines, torch)


# --- walking, saving, loading -------------------------------------------------------------------------------

WALKS: list[Lines] = [
    lambda t: [n for n, _ in model(t).named_parameters()],
    lambda t: [n for n, _ in model(t).named_parameters(prefix="net", remove_duplicate=False)],
    lambda t: [n for n, _ in model(t).named_parameters(recurse=False)],
    lambda t: [(n, type(m).__name__) for n, m in model(t).named_modules()],
    lambda t: [(n, type(m).__name__) for n, m in model(t).named_modules(remove_duplicate=False)],
    lambda t: [n for n, _ in model(t).named_children()],
    lambda t: [n for n, _ in model(t).named_buffers()],
    lambda t: [len(list(model(t).modules())), len(list(model(t).children())), len(list(model(t).parameters()))],
    lambda t: dict(model(t).state_dict()),
    lambda t: dict(model(t).double().state_dict(prefix="x.")),
    lambda t: dict(model(t).state_dict()._metadata),
    lambda t: str(model(t).get_submodule("blocks.1")),
    lambda t: model(t).get_parameter("head.1.bias"),
    lambda t: [model(t).get_buffer("seen"), model(t).get_submodule("") is not None],
    lambda t: [m.training for m in model(t).eval().modules()],
    lambda t: [p.requires_grad for p in model(t).requires_grad_(False).parameters()],
    lambda t: [str(p.dtype) for p in model(t).half().parameters()] + [str(b.dtype) for b in model(t).half().buffers()],
    lambda t: [str(p.dtype) for p in model(t).to("cpu", t.float64).parameters()],
    lambda t: model(t)(t.ones(1, 2)),
    lambda t: [p.grad for p in backward(t, model(t)).parameters()],
    lambda t: [p.grad for p in zeroed(t, backward(t, model(t)), False).parameters()],
    lambda t: [p.grad for p in zeroed(t, backward(t, model(t)), True).parameters()],
    lambda t: [p.grad for p in copy.deepcopy(backward(t, model(t))).parameters()],
    lambda t: [(p.dtype == p.grad.dtype) for p in backward(t, model(t)).double().parameters()],
]


def backward(t: Any, net: Any) -> Any:
    net(t.ones(3, 2)).sum().backward()
    return net


def zeroed(t: Any, net: Any, to_none: bool) -> Any:
    net.zero_grad(set_to_none=to_none)
    return net


@pytest.mark.parametrize("lines", WALKS)
def test_walks(lines: Lines) -> None:
    ours, theirs = outcome(lines, chainrule), outcome(lines, torch)
    if lines(torch) is not None and "scale" not in str(theirs):
        assert ours[0] == pytest.approx(theirs[0], rel=1e-6) if _numbers(theirs[0]) else ours == theirs
    else:
        assert ours == theirs


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, (int, float)) for v in value)


@pytest.mark.parametrize("assign", [False, True])
def test_a_saved_state_goes_from_pytorch_to_chainrule_and_back(assign: bool) -> None:
    theirs, ours = model(torch), model(chainrule)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(1.5)
    as_ours = {k: chainrule.from_numpy(np.array(v.numpy())) for k, v in theirs.state_dict().items()}
    assert str(ours.load_state_dict(as_ours, assign=assign)) == "<All keys matched successfully>"
    back = {k: torch.from_numpy(np.array(v.numpy())) for k, v in ours.state_dict().items()}
    assert str(model(torch).load_state_dict(back)) == "<All keys matched successfully>"
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(back[key].numpy(), value.numpy())


def optimizer_states(t: Any) -> Any:
    t.manual_seed(0)
    a, b, c = (t.nn.Parameter(t.rand(2)) for _ in range(3))

    def make() -> Any:
        return t.optim.SGD([{"params": [a, b]}, {"params": [c], "lr": 0.5}], lr=0.1, momentum=0.5)

    first = make()
    (a.sum() + c.sum() * 2).backward()
    first.step()
    second = make()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.step()
    third = pickle.loads(pickle.dumps(second))
    return [first.state_dict(), second.state_dict(), third.state_dict(), a, b, c]


def test_an_optimizers_state_goes_round() -> None:
    ours, theirs = outcome(optimizer_states, chainrule)[0], outcome(optimizer_states, torch)[0]
    assert ours[:3] == theirs[:3]
    np.testing.assert_allclose(ours[3:], theirs[3:], rtol=1e-6)


# --- hooks -----------------------------------------------------------------------------------------------


def hooked(t: Any, *, wanted: bool = True, change: bool = False, order: int = 1) -> Any:
    seen: list[Any] = []
    layer = t.nn.Linear(2, 2)
    with t.no_grad():
        layer.weight.copy_(t.tensor([[1.0, 2.0], [3.0, 4.0]]))
        layer.bias.zero_()
    layer.register_forward_pre_hook(lambda m, args: seen.append(("pre", args)) or (args[0] * 2,))
    layer.register_forward_pre_hook(lambda m, args, kw: seen.append(("kw", args, kw)), with_kwargs=True, prepend=True)
    layer.register_forward_hook(lambda m, args, out: seen.append(("post", args, out)) or out + 1)
    layer.register_full_backward_pre_hook(lambda m, go: seen.append(go) or ((go[0] * 3,) if change else None))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)) or ((gi[0] + 1,) if change else None))
    x = t.ones(3, 2, requires_grad=wanted)
    y = layer(x)
    if order == 2:
        (g,) = t.autograd.grad((y**2).sum(), x, create_graph=True)
        g.sum().backward()
    else:
        (y**2).sum().backward()
    return [seen, x.grad, layer.weight.grad, type(y.grad_fn).__name__]


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_hooks_see_and_change_what_pytorchs_do(wanted: bool, change: bool) -> None:
    def lines(t: Any) -> Any:
        return hooked(t, wanted=wanted, change=change and wanted)

    (ours, our_warnings), (theirs, their_warnings) = outcome(lines, chainrule), outcome(lines, torch)
    assert ours == theirs
    assert [(kind, w.partition(". See")[0]) for kind, w in their_warnings] == [
        (k, w.rstrip(".")) for k, w in our_warnings
    ]


def two_in_two_out(t: Any) -> Any:
    class Two(t.nn.Module):
        def forward(self, a: Any, b: Any, c: Any) -> Any:
            return a * 2, a * 3, "text"

    net, seen = Two(), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True)
    net(a, b, 5)[0].sum().backward()
    first, second, _ = net(a, t.ones(2), None)
    (first + second).sum().backward()
    return [seen, a.grad, b.grad]


def test_hooks_of_a_module_with_several_inputs_and_outputs() -> None:
    assert outcome(two_in_two_out, chainrule) == outcome(two_in_two_out, torch)


def test_hooks_under_create_graph() -> None:
    def lines(t: Any) -> Any:
        return hooked(t, order=2)[1:3]

    assert outcome(lines, chainrule)[0] == outcome(lines, torch)[0]
