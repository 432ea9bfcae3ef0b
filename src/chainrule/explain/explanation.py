"""Explain a derivative: its formula, the chain rule step by step, evidence, and what may surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import errors
from ..autograd import enable_grad
from ..creation import tensor
from ..dtypes import float64
from ..errors import explained
from ..language import Language, known, said
from ..modes import Setting
from ..tensor import Tensor
from . import evidence as proof
from . import names as naming
from .evidence import Row
from .formulas import MAX_STEPS, Formulas, Local, formulas, have_sympy, local
from .refusals import tensor_result
from .surprises import Surprise, surprises
from .tape import Item, Tape, read, sweep

if TYPE_CHECKING:
    from .picture import Picture


@dataclass(frozen=True)
class Explanation:
    """How a derivative came about.  ``print`` it, show it in a notebook, or take it apart.

    ``tape`` has the values and gradients of every step, ``wanted`` the inputs whose derivatives are explained,
    ``formulas`` SymPy's expressions, ``evidence`` the same derivatives found in other ways, and ``surprises``
    what is worth knowing.
    """

    tape: Tape
    wanted: list[Item]
    formulas: Formulas
    locals: dict[Item, Local]
    evidence: list[Row]
    surprises: list[Surprise]
    language: Language

    def text(self, lang: Language | None = None) -> str:
        """As plain text, in the language it was asked for or another."""
        from .text import as_text

        return as_text(self, self.language if lang is None else known(lang))

    def html(self, lang: Language | None = None) -> str:
        """As HTML with MathML, complete in itself."""
        from .markup import as_html

        return as_html(self, self.language if lang is None else known(lang))

    def latex(self) -> str:
        """The formulas of the result and of its derivatives in LaTeX; empty if there are none."""
        from .markup import as_latex

        return as_latex(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything as lists, dictionaries, texts and numbers, as JSON has them."""
        from .markup import as_dict

        return as_dict(self)

    def graph(self, *, collapse: bool | None = None, values: bool = True, gradients: bool = True) -> Picture:
        """The picture of the graph, as :func:`chainrule.explain.graph` draws it."""
        from .picture import Picture

        return Picture(self, collapse=collapse, values=values, gradients=gradients)

    def derivative(self, name: str) -> Any:
        """The derivative by an input as numbers, an array of its shape; KeyError if there is no such input."""
        for item in self.tape.inputs:
            if item.name == name:
                return np.zeros(item.shape or ()) if item.arrived is None else np.asarray(item.arrived)
        raise KeyError(f"no input {name!r}: there are {', '.join(i.name for i in self.tape.inputs)}")

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_latex_(self) -> str | None:
        return f"$$\n{self.latex()}\n$$" if self.formulas.known else None


def explain(what: Any, /, *point: Any, wrt: Any = None, lang: Language | None = None, **named: Any) -> Explanation:
    """How the derivative of a result, or of a function at a point, comes about.

    ``what`` is a tensor with a history, or a function (a module too) with its arguments: numbers, which are taken
    in float64, arrays or tensors of any shape, or dictionaries, lists and tuples of tensors.  ``wrt`` chooses the inputs,
    or tensors computed on the way, whose derivatives are explained: a tensor or a name, or several; all inputs if it is
    None.  Of a result that is not a number the sum of the entries is differentiated.  No ``.grad`` is touched, and the
    graph is kept.

    Raises RuntimeError for a result without a history and for a graph that ``backward()`` has freed: explain first,
    or keep it by ``backward(retain_graph=True)``.  TypeError for complex numbers, for arguments none of which can have a
    derivative, and for ``what`` that is neither.

    >>> from chainrule.explain import explain
    >>> print(explain(lambda x: x**3 + 2 * x, 2.0, lang="en"))
    y = x**3 + 2*x
      = 12 at x = 2
    dy/dx = 3*x**2 + 2 = 14
    <BLANKLINE>
    The chain rule, from y back:
    step         value  local derivative        arrives  leaves
    y = t1 + t2     12  dy/dt1 = 1, dy/dt2 = 1        1  t1: 1, t2: 1
    t2 = 2*x         4  dt2/dx = 2                    1  x: 2
    t1 = x**3        8  dt1/dx = 3*x**2 = 12          1  x: 12
    Gathered in x: 2 + 12 = 14
    ...
    """
    language = known(lang)
    return _told(*_recorded(what, point, wrt, named), language, have_sympy())


def stages(what: Any, /, *point: Any, lang: Language | None = None) -> Iterator[Explanation]:
    """:func:`explain` for who cannot wait: first without formulas, which may take long, then with them.

    >>> from chainrule.explain.explanation import stages
    >>> [e.formulas.value for e in stages(lambda x: x * x, 3.0)]
    [None, x**2]
    """
    language = known(lang)
    recorded = _recorded(what, point, None, {})
    yield _told(*recorded, language, False)
    if have_sympy():
        yield _told(*recorded, language, True)


def _recorded(
    what: Any, point: Sequence[Any], wrt: Any, named: dict[str, Any]
) -> tuple[Tape, list[Item], list[Surprise]]:
    """The tape, swept; the inputs that are wanted; and what to know about the arguments."""
    names = naming.around()
    asked: list[Any] = [] if wrt is None else list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    integers: list[Surprise] = []
    inputs: list[Tensor] = []
    if isinstance(what, Tensor):
        if point or named:
            raise TypeError("a result is explained as it is: give a point only with a function, as explain(f, x=2.0)")
        y = what
        names = _first(names, "y", y)
    elif callable(what):
        y, inputs, integers, names = _run(what, point, named, names)
    else:
        raise TypeError(f"explain takes a tensor or a function, not {type(what).__name__}")
    y = tensor_result(y)
    if what is not y and not y._rg and not inputs:
        raise TypeError(said("no argument can have a derivative: give real floating point numbers, as explain(f, 2.0), or "
                             "x.float()", "没有可以求导的参数：请给实浮点数，如 explain(f, 2.0)，或用 x.float()"))  # fmt: skip
    if not y._rg:
        raise explained(RuntimeError(errors.no_grad_fn(0)), "no graph", y)
    if y._dtype.kind == "c":
        raise TypeError("explain is for real numbers: take z.abs(), z.real or z.imag of the result")
    tape = read(y, names, inputs + [t for t in asked if isinstance(t, Tensor)])
    if any(np.asarray(i.value).dtype.kind == "c" for i in tape.inputs):
        raise TypeError("explain is for real numbers, and an input here is complex")
    sweep(tape, y)
    return tape, _wanted(tape, asked, inputs), integers


def _told(tape: Tape, wanted: list[Item], notes: list[Surprise], language: Language, symbolic: bool) -> Explanation:
    """The explanation of a tape, with formulas or without."""
    formula = formulas(tape, language) if symbolic else Formulas(why="" if have_sympy() else _missing())
    locals_ = {i: one for i in tape.swept[:MAX_STEPS] if (one := local(i)) is not None} if symbolic else {}
    from .text import number, written_step

    found = surprises(tape, wanted, number, lambda item: written_step(item, locals_.get(item)))
    return Explanation(tape, wanted, formula, locals_, proof.evidence(tape, wanted, formula), notes + found, language)


def _first(names: naming.Names, name: str, value: Any) -> naming.Names:
    """Names in which ``value`` has one at all events."""
    if names.of(value) is None:
        names.add(name, value)
    return names


def _wanted(tape: Tape, asked: Sequence[Any], inputs: Sequence[Any]) -> list[Item]:
    if not asked:
        mine = [i for i in tape.inputs if any(i.edge is t for t in inputs)]
        return mine or tape.inputs
    found = []
    for one in asked:
        edge = one if isinstance(one, str) or one._node is None else one._node
        item = next((i for i in tape.inputs if i.edge is edge or (isinstance(one, str) and i.name == one)), None)
        if item is None:
            have = ", ".join(i.name for i in tape.inputs)
            raise ValueError(f"no input {one!r} here: the result depends on {have}")
        found.append(item)
    return found


def _run(
    f: Callable[..., Any], point: Sequence[Any], named: dict[str, Any], names: naming.Names
) -> tuple[Any, list[Tensor], list[Surprise], naming.Names]:
    """The result of a function on tensors made of its arguments, with names for what it is made of."""
    titles = _titles(f, point, named)
    fresh = naming.Names()
    inputs: list[Tensor] = []
    notes: list[Surprise] = []
    values: list[Any] = []

    def taken(title: str | None, value: Any) -> Any:
        """The argument made of leaves, which are noted."""
        title = title or (names.of(value) if isinstance(value, Tensor) else None) or f"x{len(values) + 1}"
        if isinstance(value, dict):
            return {k: taken(f"{title}.{k}", v) for k, v in value.items()}
        if isinstance(value, (list, tuple)) and any(isinstance(v, (Tensor, dict)) for v in value):
            return type(value)([taken(f"{title}.{i}", v) for i, v in enumerate(value)])
        t = _leaf(value)
        if isinstance(t, Tensor):
            fresh.add(title, t)
            if t._rg:
                inputs.append(t)
            if isinstance(value, int) and not isinstance(value, bool):
                notes.append(Surprise("integer", {"x": title, "value": value}))
        return t

    for title, value in [*zip(titles, point, strict=True), *named.items()]:
        values.append(taken(title, value))
    n = len(point)

    def call() -> Any:
        return f(*values[:n], **dict(zip(named, values[n:], strict=True)))

    with enable_grad(), Setting(anomaly=False):  # so that each step notes its line and its constants
        y = naming.watched(f, fresh, call)
    if isinstance(y, Tensor):
        _first(fresh, next(n for n in ("y", "f", "out", "y1") if n not in (*titles, *named)), y)
    for thing, name in names.items():
        fresh.put(name, thing)
    return y, inputs, notes, fresh


def _titles(f: Callable[..., Any], point: Sequence[Any], named: dict[str, Any]) -> list[str | None]:
    """What ``f`` calls its arguments; None where it has no name for one.  TypeError if they are not what it takes."""
    try:
        signature = naming.signature(f)
    except ValueError:  # a function of C's
        return [None] * len(point)
    try:
        signature.bind(*point, **named)
    except TypeError as e:
        raise TypeError(f"{e}: give the function its arguments, as explain(f, x=2.0)") from None
    plain = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    titles: list[str | None] = [p.name for p in plain]
    return (titles + [None] * len(point))[: len(point)]


def _leaf(value: Any) -> Any:
    """An argument as a leaf of its own, if it can have a derivative."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_() if value._dtype.kind == "f" else value
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return tensor(float(value), dtype=float64, requires_grad=True)
    if isinstance(value, (np.ndarray, np.generic, list, tuple)):
        a = np.asarray(value)
        if a.dtype.kind in "iu" and isinstance(value, (list, tuple)):
            a = a.astype(np.float64)
        return tensor(a, requires_grad=a.dtype.kind == "f")
    return value


def _missing() -> str:
    return str(errors.missing("sympy", "explain", "a formula"))
