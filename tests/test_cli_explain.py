"""The commands that explain, draw, plot and check: what they print, and how they end."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from chainrule.cli import COMMANDS, main
from chainrule.language import set_language
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


def test_bash_completes_commands_and_their_options() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    program = f"""chainrule() {{ {sys.executable} -m chainrule "$@"; }}
eval "$(chainrule completion bash)"
COMP_WORDS=(chainrule d) COMP_CWORD=1; _chainrule chainrule d; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(chainrule derive --o) COMP_CWORD=2; _chainrule chainrule --o; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(chainrule derive x) COMP_CWORD=2; _chainrule chainrule x; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([bash, "-c", program], capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert done.stdout.split("\n")[:3] == ["derive doctor", "--order", ""]


def test_an_error_in_the_users_file_is_shown_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("def f(x):\n    return [x][1]\n", encoding="utf-8")
    for command in ("explain", "check", "graph"):
        shown = refused(capsys, command, f"{file}:f", "--at", "x=1")
        assert f'"{file}", line 2, in f\n' in shown
        assert shown.endswith("IndexError: list index out of range\n")
        assert "chainrule" not in shown.replace(str(file), "")
    file.write_text("def f(x) return x\n", encoding="utf-8")
    assert "SyntaxError" in refused(capsys, "explain", f"{file}:f", "--at", "x=1")
    file.write_text("import nowhere_to_be_found\n", encoding="utf-8")
    assert "line 1, in <module>" in refused(capsys, "explain", f"{file}:f", "--at", "x=1")


def test_a_point_without_at_is_told_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "a point stands behind --at: --at x=3 y=2\n" in refused(capsys, "derive", "x*y", "x=3", "y=2")
    assert refused(capsys, "derive", "x", "--wrong").endswith("unrecognized arguments: --wrong\n")


def test_plot_tells_the_points_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = json.loads(said(capsys, "plot", "x**2", "--range", "-1", "2", "--json", "-o", str(tmp_path / "p.png")))
    assert found == [{"kind": "minimum", "x": pytest.approx(0, abs=1e-9), "y": pytest.approx(0, abs=1e-9)}]


def test_in_chinese(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    zh = ("--lang", "zh")
    assert "一致：有限差分 6（相对误差" in said(capsys, "derive", "x**2", "--at", "x=3", *zh)
    assert "不可导点：左侧斜率 -1，右侧 1" in said(capsys, "derive", "abs(x)", "--at", "x=0", "--lang=zh")
    assert said(capsys, "check", "x**2", "--at", "x=3", *zh) == "一阶导数：通过\n二阶导数：通过\n"
    assert main(["check", "abs(x)", "--at", "x=0", *zh]) == 1
    assert capsys.readouterr().out == "可导：不通过：在 x = 0 处不可导：左侧斜率 -1，右侧 1\n"
    assert "没有值" in refused(capsys, "derive", "x*y", "--at", "x=1", *zh)
    assert "没有函数" in refused(capsys, "explain", f"{__file__}:nothing", *zh)
    assert "缺少参数：FORMULA" in refused(capsys, "derive", *zh)
    assert "多余的参数：x=1；点要写在 --at 后面" in refused(capsys, "check", "x", "x=1", *zh)
    assert said(capsys, "bench", "x", "--at", "x=1", "--seconds", "0.01", *zh).startswith("程序")
    assert "unrecognized" in refused(capsys, "derive", "x", "--wrong")  # and then English again


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_chinese(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_language("zh")
    try:
        with pytest.raises(SystemExit):
            main([command, "--help"])
    finally:
        set_language(None)
    shown = capsys.readouterr().out
    assert shown.startswith("用法：")
    kept = re.sub(r"\n例子：\n(  .*\n)+", "\n", shown.partition("\n\n")[2])  # below the usage, without the examples
    words = re.findall(r"\b[a-z]{3,} [a-z]{2,} [a-z]{2,}\b", kept.replace("  chainrule run train", ""))
    assert words == []  # no English sentence is left


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"chainrule {command}" in capsys.readouterr().out
