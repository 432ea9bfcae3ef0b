"""What the commands are asked about: a formula, or a function in a file; and the point."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..creation import tensor
from ..dtypes import float64
from ..errors import MissingExtra
from ..explain.expression import Expression, ExpressionError
from ..explain.names import by_position, required
from ..explain.parsing import parse, parse_assignments
from ..language import LANGUAGES, set_language
from . import Parser
from .alias import torch_is_chainrule


class TargetError(Exception):
    """Why there is nothing to work on, in one line."""


class Target(NamedTuple):
    """A function, what it calls its arguments, and the point it is asked about."""

    function: Callable[..., Any]
    names: tuple[str, ...]
    at: dict[str, float]

    @property
    def point(self) -> list[float]:
        """The values of all arguments in order; TargetError unless there is a name, and every one has a value."""
        if not self.names:
            raise TargetError("nothing to differentiate by: it has no variable")
        if missing := [n for n in self.names if n not in self.at]:
            values = " ".join(f"{n}=2" for n in missing)
            raise TargetError(f"no value for {', '.join(missing)}: add {values} to --at, with the values you mean")
        if extra := [n for n in self.at if n not in self.names]:
            raise TargetError(f"--at names {', '.join(extra)}, but the variables are {', '.join(self.names)}")
        return [self.at[n] for n in self.names]


def parser(name: str, description: str, epilog: str, *, point: bool = True, without: str = "") -> Parser:
    """A parser with what all of these commands take; ``without`` is what they do without a formula, if they do."""
    made = Parser(
        prog=f"chainrule {name}", allow_abbrev=False, description=description, epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    what = 'a formula such as "x**2*sin(y)", or a function'
    made.add_argument(
        "what", metavar="FORMULA|FILE.py:NAME", nargs="?" if without else None,
        help=f"{what}; without it, {without}" if without else what,
    )  # fmt: skip
    if point:
        made.add_argument(
            "--at", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help="the point; x=2 y=pi/4"
        )
    made.add_argument("--lang", choices=LANGUAGES, help="the language (the locale's)")
    return made


def run(made: Parser, argv: Sequence[str], work: Callable[[argparse.Namespace, Target], int]) -> int:
    """Parse, read the target, do the work; whatever is wrong ends in one line and status 2."""
    chosen = made.parse_args([f" {w}" if w[:1] == "-" and w[:2] not in ("--", "-h", "-o") else w for w in argv])
    set_language(chosen.lang)
    try:
        return work(chosen, read((chosen.what or "0").strip(), getattr(chosen, "at", [])))
    except ExpressionError as error:
        made.refuse(error)
    except (TargetError, MissingExtra, OSError, ValueError, TypeError, RuntimeError) as error:
        made.error("\n".join([str(error), *getattr(error, "__notes__", ())]))
    finally:
        set_language(None)


def read(what: str, assignments: Sequence[str]) -> Target:
    """The function that ``what`` names, with the values of ``assignments`` for its arguments."""
    at = parse_assignments(assignments)
    file, colon, name = what.rpartition(":")
    if colon and file.endswith(".py"):
        function = _from_file(Path(file), name)
        return Target(by_position(function, at), tuple(p.name for p in required(function, at)), at)
    formula = parse(what)
    from .partials import functions

    names = formula.variables or tuple(at) or ("x",)  # a constant is a function of anything

    def evaluated(*values: Any) -> Any:
        return value(formula, names, values, functions, lambda number: tensor(number, dtype=float64))

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names]
    evaluated.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # whence names are taken
    return Target(evaluated, names, at)


def value(
    formula: Expression, names: Sequence[str], values: Sequence[Any], functions: Any, lift: Callable[[float], Any]
) -> Any:
    """What a formula is for some values, which it depends on even if it is constant."""
    y = formula.evaluate(dict(zip(names, values, strict=True)), functions, lift)
    return y if formula.variables else sum((0 * v for v in values), y)


def _from_file(path: Path, name: str) -> Callable[..., Any]:
    if not path.is_file():
        raise TargetError(f"cannot open {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with torch_is_chainrule():
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        have = ", ".join(n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == path.stem)
        raise TargetError(f"{path} has no function {name!r}" + (f": it has {have}" if have else ""))
    found: Callable[..., Any] = function
    return found
