"""Explanations: what they say is what happened, and it is right."""

from __future__ import annotations

import json
import math
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as torch
from chainrule.explain import explain
from chainrule.explain.tape import number_like
from chainrule.language import get_language, set_language

sympy = pytest.importorskip("sympy")


def codes(e: object) -> list[str]:
    return [s.code for s in e.surprises]  # type: ignore[attr-defined]


def leaf(value: object, dtype: object = torch.float64) -> torch.Tensor:
    return torch.tensor(value, dtype=dtype, requires_grad=True)


def tutorial(x: torch.Tensor) -> torch.Tensor:
    return 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5


# --- the formula ------------------------------------------------------------------------------------------


def test_a_result_is_explained_from_its_graph() -> None:
    x = leaf(2.0, torch.float32)
    y = tutorial(x)
    e = explain(y)
    assert str(e.formulas.value) == "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5"
    assert e.derivative("x") == 233
    (slopes,) = e.formulas.slopes.values()
    assert sympy.expand(slopes.item() - sympy.sympify("20*x**3 + 9*x**2 + 14*x + 9").subs(
        "x", sympy.Symbol("x", real=True))) == 0  # fmt: skip
    assert "y = 5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5" in str(e)
    assert x.grad is None
    y.backward()
    assert x.grad.item() == 233


def test_a_function_at_a_point() -> None:
    def f(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        inner = a * b
        return torch.sin(inner) + b

    e = explain(f, 2.0, b=3.0)
    assert [i.name for i in e.wanted] == ["a", "b"]
    assert str(e.formulas.value) == "b + sin(a*b)"
    assert e.derivative("a") == pytest.approx(3 * math.cos(6))
    assert e.derivative("b") == pytest.approx(2 * math.cos(6) + 1)
    assert "inner" in [s.name for s in e.tape.steps]
    assert any(s.line is not None and s.line.text == "inner = a * b" for s in e.tape.steps)


def test_each_step_multiplies_what_arrives_by_its_slope() -> None:
    e = explain(lambda x: torch.exp(torch.sin(x) * x) / x, 1.3)
    for step in e.tape.swept:
        for x, left in zip(step.args, step.left, strict=True):
            if left is not None:
                known = e.locals[step]
                place = step.args.index(x)
                values = {a.name: a.value for a in step.args} | {step.name: step.value}
                slope = known.slopes[place]
                number = float(slope.subs({s: float(values[s.name]) for s in slope.free_symbols}))
                assert left == pytest.approx(step.arrived * number)
    x = e.wanted[0]
    arrivals = [left for s in e.tape.swept for a, left in zip(s.args, s.left, strict=True) if a is x]
    assert sum(arrivals) == pytest.approx(float(e.derivative("x")))
    assert e.derivative("x") == pytest.approx(torch.func.grad(
        lambda x: torch.exp(torch.sin(x) * x) / x)(leaf(1.3).detach()).item())  # fmt: skip


def test_arrays_and_other_operations() -> None:
    x, w = leaf([0.5, -1.0]), leaf([[1.0, 2.0], [3.0, 4.0]])
    y = torch.softmax(w @ x, 0)[0]
    e = explain(y)
    for name, t in (("x", x), ("w", w)):
        assert np.allclose(e.derivative(name), torch.autograd.grad(y, t, retain_graph=True)[0].numpy())
    point = {s: v for i, a in e.formulas.symbols.items() for s, v in zip(a.flat, np.ravel(i.value), strict=True)}
    for item in e.wanted:
        numbers = [float(f.subs(point)) for f in e.formulas.slopes[item].flat]
        assert np.allclose(numbers, np.ravel(item.arrived))
    assert all(r.verdict == "agrees" for r in e.evidence)


@pytest.mark.parametrize("kind", ["view and write", "several outputs", "cat", "unknown constant", "user's Function"])
def test_graphs_of_every_kind_are_read(kind: str) -> None:
    x = leaf([1.0, 2.0, 3.0])
    if kind == "view and write":
        a = x * 2
        a[0] = x[1] * x[2]
        a.mul_(3)
        y = a.sum()
    elif kind == "several outputs":
        y = (x.sort(descending=True).values * torch.tensor([1.0, 2.0, 3.0])).sum()
    elif kind == "cat":
        y = (torch.cat([x, x * x]) ** 2).sum()
    elif kind == "unknown constant":
        y = ((x + torch.tensor([1.0, 2.0, 3.0])) - torch.tensor(5.0)).sum()
    else:

        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
                return x * 2

            @staticmethod
            def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
                return 2 * g

        y = Double.apply(x * x).sum()
    e = explain(y)
    assert np.allclose(e.derivative("x"), torch.autograd.grad(y, x)[0].numpy())
    assert kind != "user's Function" or "not known" in e.formulas.why
    for text in (str(e), e.text("zh"), e.html()):
        assert "x" in text


def test_the_constant_of_a_sum_is_solved_for() -> None:
    x, c = leaf(2.0), torch.tensor(5.0, dtype=torch.float64)
    made = [c + 0]  # no variable of this name holds it
    y = x * x - made.pop()
    assert str(explain(y).formulas.value) == "x**2 - 5"


def test_a_formula_that_would_explode_is_cut_and_the_numbers_stay() -> None:
    x = leaf(1.1)
    y = x
    for _ in range(12):
        y = y * y + torch.sin(y) * torch.cos(y * x) if y is not x else y * x
    e = explain(y * 1.0)
    assert not e.formulas.known
    assert "operations" in e.formulas.why
    assert np.isfinite(e.derivative("x"))
    assert e.formulas.why in str(e)
    wide = leaf(np.ones(50).tolist())
    assert "50 inputs" in explain((wide**2).sum()).formulas.why


def test_wrt_may_be_a_tensor_on_the_way_or_a_name() -> None:
    x = leaf(2.0)
    a = x * x
    y = a * 3 + x
    e = explain(y, wrt=a)
    assert e.derivative("a") == 3
    assert "non-leaf" in codes(e)
    assert [i.name for i in explain(y, wrt="x").wanted] == ["x"]
    with pytest.raises(ValueError, match="no input 'q'"):
        explain(y, wrt="q")


def test_an_argument_that_is_not_used() -> None:
    e = explain(lambda a, b: a * 2, 1.0, 2.0)
    assert [i.name for i in e.wanted] == ["a", "b"]
    assert e.derivative("b") == 0
    assert "not used" in codes(e)
    assert "dy/db = 0" in str(e)


# --- evidence and surprises ----------------------------------------------------------------------------------


def test_evidence_finds_a_wrong_rule() -> None:
    from chainrule.explain import evidence
    from chainrule.explain.formulas import Formulas
    from chainrule.explain.names import Names
    from chainrule.explain.tape import read, sweep

    x = leaf(2.0)
    y = x * x
    tape = read(y, Names(), [])
    sweep(tape, y)
    assert [r.verdict for r in evidence.evidence(tape, tape.inputs, Formulas())] == ["agrees"]
    tape.inputs[0].arrived = np.float64(4.004)  # a rule 0.1 % off
    assert [r.verdict for r in evidence.evidence(tape, tape.inputs, Formulas())] == ["differs"]


def test_float32_is_told_from_an_error() -> None:
    x = leaf([0.1, 0.7], torch.float32)
    e = explain((torch.sin(x) * torch.exp(x) - x**3).sum())
    assert {r.verdict for r in e.evidence} == {"rounding"}
    assert "float32's digits" in str(e)


def test_a_gradient_that_is_there_already() -> None:
    x = leaf(3.0)
    (x**3).backward()
    e = explain(2 * x**2)
    (held,) = [s for s in e.surprises if s.code == "held"]
    assert (held.values["old"], held.values["new"]) == ("27", "39")


@pytest.mark.parametrize(
    ("f", "at", "code"),
    [
        (lambda x: x.abs(), 0.0, "kink at"),
        (lambda x: torch.relu(x), 0.0, "kink at"),
        (lambda x: torch.clamp(x, -1.0, 1.0), 1.0, "kink at"),
        (lambda x: torch.maximum(x, 2 - x), 1.0, "kink at"),
        (lambda x: torch.sigmoid(x), 40.0, "saturated"),
        (lambda x: torch.tanh(x), -12.0, "saturated"),
        (lambda x: torch.sqrt(x), 0.0, "infinite"),
        (lambda x: torch.where(x > 3, torch.sqrt(x - 3), x), 2.0, "nan"),
        (lambda x: torch.floor(x) + x, 2.5, "flat"),
        (lambda x: x * 2, 3, "integer"),
    ],
    ids=["abs", "relu", "clamp", "maximum", "sigmoid", "tanh", "sqrt", "where", "floor", "int"],
)
def test_surprises(f: object, at: float, code: str) -> None:
    e = explain(f, at)
    assert code in codes(e)
    for language in ("en", "zh"):
        assert next(s for s in e.surprises if s.code == code).text(language) in e.text(language)
    quiet = explain(f, 0.3 if code != "nan" else 4.3)
    assert code in ("flat",) or code not in codes(quiet)


# --- forms ------------------------------------------------------------------------------------------------------


def test_cases_are_written_as_cases() -> None:
    pytest.importorskip("sympy")
    x = torch.tensor(2.0, requires_grad=True)
    page = explain(torch.relu(x) * x, lang="en").html()
    assert (
        "<mo>{</mo><mtable><mtr><mtd><mi>x</mi></mtd><mtd><mrow><mi>x</mi><mo>&gt;</mo><mn>0</mn></mrow></mtd>" in page
    )
    assert "<mtext>otherwise</mtext>" in page
    assert "iecewise" not in page.partition("<h4>")[0]
    assert "&#20854;&#20182;" in explain(torch.relu(x) * x, lang="zh").html()


def test_html_is_well_formed_and_has_mathml() -> None:
    x = leaf(2.0)
    e = explain(torch.where(x < 3, x * x, -x) + 1)
    for language in ("en", "zh"):
        root = ET.fromstring(e.html(language).replace("&nbsp;", " ").replace("&InvisibleTimes;", "").replace(
            "&ApplyFunction;", ""))  # fmt: skip
        assert root.attrib["lang"] == language
        assert len(list(root.iter("math"))) == 2
    assert e._repr_html_() == e.html("en")


def test_names_are_escaped_in_html() -> None:
    holder = {"<b>": leaf(2.0)}
    e = explain(holder["<b>"] ** 2)
    assert "<b>" not in e.html()
    assert "&lt;b&gt;" in e.html()


def test_latex_and_json() -> None:
    e = explain(lambda x, y: x**2 * y, 3.0, 2.0)
    assert r"\frac{\partial " in e.latex()
    assert e._repr_latex_().startswith("$$")
    data = json.loads(json.dumps(e.as_dict(), allow_nan=False))
    assert [d["value"] for d in data["derivatives"]] == [12, 9]
    assert data["result"]["formula"] == "x**2*y"
    assert {s["name"] for s in data["steps"]} == {s.name for s in e.tape.steps}
    bad = explain(lambda x: torch.sqrt(x), 0.0)
    assert json.loads(json.dumps(bad.as_dict(), allow_nan=False))["derivatives"][0]["value"] == "inf"


def test_the_language_follows_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    set_language(None)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert get_language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert get_language() == "zh"
    assert "链式法则" in str(explain(lambda x: x**2, 1.0))
    set_language("en")
    assert get_language() == "en"
    with pytest.raises(ValueError, match="no language 'fr'"):
        set_language("fr")  # type: ignore[arg-type]


# --- what cannot be explained -----------------------------------------------------------------------------------


def test_arguments_of_several_parts() -> None:
    parameters = {"w": torch.tensor(2.0), "b": [torch.tensor([3.0]), 1]}
    e = explain(lambda p, x: (p["w"] * x + p["b"][0] * p["b"][1]).sum(), parameters, 5.0)
    assert [e.derivative(n).item() for n in ("p.w", "p.b.0", "p.b.1", "x")] == [5, 1, 3, 2]
    assert {row.verdict for row in e.evidence} == {"rounding"}


def test_precisions_may_be_mixed() -> None:
    e = explain(lambda v, s: (v * s).sum() + (s.float() * v)[0].double(), torch.tensor([3.0, 4.0]), 2.0)
    assert {row.verdict for row in e.evidence} <= {"agrees", "rounding"}
    assert all(row.off("difference") < 1e-9 for row in e.evidence)


@pytest.mark.usefixtures("own_generator")
def test_of_many_inputs_only_some_are_told() -> None:
    layers = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(10)])
    y = layers(torch.ones(2, 3)).sum()
    e = explain(y, lang="en")
    said = str(e)
    assert len(said.splitlines()[0]) < 1500
    assert "layers.5.bias" in said.splitlines()[0] and "layers.6.weight" not in said.splitlines()[0]
    assert said.splitlines()[0].endswith(", … 8 more")
    assert sum(line.startswith("dy/dlayers") for line in said.splitlines()) == 12
    for text in (said, e.html()):
        assert "v is one direction through all inputs" in text
    assert "v 是同时经过所有输入的一个方向" in e.text("zh")
    assert "v is one direction" not in str(explain(lambda x: x * x, 2.0, lang="en"))


def test_what_cannot_be_explained_says_why() -> None:
    with pytest.raises(TypeError, match="one tensor, not tuple"):
        explain(lambda x: (x, x), 2.0)
    with pytest.raises(TypeError, match="one tensor, not float"):
        explain(lambda x: math.sin(2), 2.0)
    for x in (torch.tensor(3), torch.tensor(1j), True):
        with pytest.raises(TypeError, match="no argument can have a derivative"):
            explain(lambda x: x * 2 if isinstance(x, torch.Tensor) else torch.tensor(1.0), x)
    x = leaf(2.0)
    y = torch.sin(x)
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        explain(y)
    with pytest.raises(RuntimeError, match="does not require grad"):
        explain(x.detach() * 2)
    with pytest.raises(RuntimeError, match="does not require grad"):
        explain(lambda x: torch.tensor(3.0), 1.0)
    with pytest.raises(TypeError, match="give the function its arguments"):
        explain(tutorial)
    with pytest.raises(TypeError, match="a tensor or a function"):
        explain(3.0)
    with pytest.raises(TypeError, match="real numbers"):
        explain(torch.tensor(1 + 2j, requires_grad=True) * 2)


def test_nothing_is_left_behind() -> None:
    x = leaf(2.0)
    y = torch.sin(x) * x
    explain(y)
    assert x.grad is None
    assert torch.is_grad_enabled()
    assert not torch.is_anomaly_enabled()
    node = y.grad_fn
    assert node is not None
    assert not node.extra.__dict__.get("post")
    with torch.no_grad():
        assert explain(lambda x: x * x, 3.0).derivative("x") == 6
        assert not torch.is_grad_enabled()
    assert number_like(2.0)
    assert not number_like(np.float64(2.0))


def test_without_sympy_the_numbers_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sympy", None)
    x = leaf(2.0)
    e = explain(torch.sin(x) * x)
    assert "pip install 'chainrule[explain]'" in str(e)
    assert "t1 = sin(x)" in str(e)
    assert e.derivative("x") == pytest.approx(2 * math.cos(2) + math.sin(2))
    assert [r.verdict for r in e.evidence] == ["agrees"]
    assert (e.latex(), e._repr_latex_()) == ("", None)
    for form in (e.html(), e.graph().svg(), json.dumps(e.as_dict())):
        assert "sin(x)" in form
