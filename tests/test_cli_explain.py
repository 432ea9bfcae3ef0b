"""The commands that explain, draw, plot and check: what they print, and how they end."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from chainrule.cli import COMMANDS, main
from commands import refused

MODEL = """
import torch

def loss(w, b):
    return (torch.tanh(w * 3 + b) - 0.5) ** 2

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * x
    @staticmethod
    def backward(ctx, g):
        return g

def wrong(w):
    return Wrong.apply(w)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return str(tmp_path / "model.py")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_explain(capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path) -> None:
    pytest.importorskip("sympy")
    text = said(capsys, "explain", "x**2*sin(x)", "--at", "x=2", "--lang", "en")
    assert text.startswith("y = x**2*sin(x)\n  = 3.63719 at x = 2\n")
    assert "链式法则" in said(capsys, "explain", "-x**2", "--at", "x=2", "--lang", "zh")
    swallowed = said(capsys, "explain", "wrt*lang", "--at", "wrt=2", "lang=3", "--lang", "en")
    assert "dy/dlang = wrt = 2" in swallowed  # these are options of the function explain
    data = json.loads(said(capsys, "explain", f"{model}:loss", "--at", "w=0.5", "b=1", "--json", "--lang", "en"))
    assert [d["by"] for d in data["derivatives"]] == ["w", "b"]
    assert {e["verdict"] for e in data["evidence"]} == {"agrees"}
    assert "\\frac" in said(capsys, "explain", "x/y", "--at", "x=2", "y=3", "--latex")
    page = tmp_path / "page.html"
    assert said(capsys, "explain", "exp(x)", "--at", "x=0", "--html", str(page)) == ""
    assert "<math" in page.read_text(encoding="utf-8")
    assert "<svg" in page.read_text(encoding="utf-8")


def test_a_wrong_rule_ends_with_1(capsys: pytest.CaptureFixture[str], model: str) -> None:
    pytest.importorskip("sympy")
    assert main(["check", f"{model}:wrong", "--at", "w=3"]) == 1
    assert "first derivatives: fail" in capsys.readouterr().out
    assert json.loads(said(capsys, "check", f"{model}:loss", "--at", "w=0.5", "b=1", "--json")) == {
        "first derivatives": "pass", "second derivatives": "pass"}  # fmt: skip


def test_graph(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("sympy")
    root = ET.fromstring(said(capsys, "graph", "exp(u)*v", "--at", "u=1", "v=2"))
    assert root.tag.endswith("svg")
    file = tmp_path / "g.dot"
    said(capsys, "graph", "exp(u)*v", "--at", "u=1", "v=2", "-o", str(file), "--no-gradients")
    assert file.read_text(encoding="utf-8").startswith("digraph")


def test_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "p.png"
    text = said(capsys, "plot", "x**3 - 3*x", "--range", "-2", "2", "-o", str(file))
    assert text.split("\n")[:2] == ["maximum    x = -1, f = 2", "minimum    x = 1, f = -2"]
    assert file.stat().st_size > 1000
    said(capsys, "plot", "u*v", "--range", "-1", "1", "0", "pi/2", "--at", "u=0.5", "v=1", "-o", str(file))
    assert "4 numbers, not 2" in refused(capsys, "plot", "u*v", "--range", "-1", "1", "-o", str(file))
    assert "not of 3" in refused(capsys, "plot", "u*v*w", "-o", str(file))
    assert "low < high" in refused(capsys, "plot", "u", "--range", "1", "0", "-o", str(file))


def test_a_constant_has_the_derivative_0(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for at in (["t=1"], ["t=1", "u=2"]):
        data = json.loads(said(capsys, "explain", "3", "--at", *at, "--json", "--lang", "en"))
        assert [d["value"] for d in data["derivatives"]] == [0.0] * len(at)
        assert said(capsys, "check", "0", "--at", *at) == "first derivatives: pass\nsecond derivatives: pass\n"
        assert said(capsys, "graph", "pi", "--at", *at).startswith("<svg")
        said(capsys, "plot", "0", "--at", *at, "-o", str(tmp_path / "p.png"))
    said(capsys, "plot", "3", "-o", str(tmp_path / "p.png"))


def test_a_function_of_arguments_by_name_and_with_defaults(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("import torch\ndef f(x, n=2, *, k):\n    return x**n * k\n", encoding="utf-8")
    for at, want in ((["x=3", "k=2"], [12.0, 9.0]), (["x=3", "k=2", "n=1"], [2.0, 6.591673732008658, 3.0])):
        data = json.loads(said(capsys, "explain", f"{file}:f", "--at", *at, "--json", "--lang", "en"))
        assert [d["value"] for d in data["derivatives"]] == pytest.approx(want)
    assert main(["check", f"{file}:f", "--at", "x=3", "k=2"]) == 0
    capsys.readouterr()
    assert json.loads(said(capsys, "bench", f"{file}:f", "--at", "x=3", "k=2", "--seconds", "0.01", "--json"))
    assert "no value for k" in refused(capsys, "explain", f"{file}:f", "--at", "x=3")


def test_bad_input_ends_with_2_and_says_why(capsys: pytest.CaptureFixture[str], model: str) -> None:
    assert "no value for y" in refused(capsys, "explain", "x*y", "--at", "x=1")
    assert "column 3" in refused(capsys, "explain", "x*", "--at", "x=1")
    assert "no value for x: add x=2" in refused(capsys, "explain", "3")
    assert "no function 'other': it has loss, wrong" in refused(capsys, "check", f"{model}:other")
    assert "--at names z, but the variables are x" in refused(capsys, "explain", "x**2", "--at", "x=1", "z=2")
    assert "cannot open" in refused(capsys, "check", "nowhere.py:f")


def test_doctor_and_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert "numpy" in said(capsys, "doctor")
    assert json.loads(said(capsys, "doctor", "--json"))["chainrule"]
    for shell in ("bash", "zsh", "fish"):
        script = said(capsys, "completion", shell)
        assert all(name in script for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"chainrule {command}" in capsys.readouterr().out
