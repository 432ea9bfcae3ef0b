"""The same lines through PyTorch and through chainrule: weights, steps, texts, saved states and errors."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")
Lines = Callable[[Any], Any]
pytestmark = pytest.mark.usefixtures("own_generator")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def outcome(lines: Lines, t: Any) -> Any:
    """What ``lines`` give or raise with the library ``t``, and what they warn of, in comparable form."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = lines(t)
        except Exception as e:
            result = (type(e).__name__, str(e.args[0]))
    return plain(result), [str(w.message) for w in caught]


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return np.asarray(value.detach().numpy()).tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


# --- weights ---------------------------------------------------------------------------------------------

LAYERS: list[Lines] = [
    lambda t: t.nn.Linear(3, 2),
    lambda t: t.nn.Linear(1, 1),
    lambda t: t.nn.Linear(20, 30),
    lambda t: t.nn.Linear(5, 4, bias=False),
    lambda t: t.nn.Linear(7, 5, dtype=t.float64),
    lambda t: t.nn.Sequential(t.nn.Linear(2, 16), t.nn.ReLU(), t.nn.Linear(16, 17), t.nn.Tanh(), t.nn.Linear(17, 1)),
]


@pytest.mark.parametrize("seed", [0, 1, 42])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_same_seed_gives_the_same_weights(layer: Lines, seed: int) -> None:
    states = []
    for t in (torch, chainrule):
        t.manual_seed(seed)
        states.append({k: v.numpy().copy() for k, v in layer(t).state_dict().items()})
    theirs, ours = states
    assert list(theirs) == list(ours)
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        np.testing.assert_array_equal(ours[key], value)


FILLS: list[Lines] = [
    lambda i, x: i.uniform_(x, -2, 3),
    lambda i, x: i.normal_(x, 1, 0.5),
    lambda i, x: i.constant_(x, 0.3),
    lambda i, x: i.ones_(x),
    lambda i, x: i.zeros_(x),
    lambda i, x: i.eye_(x),
    lambda i, x: i.xavier_uniform_(x, gain=1.5),
    lambda i, x: i.xavier_normal_(x),
    lambda i, x: i.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    lambda i, x: i.kaiming_normal_(x, a=0.2),
    lambda i, x: i.kaiming_normal_(x.t(), nonlinearity="tanh").t(),
    lambda i, x: i.trunc_normal_(x),
    lambda i, x: i.trunc_normal_(x, 1.0, 0.5, 1.2, 1.4),
    lambda i, x: i.orthogonal_(x.double(), gain=1.3),
    lambda i, x: i.orthogonal_(x.double().t()).t(),
    lambda i, x: i.sparse_(x, 0.4),
    lambda i, x: i.dirac_(x.reshape(4, -1, 1), groups=2).reshape(x.shape),
]  # type: ignore[list-item]


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (8, 8)])
@pytest.mark.parametrize("fill", FILLS)
def test_first_values(fill: Callable[[Any, Any], Any], shape: tuple[int, int], wanted: bool) -> None:
    found = []
    for t in (torch, chainrule):
        t.manual_seed(3)
        with t.no_grad():
            filled = fill(t.nn.init, t.full(shape, 9.0).requires_grad_(wanted))
        found.append((filled.detach().numpy().copy(), t.rand(1).item()))  # and the stream stands where PyTorch's does
    (theirs, next_theirs), (ours, next_ours) = found
    np.testing.assert_allclose(ours, theirs, rtol=5e-7, atol=1e-7)
    assert next_ours == next_theirs


def test_more_than_two_dimensions_count_the_window() -> None:
    for name in ("xavier_uniform_", "kaiming_uniform_"):
        found = []
        for t in (torch, chainrule):
            t.manual_seed(0)
            found.append(plain(getattr(t.nn.init, name)(t.zeros(4, 3, 2, 5))))
        assert found[0] == found[1]


# --- steps -----------------------------------------------------------------------------------------------

ALL = itertools.product([0.0, 0.9], [0.0, 0.1], [0.0, 0.3], [False, True], [False, True])
OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.05},
    *({"lr": 0.02, "momentum": m, "weight_decay": w, "dampening": d, "nesterov": n, "maximize": up}
      for m, w, d, n, up in ALL if not (n and (d or not m))),
]  # fmt: skip


def train(t: Any, options: dict[str, Any], dtype: str, steps: int) -> list[Any]:
    t.manual_seed(7)
    model = t.nn.Sequential(t.nn.Linear(3, 8), t.nn.Tanh(), t.nn.Linear(8, 2)).to(getattr(t, dtype))
    extra = t.nn.Parameter(t.tensor(0.5, dtype=getattr(t, dtype)))  # a 0-d parameter
    unused = t.nn.Parameter(t.ones(2))
    x, y = t.rand(10, 3, dtype=getattr(t, dtype)), t.rand(10, 2, dtype=getattr(t, dtype))
    optimizer = t.optim.SGD([{"params": model.parameters()}, {"params": [extra, unused], "lr": 0.01}], **options)
    loss = None
    for _ in range(steps):
        optimizer.zero_grad()
        loss = t.nn.MSELoss()(model(x) * extra, y)
        (-loss if options.get("maximize") else loss).backward()
        optimizer.step()
    values = [p.detach().numpy().copy() for p in [*model.parameters(), extra, unused]]
    buffers = [s["momentum_buffer"].numpy() for s in optimizer.state_dict()["state"].values()]
    return [np.asarray(loss.detach().numpy()), *values, *buffers]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}{v}" for k, v in o.items() if v))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_a_hundred_steps(options: dict[str, Any], dtype: str, tolerance: float) -> None:
    theirs, ours = train(torch, options, dtype, 100), train(chainrule, options, dtype, 100)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=tolerance * 5, atol=tolerance)


def test_the_comparison_of_steps_can_fail() -> None:
    theirs = train(torch, {"lr": 0.05, "momentum": 0.9}, "float32", 100)
    ours = train(chainrule, {"lr": 0.05, "momentum": 0.9001}, "float32", 100)
    assert max(float(np.abs(a - b).max()) for a, b in zip(theirs, ours, strict=True)) > 1e-5


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


def model(t: Any) -> Any:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = t.nn.Parameter(t.tensor(2.0))
            self.register_buffer("seen", t.tensor(0))
            self.register_buffer("scratch", t.ones(2), persistent=False)
            self.blocks = t.nn.ModuleList([t.nn.Linear(2, 2), t.nn.Linear(2, 2, bias=False)])
            self.again = self.blocks[0]
            self.nothing = None
            self.head = t.nn.Sequential(t.nn.ReLU(), t.nn.Linear(2, 1))
            self.note = "plain"

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.head(x * self.scale)

    t.manual_seed(0)
    return Net()


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
    assert [w.partition(". See")[0] for w in their_warnings] == [w.rstrip(".") for w in our_warnings]


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


# --- losses and functions --------------------------------------------------------------------------------


def losses(t: Any, loss: Lines, dtype: str = "float64") -> Any:
    t.manual_seed(5)
    kind = getattr(t, dtype)
    x = t.randn(6, 4, dtype=kind).requires_grad_()
    y = t.rand(6, 4, dtype=kind)
    value = loss(t.nn, x, y, t.tensor([0, 3, 1, 1, 2, 0]), t.tensor([0.5, 1.0, 2.0, 0.25], dtype=kind))  # type: ignore[call-arg]
    value.sum().backward()
    return [value, x.grad]


LOSSES: list[Any] = [
    lambda n, x, y, k, w: n.MSELoss()(x, y),
    lambda n, x, y, k, w: n.MSELoss(reduction="sum")(x, y),
    lambda n, x, y, k, w: n.MSELoss(reduction="none")(x, y),
    lambda n, x, y, k, w: n.functional.mse_loss(x, y, weight=y),
    lambda n, x, y, k, w: n.L1Loss()(x, y),
    lambda n, x, y, k, w: n.L1Loss(reduction="none")(x, y),
    lambda n, x, y, k, w: n.functional.l1_loss(x, y, reduction="sum", weight=y),
    lambda n, x, y, k, w: n.CrossEntropyLoss()(x, k),
    lambda n, x, y, k, w: n.CrossEntropyLoss(weight=w, ignore_index=1, label_smoothing=0.2)(x, k),
    lambda n, x, y, k, w: n.CrossEntropyLoss(weight=w, label_smoothing=0.2, reduction="none")(x, y.softmax(1)),
    lambda n, x, y, k, w: n.NLLLoss(weight=w, reduction="sum")(n.LogSoftmax(dim=1)(x), k),
    lambda n, x, y, k, w: n.BCELoss()(n.Sigmoid()(x), y),
    lambda n, x, y, k, w: n.BCELoss(weight=w, reduction="sum")(n.Sigmoid()(x), y),
    lambda n, x, y, k, w: n.BCEWithLogitsLoss()(x * 30, y),
    lambda n, x, y, k, w: n.BCEWithLogitsLoss(pos_weight=w, weight=y, reduction="none")(x, y),
    lambda n, x, y, k, w: n.Softmax(dim=1)(x) * y,
    lambda n, x, y, k, w: n.Softplus(beta=2)(x * 3) * y,
    lambda n, x, y, k, w: n.ReLU()(x) * y + n.Tanh()(x) + n.functional.relu(x * 1, inplace=True),
    lambda n, x, y, k, w: n.Flatten(0)(x) * n.Identity(1, a=2)(n.Flatten(0)(y)),
    lambda n, x, y, k, w: n.functional.linear(x, y),
    lambda n, x, y, k, w: n.Sequential(n.Linear(4, 5), n.Tanh(), n.Linear(5, 1)).double()(x),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_their_gradients(loss: Any) -> None:
    for ours, theirs in zip(losses(chainrule, loss), losses(torch, loss), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_saturated_probabilities_have_finite_losses_and_gradients() -> None:
    def lines(t: Any) -> Any:
        x = t.tensor([0.0, 1.0, 0.0, 1.0, 0.5], requires_grad=True)
        loss = t.nn.BCELoss(reduction="none")(x, t.tensor([0.0, 1.0, 1.0, 0.0, 1.0]))
        loss.sum().backward()
        return [loss, bool(x.grad.isfinite().all()) if t is torch else bool(np.isfinite(x.grad.numpy()).all())]

    assert outcome(lines, chainrule)[0] == outcome(lines, torch)[0]


@pytest.mark.parametrize("classes", [-1, 4])
def test_one_hot(classes: int) -> None:
    for numbers in ([0, 2, 1], [[1, 1], [0, 3]]):
        ours, theirs = (t.nn.functional.one_hot(t.tensor(numbers), classes) for t in (chainrule, torch))
        assert plain(ours) == plain(theirs)
        assert str(ours.dtype) == str(theirs.dtype)


# --- errors ----------------------------------------------------------------------------------------------


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
