"""Write down what PyTorch does, for those who have no PyTorch: ``python tools/record_golden.py [name ...]``.

Each name is a module of ``tests`` with a table ``CASES`` and a function ``outcome(m, case)``, which runs a case on
library ``m``; what it gives, as JSON, goes to ``tests/golden/<name>.json``.  The name ``files`` stands for the files
that PyTorch saves, ``tests/golden/files``; ``op_samples`` for samples of its database of operations, in an ``npz``.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parents[1] / "tests"
NAMES = ["streams", "files", "optim_cases", "optim_schedules", "data_cases", "module_cases", "op_samples"]


def files() -> None:
    """Every object of ``tests/checkpoints.py`` as PyTorch saves it; some in the format before 1.6 too."""
    checkpoints = importlib.import_module("checkpoints")
    for old in (TESTS / "golden" / "files").glob("*"):
        old.unlink()
    for name, case in {**checkpoints.CASES, **checkpoints.PYTORCH_ONLY}.items():
        for suffix, zipped in ((".pt", True), (".before-1.6.pt", False)):
            if zipped or name in checkpoints.ALSO_BEFORE:
                path = TESTS / "golden" / "files" / (name.replace(" ", "_") + suffix)
                torch.save(case(torch), path, _use_new_zipfile_serialization=zipped)


def main() -> None:
    sys.path.insert(0, str(TESTS))
    for name in sys.argv[1:] or NAMES:
        if name == "files":
            files()
            continue
        if name == "op_samples":
            sys.path.insert(0, str(TESTS / "parity"))
            print(f"op_samples.npz: {importlib.import_module('record_samples').record()}")
            continue
        module = importlib.import_module(name)
        lines = [f"{json.dumps(key)}: {json.dumps(module.outcome(torch, case))}" for key, case in module.CASES.items()]
        text = "{\n" + ",\n".join([f'"": "made by tools/record_golden.py with PyTorch {torch.__version__}"', *lines])
        (TESTS / "golden" / f"{name}.json").write_text(text + "\n}\n", encoding="utf-8")
        print(f"{name}.json: {len(lines)} cases")


if __name__ == "__main__":
    main()
