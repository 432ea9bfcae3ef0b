"""PyTorch's database of operations, written down for those who have no PyTorch: see ``tests/recorded.py``."""

from __future__ import annotations

import math
import types
import warnings
from typing import Any

import numpy as np
import op_db
import torch
from test_op_db_parity import EXCEPTIONS

from recorded import NARROW, Packer, find, outcome

LARGEST = 48  # numbers in an argument
MOST = 2  # samples of an entry
LIBRARIES_CHOICE = ("linalg.eig", "linalg.eigh", "linalg.svd", "svd", "linalg.ldl_factor", "linalg.ldl_factor_ex", "mode",
                    "kthvalue", "topk", "median", "nanmedian", "empty", "new_empty", "nn.functional.fractional_max_pool2d",
                    "nn.functional.fractional_max_pool3d")  # which of several answers, or of random ones  # fmt: skip


class Unwritten(Exception):
    """A sample that the record has no form for."""


def path_of(op: Any) -> str:
    """Where PyTorch has the operation, under a name that chainrule has too."""
    own = isinstance(op.op, types.FunctionType) and "testing/_internal" in op.op.__code__.co_filename
    if own or op.name.startswith("_"):  # the database's own way to call it, or a private name
        raise Unwritten(op.name)
    for path in (op.name, getattr(op.op, "__name__", ""), f"Tensor.{op.name}"):
        try:
            found = find(torch, path)
        except AttributeError:
            continue
        if callable(found):
            return path
    raise Unwritten(op.name)


def rounded(a: Any) -> Any:
    """A tensor whose numbers the record can hold."""
    kind = str(a.dtype).removeprefix("torch.")
    if a.layout is not torch.strided or a.numel() > LARGEST:
        raise Unwritten
    return (
        a.detach().to(getattr(torch, NARROW[kind])).to(a.dtype).requires_grad_(a.requires_grad) if kind in NARROW else a
    )


def described(v: Any, pack: Packer, moving: list[Any]) -> tuple[Any, Any]:
    """An argument as the index says it, and as it is used."""
    if isinstance(v, torch.Tensor):
        v = rounded(v)
        if v.requires_grad:
            moving.append(v)
        place = pack.array(v.detach().resolve_conj().numpy())
        return {"array": place, **({"moves": True} if v.requires_grad else {})}, v
    if isinstance(v, (tuple, list)):
        parts = [described(x, pack, moving) for x in v]
        shown, used = [p[0] for p in parts], [p[1] for p in parts]
        return (shown, used) if isinstance(v, list) else ({"tuple": shown}, tuple(used))
    if isinstance(v, complex):
        return {"complex": [v.real, v.imag]}, v
    if isinstance(v, torch.dtype):
        return {"dtype": str(v).removeprefix("torch.")}, v
    if isinstance(v, float) and not math.isfinite(v):
        return {"float": str(v)}, v
    if v is None or isinstance(v, (bool, int, float, str)):
        return v, v
    raise Unwritten(type(v).__name__)


def written(function: Any, sample: Any, pack: Packer) -> dict[str, Any]:
    trial = Packer()  # what fails half-way leaves nothing behind
    trial.lengths, trial.parts = dict(pack.lengths), {k: list(v) for k, v in pack.parts.items()}
    moving: list[Any] = []
    args = [described(v, trial, moving) for v in (sample.input, *sample.args)]
    kwargs = {k: described(v, trial, moving) for k, v in sample.kwargs.items() if k not in ("device", "generator")}
    used = [a for _, a in args], {k: a for k, (_, a) in kwargs.items()}
    torch.manual_seed(1)
    values, gradients = outcome(function, torch, *used, moving)
    torch.manual_seed(2)
    again, _ = outcome(function, torch, *used, moving)
    if any(not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in zip(values, again, strict=True)):
        raise Unwritten("random")
    if not all(np.isfinite(a).all() for a in gradients) or sum(a.size for a in values) > 4 * LARGEST:
        raise Unwritten
    found = {
        "args": [s for s, _ in args], "kwargs": {k: s for k, (s, _) in kwargs.items()},
        "values": [trial.array(a) for a in values], "gradients": [trial.array(a) for a in gradients],
    }  # fmt: skip
    pack.lengths, pack.parts = trial.lengths, trial.parts
    return found


def samples(op: Any) -> list[Any]:
    """Small samples of an entry, of many kinds: in real numbers where it has them."""
    kinds = [d for d in op_db.DTYPES if d in op.supported_dtypes("cpu")][:1]
    found = op_db.samples(op, kinds[0], 1000) if kinds else []
    for s in found:  # of a function of each element, a corner is enough
        if type(op).__name__ == "UnaryUfuncInfo" and s.input.ndim == 2:
            s.input = s.input.detach()[:4, :5].clone().requires_grad_(s.input.requires_grad)
    small = [s for s in found if isinstance(s.input, (torch.Tensor, list, tuple))]
    small.sort(key=lambda s: -len(str(sorted(s.kwargs))) - len(s.args))
    return small[::2] + small[1::2]


def record() -> str:
    pack, index = Packer(), {}
    for op in op_db.op_db:
        levels, _ = EXCEPTIONS.get(op.full_name, (set(), ""))
        if op.full_name in LIBRARIES_CHOICE or {"forward", "backward"} & levels or "_like" in op.name:
            continue
        try:
            path = path_of(op)
        except Unwritten:
            continue
        entries: list[Any] = []
        for sample in samples(op):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    entries.append(written(find(torch, path), sample, pack))
            except Exception:  # what is no call of a function with tensors, or what PyTorch itself refuses
                continue
            if len(entries) == MOST:
                break
        if entries:
            index[op.full_name] = {"path": path, "samples": entries}
    pack.save(index)
    return f"{len(index)} operations"
