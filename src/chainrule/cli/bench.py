"""``chainrule bench``: how long derivatives take here, run as they are, compiled, and by PyTorch."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

import chainrule

from ..explain.names import by_position
from ..explain.parsing import parse
from ..explain.text import table as aligned
from ..language import said
from .target import Target, TargetError, parser, run, value

EXAMPLES: Final = """\
  chainrule bench
  chainrule bench "sin(x)*exp(-x^2)" --at x=1.5
  chainrule bench model.py:loss --at w=0.5 b=1 --json
"""
ROUNDS: Final = 15
MOST: Final = 60.0  # seconds, of --seconds


class Program(NamedTuple):
    """A function of a library's module and its arrays, and those."""

    name: str
    function: Callable[..., Any]
    arrays: tuple[Any, ...]


class Timing(NamedTuple):
    """How long one way takes: the median of some rounds, and the quartiles; and its first call."""

    seconds: float
    quartiles: tuple[float, float]
    first: float


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    about = said("Time derivatives, beside PyTorch's if that is installed.", "测量求导用时；装有 PyTorch 时与它比较。")
    ends = said("Times the value and the gradient together: as it is, compiled, and by PyTorch if that is installed; in turn, so "
                "that all have\nthe same machine. A ratio above 1 says that PyTorch takes longer. The exit status is 0, or 2 for "
                "what cannot be timed.",
                "测量求值加求梯度的时间：直接运行、编译后运行，以及 PyTorch（若已安装）；轮流进行，条件相同。\n"
                "比值大于 1 表示 PyTorch 更慢。退出码是 0；不能测量时是 2。")  # fmt: skip
    made = parser("bench", about, EXAMPLES, ends, without=said("standard programs", "标准程序"))
    seconds = said("about how long to time each program (1)", "每个程序大约测多久（1）")
    made.add_argument("--seconds", type=float, default=1.0, metavar="S", help=seconds)
    made.add_argument("--json", action="store_true", help=said("print JSON, with quartiles", "输出 JSON，带四分位数"))
    return run(made, argv, _bench)


def _bench(chosen: argparse.Namespace, target: Target) -> int:
    if not 0.01 <= chosen.seconds <= MOST:
        raise TargetError(said("--seconds must be from 0.01 to {most:g}, not {s:g}",
                               "--seconds 应在 0.01 到 {most:g} 之间，不是 {s:g}",
                               most=MOST, s=chosen.seconds))  # fmt: skip
    programs = standard() if chosen.what is None else [_own(chosen, target)]
    torch = _pytorch()
    rows = []
    for program in programs:
        ways = {"chainrule": eager(chainrule, program), "compiled": compiled(program)}
        if torch is not None and not (found := _pytorch_can(torch, program)):
            ways["PyTorch"] = eager(torch, program)
        elif torch is not None:
            warnings.warn(f"PyTorch cannot run {program.name}: {found}", stacklevel=1)
        rows.append((program.name, timed(ways, chosen.seconds)))
    print(_as_json(rows, torch) if chosen.json else _as_text(rows, torch))
    return 0


# --- what is timed ---


def standard() -> list[Program]:
    """Programs from a few numbers to a small network."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    def polynomial(T: Any, x: Any) -> Any:
        return 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5

    def partials(T: Any, u: Any, v: Any) -> Any:
        return u**3 + v**2 + 4 * u * v

    def softmax(T: Any, a: Any) -> Any:
        return T.softmax(a, 0)[0]

    def waves(T: Any, x: Any) -> Any:
        return (T.sin(x) * T.exp(-x * x) + T.tanh(x)).sum()

    def network(T: Any, x: Any, w: Any, b: Any, v: Any) -> Any:
        return ((T.tanh(x @ w + b) @ v) ** 2).mean()

    def product(T: Any, a: Any, b: Any) -> Any:
        return (a @ b).sum()

    return [
        Program("polynomial of a number", polynomial, (np.float32(2),)),
        Program("two partial derivatives", partials, (np.float32(3), np.float32(4))),
        Program("softmax of 3", softmax, (normal(3),)),
        Program("waves, 1,000 entries", waves, (normal(1000),)),
        Program("waves, 100,000 entries", waves, (normal(100_000),)),
        Program("network, 64 × 32 × 32 × 1", network, (normal(64, 32), normal(32, 32), normal(32), normal(32, 1))),
        Program("matrix product, 256", product, (normal(256, 256), normal(256, 256))),
    ]


def _own(chosen: argparse.Namespace, target: Target) -> Program:
    """The user's formula, or function, in float64."""
    point = tuple(np.float64(v) for v in target.point)
    file, colon, name = chosen.what.strip().rpartition(":")
    if colon and file.endswith(".py"):
        return Program(chosen.what.strip(), _of_file(file, name, target), point)
    formula = parse(chosen.what)

    def function(T: Any, *values: Any) -> Any:
        return value(formula, target.names, values, _Functions(T), lambda number: T.tensor(number, dtype=T.float64))

    return Program(formula.unparse(), function, point)


class _Functions:
    """A library's functions of a formula's names."""

    def __init__(self, T: Any) -> None:
        self.T = T

    def __getattr__(self, name: str) -> Any:
        return getattr(self.T if hasattr(self.T, name) else self.T.nn.functional, name)


def _of_file(file: str, name: str, target: Target) -> Callable[..., Any]:
    """The function of a file, which for PyTorch is read again with PyTorch's own ``torch``."""
    theirs: list[Any] = []

    def function(T: Any, *values: Any) -> Any:
        if T is chainrule:
            return target.function(*values)
        if not theirs:
            spec = importlib.util.spec_from_file_location("_bench_pytorch", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            theirs.append(by_position(getattr(module, name), target.at))
        return theirs[0](*values)

    return function


def eager(T: Any, program: Program) -> Callable[[], Any]:
    """A call that computes the value and its gradient, as a user would, with tensors made beforehand."""
    inputs = [T.tensor(a, requires_grad=True) for a in program.arrays]

    def call() -> Any:
        return T.autograd.grad(program.function(T, *inputs), inputs, allow_unused=True)

    return call


def compiled(program: Program) -> Callable[[], Any]:
    """The same by ``chainrule.compile``."""
    places = tuple(range(len(program.arrays)))

    def f(*values: Any) -> Any:
        return program.function(chainrule, *values)

    both = chainrule.compile(chainrule.func.grad_and_value(f, argnums=places), fullgraph=True)
    inputs = [chainrule.tensor(a) for a in program.arrays]

    def call() -> Any:
        return both(*inputs)

    return call


def _pytorch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


def _pytorch_can(torch: Any, program: Program) -> str:
    """Why PyTorch cannot run it; empty if it can."""
    try:
        eager(torch, program)()
    except Exception as error:
        return str(error).partition("\n")[0]
    return ""


# --- timing ---


def timed(ways: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Timing | str]:
    """How long each way takes, in turn, so that what else the machine does hits all; or why it does not run."""
    found: dict[str, Timing | str] = {}
    first, counts = {}, {}
    for name, call in ways.items():
        try:
            start = time.perf_counter()
            call()
            first[name] = time.perf_counter() - start
            start = time.perf_counter()
            call()
            once = time.perf_counter() - start
        except Exception as error:
            found[name] = str(error).partition("\n")[0]
            continue
        counts[name] = max(1, round(seconds / len(ways) / ROUNDS / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in counts}
    end = time.perf_counter() + 3 * seconds  # whatever the first calls made of it
    for done in range(ROUNDS):
        for name, n in counts.items():
            call = ways[name]
            start = time.perf_counter()
            for _ in range(n):
                call()
            times[name].append((time.perf_counter() - start) / n)
        if done >= 2 and time.perf_counter() > end:
            break
    for name, each in times.items():
        low, middle, high = statistics.quantiles(each, n=4)
        found[name] = Timing(middle, (low, high), first[name])
    return {name: found[name] for name in ways}


# --- words ---


def _ratio(row: dict[str, Timing | str], way: str) -> float | None:
    """How many times as long PyTorch takes."""
    theirs, ours = row.get("PyTorch"), row[way]
    return theirs.seconds / ours.seconds if isinstance(theirs, Timing) and isinstance(ours, Timing) else None


def _shown(seconds: float) -> str:
    unit, scale = next((u, s) for u, s in (("µs", 1e6), ("ms", 1e3), ("s", 1.0)) if seconds * s < 1000 or u == "s")
    return f"{seconds * scale:.3g} {unit}"


def _as_text(rows: Sequence[tuple[str, dict[str, Timing | str]]], torch: Any) -> str:
    head = [said("program", "程序"), "chainrule", said("compiled", "编译后"), said("first call", "首次调用")]
    if torch:
        head += ["PyTorch", said("ratio", "比值"), said("ratio, compiled", "比值，编译后")]
    table, notes = [head], []
    for name, row in rows:
        ours, quick = row["chainrule"], row["compiled"]
        cells = [name if len(name) <= 40 else f"{name[:37]}..."]
        cells += [_shown(t.seconds) if isinstance(t, Timing) else "-" for t in (ours, quick)]
        cells.append(_shown(quick.first) if isinstance(quick, Timing) else "-")
        if torch:
            theirs = row.get("PyTorch")
            cells.append(_shown(theirs.seconds) if isinstance(theirs, Timing) else "-")
            cells += ["-" if (r := _ratio(row, way)) is None else f"{r:.2g}" for way in ("chainrule", "compiled")]
        table.append(cells)
        notes += [f"{way} does not run {cells[0]}: {t}" for way, t in row.items() if isinstance(t, str)]
    lines = aligned(table, right=range(1, len(head)))
    about = said("value and gradient; medians; {n} cores; NumPy {v}", "求值加梯度；中位数；{n} 核；NumPy {v}",
                 n=os.cpu_count(), v=np.__version__)  # fmt: skip
    about += (
        said("; PyTorch {v}, eager; a ratio above 1: PyTorch takes longer", "；PyTorch {v}，即时模式；比值大于 1：PyTorch 更慢",
             v=torch.__version__)
        if torch
        else said("; PyTorch is not installed", "；没有安装 PyTorch")
    )  # fmt: skip
    return "\n".join([*lines, *notes, about])


def _as_json(rows: Sequence[tuple[str, dict[str, Timing | str]]], torch: Any) -> str:
    def timing(t: Timing | str) -> dict[str, Any]:
        if isinstance(t, str):
            return {"error": t}
        return {"seconds": t.seconds, "quartiles": t.quartiles, "first_call": t.first}

    programs = [
        {"program": name, **{way: timing(t) for way, t in row.items()},
         "pytorch_over_chainrule": _ratio(row, "chainrule"), "pytorch_over_compiled": _ratio(row, "compiled")}
        for name, row in rows
    ]  # fmt: skip
    about = {"chainrule": chainrule.__version__, "numpy": np.__version__, "python": platform.python_version(),
             "pytorch": None if torch is None else torch.__version__, "cores": os.cpu_count()}  # fmt: skip
    return json.dumps({"versions": about, "programs": programs}, indent=2)
