"""A hook of MkDocs, see ``mkdocs.yml``: a page that is shown to Chinese readers in English says so, and is found once."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    if page.file.locale_alternate_of == "zh" and page.file.locale == "en":
        page.meta["search"] = {"exclude": True}
        return re.sub(r"^# .*$", r"\g<0>\n\n> 本页由程序生成，只有英文。", markdown, count=1, flags=re.MULTILINE)
    return markdown
