"""A hook of MkDocs, see ``mkdocs.yml``: what is written for the tests of a page is shown as readers want it.

A program that a page's commands run stands under the name of its file, and an empty line of output is empty.
"""

from __future__ import annotations

import re
from typing import Any

FILE = re.compile(r"^<!-- file: (\S+) -->\n```python$", re.MULTILINE)
BLANK = re.compile(r"^ *<BLANKLINE>$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    return BLANK.sub("", FILE.sub(r'```python title="\1"', markdown))
