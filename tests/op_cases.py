"""Every operation on its samples: a *case* is one operation with one of them, or of a shape that is added here."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as torch
from chainrule.ops import load_all
from chainrule.primitive import Elementwise, Primitive, table

load_all()

Array = np.ndarray[Any, Any]
SEED = os.environ.get("CHAINRULE_SEED", "0")  # other numbers on another night


# What is defined up to a phase, as what it is defined for; and what only takes matrices of a kind.
INVARIANT: dict[str, Callable[[Any], Any]] = {
    "Eig": lambda y: torch.cat([y[..., :-1].abs() + 0j, y[..., -1:]], -1),
    "Eigh": lambda y: torch.cat([y[..., :-1].abs(), y[..., -1:].real if y.is_complex() else y[..., -1:]], -1),
    "Svd": lambda y: y.abs() if y.is_complex() else y,
}
SYMMETRIC = {"Cholesky", "Eigh"}
NORMALISED = {"CtcLoss"}  # whose gradient is that of log-probabilities
PARTICULAR = {*SYMMETRIC, "SolveTriangular"}  # whose entries are not to be shuffled


@dataclass(frozen=True)
class Case:
    """One operation on one sample: arrays (read-only, so that a rule cannot write to them) and Python numbers."""

    prim: Primitive
    args: tuple[Any, ...]
    params: dict[str, Any]
    name: str
    shapes: frozenset[int] = frozenset()  # positions of the arrays that a shape stood for
    declared: bool = True  # beside the operation; else of a shape that is added here

    @property
    def moving(self) -> list[int]:
        """The positions of the arguments that it can be differentiated with respect to."""
        if not self.prim.differentiable:
            return []
        has_rule = [True] * len(self.args) if self.prim.variadic else [p is not None for p in self.prim.pulls]
        return [i for i in self.arrays if self.args[i].dtype.kind in "fc" and has_rule[i]]

    @property
    def arrays(self) -> list[int]:
        return [i for i, a in enumerate(self.args) if isinstance(a, np.ndarray)]

    def xs(self) -> list[torch.Tensor]:
        """The moving arguments as tensors."""
        return [torch.from_numpy(self.args[i]) for i in self.moving]

    def __call__(self, *xs: Any, at: Sequence[int] | None = None) -> Any:
        """The result, with ``xs`` in place of the moving arguments (or of those ``at`` the given positions)."""
        full = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in self.args]
        for i, x in zip(at or (self.moving if xs else ()), xs, strict=True):
            full[i] = x
        kind = self.prim.name.removeprefix("Planted")
        if kind in SYMMETRIC:
            full = [(a + a.mH) / 2 for a in full]
        if kind in NORMALISED:
            full = [full[0].log_softmax(-1), *full[1:]]
        y = INVARIANT.get(kind, lambda y: y)(self.prim(*full, **self.params))
        if y.is_complex() and not any(x.is_complex() for x in full if isinstance(x, torch.Tensor)):
            return torch.stack([y.real, y.imag], -1)  # so that real numbers, which the readings are about, come out
        return y

    def random(self, tag: str) -> np.random.Generator:
        """Random numbers of this case's own: the same in every run, whatever ran before."""
        return np.random.default_rng(zlib.crc32(f"{self.name} {SEED} {tag}".encode()))

    def weights(self) -> torch.Tensor:
        """A random number for each element of the result."""
        shape = tuple(self(*self.xs()).shape)
        return torch.from_numpy(frozen(np.asarray(self.random("weights").uniform(0.5, 1.5, shape))))

    def direction(self, tag: Any = 0) -> list[torch.Tensor]:
        """A random number for each element of the moving arguments."""
        draw = self.random(f"direction {tag}").uniform
        signed = [draw(0.2, 1, x.shape) * np.where(draw(-1, 1, x.shape) < 0, -1, 1) for x in self.xs()]
        return [torch.from_numpy(np.asarray(v)) for v in signed]

    def with_args(self, args: Sequence[Any]) -> Case:
        return replace(self, args=tuple(map(frozen, args)))


def frozen(a: Any) -> Any:
    if isinstance(a, (np.ndarray, np.generic)):
        a = np.asarray(a).view()
        a.flags.writeable = False
    return a


def primitives() -> list[Primitive]:
    """Each operation once, whatever the number of names it has in graphs; not those that need a missing library."""
    return [p for p in {type(p): p for p in table.values()}.values() if available(p)]


def available(prim: Primitive) -> bool:
    try:
        for case in cases(prim):
            case()
    except torch.MissingExtra:
        return False
    return True


# Beside the declared samples, where shapes are free: one entry, none, many axes, and their broadcasting.
ONE_SHAPE = [((1,),), ((3, 0, 2),), ((2, 1, 2, 1, 2),)]
TWO_SHAPES = [((1, 3), (2, 1)), ((), (1,)), ((3, 0, 2), (1, 2)), ((2, 1, 2, 1, 2), (2, 1, 1))]
THREE_SHAPES = [((1, 3), (2, 1), ()), ((3, 0, 2), (1, 2), (2,))]


def samples(prim: Primitive) -> Iterator[tuple[Any, dict[str, Any], bool]]:
    for args, params in prim.samples:
        yield args, params, True
    free = isinstance(prim, Elementwise) and all(isinstance(a, tuple) for a in prim.samples[0][0])
    if free and prim.name not in ("Fill", "Copy"):  # these keep the shape of x
        for shapes in {1: ONE_SHAPE, 2: TWO_SHAPES, 3: THREE_SHAPES}[len(prim.args)]:
            yield shapes, prim.samples[0][1], False


def cases(prim: Primitive) -> Iterator[Case]:
    for n, (args, params, declared) in enumerate(samples(prim)):
        name = f"{prim.name}-{n}"
        draw = np.random.default_rng(zlib.crc32(f"{name} {SEED}".encode()))
        shapes = frozenset(i for i, a in enumerate(args) if isinstance(a, tuple))
        numbers = spread_numbers(draw, sum(math.prod(args[i]) for i in shapes))
        alone = len(args) == 1  # a single number is a tensor; beside an array it stays a number
        full = []
        for a in args:
            if isinstance(a, tuple):
                a, numbers = numbers[: math.prod(a)].reshape(a), numbers[math.prod(a) :]
            elif isinstance(a, list) or alone:
                a = np.array(a)
            full.append(frozen(a))
        yield Case(prim, tuple(full), params, name, shapes, declared)


def all_cases() -> list[Case]:
    return [c for p in primitives() for c in cases(p)]


def spread_numbers(draw: np.random.Generator, n: int) -> Array:
    """n numbers within (-2, 2), in no order, no two near each other or near 0: away from ties and kinks."""
    steps = np.linspace(0.25, 1.9, n // 2 + 1)
    values = np.concatenate([steps[: n - n // 2], -steps[: n // 2] - 0.02])
    return draw.permutation(values) + draw.uniform(-0.004, 0.004, n)


def variants(case: Case, n: int, tag: str) -> list[Case]:
    """n cases alike in shape, of other numbers in the same domain."""
    draw = case.random(tag)
    found = []
    for k in range(n):
        args = list(case.args)
        for i in case.arrays:
            a = args[i]
            if a.dtype.kind in "fc" and case.moving:  # without derivatives, ties are wanted
                a = a * (1 + 0.015 * (k + draw.uniform(0, 1, a.shape)))
            shuffle = k and case.prim.name.removeprefix("Planted") not in PARTICULAR
            args[i] = a.ravel()[draw.permutation(a.size)].reshape(a.shape) if shuffle else a
        found.append(case.with_args(args))
    return found
