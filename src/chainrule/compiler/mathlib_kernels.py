"""The elementary functions as branch-free formulas, one text for float32 and float64.

Each kernel maps LLVM scalars to an LLVM scalar through a `Machine`.  Every special case is a select, so a
loop around a kernel vectorises; LLVM's own common-subexpression pass merges what two kernels share, such
as the argument reduction of sin(x) and cos(x).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from chainrule.compiler.mathlib_ir import Machine, Value
from chainrule.compiler.mathlib_tables import TABLES

INF, NAN = math.inf, math.nan
# Where the three parts of pi/2 still leave sin, cos and tan all their digits.
FAR = {"float32": 2.0**18, "float64": 2.0**45}
SQRT_HALF = math.sqrt(0.5)


class Kit(Machine):
    """A machine with the tables and the shared steps of the kernels."""

    def __getitem__(self, name: str) -> tuple[float, ...]:
        return TABLES[self.format.dtype][name]

    def pick(self, for_float32: float, for_float64: float) -> float:
        """A constant that depends on the format."""
        return for_float32 if self.format.bits == 32 else for_float64

    def table(self, name: str, x: Value) -> Value:
        """The fitted polynomial `name` at x."""
        return self.polynomial(self[name], x)

    def scale(self, p: Value, n: Value) -> Value:
        """p * 2**k for the k in the low bits of n, in two steps: k may leave the normal exponents."""
        half = n >> 1
        return p * self.power_of_two(half) * self.power_of_two(n - half)

    def reduce_exp(self, x: Value) -> tuple[Value, Value, Value]:
        """x = k ln2 + r + tail with |r| <= ln2 / 2; k comes as bits whose low part is k."""
        ln2, ln2_tail = self["LN2"]
        shifted = self.fma(x, self["LOG2E"][0], self.format.magic)
        k = shifted - self.format.magic
        exact = self.fma(k, -ln2, x)
        r = self.fma(k, -ln2_tail, exact)
        return self.to_bits(shifted), r, self.fma(k, -ln2_tail, exact - r)

    def exp_near_zero(self, r: Value, tail: Value) -> Value:
        """exp(r + tail) for |r| <= ln2 / 2."""
        return self.sum_of(1.0, r, self.fma(r * r, self.table("EXP", r), tail))

    def sum_of(self, large: Value | float, small: Value, tail: Value) -> Value:
        """large + small + tail with little more than one rounding."""
        total = small + large
        return total + ((large - total) + small + tail)

    def quarter_expm1(self, x: Value) -> tuple[Value, Value]:
        """(exp(x) - 1) / 4 and, for small x, its error; the quarter lets sinh and expm1 reach overflow."""
        n, r, tail = self.reduce_exp(x)
        scale = self.power_of_two(n - 2)
        rest = self.fma(r * r, self.table("EXP", r), tail)
        p = r + rest
        return self.fma(p, scale, scale - 0.25), ((r - p) + rest) * scale

    def divide(self, a: Value, a_tail: Value | float, b: Value, b_tail: Value) -> Value:
        """(a + a_tail) / (b + b_tail) with little more than one rounding."""
        inverse = 1.0 / b
        ratio = a * inverse
        rest = self.fma(-ratio, b, a) + self.fma(-ratio, b_tail, a_tail)
        return self.fma(rest, inverse, ratio)

    def near_identity(self, x: Value, result: Value) -> Value:
        """`result`, or x where f(x) = x + O(x**2) rounds to x: keeps -0.0 and the subnormal numbers."""
        return self.where(self.abs(x) < 2.0 ** -(self.format.fraction + 3), x, result)

    def split_log(self, x: Value) -> tuple[Value, Value]:
        """x = 2**k (1 + f) with 1/2 <= (1 + f)**2 <= 2, for positive finite x; returns k and f."""
        layout = self.format
        lift = layout.fraction + 2
        small = x < layout.smallest_normal
        x = self.where(small, x * 2.0**lift, x)
        # k + offset is positive, so a logical shift does; or-ing it into 2**fraction makes it a float.
        offset, root = layout.bias + 1, layout.encode(SQRT_HALF)
        n = self.to_bits(x) + ((offset << layout.fraction) - root)
        unit = 2.0**layout.fraction
        k = self.from_bits((n >> layout.fraction) | layout.encode(unit)) - (unit + offset)
        m = self.from_bits((n & ((1 << layout.fraction) - 1)) + root)
        return k - self.where(small, float(lift), 0.0), m - 1.0

    def log_tail(self, f: Value, table: str = "LOG") -> Value:
        """log(1 + f) - f."""
        s = f / (f + 2.0)
        half_square = f * f * 0.5
        z = s * s
        return self.fma(s, self.fma(z, self.table(table, z) * 2.0, half_square), -half_square)

    def log_domain(self, x: Value, result: Value) -> Value:
        """`result`, a logarithm of x, with the values at and beyond the ends of (0, inf)."""
        result = self.where(x < INF, result, x)
        return self.where(x > 0.0, result, self.where(x.same(0.0), -INF, x * NAN))

    def is_far(self, x: Value) -> Value:
        """Whether `reduce_trig` loses digits of x; inf and nan are not far, they give nan."""
        beyond = self.format.encode(FAR[self.format.dtype]) + 1
        above = self.to_bits(self.abs(x)) - beyond
        return above < self.format.encode(INF) - beyond

    def reduce_trig(self, x: Value) -> tuple[Value, Value]:
        """|x| = k pi/2 + r with |r| <= pi/4; k comes as bits whose low part is k."""
        x = self.abs(x)
        shifted = self.fma(x, self["TWO_OVER_PI"][0], self.format.magic)
        k = shifted - self.format.magic
        for part in self["PI_2"]:
            x = self.fma(k, -part, x)
        return self.to_bits(shifted), x

    def reduce_trig_pair(self, x: Value) -> tuple[Value, Value, Value]:
        """As `reduce_trig`, with the rounding error of r."""
        x = self.abs(x)
        shifted = self.fma(x, self["TWO_OVER_PI"][0], self.format.magic)
        k = shifted - self.format.magic
        first, second, third = self["PI_2"]
        exact = self.fma(k, -first, x)
        product = k * second
        r = exact - product
        back = r - exact
        lost = (exact - (r - back)) - (product + back)
        return self.to_bits(shifted), r, lost - self.fma(k, third, self.fma(k, second, -product))

    def sin_near_zero(self, r: Value) -> Value:
        """sin(r) for |r| <= pi / 4."""
        z = r * r
        return self.fma(r * z, self.table("SIN", z), r)

    def cos_near_zero(self, r: Value) -> Value:
        """cos(r) for |r| <= pi / 4."""
        z = r * r
        return self.fma(z, self.fma(z, self.table("COS", z), -0.5), 1.0)


def sqrt(m: Kit, x: Value) -> Value:
    """The hardware has it."""
    return m.sqrt(x)


def rsqrt(m: Kit, x: Value) -> Value:
    """1 / sqrt(x), each step correctly rounded."""
    return 1.0 / m.sqrt(x)


def exp(m: Kit, x: Value) -> Value:
    """2**k exp(r) for x = k ln2 + r."""
    n, r, tail = m.reduce_exp(m.clamp(x, m.pick(-104.0, -746.0), m.pick(89.0, 710.0)))
    return m.scale(m.exp_near_zero(r, tail), n)


def exp2(m: Kit, x: Value) -> Value:
    """2**k exp(f ln2) for x = k + f."""
    x = m.clamp(x, m.pick(-151.0, -1076.0), m.pick(128.0, 1024.0))
    return _exp2(m, x, 0.0)


def _exp2(m: Kit, x: Value, tail: Value | float) -> Value:
    """2**(x + tail); `tail` may be much larger than the rounding error of x."""
    ln2, ln2_tail = m["LN2"]
    shifted = x + m.format.magic
    fraction = x - (shifted - m.format.magic)
    product = fraction * ln2
    rest = m.fma(fraction, ln2, -product) + m.fma(fraction, ln2_tail, tail * ln2)
    r = product + rest
    return m.scale(m.exp_near_zero(r, (product - r) + rest), m.to_bits(shifted))


def expm1(m: Kit, x: Value) -> Value:
    """2**k (exp(r) - 1) + (2**k - 1) for x = k ln2 + r."""
    quarter, _ = m.quarter_expm1(m.clamp(x, m.pick(-20.0, -40.0), m.pick(89.0, 710.0)))
    return m.near_identity(x, quarter * 4.0)


def sinh(m: Kit, x: Value) -> Value:
    """(e + e / (e + 1)) / 2 for e = exp(|x|) - 1."""
    quarter, error = m.quarter_expm1(m.clamp(m.abs(x), 0.0, m.pick(89.5, 710.6)))
    twice = quarter + quarter
    return m.near_identity(x, m.copysign(twice + (quarter / (twice + 0.5) + 2.0 * error), x))


def cosh(m: Kit, x: Value) -> Value:
    """q + 1 / (4 q) for q = exp(|x|) / 2."""
    n, r, tail = m.reduce_exp(m.clamp(m.abs(x), 0.0, m.pick(89.5, 710.6)))
    quarter = m.exp_near_zero(r, tail) * m.power_of_two(n - 2)
    return quarter + quarter + 0.125 / quarter


def tanh(m: Kit, x: Value) -> Value:
    """e / (e + 2) for e = exp(2 |x|) - 1."""
    quarter, error = m.quarter_expm1(m.clamp(m.abs(x + x), 0.0, m.pick(20.0, 40.0)))
    above, below = m.where(quarter > 0.5, quarter, 0.5), m.where(quarter > 0.5, 0.5, quarter)
    total = quarter + 0.5
    size = m.divide(quarter, error, total, (above - total) + below + error)
    return m.near_identity(x, m.copysign(size, x))


def sigmoid(m: Kit, x: Value) -> Value:
    """1 / (1 + e) or e / (1 + e) for e = exp(-|x|), so that neither overflows."""
    decay = exp(m, -m.abs(x))
    total = decay + 1.0
    return m.divide(m.where(x < 0.0, decay, 1.0), 0.0, total, (1.0 - total) + decay)


def softplus(m: Kit, x: Value) -> Value:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|))."""
    decay = exp(m, -m.abs(x))
    return decay + (m.log_tail(decay, "LOG1P") + m.where(x < 0.0, 0.0, x))


def log(m: Kit, x: Value) -> Value:
    """k ln2 + log(1 + f) for x = 2**k (1 + f)."""
    k, f = m.split_log(x)
    ln2, ln2_tail = m["LN2"]
    return m.log_domain(x, m.fma(k, ln2, f + m.fma(k, ln2_tail, m.log_tail(f))))


def log1p(m: Kit, x: Value) -> Value:
    """log(1 + x), with what the sum rounds off put back."""
    return m.copysign(m.log_domain(x + 1.0, _log1p(m, x)), x)


def _log1p(m: Kit, x: Value) -> Value:
    """The logarithm of 1 + x for 0 < 1 + x < inf."""
    total = x + 1.0
    k, f = m.split_log(total)
    # The part of x that the sum above rounded off (Knuth's two-sum); exact to begin with where k is 0.
    back = total - 1.0
    lost = (1.0 - (total - back)) + (x - back)
    near = k.same(0.0)
    f = m.where(near, x, f)
    correction = m.where(near, 0.0, lost / total)
    ln2, ln2_tail = m["LN2"]
    return m.fma(k, ln2, f + (m.fma(k, ln2_tail, m.log_tail(f)) + correction))


def log2(m: Kit, x: Value) -> Value:
    """k + log2(1 + f) for x = 2**k (1 + f)."""
    k, f = m.split_log(x)
    return m.log_domain(x, k + _scaled_log(m, f, m["LOG2E"]))


def log10(m: Kit, x: Value) -> Value:
    """k log10(2) + log10(1 + f) for x = 2**k (1 + f)."""
    k, f = m.split_log(x)
    step, step_tail = m["LOG10_2"]
    return m.log_domain(x, m.fma(k, step, m.fma(k, step_tail, _scaled_log(m, f, m["LOG10E"]))))


def _scaled_log(m: Kit, f: Value, unit: tuple[float, ...]) -> Value:
    """log(1 + f) times `unit`, a constant in two parts."""
    return m.fma(f, unit[0], m.fma(f, unit[1], m.log_tail(f) * unit[0]))


def sin(m: Kit, x: Value) -> Value:
    """+-sin(r) or +-cos(r) for |x| = k pi/2 + r, as k mod 4 says."""
    n, r = m.reduce_trig(x)
    odd = (n & 1).differs(0)
    size = m.where(odd, m.cos_near_zero(r), m.sin_near_zero(r))
    return m.flip_sign(size, (n << (m.format.bits - 2)) ^ m.to_bits(x))


def cos(m: Kit, x: Value) -> Value:
    """+-cos(r) or +-sin(r) for |x| = k pi/2 + r, as k mod 4 says."""
    n, r = m.reduce_trig(x)
    odd = (n & 1).differs(0)
    size = m.where(odd, m.sin_near_zero(r), m.cos_near_zero(r))
    return m.flip_sign(size, (n + 1) << (m.format.bits - 2))


def tan(m: Kit, x: Value) -> Value:
    """tan(r) or -1 / tan(r) for |x| = k pi/2 + r, as k mod 2 says."""
    n, r, tail = m.reduce_trig_pair(x)
    odd = (n & 1).differs(0)
    z = r * r
    rest = m.fma(r * z, m.table("TAN", z), m.fma(tail, z, tail))
    t = r + rest
    cotangent = m.divide(m.number(1.0), 0.0, t, (r - t) + rest)
    return m.flip_sign(m.where(odd, -cotangent, t), m.to_bits(x))


def atan(m: Kit, x: Value) -> Value:
    """atan(t) plus 0, pi/4 or pi/2, whichever makes |t| smallest."""
    a = m.abs(x)
    middle, far = a > math.tan(math.pi / 8), a > math.tan(3 * math.pi / 8)
    above = m.where(far, -1.0, m.where(middle, a - 1.0, a))
    below = m.where(far, a, m.where(middle, a + 1.0, 1.0))
    t = above / below
    z = t * t
    half_pi, half_pi_tail, _ = m["PI_2"]
    base = m.where(far, half_pi, m.where(middle, half_pi / 2, 0.0))
    base_tail = m.where(far, half_pi_tail, m.where(middle, half_pi_tail / 2, 0.0))
    return m.copysign(base + (t + m.fma(t * z, m.table("ATAN", z), base_tail)), x)


def _asin(m: Kit, x: Value) -> tuple[Value, Value, Value]:
    """Whether |x| > 1/2, and then asin(sqrt((1 - |x|) / 2)), else asin(|x|), as a sum."""
    a = m.abs(x)
    outer = a > 0.5
    z = m.where(outer, (1.0 - a) * 0.5, a * a)
    t = m.where(outer, m.sqrt(z), a)
    return outer, t, t * z * m.table("ASIN", z)


def asin(m: Kit, x: Value) -> Value:
    """asin(|x|), or pi/2 - 2 asin(sqrt((1 - |x|) / 2)) above 1/2."""
    outer, t, rest = _asin(m, x)
    half_pi, half_pi_tail, _ = m["PI_2"]
    complement = m.sum_of(half_pi, -2.0 * t, half_pi_tail - 2.0 * rest)
    return m.copysign(m.where(outer, complement, t + rest), x)


def acos(m: Kit, x: Value) -> Value:
    """pi/2 - asin(x), or 2 asin(sqrt((1 - x) / 2)) and its mirror image outside [-1/2, 1/2]."""
    outer, t, rest = _asin(m, x)
    half_pi, half_pi_tail, _ = m["PI_2"]
    angle = t + rest
    inner = half_pi - (m.copysign(angle, x) - half_pi_tail)
    twice = angle + angle
    return m.where(outer, m.where(x < 0.0, 2 * half_pi - (twice - 2 * half_pi_tail), twice), inner)


def erf(m: Kit, x: Value) -> Value:
    """1 - exp(-|x| p(|x|)): log(erfc) is smooth enough for one polynomial."""
    a = m.clamp(m.abs(x), 0.0, m.pick(3.93, 5.93))
    slope, slope_tail = m["ERF_SLOPE"]
    p = m.fma(a, m.table("ERF", a), slope)
    t = -a * p
    n, r, tail = m.reduce_exp(t)
    rest = m.fma(-a, slope_tail, tail + m.fma(-a, p, -t))
    grown = r + m.fma(r * r, m.table("EXP", r), rest)
    scale = m.power_of_two(n)
    return m.copysign(m.fma(grown, scale, scale - 1.0), x)


def pow(m: Kit, x: Value, y: Value) -> Value:
    """2**(y log2 |x|) with log2 in two parts, and then the many special cases of C."""
    a = m.abs(x)
    high, low = _log2_pair(m, a)
    high = m.where(a < INF, m.where(a.same(0.0), -INF, high), a)
    t = y * high
    bound = m.pick(160.0, 1100.0)
    tail = m.where(m.abs(t) < bound, m.fma(y, high, -t) + y * low, 0.0)
    size = _exp2(m, m.clamp(t, -bound, bound), tail)

    whole = m.rint(y).same(y)
    odd = whole & m.rint(y * 0.5).differs(y * 0.5)
    size = m.where(a.same(1.0) & y.same(y), 1.0, size)
    signed = m.where(odd, m.copysign(size, x), size)
    imaginary = (x < 0.0) & whole.flip() & (a < INF)
    result = m.where(imaginary, NAN, signed)
    return m.where(x.same(1.0) | y.same(0.0), 1.0, result)


def _log2_pair(m: Kit, x: Value) -> tuple[Value, Value]:
    """log2(x) as an unevaluated sum good for about 1.2 times the digits of the format."""
    k, f = m.split_log(x)
    # s = f / (2 + f)
    d = f + 2.0
    inverse = 1.0 / d
    s = f * inverse
    s_tail = (m.fma(-s, d, f) - s * (f - (d - 2.0))) * inverse
    z = s * s
    z_tail = m.fma(s, s, -z) + 2.0 * s * s_tail
    # log(1 + f) = 2 s (1 + u),  u = z (1/3 + z p(z))
    third, third_tail = m["THIRD"]
    rest = z * m.table("LOG_TAIL", z)
    c = rest + third
    c_tail = (third - c) + rest + third_tail
    u = z * c
    u_tail = m.fma(z, c, -u) + (z * c_tail + z_tail * c)
    unit, unit_tail = (2 * part for part in m["LOG2E"])
    w = s * unit
    w_tail = m.fma(s, unit, -w) + (s_tail * unit + s * unit_tail)
    g = w * u
    g_tail = m.fma(w, u, -g) + (w * u_tail + w_tail * u)
    h = w + g
    h_tail = (w - h) + g + (g_tail + w_tail)
    high = k + h
    return high, (k - high) + h + h_tail


KERNELS: dict[str, Callable[..., Value]] = {
    kernel.__name__: kernel
    for kernel in (
        sqrt, rsqrt, exp, exp2, expm1, sinh, cosh, tanh, sigmoid, softplus, log, log1p, log2, log10,
        sin, cos, tan, asin, acos, atan, erf, pow,
    )
}  # fmt: skip
