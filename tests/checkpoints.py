"""Objects that are saved by one library and loaded by the other: built by the same line for either library ``m``.

``tools/record_golden.py`` has PyTorch write each to ``golden/files``.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import chainrule

Case = Callable[[Any], Any]

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]  # fmt: skip


def _views(m: Any) -> Any:
    x = m.arange(24.0)
    y = x.reshape(4, 6)
    return {"all": x, "matrix": y, "turned": y.t(), "row": y[1], "column": y[:, 2], "every other": x[1::2],
            "part": y[1:3, 2:5], "permuted": x.reshape(2, 3, 4).permute(2, 0, 1), "last": x[23],
            "apart": m.arange(24.0)}  # fmt: skip


def _trained(m: Any) -> Any:
    model = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.ReLU(), m.nn.Linear(4, 2))
    with m.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(m.arange(p.numel()).reshape(p.shape) / 8 - i)
    optimizer = m.optim.SGD(model.parameters(), lr=0.125, momentum=0.5)
    model(m.ones(2, 3)).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 5, "loss": 0.25}


def _shared(m: Any) -> Any:
    w = m.nn.Parameter(m.ones(2, 2))
    some = [1, 2]
    return {"tied": [w, w], "lists": [some, some], "kept": OrderedDict(a=w.detach())}


def _attributes(m: Any) -> Any:
    t, p = m.arange(3.0), m.nn.Parameter(m.ones(2))
    t.tag, p.tag = "mine", [1, m.float32]
    return [t, p]


CASES: dict[str, Case] = {
    **{f"dtype {d}": lambda m, d=d: m.arange(6).reshape(2, 3).to(getattr(m, d)) for d in DTYPES},
    "number": lambda m: m.tensor(3.5),
    "empty": lambda m: [m.zeros(0), m.zeros(0, 3), m.zeros(2, 0, 4)],
    "odd numbers": lambda m: m.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 5e-324], dtype=m.float64),
    "views": _views,
    "expanded": lambda m: m.arange(3.0).reshape(3, 1).expand(3, 5),
    "requires grad": lambda m: [m.ones(2, requires_grad=True), m.ones(2)],
    "parameter": lambda m: [m.nn.Parameter(m.arange(3.0)), m.nn.Parameter(m.arange(3), requires_grad=False)],
    "buffer": lambda m: m.nn.Buffer(m.arange(3.0)),
    "attributes": _attributes,
    "shared": _shared,
    "state dicts": _trained,
    "containers": lambda m: {
        "list": [1, [2, [3, []]]], "tuple": (1, (2,), (3, 4), (5, 6, 7), (8, 9, 10, 11), ()), "dict": {1: {2: {}}},
        "ordered": OrderedDict([("b", 1), ("a", 2)]), "set": {1, 2, 3}, "counter": Counter("abca"),
    },
    "keys": lambda m: {"a": 0, 1: 1, -7: 2, 2.5: 3, (1, "b"): 4, None: 5, False: 6, b"c": 7, m.float32: 8},
    "numbers": lambda m: [0, 1, -1, 255, 256, 65535, 65536, -32769, 2**31 - 1, 2**31, -(2**31), 2**63, -(2**70),
                          10**60, 0.1, -0.0, 1e300, float("inf"), True, False, None, 3 - 4j],
    "texts": lambda m: ["", "a", "é", "中文", "\U0001f600", "x" * 300, "\ud800", b"ab\xff", bytearray(b"\x00cd")],
    "kinds": lambda m: [m.Size([2, 3]), m.Size([]), m.float32, m.int64, m.bool, m.complex128, m.device("cpu"),
                        m.device("cpu", 0)],
    "many": lambda m: {f"layer{i}.weight": m.full((3,), float(i)) for i in range(70)},
    "long list": lambda m: list(range(2500)),
    "generator": lambda m: m.Generator().manual_seed(7).get_state(),
    "twice": lambda m: (lambda t: [t, t, {"again": t}])(m.ones(3)),
    "large": lambda m: m.arange(5000, dtype=m.int16),
}  # fmt: skip

PYTORCH_ONLY: dict[str, Case] = {
    "bfloat16": lambda m: (lambda x: [x, x.t()])((m.arange(6) / 7).reshape(2, 3).bfloat16()),
    "conjugate": lambda m: m.tensor([1 + 2j, 3 - 4j]).conj(),
    "negative": lambda m: m.tensor([1 + 2j, 3 - 4j]).conj().imag,
}
ALSO_BEFORE = ("views", "state dicts", "containers", "parameter", "dtype float16", "bfloat16", "empty", "shared")


def describe(m: Any, value: Any) -> Any:
    """``value`` as plain data; tensors with dtype, shape, strides, numbers, place in which memory."""
    memories: dict[int, int] = {}
    seen: dict[int, int] = {}

    def tensor(t: Any) -> Any:
        if id(t) in seen:
            return ["seen", seen[id(t)]]
        seen[id(t)] = len(seen)
        a = t.detach().numpy()
        memory, place = where(m, t)
        own = {k: walk(v) for k, v in t.__dict__.items()} if t.__dict__ else {}
        return [type(t).__name__, str(t.dtype), tuple(t.shape), t.stride() if a.size else (), a.tobytes(),
                t.requires_grad, t.is_leaf, memories.setdefault(memory, len(memories)) if a.size else "", place, own]  # fmt: skip

    def walk(v: Any) -> Any:
        if isinstance(v, m.Tensor):
            return tensor(v)
        kind = type(v).__name__
        if isinstance(v, dict):
            more = {k: walk(w) for k, w in getattr(v, "__dict__", {}).items()}
            return [kind, [(repr(k), walk(w)) for k, w in v.items()], more]
        if isinstance(v, set):
            return [kind, sorted(map(repr, v))]
        if isinstance(v, (list, tuple)):
            return [kind, [walk(w) for w in v]]
        return [kind, repr(v)]

    return walk(value)


def where(m: Any, t: Any) -> tuple[int, int]:
    """Which memory a tensor is in, and at which byte."""
    if hasattr(t, "untyped_storage") and m.__name__ == "torch":
        return t.untyped_storage().data_ptr(), t.storage_offset() * t.element_size()
    owner = a = t.detach().numpy()
    while type(owner.base) is type(a):
        owner = owner.base
    start = owner.__array_interface__["data"][0]
    return start, a.__array_interface__["data"][0] - start


def written(m: Any, value: Any, **how: Any) -> bytes:
    """What ``m.save`` writes."""
    file = io.BytesIO()
    m.save(value, file, **how)
    return file.getvalue()


def again(value: Any) -> Any:
    """Saved and loaded, here."""
    return chainrule.load(io.BytesIO(written(chainrule, value)))


def records(file: bytes) -> dict[str, bytes]:
    """The records of an archive by name, without the folder."""
    with zipfile.ZipFile(io.BytesIO(file)) as z:
        return {name.partition("/")[2]: z.read(name) for name in z.namelist()}


def archive(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of such records, as another program would write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        for name, data in parts.items():
            z.writestr(f"archive/{name}", data)
    return out.getvalue()
