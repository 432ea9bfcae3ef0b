"""The same lines through PyTorch and through chainrule: steps, schedules, saved states, texts, warnings and errors."""

from __future__ import annotations

import copy
import importlib
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule
import optim_cases
import optim_schedules
from optim_cases import CASES, CHECKED, DTYPES, MATRICES, Case, fits, label, run, run_lbfgs

torch = pytest.importorskip("torch")
Lines = Callable[[Any], Any]
inf, nan = float("inf"), float("nan")
pytestmark = pytest.mark.usefixtures("own_generator")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- a hundred steps ----------------------------------------------------------------------------------------

EVERY = {label(c): c for case in CASES.values() for dtype in DTYPES if fits(c := case._replace(dtype=dtype))}
WIDE = {name: case for name, case in EVERY.items() if case.name not in ("Muon", "LBFGS")}


@pytest.mark.parametrize("name", WIDE)
def test_steps(name: str) -> None:
    case = WIDE[name]
    tolerance = 1e-12 if case.dtype in ("float64", "complex128") else 1e-6
    ours, theirs = run(chainrule, case), run(torch, case)
    for step in CHECKED:
        for a, b in zip(ours[step], theirs[step], strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name, case in EVERY.items() if case.name == "Muon"])
def test_steps_of_muon(name: str) -> None:
    """Bit for bit in bfloat16 where the sums are short; where they are long, the last of its bits may differ."""
    case = EVERY[name]
    for shapes, tolerance in ((MATRICES, 1e-6), (((40, 30), (20, 50)), 1e-2 * case.options.get("lr", 1e-3))):
        ours, theirs = run(chainrule, case, shapes, 7), run(torch, case, shapes, 7)
        for step in (1, 2, 7):
            for a, b in zip(ours[step], theirs[step], strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "name", [n for n, c in EVERY.items() if c.name == "LBFGS" and c.dtype in ("float64", "complex128")]
)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
def test_steps_of_lbfgs(name: str) -> None:
    case = EVERY[name]
    ours, theirs = run_lbfgs(chainrule, case), run_lbfgs(torch, case)
    for step, tolerance in ((1, 1e-9), (2, 1e-6), (3, 1e-5)):  # small differences grow
        for a, b in zip(ours[step], theirs[step], strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "RMSprop", "Adadelta", "Rprop"])
def test_half_precision(name: str) -> None:
    found = [run(t, Case(name, {"lr": 0.01}, "float16"), steps=7)[7] for t in (chainrule, torch)]
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("shape", [(300, 400), (7, 40_000), (200_000,), (3, 70_000), (50, 60, 70)])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RAdam", "Rprop", "ASGD"])
def test_large_and_transposed_parameters(name: str, shape: Any) -> None:
    """Moved block by block, in whichever order their memory is."""
    rng = np.random.default_rng(0)
    value, grads = rng.standard_normal(shape), [rng.standard_normal(shape) for _ in range(2)]
    found = []
    for t in (chainrule, torch):
        plain = t.tensor(value, requires_grad=True)
        turned = t.tensor(np.ascontiguousarray(value.T)).t_() if len(shape) == 2 and t is torch else None
        if turned is None:
            turned = t.from_numpy(np.asfortranarray(value).copy("K"))
        turned.requires_grad_()
        strided = t.from_numpy(np.repeat(value, 2, axis=0))[::2].requires_grad_()
        params = [plain, turned, strided]
        optimizer = getattr(t.optim, name)(params, lr=0.1)
        for g in grads:
            for p in params:
                p.grad = t.from_numpy(g.copy())
            optimizer.step()
        found.append([p.detach().numpy() for p in params])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# --- schedules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", optim_schedules.CASES)
def test_rates(name: str) -> None:
    assert optim_schedules.outcome(chainrule, name) == optim_schedules.outcome(torch, name)


@pytest.mark.parametrize("name", optim_schedules.SCHEDULES)
def test_rates_that_are_tensors(name: str) -> None:
    ours, theirs = (optim_schedules.run(t, name, tensor=True, state=True) for t in (chainrule, torch))
    assert ours == theirs


# --- lines --------------------------------------------------------------------------------------------------


def outcome(lines: Lines, t: Any) -> Any:
    """What ``lines`` give or raise with the library ``t``, and what they warn of, in comparable form."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = lines(t)
        except Exception as e:
            result = (type(e).__name__, str(*e.args[:1]))
    return plain(result), [(w.category.__name__, str(w.message)) for w in caught]


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        found = np.asarray(value.detach().numpy())
        return [str(found.dtype), plain(np.round(found, 6).tolist())]
    if isinstance(value, dict):
        return [[k, plain(v)] for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and value != value:
        return "nan"
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def same(lines: Lines) -> Any:
    ours, theirs = outcome(lines, chainrule), outcome(lines, torch)
    assert ours == theirs
    return ours


def leaf(t: Any, *shape: int, dtype: str = "float32", grad: bool = True) -> Any:
    p = t.ones(shape or (2,), dtype=getattr(t, dtype)).requires_grad_()
    if grad:
        p.grad = t.ones_like(p) * 0.5
    return p


NAMES = [*optim_cases.OPTIONS]


def make(t: Any, name: str, params: Any = None, **options: Any) -> Any:
    params = [leaf(t, 2, 2), leaf(t, 2, 3)] if params is None else params
    return getattr(t.optim, name)(params, **options)


def stepped(o: Any, times: int = 1) -> Any:
    for _ in range(times):
        o.step((lambda: 1.0) if type(o).__name__ == "LBFGS" else None)
    return o


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


# --- states from one to the other -----------------------------------------------------------------------------


def converted(value: Any, t: Any) -> Any:
    """A state with its tensors made those of the other library."""
    if hasattr(value, "detach"):
        return t.from_numpy(np.array(value.detach().numpy()))
    if isinstance(value, dict):
        return {k: converted(v, t) for k, v in value.items()}
    return [converted(v, t) for v in value] if isinstance(value, list) else value


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


# --- steps that are recorded ----------------------------------------------------------------------------------


def through(t: Any, name: str, dtype: str, start: Any, **options: Any) -> Any:
    """A parameter computed from ``start``, after three steps along gradients computed from ``start`` too."""
    x = start * 1
    x.retain_grad()
    o = getattr(t.optim, name)([x], differentiable=True, **options)
    for turn in (1.0, -0.5, 0.75):
        x.grad = start * turn + start * start * 0.3
        o.step()
    return x


# Of Adamax and Rprop PyTorch takes no gradient through a second step.
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Muon", "LBFGS", "Adafactor", "Adamax", "Rprop")])
def test_gradients_through_steps(name: str, dtype: str) -> None:
    """Where PyTorch counts steps in float32, it does so within a recorded step, too."""
    found = []
    for t in (chainrule, torch):
        start = t.tensor([1.0, 2.0, -0.6], dtype=getattr(t, dtype), requires_grad=True)
        x = through(t, name, dtype, start, lr=0.1)
        (g,) = t.autograd.grad((x * x.conj()).real.sum(), start)
        found.append([x.detach().numpy().copy(), g.numpy()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


def test_gradients_of_options() -> None:
    found = []
    for t in (chainrule, torch):
        start = t.tensor([1.0, 2.0, -0.6], dtype=t.float64, requires_grad=True)
        wide = [t.tensor(v, dtype=t.float64, requires_grad=True) for v in (0.1, 0.8, 0.9, 0.25)]
        lr, b1, b2, decay = wide
        x = through(t, "Adam", "float64", start, lr=lr, betas=(b1, b2), weight_decay=decay)
        found.append([g.item() for g in t.autograd.grad((x * x).sum(), wide)])
    np.testing.assert_allclose(*found, rtol=1e-5)


# --- schedules: words -------------------------------------------------------------------------------------------


def scheduled(t: Any) -> Any:
    return t.optim.lr_scheduler, optim_schedules.optimizer(t)


@pytest.mark.parametrize(
    "lines",
    [
        lambda s, o: s.StepLR(3, 1), lambda s, o: s.StepLR(o, 1, last_epoch=3), lambda s, o: s.ConstantLR(o, 2.0),
        lambda s, o: s.LinearLR(o, 0.0), lambda s, o: s.LinearLR(o, 0.5, -1.0), lambda s, o: s.LambdaLR(o, [abs]),
        lambda s, o: s.MultiplicativeLR(o, [abs]), lambda s, o: s.MultiplicativeLR(o, 3),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), lambda s, o: s.CosineAnnealingWarmRestarts(o, 1.5),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0), lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 1, "a"),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 1).step(-1), lambda s, o: s.CyclicLR(o, [1], 2),
        lambda s, o: s.CyclicLR(o, 1, 2, mode="no"), lambda s, o: s.CyclicLR(3, 1, 2), lambda s, o: s.OneCycleLR(o, 1),
        lambda s, o: s.OneCycleLR(o, 1, total_steps=0), lambda s, o: s.OneCycleLR(o, 1, total_steps=1.5),
        lambda s, o: s.OneCycleLR(o, 1, epochs=0, steps_per_epoch=3), lambda s, o: s.OneCycleLR(3, 1, 2),
        lambda s, o: s.OneCycleLR(o, 1, epochs=2, steps_per_epoch=-3), lambda s, o: s.OneCycleLR(o, [1], 5),
        lambda s, o: s.OneCycleLR(o, 1, 5, pct_start=1), lambda s, o: s.OneCycleLR(o, 1, 5, anneal_strategy="no"),
        lambda s, o: s.ReduceLROnPlateau(o, "mid"), lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
        lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="no"), lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1]),
        lambda s, o: s.ReduceLROnPlateau(3), lambda s, o: s.SequentialLR(o, [], []),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]), lambda s, o: s.SequentialLR(o, [3], []),
        lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), lambda s, o: s.ChainedScheduler([]),
        lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]), lambda s, o: s.ChainedScheduler([3], o),
        lambda s, o: s.LRScheduler(o), lambda s, o: s.StepLR(o, 0, last_epoch=-1).step(),
    ],
)  # fmt: skip
def test_refused_schedules(lines: Any) -> None:
    result, _ = same(lambda t: lines(*scheduled(t)))
    assert result[0].endswith("Error")


def test_schedules_that_need_momentum() -> None:
    for lines in (lambda s, o: s.CyclicLR(o, 1, 2), lambda s, o: s.OneCycleLR(o, 1, 5)):
        result, _ = same(lambda t, lines=lines: lines(t.optim.lr_scheduler, t.optim.Adagrad([leaf(t)])))
        assert "must support momentum" in result[1]


def test_schedules_of_another_optimizer() -> None:
    def lines(t: Any) -> Any:
        s, o = scheduled(t)
        return s.ChainedScheduler([s.StepLR(o, 1), s.StepLR(scheduled(t)[1], 1)])

    assert same(lines)[0][0] == "ValueError"


@pytest.mark.parametrize(
    "lines",
    [
        lambda s, o: s.StepLR(o, 1).step(),  # before the optimiser's
        lambda s, o: s.StepLR(o, 2).step(5),
        lambda s, o: s.StepLR(o, 2).get_lr(),
        lambda s, o: s.CosineAnnealingLR(o, 2).get_lr(),
        lambda s, o: [o.step(), s.ExponentialLR(o, 0.5).step()],
        lambda s, o: s.ReduceLROnPlateau(o).step(1.0, 3),
        lambda s, o: [x := s.CosineAnnealingWarmRestarts(o, 2), x.step(1.5), x.step(7.25), x.get_last_lr()][-1],
        lambda s, o: [x := s.MultiStepLR(o, [2, 3]), x.step(3), x.get_last_lr(), x.step(0), x.get_last_lr()][1:],
        lambda s, o: [x := s.LambdaLR(o, lambda n: n), x.step(3), x.get_last_lr()][1:],
        lambda s, o: [x := s.SequentialLR(o, [s.SequentialLR(o, [s.StepLR(o, 1), s.ConstantLR(o)], [2]),
                                              s.PolynomialLR(o, 3)], [5]), o.step(), x.step(), x.get_last_lr()][1:],
    ],
)  # fmt: skip
def test_warnings_of_schedules(lines: Any) -> None:
    same(lambda t: lines(*scheduled(t)))


def test_a_step_that_was_overridden() -> None:
    def lines(t: Any) -> Any:
        s, o = scheduled(t)
        scheduler = s.StepLR(o, 1)
        o.step = lambda: None
        scheduler.step()

    _, caught = same(lines)
    assert "has been overridden" in caught[0][1]


@pytest.mark.parametrize("name", optim_schedules.SCHEDULES)
def test_schedules_go_on_from_a_saved_state(name: str) -> None:
    """What PyTorch saved, we take up, and it goes on as there."""

    def after(t: Any, scheduler: Any, o: Any) -> list[Any]:
        found = []
        for _ in range(5):
            o.step()
            scheduler.step()
            found.append(optim_schedules.numbers(o))
        return found

    made = [(o := optim_schedules.optimizer(t), optim_schedules.SCHEDULES[name](t.optim.lr_scheduler, o, t))
            for t in (torch, chainrule)]  # fmt: skip
    (theirs, their), (ours, our) = made
    after(torch, their, theirs)
    ours.load_state_dict(converted(theirs.state_dict(), chainrule))
    our.load_state_dict(their.state_dict())
    ours.step()  # else the next step of the schedule warns
    assert after(chainrule, our, ours) == after(torch, their, theirs)


# --- averages, bounds -------------------------------------------------------------------------------------------


def network(t: Any) -> Any:
    model = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh(), t.nn.Linear(3, 1))
    for i, p in enumerate(model.parameters()):
        p.data = t.tensor(np.linspace(-1, 1, p.numel()).reshape(tuple(p.shape)) + i, dtype=t.float32)
    model.register_buffer("count", t.tensor([3.0]))
    return model


@pytest.mark.parametrize(
    "options",
    [
        lambda u: {}, lambda u: {"use_buffers": True}, lambda u: {"avg_fn": u.get_ema_avg_fn(0.8)},
        lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.8)}, lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
        lambda u: {"avg_fn": lambda a, p, n: 0.5 * a + 0.5 * p}, lambda u: {"avg_fn": 1, "multi_avg_fn": 2},
        lambda u: {"avg_fn": u.get_ema_avg_fn(2.0)}, lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(-1.0)},
    ],
)  # fmt: skip
def test_averaged_models(options: Any) -> None:
    def lines(t: Any) -> Any:
        model = network(t)
        averaged = t.optim.swa_utils.AveragedModel(model, **options(t.optim.swa_utils))
        for i in range(4):
            for x in [*model.parameters(), *model.buffers()]:
                x.data = x.data * 0.5 + i
            averaged.update_parameters(model)
        return [dict(averaged.state_dict()), averaged(t.ones(1, 2))]

    same(lines)


@pytest.mark.parametrize(
    "lines",
    [
        lambda t, o: t.optim.swa_utils.SWALR(o, [0.1]), lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, 3, "no"),
        lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, -1), lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, 1.5),
    ],
)  # fmt: skip
def test_refused_swalr(lines: Any) -> None:
    assert same(lambda t: lines(t, optim_schedules.optimizer(t)))[0][0] == "ValueError"


def parameters(t: Any, dtype: str) -> list[Any]:
    rng, found = np.random.default_rng(0), []
    for shape in ((3, 4), (5,), ()):
        g = np.array(rng.standard_normal(shape) * 3)
        if dtype.startswith("complex"):
            g = np.array(g + 1j * rng.standard_normal(shape))
        p = t.from_numpy(np.zeros(shape).astype(dtype)).requires_grad_()
        p.grad = t.from_numpy(g.astype(dtype))
        found.append(p)
    return [*found, leaf(t, grad=False)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "complex128"])
@pytest.mark.parametrize("order", [2, 1, inf, -inf, 0, 3, 0.5, "inf"])
@pytest.mark.parametrize("bound", [1.0, 100.0, 0])
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_clipping_norms(dtype: str, order: float, bound: float) -> None:
    found = []
    for t in (chainrule, torch):
        params = parameters(t, dtype)
        total = t.nn.utils.clip_grad_norm_(params, bound, order)
        found.append([total.numpy(), *[p.grad.numpy() for p in params[:3]]])
    tolerance = 2e-3 if dtype == "float16" else 2e-6
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "lines",
    [
        lambda t, u: u.get_total_norm([]), lambda t, u: u.get_total_norm(t.ones(2) * 2),
        lambda t, u: u.get_total_norm([t.ones(0)]), lambda t, u: u.get_total_norm([t.ones(0)], inf),
        lambda t, u: u.get_total_norm([t.ones(2), t.ones(2, dtype=t.float64)]),
        lambda t, u: u.get_total_norm([t.tensor([nan, 1.0])], inf),
        lambda t, u: u.get_total_norm([t.ones(2) * inf], 1, error_if_nonfinite=True),
        lambda t, u: u.clip_grad_norm_([], 1.0), lambda t, u: u.clip_grad_norm_((p for p in ()), 1.0),
        lambda t, u: u.clip_grad_norm_(3, 1.0), lambda t, u: u.clip_grad_norm([leaf(t)], 0.1),
        lambda t, u: u.clip_grad_norm_(leaf(t, grad=False), 1.0), lambda t, u: u.clip_grad_norm_(leaf(t), "0.1"),
        lambda t, u: [p := leaf(t), u.clip_grads_with_norm_(p, 0.1, t.tensor(5.0)), p.grad][1:],
        lambda t, u: [p := leaf(t), u.clip_grad_value_(p, 0.25), p.grad][1:],
        lambda t, u: [p := leaf(t), u.clip_grad_value_([p, leaf(t, grad=False)], "0.25"), p.grad][1:],
        lambda t, u: u.parameters_to_vector([leaf(t, 2, 2), leaf(t)]), lambda t, u: u.vector_to_parameters(3, []),
        lambda t, u: [p := leaf(t, 2, 2), u.vector_to_parameters(t.arange(4.0), [p]), p, p.requires_grad][1:],
    ],
)  # fmt: skip
def test_bounds_and_vectors(lines: Any) -> None:
    same(lambda t: lines(t, t.nn.utils))
