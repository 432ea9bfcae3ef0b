"""The page that lists every operation says what the declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_page_of_operations_is_current() -> None:
    tool = Path(__file__).parents[1] / "tools" / "list_operations.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
