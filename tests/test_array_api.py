"""The array API standard: the namespace of tensors beside NumPy's own, which conforms."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import array_api as xp

FILE = Path(__file__).with_name("array_api_exceptions.txt")
BOOLS, FLOATS, COMPLEX = ["bool"], ["float32", "float64"], ["complex64", "complex128"]
SIGNED, UNSIGNED = ["int8", "int16", "int32", "int64"], ["uint8", "uint16", "uint32", "uint64"]
INTEGERS = SIGNED + UNSIGNED
REAL, NUMERIC = INTEGERS + FLOATS, INTEGERS + FLOATS + COMPLEX
ANY = BOOLS + NUMERIC
FLOATING = FLOATS + COMPLEX
SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (0,), (2, 3), (2, 1, 3))

ONE = {
    "abs": NUMERIC, "acos": FLOATING, "acosh": FLOATING, "asin": FLOATING, "asinh": FLOATING, "atan": FLOATING,
    "atanh": FLOATING, "bitwise_invert": BOOLS + INTEGERS, "ceil": REAL, "conj": NUMERIC, "cos": FLOATING,
    "cosh": FLOATING, "exp": FLOATING, "expm1": FLOATING, "floor": REAL, "imag": COMPLEX, "isfinite": NUMERIC,
    "isinf": NUMERIC, "isnan": NUMERIC, "log": FLOATING, "log10": FLOATING, "log1p": FLOATING, "log2": FLOATING,
    "logical_not": BOOLS, "negative": SIGNED + FLOATING, "positive": NUMERIC, "real": COMPLEX, "reciprocal": FLOATING,
    "round": REAL, "sign": NUMERIC, "signbit": FLOATS, "sin": FLOATING, "sinh": FLOATING, "sqrt": FLOATING,
    "square": NUMERIC, "tan": FLOATING, "tanh": FLOATING, "trunc": REAL,
}  # fmt: skip
TWO = {
    "add": NUMERIC, "atan2": FLOATS, "bitwise_and": BOOLS + INTEGERS, "bitwise_left_shift": INTEGERS,
    "bitwise_or": BOOLS + INTEGERS, "bitwise_right_shift": INTEGERS, "bitwise_xor": BOOLS + INTEGERS,
    "copysign": FLOATS, "divide": FLOATING, "equal": ANY, "floor_divide": REAL, "greater": REAL, "greater_equal": REAL,
    "hypot": FLOATS, "less": REAL, "less_equal": REAL, "logaddexp": FLOATS, "logical_and": BOOLS, "logical_or": BOOLS,
    "logical_xor": BOOLS, "maximum": REAL, "minimum": REAL, "multiply": NUMERIC, "nextafter": FLOATS, "not_equal": ANY,
    "pow": NUMERIC, "remainder": REAL, "subtract": NUMERIC,
}  # fmt: skip
OVER_AXES = {"sum": NUMERIC, "prod": NUMERIC, "max": REAL, "min": REAL, "mean": FLOATING, "var": FLOATS, "std": FLOATS,
             "all": ANY, "any": ANY, "count_nonzero": ANY}  # fmt: skip
AXES: tuple[Any, ...] = (None, 0, -1, (), (0, 1), (-1, 0))

Call = Callable[[Any, Callable[[Any], Any]], Any]


def numbers(dtype: str, shape: tuple[int, ...], seed: int = 0, positive: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    d = np.dtype(dtype)
    if d.kind == "b":
        return rng.integers(0, 2, shape).astype(d)
    if d.kind in "iu":
        return rng.integers(1 if positive or d.kind == "u" else -4, 5, shape).astype(d)
    z = rng.uniform(0.1 if positive else -2, 2, shape)
    return (z + 1j * rng.uniform(-2, 2, shape) if d.kind == "c" else z).astype(d)


def cases() -> Iterator[tuple[str, Call]]:
    """Names, and calls of a namespace with a function that makes its arrays of NumPy's."""
    for name, kinds in ONE.items():
        for d, shape in itertools.product(kinds, SHAPES[:4]):
            a = numbers(d, shape, positive=name in ("log", "log2", "log10", "log1p", "sqrt", "acosh"))
            a = a / 2 if name in ("acos", "asin", "atanh") and np.dtype(d).kind == "f" else a
            yield f"{name} {d}{shape}", lambda T, of, name=name, a=a: getattr(T, name)(of(a))
    for name, kinds in TWO.items():
        for d, (s, t) in itertools.product(kinds, (((3,), (3,)), ((2, 3), (3,)), ((), (2, 1)), ((0, 3), (1, 3)))):
            a, b = (
                numbers(d, s),
                numbers(d, t, 1, positive=name in ("pow", "floor_divide", "remainder") or "shift" in name),
            )
            yield f"{name} {d}{s}{t}", lambda T, of, name=name, a=a, b=b: getattr(T, name)(of(a), of(b))
        for d, e in itertools.combinations(kinds, 2):
            pair = {np.dtype(d).kind, np.dtype(e).kind}
            if not (pair <= {"i", "u"} or pair <= {"f", "c"}) or ("uint64" in (d, e) and pair == {"i", "u"}):
                continue  # the standard leaves these open
            a, b = numbers(d, (3,), positive="shift" in name), numbers(e, (), 1, positive=True)
            yield f"{name} {d} {e}", lambda T, of, name=name, a=a, b=b: getattr(T, name)(of(a), of(b))
        if not name.startswith(("logical", "bitwise")) and "float32" in kinds:
            a = numbers("float32", (2, 3), positive=True)
            yield f"{name} number", lambda T, of, name=name, a=a: getattr(T, name)(of(a), 2.0)
            yield f"{name} number first", lambda T, of, name=name, a=a: getattr(T, name)(2.0, of(a))
    for name, kinds in OVER_AXES.items():
        for d, axis, keep in itertools.product(kinds, AXES, (False, True)):
            a = numbers(d, (2, 3, 2))
            yield (
                f"{name} {d} {axis} {keep}",
                lambda T, of, name=name, a=a, axis=axis, keep=keep: getattr(T, name)(of(a), axis=axis, keepdims=keep),
            )
        yield f"{name} 0-d", lambda T, of, name=name, d=kinds[-1]: getattr(T, name)(of(numbers(d, ())))
    x, flat, m = numbers("float32", (2, 3)), numbers("float32", (4,)), numbers("float64", (3, 3)) + 3 * np.eye(3)
    more = {
        "var corrected": lambda T, of: T.var(of(x), axis=1, correction=1.0),
        "std corrected": lambda T, of: T.std(of(x), correction=1.0, keepdims=True),
        "sum dtype": lambda T, of: T.sum(of(x), dtype=T.float64),
        "prod dtype": lambda T, of: T.prod(of(numbers("int8", (3,))), dtype=T.int16),
        "clip": lambda T, of: T.clip(of(x), -0.5, 0.5),
        "clip arrays": lambda T, of: T.clip(of(x), of(np.zeros(3, np.float32)), of(np.ones((2, 1), np.float32))),
        "clip one": lambda T, of: T.clip(of(x), max=0.0),
        "clip none": lambda T, of: T.clip(of(x)),
        "arange": lambda T, of: T.arange(5),
        "arange two": lambda T, of: T.arange(2, 5),
        "arange down": lambda T, of: T.arange(5, 0, -2),
        "arange empty": lambda T, of: T.arange(5, 2),
        "arange floats": lambda T, of: T.arange(0.0, 1.0, 0.25, dtype=T.float64),
        "linspace": lambda T, of: T.linspace(0.0, 1.0, 5, dtype=T.float64),
        "linspace open": lambda T, of: T.linspace(0.0, 1.0, num=4, endpoint=False, dtype=T.float64),
        "eye": lambda T, of: T.eye(3, dtype=T.float64),
        "eye k": lambda T, of: T.eye(3, 4, k=-1, dtype=T.int32),
        "full": lambda T, of: T.full(3, 7),
        "full bool": lambda T, of: T.full((2, 2), True),
        "full_like": lambda T, of: T.full_like(of(x), 3.0),
        "zeros": lambda T, of: T.zeros((2, 0), dtype=T.int16),
        "ones": lambda T, of: T.ones(2, dtype=T.complex64),
        "zeros_like": lambda T, of: T.zeros_like(of(x), dtype=T.int8),
        "ones_like": lambda T, of: T.ones_like(of(x)),
        "meshgrid": lambda T, of: T.meshgrid(of(flat), of(x[0])),
        "meshgrid ij": lambda T, of: T.meshgrid(of(flat), of(x[0]), of(flat), indexing="ij"),
        "tril": lambda T, of: T.tril(of(m), k=1),
        "triu": lambda T, of: T.triu(of(m), k=-1),
        "asarray": lambda T, of: T.asarray([[1, 2], [3, 4]]),
        "asarray dtype": lambda T, of: T.asarray(1.5, dtype=T.float64),
        "asarray copy": lambda T, of: T.asarray(of(x), copy=True),
        "broadcast_to": lambda T, of: T.broadcast_to(of(x), (4, 2, 3)),
        "broadcast_arrays": lambda T, of: T.broadcast_arrays(of(x), of(x[0]), of(x[:, :1])),
        "concat": lambda T, of: T.concat([of(x), of(x)], axis=1),
        "concat flat": lambda T, of: T.concat([of(x), of(flat)], axis=None),
        "concat mixed": lambda T, of: T.concat((of(flat), of(flat.astype("float64")))),
        "stack": lambda T, of: T.stack([of(x), of(x.astype("float64"))], axis=-1),
        "expand_dims": lambda T, of: T.expand_dims(of(x), axis=1),
        "squeeze": lambda T, of: T.squeeze(of(x[None, :, None]), (0, 2)),
        "flip": lambda T, of: T.flip(of(x)),
        "flip axis": lambda T, of: T.flip(of(x), axis=-1),
        "moveaxis": lambda T, of: T.moveaxis(of(np.zeros((2, 3, 4))), (0, 1), (-1, 0)),
        "permute_dims": lambda T, of: T.permute_dims(of(np.zeros((2, 3, 4))), (2, 0, 1)),
        "matrix_transpose": lambda T, of: T.matrix_transpose(of(x)),
        "reshape": lambda T, of: T.reshape(of(x), (3, -1)),
        "reshape copy": lambda T, of: T.reshape(of(x), (6,), copy=True),
        "repeat": lambda T, of: T.repeat(of(x), 2),
        "repeat each": lambda T, of: T.repeat(of(x), of(np.array([1, 0, 2])), axis=1),
        "roll": lambda T, of: T.roll(of(x), 2),
        "roll axes": lambda T, of: T.roll(of(x), (1, -1), axis=(0, 1)),
        "tile": lambda T, of: T.tile(of(x), (2, 1, 2)),
        "unstack": lambda T, of: T.unstack(of(x), axis=1),
        "take": lambda T, of: T.take(of(x), of(np.array([2, 0])), axis=1),
        "take flat": lambda T, of: T.take(of(flat), of(np.array([3, 3, 0]))),
        "take_along_axis": lambda T, of: T.take_along_axis(of(x), of(np.array([[2], [0]]))),
        "where": lambda T, of: T.where(of(x) > 0, of(x), of(np.float64(7))),
        "where number": lambda T, of: T.where(of(x) > 0, of(x), 0.0),
        "argmax": lambda T, of: T.argmax(of(x)),
        "argmax keep": lambda T, of: T.argmax(of(x), keepdims=True),
        "argmin axis": lambda T, of: T.argmin(of(x), axis=1, keepdims=True),
        "nonzero": lambda T, of: T.nonzero(of(np.array([[0, 1], [2, 0]]))),
        "searchsorted": lambda T, of: T.searchsorted(of(np.sort(flat)), of(x)),
        "searchsorted right": lambda T, of: T.searchsorted(of(np.array([1, 2, 2, 3])), of(np.array([2, 9])), side="right"),
        "searchsorted sorter": lambda T, of: T.searchsorted(of(flat), of(x), sorter=of(np.argsort(flat))),
        "sort": lambda T, of: T.sort(of(x), axis=0),
        "sort down": lambda T, of: T.sort(of(x)[:, ::1], descending=True) if T is xp else np.sort(x)[:, ::-1],
        "argsort": lambda T, of: T.argsort(of(x), stable=True),
        "unique_all": lambda T, of: T.unique_all(of(np.array([[3, 1], [1, 2]]))),
        "unique_all nan": lambda T, of: T.unique_all(of(np.array([np.nan, 1.0, np.nan]))),
        "unique_counts": lambda T, of: T.unique_counts(of(np.array([3, 1, 1]))),
        "unique_inverse": lambda T, of: T.unique_inverse(of(np.array([[3, 1, 1]]))),
        "unique_values": lambda T, of: T.unique_values(of(np.array([3, 1, 1]))),
        "isin": lambda T, of: T.isin(of(np.array([3, 1, 1])), of(np.array([1]))),
        "isin not": lambda T, of: T.isin(of(np.array([3, 1, 1])), of(np.array([1])), invert=True),
        "cumulative_sum": lambda T, of: T.cumulative_sum(of(x), axis=1, include_initial=True),
        "cumulative_sum bytes": lambda T, of: T.cumulative_sum(of(numbers("uint8", (4,)))),
        "cumulative_prod": lambda T, of: T.cumulative_prod(of(flat), dtype=T.float64),
        "diff": lambda T, of: T.diff(of(x), n=2, prepend=of(x[:, :1])),
        "matmul": lambda T, of: T.matmul(of(x), of(m.astype("float32"))),
        "matmul mixed": lambda T, of: T.matmul(of(x), of(m)),
        "matmul vectors": lambda T, of: T.matmul(of(flat), of(flat)),
        "matmul integers": lambda T, of: T.matmul(of(numbers("int16", (2, 3))), of(numbers("int16", (3,)))),
        "tensordot": lambda T, of: T.tensordot(of(x), of(x), axes=((0, 1), (0, 1))),
        "tensordot one": lambda T, of: T.tensordot(of(x), of(m), axes=1),
        "vecdot": lambda T, of: T.vecdot(of(numbers("complex64", (2, 3))), of(numbers("complex64", (3,), 1))),
        "linalg.cholesky": lambda T, of: T.linalg.cholesky(of(m @ m.T), upper=True),
        "linalg.cross": lambda T, of: T.linalg.cross(of(x), of(x + 1)),
        "linalg.det": lambda T, of: T.linalg.det(of(m)),
        "linalg.diagonal": lambda T, of: T.linalg.diagonal(of(m), offset=1),
        "linalg.eigh": lambda T, of: T.linalg.eigh(of(m + m.T)).eigenvalues,
        "linalg.eigvalsh": lambda T, of: T.linalg.eigvalsh(of(m + m.T)),
        "linalg.inv": lambda T, of: T.linalg.inv(of(m)),
        "linalg.matrix_norm": lambda T, of: T.linalg.matrix_norm(of(m)),
        "linalg.matrix_norm nuc": lambda T, of: T.linalg.matrix_norm(of(m), keepdims=True, ord="nuc"),
        "linalg.matrix_power": lambda T, of: T.linalg.matrix_power(of(m), -2),
        "linalg.matrix_rank": lambda T, of: T.linalg.matrix_rank(of(m)),
        "linalg.outer": lambda T, of: T.linalg.outer(of(flat), of(x[0])),
        "linalg.pinv": lambda T, of: T.linalg.pinv(of(m[:, :2])),
        "linalg.slogdet": lambda T, of: T.linalg.slogdet(of(m)),
        "linalg.solve": lambda T, of: T.linalg.solve(of(m), of(m[0])),
        "linalg.solve many": lambda T, of: T.linalg.solve(of(np.stack([m, m])), of(m)),
        "linalg.svd": lambda T, of: T.linalg.svd(of(m), full_matrices=False).S,
        "linalg.svdvals": lambda T, of: T.linalg.svdvals(of(m)),
        "linalg.qr": lambda T, of: abs(T.linalg.qr(of(m), mode="complete").R),
        "linalg.trace": lambda T, of: T.linalg.trace(of(m), offset=-1),
        "linalg.trace bytes": lambda T, of: T.linalg.trace(of(numbers("uint8", (2, 2)))),
        "linalg.vector_norm": lambda T, of: T.linalg.vector_norm(of(x)),
        "linalg.vector_norm axes": lambda T, of: T.linalg.vector_norm(of(x), axis=(0, 1), ord=1, keepdims=True),
        "fft.fftfreq": lambda T, of: T.fft.fftfreq(5, d=0.5) if T is np else T.fft.fftfreq(5, d=0.5, dtype=T.float64),
        "fft.fftshift": lambda T, of: T.fft.fftshift(of(x), axes=1),
        "fft.ifftshift": lambda T, of: T.fft.ifftshift(of(x)),
    }  # fmt: skip
    yield from more.items()
    for name in ("fft", "ifft", "hfft"):
        yield f"fft.{name}", lambda T, of, f=name: getattr(T.fft, f)(of(numbers("complex128", (2, 4))), n=5, axis=0)
    for name in ("rfft", "ihfft"):
        yield f"fft.{name}", lambda T, of, f=name: getattr(T.fft, f)(of(m), norm="ortho")
    for name in ("fftn", "ifftn", "irfftn"):
        yield f"fft.{name}", lambda T, of, f=name: getattr(T.fft, f)(of(numbers("complex128", (2, 4))), axes=(0, 1))
    yield "fft.irfft", lambda T, of: T.fft.irfft(of(numbers("complex128", (2, 4))))
    yield "fft.rfftn", lambda T, of: T.fft.rfftn(of(m), s=(2, 4), axes=(0, 1), norm="forward")


def outcome(call: Call, T: Any) -> Any:
    of = np.asarray if T is np else xp.asarray
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        out = call(T, of)
    outs = out if isinstance(out, (tuple, list)) else [out]
    return [np.asarray(y) if T is np else y.numpy() for y in outs]


def listed() -> dict[str, str]:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name.strip(): why.strip() for name, why in (line.split("|") for line in lines)}


CASES = dict(cases())
EXCEPTIONS = listed()


def excepted(name: str) -> bool:
    return any(name == e or (e.endswith("*") and name.startswith(e[:-1])) for e in EXCEPTIONS)


def differs(name: str) -> str:
    want = outcome(CASES[name], np)
    try:
        got = outcome(CASES[name], xp)
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    if len(got) != len(want):
        return f"{len(got)} arrays, not {len(want)}"
    for g, w in zip(got, want, strict=True):
        floats = {np.dtype("float32"), np.dtype("float64")}
        if g.shape != w.shape or (g.dtype != w.dtype and not (w.dtype in floats and "full" in name)):
            return f"{g.dtype}{g.shape}, not {w.dtype}{w.shape}"
        if not np.allclose(g, w, rtol=1e-4, atol=1e-5, equal_nan=True):
            return f"{g}, not {w}"
    return ""


GROUPS = sorted({name.partition(" ")[0] for name in CASES})


@pytest.mark.parametrize("group", GROUPS)
def test_values_dtypes_and_shapes(group: str) -> None:
    for name in CASES:
        if name.partition(" ")[0] == group:
            why = differs(name)
            assert bool(why) == excepted(name), f"{name}: {why or 'is listed, and conforms'}"


def test_exceptions_have_reasons() -> None:
    assert all(EXCEPTIONS.values())
    assert all(any(excepted(n) for n in CASES if n.startswith(e.rstrip("*"))) for e in EXCEPTIONS)


def test_every_function_is_tried() -> None:
    tried = set(GROUPS) | {
        f"linalg.{n}" for n in ("matmul", "matrix_transpose", "tensordot", "vecdot", "eig", "eigvals")
    }
    tried |= {"fft.rfftfreq", "fft.fftshift"}
    apart = {
        "astype", "broadcast_shapes", "can_cast", "e", "empty", "empty_like", "fft", "finfo", "from_dlpack", "iinfo",
        "inf", "isdtype", "linalg", "nan", "newaxis", "pi", "result_type", "__array_api_version__",
        "__array_namespace_info__", *ANY,
    }  # fmt: skip
    assert set(xp.__all__) - apart <= tried
    for room in ("linalg", "fft"):
        assert {f"{room}.{n}" for n in getattr(xp, room).__all__} <= tried


def test_signatures_are_the_standards() -> None:
    strict = pytest.importorskip("array_api_strict")
    for where, ours in ((strict, xp), (strict.linalg, xp.linalg), (strict.fft, xp.fft)):
        names = [n for n in getattr(where, "__all__", dir(where)) if "strict" not in n and hasattr(ours, n)]
        wanted = {n for n in strict.__all__ if "strict" not in n.lower() and n not in ("Device", "__version__")}
        assert where is not strict or wanted <= set(dir(xp)), wanted - set(dir(xp))
        for name in names:
            theirs = getattr(where, name)
            if not inspect.isfunction(theirs):
                continue
            want = inspect.signature(theirs).parameters
            got = inspect.signature(getattr(ours, name)).parameters
            for key, p in want.items():
                if p.kind is p.POSITIONAL_ONLY or p.kind is p.VAR_POSITIONAL:
                    continue
                assert key in got, f"{name} has no {key}"
                assert got[key].kind is p.kind or got[key].kind is p.POSITIONAL_OR_KEYWORD, f"{name}: {key}"
            counted = [
                sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in f.values()) for f in (want, got)
            ]
            assert counted[0] <= counted[1], name


KINDS = list(xp.__array_namespace_info__().dtypes())
AT = {"b": [0, 1, 1, 0], "u": [1, 2, 0, 3], "i": [1, -2, 0, 3]}
OF_ONE = """
    abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan log log1p
    log2 log10 logical_not negative positive real reciprocal round sign signbit sin sinh square sqrt tan tanh trunc
"""
OF_TWO = """
    add atan2 bitwise_and bitwise_or bitwise_xor copysign divide equal greater greater_equal hypot less less_equal logaddexp
    logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal remainder subtract
"""


def points(dtype: str) -> Any:
    return np.array(AT.get(dtype[0], [1.5, -0.0, np.inf, np.nan, -np.inf, 0.25, -2.5]), dtype)


def agree(name: str, *arrays: Any) -> None:
    """Where the strict implementation has an answer, chainrule's has its dtype, values and signs of zeros."""
    strict = pytest.importorskip("array_api_strict")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            wanted = np.from_dlpack(getattr(strict, name)(*[strict.asarray(a) for a in arrays]))
        except TypeError:
            return
        found = getattr(xp, name)(*[xp.asarray(a) for a in arrays]).resolve_conj().numpy()
    what = f"{name} of {', '.join(str(a.dtype) for a in arrays)}: {found}, not {wanted}"
    assert found.dtype == wanted.dtype, what
    assert np.allclose(found, wanted, rtol=2e-6, equal_nan=True), what
    if found.dtype.kind == "f":
        assert np.array_equal(np.signbit(found[found == 0]), np.signbit(wanted[found == 0])), what


@pytest.mark.parametrize("name", OF_ONE.split())
def test_special_points_of_one_array(name: str) -> None:
    for dtype in KINDS:
        agree(name, points(dtype))


@pytest.mark.parametrize("name", OF_TWO.split())
def test_special_points_of_two_arrays(name: str) -> None:
    for first in KINDS:
        for second in KINDS:
            x, y = points(first), points(second)[::-1]
            n = min(len(x), len(y))
            x, y = x[:n].copy(), y[:n].copy()
            if name == "remainder" and "f" not in x.dtype.kind + y.dtype.kind:
                y[y == 0] = 1
            agree(name, x, y)


def test_kinds_of_numbers() -> None:
    assert xp.isdtype(xp.float32, "real floating")
    assert xp.isdtype(xp.uint8, ("signed integer", "unsigned integer"))
    assert not xp.isdtype(xp.bool, "numeric")
    assert xp.isdtype(xp.int64, xp.int64)
    with pytest.raises(ValueError, match="unknown kind of dtype"):
        xp.isdtype(xp.int64, "whole")
    assert xp.can_cast(xp.int8, xp.int16)
    assert not xp.can_cast(xp.float64, xp.float32)
    assert xp.result_type(xp.asarray(1.0, dtype=xp.float64), xp.ones(2, dtype=xp.float32)) == xp.float64
    assert xp.result_type(xp.uint8, xp.int8) == xp.int16
    assert xp.result_type(xp.float32, 1.0, True) == xp.float32
    assert xp.finfo(xp.complex64).dtype == xp.float32
    assert xp.finfo(xp.ones(1, dtype=xp.float64)).eps == 2**-52
    assert (xp.iinfo(xp.uint16).max, xp.iinfo(xp.int8).min, xp.iinfo(xp.int8).bits) == (65535, -128, 8)
    x = xp.ones(2)
    assert xp.astype(x, xp.float32, copy=False) is x
    assert xp.astype(x, xp.float32) is not x
    assert xp.broadcast_shapes((2, 1), (3,)) == (2, 3)


def test_what_it_can_do() -> None:
    info = xp.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] is True
    assert info.default_dtypes()["integral"] == xp.int64
    assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
    assert len(info.dtypes()) == 13
    assert info.default_device() in info.devices()


def test_arrays_name_their_namespace() -> None:
    x = torch.ones(2)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2023.12") is xp
    assert x.__array_namespace__(api_version="2025.12") is xp
    assert type(xp.meshgrid(x, x)) is type(xp.broadcast_arrays(x, x)) is tuple
    with pytest.raises(ValueError, match="no array API of version"):
        x.__array_namespace__(api_version="1999.01")
    assert x.to_device(x.device) is x
    assert torch.array_api is xp


def test_memory() -> None:
    x = torch.arange(6.0)
    view = xp.reshape(x, (2, 3), copy=False)
    view[0, 0] = 9.0
    assert x[0] == 9.0
    with pytest.raises(ValueError, match="no view of this memory"):
        xp.reshape(xp.matrix_transpose(view), (6,), copy=False)
    a = np.zeros(2)
    shared = xp.from_dlpack(a)
    a[0] = 5
    assert shared[0] == 5
    assert xp.empty((2, 3)).shape == (2, 3)
    assert xp.empty_like(x, dtype=xp.int8).dtype == xp.int8
    with pytest.raises(ValueError, match="no memory to share"):
        xp.asarray([1.0], copy=False)


def test_a_program_for_the_standard_is_differentiated() -> None:
    def softened(x: Any) -> Any:
        T = x.__array_namespace__()
        e = T.exp(x - T.max(x, axis=-1, keepdims=True))
        return T.sum(T.take(e, T.asarray([0, 2]), axis=1)) / T.sum(e)

    x = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(softened, (x,))
    assert torch.func.vmap(softened)(torch.stack([x.detach()] * 2)).shape == (2,)
