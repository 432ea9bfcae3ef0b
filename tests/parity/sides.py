"""Both libraries, asked alike: values of PyTorch's carried over here, and both differentiated, batched and compared.

An entry of PyTorch's database of operations is a function of one library with samples of its arguments; ``counterpart`` is
the function here.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

import chainrule as cr


class Missing(Exception):
    """The entry has no counterpart here."""


# --- from there to here ------------------------------------------------------------------------------------


def here(a: Any) -> Any:
    """A value of PyTorch's as ours."""
    if isinstance(a, torch.Tensor):
        if a.layout is not torch.strided:
            raise Missing("a sparse sample")
        if a.dtype == torch.bfloat16:
            raise Missing("bfloat16")
        grad = a.requires_grad
        a = a.detach().resolve_conj().resolve_neg()
        memory = a.untyped_storage()
        if a.is_contiguous() and memory.nbytes() == a.nbytes:
            t = cr.tensor(a.numpy().copy())
        else:
            whole = torch.empty(0, dtype=a.dtype).set_(memory).numpy().copy()
            t = cr.from_numpy(whole).as_strided(a.shape, a.stride(), a.storage_offset()).detach()
        return t.requires_grad_() if grad else t
    if isinstance(a, torch.dtype):
        name = str(a).removeprefix("torch.")
        if not hasattr(cr, name):
            raise Missing(name)
        return getattr(cr, name)
    if isinstance(a, torch.device):
        return cr.device(str(a))
    if isinstance(a, (torch.memory_format, torch.layout)):
        return getattr(cr, str(a).removeprefix("torch."))
    if isinstance(a, torch.Generator):
        return cr.Generator().manual_seed(a.initial_seed())
    if isinstance(a, torch.Size):
        return cr.Size(a)
    if isinstance(a, types.FunctionType):
        return ours(a)
    if isinstance(a, torch.nn.PairwiseDistance):
        return cr.nn.functional.pairwise_distance
    return a


def carried(tree: Any) -> Any:
    leaves, spec = tree_flatten(tree)
    return tree_unflatten([here(a) for a in leaves], spec)


def _seeded(op: Any, *args: Any, **kwargs: Any) -> Any:
    cr.manual_seed(42)
    return op(*args, **kwargs)


def ours(f: types.FunctionType) -> Any:
    """A function written over ``torch``, over chainrule instead."""
    replaced = {**f.__globals__, "torch": cr, "wrapper_set_seed": _seeded}
    cells = f.__closure__
    if cells:
        held = [c.cell_contents for c in cells]
        held = [ours(v) if isinstance(v, types.FunctionType) else getattr(cr, v.__name__, v) if type(v) is type(torch.sin) else v
                for v in held]  # fmt: skip
        cells = tuple(types.CellType(v) for v in held)
    g = types.FunctionType(f.__code__, replaced, f.__name__, f.__defaults__, cells)
    g.__kwdefaults__ = f.__kwdefaults__
    return g


def counterpart(op: Any) -> Callable[..., Any]:
    """Our function for an entry."""
    f = op.op
    if isinstance(f, types.FunctionType) and "testing/_internal" in f.__code__.co_filename:
        return ours(f)  # type: ignore[no-any-return]
    name = op.name
    if name.startswith("ops.") or "aten" in name:
        raise Missing("an internal operation")
    at: Any = cr
    for part in name.split("."):
        at = getattr(at, part, None)
        if at is None:
            break
    at = getattr(cr, getattr(f, "__name__", ""), None) if at is None else at
    if (at is None or isinstance(at, cr.dtype)) and hasattr(cr.Tensor, name):
        at = getattr(cr.Tensor, name)
    if at is None and hasattr(operator, name.strip("_")) and name.startswith("__"):
        at = getattr(operator, name.strip("_"))
    if at is None:
        raise Missing(f"no {name}")
    return at  # type: ignore[no-any-return]


# --- the same on both sides ----------------------------------------------------------------------------------


class Side:
    """One library: how to differentiate with it."""

    def __init__(self, T: Any) -> None:
        self.T = T

    def tensor(self, a: Any) -> bool:
        return isinstance(a, self.T.Tensor)

    def moving(self, a: Any) -> bool:
        return self.tensor(a) and (a.dtype.is_floating_point or a.dtype.is_complex)

    def leaves(self, out: Any) -> list[Any]:
        found: list[Any] = []

        def walk(a: Any) -> None:
            if isinstance(a, (tuple, list)):
                for b in a:
                    walk(b)
            elif isinstance(a, dict):
                for b in a.values():
                    walk(b)
            elif a is not None:
                found.append(a)

        walk(out)
        return found

    def outputs(self, f: Any, sample: Any) -> list[Any]:
        out = f(sample.input, *sample.args, **sample.kwargs)
        process = sample.output_process_fn_grad
        return self.leaves(process(out) if process is not None else out)

    def variables(self, sample: Any) -> list[Any]:
        return [a for a in tree_flatten((sample.input, sample.args, sample.kwargs))[0]
                if self.tensor(a) and a.requires_grad]  # fmt: skip

    def weights(self, ys: Any) -> list[Any]:
        rng = np.random.default_rng(0)
        return [self.T.tensor(noise(rng, tuple(y.shape), numpy(y).dtype)) for y in ys]

    def gradients(self, f: Any, sample: Any, twice: bool) -> list[Any]:
        xs = self.variables(sample)
        ys = [y for y in self.outputs(f, sample) if self.moving(y) and y.requires_grad]
        gs = (
            self.T.autograd.grad(ys, xs, self.weights(ys), create_graph=twice, allow_unused=True)
            if ys
            else [None] * len(xs)
        )
        if twice:
            live = [g for g in gs if g is not None and g.requires_grad]
            gs = self.T.autograd.grad(live, xs, self.weights(live), allow_unused=True) if live else [None] * len(xs)
        return [self.T.zeros_like(x) if g is None else g for g, x in zip(gs, xs, strict=True)]

    def _function(self, f: Any, sample: Any) -> tuple[Any, list[Any]]:
        """``f`` as a function of the variables alone."""
        flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
        places = [i for i, a in enumerate(flat) if self.tensor(a) and a.requires_grad]
        flat = [a.detach() if self.tensor(a) else a for a in flat]

        def g(*xs: Any) -> Any:
            full = list(flat)
            for i, x in zip(places, xs, strict=True):
                full[i] = x
            first, args, kwargs = tree_unflatten(full, spec)
            out = f(first, *args, **kwargs)
            process = sample.output_process_fn_grad
            ys = self.leaves(process(out) if process is not None else out)
            return tuple(y for y in ys if self.tensor(y))

        return g, [flat[i] for i in places]

    def push(self, f: Any, sample: Any) -> list[Any]:
        g, xs = self._function(f, sample)
        moving = [i for i, y in enumerate(g(*xs)) if self.moving(y)]
        ts = self.weights(xs)
        _, out = self.T.func.jvp(lambda *xs: tuple(g(*xs)[i] for i in moving), tuple(xs), tuple(ts))
        return list(out)

    def batched(self, f: Any, sample: Any) -> tuple[list[Any], list[Any]]:
        """Under vmap, and in a loop."""
        g, xs = self._function(f, sample)
        other = [x * 0.9375 for x in xs]
        pairs = [self.T.stack([a, b]) for a, b in zip(xs, other, strict=True)]
        together = self.T.func.vmap(g, randomness="different")(*pairs)
        apart = [self.T.stack(list(ys)) for ys in zip(g(*xs), g(*other), strict=True)]
        return list(together), apart


def noise(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    z = rng.standard_normal(shape)
    return np.asarray(z + 1j * rng.standard_normal(shape) if dtype.kind == "c" else z, dtype)


def numpy(a: Any) -> Any:
    if isinstance(a, torch.Tensor):
        a = a.detach().to_dense() if a.layout is not torch.strided else a.detach()
        a = torch.zeros(a.shape, dtype=a.dtype) if a._is_zerotensor() else a
        return a.resolve_conj().resolve_neg().numpy()
    if isinstance(a, cr.Tensor):
        return a.detach().numpy()
    return np.asarray(a)


def differ(got: list[Any], want: list[Any], what: str = "value") -> str:
    """Why two lists of outputs are not the same, or ""."""
    if len(got) != len(want):
        return f"{len(got)} outputs, not {len(want)}"
    for g, w in zip(got, want, strict=True):
        if isinstance(w, (str, types.NoneType, torch.dtype, torch.device, torch.memory_format)):
            continue
        a, b = numpy(g), numpy(w)
        if a.shape != b.shape:
            return f"{what}: shape {a.shape}, not {b.shape}"
        if a.dtype != b.dtype:
            return f"{what}: dtype {a.dtype}, not {b.dtype}"
        low = a.dtype.kind in "fc" and a.dtype.itemsize // (1 + (a.dtype.kind == "c")) < 8
        tolerance = {"rtol": 1e-3, "atol": 1e-4} if low else {"rtol": 1e-6, "atol": 1e-8}
        if not np.allclose(a, b, equal_nan=True, **tolerance):
            apart = np.abs(a.astype(complex) - b.astype(complex)) if a.size else np.zeros(1)
            return f"{what}: differs by {np.nanmax(apart):.3g}: {np.ravel(a)[:3]} not {np.ravel(b)[:3]}"
    return ""
