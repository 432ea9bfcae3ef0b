"""The formula parser, with Python's own grammar as the reference, and what a formula computes."""

from __future__ import annotations

import ast
import math
import pickle
import random
import re
import struct
from dataclasses import FrozenInstanceError
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.explain.expression import CONSTANTS, FUNCTIONS, Expression, ExpressionError
from chainrule.explain.parsing import parse
from formulas import ANYTHING, FLOATS

# A busy machine is no mistake in the parser.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TWO_ARGUMENTS = {"pow", "min", "max", "minimum", "maximum"}
ARITY = {name: 1 + (name in TWO_ARGUMENTS) for name in FUNCTIONS}


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
