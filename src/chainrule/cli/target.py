"""What the commands are asked about: a formula, or a function in a file; and the point."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..creation import tensor
from ..dtypes import float64
from ..errors import MissingExtra
from ..explain.expression import Expression, ExpressionError
from ..explain.names import by_position, required
from ..explain.parsing import parse, parse_assignments
from ..language import said
from . import Parser, no_value
from .alias import torch_is_chainrule
from .traces import trim


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
            raise TargetError(said("nothing to differentiate by: it has no variable", "没有可以求导的变量"))
        if missing := [n for n in self.names if n not in self.at]:
            raise TargetError(no_value(missing))
        if extra := [n for n in self.at if n not in self.names]:
            raise TargetError(said("--at names {extra}, but the variables are {names}", "--at 里有 {extra}，而变量是 {names}",
                                   extra=", ".join(extra), names=", ".join(self.names)))  # fmt: skip
        return [self.at[n] for n in self.names]


def parser(name: str, about: str, examples: str, ends: str, *, without: str = "") -> Parser:
    """A parser with what all of these commands take; ``without`` is what they do without a formula, if they do."""
    made = Parser(name, about, f"{said('examples:', '例子：')}\n{examples}\n{ends}")
    what = said('a formula such as "x**2*sin(y)", or a function', '公式，例如 "x**2*sin(y)"，或一个函数')
    help = what + said("; without it, {w}", "；不写就是{w}", w=without) if without else what
    made.add_argument("what", metavar="FORMULA|FILE.py:NAME", nargs="?" if without else None, help=help)
    made.add_point()
    made.add_language()
    return made


def run(made: Parser, argv: Sequence[str], work: Callable[[argparse.Namespace, Target], int]) -> int:
    """Parse, read the target, do the work; what is wrong in the user's file is shown there, the rest in one line."""
    chosen = made.parse(argv)
    what = (chosen.what or "0").strip()
    try:
        return work(chosen, read(what, chosen.at))
    except ExpressionError as error:
        made.refuse(error)
    except Exception as error:
        if _in_file(error, what.rpartition(":")[0]):
            trim(error)
            made.exit(2, "".join(traceback.format_exception(error)))
        if not isinstance(error, (TargetError, MissingExtra, OSError, ValueError, TypeError, RuntimeError)):
            raise
        made.error("\n".join([str(error), *getattr(error, "__notes__", ())]))


def _in_file(error: Exception, file: str) -> bool:
    """Whether an error is from the lines of a file."""
    file = str(Path(file).absolute())
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return file in (*frames, error.filename if isinstance(error, SyntaxError) else None)


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
        raise TargetError(said("cannot open {path}", "打不开 {path}", path=path))
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
        raise TargetError(said("{path} has no function {name!r}", "{path} 里没有函数 {name!r}", path=path, name=name) + (
                          said(": it has {have}", "：有 {have}", have=have) if have else ""))  # fmt: skip
    found: Callable[..., Any] = function
    return found
