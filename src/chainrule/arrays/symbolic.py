"""Symbolic arrays: SymPy expressions where numbers would be, so that derivatives come out as formulas.

>>> from chainrule.arrays.symbolic import symbols
>>> import chainrule as torch
>>> x = symbols("x")
>>> torch.func.grad(lambda x: torch.sin(x * x))(x)
Symbolic: tensor(2*x*cos(x**2))

Any transform works: a Tensor over a :class:`Symbolic` is differentiated, batched and expanded by the same
rules as one over numbers.  Numbers become exact where they can be (1/2 for 0.5), and a power that would
take gigabytes is rounded instead.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..extras import load
from ..holder import ground
from ..node import Box
from ..tensor import Tensor, wrap
from . import numpy_
from .namespace import standardised

_FLOAT, _COMPLEX, _INT, _BOOL = (np.dtype(d) for d in ("float64", "complex128", "int64", "bool"))
_HUGE = 4096  # bits: numbers beyond are kept to 15 digits


def symbols(name: str, shape: Sequence[int] = (), *, requires_grad: bool = False, **assumptions: bool) -> Tensor:
    """A tensor of symbols: ``name`` itself for no dimensions, else ``name_0``, ``name_1``, ... or ``name_0_0``, ....

    Symbols are real unless ``assumptions``, SymPy's, say otherwise; ``positive=True`` makes simpler formulas.
    """
    sympy = _sympy()
    assumptions = assumptions or {"real": True}
    shape = tuple(shape)
    a = np.empty(shape, object)
    for at in np.ndindex(shape):
        a[at] = sympy.Symbol("_".join([name, *map(str, at)]), **assumptions)
    kind = "float64" if all(s.is_extended_real for s in a.flat) else "complex128"
    t = wrap(Symbolic(a, np.dtype(kind)))
    t._rg = requires_grad
    return t


def expressions(t: Tensor) -> np.ndarray[Any, Any]:
    """What a tensor holds as an object array of SymPy's expressions, of its shape; numbers too become SymPy's."""
    return of(ground(t)).a.copy()


@functools.cache
def _sympy() -> Any:
    return load("sympy", "explain", "symbolic arrays")


def exact(v: Any) -> Any:
    """A number as SPECIFIED, not as stored: integers and short binary fractions exactly, other floats as floats."""
    sympy = _sympy()
    if isinstance(v, sympy.Basic):
        c, rest = v.as_coeff_Mul() if isinstance(v, sympy.Expr) else (None, None)
        big = c is not None and c.is_Rational and c.p.bit_length() + c.q.bit_length() > _HUGE
        return sympy.Float(c, 15) * rest if big else v
    if isinstance(v, (bool, np.bool_)):
        return sympy.true if v else sympy.false
    if isinstance(v, (complex, np.complexfloating)):
        return exact(v.real) + exact(v.imag) * sympy.I
    if isinstance(v, (float, np.floating)) and math.isfinite(v):
        n, d = float(v).as_integer_ratio()
        return sympy.Rational(n, d) if d <= 4096 and abs(n) < 2**53 else sympy.Float(float(v))
    return sympy.sympify(v.item() if isinstance(v, np.generic) else v)


def _map(f: Callable[..., Any], *arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``f`` of each entry, arrays broadcast."""
    with np.errstate(all="ignore"):  # NumPy blames f for what SymPy's own floats do
        return np.asarray(np.frompyfunc(f, len(arrays), 1)(*arrays), object)


class Symbolic:
    """An array of SymPy expressions.  Its dtype says what they stand for: numbers, indices or truth values."""

    __slots__ = ("a", "dtype")
    __array_ufunc__ = None  # ``ndarray * Symbolic`` is ours to answer

    def __init__(self, a: Any, dtype: np.dtype[Any] = _FLOAT) -> None:
        self.a = _map(exact, np.asarray(a, object))
        self.dtype = dtype

    @classmethod
    def __chainrule_namespace__(cls) -> Any:
        return _namespace()

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.a.shape)

    def __getitem__(self, key: Any) -> Symbolic:
        return Symbolic(self.a[key], self.dtype)

    def __len__(self) -> int:
        return len(self.a)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Numbers if there is no symbol left, else the expressions."""
        if not any(v.free_symbols for v in self.a.flat):
            return np.array([_number(v) for v in self.a.flat], dtype or self.dtype).reshape(self.shape)
        return self.a.copy()

    def item(self) -> Any:
        """The only element: a Python number, or the expression."""
        return np.asarray(self).item()

    def __repr__(self) -> str:
        return f"Symbolic({self.a.tolist()})"


def _number(v: Any) -> Any:
    if v in (_sympy().true, _sympy().false):
        return bool(v)
    z = complex(v)
    return z if z.imag else z.real


def of(x: Any, dtype: Any = None) -> Symbolic:
    """Numbers or expressions as a Symbolic."""
    if not isinstance(x, Symbolic):
        x = Symbolic(x, _common((x,)))
    return x if dtype is None or dtype == x.dtype else cast(x, np.dtype(dtype))


def cast(x: Symbolic, dtype: np.dtype[Any]) -> Symbolic:
    """What the expressions become as numbers of another dtype; widths, such as float32's, do not matter here."""
    sympy, have, want = _sympy(), x.dtype.kind, dtype.kind
    a = x.a
    if want == "b" and have != "b":
        a = _map(lambda v: sympy.Ne(v, 0), a)
    elif have == "b" and want != "b":
        a = _map(lambda v: _choose(v, sympy.Integer(1), sympy.Integer(0)), a)
    elif have == "c" and want != "c":
        a = _map(sympy.re, a)
    elif have == "f" and want in "iu":
        a = _map(_truncated, a)
    return Symbolic(a, dtype)


def _common(arrays: Sequence[Any]) -> np.dtype[Any]:
    """The dtype of a result of these: arrays, Python numbers, expressions."""
    known = [a.dtype if hasattr(a, "dtype") else a if isinstance(a, (int, complex)) else 1.0 for a in arrays]
    return np.result_type(*known)


def _elementwise(f: Callable[..., Any], dtype: np.dtype[Any] | None = None) -> Callable[..., Symbolic]:
    """A function of expressions, entry by entry over arrays and numbers that broadcast."""

    def function(*arrays: Any) -> Symbolic:
        return Symbolic(_map(f, *[of(a).a for a in arrays]), _common(arrays) if dtype is None else dtype)

    return function


# --- single expressions ---


def _power(x: Any, y: Any) -> Any:
    """``x**y``, with the numbers in x rounded first where their exact power would be huge."""
    if y.is_Rational and abs(y) > 512 and x not in (0, 1, -1):
        if x.is_number:
            return x.evalf() ** y
        number, rest = x.as_independent(*x.free_symbols, as_Add=False)
        if number not in (1, -1):
            return number.evalf() ** y * rest**y
    return x**y


def _cut(x: Any, c: Any) -> Any:
    """A formula says nothing of single points."""
    sympy = _sympy()
    return x if isinstance(c, sympy.Eq) else _choose(sympy.Not(c), x, sympy.Integer(0))


def _choose(c: Any, x: Any, y: Any) -> Any:
    sympy = _sympy()
    if c is sympy.true or c is sympy.false or x == y:
        return x if c is sympy.true or x == y else y
    return sympy.Piecewise((x, c), (y, True))


def _truncated(x: Any) -> Any:
    sympy = _sympy()
    return sympy.sign(x) * sympy.floor(sympy.Abs(x))


def _nearest(x: Any) -> Any:
    """Halves to even: floor(x + 1/2), less 1 where that hit an odd integer from exactly half way."""
    sympy = _sympy()
    up = sympy.floor(x + sympy.Rational(1, 2))
    tie = sympy.And(sympy.Eq(up - x, sympy.Rational(1, 2)), sympy.Eq(sympy.Mod(up, 2), 1))
    return up - _choose(tie, sympy.Integer(1), sympy.Integer(0))


def _first_largest(row: Sequence[Any]) -> Any:
    """The position of the largest expression, the first of equals."""
    sympy = _sympy()
    best, at = row[0], sympy.Integer(0)
    for i, v in enumerate(row[1:], 1):
        at = _choose(sympy.Gt(v, best), sympy.Integer(i), at)
        best = sympy.Max(best, v)
    return at


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv, "pow": _power,
    "mod": lambda x, y: x - y * _sympy().floor(x / y), "floordiv": lambda x, y: _sympy().floor(x / y),
    "and": lambda x, y: _sympy().And(x, y), "or": lambda x, y: _sympy().Or(x, y),
    "xor": lambda x, y: _sympy().Xor(x, y),
}  # fmt: skip
_RELATIONS: dict[str, Callable[..., Any]] = {
    "eq": lambda x, y: _sympy().Eq(x, y), "ne": lambda x, y: _sympy().Ne(x, y), "lt": lambda x, y: _sympy().Lt(x, y),
    "le": lambda x, y: _sympy().Le(x, y), "gt": lambda x, y: _sympy().Gt(x, y), "ge": lambda x, y: _sympy().Ge(x, y),
}  # fmt: skip
_UNARIES: dict[str, Callable[..., Any]] = {
    "neg": operator.neg, "pos": lambda x: x, "invert": lambda x: _sympy().Not(x),
}  # fmt: skip


def _attach() -> None:
    """Python's operators for Symbolic."""

    def operators(f: Callable[..., Symbolic]) -> tuple[Any, Any]:
        def straight(self: Symbolic, other: Any) -> Any:
            return NotImplemented if isinstance(other, Box) else f(self, other)

        def swapped(self: Symbolic, other: Any) -> Any:
            return f(other, self)

        return straight, swapped

    for name, f in _OPERATORS.items():
        straight, swapped = operators(_elementwise(f))
        setattr(Symbolic, f"__{name}__", straight)
        setattr(Symbolic, f"__r{name}__", swapped)
    for name, f in _RELATIONS.items():
        setattr(Symbolic, f"__{name}__", operators(_elementwise(f, _BOOL))[0])
    for name, f in _UNARIES.items():
        setattr(Symbolic, f"__{name}__", _elementwise(f))


_attach()


# --- the namespace ---


@functools.cache
def _namespace() -> Namespace:
    return Namespace()


class Namespace:
    """What rules see as ``xp`` when symbols flow."""

    name = "Symbolic"  # how arrays are printed

    def __init__(self) -> None:
        sympy = _sympy()
        self.pi, self.e, self.inf, self.nan = sympy.pi, sympy.E, sympy.oo, sympy.nan
        half = sympy.Rational(1, 2)
        unary = {
            "exp": sympy.exp, "expm1": lambda x: sympy.exp(x) - 1,
            "log": sympy.log, "log1p": lambda x: sympy.log(1 + x),
            "log2": lambda x: sympy.log(x, 2), "log10": lambda x: sympy.log(x, 10), "sqrt": lambda x: x**half,
            "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "asin": sympy.asin, "acos": sympy.acos,
            "atan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "asinh": sympy.asinh,
            "acosh": sympy.acosh, "atanh": sympy.atanh, "square": lambda x: x * x, "sign": sympy.sign,
            "floor": sympy.floor, "ceil": sympy.ceiling, "round": _nearest, "erf": sympy.erf, "conj": sympy.conjugate,
            "trunc": _truncated, "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
            "exp2": lambda x: 2**x, "softplus": lambda x: sympy.log(1 + sympy.exp(x)), "relu": lambda x: sympy.Max(x, 0),
        }  # fmt: skip
        binary = {
            "maximum": sympy.Max, "minimum": sympy.Min, "remainder": _OPERATORS["mod"], "pow": _power,
            "floor_divide": _OPERATORS["floordiv"], "atan2": sympy.atan2, "fmax": sympy.Max, "fmin": sympy.Min,
            "hypot": lambda x, y: (x * x + y * y) ** half, "copysign": lambda x, y: sympy.Abs(x) * sympy.sign(y),
            "logaddexp": lambda x, y: sympy.log(sympy.exp(x) + sympy.exp(y)),
            "logaddexp2": lambda x, y: sympy.log(2**x + 2**y, 2), "fmod": lambda x, y: x - y * _truncated(x / y),
        }  # fmt: skip
        pair = {"complex": lambda x, y: x + sympy.I * y        }  # fmt: skip
        truth = {
            "isfinite": lambda x: sympy.false if x.is_finite is False else sympy.true,
            "isnan": lambda x: sympy.true if x is sympy.nan else sympy.false, "logical_not": sympy.Not,
        }  # fmt: skip
        real = {"abs": sympy.Abs, "real": sympy.re, "imag": sympy.im}
        for functions, dtype in ((unary, None), (binary, None), (pair, _COMPLEX), (real, _FLOAT), (truth, _BOOL)):
            for name, f in functions.items():
                setattr(self, name, _elementwise(f, dtype))
        for name, fold in {"sum": sympy.Add, "prod": sympy.Mul, "max": sympy.Max, "min": sympy.Min}.items():
            setattr(self, name, self._reduction(fold))
        self.all, self.any = self._reduction(sympy.And, _BOOL), self._reduction(sympy.Or, _BOOL)
        for name in ("reshape", "permute_dims", "flip", "squeeze", "expand_dims", "moveaxis", "matrix_transpose",
                     "cumulative_sum", "getitem", "put_add", "roll", "diagonal", "windows", "strided", "tril",
                     "triu", "tile"):  # fmt: skip
            setattr(self, name, self._arrangement(getattr(numpy_, name)))
        self.broadcast_to = self._arrangement(np.broadcast_to)

    @staticmethod
    def _arrangement(f: Any) -> Callable[..., Symbolic]:
        """NumPy's own way of arranging entries (or adding them up) serves for expressions too."""

        def arrange(x: Any, *args: Any, **kwargs: Any) -> Symbolic:
            with np.errstate(all="ignore"):
                return Symbolic(f(of(x).a, *args, **kwargs), x.dtype)

        return arrange

    @staticmethod
    def _reduction(fold: Any, dtype: np.dtype[Any] | None = None) -> Callable[..., Symbolic]:
        """``fold`` of any number of expressions, over some axes."""

        def reduce(x: Any, *, axis: Any = None, keepdims: bool = False) -> Symbolic:
            x = of(x, dtype)
            n = x.a.ndim
            axes = tuple(range(n)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
            rows = np.moveaxis(x.a, axes, tuple(range(n - len(axes), n)))
            out = np.empty(rows.shape[: n - len(axes)], object)
            for at in np.ndindex(out.shape):
                out[at] = fold(*rows[at].flat) if axes else rows[at]
            return Symbolic(np.expand_dims(out, axes) if keepdims else out, x.dtype)

        return reduce

    def asarray(self, x: Any, *, dtype: Any = None, copy: bool | None = None) -> Symbolic:
        return of(x, dtype)

    def astype(self, x: Any, dtype: Any) -> Symbolic:
        return of(x, dtype)

    def zeros(self, shape: Any, *, dtype: Any = _FLOAT) -> Symbolic:
        return of(np.zeros(shape, dtype))

    def zeros_like(self, x: Any) -> Symbolic:
        return of(np.zeros(x.shape, x.dtype))

    def ones_like(self, x: Any) -> Symbolic:
        return of(np.ones(x.shape, x.dtype))

    def stop(self, x: Any) -> Any:
        return x

    def peak(self, x: Any, *, axis: Any) -> Any:
        return self.sum(self.zeros_like(x), axis=axis, keepdims=True)  # exact numbers cannot overflow

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        return self.minimum(self.maximum(x, low), high)

    def standardise(self, x: Any, v: Any = None, *, axis: tuple[int, ...], eps: float) -> Any:
        return standardised(self, x, v, axis, eps)

    def affine(self, x: Any, weight: Any, bias: Any) -> Any:
        return x * weight + bias

    def sum_product(self, x: Any, y: Any, *, axis: Any) -> Any:
        return self.sum(x * y, axis=axis, keepdims=True)

    def where(self, c: Any, x: Any, y: Any) -> Symbolic:
        return Symbolic(_map(_choose, of(c, _BOOL).a, of(x).a, of(y).a), _common((x, y)))

    def cut(self, x: Any, where: Any) -> Any:
        """``x``, but 0 ``where`` that holds."""
        return Symbolic(_map(_cut, of(x).a, of(where, _BOOL).a), x.dtype)

    def concat(self, arrays: Sequence[Any], *, axis: int) -> Symbolic:
        return Symbolic(np.concatenate([of(a).a for a in arrays], axis), _common(arrays))

    def stack(self, arrays: Sequence[Any], *, axis: int) -> Symbolic:
        return Symbolic(np.stack([of(a).a for a in arrays], axis), _common(arrays))

    def view_as_real(self, x: Any) -> Symbolic:
        return self.stack([self.real(x), self.imag(x)], axis=-1)

    def view_as_complex(self, x: Any) -> Symbolic:
        found: Symbolic = self.complex(x[..., 0], x[..., 1])
        return found

    def matmul(self, x: Any, y: Any) -> Symbolic:
        with np.errstate(all="ignore"):
            return Symbolic(np.matmul(of(x).a, of(y).a), _common((x, y)))

    def argmax(self, x: Any, *, axis: Any = None, keepdims: bool = False) -> Symbolic:
        x = self.reshape(x, (-1,)) if axis is None else x
        rows = np.moveaxis(x.a, 0 if axis is None else axis, -1)
        out = np.empty(rows.shape[:-1], object)
        for at in np.ndindex(out.shape):
            out[at] = _first_largest(rows[at])
        return Symbolic(np.expand_dims(out, 0 if axis is None else axis) if keepdims else out, _INT)

    def argmin(self, x: Any, *, axis: Any = None, keepdims: bool = False) -> Symbolic:
        return self.argmax(-x, axis=axis, keepdims=keepdims)

    def put(self, x: Any, value: Any, key: tuple[Any, ...]) -> Symbolic:
        return Symbolic(numpy_.put(of(x).a, of(value).a, key), _common((x, value)))

    def take_along_axis(self, x: Any, indices: Any, *, axis: int) -> Symbolic:
        """Entries at positions that may themselves be formulas: a choice among all."""
        at, rows = self.moveaxis(of(indices), axis, -1), self.moveaxis(of(x), axis, -1)
        picked = rows[..., :1]
        for k in range(x.shape[axis]):
            picked = self.where(at == k, rows[..., k : k + 1], picked)
        placed: Symbolic = self.moveaxis(picked, -1, axis)
        return placed

    def put_along_axis(self, x: Any, index: Any, axis: int, size: int) -> Symbolic:
        hit = self.moveaxis(of(index), axis, -1)[..., None] == np.arange(size)
        spread = self.where(hit, self.moveaxis(of(x), axis, -1)[..., None], 0)
        placed: Symbolic = self.moveaxis(self.sum(spread, axis=-2), -1, axis)
        return placed

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no symbolic form of {name} yet: add it to chainrule.arrays.symbolic.Namespace")
