"""Elementary functions that vectorise inside a Numba loop.

Numba calls libm once per element, which keeps LLVM from vectorising the loop around the call.  The
functions here are branch-free arithmetic that LLVM sees in full.  Each is a Numba *intrinsic*: a call that
is replaced by LLVM instructions on the spot, without Numba inferring a type for each of them, so using
one costs a few milliseconds of compile time.

In generated source a function is one call, bound by `bindings()`:

    source = ["def kernel(a, out):", "    for i in range(a.size):", "        x = a[i]"]
    source += ["        " + line for line in emit("exp", "float32", ["x"], "y")]
    source += ["        out[i] = y"]
    exec("\\n".join(source), scope := {"np": numpy, **bindings()})

Work is shared by LLVM: sin(x) and cos(x) of one x reduce it once.

**Far arguments.**  sin, cos and tan hold for |x| <= `domain(name, dtype)`.  Beyond, the result is
meaningless (but inf and nan give nan), so a loop that calls them also collects a flag and, in the rare case
that it rises, is run again with `wide=True`, where libm is called:

    far = False
    for i in range(a.size):
        x = a[i]
        far = fast_far_float32(far, x)      # emit_far("sin", "float32", ["x"], "far")
        out[i] = fast_sin_float32(x)        # emit("sin", "float32", ["x"], ...)
    if far:
        for i in range(a.size):
            out[i] = np.sin(a[i])           # emit("sin", "float32", ["x"], ..., wide=True)

The second loop reads its inputs again, so `out` must not alias them.

**Blocks.**  Take slices and count from 0, as above.  In `for i in range(start, stop)` Numba cannot rule out
a negative, wrapping index, and the loop runs ten times slower for reasons unrelated to these functions.

**Numerics.**  Special cases are IEEE's: nan, inf, -0.0, subnormal numbers, overflow and gradual underflow;
`pow` has C's.  The arithmetic fixes its own fused multiply-adds and is shielded from fastmath's `contract`
and `reassoc`; `nnan` and `ninf` (and so `fastmath=True`) would break the special cases.  Hardware without
a fused multiply-add stays correct but slow.

Largest errors seen, in units of the last place (float32: every seventh number there is; float64: 15
million numbers of all exponents and in the interesting intervals; pow: 15 million pairs):

               float32  float64                float32  float64                float32  float64
    acos         1.08     1.12      exp2         0.77     0.76      sin          1.55     1.49
    asin         1.10     1.09      expm1        1.37     1.55      sinh         1.86     1.96
    atan         1.86     1.83      log          0.85     0.82      softplus     1.82     1.70
    cos          1.55     1.48      log10        0.96     0.99      sqrt         0.50     0.50
    cosh         1.14     1.09      log1p        0.91     0.89      tan          1.25     1.21
    erf          1.86     1.55      log2         0.96     1.04      tanh         1.34     1.41
    exp          0.77     0.76      pow          0.77     0.99      rsqrt        1.50     1.50
                                                                    sigmoid      1.48     1.44
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from chainrule.compiler.mathlib_ir import Value
from chainrule.compiler.mathlib_kernels import FAR, KERNELS, Kit

DTYPES = ("float32", "float64")
FUNCTIONS = frozenset(KERNELS)
PERIODIC = frozenset({"sin", "cos", "tan"})


def emit(name: str, dtype: str, args: Sequence[str], out: str, *, wide: bool = False) -> list[str]:
    """Source lines for `out = name(*args)`; `wide` asks for every argument, at libm's speed."""
    return [f"{out} = {call(name, dtype, args, wide=wide)}"]


def call(name: str, dtype: str, args: Sequence[str], *, wide: bool = False) -> str:
    """The expression that `emit` assigns."""
    if name not in FUNCTIONS or dtype not in DTYPES:
        raise KeyError(f"no vectorising {name} for {dtype}")
    function = f"np.{name}" if wide and name in PERIODIC else f"fast_{name}_{dtype}"
    return f"{function}({', '.join(args)})"


def domain(name: str, dtype: str) -> float | None:
    """The largest |x| that `emit` without `wide` is good for; None if there is no limit."""
    return FAR[dtype] if name in PERIODIC else None


def emit_far(name: str, dtype: str, args: Sequence[str], flag: str) -> list[str]:
    """Source lines that raise the boolean variable `flag` if the arguments lie outside the domain."""
    return [f"{flag} = fast_far_{dtype}({flag}, {args[0]})"] if name in PERIODIC else []


@cache
def bindings() -> dict[str, Any]:
    """The global names that emitted lines use, besides `np`; needs Numba."""
    functions = {f"fast_{name}_{dtype}": _function(name, dtype) for name in FUNCTIONS for dtype in DTYPES}
    return functions | {f"fast_far_{dtype}": _far(dtype) for dtype in DTYPES}


def _function(name: str, dtype: str) -> Any:
    kind = _numba_type(dtype)

    def build(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        return KERNELS[name](Kit(builder, dtype), *(Value(builder, arg) for arg in args)).raw

    # Numba reads the number of arguments off the Python signature.
    def unary(context: Any, x: Any) -> Any:
        return kind(kind), build

    def binary(context: Any, x: Any, y: Any) -> Any:
        return kind(kind, kind), build

    return _intrinsic(binary if name == "pow" else unary)


def _far(dtype: str) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        flag, x = (Value(builder, arg) for arg in args)
        return (flag | Kit(builder, dtype).is_far(x)).raw

    def typed(context: Any, flag: Any, x: Any) -> Any:
        boolean = _numba_type("boolean")
        return boolean(boolean, _numba_type(dtype)), build

    return _intrinsic(typed)


def _numba_type(name: str) -> Any:
    return getattr(importlib.import_module("numba").types, name)


def _intrinsic(function: Any) -> Any:
    return importlib.import_module("numba.extending").intrinsic(function)
