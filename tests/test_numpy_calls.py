"""NumPy's functions of tensors, and what else asks a tensor for its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch

UFUNCS = sorted({u.__name__ for u in vars(np).values() if isinstance(u, np.ufunc)})
NUMBERS: list[Any] = [2, 0.5, np.float32(2), np.float64(2), np.array([2.0, 1.0, 1.0])]
NOT_FOR_REAL = {"matvec", "vecmat", "isnat", "matmul", "vecdot"}


def given(name: str, dtype: str) -> list[tuple[Any, ...]]:
    x = np.array([1, 2, 3]) if dtype == "int64" else np.array([0.2, 0.4, 0.6])
    ufunc = getattr(np, name)
    if ufunc.nin == 1:
        return [(x,)]
    return [args for n in NUMBERS for args in ((x, n), (n, x))]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "int64"])
@pytest.mark.parametrize("name", UFUNCS)
def test_every_function_gives_numpys_numbers(name: str, dtype: str) -> None:
    if name in NOT_FOR_REAL or (name, dtype) == ("reciprocal", "int64"):
        pytest.skip("not elementwise, or of another meaning for integers")
    ufunc = getattr(np, name)
    for args in given(name, dtype):
        try:
            wanted = ufunc(*args)
        except TypeError:
            continue  # not for these numbers
        found = ufunc(*[torch.from_numpy(a) if isinstance(a, np.ndarray) and a.shape == (3,) else a for a in args])
        pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
        for a, b in pairs:
            assert type(a) is torch.Tensor
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-6)


SMOOTH: list[Callable[[Any], Any]] = [
    np.sin, np.exp, np.tanh, np.sqrt, np.log1p, np.abs, np.arctan, np.square, np.negative, np.reciprocal, np.exp2,
    lambda x: np.add(x, 1), lambda x: np.power(2.0, x), lambda x: np.multiply(np.arange(3.0), x),
    lambda x: np.arange(3.0) / x, lambda x: np.hypot(x, 2), lambda x: np.maximum(0.3, x), lambda x: np.arctan2(x, 2.0),
    lambda x: np.logaddexp(x, x), lambda x: np.logaddexp2(x, 1), lambda x: np.float64(2) ** x,
    lambda x: np.arange(6.0).reshape(2, 3) @ x, lambda x: np.matmul(x, np.arange(6.0).reshape(3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("f", SMOOTH)
def test_the_gradient_is_kept(f: Callable[[Any], Any]) -> None:
    x = torch.tensor([0.2, 0.4, 0.7], dtype=torch.float64, requires_grad=True)
    np.testing.assert_allclose(f(x).detach().numpy(), f(x.detach().numpy()), rtol=1e-12)
    assert torch.autograd.gradcheck(f, (x,))
    assert torch.autograd.gradgradcheck(f, (x,))


def test_under_transforms() -> None:
    x = torch.tensor([0.2, 0.4], dtype=torch.float64)
    assert torch.allclose(torch.func.vmap(torch.func.grad(np.sin))(x), x.cos())
    assert torch.allclose(torch.compile(lambda x: np.multiply(np.sin(x), 2))(x), 2 * x.sin())


REFUSED: list[Callable[[Any], Any]] = [
    np.cbrt, np.add.reduce, np.concatenate, np.cumsum, np.asarray, lambda x: np.sin(x, out=np.zeros(3)),
    lambda x: np.zeros(3).__iadd__(x), lambda x: np.where([True, False, True], x, 0), lambda x: np.sin(x, where=[True]),
]  # fmt: skip


@pytest.mark.parametrize("f", REFUSED)
def test_where_a_gradient_would_be_lost(f: Callable[[Any], Any]) -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        f([x] if f is np.concatenate else x)


def test_what_has_no_operation_gives_tensors() -> None:
    x = torch.tensor([1.0, 8.0])
    assert torch.equal(np.cbrt(x), torch.tensor([1.0, 2.0]))
    assert torch.equal(np.add.reduce(x), torch.tensor(9.0))
    assert torch.equal(np.cumsum(x), torch.tensor([1.0, 9.0]))
    whole, rest = np.divmod(x, 3)
    assert (whole.tolist(), rest.tolist()) == ([0, 2], [1, 2])


def test_writing_into_an_array() -> None:
    a = np.zeros(2)
    found = np.sin(torch.tensor([0.0, 1.0]), out=a)
    assert found is a
    assert a[1] == pytest.approx(np.sin(1), rel=1e-6)
    a += torch.tensor([1.0, 2.0])
    assert type(a) is np.ndarray
    with pytest.raises(TypeError, match="returned NotImplemented"):
        np.sin(a, out=torch.zeros(2))


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
def test_plotting() -> None:
    plt = pytest.importorskip("matplotlib.figure")
    axes = plt.Figure().subplots()
    x = torch.linspace(0, 1, 5)
    y = (x.requires_grad_() * 2).sin()
    for draw in (axes.plot, axes.scatter):
        with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad") as e:
            draw(x.detach(), y)
        assert "detach().numpy()" in e.value.__notes__[0]
    (line,) = axes.plot(x.detach(), y.detach())
    np.testing.assert_array_equal(line.get_ydata(), y.detach().numpy())
    axes.hist(y.detach())
    axes.imshow(torch.zeros(2, 2))
