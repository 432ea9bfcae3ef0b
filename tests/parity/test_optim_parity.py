"""Optimizers beside PyTorch's: a hundred steps, steps that are recorded, averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optim_lines import NAMES, same

import chainrule
from optim_cases import CASES, CHECKED, DTYPES, MATRICES, Case, fits, label, run, run_lbfgs

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


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


# --- averages ---------------------------------------------------------------------------------------------------


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
