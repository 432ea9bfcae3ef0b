"""Colours of the command line: on a terminal, here a pseudo-terminal, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty")
KEPT = {n: v for n, v in os.environ.items() if n not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
DERIVE = ("derive", "x**2", "--at", "x=3")
KINK = ("derive", "abs(x)", "--at", "x=0")
WRONG = ("derive", "2x", "--at", "x=1")
GREEN, YELLOW, RED, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"


def on_terminal(*words: str, where: Path | None = None, **variables: str) -> str:
    """What a command writes, output and errors, where both are a terminal."""
    ours, its = pty.openpty()
    line = [sys.executable, "-m", "chainrule", *words]
    environment = KEPT | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | variables
    process = subprocess.Popen(line, stdin=its, stdout=its, stderr=its, env=environment, cwd=where)
    os.close(its)
    found = b""
    try:
        while part := os.read(ours, 4096):
            found += part
    except OSError:  # Linux says so that the other end is closed
        pass
    os.close(ours)
    process.wait(60)
    return found.decode().replace("\r\n", "\n")


def in_pipe(*words: str, **variables: str) -> str:
    line = [sys.executable, "-m", "chainrule", *words]
    done = subprocess.run(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env=KEPT | variables,
        check=False,
    )
    return done.stdout


def test_a_terminal_has_colours() -> None:
    assert f"df/dx = 6  {GREEN}agrees with{PLAIN} the finite difference 6" in on_terminal(*DERIVE)
    assert f"df/dx = 0  {YELLOW}a kink{PLAIN}: the slope" in on_terminal(*KINK)


def test_errors_and_their_caret() -> None:
    shown = on_terminal(*WRONG)
    assert shown.startswith(f"{RED}chainrule derive:{PLAIN} column 2")
    assert shown.endswith(f"2x\n{RED} ^{PLAIN}\n")


def test_checks(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(x):\n    return x.abs()\n")
    assert f": {GREEN}pass{PLAIN}\n" in on_terminal("check", "x**2", "--at", "x=1")
    assert f": {RED}fail{PLAIN}: not differentiable" in on_terminal("check", "f.py:f", "--at", "x=0", where=tmp_path)


def test_an_explanation_has_headings() -> None:
    pytest.importorskip("sympy")
    shown = on_terminal("explain", "x**2", "--at", "x=3")
    assert "\x1b[1mThe chain rule, from y back:\x1b[0m\n" in shown
    kink = on_terminal("explain", "abs(x)", "--at", "x=0")
    assert f"{YELLOW}dy/dx " in kink


@pytest.mark.parametrize("words", [DERIVE, WRONG], ids=["derive", "wrong"])
def test_a_pipe_has_none(words: tuple[str, ...]) -> None:
    assert "\x1b" not in in_pipe(*words, TERM="xterm")


def test_what_the_environment_says() -> None:
    assert "\x1b" not in on_terminal(*DERIVE, NO_COLOR="1")
    assert "\x1b" not in on_terminal(*DERIVE, NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b" not in on_terminal(*DERIVE, TERM="dumb")
    assert GREEN in on_terminal(*DERIVE, NO_COLOR="")
    assert GREEN in in_pipe(*DERIVE, FORCE_COLOR="1")


@pytest.mark.parametrize(
    "words", [(*DERIVE, "--json"), ("check", "x**2", "--at", "x=1", "--json"), ("doctor", "--json")], ids=lambda w: w[0]
)
def test_json_has_none(words: tuple[str, ...]) -> None:
    assert "\x1b" not in on_terminal(*words, FORCE_COLOR="1")


def test_without_the_colours_it_is_the_same() -> None:
    painted = on_terminal(*DERIVE)
    for code in (GREEN, PLAIN):
        painted = painted.replace(code, "")
    assert painted == in_pipe(*DERIVE)
