"""Hostile and mistaken formulas: refused with the place and the cause, at once, and with nothing run."""

from __future__ import annotations

import ast
import math
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chainrule.explain import expression, parsing
from chainrule.explain.expression import CONSTANTS, FUNCTIONS, MAX_CHARACTERS, MAX_NESTING, MAX_NODES, ExpressionError
from chainrule.explain.parsing import parse, parse_assignments
from formulas import ANYTHING, FLOATS

DEEP = MAX_CHARACTERS - 1
REFUSED: list[tuple[str, int, str]] = [  # a text, the column, and what the sentence must say
    ("", 1, "expected a value at the start, but the text ends"), ("   ", 4, "the text ends"),
    ("\t\r\n", 4, "the text ends"), ("2x", 2, r"write 2\*x"), ("2 x", 3, r"write 2\*x"),
    ("x y", 3, r"write x\*y"), ("2(x)", 2, r"write 2\*\(\.\.\.\)"),
    ("(x)(y)", 4, r"write \(\.\.\.\)\*\(\.\.\.\)"), ("(x)2", 4, r"write \(\.\.\.\)\*2"),
    ("2sin(x)", 2, r"write 2\*sin\(\.\.\.\)"),
    ("x(2)", 1, r"unknown function x; to multiply, write x\*\(\.\.\.\); the functions are sin cos"),
    ("pi(2)", 1, r"write pi\*\(\.\.\.\)"), ("sin x", 1, r"needs parentheses; write sin\(x\)"),
    ("1 + max", 5, r"needs parentheses; write max\(x, y\)"),
    ("sine(x)", 1, "unknown function sine; did you mean sin"), ("SQRT(x)", 1, "did you mean sqrt"),
    ("arctan(x)", 1, "did you mean atan|did you mean tan"), ("eval(x)", 1, "unknown function eval"),
    ("exec('1')", 1, "unknown function exec"), ("getattr(x, y)", 1, "unknown function getattr"),
    ("__import__('os')", 1, "a name starts with a letter"),
    ("__import__('os').system('id')", 1, "a name starts with a letter"),
    ("_", 1, "a name starts with a letter"), ("x__y", 1, "no double underscore"),
    ("1_000", 2, "a name starts with a letter"), ("x.__class__", 2, "attributes are not available"),
    ("().__class__.__bases__", 2, "nothing stands in these parentheses"),
    ("x.y", 2, "attributes are not available"), (".", 1, "a decimal point needs a digit"),
    ("x..5", 2, "a decimal point needs a digit"), ("1.2.3", 4, r"write 1\.2\*\.3"),
    ("x[0]", 2, r"indices are not available; .*write x1"), ("{x}", 1, "indices are not available"),
    ("lambda: 0", 1, "lambda is a word of Python"), ("lambda x: x", 1, "lambda is a word of Python"),
    ("x if y else z", 3, "if is a word of Python"), ("not x", 1, "not is a word of Python"),
    ("x and y", 3, "and is a word of Python"), ("None", 1, "None is a word of Python"),
    ("True", 1, "True is a word of Python"), ("yield(x)", 1, "yield is a word of Python"),
    ('"a"', 1, "quoted text has no place"), ("'a'*10**9", 1, "quoted text has no place"),
    ("f'{x}'", 2, "quoted text has no place"), ("`id`", 1, "quoted text has no place"),
    ("1//2", 2, "'//' is not available; write / to divide"), ("5 % 2", 3, "unexpected '%'"),
    ("a @ b", 3, "unexpected '@'"), ("~x", 1, "unexpected '~'"), ("x|y", 2, r"unexpected '\|'"),
    ("x<<9", 2, "comparisons"), ("(x:=1)", 3, "unexpected ':'"), ("x=1", 2, "comparisons and assignments"),
    ("x<y", 2, "comparisons"), ("x!=y", 2, "comparisons"), ("x; y", 2, "unexpected ';'"),
    ("x # y", 3, "unexpected '#'"), ("x \\ y", 3, "unexpected"), ("$x", 1, r"unexpected '\$'"),
    ("1,2", 2, r"write 1\.5 for 1,5"), ("(1,2)", 3, "a comma parts the arguments"), (",", 1, "found ','"),
    ("max(1,)", 7, r"after ',', but found '\)'"), ("max(,1)", 5, "after 'max\\(', but found ','"),
    ("max(1)", 1, r"wrong number of arguments, 1; write max\(x, y\)"),
    ("max(1,2,3)", 1, "wrong number of arguments, 3"),
    ("1+sin(1,2)", 3, r"wrong number of arguments, 2; write sin\(x\)"),
    ("sin()", 5, r"nothing stands in these parentheses; write sin\(x\)"),
    ("()", 2, r"nothing stands in these parentheses; write \(x\)"),
    (")", 1, r"expected a value at the start, but found '\)'"), ("x)", 2, r"this '\)' closes nothing"),
    ("1+(x", 3, r"'\(' is never closed"), ("1+sin (x", 3, r"'sin\(' is never closed"),
    ("((x)", 1, "is never closed"), ("(x+)", 4, r"after '\+', but found '\)'"),
    ("x+", 3, r"after '\+', but the text ends"), ("-", 2, "after '-', but the text ends"),
    ("*x", 1, r"at the start, but found '\*'"), ("x***y", 4, r"after '\*\*', but found '\*'"),
    ("x^^y", 3, r"after '\^', but found '\^'"), ("max(x, *y)", 8, r"after ',', but found '\*'"),
    ("max(x, y=1)", 9, "comparisons and assignments"), ("0x10", 2, r"write 0\*x10"), ("1j", 2, r"write 1\*j"),
    ("1e999", 1, "beyond float64"), ("1+" + "9" * 5000, 3, "beyond float64"),
    ("x\u00b2", 2, r"U\+00B2 SUPERSCRIPT TWO: write \*\*2"),
    ("\uff53\uff49\uff4e(x)", 1, r"U\+FF53 .*: write s"),
    ("\u0663*x", 1, r"U\+0663 ARABIC-INDIC DIGIT THREE: write 3"), ("2 \u00d7 x", 3, r"U\+00D7 .*: write \*"),
    ("x \u2212 1", 3, r"U\+2212 .*: write -"), ("\u221a(x)", 1, r"write sqrt\(\.\.\.\)"),
    ("\u03c0*x", 1, "write pi"), ("x\u00a0+ 1", 2, "write a plain space"), ("x\u2028+1", 2, "write"),
    ("x\u200f", 2, r"U\+200F RIGHT-TO-LEFT MARK"), ("x\u202e+1", 2, "RIGHT-TO-LEFT OVERRIDE"),
    ("\u0430+1", 1, "CYRILLIC SMALL LETTER A"), ("\ufeffx", 1, "ZERO WIDTH NO-BREAK SPACE"),
    ("e\u0301", 2, "COMBINING ACUTE ACCENT"), ("\ufdfa", 1, r"U\+FDFA"), ("x\0y", 2, r"U\+0000"),
    ("\x1b[31mx", 1, r"U\+001B"), ("x\x7f", 2, r"U\+007F"), ("x\x0b", 2, r"U\+000B"),
    ("\ud800", 1, r"U\+D800"), ("x + \udfff", 5, r"U\+DFFF"), ("\U0001f600", 1, "GRINNING FACE"),
    ("(" * 100_000 + "x" + ")" * 100_000, MAX_CHARACTERS + 1, "longer than 10000 characters"),
    ("-" * 100_000 + "1", MAX_CHARACTERS + 1, "longer than 10000 characters"),
    ("x" * 1_000_000, MAX_CHARACTERS + 1, "longer than"),
    ("(" * DEEP, MAX_NESTING + 1, "more than 100 levels of nesting"),
    ("-" * DEEP + "1", MAX_NESTING + 1, "more than 100 levels of nesting"),
    ("sin(" * 2000, 4 * MAX_NESTING + 1, "more than 100 levels of nesting"),
    ("x**" * 2000 + "x", 3 * MAX_NESTING + 2, "more than 100 levels of nesting"),
    ("-(" * 2000, MAX_NESTING + 1, "more than 100 levels of nesting"),
    ("x+" * 4000 + "x", MAX_NODES, "more than 5000 numbers, names and operations"),
    ("+" * DEEP, MAX_CHARACTERS, "the text ends"), (")" * DEEP, 1, "at the start"),
    ("_" * DEEP, 1, "a name starts"), ("a" * 9000 + "(x)", 1, r"unknown function a{27}\.\.\.; to multiply"),
    ("9" * 300 + " " + "9" * 300, 302, "an operator is missing"),
    (" " * DEEP, MAX_CHARACTERS, "the text ends"),
]  # fmt: skip
ACCEPTED = [
    "9**9**9**9", "+" * DEEP + "1", "x" * MAX_CHARACTERS, "0." + "3" * 9000, "1e-" + "9" * 9000,
    "0" * 9999 + "1", "9" * 300, "(" * MAX_NESTING + "x" + ")" * MAX_NESTING, "-" * MAX_NESTING + "1",
    "x**" * MAX_NESTING + "x", "x+" * (MAX_NODES // 2 - 1) + "-x", "2" + "*9" * 2000, "2" + "**9" * 100,
    "x" + " " * 9000, "match*case*type",
]  # fmt: skip


def timed(action: Callable[[], object]) -> float:
    """Seconds of this thread's own work, whatever else the machine does: a text may cost no more than one of them."""
    start = time.thread_time()
    action()
    return time.thread_time() - start


def answer(text: str) -> float | ExpressionError:
    """A value or an ExpressionError; any other exception escapes and fails the test."""
    try:
        formula = parse(text)
        return float(formula.evaluate(dict.fromkeys(formula.variables, 1.5), ANYTHING))
    except ExpressionError as error:
        assert error.caret()
        assert 1 <= error.column <= min(len(text), MAX_CHARACTERS) + 1
        return error


@pytest.mark.parametrize(("text", "column", "sentence"), REFUSED, ids=lambda item: ascii(item)[:30])
def test_refusals_say_where_and_what(text: str, column: int, sentence: str) -> None:
    with pytest.raises(ExpressionError, match=sentence) as caught:
        parse(text)
    error = caught.value
    assert error.column == column
    assert str(error) == f"column {column}: {error.message}"
    assert error.text == text
    assert re.fullmatch(r"[ -~]{10,400}", str(error)), "one line of plain ASCII"
    shown, mark = error.caret().split("\n")
    assert re.fullmatch(r"[ -~]{0,80}", shown)
    assert re.fullmatch(r" *\^", mark)
    assert len(mark) <= 72 + len("...")
    place = len(mark) - 1
    if column <= len(text) and " " < text[column - 1] <= "~":
        assert shown[place] == text[column - 1]
    elif column > len(text):
        assert place == len(shown)
    assert timed(lambda: answer(text)) < 1


@pytest.mark.parametrize("text", ACCEPTED, ids=lambda text: text[:20])
def test_long_texts_within_the_limits_are_answered_at_once(text: str) -> None:
    assert isinstance(answer(text), float)
    formula = parse(text)
    assert parse(formula.unparse()) == formula
    assert timed(lambda: answer(text)) < 1
    assert timed(lambda: formula.unparse()) < 1


def test_a_tower_of_powers_takes_no_time() -> None:
    assert timed(lambda: parse("9**9**9**9").evaluate({}, FLOATS)) < 1


def test_the_limits_are_exact() -> None:
    for deepest, too_deep in (
        ("(" * 100 + "x" + ")" * 100, "(" * 101 + "x" + ")" * 101),
        ("sin(" * 100 + "x" + ")" * 100, "sin(" * 101 + "x" + ")" * 101),
        ("-(" * 50 + "x" + ")" * 50, "-" + "-(" * 50 + "x" + ")" * 50),
        ("x**" * 100 + "x", "x**" * 101 + "x"),
    ):
        parse(f"{deepest} + {deepest} * {deepest}")  # one after another is not nesting
        with pytest.raises(ExpressionError, match="nesting"):
            parse(too_deep)
    assert parse("-" + "+".join("x" * 2500)).size == MAX_NODES
    with pytest.raises(ExpressionError, match="5000"):
        parse("--" + "+".join("x" * 2500))
    assert parse("x" * 10_000).size == 1
    with pytest.raises(ExpressionError, match="10000"):
        parse("x" * 10_001)
    long = "+".join(["a" * 99] * 100)
    assert parse(long.replace("+", "^", 1)).size == 199
    assert len(long) == 9999
    with pytest.raises(ExpressionError, match="10000"):  # unparse() writes ** for ^
        parse(long.replace("+", "^", 2))


def test_unparse_of_a_long_formula_is_still_read() -> None:
    formula = parse("+".join(["xyz"] * 2500))
    assert len(formula.unparse()) <= MAX_CHARACTERS
    assert parse(formula.unparse()) == formula


def test_nothing_recurses() -> None:
    texts = ["(" * 100 + "x" + ")" * 100, "-" * 100 + "x", "x**" * 100 + "x", "-" + "+".join("x" * 2500)]
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]
        depth += 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 30)
    try:
        for text in texts:
            formula = parse(text)
            formula.evaluate({"x": 0.5}, math)
            formula.unparse()
    finally:
        sys.setrecursionlimit(limit)


def test_random_texts_give_a_value_or_an_expression_error() -> None:
    generator = random.Random(1)
    letters = "xyzep0123456789.+-*/^(), \t_eE=<>[]{}'\"\\%@:;#\0\u00b2\uff53\u0663\u200f\ud800"
    words = [
        *FUNCTIONS,
        *CONSTANTS,
        *["**", "//", "(", ")", ",", "-", "+", "*", "x", "y1", "2", ".5", "1e9", "9", "if"],
        " ",
    ]
    for number in range(100_000):
        pool = letters if number % 2 else words
        answer("".join(generator.choices(pool, k=generator.randrange(40))))


def test_parse_takes_text_only() -> None:
    for other in (b"x", None, 1, ["x"]):
        with pytest.raises(TypeError, match="a formula is text"):
            parse(other)  # type: ignore[arg-type]


def test_the_caret_stays_under_its_place_in_a_long_text() -> None:
    for before in (0, 10, 35, 36, 37, 500):
        for after in (0, 10, 35, 36, 37, 500):
            with pytest.raises(ExpressionError) as caught:
                parse("x" * before + "$" + "y" * after)
            shown, mark = caught.value.caret().split("\n")
            assert shown[len(mark) - 1] == "$"
            assert len(shown) <= 78
            assert shown.startswith("...") == (len(shown.strip(".").split("$")[0]) < before)
            assert shown.endswith("...") == (len(shown.strip(".").split("$")[1]) < after)


# --- assignments


def test_assignments() -> None:
    point = parse_assignments(["x=2", "u=3,v=-4.5e1"])
    assert point == {"x": 2.0, "u": 3.0, "v": -45.0}
    assert list(point) == ["x", "u", "v"]
    assert {type(value) for value in point.values()} == {float}
    point = parse_assignments([" x = pi/2 , y_1= 1/2", "z=pow(2, 3)*sqrt(4)"])
    assert point == {"x": math.pi / 2, "y_1": 0.5, "z": 16.0}
    assert parse_assignments([]) == {}
    assert parse_assignments("x=1,y=2") == {"x": 1.0, "y": 2.0}


@pytest.mark.parametrize(
    ("items", "column", "sentence"),
    [
        (["x=2", "y=1,x=3"], 5, "x is given twice"), (["x"], 1, "expected name=value"),
        ([""], 1, "expected name=value"), (["x=2,"], 5, "expected name=value"),
        (["x=2,,y=3"], 5, "expected name=value"), (["2=x"], 1, "expected name=value"),
        (["sin(x)=2"], 1, "expected name=value"), (["x="], 3, "the text ends"), (["x==2"], 3, "assignments"),
        (["x:=2"], 1, "expected name=value"), (["x=2=3"], 4, "assignments"),
        (["x=inf"], 3, "x must be a finite number"), (["x=-nan"], 3, "x must be a finite number"),
        (["x=y"], 3, "x must be a finite number"), (["a=1,x=1/0"], 7, "x must be a finite number"),
        (["x=9**9**9**9"], 3, "x must be a finite number"), (["x=log(0)"], 3, "x must be a finite number"),
        (["x=exp(1000)"], 3, "x must be a finite number"), (["x=relu(1)"], 3, "relu is not available here"),
        (["e=3"], 1, "e already has a meaning"), (["sin=3"], 1, "sin already has a meaning"),
        (["if=3"], 1, "if is a word of Python"), (["_x=3"], 1, "a name starts with a letter"),
        (["\uff58=3"], 1, "write x"), (["x=\u0663"], 3, "write 3"),
        (["a=1, b=2 3"], 10, "an operator is missing"), (["x=max(1"], 3, "is never closed"),
        (["x=(1,y=2"], 5, "a comma parts"), (["x=1),y=2"], 4, "closes nothing"),
        (["x=" + "9" * 5000], 3, "beyond float64"), (["x=" + "1" * 10_000], 10_001, "longer than"),
    ],
    ids=lambda item: ascii(item)[:30],
)  # fmt: skip
def test_assignments_refused(items: list[str], column: int, sentence: str) -> None:
    with pytest.raises(ExpressionError, match=sentence) as caught:
        parse_assignments(items)
    assert caught.value.column == column
    assert caught.value.text == items[-1]


def test_hostile_assignments_take_no_time() -> None:
    def attempt(item: str) -> None:
        with pytest.raises(ExpressionError):
            parse_assignments([item])

    for item in ("x=1," * 2500, "x" * 1_000_000, "=" * DEEP, "," * DEEP, "x=" + "(" * 9000, "(,)" * 3000):
        assert timed(lambda item=item: attempt(item)) < 1  # type: ignore[misc]
    names = ",".join(f"x{i}=1" for i in range(1200))
    assert len(parse_assignments([names])) == 1200
    assert timed(lambda: parse_assignments([names])) < 1


# --- what the module may do

EVENTS: list[str] | None = None


def listen(event: str, _: Any) -> None:
    if EVENTS is not None:
        EVENTS.append(event)


def test_parsing_compiles_imports_and_opens_nothing() -> None:
    global EVENTS
    sys.addaudithook(listen)  # a hook cannot be removed: it listens only while EVENTS is a list
    texts = [text for text, _, _ in REFUSED] + ACCEPTED
    EVENTS = []
    try:
        for text in texts:
            try:
                formula = parse(text)
                formula.unparse()
                formula.evaluate(dict.fromkeys(formula.variables, 1.0), math)
            except ExpressionError as error:
                error.caret()
        heard = EVENTS.copy()
        EVENTS.clear()
        compile("1", "control", "eval")  # the hook does hear
        control = EVENTS.copy()
    finally:
        EVENTS = None
    assert heard == []
    assert control == ["compile"]


@pytest.mark.parametrize("module", [expression, parsing])
def test_the_modules_are_self_contained_and_have_no_way_to_run_text(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {
        "eval",
        "exec",
        "compile",
        "__import__",
        "open",
        "globals",
        "locals",
        "vars",
        "setattr",
    }
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            if (node.level, node.module) not in ((1, "expression"), (1, "refusals")):
                assert node.level == 0
                imported.add(node.module.split(".")[0])
    assert imported <= sys.stdlib_module_names
    assert not imported & {"ast", "importlib", "code", "codeop", "builtins", "os", "subprocess", "ctypes"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "__globals__" not in attributes
    assert "__builtins__" not in attributes
