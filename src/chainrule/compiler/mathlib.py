"""Elementary functions that vectorise.

A call of libm once per element keeps LLVM from vectorising the loop around it.  The functions here are
branch-free arithmetic that LLVM sees in full, put in the place of the call when a kernel is lowered.

In a kernel's source a function is one call:

    x = xs[i]
    out[i] = fast_exp_float32(x)        # emit("exp", "float32", ["x"], "out[i]")

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

**Numerics.**  Special cases are IEEE's: nan, inf, -0.0, subnormal numbers, overflow and gradual underflow;
`pow` has C's.  The arithmetic fixes its own fused multiply-adds; hardware without one stays correct but slow.

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

from collections.abc import Sequence

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


def build(name: str, kit: Kit, args: Sequence[Value]) -> Value:
    """The instructions behind a call that `call` or `emit_far` wrote."""
    function = name.removeprefix("fast_").rpartition("_")[0]
    if function == "far":
        flag, x = args
        return flag | kit.is_far(x)
    return KERNELS[function](kit, *args)
