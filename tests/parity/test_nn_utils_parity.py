"""Parametrizations, pruning, lazy layers and fusions beside PyTorch's: values, gradients, states, texts, refusals."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")  # which PyTorch does not import by itself

pytestmark = pytest.mark.usefixtures("own_generator")
Program = Callable[[Any], Any]


def plain(tree: Any) -> Any:
    """Tensors as arrays, modules as their text, the rest as it is."""
    if isinstance(tree, (torch.Tensor, chainrule.Tensor)):
        return np.array(tree.detach().numpy())
    if isinstance(tree, (torch.nn.Module, chainrule.nn.Module)):
        return repr(tree)
    if isinstance(tree, dict):
        return {k: plain(v) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [plain(t) for t in tree]
    return tree


def outcome(program: Program, t: Any) -> Any:
    t.manual_seed(3)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found = plain(program(t))
        except Exception as e:
            found = (type(e).__name__, str(e).replace("chainrule", "torch").splitlines()[0])
        after = t.rand(1).item()
    return found, after, [str(w.message) for w in seen if w.category is not DeprecationWarning]


def compare(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            compare(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            compare(a, b)
    else:
        assert ours == theirs


def run(t: Any, layer: Any, *shape: int, calls: int = 2) -> list[Any]:
    """Several calls with their gradients, then the state and the text."""
    found: list[Any] = []
    for i in range(calls):
        x = t.arange(float(np.prod(shape)), dtype=t.float64).sin().reshape(shape) + i
        y = layer(x)
        layer.zero_grad()
        (y * y).sum().backward()
        found += [y, {name: p.grad for name, p in layer.named_parameters()}]
    return [*found, dict(layer.state_dict()), layer]


def linear(t: Any, *sizes: int) -> Any:
    return t.nn.Linear(*(sizes or (3, 4)), dtype=t.float64)


def of(t: Any) -> Any:
    return t.nn.utils.parametrizations


class Exp:
    """The same parametrization in both libraries."""

    def __new__(cls, t: Any) -> Any:
        class Exp(t.nn.Module):  # type: ignore[name-defined, misc]
            def forward(self, x: Any) -> Any:
                return x.exp()

            def right_inverse(self, y: Any) -> Any:
                return y.log()

        return Exp()


def rank_one(t: Any) -> Any:
    class RankOne(t.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, x: Any, y: Any) -> Any:
            return x.unsqueeze(-1) @ y.unsqueeze(-2)

        def right_inverse(self, z: Any) -> Any:
            return z[:, 0].clone(), z[0].clone()

    return RankOne()


def through(t: Any, f: Callable[[Any], Any]) -> Any:
    class Through(t.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, x: Any) -> Any:
            return f(x)

    return Through()


def back(t: Any, f: Callable[[Any], Any], g: Callable[[Any], Any] = lambda x: x) -> Any:
    class Back(t.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, *x: Any) -> Any:
            return g(x[0])

        def right_inverse(self, x: Any) -> Any:
            return f(x)

    return Back()


def registered(t: Any, *functions: Any, layer: Any = None, unsafe: bool = False) -> Any:
    layer = linear(t) if layer is None else layer
    for f in functions:
        t.nn.utils.parametrize.register_parametrization(layer, "weight", f, unsafe=unsafe)
    return layer


def assigned(t: Any) -> Any:
    layer = registered(t, Exp(t), unsafe=True)
    layer.weight = t.full((4, 3), 2.0, dtype=t.float64)
    return layer, layer.weight, layer.parametrizations.weight.original


def removed(t: Any, leave: bool, *functions: Any) -> Any:
    layer = registered(t, *functions, unsafe=True)
    before = dict(layer.named_parameters())
    t.nn.utils.parametrize.remove_parametrizations(layer, "weight", leave)
    same = [any(p is q for q in before.values()) for p in layer.parameters()]
    return layer, type(layer).__name__, same, dict(layer.state_dict())


def cached(t: Any) -> Any:
    count: list[int] = []

    def f(x: Any) -> Any:
        count.append(1)
        return x * 2

    layer = registered(t, through(t, f))
    with t.nn.utils.parametrize.cached():
        same = layer.weight is layer.weight
        with t.nn.utils.parametrize.cached():
            same = same and layer.weight is layer.weight
        same = same and layer.weight is layer.weight
    return same, layer.weight is layer.weight, len(count)


def moved(t: Any) -> Any:
    p = t.nn.utils.parametrize
    a, b = of(t).weight_norm(linear(t)), t.nn.Linear(3, 4, dtype=t.float64)
    p.transfer_parametrizations_and_params(a, b)
    shared = b.parametrizations.weight.original1 is a.parametrizations.weight.original1
    return b, b.weight, shared, p.type_before_parametrizations(b).__name__, p.is_parametrized(b, "bias")


def old_state(t: Any) -> Any:
    """A state of the old weight norm loaded by the new one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = t.nn.utils.weight_norm(linear(t)).state_dict()
    layer = of(t).weight_norm(linear(t))
    return str(layer.load_state_dict(state)), dict(layer.state_dict())


def copied(t: Any) -> Any:
    layer = of(t).spectral_norm(linear(t))
    twin = copy.deepcopy(layer)
    return run(t, twin, 2, 3), run(t, layer, 2, 3)


def pruned_twice(t: Any) -> Any:
    prune, layer = t.nn.utils.prune, linear(t, 5, 6)
    prune.l1_unstructured(layer, "weight", 0.2)
    prune.ln_structured(layer, "weight", 2, n=2, dim=0)
    prune.random_unstructured(layer, "weight", 3)
    prune.random_structured(layer, "weight", 1, dim=-1)
    prune.custom_from_mask(layer, "weight", (t.arange(30) % 7 != 0).reshape(6, 5))
    return run(t, layer, 2, 5), prune.is_pruned(layer), dict(layer.named_buffers())


def pruned_everywhere(t: Any) -> Any:
    prune, model = t.nn.utils.prune, t.nn.Sequential(linear(t, 3, 4), t.nn.Tanh(), linear(t, 4, 5))
    places = [(model[0], "weight"), (model[2], "weight"), (model[2], "bias")]
    prune.l1_unstructured(model[0], "weight", 2)
    prune.global_unstructured(places, prune.L1Unstructured, amount=0.4)
    found = run(t, model, 2, 3)
    for place in places:
        prune.remove(*place)
    return found, run(t, model, 2, 3), prune.is_pruned(model)


def important(t: Any) -> Any:
    layer = linear(t, 3, 4)
    scores = t.arange(12.0, dtype=t.float64).reshape(4, 3).cos()
    t.nn.utils.prune.l1_unstructured(layer, "weight", 4, importance_scores=scores)
    other = t.nn.utils.prune.ln_structured(linear(t, 3, 4), "weight", 0.5, 1, 1, importance_scores=scores)
    return layer.weight, other.weight, t.nn.utils.prune.L1Unstructured(3).prune(scores)


def lazily(t: Any, make: Callable[[Any], Any], *shape: int) -> Any:
    layer = make(t.nn).double()
    text, names = repr(layer), list(layer.state_dict())
    found = run(t, layer, *shape)
    other = make(t.nn).double()
    keys = str(other.load_state_dict(layer.state_dict()))
    return text, names, found, type(layer).__name__, keys, run(t, other, *shape), str(list(make(t.nn).parameters()))


def fused(t: Any, conv: bool) -> Any:
    layer = t.nn.ConvTranspose1d(3, 4, 2) if conv else t.nn.Linear(3, 4, bias=False)
    norm = t.nn.BatchNorm1d(4).double()
    norm.running_var.copy_(t.arange(1.0, 5.0))
    norm.running_mean.fill_(0.5)
    layer, norm = layer.double().eval(), norm.eval()
    u = t.nn.utils
    both = u.fuse_conv_bn_eval(layer, norm, transpose=True) if conv else u.fuse_linear_bn_eval(layer, norm)
    return run(t, both, *((2, 3, 5) if conv else (2, 3)))


def twice(t: Any, f: Callable[[Any], Any]) -> Any:
    """A parametrization on top of another."""
    return run(t, of(t).orthogonal(registered(t, through(t, f), layer=linear(t, 4, 4))), 2, 4)


def synchronised(t: Any) -> Any:
    model = t.nn.Sequential(t.nn.BatchNorm1d(3, momentum=None), linear(t, 3, 2))
    return run(t, t.nn.SyncBatchNorm.convert_sync_batchnorm(model).double(), 4, 3)


def norms(t: Any) -> Any:
    x = t.arange(12.0).reshape(2, 3, 2)
    return [t.norm_except_dim(x, p, d) for p in (1, 2) for d in (-1, 0, 1, 2)]


def transposed(t: Any) -> Any:
    return t.nn.ConvTranspose1d(2, 3, 2).double()


def adaptive(t: Any) -> Any:
    layer = t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 9], div_value=2.0, head_bias=True, dtype=t.float64)
    x = (t.arange(40.0, dtype=t.float64).sin() * 3).reshape(5, 8).requires_grad_()
    out = layer(x, t.tensor([0, 3, 5, 12, 19]))
    out.loss.backward()
    alone = layer(x[0], t.tensor(7))
    grads = {name: p.grad for name, p in layer.named_parameters()}
    return layer, list(out), x.grad, list(alone), layer.log_prob(x), layer.predict(x), grads


PROGRAMS: dict[str, Program] = {
    "exp": lambda t: run(t, registered(t, Exp(t), unsafe=True), 2, 3),
    "one rank": lambda t: run(t, registered(t, rank_one(t)), 2, 3),
    "two functions": lambda t: run(t, registered(t, through(t, lambda x: x * 2), through(t, lambda x: x.tanh())), 2, 3),
    "of a buffer": lambda t: registered(t, through(t, lambda x: x * 2), layer=t.nn.Linear(3, 4)).weight,
    "assigned": assigned,
    "removed": lambda t: removed(t, True, Exp(t)),
    "removed, unparametrized": lambda t: removed(t, False, Exp(t)),
    "removed, of several": lambda t: removed(t, True, rank_one(t)),
    "removed, of several, unparametrized": lambda t: removed(t, False, rank_one(t)),
    "cached": cached,
    "moved": moved,
    "copied": copied,
    "no inverse": lambda t: setattr(registered(t, through(t, lambda x: x * 2)), "weight", t.zeros(4, 3)),
    "another shape": lambda t: registered(t, through(t, lambda x: x[0])),
    "another dtype": lambda t: registered(t, through(t, lambda x: x.float())),
    "no tensor": lambda t: registered(t, through(t, lambda x: 3)),
    "another shape, second": lambda t: registered(t, through(t, lambda x: x), through(t, lambda x: x[0])),
    "no tensor, second": lambda t: registered(t, through(t, lambda x: x), through(t, lambda x: 3)),
    "inverse of another dtype": lambda t: registered(t, back(t, lambda x: x.float())),
    "inverse of another dtype, second": lambda t: registered(t, Exp(t), back(t, lambda x: x.float()), unsafe=False),
    "inverse without a tensor": lambda t: registered(t, back(t, lambda x: 3)),
    "inverse with half a tensor": lambda t: registered(t, back(t, lambda x: (x, 3))),
    "no such tensor": lambda t: t.nn.utils.parametrize.register_parametrization(t.nn.Linear(1, 1), "x", Exp(t)),
    "nothing to remove": lambda t: t.nn.utils.parametrize.remove_parametrizations(t.nn.Linear(1, 1), "weight"),
    "pickled": lambda t: __import__("pickle").dumps(of(t).weight_norm(linear(t))),
    "weight norm": lambda t: run(t, of(t).weight_norm(linear(t)), 2, 3),
    "weight norm, last": lambda t: run(t, of(t).weight_norm(linear(t), dim=1), 2, 3),
    "weight norm, all": lambda t: run(t, of(t).weight_norm(linear(t), dim=None), 2, 3),
    "weight norm, conv": lambda t: run(t, of(t).weight_norm(t.nn.Conv1d(2, 3, 2).double(), dim=1), 1, 2, 4),
    "weight norm, bias": lambda t: run(t, of(t).weight_norm(linear(t), "bias"), 2, 3),
    "weight norm, old state": old_state,
    "spectral norm": lambda t: run(t, of(t).spectral_norm(linear(t)), 2, 3),
    "spectral norm, evaluated": lambda t: run(t, of(t).spectral_norm(linear(t)).eval(), 2, 3),
    "spectral norm, conv": lambda t: run(t, of(t).spectral_norm(transposed(t), n_power_iterations=3), 1, 2, 4),
    "spectral norm, vector": lambda t: run(t, of(t).spectral_norm(linear(t), "bias"), 2, 3),
    "spectral norm, no axis": lambda t: of(t).spectral_norm(linear(t), dim=2),
    "spectral norm, no iteration": lambda t: of(t).spectral_norm(linear(t), n_power_iterations=0),
    "orthogonal, square": lambda t: run(t, of(t).orthogonal(linear(t, 4, 4)), 2, 4),
    "orthogonal, tall": lambda t: run(t, of(t).orthogonal(linear(t, 3, 5)), 2, 3),
    "orthogonal, wide": lambda t: run(t, of(t).orthogonal(linear(t, 5, 3)), 2, 5),
    "orthogonal, of an orthogonal one": lambda t: twice(t, lambda x: x.exp()),
    "orthogonal, no matrix": lambda t: of(t).orthogonal(linear(t), "bias"),
    "orthogonal, no map": lambda t: of(t).orthogonal(linear(t), orthogonal_map="x"),
    "orthogonal, no tensor": lambda t: of(t).orthogonal(linear(t), "x"),
    "old weight norm": lambda t: run(t, t.nn.utils.weight_norm(linear(t)), 2, 3),
    "old weight norm, twice": lambda t: t.nn.utils.weight_norm(t.nn.utils.weight_norm(linear(t))),
    "old weight norm, removed": lambda t: run(t, t.nn.utils.remove_weight_norm(t.nn.utils.weight_norm(linear(t), dim=None)), 2, 3),
    "old weight norm, not there": lambda t: t.nn.utils.remove_weight_norm(linear(t)),
    "old spectral norm": lambda t: run(t, t.nn.utils.spectral_norm(linear(t)), 2, 3),
    "old spectral norm, conv": lambda t: run(t, t.nn.utils.spectral_norm(transposed(t)), 1, 2, 4),
    "old spectral norm, twice": lambda t: t.nn.utils.spectral_norm(t.nn.utils.spectral_norm(linear(t))),
    "old spectral norm, removed": lambda t: run(t, t.nn.utils.remove_spectral_norm(t.nn.utils.spectral_norm(linear(t))), 2, 3),
    "old spectral norm, metadata": lambda t: t.nn.utils.spectral_norm(linear(t)).state_dict()._metadata[""],
    "fused conv": lambda t: fused(t, True),
    "fused linear": lambda t: fused(t, False),
    "fused too early": lambda t: t.nn.utils.fuse_linear_bn_eval(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2)),
    "no first values": lambda t: t.nn.utils.skip_init(t.nn.Linear, 3, out_features=2),
    "no first values, no module": lambda t: t.nn.utils.skip_init(int, 3),
    "pruned twice": pruned_twice,
    "pruned everywhere": pruned_everywhere,
    "important": important,
    "pruned, nothing": lambda t: run(t, t.nn.utils.prune.identity(linear(t), "bias"), 2, 3),
    "pruned, too much": lambda t: t.nn.utils.prune.l1_unstructured(linear(t), "weight", 100),
    "pruned, more than all": lambda t: t.nn.utils.prune.l1_unstructured(linear(t), "weight", 1.5),
    "pruned, by a word": lambda t: t.nn.utils.prune.l1_unstructured(linear(t), "weight", "x"),
    "pruned, a vector's channels": lambda t: t.nn.utils.prune.random_structured(linear(t), "bias", 1, 0),
    "pruned, no axis": lambda t: t.nn.utils.prune.ln_structured(linear(t), "weight", 1, 2, 5),
    "pruned, not at all": lambda t: t.nn.utils.prune.remove(linear(t), "weight"),
    "lazy linear": lambda t: lazily(t, lambda n: n.LazyLinear(4), 2, 3),
    "lazy linear without bias": lambda t: lazily(t, lambda n: n.LazyLinear(4, bias=False), 2, 3),
    "lazy conv": lambda t: lazily(t, lambda n: n.LazyConv2d(4, 2, padding=1, groups=2), 2, 4, 3, 3),
    "lazy transposed": lambda t: lazily(t, lambda n: n.LazyConvTranspose1d(4, 2, stride=2), 2, 3, 4),
    "lazy batch norm": lambda t: lazily(t, lambda n: n.LazyBatchNorm1d(), 3, 4),
    "lazy batch norm without weights": lambda t: lazily(t, lambda n: n.LazyBatchNorm2d(affine=False), 3, 4, 2, 2),
    "lazy instance norm": lambda t: lazily(t, lambda n: n.LazyInstanceNorm1d(affine=True), 3, 4, 2),
    "lazy model": lambda t: lazily(t, lambda n: n.Sequential(n.LazyLinear(4), n.Tanh(), n.LazyLinear(2)), 2, 3),
    "lazy, used": lambda t: t.nn.LazyLinear(3).weight.shape,
    "lazy, wrong axes": lambda t: t.nn.LazyConv1d(3, 2)(t.zeros(3)),
    "lazy, wrong groups": lambda t: t.nn.LazyConv1d(4, 2, groups=2)(t.zeros(1, 3, 5)),
    "lazy, weight norm": lambda t: t.nn.utils.weight_norm(t.nn.LazyLinear(3)),
    "lazy, spectral norm": lambda t: t.nn.utils.spectral_norm(t.nn.LazyLinear(3)),
    "lazy into lazy": lambda t: lazy_state(t),
    "lazy into another": lambda t: t.nn.Linear(3, 2).load_state_dict(t.nn.LazyLinear(2).state_dict()),
    "adaptive softmax": adaptive,
    "adaptive softmax, no cutoffs": lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, []),
    "adaptive softmax, wrong cutoffs": lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 4]),
    "adaptive softmax, no class": lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(t.zeros(1, 8), t.tensor([20])),
    "adaptive softmax, wrong size": lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(t.zeros(2, 8), t.tensor([0])),
    "adaptive softmax, wrong axes": lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(t.zeros(1, 8), t.tensor(0)),
    "synchronised": synchronised,
    "two dtypes in a cell": lambda t: t.nn.LSTMCell(2, 3)(t.zeros(1, 2), (t.zeros(1, 3), t.zeros(1, 3).double())),
    "two dtypes before a cell": lambda t: t.nn.LSTMCell(2, 3)(t.zeros(1, 2).double(), (t.zeros(1, 3),) * 2),
    "synchronised vector": lambda t: t.nn.SyncBatchNorm(3)(t.zeros(3)),
    "norms except a dimension": norms,
}  # fmt: skip


def lazy_state(t: Any) -> Any:
    a, b = t.nn.LazyLinear(2), t.nn.LazyLinear(2)
    keys = str(b.load_state_dict(a.state_dict()))
    return keys, str(b.weight), str(copy.deepcopy(b).weight)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_pytorch(name: str) -> None:
    (ours, our_next, our_warnings), (theirs, next_, warnings_) = (
        outcome(PROGRAMS[name], t) for t in (chainrule, torch)
    )
    compare(ours, theirs)
    assert our_next == next_  # the streams of random numbers stand at the same place
    assert our_warnings == warnings_


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal_maps(orthogonal_map: str, start: bool, shape: tuple[int, int]) -> None:
    found = []
    for t in (chainrule, torch):
        t.manual_seed(0)
        layer = linear(t, *shape)
        made = of(t).orthogonal(layer, orthogonal_map=orthogonal_map, use_trivialization=start)
        found.append(plain(run(t, made, 2, shape[0])))
    compare(*found)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_names_of_nodes(dim: int) -> None:
    found = []
    for t in (chainrule, torch):
        layer = of(t).weight_norm(t.nn.Conv1d(2, 3, 2), dim=dim)
        found.append(type(layer.weight.grad_fn).__name__)
    assert found[0] == found[1]
