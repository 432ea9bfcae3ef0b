"""Every reading of every operation's rules, checked.  ``test_every_op`` runs them; ``test_planted_errors`` tests them.

A *case* is one operation with one of its samples.  A *reading* is a function of a case that raises
AssertionError where two ways to the same number disagree: a rule and finite differences, a rule and SymPy, a batch
and a loop.  Derivatives are compared by projection, along random directions: a wrong entry shows in the sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import chainrule as torch
from chainrule import autograd, func
from op_cases import Case, variants

# --- numbers ------------------------------------------------------------------------------------------------


def close(found: Any, wanted: Any, tolerance: float, scale: float = 0.0) -> None:
    """Equal within ``tolerance`` of the numbers' size, of ``scale``, or of a thousandth."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.dtype.kind not in "fc":
        found, wanted = found.astype(float), wanted.astype(float)
    assert found.shape == wanted.shape, f"shapes {found.shape} and {wanted.shape}"
    size = np.maximum(np.maximum(np.abs(found), np.abs(wanted)), max(scale, 1e-3)) if found.size else found
    far = ~(np.abs(found - wanted) <= tolerance * size) & (found != wanted)
    assert not far.any(), f"{found} is not {wanted}"


def slope(phi: Callable[[float], float]) -> float:
    """phi'(0) from central differences at five steps, extrapolated (Ridders): to some 1e-11 of phi's size."""
    best, error = math.nan, math.inf
    rows: list[list[float]] = []
    for k in range(6, 11):
        h = 2.0**-k
        row = [(phi(h) - phi(-h)) / (2 * h)]
        for j, old in enumerate(rows[-1] if rows else [], 1):
            row.append(row[-1] + (row[-1] - old) / (4**j - 1))
            doubt = max(abs(row[-1] - row[-2]), abs(row[-1] - old))
            if doubt < error:
                best, error = row[-1], doubt
        rows.append(row)
    return best


def real(t: torch.Tensor) -> torch.Tensor:
    """The real part: what has a gradient."""
    return t.real if t.is_complex() else t


def dot(us: Sequence[torch.Tensor], vs: Sequence[torch.Tensor]) -> torch.Tensor:
    total: Any = sum((u * v).sum() for u, v in zip(us, vs, strict=True))
    return total if isinstance(total, torch.Tensor) else torch.zeros((), dtype=torch.float64)


def size(us: Sequence[torch.Tensor], vs: Sequence[torch.Tensor]) -> float:
    """How large the terms of ``dot`` are."""
    return float(sum(np.abs(u.detach().numpy() * v.numpy()).sum() for u, v in zip(us, vs, strict=True)))


def moved(xs: Sequence[torch.Tensor], t: float, vs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [x + t * v for x, v in zip(xs, vs, strict=True)]


def gradients(y: torch.Tensor, xs: Sequence[torch.Tensor], create_graph: bool = False) -> list[torch.Tensor]:
    """Gradients, zeros where there is no dependence."""
    if not y.requires_grad:
        return [torch.zeros_like(x) for x in xs]
    one = torch.ones_like(y)
    return list(autograd.grad(y, list(xs), one, create_graph=create_graph, allow_unused=True, materialize_grads=True))


def fitting(gs: Sequence[torch.Tensor], xs: Sequence[torch.Tensor]) -> None:
    """Gradients have exactly the shape and dtype of what they are gradients of, and are numbers."""
    for g, x in zip(gs, xs, strict=True):
        assert g.shape == x.shape, f"gradient of shape {g.shape} for {x.shape}"
        assert g.dtype == x.dtype, f"gradient of {g.dtype} for {x.dtype}"
        assert np.isfinite(g.detach().numpy()).all(), "not finite"


# --- derivatives against differences ---------------------------------------------------------------------------


def directional(case: Case, xs: Sequence[torch.Tensor], vs: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """The derivative of ⟨weights, result⟩ along each of ``vs`` in turn, by reverse mode over reverse mode."""
    xs = [x.detach().requires_grad_() for x in xs]
    s = (case.weights() * case(*xs)).sum()
    for i, v in enumerate(vs):
        s = dot(gradients(s, xs, create_graph=i + 1 < len(vs)), v)
    return s.detach()


def reverse(case: Case) -> None:
    """The gradient in each argument, against differences."""
    u = case.weights()
    xs = [x.requires_grad_() for x in case.xs()]
    out = case(*xs)
    assert out.requires_grad, "the result is cut off from the graph"
    if isinstance(out._a, np.ndarray):
        out._a.flags.writeable = False  # a rule must not write to what it saved, nor to its cotangent
    found = list(autograd.grad(out, xs, u, allow_unused=True, materialize_grads=True))
    fitting(found, xs)
    for i, v in enumerate(case.direction()):
        x = [t.detach() for t in xs]

        def phi(t: float, i: int = i, v: torch.Tensor = v, x: list[Any] = x) -> float:
            return (u * case(*x[:i], x[i] + t * v, *x[i + 1 :])).sum().item()

        close(dot([found[i]], [v]).item(), slope(phi), 1e-8, size([found[i]], [v]))


def forward(case: Case) -> None:
    """The tangent along each argument, and along all together, against differences."""
    u, xs, vs = case.weights(), case.xs(), case.direction()
    groups = [[i] for i in range(len(xs))] + ([list(range(len(xs)))] if len(xs) > 1 else [])
    for group in groups:
        at = [case.moving[i] for i in group]
        x, v = tuple(xs[i] for i in group), tuple(vs[i] for i in group)

        def f(*moving: Any, at: list[int] = at) -> Any:
            return case(*moving, at=at)

        def phi(t: float, f: Any = f, x: Any = x, v: Any = v) -> float:
            return (u * f(*moved(x, t, v))).sum().item()

        out, tangent = func.jvp(f, x, v)
        fitting([tangent], [out])
        close((u * tangent).sum().item(), slope(phi), 1e-8, size([u], [tangent]))


def transposed(case: Case) -> None:
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩: forward and reverse mode are one matrix."""
    u, v = case.weights(), case.direction()
    _, tangent = func.jvp(case, tuple(case.xs()), tuple(v))
    _, pull = func.vjp(case, *case.xs())
    back = pull(u)
    fitting(back, case.xs())
    close((u * tangent).sum().item(), dot(back, v).item(), 1e-13, size(back, v) + size([u], [tangent]))


def higher(case: Case) -> None:
    """Second and third derivatives, reverse over reverse, against differences of the first and second."""
    vs = [case.direction(k) for k in range(3)]
    first = abs(directional(case, case.xs(), vs[:1]).item())
    for order, tolerance in ((2, 1e-7), (3, 1e-6)):
        found = directional(case, case.xs(), vs[:order]).item()
        wanted = slope(lambda t, n=order: directional(case, moved(case.xs(), t, vs[n - 1]), vs[: n - 1]).item())
        close(found, wanted, tolerance, max(first, 1e-2))


def mixed(case: Case) -> None:
    """The second derivative along two directions: forward and reverse mode over each other, all four ways."""
    u, xs = case.weights(), tuple(case.xs())
    v, w = (tuple(case.direction(k)) for k in (1, 2))
    every = tuple(range(len(xs)))

    def s(*x: Any) -> Any:
        return (u * case(*x)).sum()

    def along(*x: Any) -> Any:
        return func.jvp(s, x, v)[1]

    def gradient(*x: Any) -> Any:
        return func.grad(s, every)(*x)

    found = {
        "reverse over reverse": directional(case, xs, (v, w)),
        "forward over reverse": dot(func.jvp(gradient, xs, w)[1], v),
        "reverse over forward": dot(func.grad(along, every)(*xs), w),
        "forward over forward": func.jvp(along, xs, w)[1],
    }
    scale = max(abs(f.item()) for f in found.values())
    for way, value in found.items():
        try:
            close(value.item(), found["reverse over reverse"].item(), 1e-12, max(scale, 1e-2))
        except AssertionError as e:
            raise AssertionError(f"{way}: {e}") from None


def series(case: Case) -> None:
    """Taylor coefficients to order 4 along a direction, against nested forward mode."""
    xs, v = case.xs(), case.direction()

    def f(t: Any) -> Any:
        return case(*[x + t * d for x, d in zip(xs, v, strict=True)])

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    coefficients = func.taylor(f, zero, 4)
    derivative, size = f, 0.0
    for k in range(5):
        wanted = derivative(zero).detach().numpy() / math.factorial(k)
        size = max(size, float(np.abs(wanted).max(initial=0)))
        close(coefficients[k].numpy(), wanted, 1e-10, size)
        derivative = lambda t, d=derivative: func.jvp(d, (t,), (one,))[1]


# --- batches against loops ----------------------------------------------------------------------------------------


def subsets(positions: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for r in range(1, len(positions) + 1):
        yield from itertools.combinations(positions, r)


def stacked(many: Sequence[Case], i: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([c.args[i] for c in many]))


def batched(case: Case) -> None:
    """vmap over every choice of arguments, nested vmap, and vmap with grad inside and outside, against loops."""
    many = variants(case, 3, "batch")
    for at in subsets(case.arrays):
        looped = [case(*[torch.from_numpy(c.args[i]) for i in at], at=at).numpy() for c in many]
        found = func.vmap(lambda *xs, at=at: case(*xs, at=at))(*[stacked(many, i) for i in at])
        assert found.dtype == case(*case.xs()).dtype
        close(found.numpy(), np.stack(looped), 1e-13)
    nested(case)
    if case.moving:
        gradients_of_batches(case, many)


def nested(case: Case) -> None:
    """A batch of batches: over all arguments; over the first outside and the last inside; the other way round."""
    grid = [variants(c, 2, f"inner {i}") for i, c in enumerate(variants(case, 3, "outer"))]
    first, last, every = case.arrays[:1], case.arrays[-1:], case.arrays
    for outer, inner in ([every, every], [first, last], [last, first], [every, first]):
        both = sorted({*outer, *inner})
        full = []
        for i in both:
            rows = [[c.args[i] for c in row] for row in grid]
            if i not in inner:
                rows = [row[0] for row in rows]
            elif i not in outer:
                rows = rows[0]
            full.append(torch.from_numpy(np.stack([np.stack(r) for r in rows] if i in inner and i in outer else rows)))
        f = func.vmap(lambda *xs, at=both: case(*xs, at=at), in_dims=tuple(0 if i in inner else None for i in both))
        found = func.vmap(f, in_dims=tuple(0 if i in outer else None for i in both))(*full)
        looped = [
            [case(*[pick(grid, row, k, i, outer, inner) for i in both], at=both).numpy() for k in range(2)]
            for row in range(3)
        ]
        close(found.numpy(), np.array(looped), 1e-13)


def pick(grid: Any, row: int, column: int, i: int, outer: Sequence[int], inner: Sequence[int]) -> torch.Tensor:
    chosen = grid[row if i in outer else 0][column if i in inner else 0]
    return torch.from_numpy(chosen.args[i])


def gradients_of_batches(case: Case, many: Sequence[Case]) -> None:
    u, places = case.weights(), tuple(range(len(case.moving)))

    def s(*xs: Any) -> Any:
        return real((u * case(*xs)).sum())

    batch = [stacked(many, i) for i in case.moving]
    gradient = func.grad(s, places)
    looped = [gradient(*[torch.from_numpy(c.args[i]) for i in case.moving]) for c in many]
    wanted = [np.stack([g[k].numpy() for g in looped]) for k in places]
    inside = func.vmap(gradient)(*batch)
    each = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)  # so that one sample's cotangent is not another's
    outside = func.grad(lambda *xs: (each * func.vmap(s)(*xs)).sum(), places)(*batch)
    for k in places:
        close(inside[k].numpy(), wanted[k], 1e-12)
        weighted = wanted[k] * each.numpy().reshape(-1, *(1,) * (wanted[k].ndim - 1))
        close(outside[k].numpy(), weighted, 1e-12)
