"""Draw the pictures of the tutorials: ``python tools/tutorial_pictures.py`` writes ``docs/assets/tutorials``.

The pages' own commands draw them: each page's files are laid into an empty folder, its commands of ``chainrule``
are run there, and the pictures that they leave behind are taken.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "assets" / "tutorials"
FILE = re.compile(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ chainrule (.*)$", re.MULTILINE)


def draw(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        for name, program in FILE.findall(text):
            Path(folder, name).write_text(program, encoding="utf-8")
        for command in COMMAND.findall(text):
            words = [sys.executable, "-m", "chainrule", *shlex.split(command)]
            subprocess.run(words, cwd=folder, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False, capture_output=True)
        for picture in sorted([*Path(folder).rglob("*.png"), *Path(folder).rglob("*.svg")]):
            shutil.copyfile(picture, PICTURES / picture.name)
            print(f"{page.name}: {picture.name}, {picture.stat().st_size} bytes")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for page in sorted((DOCS / "tutorials").glob("*.md")):
        if ".zh" not in page.name:  # Chinese pages have the same pictures
            draw(page)


if __name__ == "__main__":
    main()
