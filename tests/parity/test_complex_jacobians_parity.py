"""Jacobians, products and second derivatives of complex functions, holomorphic and not, as PyTorch gives them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import chainrule

Z, W = np.array([1 + 0.5j, -0.7 + 0.2j, 0.3 - 1.1j]), np.array([0.2 - 0.4j, 1 + 1j, -0.5 + 0.3j])
X, V = np.array([0.5, -1.2, 2.0]), np.array([1.0, 2.0, -1.0])
OF_COMPLEX: dict[str, Callable[..., Any]] = {
    "exp": lambda T, z: z.exp(), "cube": lambda T, z: z * z * z, "sqrt": lambda T, z: z.sqrt(), "div": lambda T, z: 1 / z,
    "log": lambda T, z: z.log(), "pow": lambda T, z: z**2.5, "tanh": lambda T, z: z.tanh(),
    "fft": lambda T, z: T.fft.fft(z * z), "cumprod": lambda T, z: z.cumprod(0), "sum": lambda T, z: (z * z).sum(),
    "conj": lambda T, z: z.conj() * z, "abs": lambda T, z: z.abs(), "angle": lambda T, z: z.angle(),
    "real": lambda T, z: z.real, "imag": lambda T, z: (z * z).imag, "parts": lambda T, z: T.view_as_real(z * 2),
    "mix": lambda T, z: z.real * z.conj(), "product": lambda T, z: T.outer(z, z.conj()) @ z, "sgn": lambda T, z: T.sgn(z),
    "polar": lambda T, z: T.polar(z.abs(), z.angle()), "norm": lambda T, z: T.linalg.vector_norm(z),
}  # fmt: skip
OF_REAL: dict[str, Callable[..., Any]] = {
    "complex": lambda T, x: T.complex(x, x * x), "wave": lambda T, x: (1j * x).exp(),
    "rfft": lambda T, x: T.fft.rfft(x * x), "size": lambda T, x: ((1 + 2j) * x).abs(),
    "shadow": lambda T, x: (x * (1 + 1j)).real,
}  # fmt: skip
CASES = [(name, f, Z, W) for name, f in OF_COMPLEX.items()] + [(name, f, X, V) for name, f in OF_REAL.items()]


def ways(T: Any, f: Any, z: Any, v: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every way to a derivative."""
    old, weights = T.autograd.functional, lambda: T.ones_like(f(z)) * ((1 + 2j) if f(z).is_complex() else 1)
    size = lambda z: (f(z).abs() ** 2).sum()
    yield "jacrev", lambda: T.func.jacrev(f)(z)
    yield "jacfwd", lambda: T.func.jacfwd(f)(z)
    yield "vjp", lambda: T.func.vjp(f, z)[1](weights())[0]
    yield "jvp", lambda: T.func.jvp(f, (z,), (v,))[1]
    yield "linearize", lambda: T.func.linearize(f, z)[1](v)
    yield "vmap of jacrev", lambda: T.func.vmap(T.func.jacrev(f))(T.stack([z, z * 2]))
    yield "grad of a sum", lambda: T.func.grad(lambda z: f(z).sum())(z)
    yield "grad of a size", lambda: T.func.grad(size)(z)
    yield "hessian of a size", lambda: T.func.hessian(size)(z)
    yield "functional.jacobian", lambda: old.jacobian(f, z)
    yield "functional.jacobian, vectorized", lambda: old.jacobian(f, z, vectorize=True)
    yield "functional.jacobian, forward", lambda: old.jacobian(f, z, vectorize=True, strategy="forward-mode")
    yield "functional.vjp", lambda: old.vjp(f, z, weights())[1]
    yield "functional.jvp", lambda: old.jvp(f, z, v)[1]
    yield "functional.hessian", lambda: old.hessian(size, z)
    yield "functional.vhp", lambda: old.vhp(size, z, v)[1]
    yield "functional.hvp", lambda: old.hvp(size, z, v)[1]


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run().detach()
    except Exception as e:
        return type(e).__name__, str(e).partition("\n")[0]


@pytest.mark.parametrize(("name", "f", "at", "along"), CASES, ids=[c[0] for c in CASES])
def test_every_way(name: str, f: Any, at: Any, along: Any) -> None:
    theirs = ways(torch, lambda z: f(torch, z), torch.tensor(at), torch.tensor(along))
    ours = ways(chainrule, lambda z: f(chainrule, z), chainrule.tensor(at), chainrule.tensor(along))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (way, run), (_, our_run) in zip(theirs, ours, strict=True):
            right, found = outcome(run), outcome(our_run)
            if isinstance(right, tuple):
                assert found == right or "INTERNAL ASSERT" in right[1], way
                continue
            assert not isinstance(found, tuple), (way, found)
            expected = right.resolve_conj().resolve_neg().numpy()
            assert found.numpy().dtype == expected.dtype, way
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10, err_msg=way)
