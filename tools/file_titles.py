"""A hook of MkDocs, see ``mkdocs.yml``: a program that a page's commands run is shown under the name of its file."""

from __future__ import annotations

import re
from typing import Any

FILE = re.compile(r"^<!-- file: (\S+) -->\n```python$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    return FILE.sub(r'```python title="\1"', markdown)
