"""Every command on hostile and on hopeless input: a word and a status, soon, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chainrule.cli import main
from chainrule.cli.bench import standard, timed
from commands import refused

LONG = "+".join(f"sin(x*{i})*exp(x/{i})" for i in range(1, 300))
NESTED = "sin(" * 90 + "x" + ")" * 90
TOWER = "9**9**9**9*x"
POINT = ["--at", "x=0.5"]


def bounded(words: Sequence[str], seconds: float, megabytes: int, where: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own that may not take more."""
    limit = (
        "import resource, sys; sys.argv[0] = 'chainrule'; "
        f"resource.setrlimit(resource.RLIMIT_CPU, ({int(seconds)}, {int(seconds)})); "
        f"resource.setrlimit(resource.RLIMIT_DATA, ({megabytes << 20}, {megabytes << 20})); "
        "from chainrule.cli import main; sys.exit(main())"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([sys.executable, "-c", limit, *words], capture_output=True, text=True, cwd=where, env=environment,
                          timeout=10 * seconds)  # fmt: skip
    assert done.returncode in (0, 1, 2), done.stderr[-2000:]  # no signal
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done


# --- where it is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["derive", "explain", "graph", "plot", "check", "bench"])
def test_a_caret_stands_under_the_place(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, command, "2*x + * 3", *POINT).splitlines()
    assert said[0].startswith(f"chainrule {command}: column 7: expected a value")
    assert said[1] == "2*x + * 3"
    assert said[2] == "      ^"


# --- where there is no derivative -----------------------------------------------------------------------


def test_check_says_that_there_is_no_derivative(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "abs(x)*y", "--at", "x=0", "y=2"]) == 1
    said = capsys.readouterr().out
    assert (
        said
        == "differentiable: fail: not differentiable at x = 0, where the slope is -2 on the left and 2 on the right\n"
    )
    assert main(["check", "sqrt(x)", "--at", "x=0", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "no value on the left" in found["differentiable"]
    assert main(["check", "x**2*y", "--at", "x=0", "y=2"]) == 0  # smooth, with a slope of 0
    capsys.readouterr()
    assert "nothing to differentiate" in refused(capsys, "check", "log(x)", "--at", "x=-1")


def test_derive_and_explain_say_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "abs(x)", "--at", "x=0"]) == 0
    assert "a kink: the slope is -1 on the left, 1 on the right" in capsys.readouterr().out
    pytest.importorskip("sympy")
    main(["explain", "abs(x)", "--at", "x=0", "--lang", "en"])
    assert "has a kink at x = 0" in capsys.readouterr().out
    main(["explain", "sin(x)", "--at", "x=123456.7", "--lang", "en"])
    assert "kink" not in capsys.readouterr().out


def test_a_plot_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = str(tmp_path / "p.png")
    assert "no finite value from -2 to -1" in refused(capsys, "plot", "log(x)", "--range", "-2", "-1", "-o", file)
    assert "no finite value" in refused(capsys, "plot", "log(-u*u)*v", "--range", "1", "2", "1", "2", "-o", file)


# --- bounds ---------------------------------------------------------------------------------------------


def test_too_many_orders_of_a_long_formula(capsys: pytest.CaptureFixture[str]) -> None:
    long = "*".join(f"sin(x*{i}+y)" for i in range(1, 20))
    assert "would take too long: at most" in refused(capsys, "derive", long, "--at", "x=1", "y=2", "--order", "8")
    assert main(["derive", "x*y", "--at", "x=1", "y=2", "--order", "8"]) == 0


def test_a_formula_that_explodes_is_cut_and_the_numbers_stay(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sympy")
    product = "*".join(f"(x**{i} + sin({i}*x))" for i in range(2, 40))
    assert main(["explain", product, *POINT, "--lang", "en", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "operations" in json.dumps(found)
    assert {row["verdict"] for row in found["evidence"]} == {"agrees"}


CASES = [
    (command, formula)
    for command in ("derive", "explain", "graph", "check")
    for formula in ("TOWER", "NESTED", "LONG", "NUMBERS")
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
@pytest.mark.parametrize(("command", "formula"), CASES)
def test_time_and_memory(command: str, formula: str, tmp_path: Path) -> None:
    if command in ("explain", "graph"):
        pytest.importorskip("sympy")
    text = {"TOWER": TOWER, "NESTED": NESTED, "LONG": LONG, "NUMBERS": "7" * 5000 + "+x"}[formula]
    words = [command, text, *POINT, *(["-o", "g.svg"] if command == "graph" else [])]
    bounded(words, 1 + 2 * (command in ("explain", "graph", "check")) if formula == "TOWER" else 30, 400, tmp_path)


# --- bench ----------------------------------------------------------------------------------------------


def test_bench_of_a_formula_and_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "sin(x)*y", "--at", "x=1", "y=2", "--seconds", "0.02", "--json"]) == 0
    (program,) = json.loads(capsys.readouterr().out)["programs"]
    assert program["program"] == "sin(x)*y"
    for way in ("chainrule", "compiled"):
        low, high = program[way]["quartiles"]
        assert 0 < low <= program[way]["seconds"] <= high
    file = tmp_path / "model.py"
    file.write_text("import torch\ndef f(w):\n    return torch.tanh(w) if w > 0 else w\n", encoding="utf-8")
    assert main(["bench", f"{file}:f", "--at", "w=1", "--seconds", "0.02"]) == 0
    said = capsys.readouterr().out
    assert "compiled does not run" in said  # and why
    assert "value and gradient; medians" in said


def test_bench_of_the_standard_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "0.01", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["program"] for p in found["programs"]] == [p.name for p in standard()]
    for p in found["programs"]:
        assert p["chainrule"]["seconds"] > 0
        if "PyTorch" in p:
            assert p["pytorch_over_chainrule"] == pytest.approx(p["PyTorch"]["seconds"] / p["chainrule"]["seconds"])


def test_bench_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no value for y" in refused(capsys, "bench", "x*y", "--at", "x=1")
    assert "--seconds must be" in refused(capsys, "bench", "x*y", "--at", "x=1", "y=1", "--seconds", "1e9")


def test_bench_of_a_constant(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no value for x: add x=2" in refused(capsys, "bench", "0")
    assert main(["bench", "0", "--at", "x=2", "--seconds", "0.01", "--json"]) == 0
    (program,) = json.loads(capsys.readouterr().out)["programs"]
    assert program["program"] == "0"
    assert program["chainrule"]["seconds"] > 0


def test_ways_take_turns_and_one_that_fails_is_told() -> None:
    order: list[str] = []

    def fails() -> None:
        raise RuntimeError("no such thing\nmore")

    found = timed({"a": lambda: order.append("a"), "b": lambda: order.append("b"), "c": fails}, 1e-9)
    assert found["c"] == "no such thing"
    assert "abab" in "".join(order)


def test_a_page_without_a_picture_that_would_be_too_large(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("sympy")
    page = tmp_path / "page.html"
    wide = "+".join(["sin(x)"] * 1100)
    assert main(["explain", wide, *POINT, "--html", str(page), "--lang", "en"]) in (0, 1)
    assert "boxes" in page.read_text(encoding="utf-8") or "long edges" in page.read_text(encoding="utf-8")
