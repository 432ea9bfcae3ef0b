"""``chainrule derive``: the numbers, the check that they are right, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from chainrule.cli import main
from chainrule.explain.expression import FUNCTIONS
from test_cli import command, needs_matplotlib


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    status = main(["derive", *words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert status == any(d["verdict"] == "differs" for d in found["derivatives"])
    return found


def test_the_first_tutorials_slope() -> None:
    done = command("derive", "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5", "--at", "x=2")
    assert done.returncode == 0
    assert re.search(r"^f +=\s145$", done.stdout, re.M)
    words = r"^df/dx = 233 +agrees with the finite difference 233 \(relative error \S+e-1\d\)$"
    assert re.search(words, done.stdout, re.M)


def test_all_partial_derivatives_of_two_variables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "u**3 + v**2 + 4*u*v", "--at", "u=3", "v=4", "--order", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = {line.split()[0]: line.split()[2] for line in lines[4:]}
    assert numbers == {"f": "91", "df/du": "43", "df/dv": "20", "d2f/du2": "18", "d2f/dudv": "4", "d2f/dv2": "2"}
    assert all("agrees" in line for line in lines[5:])


def test_many_orders(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "exp(2*x)", "--at", "x=0", "--order", "12")
    assert [d["value"] for d in found["derivatives"]] == pytest.approx([2.0**k for k in range(1, 13)], rel=1e-12)
    assert {d["verdict"] for d in found["derivatives"]} == {"agrees"}
    found = answer(capsys, "sin(x)*y*z**2", "--at", "x=pi/2,y=2", "z=3", "--order", "4")
    assert len(found["derivatives"]) == 34
    third = next(d for d in found["derivatives"] if d["name"] == "d4f/dx2dydz")
    assert third["orders"] == {"x": 2, "y": 1, "z": 1}
    assert third["value"] == pytest.approx(-6)


@pytest.mark.parametrize(
    ("formula", "x", "slope"),
    [
        ("x**3", 0, 0), ("-x**2", 3, -6), ("1/x", 1e-12, -1e24), ("sin(20*pi*x)", 0, 62.83185307179586), ("7", 2, 0),
        ("exp(100*x)", 1, 2.6881171418161356e45), ("sqrt(1-x)", 0.9999999, -1581.1388), ("x**1.5", 0, 0),
        ("max(x, 0)**2", 0, 0), ("sin(x)", 1e6, 0.9367521275331447), ("1e10 + x", 1, 1), ("x**2", 1e-200, 2e-200),
        ("x*1e-30", 3, 1e-30), ("x", 1e300, 1),
    ],
)  # fmt: skip
def test_the_finite_difference_agrees_at_any_scale(
    formula: str, x: float, slope: float, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = answer(capsys, formula, "--at", f"x={x!r}")["derivatives"]
    assert found["value"] == pytest.approx(slope, rel=1e-6)
    assert found["verdict"] == "agrees"


def test_what_a_finite_difference_cannot_confirm_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "abs(x)", "--at", "x=0")["derivatives"][0]["verdict"] == "kink"
    assert answer(capsys, "1e15 + x", "--at", "x=1")["derivatives"][0]["verdict"] == "unclear"
    assert main(["derive", "relu(x)", "--at", "x=0"]) == 0
    assert "a kink: the slope is 0 on the left, 1 on the right" in capsys.readouterr().out


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from chainrule.cli import partials

    right = partials.table

    def wrong(*arguments):
        found = right(*arguments)
        found[(1,)] = found[(1,)] * (1 + 1e-5)
        return found

    monkeypatch.setattr(partials, "table", wrong)
    assert main(["derive", "x**3", "--at", "x=2"]) == 1
    assert "DIFFERS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["9**9**9**9", "--at", "x=1"], "the formula is inf"),
        (["9**9**9**9"], "no variable"),
        (["__import__('os').system('echo pwned')", "--at", "x=1"], "name"),
        (["(" * 100_000 + "x" + ")" * 100_000], "longer"),
        (["(" * 4_000 + "x" + ")" * 4_000, "--at", "x=1"], "nesting"),
        (["x" + "**x" * 3_000, "--at", "x=1"], "nesting"),
        (["9" * 400, "--at", "x=1"], "float64"),
        (["x + foo", "--at", "x=1"], "no value for foo"),
        (["x*y", "--at", "x=1"], "no value for y"),
        (["x"], "no value for x"),
        (["", "--at", "x=1"], "expected a value"),
        (["x", "--at", "x=1", "x=2"], "twice"),
        (["x", "--at", "x=1/0"], "finite"),
        (["x", "--at", "x"], "name=value"),
        (["1/x", "--at", "x=0"], "the formula is inf at x = 0"),
        (["log(x)", "--at", "x=-1"], "the formula is nan at x = -1"),
        (["sqrt(x)", "--at", "x=0"], "df/dx is inf at x = 0"),
        (["x**2.5", "--at", "x=0", "--order", "3"], "d3f/dx3 is inf"),
        (["x", "--at", "x=1", "--order", "0"], "--order"),
        (["x", "--at", "x=1", "--order", "1000"], "--order"),
        (["x+y", "--at", "x=1", "y=1", "--order", "9"], "--order"),
        (["a+b+c+d+f", "--at", "a=1,b=1,c=1,d=1,f=1", "--order", "8"], "1286 derivatives"),
        (["x", "--at", "x=1", "--order", "two"], "--order"),
    ],
)  # fmt: skip
def test_hostile_and_mistaken_lines_are_refused_with_a_reason(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["derive", *words])
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *place = shown.err.splitlines()
    assert first.startswith("chainrule derive: ")
    assert reason in first
    assert len(place) in (0, 2)  # the formula, and a caret under the place
    assert place[1:] == [line for line in place[1:] if line.strip() == "^"]
    assert len(shown.err) < 400


@pytest.mark.parametrize("formula", ["9**9**9**9 + x", "__import__('os')", "(" * 50_000 + "x" + ")" * 50_000])
def test_hostile_lines_end_a_process_soon(formula: str) -> None:
    done = command("derive", formula, "--at", "x=1")
    assert done.returncode == 2
    assert len(done.stderr) < 400


@needs_matplotlib
def test_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, words in enumerate((
        ["tan(x)", "--at", "x=1"], ["log(x)", "--at", "x=0.5", "--order", "5"], ["7", "--at", "x=1"],
        ["u**3 + v**2 + 4*u*v", "--at", "u=3", "v=4"], ["u - u + v - v", "--at", "u=3", "v=4"],
    )):  # fmt: skip
        assert main(["derive", *words, "--plot", str(tmp_path / f"{number}")]) == 0
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")
        assert capsys.readouterr().err == f"chainrule: saved {tmp_path / f'{number}.png'}\n"
    for words, reason in (
        (["x*y*z", "--at", "x=1,y=1,z=1", "--plot", "f"], "one or two variables"),
        (["x", "--at", "x=1", "--plot", str(tmp_path / "f.nothing")], "nothing"),
        (["x", "--at", "x=1", "--plot", str(tmp_path / "no" / "f.png")], "No such file"),
    ):
        with pytest.raises(SystemExit):
            main(["derive", *words])
        shown = capsys.readouterr()
        assert reason in shown.err
        assert (shown.out, shown.err.count("\n")) == ("", 1)


def test_a_formula_may_use_every_function_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    for name in FUNCTIONS:
        if name == "erf" and importlib.util.find_spec("scipy") is None:
            continue
        two = name in ("pow", "min", "max", "minimum", "maximum")
        formula = f"{name}(x/2 + {1 if name == 'acosh' else 0}, {'0.1)' if two else ')'}".replace(", )", ")")
        (found,) = answer(capsys, formula, "--at", "x=1.2")["derivatives"]
        assert found["verdict"] == "agrees", name
