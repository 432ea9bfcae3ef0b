"""``chainrule derive``: the derivatives of a formula at a point, with the check that they are right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..explain.expression import Expression, ExpressionError
from ..explain.parsing import parse, parse_assignments
from ..language import said
from . import Parser, no_value, say
from .colour import paint

if TYPE_CHECKING:
    from .partials import Orders, Partial

EXAMPLES: Final = """
  chainrule derive "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5" --at x=2
  chainrule derive "u**3 + v**2 + 4*u*v" --at u=3 v=4 --plot f.png
  chainrule derive "exp(-x^2)*sin(x)" --at x=pi/4 --order 6 --json

"""
MAX_ORDER: Final = 20  # of one variable, where a Taylor series gives all orders in one pass
MAX_MIXED_ORDER: Final = 8  # of several, where each order makes the graph some three times larger
MAX_PARTIALS: Final = 200
MAX_WORK: Final = 3_000_000  # operations on the graphs of all orders, of several variables: about 4 s


class NoAnswerError(Exception):
    """Why there is no answer, in one line."""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    ends = said("The exit status is 0; 1 if a finite difference contradicts a derivative; 2 for what cannot be read or "
                "differentiated.", "退出码是 0；有限差分与导数矛盾时是 1；读不懂或不能求导时是 2。")  # fmt: skip
    about = said("Differentiate a formula at a point, in float64, and check it with finite differences.",
                 "在一点用 float64 求公式的导数，并用有限差分验证。")  # fmt: skip
    parser = Parser("derive", about, said("examples:", "例子：") + EXAMPLES + ends)
    what = said('what to differentiate, such as "x**2*sin(y)"', '要求导的公式，例如 "x**2*sin(y)"')
    parser.add_argument("formula", metavar="FORMULA", help=what)
    parser.add_point()
    order = said("all derivatives up to this order (1)", "求到这一阶为止的所有导数（1）")
    parser.add_argument("--order", type=int, default=1, metavar="N", help=order)
    plot = said("draw the function and its derivatives around the point", "画出这一点附近的函数和导数")
    parser.add_argument("--plot", metavar="FILE", help=plot)
    parser.add_language()
    json_help = said("print JSON, with every digit", "输出 JSON，带全部数字")
    parser.add_argument("--json", action="store_true", help=json_help)
    chosen = parser.parse(argv)
    try:
        formula, at = parse(chosen.formula.lstrip()), parse_assignments(chosen.at)
        _check_request(formula, at, chosen.order)
        value, found = _derive(formula, at, chosen.order)
        if chosen.plot:
            from .picture import draw

            say(said("saved ", "已保存 ") + str(draw(formula, at, chosen.order, chosen.plot)))
    except ExpressionError as error:
        parser.refuse(error)
    except (NoAnswerError, OSError, ImportError) as error:
        parser.error(str(error))
    print(_as_json(formula, at, value, found) if chosen.json else _as_text(formula, at, value, found))
    return int(any(partial.check.verdict == "differs" for partial in found))


def _check_request(formula: Expression, at: Mapping[str, float], order: int) -> None:
    missing = [name for name in formula.variables if name not in at]
    if missing:
        raise NoAnswerError(no_value(missing))
    if not at:
        raise NoAnswerError(said("no variable to differentiate by: name one with --at, as in --at x=2",
                                 "没有可以求导的变量：请用 --at 给一个，例如 --at x=2"))  # fmt: skip
    most = MAX_ORDER if len(at) == 1 else MAX_MIXED_ORDER
    if not 1 <= order <= most:
        raise NoAnswerError(
            said("--order {order} is out of range: from 1 to {most} for {n} variable{s}",
                 "--order {order} 超出范围：{n} 个变量时从 1 到 {most}", order=order, most=most, n=len(at),
                 s="s"[: len(at) - 1])
        )  # fmt: skip
    if len(at) > 1 and formula.size * 4**order > MAX_WORK:
        fits = max(1, int(math.log(MAX_WORK / formula.size, 4)))
        raise NoAnswerError(
            said("--order {order} of a formula of {size} operations would take too long: at most {fits}",
                 "{size} 个运算的公式求到 --order {order} 太久：最多 {fits}", order=order, size=formula.size, fits=fits)
        )  # fmt: skip
    count = math.comb(len(at) + order, order) - 1
    if count > MAX_PARTIALS:
        raise NoAnswerError(
            said("--order {order} asks for {count} derivatives, and at most {most} are computed: lower it",
                 "--order {order} 要求 {count} 个导数，最多计算 {most} 个：请调低", order=order, count=count,
                 most=MAX_PARTIALS)
        )  # fmt: skip


def _derive(formula: Expression, at: Mapping[str, float], order: int) -> tuple[float, list[Partial]]:
    from .partials import partials

    value, found = partials(formula, at, order)
    where = ", ".join(f"{name} = {number(x)}" for name, x in at.items())
    if not math.isfinite(value):
        raise NoAnswerError(said("the formula is {y} at {where}: there is nothing to differentiate",
                                 "公式在 {where} 处是 {y}：不能求导", y=number(value), where=where))  # fmt: skip
    for partial in found:
        if not math.isfinite(partial.value):
            raise NoAnswerError(
                said("{d} is {value} at {where}, not a finite number", "{d} 在 {where} 处是 {value}，不是有限数",
                     d=symbol(at, partial.orders), value=number(partial.value), where=where)
            )  # fmt: skip
    return value, found


def number(x: float) -> str:
    """A float to twelve digits, which hides the last rounding errors: 233, not 233.00000000000003.

    >>> number(0.1 + 0.2), number(-0.0), number(1e20)
    ('0.3', '0', '1e+20')
    """
    return format(x + 0.0, ".12g")


def symbol(at: Mapping[str, Any], orders: Orders) -> str:
    """How a derivative is written: df/dx, d2f/dx2, d3f/du2dv."""
    powers = [(name, n) for name, n in zip(at, orders, strict=True) if n]
    total = sum(orders)
    below = "".join(f"d{name}{n if n > 1 else ''}" for name, n in powers)
    return f"d{total if total > 1 else ''}f/{below}"


def _as_text(formula: Expression, at: Mapping[str, float], value: float, found: Sequence[Partial]) -> str:
    lines = [f"f({', '.join(at)}) = {formula.unparse()}", *(f"{name} = {number(x)}" for name, x in at.items()), ""]
    rows = [("f", number(value), "")]
    rows += [(symbol(at, partial.orders), number(partial.value), _verdict(partial)) for partial in found]
    names, values = (max(len(row[i]) for row in rows) for i in (0, 1))
    lines += [f"{name:{names}} = {text:{values}}  {verdict}".rstrip() for name, text, verdict in rows]
    return "\n".join(lines)


def _verdict(partial: Partial) -> str:
    check = partial.check
    if check.verdict == "kink":
        return said(
            "{kink}: the slope is {left} on the left, {right} on the right; the value given is PyTorch's convention",
            "{kink}：左侧斜率 {left}，右侧 {right}；给出的值是 PyTorch 的约定", left=number(check.left),
            right=number(check.right), kink=paint(said("a kink", "不可导点"), "caution"),
        )  # fmt: skip
    words = {
        "agrees": paint(said("agrees with", "一致："), "good"), "differs": paint(said("DIFFERS from", "不一致："), "bad"),
        "unclear": paint(said("lost in rounding beside", "被舍入误差淹没："), "caution"),
    }[check.verdict]  # fmt: skip
    kind = said("relative", "相对") if check.relative else said("absolute", "绝对")
    return said("{words} the finite difference {estimate} ({kind} error {error:.1e})",
                "{words}有限差分 {estimate}（{kind}误差 {error:.1e}）", words=words, kind=kind,
                estimate=number(check.estimate), error=check.error)  # fmt: skip


def _as_json(formula: Expression, at: Mapping[str, float], value: float, found: Sequence[Partial]) -> str:
    derivatives = [
        {
            "name": symbol(at, partial.orders),
            "orders": dict(zip(at, partial.orders, strict=True)),
            "value": partial.value,
            "finite_difference": _finite(partial.check.estimate),
            "relative_error" if partial.check.relative else "absolute_error": _finite(partial.check.error),
            "verdict": partial.check.verdict,
        }
        for partial in found
    ]
    answer = {"formula": formula.unparse(), "at": dict(at), "value": value, "derivatives": derivatives}
    return json.dumps(answer, indent=2)


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None  # JSON has no nan
