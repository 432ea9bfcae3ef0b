"""Lanes: operations as users call them.

A lane is the short way for the commonest arguments, Tensors over NumPy floats and Python numbers, with all that
can be known beforehand worked out when the operation is declared.  Whatever else comes goes the general way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dtypes, errors, modes
from .arrays import namespace as ns
from .arrays import numpy_
from .errors import explained, snake_case
from .meta import Inference
from .node import Box, Extra
from .outputs import CASTS, deliver
from .primitive import Elementwise, Primitive, alone, bind, compute_numpy
from .quiet import quietly, reset_errors
from .recording import record_one
from .tensor import Tensor, _new, wrap

# Types and dtypes that a lane takes: real floats, where NumPy's promotion is PyTorch's.
_S32: Any
_S64: Any
_F32: Any
_F64: Any
_S32, _S64, _F32, _F64 = np.float32, np.float64, np.dtype("float32"), np.dtype("float64")
_ndarray = np.ndarray
_mode = modes.current
_ON = modes.ON
_unusual = modes.unusual


def unlike(t: Tensor, wanted: bool) -> bool:
    """Whether the mode is one in which a lane cannot record the result ``t``, where that is ``wanted``; if it is
    inference mode, ``t`` is marked."""
    mode = _mode()
    if mode.inference:
        t._v = Inference([0])
    return wanted and mode.grad


def unary_lane(prim: Elementwise) -> Callable[..., Any]:
    """``prim`` as a function of one Tensor, with everything that can be known beforehand worked out."""
    forward, node, np_ns = prim.forward, prim.node, numpy_
    keep_out, keep_x = prim.keeps((True,))[0] if prim.differentiable else (False, False)

    def lane(input: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                for token in quietly:
                    try:
                        r = forward(np_ns, a)
                    except MemoryError as e:
                        raise errors.no_memory(prim.name, e) from None
                    finally:
                        reset_errors(token)
                    break
                t = _new(Tensor)
                t._a = r
                t._grad = t._meta = t._v = None
                if input._rg and _mode() is _ON:
                    edge = input._node
                    extra = None
                    if keep_out:
                        t._v = [0]
                        extra = Extra(None, None, (t._v, 0))
                    if keep_x and input._v is not None:
                        extra = extra or Extra()
                        extra.versions = (input._v[0],)
                    t._node = node(
                        input if edge is None else edge,
                        (r if keep_out else None, a if keep_x else None),
                        (input,) if keep_x else () if keep_out else None,
                        None, extra,
                    )  # fmt: skip
                    t._rg = True
                elif _unusual and unlike(t, input._rg):
                    return general(prim, (input,))
                else:
                    t._node = None
                    t._rg = False
                return t
        return general(prim, (input,), out)

    return lane if prim.differentiable else flat_unary_lane(prim)


def _extra(out: Tensor, x: Tensor, keep_out: bool, keep_x: bool, place: int) -> Extra:
    """The rare part of a node of one tensor and one number, the tensor standing at ``place``."""
    versions = cell = None
    if keep_x and x._v is not None:
        versions = (x._v[0], 0) if place == 0 else (0, x._v[0])
    if keep_out:
        out._v = [0]
        cell = (out._v, 0)
    return Extra(None, versions, cell)


def binary_lane(prim: Elementwise, fn: Any = None, method: bool = False) -> tuple[Any, Any]:
    """``prim`` as a function of two, and the same with the arguments swapped.

    ``fn`` is the forward without ``xp`` where it is an operator.  As a ``method`` it leaves what it cannot
    take to the other operand, as Python's operators do.
    """
    forward, np_ns = prim.forward, numpy_
    fn = fn or (lambda a, b: forward(np_ns, a, b))
    tt, ts, st = prim.variants
    otherwise = _operator if method else general
    if not prim.differentiable:
        return flat_binary_lane(prim, otherwise), lambda input, other: otherwise(prim, (other, input), None)
    node, node_ts, node_st = tt.node, alone(ts.node, 0), alone(st.node, 1)
    (out_x, x_x, x_y), (out_y, y_x, y_y) = prim.keeps((True, False))[0], prim.keeps((False, True))[0]
    out_xy = out_x or out_y

    def lane(input: Any, other: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                other_type = type(other)
                if other_type is Tensor:
                    b = other._a
                    kind_b = type(b)
                    if kind_b is _ndarray:
                        kind_b = b.dtype
                    if kind_b is kind and a.shape == b.shape:
                        for token in quietly:
                            try:
                                r = fn(a, b)
                            except MemoryError as e:
                                raise errors.no_memory(prim.name, e) from None
                            finally:
                                reset_errors(token)
                            break
                        t = _new(Tensor)
                        t._a = r
                        t._grad = t._meta = t._v = None
                        wx, wy = input._rg, other._rg
                        if (wx or wy) and _mode() is _ON:
                            kx, ky = (wx and x_x) or (wy and y_x), (wx and x_y) or (wy and y_y)
                            tensors: Any = None
                            extra: Any = None
                            if kx or ky:
                                tensors = (input if kx else None, other if ky else None)
                                va, vb = input._v, other._v
                                if va is not None or vb is not None:
                                    extra = Extra(None, (va and va[0], vb and vb[0]))
                            if out_xy and ((wx and out_x) or (wy and out_y)):
                                t._v = [0]
                                tensors = tensors or ()
                                extra = extra or Extra()
                                extra.cell = (t._v, 0)
                                kept = r
                            else:
                                kept = None
                            ex, ey = input._node, other._node
                            t._node = node(
                                ((input if ex is None else ex) if wx else None,
                                 (other if ey is None else ey) if wy else None),
                                (kept, a if kx else None, b if ky else None),
                                tensors, None, extra,
                            )  # fmt: skip
                            t._rg = True
                        elif _unusual and unlike(t, wx or wy):
                            return general(tt, (input, other))
                        else:
                            t._node = None
                            t._rg = False
                        return t
                elif other_type is float or other_type is int:
                    for token in quietly:
                        try:
                            r = fn(a, other)
                        except MemoryError as e:
                            raise errors.no_memory(prim.name, e) from None
                        finally:
                            reset_errors(token)
                        break
                    t = _new(Tensor)
                    t._a = r
                    t._grad = t._meta = t._v = None
                    if input._rg and _mode() is _ON:
                        edge = input._node
                        t._node = node_ts(
                            input if edge is None else edge,
                            (r if out_x else None, a if x_x else None, other),
                            (input, None) if x_x else () if out_x or x_y else None,
                            None, _extra(t, input, out_x, x_x, 0) if out_x or (x_x and input._v is not None) else None,
                        )  # fmt: skip
                        t._rg = True
                    elif _unusual and unlike(t, input._rg):
                        return general(ts, (input, other))
                    else:
                        t._node = None
                        t._rg = False
                    return t
        chosen = tt if isinstance(input, Box) and isinstance(other, Box) else ts if isinstance(input, Box) else st
        return otherwise(chosen, (input, other), out)

    def swapped(input: Any, other: Any) -> Any:
        if type(input) is Tensor and (type(other) is float or type(other) is int):
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                for token in quietly:
                    try:
                        r = fn(other, a)
                    except MemoryError as e:
                        raise errors.no_memory(prim.name, e) from None
                    finally:
                        reset_errors(token)
                    break
                t = _new(Tensor)
                t._a = r
                t._grad = t._meta = t._v = None
                if input._rg and _mode() is _ON:
                    edge = input._node
                    t._node = node_st(
                        input if edge is None else edge,
                        (r if out_y else None, other, a if y_y else None),
                        (None, input) if y_y else () if out_y or y_x else None,
                        None, _extra(t, input, out_y, y_y, 1) if out_y or (y_y and input._v is not None) else None,
                    )  # fmt: skip
                    t._rg = True
                elif _unusual and unlike(t, input._rg):
                    return general(st, (other, input))
                else:
                    t._node = None
                    t._rg = False
                return t
        chosen = tt if isinstance(input, Box) and isinstance(other, Box) else st
        return otherwise(chosen, (other, input), None)

    return lane, swapped


def flat_unary_lane(prim: Elementwise) -> Callable[..., Any]:
    """:func:`unary_lane` where there are no slopes, and so no histories."""
    takes = flat_kinds(prim)

    def lane(input: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a = input._a
            if (a.dtype if type(a) is _ndarray else type(a)) in takes:
                return wrap(compute_numpy(prim, (a,), {}))
        return general(prim, (input,), out)

    return lane


def flat_binary_lane(prim: Elementwise, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """:func:`binary_lane` where there are no slopes, and so no histories."""
    takes = flat_kinds(prim)

    def lane(input: Any, other: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a, b = input._a, other
            kind = a.dtype if type(a) is _ndarray else type(a)
            if kind in takes:
                if type(other) is Tensor:
                    b = other._a
                    if (b.dtype if type(b) is _ndarray else type(b)) is kind and a.shape == b.shape:
                        return wrap(compute_numpy(prim, (a, b), {}))
                elif type(b) is int or (type(b) is float and kind in _FLOATS):
                    if kind in _FLOATS or -(2**63) <= b < 2**63:
                        return wrap(compute_numpy(prim, (a, b), {}))
        return otherwise(prim, (input, other), out)

    return lane


def flat_kinds(prim: Elementwise) -> frozenset[Any]:
    """The types of scalars and arrays for which neither promotion nor a refusal is to be thought of."""
    refused = prim.refused if prim.real_only is not None else ""
    if prim.floats:
        refused += "i"
    return (frozenset() if "f" in refused else _FLOATS) | (frozenset() if "i" in refused else _INTEGERS)


_FLOATS = frozenset([_S32, _F32, _S64, _F64])
_INTEGERS: frozenset[Any] = frozenset([np.int64, np.dtype("int64")])
_PYTHON: tuple[Any, ...] = (int, float, complex)
_OPERANDS = (Box, *_PYTHON)


def _operator(prim: Primitive, arrays: tuple[Any, ...], out: Any) -> Any:
    for a in arrays:
        if not isinstance(a, _OPERANDS) and not ns.is_array(a):
            return NotImplemented
    return general(prim, arrays, out)


def general(prim: Primitive, arrays: tuple[Any, ...], out: Any = None, params: dict[str, Any] | None = None) -> Tensor:
    """``prim`` on what a user passed: checked, lifted, bound; the result stored in ``out`` if given."""
    if out is None and type(arrays[0]) is Tensor and not _unusual and alike(prim, arrays):
        x = arrays[0]
        if len(arrays) == 1 and prim.one is not None:
            return record_one(prim, x, x._a, params or {}, compute_numpy(prim, (x._a,), params or {}))
        return x._interpret(prim, arrays, params or {})  # type: ignore[no-any-return]
    lifted = tuple([a if isinstance(a, Tensor) else lift(prim, i, a, arrays) for i, a in enumerate(arrays)])
    if len(lifted) == 2 and not (isinstance(lifted[0], Box) or isinstance(lifted[1], Box)):
        lifted = (_of_number(prim, lifted[0]), lifted[1])
    if prim.broadcasts and len(arrays) > 1:
        check_broadcast(lifted)
    result: Tensor = bind(prim, lifted, params or {})
    return result if out is None else deliver(out, result, snake_case(prim.name), prim.wrong_out or CASTS, lifted)


def alike(prim: Primitive, arrays: tuple[Any, ...]) -> bool:
    """Whether there is nothing to check or to make alike: real arrays of one dtype and shape, and Python floats."""
    a = arrays[0]._a
    if type(a) is not _ndarray:
        return False
    d = a.dtype
    if (d is not _F32 and d is not _F64) or (prim.real_only is not None and "f" in prim.refused):
        return False
    for b in arrays[1:]:
        if type(b) is Tensor:
            c = b._a
            if type(c) is not _ndarray or c.dtype is not d or c.shape != a.shape:
                return False
        elif type(b) is not float:
            return False
    return True


def _of_number(prim: Primitive, a: Any) -> Tensor:
    """The first of two numbers as a tensor, for operations that take such; TypeError for the others."""
    if not prim.of_numbers:
        raise _no_tensor(prim, 0, a)
    return wrap(np.asarray(a, dtypes.scalar_dtype(a)))


def lift(prim: Primitive, i: int, a: Any, arrays: tuple[Any, ...]) -> Any:
    """An argument as operations take it: a box, or one of Python's own numbers; TypeError for anything else."""
    if isinstance(a, Box) or (type(a) in (int, float, bool, complex) and len(arrays) > 1):
        return a
    if isinstance(a, np.generic):
        return a.item()
    if len(arrays) > 1:
        for kind in _PYTHON:  # an enumeration's member, say
            if isinstance(a, kind):
                return kind(a)
    if len(arrays) > 1 and ns.is_array(a):
        return wrap(a)
    raise _no_tensor(prim, i, a)


def _no_tensor(prim: Primitive, i: int, a: Any) -> TypeError:
    which = "input" if i == 0 else "other"
    return explained(
        TypeError(
            f"{snake_case(prim.name)}(): argument '{which}' (position {i + 1}) must be Tensor, not {errors.type_name(a)}"
            "\nMake it a tensor first: torch.tensor(value)."
        )
    )


def check_broadcast(arrays: Sequence[Any]) -> None:
    tensors = [a for a in arrays if isinstance(a, Tensor)]
    shapes = [a._shape for a in tensors]
    for i in range(1, len(shapes)):
        a, b = shapes[0], shapes[i]
        if a != b and any(m != n and 1 not in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False)):
            raise explained(RuntimeError(errors.size_mismatch(a, b)), "shapes", tensors[0], tensors[i])
