"""What a user calls a value, and where: looked up when it is asked for, so that nobody pays for it before."""

from __future__ import annotations

import functools
import inspect
import linecache
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..node import Box
from ..tensor import Tensor

_HERE = str(Path(__file__).parents[1])


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    function: str
    text: str

    def __str__(self) -> str:
        where = f"{Path(self.file).name}:{self.number}" if not self.file.startswith("<") else f"line {self.number}"
        return f"{where}: {self.text}" if self.text else where


def line_of(frame: FrameType) -> Line:
    """The line that a frame is at."""
    code = frame.f_code
    text = linecache.getline(code.co_filename, frame.f_lineno, frame.f_globals).strip()
    return Line(code.co_filename, frame.f_lineno, code.co_name, text)


def users(frame: FrameType | None = None) -> Iterator[FrameType]:
    """The frames of the user's code, the innermost first."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        if not _ours(frame.f_code):
            yield frame
        frame = frame.f_back


def _ours(code: CodeType) -> bool:
    return code.co_filename.startswith((_HERE, "<rule>"))


def signature(f: Callable[..., Any]) -> inspect.Signature:
    """How ``f`` is called; a module as its ``forward`` is."""
    return inspect.signature(getattr(f, "forward", f))


def required(f: Callable[..., Any], also: Container[str] = ()) -> list[inspect.Parameter]:
    """The parameters of ``f`` that have no default, or are named in ``also``."""
    return [
        p for p in signature(f).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and (p.default is p.empty or p.name in also)
    ]  # fmt: skip


def by_position(f: Callable[..., Any], also: Container[str] = ()) -> Callable[..., Any]:
    """``f`` as a function of all its :func:`required` arguments, by position."""
    wanted = required(f, also)
    keywords = [p.name for p in wanted if p.kind is p.KEYWORD_ONLY or p.default is not p.empty]
    if not keywords:
        return f

    @functools.wraps(f, updated=())
    def function(*args: Any) -> Any:
        n = len(args) - len(keywords)
        return f(*args[:n], **dict(zip(keywords, args[n:], strict=True)))

    plain = [p.replace(kind=p.POSITIONAL_ONLY, default=p.empty) for p in wanted]
    function.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    return function


class Names:
    """Names of tensors, by the tensor or by its place in the graph; the first name found counts."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._held: list[Any] = []  # so that an identity stays that of its object

    def add(self, name: str, value: Any) -> None:
        """Note what a variable holds: a tensor, a module with its parameters, or some of those."""
        if isinstance(value, Tensor):
            for thing in (value, value._node, value._a, value._v):
                if thing is not None:
                    self.put(name, thing)
        elif callable(getattr(value, "named_parameters", None)) and not isinstance(value, type):
            for inner, parameter in value.named_parameters():
                self.add(f"{name}.{inner}", parameter)
        elif type(value) in (list, tuple) and len(value) <= 64:
            for i, item in enumerate(value):
                if isinstance(item, Tensor):
                    self.add(f"{name}[{i}]", item)
        elif type(value) is dict and len(value) <= 64:
            for key, item in value.items():
                if isinstance(item, Tensor):
                    self.add(f"{name}[{key!r}]", item)

    def put(self, name: str, thing: Any) -> None:
        """Note the name of a tensor, a node or an array that has none yet."""
        if id(thing) not in self._names:
            self._names[id(thing)] = name
            self._held.append(thing)

    def items(self) -> list[tuple[Any, str]]:
        """What has a name, each with it."""
        return [(thing, self._names[id(thing)]) for thing in self._held]

    def add_all(self, variables: Mapping[str, Any]) -> None:
        """Note the variables of a scope; tensors before what holds tensors, so that the plainest name is found."""
        items = [(n, v) for n, v in list(variables.items()) if not n.startswith("__")]
        for name, value in sorted(items, key=lambda item: not isinstance(item[1], Tensor)):
            self.add(name, value)

    def of(self, thing: Any) -> str | None:
        """The name of a tensor or of what made it, if a variable held it."""
        return self._names.get(id(thing))


def around(frame: FrameType | None = None, depth: int = 3) -> Names:
    """What the user's variables are called: those of the nearest functions, then global ones."""
    names, scopes = Names(), []
    for i, f in enumerate(users(frame or sys._getframe(1))):
        if i == depth:
            break
        names.add_all(f.f_locals)
        scopes.append(f.f_globals)
    for scope in scopes[:1]:
        names.add_all(scope)
    return names


def watched(f: Callable[..., Any], names: Names, call: Callable[[], Any]) -> Any:
    """What ``call`` gives, which calls ``f``; what ``f``'s variables hold when it returns is added to ``names``."""
    f = inspect.unwrap(f)
    code = getattr(f, "__code__", None) or getattr(getattr(f, "forward", None), "__code__", None)
    before = sys.getprofile()

    def profile(frame: FrameType, event: str, found: Any) -> None:
        if event == "return" and frame.f_code is code and not _ours(code):
            names.add_all({k: v for k, v in frame.f_locals.items() if isinstance(v, (Box, list, tuple, dict))})

    sys.setprofile(profile)
    try:
        return call()
    finally:
        sys.setprofile(before if callable(before) or before is None else None)
        if (enable := getattr(before, "enable", None)) is not None:  # cProfile's own, which is no function
            enable()
