"""The readings of ``every_op`` over other arrays: float32, complex, other layouts, SymPy, Dask, JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import autograd, func
from chainrule.primitive import Elementwise
from every_op import close, fitting, gradients, size, slope
from op_cases import Array, Case

Lift = Callable[[Array], torch.Tensor]


# --- dtypes and layouts ---------------------------------------------------------------------------------


def single(case: Case) -> None:
    """float32 in, float32 out, in every derivative; two dtypes in, each gradient in its own."""
    wide = results(case, torch.from_numpy)
    floats = [i for i in case.arrays if case.args[i].dtype.kind == "f"]
    small = case.with_args([a.astype(np.float32) if i in floats else a for i, a in enumerate(case.args)])
    for found, wanted in zip(results(small, torch.from_numpy), wide, strict=True):
        if wanted.dtype == torch.float64:
            assert found.dtype == torch.float32, f"{found.dtype} from float32"
        close(
            found.detach().numpy().astype(wanted._dtype), wanted.detach().numpy(), 2e-5, max(0.01, scale_of(wanted))
        )  # sums may cancel
    if case.moving:
        _, tangent = func.jvp(small, tuple(small.xs()), tuple(torch.ones_like(x) for x in small.xs()))
        assert tangent.dtype == small(*small.xs()).dtype
    if len(case.moving) > 1 and isinstance(case.prim, Elementwise):
        xs = [x.requires_grad_() for x in (*small.xs()[:1], *case.xs()[1:])]
        fitting(gradients(case(*xs).sum(), xs), xs)


def layouts(case: Case) -> None:
    """The same numbers otherwise in memory give the same results."""
    wanted = [r.detach().numpy() for r in results(case, torch.from_numpy)]
    for arrange in (np.asfortranarray, reversed_memory, every_second, turned):
        other = case.with_args([arrange(a) if isinstance(a, np.ndarray) and a.ndim else a for a in case.args])
        for r, w in zip(results(other, torch.from_numpy), wanted, strict=True):
            close(r.detach().numpy(), w, 1e-13)
    expanded = [spread_first(a) if i in case.shapes else a for i, a in enumerate(case.args)]
    dense = [a.copy() if isinstance(a, np.ndarray) else a for a in expanded]
    found, same = (results(case.with_args(args), torch.from_numpy) for args in (expanded, dense))
    for r, w in zip(found, same, strict=True):
        close(r.detach().numpy(), w.detach().numpy(), 1e-13)


def spread_first(a: Array) -> Array:
    """The first entry of each row in every place of it, without memory of their own."""
    return np.broadcast_to(a[..., :1], a.shape) if a.size and a.ndim else a


def reversed_memory(a: Array) -> Array:
    return a[::-1].copy()[::-1]


def every_second(a: Array) -> Array:
    return np.repeat(a, 2, -1)[..., ::2]


def turned(a: Array) -> Array:
    return np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0)


def scale_of(t: torch.Tensor) -> float:
    return float(np.abs(t.detach().numpy()).max(initial=0))


def results(case: Case, lift: Lift) -> list[torch.Tensor]:
    """The result, its gradients, and theirs: what a reading over other arrays compares."""
    xs = [lift(case.args[i]) for i in case.arrays]
    moving = [x for i, x in zip(case.arrays, xs, strict=True) if i in case.moving]
    for x in moving:
        x.requires_grad_()
    out = case(*xs, at=case.arrays)
    if not moving:
        assert not out.requires_grad
        return [out]
    if out._dtype.kind == "c":
        out = out.real
    first = gradients((out * steps(out, 1)).sum(), moving, create_graph=True)
    second = gradients(sum((g * steps(g, 2)).sum() for g in first), moving)  # type: ignore[arg-type]
    return [out, *first, *second]


def steps(like: torch.Tensor, k: int) -> torch.Tensor:
    """Weights that are short fractions, so that symbols stay exact: (1 to 5) / 4, in turn."""
    n = math.prod(like.shape)
    return torch.from_numpy(((k * np.arange(n) % 5 + 1) / 4).reshape(tuple(like.shape)).astype(like._dtype))


# --- complex numbers ----------------------------------------------------------------------------------------


def wirtinger(case: Case) -> None:
    """PyTorch's convention: for real L the gradient is ∂L/∂(real part) + i ∂L/∂(imaginary part)."""
    for tag, mixed in enumerate(mixtures(case)):
        convention(case, [torch.from_numpy(np.asarray(z)) for z in mixed], case.random(f"complex {tag}"))


def convention(case: Case, zs: list[torch.Tensor], draw: np.random.Generator) -> None:
    """First and second derivatives, and the tangent, at ``zs`` along one random direction, against differences."""
    vs = [like(z, draw, -1.0) for z in zs]
    u = like(case(*zs), draw, 0.5)

    def gradient(zs: Sequence[Any], create_graph: bool = False) -> list[torch.Tensor]:
        return list(autograd.grad(case(*zs), list(zs), u, create_graph=create_graph))

    def leaves(t: float = 0.0) -> list[torch.Tensor]:
        return [(z + t * v).detach().requires_grad_() for z, v in zip(zs, vs, strict=True)]

    def along(gs: Sequence[torch.Tensor]) -> torch.Tensor:
        total: Any = sum(inner(g, v) for g, v in zip(gs, vs, strict=True))
        return total

    first = gradient(leaves())
    fitting(first, zs)
    terms = size([abs(g) for g in first], [abs(v) for v in vs])
    expected = slope(lambda t: inner(u, case(*leaves(t))).item())
    close(along(first).item(), expected, 1e-8, terms)
    close(inner(u, func.jvp(case, tuple(zs), tuple(vs))[1]).item(), expected, 1e-8, terms)
    moving = leaves()
    second = gradients(along(gradient(moving, create_graph=True)), moving)
    close(along(second).item(), slope(lambda t: along(gradient(leaves(t))).item()), 1e-7, terms)


def like(z: torch.Tensor, draw: np.random.Generator, low: float) -> torch.Tensor:
    """Random numbers of z's shape and kind, real and imaginary part from ``low`` to ``low + 1.5``."""
    parts = [draw.uniform(low, low + 1.5, tuple(z.shape)) for _ in range(2)]
    return torch.from_numpy(np.asarray(parts[0] + 1j * parts[1] if z.is_complex() else parts[0]))


def inner(u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The real part of ⟨u, z⟩: how complex numbers are paired with their gradients."""
    if not u.is_complex() or not z.is_complex():
        return ((u.real if u.is_complex() else u) * (z.real if z.is_complex() else z)).sum()
    return (u.conj() * z).real.sum()


def mixtures(case: Case) -> Iterator[list[Array]]:
    """The moving arguments made complex: all of them; where an operation mixes dtypes, one of them."""
    real = [case.args[i] for i in case.moving]
    draw = case.random("imaginary").uniform
    full = [a if a.dtype.kind == "c" else a + 1j * draw(0.3, 0.6, a.shape) for a in real]
    yield full
    if len(real) > 1 and isinstance(case.prim, Elementwise):
        yield [full[0], *real[1:]]
        yield [*real[:-1], full[-1]]


# --- SymPy ----------------------------------------------------------------------------------------------------


def symbolic(case: Case) -> None:
    """Formulas of the result and its derivatives: equal to the numbers where numbers are put in."""
    found, values = formulas(case)
    number = evaluator(values)
    for f, w in zip(found, results(case, torch.from_numpy), strict=True):
        assert f.dtype == w.dtype
        assert f.shape == w.shape
        close(number(flat(f)), w.detach().numpy().ravel(), 1e-11, scale_of(w))


def by_sympy(case: Case) -> None:
    """The formulas of derivatives: equal to what SymPy itself makes of the formula of the result."""
    found, values = formulas(case)
    import sympy

    quarters = [int(4 * s) for s in steps(found[0], 1).numpy().flat]
    total = sympy.Add(*[v * q for v, q in zip(flat(found[0]), quarters, strict=True)]) / 4
    ours = [v for g in found[1 : 1 + len(case.moving)] for v in flat(g)]
    number = evaluator(values)
    close(number(ours), number([sympy.diff(total, x) for x in values]), 1e-11, 1e-2)


def formulas(case: Case) -> tuple[list[torch.Tensor], dict[Any, float]]:
    """``results`` over symbols, and the number that each symbol stands for."""
    pytest.importorskip("sympy")
    from chainrule.arrays.symbolic import Symbolic, expressions, symbols

    values: dict[Any, float] = {}
    moving = [id(case.args[i]) for i in case.moving or case.arrays]

    def lift(a: Array) -> torch.Tensor:
        if a.dtype.kind != "f" or id(a) not in moving:
            return torch.asarray(Symbolic(a, a.dtype))
        t = symbols(f"x{len(values)}", a.shape, **({"positive": True} if (a > 0).all() else {"real": True}))
        values.update(zip(expressions(t).flat, a.flat, strict=True))
        return t

    return results(case, lift), values


def flat(t: torch.Tensor) -> list[Any]:
    from chainrule.arrays.symbolic import expressions

    return list(expressions(t).flat)


def evaluator(values: dict[Any, float]) -> Callable[[list[Any]], Array]:
    """A function that puts numbers in the place of symbols."""
    import sympy

    extra = {"Heaviside": lambda x, at=0.5: (x > 0) + at * (x == 0), "DiracDelta": lambda x, k=0: 0}

    def number(found: list[Any]) -> Array:
        f = sympy.lambdify(list(values), found, modules=[extra, "mpmath"])
        return np.array([complex(v).real for v in f(*map(float, values.values()))])

    return number


def symbolic_batch(case: Case) -> None:
    """vmap and forward mode over symbols give the formulas that a loop and reverse mode give."""
    pytest.importorskip("sympy")
    from chainrule.arrays.symbolic import expressions, symbols

    batch = [symbols(f"x{i}", (2, *case.args[i].shape)) for i in case.moving]
    found = expressions(func.vmap(case)(*batch))
    looped = np.stack([expressions(case(*[b[k] for b in batch])) for k in range(2)])
    assert all(a.equals(b) if a != b else True for a, b in zip(found.flat, looped.flat, strict=True))
    if found.size:
        _, tangent = func.jvp(case, tuple(b[0] for b in batch), tuple(torch.ones_like(b[0]) for b in batch))
        assert tangent.shape == found.shape[1:]


# --- Dask and JAX -----------------------------------------------------------------------------------------------


def lazy(case: Case) -> None:
    """Over Dask: nothing computed until asked; then NumPy's results."""
    da, dask = pytest.importorskip("dask.array"), pytest.importorskip("dask")

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a Dask array was computed")

    def lift(a: Array) -> torch.Tensor:
        return torch.asarray(da.from_array(np.array(a), chunks=tuple(max(1, n // 2) for n in a.shape)))

    with dask.config.set(scheduler=refuse):
        raw = [r.detach()._a for r in results(case, lift)]
    with dask.config.set(scheduler="sync"), np.errstate(all="ignore"):
        computed = dask.compute(*raw)
    for r, c, w in zip(raw, computed, results(case, torch.from_numpy), strict=True):
        assert r.shape == np.shape(c) == w.shape
        assert r.dtype == c.dtype == w._dtype, f"{r.dtype} announced, {c.dtype} computed, {w._dtype} over NumPy"
        close(c, w.detach().numpy(), 1e-12, scale_of(w))
    assert any(isinstance(r, da.Array) for r in raw)


def xla(case: Case) -> None:
    """Over JAX, inside ``jax.jit``: NumPy's results."""
    jax = pytest.importorskip("jax")
    wanted = results(case, torch.from_numpy)

    def traced(*arrays: Any) -> list[Any]:
        given = iter(arrays)
        return [jax.numpy.asarray(r.detach()._a) for r in results(case, lambda _: torch.asarray(next(given)))]

    with jax.enable_x64(True):
        found = jax.jit(traced)(*[jax.numpy.asarray(case.args[i]) for i in case.arrays])
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w._dtype
        close(np.asarray(f), w.detach().numpy(), 1e-12, scale_of(w))
