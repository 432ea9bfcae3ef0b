"""Random programs over tensors, as data: lines of Python that any library with PyTorch's names can run.

``generate(seed)`` writes a program, ``trace(program, T)`` runs it and notes what can be seen after every line.
A line that raises is part of the trace (its class and first sentence) and the program goes on; names it would
have bound are left unbound, so lines that use them raise NameError on both sides alike.
"""

from __future__ import annotations

import math
import random
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Program = tuple[str, ...]
Shape = tuple[int, ...]
Step = tuple[tuple[str, str] | None, dict[str, dict[str, Any]]]  # the error, and what is seen of each tensor

SHAPES: list[Shape] = [(), (1,), (3,), (3,), (2, 3), (2, 3), (3, 2), (1, 3), (2, 1), (2, 2, 3), (0,)]
NUMBERS = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]


class Writer:
    """Writes one program, line by line; knows each name's shape, so that most lines make sense."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.shapes: dict[str, Shape] = {}
        self.lines: list[str] = []

    def choose(self, options: Any) -> Any:
        return self.random.choice(options)

    def name(self) -> str:
        """A name in use; later ones are likelier, since their histories are longer."""
        names = list(self.shapes)
        return names[max(self.random.randrange(len(names)), self.random.randrange(len(names)))]

    def add(self, line: str, *made: Shape) -> None:
        """Write a line whose ``{}`` stand for names newly bound to tensors of the shapes ``made``."""
        names = [f"v{len(self.shapes) + i}" for i in range(len(made))]
        self.shapes.update(zip(names, made, strict=True))
        line = line.format(*names)
        self.lines.append(f"with T.no_grad(): {line}" if self.random.random() < 0.1 else line)

    def like(self, x: str) -> str:
        """A name of the same shape."""
        return self.choose([n for n, s in self.shapes.items() if s == self.shapes[x]])

    def number(self) -> str:
        return repr(self.choose(NUMBERS))

    def values(self, shape: Shape) -> Any:
        if not shape:
            return self.choose(NUMBERS)
        return [self.values(shape[1:]) for _ in range(shape[0])]

    # --- one line of each kind ---------------------------------------------------------------------

    def leaf(self) -> None:
        shape = self.choose(SHAPES)
        wanted = ", requires_grad=True" if self.random.random() < 0.6 else ""
        self.add(f"{{}} = T.tensor({self.values(shape)}, dtype=T.float64{wanted})", shape)

    def pointwise(self) -> None:
        x = self.name()
        form = self.choose([
            "-{}", "{}.clone()", "{}.exp()", "{}.sigmoid()", "{} * 1", "{} * {}", "{} ** 2", "{} + 1", "3 * {}",
            "{} / 2", "{}.relu()", "1 - {}", "{}.tanh()", "({} * {} + 1).reciprocal()",
        ])  # fmt: skip
        self.add("{} = " + form.replace("{}", x), self.shapes[x])

    def combine(self) -> None:
        x, y = self.partners()
        found = broadcast(self.shapes[x], self.shapes[y])
        op = self.choose(["+", "-", "*", "*"])
        self.add(f"{{}} = {x} {op} {y}", *([] if found is None else [found])) if found is not None else None

    def partners(self) -> tuple[str, str]:
        """Two names whose shapes broadcast, if a few tries find them."""
        x, y = self.name(), self.name()
        for _ in range(5):
            if broadcast(self.shapes[x], self.shapes[y]) is not None:
                break
            y = self.name()
        return x, y

    def reduce(self) -> None:
        x = self.name()
        shape = self.shapes[x]
        if not shape or self.random.random() < 0.5:
            self.add(f"{{}} = {x}.sum()", ())
        else:
            dim = self.random.randrange(len(shape))
            self.add(f"{{}} = {x}.sum({dim})", (*shape[:dim], *shape[dim + 1 :]))

    def view(self) -> None:
        x = self.name()
        for _ in range(8):
            found = self.a_view(x, self.shapes[x])
            if found is not None:
                text, shape = found
                return self.add("{} = " + text, shape)

    def a_view(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        n = len(shape)
        kind = self.choose([
            "select", "slice", "step", "view", "reshape", "t", "transpose", "unsqueeze", "expand", "squeeze", "alias",
            "none", "dots", "column", "detach", "flatten", "permute", "T", "cut",
        ])  # fmt: skip
        if kind == "select" and n and shape[0]:
            return f"{x}[{self.random.randrange(-shape[0], shape[0])}]", shape[1:]
        if kind in ("slice", "step") and n and shape[0]:
            a, b = sorted(self.random.choices(range(shape[0] + 1), k=2))
            step = 2 if kind == "step" else 1
            return f"{x}[{a}:{b}{':2' if step == 2 else ''}]", (len(range(a, b, step)), *shape[1:])
        if kind == "cut" and n > 1 and shape[-1]:
            a = self.random.randrange(shape[-1])
            return f"{x}[..., {a}:]", (*shape[:-1], shape[-1] - a)
        if kind == "column" and n > 1 and shape[1]:
            i = self.random.randrange(shape[1])
            return f"{x}[:, {i}]", (shape[0], *shape[2:])
        if kind == "dots" and n and shape[-1]:
            return f"{x}[..., {self.random.randrange(shape[-1])}]", shape[:-1]
        if kind in ("view", "reshape"):
            size = math.prod(shape)
            new = self.choose([s for s in [*SHAPES, (size,)] if math.prod(s) == size])
            return f"{x}.{kind}({', '.join(map(str, new)) or '()'})", new
        if kind == "t" and n <= 2:
            return f"{x}.t()", shape[::-1]
        if kind == "T" and n == 2:
            return f"{x}.T", shape[::-1]
        if kind == "transpose" and n > 1:
            return f"{x}.transpose(0, -1)", (shape[-1], *shape[1:-1], shape[0])
        if kind == "permute" and n:
            order = self.random.sample(range(n), n)
            return f"{x}.permute({', '.join(map(str, order))})", tuple(shape[i] for i in order)
        if kind == "unsqueeze" and n < 3:
            dim = self.random.randrange(n + 1)
            return f"{x}.unsqueeze({dim})", (*shape[:dim], 1, *shape[dim:])
        if kind == "none" and n < 3:
            return f"{x}[None]", (1, *shape)
        if kind == "squeeze":
            return f"{x}.squeeze()", tuple(m for m in shape if m != 1)
        if kind == "expand" and (1 in shape or n < 2):
            new = (2, *(3 if m == 1 else m for m in shape)) if n < 3 and self.random.random() < 0.5 else \
                tuple(3 if m == 1 else m for m in shape)  # fmt: skip
            return f"{x}.expand({', '.join(map(str, new)) or '()'})", new
        if kind == "alias" and n:
            return f"{x}[:]", shape
        if kind == "detach" and self.random.random() < 0.6:
            return f"{x}.detach()", shape
        if kind == "flatten" and n > 1:
            return f"{x}.flatten()", (math.prod(shape),)
        return None

    def several(self) -> None:
        x = self.name()
        shape = self.shapes[x]
        if shape and shape[0] in (1, 2, 3):
            self.add(", ".join(["{}"] * shape[0]) + f", = {x}.unbind()", *[shape[1:]] * shape[0])

    def pick(self) -> None:
        """Indexing that copies."""
        x = self.name()
        shape = self.shapes[x]
        if shape and shape[0]:
            index = [self.random.randrange(shape[0]) for _ in range(self.random.choice([1, 2, 3]))]
            self.add(f"{{}} = {x}[{index}]", (len(index), *shape[1:]))

    def write(self) -> None:
        x = self.name()
        n = self.number()
        y = self.name()
        for _ in range(6):
            if broadcast(self.shapes[x], self.shapes[y]) == self.shapes[x]:
                break
            y = self.name()
        unseen = [f"{x}.data"] if self.shapes[x] else []  # a 0-d value saved for backward is a number here: unharmed
        target = self.choose([x, x, x, f"{x}.detach()", f"{x}[0]", f"{x}.view(-1)[:2]", *unseen])
        forms = [
            f".add_({n})", f".add_({y})", f".mul_({n})", f".mul_({y})", ".exp_()", ".zero_()", f".copy_({y})",
            ".neg_()", f".fill_({n})", f".sub_({y})", ".sigmoid_()", ".relu_()", f".div_({n} + 4)", f".add_({y}, alpha=2)",
        ]  # fmt: skip
        if target == x and self.random.random() < 0.3:
            self.add(f"{x} {self.choose(['+=', '*=', '-='])} {self.choose([n, y])}")
        else:
            self.add(target + self.choose(forms))

    def put(self) -> None:
        x = self.name()
        shape = self.shapes[x]
        if not shape or not shape[0]:
            return self.add(f"{x}[...] = {self.number()}")
        i = self.random.randrange(shape[0])
        rows = [self.random.randrange(shape[0]) for _ in range(2)]
        options: list[tuple[str, Shape]] = [
            (f"{i}", shape[1:]), (f"{i}:", (shape[0] - i, *shape[1:])), (":", shape), ("...", shape),
            (f"{rows}", (2, *shape[1:])), (f"{x} > 0", ()), (f"T.tensor({rows})", (2, *shape[1:])),
        ]  # fmt: skip
        if len(shape) > 1 and shape[1]:
            options.append((f":, {self.random.randrange(shape[1])}", (shape[0], *shape[2:])))
            rows = [self.random.randrange(shape[1]) for _ in range(2)]
            options.append((f"{i}, {rows}", (2, *shape[2:])))
        key, target = self.choose(options)
        value = self.number()
        if self.random.random() < 0.6:
            fits = [n for n, s in self.shapes.items() if broadcast(s, target) == target]
            value = self.choose(fits) if fits else value
        self.add(f"{x}[{key}] = {value}")

    def differentiate(self) -> None:
        y = self.name()
        keep = self.choose(["", "", "retain_graph=True"])
        scalar = y if self.shapes[y] == () else f"{y}.sum()"
        kind = self.random.random()
        if kind < 0.55:
            self.add(f"{scalar}.backward({keep})")
        elif kind < 0.7:
            self.add(f"{y}.backward(T.ones_like({y}){', ' + keep if keep else ''})")
        else:
            x = self.name()
            graph = self.choose(["", ", create_graph=True", ", retain_graph=True", ", allow_unused=True"])
            self.add(f"{{}} = T.autograd.grad({scalar}, {x}{graph})[0] * 1", self.shapes[x])

    def administer(self) -> None:
        x = self.name()
        numpy = [f"{x}.detach().numpy()[...] = 1.0"] if self.shapes[x] else []
        self.add(self.choose([
            f"{x}.requires_grad_()", f"{x}.requires_grad_(False)", f"{x}.detach_()", f"{x}.grad = None",
            f"{x}.grad.zero_()", f"{x}.grad.mul_(2)", f"{x}.retain_grad()", f"{x}.retain_grad()", *numpy,
            f"{x} = {x}.detach().requires_grad_()", f"{x}.data = {self.like(x)}.data.clone()",
            f"T.mul({x}, {x}, out={self.like(x)})", hook(x),
        ]))  # fmt: skip


def hook(x: str) -> str:
    """A hook, where PyTorch can: on a view without a history it crashes."""
    return f"{x}.register_hook(lambda g: g * 2) if {x}._base is None or {x}.grad_fn is not None else None"


def broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


KINDS: list[tuple[Callable[[Writer], None], int]] = [
    (Writer.leaf, 2), (Writer.pointwise, 4), (Writer.combine, 4), (Writer.reduce, 1), (Writer.view, 7),
    (Writer.pick, 1), (Writer.several, 1), (Writer.write, 7), (Writer.put, 3), (Writer.differentiate, 3),
    (Writer.administer, 1),
]  # fmt: skip


def generate(seed: int, most: int = 30) -> Program:
    w = Writer(seed)
    w.leaf()
    kinds, weights = zip(*KINDS, strict=True)
    length = w.random.randint(4, most)
    while len(w.lines) < length:
        w.random.choices(kinds, weights)[0](w)
    ends = dict.fromkeys(w.name() for _ in range(3))
    return (*w.lines, *[f"{x}.sum().backward(retain_graph=True)" for x in ends])


# --- running -----------------------------------------------------------------------------------------

_compiled: dict[str, Any] = {}


def run_line(line: str, env: dict[str, Any]) -> tuple[str, str] | None:
    """Execute a line; the error's class and first sentence if it raises."""
    code = _compiled.get(line)
    if code is None:
        code = _compiled[line] = compile(line, "<program>", "exec")
    try:
        exec(code, env)
    except Exception as e:
        return type(e).__name__, first_sentence(str(e))
    return None


def first_sentence(text: str) -> str:
    text = re.sub(r"^Output \d+", "Output n", text)
    text = re.sub(r", which is output \d+ of \S+,", "", text)
    return re.split(r"\. |\n|; ", text, maxsplit=1)[0].rstrip(".").strip()


def see(env: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a user can see of every tensor in ``env``."""
    names = {id(t): n for n, t in reversed(env.items()) if n[0] == "v"}
    return {name: look(t, names) for name, t in env.items() if name[0] == "v" and t is not None}


def look(t: Any, names: dict[int, str]) -> dict[str, Any]:
    base = t._base
    found = {
        "value": t.detach().numpy().copy(), "version": t._version, "requires_grad": t.requires_grad,
        "strides": tuple(s for s, n in zip(t.stride(), t.shape, strict=True) if n > 1) if t.numel() else None,
        "base": None if base is None else names.get(id(base), "?"), "span": span(t),
    }  # fmt: skip
    try:
        node = t.grad_fn
    except RuntimeError as e:  # a view whose history cannot be rebuilt
        return {**found, "grad_fn": first_sentence(str(e))}
    grad = t.grad if t.is_leaf or t.retains_grad else None
    return {**found, "grad_fn": None if node is None else node.name(), "is_leaf": t.is_leaf,
            "grad": None if grad is None else grad.detach().numpy(force=True).copy()}  # fmt: skip


def span(t: Any) -> tuple[int, int]:
    """The first and the last byte of a tensor's memory."""
    start = t.data_ptr()
    return start, start + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True)) * t.element_size()


def trace(program: Program, T: Any, every: bool = True) -> list[Step]:
    """Run a program; look after every line, or only at the end: looking may rebuild histories."""
    env: dict[str, Any] = {"T": T}
    steps: list[Step] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, line in enumerate(program, 1):
            error = run_line(line, env)
            steps.append((error, see(env) if every or number == len(program) else {}))
    return steps
