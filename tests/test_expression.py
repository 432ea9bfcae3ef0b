"""The formula parser: Python's own grammar as the reference, and hostile texts that must only be refused."""

from __future__ import annotations

import ast
import math
import pickle
import random
import re
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.explain import expression, parsing
from chainrule.explain.expression import (
    CONSTANTS,
    FUNCTIONS,
    MAX_CHARACTERS,
    MAX_NESTING,
    MAX_NODES,
    Expression,
    ExpressionError,
)
from chainrule.explain.parsing import parse, parse_assignments

# A busy machine is no mistake in the parser.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TWO_ARGUMENTS = {"pow", "min", "max", "minimum", "maximum"}
ARITY = {name: 1 + (name in TWO_ARGUMENTS) for name in FUNCTIONS}
EXTRA = {"abs": abs, "minimum": min, "maximum": max, "square": lambda x: x * x}
FLOATS = SimpleNamespace(**{**vars(math), **EXTRA})


def same(left: float, right: float) -> bool:
    """Equal bits, where every nan is one nan."""
    return (left != left and right != right) or struct.pack("d", left) == struct.pack("d", right)


# --- the tree, from Python's grammar and from ours

SYMBOLS: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def python_tree(node: ast.AST) -> Any:
    """Python's reading of a trusted text, as nested tuples."""
    match node:
        case ast.Expression(body=body):
            return python_tree(body)
        case ast.BinOp(left=left, op=op, right=right):
            return (SYMBOLS[type(op)], python_tree(left), python_tree(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ("neg", python_tree(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return python_tree(operand)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if len(arguments) == ARITY.get(name):
            return (f"{name}()", *map(python_tree, arguments))
        case ast.Name(id=name):
            return name
        case ast.Constant(value=int() | float() as value):
            return float(value)
    raise SyntaxError(ast.dump(node))  # Python's, but no formula: a tuple, a call of a value, ...


def our_tree(formula: Expression) -> Any:
    stack: list[Any] = []
    for kind, name, arity, number in formula.program:
        operands = stack[len(stack) - arity :]
        del stack[len(stack) - arity :]
        call = f"{name}()" if kind == "function" else name
        stack.append((call, *operands) if arity else float(number) if kind == "number" else name)
    assert len(stack) == 1
    return stack[0]


def assert_like_python(text: str) -> None:
    assert our_tree(parse(text)) == python_tree(ast.parse(text.strip(), mode="eval"))


@pytest.mark.parametrize(
    "text",
    [
        "-x**2", "2**-x", "2**-x**2", "-2**-x**-y", "x**y**z", "(x**y)**z", "-x*y", "x*-y*z", "x*-y**2*z",
        "x-y-z", "x-(y-z)", "x/y/z", "x/(y/z)", "x/y*z", "x+y*z", "x*y+z", "--x", "-+-x", "+x**2", "x--y",
        "x- -y", "x+-y", "x*+y", "-(x+y)*z", "(-x)**2", "2**(-x)*y", "x**-y*z", "x**-y+z", "x**-y**-z/2",
        "sin(x)**2", "-sin(x)**2", "sin(-x**2)", "max(x+1, y*2)**z", "sin(cos(x))", "max(min(x,y),-z)",
        "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5", "u**3+v**2+4*u*v", "sin(x)*exp(-x**2) + tanh(x)",
        "1", ".5", "1.", "1e-3", "1.5E+3", "  ( ( x ) ) ", "\tx\n", "(x)", "((x))*((y))",
    ],
)  # fmt: skip
def test_precedence_is_pythons(text: str) -> None:
    assert_like_python(text)


def test_power_may_be_written_with_a_caret() -> None:
    assert parse("-x^2^y") == parse("-x**2**y") != parse("(-x)**2**y")


# --- random programs

NAMES = ["x", "y", "x1", "a_b", "T"]
LEAVES = st.one_of(
    st.sampled_from([*NAMES, *CONSTANTS]),
    st.integers(0, 2**60).map(str),
    st.floats(0, allow_infinity=False, allow_nan=False).map(repr),
)
SPACES = st.sampled_from(["", "", "", " ", "\t", "  "])


def trees(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    one, two = sorted(FUNCTIONS.keys() - TWO_ARGUMENTS), sorted(TWO_ARGUMENTS)
    return st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/", "**"]), children, children),
        st.tuples(st.just("neg"), children),
        st.tuples(st.sampled_from(one).map("{}()".format), children),
        st.tuples(st.sampled_from(two).map("{}()".format), children, children),
    )


def grown(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, trees, max_leaves=25)


TREES = grown(LEAVES)


def bracketed(tree: Any) -> str:
    """The tree with every parenthesis written, which leaves nothing to precedence."""
    match tree:
        case str():
            return tree
        case ("neg", operand):
            return f"(-{bracketed(operand)})"
        case (str() as name, *operands) if name.endswith("()"):
            return f"{name[:-1]}{', '.join(map(bracketed, operands))})"
        case (name, left, right):
            return f"({bracketed(left)} {name} {bracketed(right)})"
    raise AssertionError(tree)


def with_numbers(tree: Any) -> Any:
    if isinstance(tree, tuple):
        return (tree[0], *map(with_numbers, tree[1:]))
    return float(tree) if tree[0].isdigit() else tree


@given(TREES)
def test_a_bracketed_tree_is_read_back(tree: Any) -> None:
    assert our_tree(parse(bracketed(tree))) == with_numbers(tree)


@given(TREES)
def test_unparse_is_python_and_gives_the_same_program(tree: Any) -> None:
    formula = parse(bracketed(tree))
    text = formula.unparse()
    again = parse(text)
    assert again.program == formula.program
    assert again == formula
    assert hash(again) == hash(formula)
    assert [type(step.number) for step in again.program] == [type(step.number) for step in formula.program]
    assert again.unparse() == text
    assert_like_python(text)


@given(TREES)
def test_unparse_writes_no_parenthesis_too_many(tree: Any) -> None:
    formula = parse(bracketed(tree))
    text = formula.unparse()
    opened: list[int] = []
    for place, char in enumerate(text):
        if char == "(":
            opened.append(place)
        elif char == ")":
            start = opened.pop()
            if start and text[start - 1].isalnum():
                continue  # of a call
            without = f"{text[:start]} {text[start + 1 : place]} {text[place + 1 :]}"
            assert parse(without) != formula


WORDS = ["x", "y", "2", ".5", "+", "-", "*", "/", "**", "(", ")", ")", "sin(", "max(", ","]


@given(st.lists(st.tuples(SPACES, st.sampled_from(WORDS)), max_size=14))
@settings(max_examples=1000)
def test_we_refuse_exactly_what_python_refuses(words: list[tuple[str, str]]) -> None:
    text = "".join(space + word for space, word in words)
    try:
        tree = python_tree(ast.parse(text.strip(), mode="eval"))
    except (SyntaxError, KeyError):  # KeyError: an operator that is Python's and not ours, such as //
        tree = None
    if tree is None or re.search(r",\s*\)", text):  # Python allows a comma after the last argument
        with pytest.raises(ExpressionError):
            parse(text)
    else:
        assert our_tree(parse(text)) == tree


# --- values


def last(*operands: Any) -> Any:
    """A function that is defined everywhere."""
    return operands[-1]


ANYTHING = SimpleNamespace(**dict.fromkeys(FUNCTIONS.values(), last))
NUMBERS = st.one_of(st.floats(), st.integers(), st.integers(-(10**400), 10**400))


@given(grown(st.sampled_from("abcd")), st.lists(st.floats(), min_size=4, max_size=4))
@settings(max_examples=500)
def test_arithmetic_on_floats_is_numpys(tree: Any, numbers: list[float]) -> None:
    formula = parse(bracketed(tree))
    ours = formula.evaluate(dict(zip("abcd", numbers, strict=True)), ANYTHING)
    assert type(ours) is float
    with np.errstate(all="ignore"):
        theirs = formula.evaluate(dict(zip("abcd", map(np.float64, numbers), strict=True)), ANYTHING)
    assert same(ours, theirs)


@given(TREES, st.lists(NUMBERS, min_size=5, max_size=5))
@settings(max_examples=500)
def test_plain_numbers_never_raise_and_never_grow(tree: Any, numbers: list[float]) -> None:
    value = parse(bracketed(tree)).evaluate(dict(zip(NAMES, numbers, strict=True)), ANYTHING)
    assert type(value) is float or (type(value) is int and abs(value) < 2**53)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9**9**9**9", math.inf), ("(-9)**9**9", -math.inf), ("2**0.5", 2**0.5), ("2**-1", 0.5),
        ("(-8)**(1/3)", math.nan), ("0**-1", math.inf), ("(-0.0)**-1", -math.inf), ("(-0.0)**-2", math.inf),
        ("0**0", 1), ("1/0", math.inf), ("-1/0", -math.inf), ("1/-0.0", -math.inf), ("0/0", math.nan),
        ("(9**999-9**999)/0", math.nan), ("1e308*10", math.inf), ("1e308**2", math.inf),
        ("(-1e308)**3", -math.inf), ("(-1e308)**2.0", math.inf), ("3**33", 3**33), ("3**34", math.pow(3, 34)),
        ("(-3)**3", -27), ("(-1)**9007199254740991", -1), ("7/2", 3.5), ("2*3-10", -4), ("pow(2, 10)", 1024),
        ("pow(9, pow(9, 9))", math.inf), ("007", 7), ("1e3", 1000.0), ("ln(e)", 1.0), ("log10(1000)", 3.0),
        ("max(2, 3) - min(2, 3)", 1), ("square(3)", 9), ("sin(pi/2)", 1.0), ("tau/pi", 2.0), ("-2**2", -4),
        ("2**3**2", 512), ("9007199254740993", 2.0**53), ("abs(-3)", 3),
    ],
)  # fmt: skip
def test_values(text: str, value: float) -> None:
    ours = parse(text).evaluate({}, FLOATS)
    assert same(float(ours), float(value))
    assert type(ours) is type(value)


def test_no_int_ever_grows() -> None:
    biggest = 2**53 - 1
    chain = "*".join([str(biggest)] * 500)
    assert parse(chain).evaluate({}, FLOATS) == math.inf
    assert type(parse(f"{biggest}+0").evaluate({}, FLOATS)) is int
    for text in (f"{biggest}+1", f"-{biggest}-1", f"{biggest}*2", "2**53", "9007199254740992", "x", "-x"):
        assert type(parse(text).evaluate({"x": 2**53}, FLOATS)) is float
    assert parse("x").evaluate({"x": -(10**400)}, FLOATS) == -math.inf


def test_every_function_is_called_by_its_torch_name() -> None:
    calls: list[tuple[str, int]] = []

    def record(name: str, *operands: Any) -> float:
        calls.append((name, len(operands)))
        return 0.5

    functions = SimpleNamespace(**{name: partial(record, name) for name in FUNCTIONS.values()})
    for name, arity in ARITY.items():
        parse(f"{name}(x, y)" if arity == 2 else f"{name}(x)").evaluate({"x": 0.5, "y": 2.0}, functions)
    torch_names = {"ln": "log", "min": "minimum", "max": "maximum"}
    assert calls == [(torch_names.get(name, name), arity) for name, arity in ARITY.items() if name != "pow"]
    assert sorted(FUNCTIONS) == [
        "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "exp", "expm1", "ln",
        "log", "log10", "log1p", "log2", "max", "maximum", "min", "minimum", "pow", "relu", "sigmoid", "sin",
        "sinh", "softplus", "sqrt", "square", "tan", "tanh",
    ]  # fmt: skip


def test_lift_reaches_the_numbers_that_functions_receive_and_no_others() -> None:
    lifted: list[float] = []

    def lift(number: float) -> Any:
        lifted.append(number)
        return np.float64(number)

    functions = SimpleNamespace(maximum=np.maximum, sin=np.sin)
    value = parse("3*max(x, 0) + sin(2)**5").evaluate({"x": np.float64(7)}, functions, lift)
    assert lifted == [0, 2]
    assert value == 21 + np.sin(2.0) ** 5


def test_operands_may_be_any_objects() -> None:
    class Word:
        def __init__(self, text: str) -> None:
            self.text = text

        def __neg__(self) -> Word:
            return Word(f"(-{self.text})")

        def __pow__(self, other: Any) -> Word:
            return Word(f"({self.text}**{getattr(other, 'text', other)!s})")

        def __radd__(self, other: Any) -> Word:
            return Word(f"({other}+{self.text})")

        def __rtruediv__(self, other: Any) -> Word:
            return Word(f"({other}/{self.text})")

    functions = SimpleNamespace(sin=lambda word: Word(f"sin {word.text}"), pi="PI")
    assert parse("1/-x**2").evaluate({"x": Word("x")}, functions).text == "(1/(-(x**2)))"
    assert parse("1 + sin(x)").evaluate({"x": Word("x")}, functions).text == "(1+sin x)"
    assert parse("pow(x, y)").evaluate({"x": Word("x"), "y": Word("y")}, functions).text == "(x**y)"
    assert parse("pi").evaluate({}, functions) == "PI"
    assert parse("e").evaluate({}, functions) == math.e


def test_formulas_stay_exact_in_sympy() -> None:
    sympy = pytest.importorskip("sympy")
    x, y = sympy.symbols("x y")
    formula = parse("5*x**4 - x^(2+1)/3 + 2**3*pi*sin(x*y) - ln(y)")
    value = formula.evaluate({"x": x, "y": y}, sympy)
    assert value == 5 * x**4 - x**3 / 3 + 8 * sympy.pi * sympy.sin(x * y) - sympy.log(y)
    assert not value.atoms(sympy.Float)


def test_arrays_work_too() -> None:
    x = np.linspace(-2, 2, 9)
    value = parse("sin(x)*exp(-x**2)").evaluate({"x": x}, np)
    np.testing.assert_array_equal(value, np.sin(x) * np.exp(-(x**2)))


def test_errors_of_evaluation_know_their_place() -> None:
    formula = parse("x + foo*y + foo")
    with pytest.raises(ExpressionError, match=r"foo has no value; give one, as in foo=2") as error:
        formula.evaluate({"x": 1.0, "y": 1.0}, FLOATS)
    assert error.value.column == 5
    assert error.value.caret() == "x + foo*y + foo\n    ^"
    with pytest.raises(ExpressionError, match=r"softplus is not available here") as error:
        parse("1 + softplus(2)").evaluate({}, math)
    assert error.value.column == 5


# --- the object


def test_variables_size_and_text() -> None:
    formula = parse("z*b + pi*z - sin(a)**b")
    assert formula.variables == ("z", "b", "a")
    assert formula.size == 12
    assert formula.text == "z*b + pi*z - sin(a)**b"
    assert parse("1").variables == ()


def test_an_expression_is_immutable_hashable_and_pickled() -> None:
    formula = parse(" x+ 1")
    with pytest.raises(FrozenInstanceError):
        formula.text = "y"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(formula)) == formula == parse("(x) + 1")
    assert len({formula, parse("x+1"), parse("x+1.0"), parse("1+x")}) == 3
    error = pickle.loads(pickle.dumps(ExpressionError("why", "x $", 3)))
    assert (str(error), error.message, error.text, error.column) == ("column 3: why", "why", "x $", 3)


# --- refusals

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


def test_it_computes_what_sympy_does() -> None:
    sympy, mpmath = pytest.importorskip("sympy"), pytest.importorskip("mpmath")
    r = random.Random(1)
    points = [(r.uniform(0.2, 2), r.uniform(0.2, 2)) for _ in range(20)]

    def text(depth: int) -> str:
        if not depth:
            return r.choice(["x", "y", "2", "0.5", "3", "pi"])
        kind = r.random()
        if kind < 0.3:
            return f"{r.choice(['sin', 'cos', 'tanh', 'exp', 'sqrt', 'log', 'atan', 'abs'])}({text(depth - 1)})"
        if kind < 0.4:
            return r.choice([f"-({text(depth - 1)})", f"({text(depth - 1)})^2"])
        return f"({text(depth - 1)}){r.choice('+-*/')}({text(depth - 1)})"

    functions = SimpleNamespace(**{**vars(math), "abs": abs})
    compared = 0
    for _ in range(300):
        formula = parse(text(r.randint(1, 4)))
        tree = sympy.sympify(formula.unparse(), evaluate=False, locals={"abs": sympy.Abs})
        theirs = sympy.lambdify(sympy.symbols("x y"), tree, "mpmath")
        for x, y in points:
            try:
                ours = float(formula.evaluate({"x": x, "y": y}, functions))
                want = complex(theirs(mpmath.mpf(x), mpmath.mpf(y)))
            except (ValueError, OverflowError, ZeroDivisionError):
                continue
            if math.isfinite(ours) and not want.imag:
                assert ours == pytest.approx(want.real, rel=1e-9, abs=1e-9), formula.text
                compared += 1
    assert compared > 4000
