"""The user's source as a tree: where a variable was assigned, written to, swept from."""

from __future__ import annotations

import ast
import linecache
from functools import cached_property, lru_cache
from types import FrameType
from typing import NamedTuple

from .names import Line

_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Assignment(NamedTuple):
    """Where a name got a value, and the names that the value was made of."""

    line: Line
    value: str
    uses: tuple[str, ...]


class Source:
    """The function, or the module's top level, that a frame runs; empty if its source is not to be had."""

    def __init__(self, frame: FrameType) -> None:
        code = frame.f_code
        self.file, self.function, self.here = code.co_filename, code.co_name, frame.f_lineno
        self.lines = linecache.getlines(self.file, frame.f_globals)
        tree = _parsed("".join(self.lines))
        self.body: list[ast.AST] = [] if tree is None else _scope(tree, code.co_firstlineno, code.co_name)

    def line(self, number: int) -> Line:
        """A line of this file."""
        text = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        return Line(self.file, number, self.function, text)

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        """The statements and expressions of this scope in the order of their lines; no inner functions."""
        found = []
        stack = list(self.body)
        while stack:
            node = stack.pop()
            found.append(node)
            if not isinstance(node, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
                stack.extend(ast.iter_child_nodes(node))
        return sorted(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)))

    def assignments(self, name: str, before: int | None = None) -> list[Assignment]:
        """The lines that give ``name`` a value, up to a line, by default the one that runs."""
        last = self.here if before is None else before
        found = []
        for node in self._nodes:
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = [t for target in node.targets for t in _flat(target)]
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                targets = [node.target]
            else:
                continue
            if node.lineno <= last and any(isinstance(t, ast.Name) and t.id == name for t in targets):
                value = node.value
                assert value is not None
                used = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
                found.append(Assignment(self.line(node.lineno), ast.unparse(value), tuple(dict.fromkeys(used))))
        return found

    def writes(self, name: str) -> list[Line]:
        """The lines that change what ``name`` holds: ``+=``, a method that ends in ``_``, an entry assigned."""
        found = []
        for node in self._nodes:
            if isinstance(node, ast.AugAssign):
                hit = _root(node.target) == name
            elif isinstance(node, ast.Assign):
                hit = any(not isinstance(t, ast.Name) and _root(t) == name for t in node.targets)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method = node.func.attr
                changes = method.endswith("_") and not method.endswith("__") and method != "requires_grad_"
                hit = changes and _root(node.func.value) == name
            else:
                continue
            if hit:
                found.append(self.line(node.lineno))
        return list(dict.fromkeys(found))

    def sweeps(self) -> list[Line]:
        """The lines that call ``backward()`` or ``grad()``, up to the one that runs."""
        called = [
            node.lineno for node in self._nodes
            if isinstance(node, ast.Call) and node.lineno <= self.here
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("backward", "grad")
        ]  # fmt: skip
        return [self.line(n) for n in dict.fromkeys(called)]

    def loop(self, number: int | None = None) -> Line | None:
        """The innermost loop around a line, by default the one that runs."""
        at = self.here if number is None else number
        around = [n for n in self._nodes if isinstance(n, _LOOPS) and n.lineno <= at <= (n.end_lineno or 0)]
        return self.line(around[-1].lineno) if around else None


@lru_cache(maxsize=32)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _scope(tree: ast.Module, first: int, name: str) -> list[ast.AST]:
    if name == "<module>":
        return list(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS) and node.name == name:
            if first in (node.lineno, *(d.lineno for d in node.decorator_list)):
                return list(node.body)
    return []


def _flat(target: ast.expr) -> list[ast.expr]:
    return [t for e in target.elts for t in _flat(e)] if isinstance(target, (ast.Tuple, ast.List)) else [target]


def _root(node: ast.AST) -> str | None:
    """The variable of ``a[0].data`` and the like."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
