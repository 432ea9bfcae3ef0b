"""The examples, each run as a user runs it: they check their own numbers and write pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parent.parent / "examples"
NUMBERS = {
    "01_polynomial": ["x.grad = 233.0", "x.grad = tensor([233.])"],
    "02_partial_derivatives": ["dy/dx = 18", "= 38", "f = 91", "= 43", "= 20"],
    "03_softmax_jacobian": ["tensor([2.])", "[ 0.2230, -0.1480, -0.0750]"],
    "04_perceptrons": ["tensor([[0.5362]])", "tensor([[0.6456, 0.4000]])", "2 * 1 = 2"],
    "05_linear_regression": ["Epoch [10/100], Loss: 1.2719", "Epoch [100/100], Loss: 0.9801", "2.0589 x + 0.4918"],
}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-X", "utf8", *map(str, words)]
    return subprocess.run(line, capture_output=True, encoding="utf-8", timeout=300, check=False)


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("[0-9]*.py")} == set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_an_example_checks_its_numbers_and_draws(name: str, tmp_path: Path) -> None:
    done = run(EXAMPLES / f"{name}.py", "--out", tmp_path / "pictures")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [number for number in NUMBERS[name] if number not in done.stdout] == []
    saved = [Path(line.removeprefix("saved ")) for line in done.stdout.splitlines() if line.startswith("saved ")]
    assert saved
    assert sorted(saved) == sorted((tmp_path / "pictures").iterdir())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in saved)


def test_a_wrong_number_is_a_failure(tmp_path: Path) -> None:
    """In all examples at once, since the check is one."""
    code = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); from common import check; check('2', 2.001, 2)"
    done = run("-c", code)
    assert done.returncode == 1
    assert "WRONG: 2 should be 2" in done.stderr


def test_all_are_run_by_the_folder(tmp_path: Path) -> None:
    done = run(EXAMPLES, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name in NUMBERS if f"===== {name}.py" not in done.stdout] == []
    assert len(list(tmp_path.glob("*.png"))) == 6
