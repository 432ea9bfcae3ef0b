"""Tensors over other libraries' arrays, as a user meets them; ``test_every_op`` checks the rules over them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.arrays import foreign, numpy_
from chainrule.arrays.foreign import Merged

NUMBERS = np.arange(1.0, 7.0).reshape(2, 3) / 3
Scalar = Callable[[Any], Any]


def over_dask() -> torch.Tensor:
    da = pytest.importorskip("dask.array")
    return torch.asarray(da.from_array(NUMBERS, chunks=(1, 2)), requires_grad=True)


def over_jax() -> torch.Tensor:
    jnp = pytest.importorskip("jax.numpy")
    return torch.asarray(jnp.asarray(NUMBERS), requires_grad=True)


@pytest.fixture
def float64(request: pytest.FixtureRequest) -> Iterator[None]:
    """JAX with 64 bits for one test, where the test is of JAX."""
    if request.node.callspec.params["make"] is not over_jax:
        yield
        return
    with pytest.importorskip("jax").enable_x64(True):
        yield


def written(x: Any) -> Any:
    y = x * 1
    y[0] = 5.0
    y[:, 1] = y[:, 1] * 2
    y[torch.tensor([1, 0]), torch.tensor([0, 2])] = torch.tensor([3.0, 4.0], dtype=torch.float64)
    y[torch.tensor([[False, False, False], [False, True, True]])] *= 2
    y.add_(1)
    y[1].mul_(3)
    return (y * y).sum()


SCRIPTS: dict[str, Scalar] = {
    "statistics": lambda x: x.mean() + x.var() + x.std(0).sum() + x.norm(),
    "products": lambda x: (x @ x.T).sum() + (x @ x[0]).sum() + x[0].dot(x[1]),
    "choices": lambda x: torch.where(x > 1, x**3, x).sum() + x.clamp(0.5, 1.5).sum() + x.masked_fill(x > 1, 0.0).sum(),
    "extremes": lambda x: x.max() + x.max(1).values.sum() + x.amin(0).sum() + x.argmax(1).sum() * x.sum(),
    "softmax": lambda x: (torch.softmax(x, 1) ** 2).sum() + torch.logsumexp(x, 0).sum(),
    "indexing": lambda x: (x[torch.tensor([0, 0, 1])] ** 2).sum() + x[:, torch.tensor([[0, 2], [1, 1]])].exp().sum()
    + (x[1, torch.tensor([True, False, True])] ** 2).sum() + x.gather(1, torch.tensor([[0, 2], [1, 1]])).sin().sum(),
    "shapes": lambda x: (x.view(3, 2).t() * x.flatten()[:4].reshape(2, 2)[:, :1]).sum() + x.unbind(1)[2].sum(),
    "joining": lambda x: torch.cat([x, x**2], 1).prod(1).sum() + torch.stack([x, x**2]).cumsum(0).exp().sum(),
    "writing": written,
    "loops": lambda x: sum((row * row).sum() for row in x) if x.sum() > 0 else x.sum(),
    "numbers": lambda x: (x * NUMBERS + NUMBERS).sum() + (2 / x - 2**x).sum() + (x.float() * 2).sum(),
    "transforms": lambda x: (torch.func.vmap(torch.func.grad(lambda v: (v**3).sum()))(x) * x).sum()
    + torch.func.hessian(lambda v: v.sin().sum())(x.detach()).sum() + torch.func.taylor(torch.exp, x.detach(), 3).sum(),
}  # fmt: skip


@pytest.mark.parametrize("make", [over_dask, over_jax])
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_run_as_over_numpy(name: str, make: Callable[[], torch.Tensor], float64: None) -> None:
    x, wanted = make(), torch.tensor(NUMBERS, requires_grad=True)
    SCRIPTS[name](wanted).backward()
    SCRIPTS[name](x).backward()
    assert type(x.grad._a).__module__.partition(".")[0] in ("dask", "jaxlib")
    np.testing.assert_allclose(x.grad.numpy(), wanted.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("make", [over_dask])
def test_printing_computes_nothing(make: Callable[[], torch.Tensor], float64: None) -> None:
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler=lambda *args, **kwargs: pytest.fail("a Dask array was computed")):
        x = make()
        assert repr(x) == "dask: tensor(..., size=(2, 3), dtype=torch.float64, requires_grad=True)"
        assert repr(x.sum() * 2) == "dask: tensor(..., size=(), dtype=torch.float64, grad_fn=<MulBackward0>)"


@pytest.mark.parametrize(
    ("make", "shown"), [(over_dask, "tensor(..., size=(2, 3)"), (over_jax, "jax: tensor([[0.3333, 0.6667")]
)
def test_values_come_out(make: Callable[[], torch.Tensor], shown: str, float64: None) -> None:
    x = make().detach()
    np.testing.assert_array_equal(x.numpy(), NUMBERS)
    assert x[1, 2].item() == 2.0
    assert float(x.sum()) == pytest.approx(7.0)
    assert x.tolist() == NUMBERS.tolist()
    assert shown in repr(x)
    assert (x.shape, x.dtype, len(x)) == ((2, 3), torch.float64, 2)
    np.testing.assert_array_equal(copy.deepcopy(x).numpy(), NUMBERS)


def test_a_gradient_is_compiled_by_jax() -> None:
    jax = pytest.importorskip("jax")

    def f(x: torch.Tensor) -> torch.Tensor:
        return (torch.softmax(x, 0) * torch.sin(x)).sum()

    compiled = jax.jit(lambda a: torch.func.grad(f)(torch.asarray(a))._a)
    with jax.enable_x64(True):
        found = compiled(jax.numpy.asarray(NUMBERS[0]))
        wanted = torch.func.grad(f)(torch.tensor(NUMBERS[0])).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


ROWS, COLUMNS = np.array([2, 0, -1]), np.array([[1], [4]])
KEYS = {
    "slice": (slice(1, None, 2), ...), "number": (1, ...), "new axis": (None, ..., -1), "rows": (ROWS, ...),
    "last": (..., np.array([[0, 1], [1, 1]])), "two": (ROWS, slice(None), np.array([1, 0, 1])),
    "beside a number": (ROWS, 1, ...), "apart from a number": (0, slice(None), ROWS), "crossed": (..., COLUMNS, ROWS),
    "mask": (np.array([[True, False, True, False, False]] * 4), ...),
    "row mask": (np.array([True, False, False, True]), ...),
    "after an axis": (slice(None), np.array([0, 4, 4]), None, ...), "one entry": (ROWS, np.array([0, 0, 0]), ROWS),
    "nothing": (np.array([], int), ...),
}  # fmt: skip


@pytest.mark.parametrize("chunks", [(2, 2, 3), (4, 1, 2)])
@pytest.mark.parametrize("name", KEYS)
def test_dask_indexes_as_numpy_does(name: str, chunks: tuple[int, ...]) -> None:
    da, dask = pytest.importorskip("dask.array"), pytest.importorskip("dask")
    xp, key = foreign.namespace(da.ones(2)), KEYS[name]
    draw = np.random.default_rng(0)
    a = draw.normal(size=(4, 5, 3))
    g = draw.normal(size=a[key].shape)
    row = draw.normal(size=g.shape[-1:])
    x, cotangent = da.from_array(a, chunks=chunks), da.from_array(g, chunks=1)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a Dask array was computed")

    with dask.config.set(scheduler=refuse):
        results = [xp.getitem(x, key), xp.put_add(cotangent, key, a.shape, True)]
        results += [xp.put(x, cotangent, key), xp.put(x, row, key)]
    wanted = [a[key], numpy_.put_add(g, key, a.shape, True), numpy_.put(a, g, key), numpy_.put(a, row, key)]
    for r, w in zip(results, wanted, strict=True):
        assert r.shape == w.shape
        np.testing.assert_allclose(r.compute(), w)


def test_an_index_out_of_range() -> None:
    with pytest.raises(ValueError, match="invalid entry"):
        Merged.of((np.array([5]), ...), (4, 3))


def test_cupy_is_written_like_numpy() -> None:
    """CuPy's own part, with array_api_compat's NumPy in CuPy's place: there is no GPU here."""
    pytest.importorskip("array_api_compat")
    pretended = type("Pretended", (foreign.Cupy,), {"module": "array_api_compat.numpy"})()
    x, index = NUMBERS.copy(), np.array([[0, 2], [1, 1]])
    key, g = (np.array([1, 1]), ...), np.ones((2, 3))
    np.testing.assert_array_equal(pretended.getitem(x, key), x[key])
    for repeats in (True, False):
        found = pretended.put_add(g, key, x.shape, repeats)
        np.testing.assert_array_equal(found, numpy_.put_add(g, key, x.shape, repeats))
    np.testing.assert_array_equal(pretended.put(x, 0.0, key), numpy_.put(x, 0.0, key))
    np.testing.assert_array_equal(pretended.take_along_axis(x, index, axis=-1), np.take_along_axis(x, index, axis=-1))
    placed = pretended.put_along_axis(x[:, :2], index, -1, 3)
    np.testing.assert_array_equal(placed, numpy_.put_along_axis(x[:, :2], index, -1, 3))
    np.testing.assert_array_equal(x, NUMBERS)
    for name in ("sigmoid", "softplus", "relu", "square"):
        np.testing.assert_allclose(getattr(pretended, name)(x - 1), getattr(numpy_, name)(x - 1), rtol=1e-15)
    assert pretended.astype(x + 1j, np.float32).dtype == np.float32
