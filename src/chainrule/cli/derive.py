"""``chainrule derive``: the derivatives of a formula at a point, with the check that they are right."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..explain.expression import Expression, ExpressionError
from ..explain.parsing import parse, parse_assignments
from . import Parser, say
from .colour import paint

if TYPE_CHECKING:
    from .partials import Orders, Partial

EPILOG: Final = """\
examples:
  chainrule derive "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5" --at x=2
  chainrule derive "u**3 + v**2 + 4*u*v" --at u=3 v=4 --plot f.png
  chainrule derive "exp(-x^2)*sin(x)" --at x=pi/4 --order 6 --json

The exit status is 0; 1 if a finite difference contradicts a derivative; 2 for what cannot be read or differentiated.
"""
MAX_ORDER: Final = 20  # of one variable, where a Taylor series gives all orders in one pass
MAX_MIXED_ORDER: Final = 8  # of several, where each order makes the graph some three times larger
MAX_PARTIALS: Final = 200
MAX_WORK: Final = 3_000_000  # operations on the graphs of all orders, of several variables: about 4 s


class NoAnswerError(Exception):
    """Why there is no answer, in one line."""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    parser = Parser(
        prog="chainrule derive",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        description="Differentiate a formula at a point, in float64, and check it with finite differences.",
    )
    parser.add_argument("formula", metavar="FORMULA", help='what to differentiate, such as "x**2*sin(y)"')
    parser.add_argument(
        "--at", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help="the point; x=2 y=pi/4"
    )
    parser.add_argument("--order", type=int, default=1, metavar="N", help="all derivatives up to this order (1)")
    parser.add_argument("--plot", metavar="FILE", help="draw the function and its derivatives around the point")
    parser.add_argument("--json", action="store_true", help="print JSON, with every digit")
    chosen = parser.parse_args([_as_operand(word) for word in argv])
    try:
        formula, at = parse(chosen.formula.lstrip()), parse_assignments(chosen.at)
        _check_request(formula, at, chosen.order)
        value, found = _derive(formula, at, chosen.order)
        if chosen.plot:
            from .picture import draw

            say(f"saved {draw(formula, at, chosen.order, chosen.plot)}")
    except ExpressionError as error:
        parser.refuse(error)
    except (NoAnswerError, OSError, ImportError) as error:
        parser.error(str(error))
    print(_as_json(formula, at, value, found) if chosen.json else _as_text(formula, at, value, found))
    return int(any(partial.check.verdict == "differs" for partial in found))


def _as_operand(word: str) -> str:
    """A formula such as -x**2 with a space before it, without which it would be read as an option."""
    return f" {word}" if word[:1] == "-" and word[:2] not in ("--", "-h") else word


def _check_request(formula: Expression, at: Mapping[str, float], order: int) -> None:
    missing = [name for name in formula.variables if name not in at]
    if missing:
        values = " ".join(f"{name}=2" for name in missing)
        raise NoAnswerError(f"no value for {', '.join(missing)}: add {values} to --at, with the values you mean")
    if not at:
        raise NoAnswerError("no variable to differentiate by: name one with --at, as in --at x=2")
    most = MAX_ORDER if len(at) == 1 else MAX_MIXED_ORDER
    if not 1 <= order <= most:
        raise NoAnswerError(
            f"--order {order} is out of range: from 1 to {most} for {len(at)} variable{'s'[: len(at) - 1]}"
        )
    if len(at) > 1 and formula.size * 4**order > MAX_WORK:
        fits = max(1, int(math.log(MAX_WORK / formula.size, 4)))
        raise NoAnswerError(
            f"--order {order} of a formula of {formula.size} operations would take too long: at most {fits}"
        )
    count = math.comb(len(at) + order, order) - 1
    if count > MAX_PARTIALS:
        raise NoAnswerError(
            f"--order {order} asks for {count} derivatives, and at most {MAX_PARTIALS} are computed: lower it"
        )


def _derive(formula: Expression, at: Mapping[str, float], order: int) -> tuple[float, list[Partial]]:
    from .partials import partials

    value, found = partials(formula, at, order)
    where = ", ".join(f"{name} = {number(x)}" for name, x in at.items())
    if not math.isfinite(value):
        raise NoAnswerError(f"the formula is {number(value)} at {where}: there is nothing to differentiate")
    for partial in found:
        if not math.isfinite(partial.value):
            raise NoAnswerError(
                f"{symbol(at, partial.orders)} is {number(partial.value)} at {where}, not a finite number"
            )
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
        sides = f"{number(check.left)} on the left, {number(check.right)} on the right"
        return f"{paint('a kink', 'caution')}: the slope is {sides}; the value given is PyTorch's convention"
    words = {
        "agrees": paint("agrees with", "good"), "differs": paint("DIFFERS from", "bad"),
        "unclear": paint("lost in rounding beside", "caution"),
    }[check.verdict]  # fmt: skip
    kind = "relative" if check.relative else "absolute"
    return f"{words} the finite difference {number(check.estimate)} ({kind} error {check.error:.1e})"


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
