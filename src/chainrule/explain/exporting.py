"""A function, or a derivative of it, as a file that needs neither chainrule nor anything else: Python, NumPy, or C.

The function runs once on traced arrays; what it did is simplified as for compiling, and written out with the names that
its variables have.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from .. import func
from ..arrays.traced import Traced, bare
from ..compiler.capture import Capture, capture
from ..compiler.captured import Plain
from ..compiler.environment import Environment
from ..compiler.program import Equation, Program, Var
from ..compiler.simplify import simplify
from ..func import tree
from ..tensor import Tensor, wrap
from .names import Names, by_position, required, watched

Language = Literal["python", "c"]
LANGUAGES: Final = ("python", "c")
MAX_CONSTANTS: Final = 10_000  # numbers written out
_WHOLE: Final = ("gradient", "jacobian", "hessian")


class Source(str):
    """The text of an exported file."""

    def save(self, path: str | Path) -> Path:
        """Write it to a file; returns its path."""
        Path(path).write_text(self, encoding="utf-8")
        return Path(path)


@dataclass(frozen=True)
class Task:
    """What is to be written: a program with names, what to call it, and what it is."""

    program: Program
    title: str  # of the function
    arguments: list[str]
    results: list[str]
    names: dict[Var, str]
    about: str


def export(
    f: Callable[..., Any], *, derivative: int | str | Sequence[str] = 1, language: Language = "python",
    name: str | None = None, **shapes: tuple[int, ...],
) -> Source:  # fmt: skip
    """``f``, or a derivative of it, written out as a file of its own in Python or C, in double precision.

    ``shapes`` are those of arguments that are no numbers; with ``v=(3,)`` v has three entries.  Arguments with defaults
    keep them; a module's are those of its ``forward``.  Of numbers only, Python needs its ``math``; of arrays, NumPy.  C
    needs its mathematical library; arrays are pointers, of the fixed lengths that the comment tells, to entries in C's
    order.

    ``derivative``: 0 for ``f`` itself; n for the n-th derivative by its only argument; 1 or "gradient" for the gradient
    in all arguments; "jacobian" or "hessian"; or the names of numbers to differentiate by, each in turn.
    ``name`` is that of the function written, by default made from ``f``'s.

    The text is the same each time.  What ``f`` does is what it did once: a branch on a value is an error.

    Raises ValueError for a derivative that does not suit the arguments and for what has no form in that language, and
    RuntimeError for a function whose program depends on values, or that writes, prints or draws random numbers.

    >>> import chainrule as torch
    >>> from chainrule.explain import export
    >>> def f(x):
    ...     return torch.sin(x) * x**2
    >>> print(export(f))
    # The derivative of f(x) in x, written by chainrule.
    # Takes numbers, returns a number.
    from math import cos, sin
    <BLANKLINE>
    <BLANKLINE>
    def df_dx(x):
        return 2*x*sin(x) + x**2*cos(x)
    <BLANKLINE>
    """
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(map(repr, LANGUAGES))}, got {language!r}")
    if name is not None and not _PLAIN.match(name):
        raise ValueError(f"name must be a name of ASCII letters, digits and _, got {name!r}")
    arguments = _arguments(f)
    if unknown := sorted(set(shapes) - set(arguments)):
        raise ValueError(f"{', '.join(unknown)}: no such argument; the function takes {', '.join(arguments)}")
    sizes = [tuple(shapes.get(a, ())) for a in arguments]
    wanted = _derivative(f, arguments, sizes, derivative)
    task = _traced(f, wanted, arguments, sizes, name)
    if language == "c":
        from .in_c import written
    else:
        from .in_python import written
    return Source(written(task))


@dataclass(frozen=True)
class _Wanted:
    """A derivative: how to compute it, what to call it and its parts, and what it is in words."""

    compute: Callable[..., Any]
    title: str
    results: list[str]
    words: str


def _arguments(f: Callable[..., Any]) -> list[str]:
    names = [p.name for p in required(f)]
    if not names:
        raise ValueError("the function takes no argument that is not given by default")
    return names


def _derivative(
    f: Callable[..., Any], names: list[str], sizes: list[tuple[int, ...]], derivative: int | str | Sequence[str]
) -> _Wanted:
    own, f = _title(f), by_position(f)
    call = f"{own}({', '.join(names)})"
    every = tuple(range(len(names))) if len(names) > 1 else 0
    if derivative == 0:
        return _Wanted(f, own, [own], call)
    alone = len(names) == 1 and not sizes[0]
    if isinstance(derivative, int) and (derivative > 1 or (derivative == 1 and alone)):
        if len(names) > 1 or sizes[0]:
            raise ValueError(
                f"derivative={derivative} is for a function of one number: use 'hessian', or name arguments"
            )
        derivative = (names[0],) * derivative
    if isinstance(derivative, str) and derivative in names:
        derivative = (derivative,)
    if isinstance(derivative, (list, tuple)):
        return _mixed(f, own, call, names, sizes, derivative)
    kind = "gradient" if derivative == 1 else str(derivative)
    if kind not in _WHOLE:
        raise ValueError(f"derivative must be a number, names of arguments, or one of {', '.join(map(repr, _WHOLE))}")
    second = func.hessian if any(sizes) else _second  # of numbers one by one, without arrays
    transform: Any = {"gradient": func.grad, "jacobian": func.jacrev, "hessian": second}[kind]
    pairs = [(a, b) for a in names for b in names] if kind == "hessian" else [(a,) for a in names]
    parts = [f"d2_{'_'.join(p)}" if kind == "hessian" else f"d_{p[0]}" for p in pairs]
    return _Wanted(transform(f, every), f"{own}_{kind}", parts, f"the {kind} of {call} in {_listed(names)}")


def _second(f: Callable[..., Any], places: int | tuple[int, ...]) -> Callable[..., Any]:
    """The second derivatives of a function of numbers, by each pair."""
    each = (places,) if isinstance(places, int) else places
    slopes = [func.grad(func.grad(f, i), j) for i in each for j in each]
    return lambda *args: [slope(*args) for slope in slopes]


def _mixed(
    f: Callable[..., Any], own: str, call: str, names: list[str], sizes: list[tuple[int, ...]], by: Sequence[str]
) -> _Wanted:
    compute = f
    for a in by:
        if a not in names or sizes[names.index(a)]:
            raise ValueError(f"{a!r} is no argument that is a number: there are {', '.join(names)}")
        compute = func.grad(compute, names.index(a))
    n = len(by)
    counted = "_".join(f"d{a}{by.count(a) if by.count(a) > 1 else ''}" for a in dict.fromkeys(by))
    title = f"d{n if n > 1 else ''}{own}_{counted}"
    ordinal = {1: "", 2: "second ", 3: "third "}.get(n, f"{n}th ")
    return _Wanted(compute, title, [title], f"the {ordinal}derivative of {call} in {_listed(list(dict.fromkeys(by)))}")


def _title(f: Callable[..., Any]) -> str:
    name = getattr(f, "__name__", type(f).__name__.lower())
    return name if name.isidentifier() else "f"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# --- the program ---


def _traced(
    f: Callable[..., Any], wanted: _Wanted, arguments: list[str], sizes: list[tuple[int, ...]], name: str | None
) -> Task:
    given = [wrap(_example(s)) for s in sizes]
    locals_: list[tuple[Var, str]] = []

    def run(*args: Any) -> list[Any]:
        names = Names()
        out = watched(f, names, lambda: wanted.compute(*args))
        leaves, _ = tree.flatten(out)
        for thing, called in names.items():
            inner = _inner(thing)
            if isinstance(inner, Traced) and called.isidentifier():
                locals_.append((inner.var, called))
        return [y.detach().clone() if isinstance(y, Tensor) else y for y in leaves]

    environment = Environment(run, tuple(given), {})
    found = {id(e.tensor): e for e in environment.tensors.values()}
    captured = capture(run, tuple(given), {}, [e.tensor for e in found.values()], True, _Doubling)
    if captured.writes or captured.grads or captured.draws:
        raise RuntimeError("it writes to tensors, or draws random numbers, which a file of formulas cannot do")
    traced, wide = _doubled(captured.program)
    inputs: list[Var] = []
    kept: dict[Var, np.ndarray[Any, Any]] = dict(traced.constants)
    places = {id(t): v for t, v in zip(captured.tensors, traced.inputs, strict=True)}
    for t in given:
        inputs.append(places.pop(id(t)) if id(t) in places else Var(t._shape, np.dtype(float)))
    kept |= {places[id(t)]: _double(np.asarray(t._a)) for t in captured.tensors if id(t) in places}
    outputs = [r.value if isinstance(r, Plain) else traced.outputs[r.index] for r in captured.results]
    known = {wide[v]: called for v, called in locals_ if v in wide}
    extra = [v for v in known if v in {o for e in traced.equations for o in e.outs}]
    program = simplify(Program(inputs, kept, traced.equations, [*outputs, *extra]))
    names = dict(zip(program.inputs, arguments, strict=True))
    for v, now in zip(extra, program.outputs[len(outputs) :], strict=True):
        if isinstance(now, Var) and now not in names and known[v] not in names.values():
            names[now] = known[v]
    program = _bare(program.restricted(program.inputs, program.outputs[: len(outputs)]))
    program = program.restricted(program.inputs, program.outputs)
    numbers = sum(a.size for a in program.constants.values() if not _uniform(a))
    if numbers > MAX_CONSTANTS:
        raise ValueError(f"{numbers} constants are too many to be written out; the limit is {MAX_CONSTANTS}")
    results = wanted.results if len(wanted.results) == len(outputs) else [f"out{i + 1}" for i in range(len(outputs))]
    return Task(program, name or wanted.title, arguments, results, names, wanted.words)


def _example(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Numbers to run on, in the domain of most functions: square matrices are positive definite."""
    a = np.linspace(0.3, 0.7, math.prod(shape)).reshape(shape)
    return a + 2 * shape[-1] * np.eye(shape[-1]) if len(shape) == 2 and shape[0] == shape[1] else a


class _Doubling(Capture):
    """A capture in which float32 tensors from outside are float64."""

    def _input(self, t: Tensor, a: Any) -> Traced:
        return super()._input(t, _double(a))


def _double(a: Any) -> Any:
    return a.astype(np.float64) if a.dtype.kind == "f" else a


def _doubled(program: Program) -> tuple[Program, dict[Var, Var]]:
    """The program in double precision, and its variables by those of the given one."""
    now: dict[Var, Var] = {}

    def of(a: Any) -> Any:
        if not isinstance(a, Var):
            return a
        if a not in now:
            now[a] = Var(a.shape, np.dtype(np.float64) if a.dtype.kind == "f" else a.dtype)
        return now[a]

    constants = {of(v): _double(a) for v, a in program.constants.items()}
    inputs = [of(v) for v in program.inputs]
    equations = []
    for eq in program.equations:
        params = {
            k: np.dtype(np.float64) if k == "dtype" and np.dtype(p).kind == "f" else p for k, p in eq.params.items()
        }
        equations.append(Equation(eq.prim, tuple(map(of, eq.args)), params, tuple(map(of, eq.outs))))
    return Program(inputs, constants, equations, [of(a) for a in program.outputs]), now


def _bare(program: Program) -> Program:
    """The program without equations that change nothing."""
    same: dict[Any, Any] = {}
    equations = []
    for eq in program.equations:
        args = tuple(same.get(a, a) if isinstance(a, Var) else a for a in eq.args)
        if _idle(eq):
            same[eq.out] = args[0]
        else:
            equations.append(Equation(eq.prim, args, eq.params, eq.outs))
    outputs = [same.get(a, a) if isinstance(a, Var) else a for a in program.outputs]
    return Program(program.inputs, program.constants, equations, outputs)


def _idle(eq: Equation) -> bool:
    if eq.name in ("Clone", "Contiguous") or (eq.name == "ToCopy" and eq.args[0].dtype == eq.out.dtype):
        return True
    whole = all(k is Ellipsis or (isinstance(k, slice) and k == slice(None)) for k in eq.params.get("key", (None,)))
    moved = eq.name in ("Reshape", "Expand") or (eq.name in ("GetItem", "PutAdd") and whole)
    return moved and isinstance(eq.args[0], Var) and eq.args[0].shape == eq.out.shape


def _inner(thing: Any) -> Any:
    while isinstance(thing, Tensor):
        thing = bare(thing._a)
    return thing


def _uniform(a: np.ndarray[Any, Any]) -> bool:
    return bool(a.size) and bool((a == a.flat[0]).all())


# --- formula ---


def formula(f: Callable[..., Any], *, derivative: int | str | Sequence[str] = 0, **shapes: tuple[int, ...]) -> Any:
    """The formula of what ``f`` computes, or of a derivative of it, as SymPy's simplified expression.

    ``shapes`` are as in :func:`export`; ``derivative`` is an order, of a function of one number, or names of arguments.

    Raises TypeError where ``f`` branches on a value, and AttributeError for an operation without a symbolic form.

    >>> import chainrule as torch
    >>> from chainrule.explain import formula
    >>> formula(lambda x: torch.log(x**2 + 1), derivative=1)
    2*x/(x**2 + 1)
    """
    from .conversion import to_sympy
    from .formulas import simplified

    arguments = _arguments(f)
    by = (arguments[0],) * derivative if isinstance(derivative, int) else (
        (derivative,) if isinstance(derivative, str) else tuple(derivative)
    )  # fmt: skip
    sizes = [tuple(shapes.get(a, ())) for a in arguments]
    if isinstance(derivative, int) and derivative and (len(arguments) > 1 or sizes[0]):
        raise ValueError(
            f"derivative={derivative} is for a function of one number: name the arguments to differentiate by"
        )
    if by:
        wanted = _mixed(by_position(f), "f", "f", arguments, sizes, by).compute
        found = to_sympy(_named(wanted, arguments), **shapes)
    else:
        found = to_sympy(f, **shapes)
    if isinstance(found, np.ndarray):
        return np.vectorize(simplified, otypes=[object])(found)
    return simplified(found)


def _named(f: Callable[..., Any], arguments: list[str]) -> Callable[..., Any]:
    """``f`` with a signature, from which names are taken."""

    def function(*args: Any) -> Any:
        return f(*args)

    parameters = [inspect.Parameter(a, inspect.Parameter.POSITIONAL_ONLY) for a in arguments]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def titled(task: Task) -> str:
    """What is written, as the beginning of a sentence."""
    return f"T{task.about[1:]}" if task.about.startswith("the ") else task.about


_PLAIN: Final = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


def plain(name: str, taken: set[str]) -> str:
    """A name for a variable that is ASCII, and none of those ``taken``, to which it is added."""
    name = name if _PLAIN.match(name) else "".join(c if c.isascii() and c.isalnum() else "_" for c in name) or "x"
    while name in taken or name[0].isdigit():
        name = f"{name}_" if not name[0].isdigit() else f"x{name}"
    taken.add(name)
    return name


__all__ = ["Source", "export", "formula"]
