"""The training examples: stopped after an epoch and resumed, they end bit for bit where they would have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as torch

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

EXAMPLES = Path(__file__).parent.parent / "examples" / "training"


def run(folder: Path, script: str, *words: str) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # sums in one order
    done = subprocess.run(
        [sys.executable, "-X", "utf8", EXAMPLES / script, "--out", folder, *words],
        capture_output=True, encoding="utf-8", timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def flat(tree: Any) -> list[Any]:
    """All numbers of a checkpoint, in order."""
    if isinstance(tree, dict):
        return [x for key in tree for x in (key, *flat(tree[key]))]
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in flat(part)]
    return [str(tree.dtype), *tree.flatten().tolist()] if isinstance(tree, torch.Tensor) else [tree]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("characters", ("characters.py", "--batches", "2")),
        ("digits_mlp", ("digits.py",)),
        ("digits_conv", ("digits.py", "--model", "conv")),
    ],
)
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    if name != "characters":
        pytest.importorskip("sklearn")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    text = run(whole, *words, "--epochs", "2")
    run(parts, *words, "--epochs", "1")
    after_one = flat(torch.load(parts / f"{name}.pt"))
    assert run(parts, *words, "--epochs", "2", "--resume").splitlines()[-1] == text.splitlines()[-1]
    found, wanted = (flat(torch.load(folder / f"{name}.pt")) for folder in (parts, whole))
    assert found == wanted
    assert found != after_one
    assert (parts / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_digits_are_learned(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    text = run(tmp_path, "digits.py", "--epochs", "5")
    assert float(text.splitlines()[-1].split()[-1]) > 0.9
