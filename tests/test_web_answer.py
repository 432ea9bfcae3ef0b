"""What the page shows of a function: right numbers, refusals with their place, and nothing that breaks it."""

from __future__ import annotations

import ast
import json
import math
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainrule import web
from chainrule.explain.expression import CONSTANTS, FUNCTIONS
from chainrule.explain.parsing import parse
from chainrule.language import set_language
from chainrule.web.answer import ORDERS, POINTS, answer

EVENTS: list[str] | None = None


def asked(formula: str, lang: str = "en", **at: str) -> dict[str, Any]:
    """The whole answer, as it looks after the way through JSON."""
    set_language(lang)  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for part in answer({"formula": formula, "at": at}):
        found |= json.loads(json.dumps(part, allow_nan=False))
    return found


def test_the_numbers_of_a_function() -> None:
    found = asked("5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5", x="2")
    assert (found["result"]["value"], found["derivatives"][0]["value"]) == (145.0, 233.0)
    (proof,) = found["evidence"]
    assert (proof["name"], proof["verdict"]) == ("dy/dx", "agrees")
    assert proof["reverse"] == proof["forward"] == 233.0
    assert proof["finite_difference"] == pytest.approx(233, rel=1e-9)
    assert found["steps"][0]["step"].startswith("y = ")
    assert found["graph"].startswith("<svg")
    assert "style" not in found["graph"].replace("</title>", ""), "the page's policy allows no inline style"


def test_the_formula_comes_after_the_numbers() -> None:
    pytest.importorskip("sympy")
    parts = list(answer({"formula": "x**2*sin(x)", "at": {"x": "2"}}))
    first = next(i for i, part in enumerate(parts) if "result" in part)
    assert math.isclose(parts[first]["derivatives"][0]["value"], 4 * math.sin(2) + 4 * math.cos(2))
    assert "mathml" not in parts[first]
    assert len(parts[-1]["mathml"]) == 2
    assert parts[-1]["evidence"][0]["sympy"] == pytest.approx(parts[first]["derivatives"][0]["value"])


def test_numbers_alone() -> None:
    pytest.importorskip("sympy")
    parts = list(answer({"formula": "x**2", "at": {"x": "2"}, "brief": True}))
    assert "plot" in parts[-1]
    assert not any(part.get("mathml") for part in parts)


def test_a_value_may_be_a_formula_and_a_new_variable_starts_at_one() -> None:
    found = asked("x*y", x="pi/2")
    assert found["point"] == [
        {"name": "x", "text": "pi/2", "value": math.pi / 2},
        {"name": "y", "text": "1", "value": 1.0},
    ]
    assert [d["value"] for d in found["derivatives"]] == [1.0, math.pi / 2]


def test_the_curve_is_the_function() -> None:
    plot = asked("x**3 - 3*x", x="0.5")["plot"]
    assert len(plot["values"]) == ORDERS + 1
    step = (plot["high"] - plot["low"]) / (POINTS - 1)
    for i in range(0, POINTS, 40):
        x = plot["low"] + i * step
        assert [v[i] for v in plot["values"]] == pytest.approx([x**3 - 3 * x, 3 * x * x - 3, 6 * x], abs=1e-7)
    assert [m["kind"] for m in plot["marks"]] == ["maximum", "minimum", "inflection"]
    assert [m["x"] for m in plot["marks"]] == pytest.approx([-1, 1, 0], abs=1e-12)


def test_a_curve_ends_where_the_function_does() -> None:
    plot = asked("log(x)", x="1")["plot"]
    nothing = [[v is None for v in order] for order in plot["values"]]
    assert nothing[0] == nothing[1] == nothing[2]
    assert any(nothing[0])
    assert not all(nothing[0])


def test_two_variables_have_a_map_and_each_its_curve() -> None:
    level = asked("u**3 + v**2 + 4*u*v", u="3", v="4")["plot"]["map"]
    size = level["size"]
    assert len(level["values"]) == size**2
    (low_u, low_v), (high_u, high_v) = level["low"], level["high"]
    assert level["values"][0] == pytest.approx(low_u**3 + low_v**2 + 4 * low_u * low_v)
    assert level["values"][size - 1] == pytest.approx(high_u**3 + low_v**2 + 4 * high_u * low_v), "u runs first"
    assert level["values"][-1] == pytest.approx(high_u**3 + high_v**2 + 4 * high_u * high_v)
    assert low_u < 3 < high_u
    assert low_v < 4 < high_v
    plot = list(answer({"formula": "u**3 + v**2 + 4*u*v", "at": {"u": "3", "v": "4"}, "by": "v", "range": [0, 8]}))[-2][
        "plot"
    ]
    assert (plot["by"], plot["low"], plot["high"]) == ("v", 0, 8)
    assert plot["values"][1][0] == pytest.approx(12), "2*v + 4*u at v = 0"


@pytest.mark.parametrize(
    ("formula", "at", "field", "english", "chinese", "caret"),
    [
        ("2x", {}, "formula", "to multiply, write 2*x", "要相乘请写 2*x", "2x\n ^"),
        ("sin(x", {}, "formula", "is never closed", "没有闭合", "sin(x\n^"),
        ("x + * y", {}, "formula", "expected a value after '+'", "后面应该是一个值", "x + * y\n    ^"),
        ("sqqrt(x)", {}, "formula", "did you mean sqrt", "您是想写 sqrt 吗", "sqqrt(x)\n^"),
        ("ｘ", {}, "formula", "write x", "请写 x", "?\n^"),
        ("x.real", {}, "formula", "attributes are not available", "这里没有属性", "x.real\n ^"),
        ("", {}, "formula", "the text ends", "什么也没有", "\n^"),
        ("x", {"x": "1+"}, "x", "expected a value", "后面还缺一个值", "x=1+\n    ^"),
        ("x", {"x": "inf"}, "x", "must be a finite number", "必须是有限的数", "x=inf\n  ^"),
        ("x", {"x": "log(0)"}, "x", "must be a finite number", "必须是有限的数", "x=log(0)\n  ^"),
    ],
)
def test_refusals_name_the_place_in_both_languages(
    formula: str, at: dict[str, str], field: str, english: str, chinese: str, caret: str
) -> None:
    for lang, sentence in (("en", english), ("zh", chinese)):
        error = asked(formula, lang, **at)["error"]
        assert (error["field"], error["caret"]) == (field, caret)
        assert sentence in error["message"]
        assert error["message"].startswith("column " if lang == "en" else "第 ")


def test_a_constant_has_nothing_to_differentiate_by() -> None:
    assert asked("2 + pi")["error"] == {"field": "formula", "code": "no variable"}


def test_where_there_is_no_derivative_it_says_so() -> None:
    assert asked("abs(x - 1)", x="1")["evidence"][0]["verdict"] == "kink"
    found = asked("log(x)", x="-1")
    assert found["result"]["value"] == "nan"
    assert (found["surprises"][0]["code"], found["evidence"][0]["verdict"]) == ("no value", "not finite")


def test_a_large_formula_has_numbers_before_all_else() -> None:
    parts = answer({"formula": "+".join(["sin(x)"] * 1400), "at": {"x": "0"}})
    found: dict[str, Any] = {}
    while "result" not in found:
        found |= next(parts)
    assert (found["result"]["value"], found["derivatives"][0]["value"]) == (0.0, 1400.0)


def test_what_is_too_large_to_be_drawn_is_explained_all_the_same() -> None:
    found: dict[str, Any] = {}
    for part in answer({"formula": "+".join(f"sin(x{k})" for k in range(400)), "at": {}, "brief": True}):
        found |= part
    assert "graph" not in found
    assert "at most" in found["no_graph_because"]
    assert found["steps"] and found["more_steps"]


# --- anything may be typed


def listen(event: str, args: Any) -> None:
    # Imports read files and compile what they read; a formula must not lead there.
    if EVENTS is not None and event not in (
        "sys._getframe",
        "sys.setprofile",
        "object.__getattr__",
        "object.__setattr__",
    ):
        EVENTS.append(event)


def formulas(generator: random.Random, count: int) -> list[str]:
    """Random texts, half of them of the words that formulas are made of."""
    letters = "xyzep0123456789.+-*/^(), \t_eE=<>[]{}'\"\\%@:;#&\0\u00b2\uff53\u0663\u200f\ud800"
    words = [
        *FUNCTIONS,
        *CONSTANTS,
        "**",
        ")",
        ",",
        "-",
        "+",
        "*",
        "/",
        "^",
        "x",
        "y",
        "x",
        "2",
        ".5",
        "1e9",
        "0",
        " (",
    ]
    return ["".join(generator.choices(letters if n % 2 else words, k=generator.randrange(14))) for n in range(count)]


def valid(generator: random.Random, depth: int) -> str:
    """A formula that can be read."""
    if depth == 0:
        return generator.choice(["x", "y", "x", "2", "0.5", "pi"])
    kind = generator.randrange(3)
    if kind == 0:
        return f"-({valid(generator, depth - 1)})"
    if kind == 1:
        name = generator.choice(list(FUNCTIONS))
        inner = valid(generator, depth - 1)
        return f"{name}({inner}, x)" if name in ("pow", "min", "max", "minimum", "maximum") else f"{name}({inner})"
    return (
        f"({valid(generator, depth - 1)}){generator.choice(['+', '-', '*', '/', '**'])}({valid(generator, depth - 1)})"
    )


def test_random_texts_are_answered_or_refused() -> None:
    generator, kept = random.Random(20), {"error": 0, "result": 0}
    for text in formulas(generator, 800):
        found = asked(text, x=generator.choice(["1", "0", "-2.5", "1e300", "x", ""]))
        assert "error" in found or "result" in found, text
        kept["error" if "error" in found else "result"] += 1
    assert min(kept.values()) > 5, kept


def test_random_formulas_are_explained() -> None:
    generator = random.Random(21)
    for _ in range(60):
        text = valid(generator, generator.randrange(1, 3))
        found = asked(text, "zh", x=generator.choice(["1", "0", "-0.5", "3"]), y="0.25")
        assert found.get("graph") or found["error"].get("code") == "no variable", text


def test_random_formulas_agree_with_sympy() -> None:
    sympy = pytest.importorskip("sympy")
    x, y = sympy.symbols("x y", real=True)
    theirs = {
        "sigmoid": lambda v: 1 / (1 + sympy.exp(-v)), "softplus": lambda v: sympy.log(1 + sympy.exp(v)),
        "relu": lambda v: sympy.Max(v, 0), "square": lambda v: v**2, "expm1": lambda v: sympy.exp(v) - 1,
        "log1p": lambda v: sympy.log(1 + v), "log2": lambda v: sympy.log(v, 2), "log10": lambda v: sympy.log(v, 10),
        "abs": sympy.Abs, "minimum": sympy.Min, "maximum": sympy.Max,
    }  # fmt: skip
    functions = SimpleNamespace(**{v: theirs.get(v, getattr(sympy, v, None)) for v in FUNCTIONS.values()}, pi=sympy.pi)
    generator, compared = random.Random(22), 0
    for _ in range(150):
        text = valid(generator, generator.randrange(1, 3))
        point = {"x": generator.choice(["0.3", "0.9", "1.3"]), "y": "0.7"}
        found = asked(text, **point)
        if not isinstance(found.get("result", {}).get("value"), float):
            continue  # a constant, or no number there
        expected = parse(text).evaluate({"x": x, "y": y}, functions)
        at = {x: sympy.Float(point["x"], 40), y: sympy.Float("0.7", 40)}
        pairs = [(found["result"]["value"], expected)]
        pairs += [(d["value"], sympy.diff(expected, {"x": x, "y": y}[d["by"]])) for d in found["derivatives"]]
        for ours, formula in pairs:
            number = formula.subs(at).evalf(30)
            if isinstance(ours, float) and number.is_real:
                assert ours == pytest.approx(float(number), rel=1e-9, abs=1e-9), (text, point)
                compared += 1
    assert compared > 150


def test_a_refused_text_touches_nothing() -> None:
    global EVENTS
    asked("2x")
    sys.addaudithook(listen)  # a hook cannot be removed: it listens only while EVENTS is a list
    hostile = ["__import__('os').system('id')", "().__class__", "lambda: x", "x if x else y", "open('/etc/passwd')",
               "f'{x}'", "exec(x)", "x[0]", "x;y", "import os", "9**9**9**9"]  # fmt: skip
    EVENTS = []
    try:
        found = [asked(text) for text in hostile]
        heard = EVENTS.copy()
    finally:
        EVENTS = None
    assert all("error" in f for f in found)
    assert heard == []


def test_the_modules_run_no_text() -> None:
    for path in Path(str(web.__file__)).parent.glob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Name)}
        assert not names & {"eval", "exec", "compile", "__import__", "globals"}, path.name
