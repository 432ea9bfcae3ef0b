"""Samples of operations with PyTorch's values and gradients, packed: ``golden/op_samples.npz``.

``python tools/record_golden.py op_samples`` writes it from PyTorch's database of operations; ``test_op_samples.py``
reads it where there is no PyTorch.  All numbers lie end to end, one array per dtype, and an index in JSON says what is
where.  An argument that is an array stands in the index as ``{"array": [dtype, start, shape]}``, a tuple as
``{"tuple": [...]}``, a complex number as ``{"complex": [re, im]}``, a dtype as ``{"dtype": name}``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "golden" / "op_samples.npz"
NARROW = {"float64": "float32", "complex128": "complex64"}  # as they are stored; six digits tell a wrong rule


class Packer:
    """Collects arrays, and what refers to them."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Any]] = {}
        self.lengths: dict[str, int] = {}

    def array(self, a: np.ndarray) -> list[Any]:
        kept = a.dtype.name
        stored = NARROW.get(kept, kept)
        start = self.lengths.get(stored, 0)
        self.parts.setdefault(stored, []).append(np.ravel(a).astype(stored))
        self.lengths[stored] = start + a.size
        return [kept, start, list(a.shape)]

    def save(self, index: Any) -> None:
        text = np.frombuffer(json.dumps(index, separators=(",", ":")).encode(), np.uint8)
        np.savez_compressed(FILE, index=text, **{k: np.concatenate(v) for k, v in self.parts.items()})


class Reader:
    """What a :class:`Packer` saved."""

    def __init__(self) -> None:
        with np.load(FILE) as file:
            self.data = dict(file)
        self.index: dict[str, Any] = json.loads(self.data["index"].tobytes())

    def array(self, place: list[Any]) -> np.ndarray:
        kept, start, shape = place
        stored = self.data[NARROW.get(kept, kept)]
        return stored[start : start + math.prod(shape)].reshape(shape).astype(kept)

    def value(self, v: Any, T: Any, moving: list[Any]) -> Any:
        """An argument for the library ``T``; the variables among them are collected in ``moving``."""
        if isinstance(v, list):
            return [self.value(x, T, moving) for x in v]
        if not isinstance(v, dict):
            return v
        (kind, what), *_ = v.items()
        if kind == "array":
            t = T.tensor(self.array(what))
            if v.get("moves"):
                moving.append(t.requires_grad_())
            return t
        if kind == "tuple":
            return tuple(self.value(x, T, moving) for x in what)
        return complex(*what) if kind == "complex" else getattr(T, what) if kind == "dtype" else float(what)


def weights(a: Any) -> np.ndarray:
    """A cotangent of ``a``'s shape and dtype that is the same everywhere."""
    i = np.arange(a.size, dtype=np.float64).reshape(a.shape)
    return np.asarray(np.cos(0.7 * i + 0.3) + (1j * np.sin(i) if a.dtype.kind == "c" else 0), a.dtype)


def outcome(
    function: Any, T: Any, args: list[Any], kwargs: dict[str, Any], moving: list[Any]
) -> tuple[list[Any], list[Any]]:
    """The values of a call, and the gradients of the variables that it moves with."""
    out = function(*args, **kwargs)
    ys = list(out) if isinstance(out, (tuple, list)) else [out]
    live = [y for y in ys if y.requires_grad]
    values = [y.detach().resolve_conj().resolve_neg().numpy() for y in ys]
    ws = [T.tensor(weights(y.detach().resolve_conj().numpy())) for y in live]
    gs = T.autograd.grad(live, moving, ws, allow_unused=True) if live else [None] * len(moving)
    return values, [
        (T.zeros_like(x) if g is None else g).resolve_conj().numpy() for g, x in zip(gs, moving, strict=True)
    ]


def find(T: Any, path: str) -> Any:
    for part in path.split("."):
        T = getattr(T, part)
    return T
