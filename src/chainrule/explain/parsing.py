"""From the text of a formula to its program, token by token, with two stacks."""

from __future__ import annotations

import difflib
import keyword
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, NoReturn

from .expression import (
    _EXACT,
    _PRECEDENCE,
    _TWO_ARGUMENTS,
    CONSTANTS,
    FUNCTIONS,
    MAX_CHARACTERS,
    MAX_NESTING,
    MAX_NODES,
    Expression,
    ExpressionError,
    Step,
    _clip,
)
from .refusals import refusal

_TOKEN: Final = re.compile(
    r"(?P<number>(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
    r"|(?P<call>[A-Za-z_][A-Za-z0-9_]*+[ \t\r\n]*+\()"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<symbol>\*\*|//|[-+*/^(),])"
)
_REFUSED: Final = (("\"'`", "quotes"), ("[]{}", "brackets"), ("<>=!", "comparison"), (".", "dot"))
_SPELLINGS: Final = {"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u00f7": "/",
                     "\u03c0": "pi", "\u03c4": "tau", "\u221a": "sqrt(...)"}  # fmt: skip


def parse(text: str) -> Expression:
    """Read a formula; raises ExpressionError, with its column, for anything that is not one.

    >>> parse("2x")
    Traceback (most recent call last):
    chainrule.explain.expression.ExpressionError: column 2: an operator is missing; to multiply, write 2*x
    """
    return _Parser(text).parse(0, len(text))


def parse_assignments(items: Iterable[str]) -> dict[str, float]:
    """The values of ``name=value`` texts, several to a text if commas part them; a value may be a formula.

    Raises ExpressionError for a repeated name and for a value that is not one finite number.

    >>> parse_assignments(["x=pi/2", "u=3,v=-4.5e1"])
    {'x': 1.5707963267948966, 'u': 3.0, 'v': -45.0}
    """
    point: dict[str, float] = {}
    for item in [items] if isinstance(items, str) else items:
        fail = _Parser(item).fail
        start = 0
        for stop in _separators(item):
            kind, name, place = next(_tokens(item, start, stop))
            equals = _skip_space(item, place + len(name), stop)
            if kind != "name" or item[equals : equals + 1] != "=":
                fail(refusal("assignment"), place)
            if name in FUNCTIONS or name in CONSTANTS:
                fail(refusal("taken", name=name), place)
            if name in point:
                fail(refusal("twice", name=_clip(name)), place)
            value = _Parser(item).parse(equals + 1, stop)
            try:
                point[name] = math.nan if value.variables else float(value.evaluate({}, math))
            except ExpressionError:
                raise
            except (ValueError, OverflowError):  # how math answers where IEEE 754 has nan or inf
                point[name] = math.nan
            if not math.isfinite(point[name]):
                fail(refusal("not finite", name=_clip(name)), equals + 1)
            start = stop + 1
    return point


def _separators(item: str) -> Iterator[int]:
    """Where each assignment ends: the commas outside parentheses, then the end."""
    depth = 0
    for place, char in enumerate(item):
        depth += (char == "(") - (char == ")")
        if char == "," and depth <= 0:
            yield place
    yield len(item)


class _Token(NamedTuple):
    kind: str  # number, name, call (a name and its parenthesis), symbol or end
    text: str
    start: int


def _tokens(text: str, start: int, stop: int) -> Iterator[_Token]:
    """The tokens of text[start:stop], then an end token; lazily, so that the first error read comes first."""
    while (start := _skip_space(text, start, stop)) < stop:
        found = _TOKEN.match(text, start, stop)
        if found is None:
            raise ExpressionError(_refusal(text[start]), text, start + 1)
        kind = str(found.lastgroup)
        word = found[0].rstrip("( \t\r\n") if kind == "call" else found[0]
        if keyword.iskeyword(word):
            raise ExpressionError(refusal("keyword", word=word), text, start + 1)
        if word.startswith("_") or "__" in word:
            raise ExpressionError(refusal("name"), text, start + 1)
        yield _Token(kind, word, start)
        start = found.end()
    yield _Token("end", "", stop)


def _skip_space(text: str, start: int, stop: int) -> int:
    while start < stop and text[start] in " \t\r\n":
        start += 1
    return start


def _refusal(char: str) -> str:
    """Why this character is refused, and what to write instead."""
    if " " <= char <= "~":
        reasons = (reason for chars, reason in _REFUSED if char in chars)
        return refusal(next(reasons, "character"), char=char)
    plain = unicodedata.normalize("NFKC", char)
    if unicodedata.digit(char, None) is not None:
        plain = str(unicodedata.digit(char))
    hint = _SPELLINGS.get(char, plain if plain.isascii() and plain.isprintable() else "")
    if unicodedata.decomposition(char).startswith("<super>"):
        hint = f"**{hint}"
    named = f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()
    hint = refusal("plain space") if hint == " " else hint or refusal("ASCII only")
    return refusal("not ASCII", named=named, hint=hint)


class _Pending(NamedTuple):
    """An operator that awaits its right operand, or an open parenthesis or call (precedence 0)."""

    name: str  # empty for a plain parenthesis
    precedence: int
    start: int
    commas: int = 0


class _Parser:
    """Dijkstra's shunting yard: operands go to the program, operators wait until their operands are there."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a formula is text (str), not {type(text).__name__}")
        self.text = text
        self.program: list[Step] = []
        self.columns: list[int] = []
        self.pending: list[_Pending] = []
        self.nesting = 0
        self.last = ""  # the token before the current one, with the parenthesis of a call
        if len(text) > MAX_CHARACTERS or len(text) + text.count("^") > MAX_CHARACTERS:  # unparse writes **
            place = min(len(text), MAX_CHARACTERS)
            self.fail(refusal("too long", most=MAX_CHARACTERS), place)

    def fail(self, message: str, start: int) -> NoReturn:
        raise ExpressionError(message, self.text, start + 1)

    def parse(self, start: int, stop: int) -> Expression:
        expects_value = True
        for token in _tokens(self.text, start, stop):
            expects_value = self.value(token) if expects_value else self.operator(token)
            self.last = f"{token.text}(" if token.kind == "call" else token.text
        return Expression(tuple(self.program), self.text, tuple(self.columns))

    def value(self, token: _Token) -> bool:
        """Take a token where a value must start; tell whether one must still follow."""
        kind, word, start = token
        if kind == "number":
            number = float(word)
            if number == math.inf:
                self.fail(refusal("beyond float64"), start)
            if word.isdigit():
                word = word.lstrip("0") or "0"  # Python refuses 007
                number = int(number) if number < _EXACT else number
            self.emit(Step("number", word, 0, number), start)
        elif kind == "name" and word in FUNCTIONS:
            self.fail(refusal("bare function", word=word, example=_example(word)), start)
        elif kind == "name":
            self.emit(Step("constant" if word in CONSTANTS else "variable", word), start)
        elif kind == "call" and word not in FUNCTIONS:
            near = difflib.get_close_matches(word.lower(), FUNCTIONS, cutoff=0.65)
            if near:
                self.fail(refusal("did you mean", word=_clip(word), near=refusal("or").join(near)), start)
            self.fail(refusal("unknown function", word=_clip(word), known=" ".join(FUNCTIONS)), start)
        elif kind == "call":
            self.push(_Pending(word, 0, start))
        elif word == "(":
            self.push(_Pending("", 0, start))
        elif word == "-":
            self.push(_Pending("neg", _PRECEDENCE["neg"], start))
        elif word == ")" and self.last.endswith("("):
            self.fail(refusal("empty parentheses", example=_example(self.pending[-1].name)), start)
        elif word != "+":  # a unary plus changes nothing
            key = ("found" if word else "ends") + " after" * bool(self.last)
            self.fail(refusal(key, last=_clip(self.last), word=word), start)
        return kind in ("call", "symbol")

    def operator(self, token: _Token) -> bool:
        """Take a token where a value has just ended; tell whether another must follow."""
        kind, word, start = token
        if kind in ("number", "name", "call") or word == "(":
            shown = f"{_clip(word)}(...)" if kind == "call" else "(...)" if word == "(" else _clip(word)
            before = "(...)" if self.last == ")" else _clip(self.last)
            self.fail(refusal("operator", before=before, after=shown), start)
        if word == "//":
            self.fail(refusal("floor"), start)
        if word in ("**", "^"):  # groups to the right, so that nothing before it is complete yet
            self.push(_Pending("**", _PRECEDENCE["**"], start))
            return True
        self.reduce(_PRECEDENCE.get(word, 1))
        if word in _PRECEDENCE:
            self.push(_Pending(word, _PRECEDENCE[word], start))
            return True
        opened = self.pending.pop() if self.pending else None
        if word == ",":
            if opened is None or not opened.name:
                self.fail(refusal("comma"), start)
            self.pending.append(opened._replace(commas=opened.commas + 1))
            return True
        if word == ")":
            if opened is None:
                self.fail(refusal("closes nothing"), start)
            self.close(opened)
        elif opened is not None:
            self.fail(refusal("never closed", name=opened.name), opened.start)
        return False

    def close(self, opened: _Pending) -> None:
        name, _, start, commas = opened
        self.nesting -= 1
        if name and commas != (name in _TWO_ARGUMENTS):
            self.fail(refusal("arguments", count=commas + 1, example=_example(name)), start)
        if name:
            self.emit(Step("function", name, commas + 1), start)

    def push(self, item: _Pending) -> None:
        self.nesting += item.precedence not in (1, 2)
        if self.nesting > MAX_NESTING:
            self.fail(refusal("too deep", most=MAX_NESTING), item.start)
        self.pending.append(item)

    def reduce(self, precedence: int) -> None:
        """Emit the waiting operators that bind at least as tightly; an open parenthesis stops them."""
        while self.pending and self.pending[-1].precedence >= precedence:
            name, level, start, _ = self.pending.pop()
            self.nesting -= level not in (1, 2)
            self.emit(Step("operator", name, 1 if name == "neg" else 2), start)

    def emit(self, step: Step, start: int) -> None:
        if len(self.program) == MAX_NODES:
            self.fail(refusal("too large", most=MAX_NODES), start)
        self.program.append(step)
        self.columns.append(start + 1)


def _example(function: str) -> str:
    return f"{function}({'x, y' if function in _TWO_ARGUMENTS else 'x'})"
