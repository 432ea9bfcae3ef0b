"""A program as a Python file: of numbers over ``math``, of arrays over NumPy."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from typing import Any, Final

import numpy as np

from ..compiler.program import Equation, Program, Var
from .exporting import Task, plain, titled
from .writing import ADD, ATOM, CHOICE, NOT, POWER, SIGN, TIMES, WIDE, Scalars, Text, template, unsupported, users

_HELPERS: Final = {
    "sign": "def sign(x):\n    return (x > 0) - (x < 0)",
    "sigmoid": "def sigmoid(x):\n    return 0.5 * (1.0 + tanh(0.5 * x))",
    "softplus": "def softplus(x):\n    return max(x, 0.0) + log1p(exp(-abs(x)))",
    "maximum": "def maximum(x, y):\n    return x if x > y or x != x else y",
    "minimum": "def minimum(x, y):\n    return x if x < y or x != x else y",
    "rint": "def rint(x):\n    return float(round(x))",
}  # fmt: skip
_NUMBER: Final = re.compile(r"-?[\d.]+(?:e[-+]?\d+)?\Z", re.ASCII)
_ARRAY_HELPERS: Final = {
    "sigmoid": "def sigmoid(x):\n    return 0.5 * (1.0 + np.tanh(0.5 * x))",
    "softplus": "def softplus(x):\n    return np.logaddexp(x, 0.0)",
    **{name: f"{name} = np.vectorize(math.{name}, otypes=[float])" for name in ("erf", "erfc", "lgamma")},
    "adjugate": ("def adjugate(a):\n    u, s, v = np.linalg.svd(a)\n"
                 "    others = np.prod(np.where(np.eye(s.shape[-1], dtype=bool), 1.0, s[..., None, :]), axis=-1)\n"
                 "    sign = np.asarray(np.linalg.det(u) * np.linalg.det(v))[..., None, None]\n"
                 "    return sign * np.swapaxes(v, -1, -2) * others[..., None, :] @ np.swapaxes(u, -1, -2)"),
    "put_add": "def put_add(x, key, shape):\n    out = np.zeros(shape)\n    np.add.at(out, key, x)\n    return out",
    "put_along": ("def put_along(x, index, axis, size):\n    x, index = np.moveaxis(x, axis, -1), np.moveaxis(index, axis, -1)\n"
                  "    hit = index[..., None] == np.arange(size)\n"
                  "    return np.moveaxis(np.sum(np.where(hit, x[..., None], 0.0), axis=-2), -1, axis)"),
}  # fmt: skip
_NEEDS: Final = {"sigmoid": {"tanh"}, "softplus": {"log1p", "exp"}}
_IMPORTED: Final = ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "erf", "erfc",
                    "exp", "exp2", "expm1", "floor", "hypot", "inf", "lgamma", "log", "log10", "log1p", "log2", "nan", "pow",
                    "sin", "sinh", "sqrt", "tan", "tanh", "trunc")  # fmt: skip


def written(task: Task) -> str:
    """The file."""
    program = task.program
    every = [*program.inputs, *program.constants, *[v for eq in program.equations for v in eq.outs]]
    arrays = any(v.shape for v in every) or not all(template(eq) for eq in program.equations)
    writer: _Writer = _Arrays(task) if arrays else _Numbers(task)
    return writer.file()


class _Writer(Scalars):
    takes = ""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, self.program = task, task.program
        self.taken = {*keyword.kwlist, *dir(builtins), *_IMPORTED, *_HELPERS, *_ARRAY_HELPERS, "np", "math"}
        self.title = plain(task.title, self.taken)
        self.text: dict[Var, Text] = {}
        self.lines: list[str] = []
        self.uses = users(self.program.equations, self.program.outputs)
        self.arguments = [plain(a, self.taken) for a in task.arguments]
        for v, a in zip(self.program.inputs, self.arguments, strict=True):
            self.text[v] = Text(a)
        self.names = {v: plain(n, self.taken) for v, n in task.names.items() if v not in self.text}
        self.count = self.constants = 0
        self.done = {*self.program.inputs, *self.program.constants}  # variables that have a name, or are numbers

    def file(self) -> str:
        body = self.body(self.program)
        head = [f"# {titled(self.task)}, written by chainrule.", *self.about(), *self.imports()]
        helpers = [self.helper(h) for h in sorted(self.helpers)]
        constants = [self.array(self.text[v].text, a) for v, a in self.program.constants.items() if a.ndim]
        function = [f"def {self.title}({', '.join(self.arguments)}):", *[f"    {line}" for line in body]]
        parts = ["\n".join(head), *helpers, "\n".join(constants), "\n".join(function)]
        return "\n\n\n".join(filter(None, parts)) + "\n"

    def body(self, program: Program) -> list[str]:
        for v, a in program.constants.items():
            if a.ndim:
                self.constants += 1
                self.text[v] = Text(plain(f"C{self.constants}", self.taken))
            else:
                self.text[v] = self.number(a)
        start = self.start()
        for eq in program.equations:
            found = self.equation(eq)
            while len(found.text) > WIDE and (long := self.longest(eq)) is not None:
                self.assign(long)
                found = self.equation(eq)
            self.text[eq.out] = found
            if self.uses.get(eq.out, 0) > 1 or eq.out in self.names:
                self.assign(eq.out)
        outs = [self.operand(a).text for a in program.outputs]
        return [*start, *self.lines, f"return {', '.join(outs)}"]

    def longest(self, eq: Equation) -> Var | None:
        """The longest of the arguments that have no name yet."""
        inline = [v for v in eq.vars if len(self.text[v].text) > 12 and v not in self.names and v not in self.done]
        return max(inline, key=lambda v: len(self.text[v].text), default=None)

    def assign(self, v: Var) -> None:
        """Give a variable its value by a line of its own."""
        if v not in self.names:
            self.count += 1
            self.names[v] = plain(f"t{self.count}", self.taken)
        self.lines.append(f"{self.names[v]} = {self.text[v].text}")
        self.text[v] = Text(self.names[v])
        self.done.add(v)

    def operand(self, a: Any) -> Text:
        return self.text[a] if isinstance(a, Var) else self.number(a)

    def equation(self, eq: Equation) -> Text:
        if eq.name == "Relu":
            return self.call("max", [self.operand(eq.args[0]), Text("0.0")])
        return self.write(eq, [self.operand(a) for a in eq.args])

    def about(self) -> list[str]:
        raise NotImplementedError

    def imports(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> list[str]:
        return []

    def helper(self, name: str) -> str:
        raise NotImplementedError

    def array(self, name: str, a: np.ndarray[Any, Any]) -> str:
        raise NotImplementedError


class _Numbers(_Writer):
    """Over Python's ``math``."""

    def about(self) -> list[str]:
        n = len(self.task.results)
        return [f"# Takes numbers, returns {'a number' if n == 1 else 'numbers: ' + ', '.join(self.task.results)}."]

    def imports(self) -> list[str]:
        for h in self.helpers:
            self.used |= _NEEDS.get(h, set())
        return [f"from math import {', '.join(sorted(self.used))}"] if self.used else []

    def helper(self, name: str) -> str:
        return _HELPERS[name]

    def special(self, value: float) -> str:
        self.used.add("nan" if math.isnan(value) else "inf")
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"

    def power(self, x: Text, exponent: Any, y: Text) -> Text:
        if not isinstance(exponent, Var) and float(exponent).is_integer():
            return Text(f"{x.within(ATOM)}**{self.number(int(exponent)).within(SIGN)}", POWER)
        self.used.add("pow")
        return Text(f"pow({x.text}, {y.text})")

    def negated(self, x: Text) -> Text:
        return Text(f"not {x.within(NOT)}", NOT)

    def choice(self, test: Text, x: Text, y: Text) -> Text:
        return Text(f"{x.within(CHOICE + 1)} if {test.within(CHOICE + 1)} else {y.text}", CHOICE)

    def cast(self, eq: Equation, x: Text) -> Text:
        have, want = eq.args[0].dtype.kind, eq.out.dtype.kind
        name = "float" if want == "f" else "int" if want in "iu" else "bool"
        return x if have == want else Text(f"{name}({x.text})")

    def call(self, name: str, args: list[Text]) -> Text:
        if name in ("max", "min"):
            return self.extreme(name, *args)
        if name == "abs":
            return Text(f"abs({args[0].text})")
        if name == "mod":
            return Text(f"{args[0].within(TIMES)} % {args[1].within(TIMES + 1)}", TIMES)
        if name in _HELPERS:
            self.helpers.add(name)
        else:
            self.used.add(name)
        return Text(f"{name}({', '.join(a.text for a in args)})")

    def extreme(self, name: str, x: Text, y: Text) -> Text:
        """The larger or smaller of two; Python's own gives nan for a nan that comes first, and so serves for a constant."""
        if _NUMBER.match(x.text):
            x, y = y, x
        if not _NUMBER.match(y.text):
            name = {"max": "maximum", "min": "minimum"}[name]
            self.helpers.add(name)
        return Text(f"{name}({x.text}, {y.text})")


class _Arrays(_Writer):
    """Over NumPy."""

    functions = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
                 "atan2": "arctan2", "atanh": "arctanh", "max": "maximum", "min": "minimum", "mod": "mod"}  # fmt: skip

    def about(self) -> list[str]:
        shown = [f"{a}: {_kind(v)}" for a, v in zip(self.arguments, self.program.inputs, strict=True)]
        found = [f"{r}: {_kind(o)}" for r, o in zip(self.task.results, self.program.outputs, strict=True)]
        return [f"# Takes {', '.join(shown)}.", f"# Returns {', '.join(found)}."]

    def imports(self) -> list[str]:
        more = ["import math", ""] if self.helpers & {"erf", "erfc", "lgamma"} else []
        return [*more, "import numpy as np"]

    def start(self) -> list[str]:
        return [
            f"{self.text[v].text} = np.asarray({self.text[v].text}, dtype=float)"
            for v in self.program.inputs
            if v.shape
        ]

    def helper(self, name: str) -> str:
        return _ARRAY_HELPERS[name]

    def array(self, name: str, a: np.ndarray[Any, Any]) -> str:
        if a.size > 1 and (a == a.flat[0]).all():
            return f"{name} = np.full({a.shape}, {self.number(a.flat[0]).text})"
        kind = "" if a.dtype.kind in "ib" else ", dtype=float"
        listed = np.array2string(
            a.astype(float) if a.dtype.kind == "f" else a, separator=", ", threshold=a.size + 1, max_line_width=100,
            prefix=f"{name} = np.array(",
            formatter={"float_kind": lambda v: self.number(v).text},
        )  # fmt: skip
        return f"{name} = np.array({listed}{kind})"

    def special(self, value: float) -> str:
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"

    def power(self, x: Text, exponent: Any, y: Text) -> Text:
        return Text(f"{x.within(ATOM)}**{y.within(SIGN)}", POWER)

    def binary(self, sign: str, level: int, left: Text, right: Text) -> Text:
        if sign in ("and", "or"):  # which bind tighter than comparisons in NumPy
            return Text(f"{left.within(ATOM)} {'&' if sign == 'and' else '|'} {right.within(ATOM)}", ADD - 1)
        return super().binary(sign, level, left, right)

    def negated(self, x: Text) -> Text:
        return Text(f"~{x.within(ATOM)}", SIGN)

    def choice(self, test: Text, x: Text, y: Text) -> Text:
        return Text(f"np.where({test.text}, {x.text}, {y.text})")

    def cast(self, eq: Equation, x: Text) -> Text:
        have, want = eq.args[0].dtype.kind, eq.out.dtype.kind
        if have == want:
            return x
        return Text(f"np.asarray({x.text}, dtype={ {'f': 'float', 'i': 'int', 'b': 'bool'}[want] })")

    def call(self, name: str, args: list[Text]) -> Text:
        shown = ", ".join(a.text for a in args)
        if name in _ARRAY_HELPERS:
            self.helpers.add(name)
            return Text(f"{name}({shown})")
        return Text(f"np.{self.functions.get(name, name)}({shown})")

    def equation(self, eq: Equation) -> Text:
        if template(eq):
            return super().equation(eq)
        found = self.structural(eq, [self.operand(a) for a in eq.args])
        if found is None:
            raise unsupported(eq, "NumPy", "")
        return found

    def structural(self, eq: Equation, args: list[Text]) -> Text | None:
        """What is not entry by entry."""
        x, p = args[0].text, eq.params
        match eq.name:
            case "Sum" | "Amax" | "Amin" | "Prod" | "Mean" | "All" | "Any_":
                name = {"Amax": "max", "Amin": "min", "Any_": "any"}.get(eq.name, eq.name.lower())
                all_of = len(p["axis"]) == len(eq.args[0].shape) and not p["keepdims"]
                axis = "" if all_of else f", axis={p['axis'] if len(p['axis']) > 1 else p['axis'][0]}"
                return Text(f"np.{name}({x}{axis}{', keepdims=True' if p['keepdims'] else ''})")
            case "Matmul" | "Mv" | "Dot":
                return Text(f"{args[0].within(ATOM)} @ {args[1].within(ATOM)}", TIMES)
            case "Permute":
                n = len(eq.out.shape)
                axes = (*range(n - len(p["axes"])), *[n + a for a in p["axes"]])
                return Text(f"{args[0].within(ATOM)}.T") if axes == (1, 0) else Text(f"np.transpose({x}, {axes})")
            case "Reshape":
                return Text(f"np.reshape({x}, {eq.out.shape})")
            case "Expand":
                return Text(f"np.broadcast_to({x}, {eq.out.shape})")
            case "GetItem":
                return Text(f"{args[0].within(ATOM)}[{_key(p['key'])}]")
            case "PutAdd":
                self.helpers.add("put_add")
                key = _key(p["key"])
                key = f"np.s_[{key}]"
                return Text(f"put_add({x}, {key}, {eq.out.shape})")
            case "PutAlong":
                self.helpers.add("put_along")
                return Text(f"put_along({x}, {args[1].text}, {p['axis']}, {p['size']})")
            case "Gather":
                return Text(f"np.take_along_axis({x}, {args[1].text}, axis={p['axis']})")
            case "Cat" | "Stack":
                name = "concatenate" if eq.name == "Cat" else "stack"
                return Text(f"np.{name}([{', '.join(a.text for a in args)}], axis={p['axis']})")
            case "Flip" | "CumSum":
                return Text(f"np.{eq.name.lower()}({x}, axis={p['axis']})")
            case "Diagonal":
                flat = len(eq.args[0].shape) == 2
                k = f", {p['offset']}" if p["offset"] or not flat else ""
                return Text(f"np.diagonal({x}{k}{'' if flat else ', -2, -1'})")
            case "Tril" | "Triu":
                k = f", {p['diagonal']}" if p["diagonal"] else ""
                return Text(f"np.{eq.name.lower()}({x}{k})")
        return self.matrices(eq, args)

    def matrices(self, eq: Equation, args: list[Text]) -> Text | None:
        """Linear algebra."""
        x, p = args[0].text, eq.params
        match eq.name:
            case "Inverse" | "Det" | "Cholesky":
                if p.get("upper"):
                    x = f"np.swapaxes({x}, -1, -2)"
                return Text(f"np.linalg.{'inv' if eq.name == 'Inverse' else eq.name.lower()}({x})")
            case "LogAbsDet" | "SignDet":
                return Text(f"np.linalg.slogdet({x})[{int(eq.name == 'LogAbsDet')}]")
            case "Adjugate":
                self.helpers.add("adjugate")
                return Text(f"adjugate({x})")
            case "SolveTriangular":
                part = f"np.tri{'u' if p['upper'] else 'l'}({x}"
                n = eq.out.shape[-2]
                x = f"{part}, {1 if p['upper'] else -1}) + np.eye({n})" if p["unit"] else f"{part})"
        if eq.name in ("Solve", "SolveTriangular"):
            return Text(f"np.linalg.solve({x}, {args[1].text})")
        return None


def _key(key: Any) -> str:
    parts = []
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, slice):
            ends = ["" if v is None else str(v) for v in (k.start, k.stop)] + ([] if k.step is None else [str(k.step)])
            parts.append(":".join(ends))
        elif isinstance(k, np.ndarray):
            parts.append(f"np.array({np.array2string(k, separator=', ', threshold=k.size + 1)})")
        else:
            parts.append("..." if k is Ellipsis else "None" if k is None else str(int(k)))
    if len(parts) > 1 and parts[-1] == "...":
        parts.pop()
    return ", ".join(parts)


def _kind(v: Any) -> str:
    return "a number" if not isinstance(v, Var) or not v.shape else f"an array of shape {v.shape}"
