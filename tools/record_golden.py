"""Write down what PyTorch does, for those who have no PyTorch: ``python tools/record_golden.py [name ...]``.

Each name is a module of ``tests`` with a table ``CASES`` and a function ``outcome(m, case)``, which runs a case on
library ``m``; what it gives, as JSON, goes to ``tests/golden/<name>.json``.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parents[1] / "tests"
NAMES = ["streams"]


def main() -> None:
    sys.path.insert(0, str(TESTS))
    for name in sys.argv[1:] or NAMES:
        module = importlib.import_module(name)
        lines = [f"{json.dumps(key)}: {json.dumps(module.outcome(torch, case))}" for key, case in module.CASES.items()]
        text = "{\n" + ",\n".join([f'"": "made by tools/record_golden.py with PyTorch {torch.__version__}"', *lines])
        (TESTS / "golden" / f"{name}.json").write_text(text + "\n}\n", encoding="utf-8")
        print(f"{name}.json: {len(lines)} cases")


if __name__ == "__main__":
    main()
