"""Run: a program as one Python function over NumPy arrays."""

from __future__ import annotations

import functools
import itertools
import linecache
import re
from collections.abc import Callable
from typing import Any

from .diagonals import banded
from .driver import Driver
from .expand import expanded
from .memory import kept
from .native import available
from .plan import plan
from .program import Program
from .steps import Line
from .unroll import unroll

_TITLE = re.compile(r"(?:@\w+\n)?(?:def )?(\w+)")
MANY = 4  # steps from which small arrays are better unrolled


def define(text: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function that ``text`` defines; its lines show in tracebacks."""
    file = f"<chainrule {abs(hash(text)):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), names)
    return names[text[4 : text.index("(")]]  # type: ignore[no-any-return]


def maker(backend: str, fast: bool = False) -> Callable[..., Any]:
    """What makes runners, of a program and of the inputs that outputs are to be written to.

    ``fast``: kernels may order and join their arithmetic as is quickest.
    """
    if backend == "jax":
        from .in_jax import JaxRunner

        return JaxRunner
    return functools.partial(Runner, fuse=backend == "native" and available(), fast=fast)


class Runner:
    """``runner.run(*arrays)`` gives a program's outputs, as a tuple.

    ``onto`` says which outputs are to be written to which inputs: those in ``written`` are, and None is given instead.
    """

    @kept()
    def __init__(self, program: Program, onto: dict[int, int] | None = None, *, fuse: bool, fast: bool = False) -> None:
        program = expanded(program) if fuse else program
        self.steps = plan(program, fuse)
        straight = all(isinstance(step, Line) for step in self.steps)
        if fuse and not straight and len(self.steps) >= MANY and (small := unroll(program)) is not None:
            line, constants = small
            self.steps = [line]
            program = Program(program.inputs, constants, line.equations, program.outputs)
        elif fuse and (sparse := banded(program)) is not None:
            program, self.steps = sparse, plan(sparse, fuse)
        self.program = program
        self.driver = driver = Driver(program, self.steps, onto, fast, fuse)
        self.steps = driver.steps
        self.written = {k for k, v in enumerate(program.outputs) if v in driver.onto}
        driver.write()
        self.text, self.body, self.results, self.names = driver.text(), driver.body, driver.results, driver.globals
        self.calls = driver.calls
        self.kernels, self.walks, self.shares = list(driver.table.calls.values()), driver.walks, driver.table.shares
        self.run = define(self.text, {**driver.globals})

    @property
    def source(self) -> str:
        """The kernels, which of them each walk calls, and the function around these walks."""
        kernels, names = [], {}
        for i, text in enumerate(dict.fromkeys(k.text for k in self.kernels)):
            title = _TITLE.match(text)
            assert title is not None
            names[text] = f"{title[1]}{i}"
            kernels.append(f"{text[: title.end()]}{i}{text[title.end() :]}")
        walks = []
        for gate, calls in self.walks().items():
            runs = [(name, len([*found])) for name, found in itertools.groupby(names[c.text] for c in calls)]
            walks.append(f"# {gate}: {', '.join(f'{n} × {k}' if k > 1 else n for n, k in runs)}")
        return "\n\n\n".join([*kernels, "\n".join([*walks, self.text])])
