"""Chinese, Japanese and Korean labels in matplotlib's figures, with whatever font this machine has.

matplotlib draws with DejaVu Sans, which has no such characters, and warns once per missing glyph; a script
that names a font of another system (``SimHei`` on Linux) gets dozens of lines besides.  Here the machine's
own font becomes the fallback, the well-known names lead to it, and where there is none, one line says so.
"""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from ..extras import load

ADVICE: Final = (
    "no font on this machine has Chinese characters; install one, such as fonts-noto-cjk (Debian, Ubuntu) or "
    "google-noto-sans-cjk-fonts (Fedora); macOS and Windows bring one along"
)

# In order of preference: made for screens and simplified Chinese first, then what else has the characters.
FAMILIES: Final = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "DengXian", "Heiti SC", "STHeiti", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei",
    "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK HK", "Noto Sans CJK KR", "Noto Sans JP", "PingFang TC",
    "PingFang HK", "Heiti TC", "Microsoft JhengHei", "Hiragino Sans", "Yu Gothic", "Arial Unicode MS",
    "Droid Sans Fallback", "Noto Serif CJK SC", "Source Han Serif SC", "Songti SC", "STSong", "SimSun", "NSimSun",
    "STXihei", "STKaiti", "KaiTi", "FangSong", "AR PL UMing CN", "AR PL UKai CN",
)  # fmt: skip

_PROBE: Final = "函"
_SMALLEST: Final = 400_000  # bytes: no font with some thousands of such characters is smaller
_LAST_RESORT: Final = "Last Resort"  # has a box for every character there is
_MISSING: Final = re.compile(r"Glyph (\d+) .*missing from font")


@cache
def family() -> str | None:
    """The family of a font on this machine that has Chinese characters, or None."""
    fonts = load("matplotlib.font_manager", "explain", "drawing")
    manager = fonts.fontManager
    found = _chinese(manager.ttflist)
    if found is None:  # matplotlib keeps its list of fonts, and one may have been installed since
        for path in sorted({*fonts.findSystemFonts()} - {entry.fname for entry in manager.ttflist}):
            if _has_chinese(path):
                manager.addfont(path)
        found = _chinese(manager.ttflist)
    return found


def _chinese(entries: list[Any]) -> str | None:
    installed = {entry.name for entry in entries}
    for name in FAMILIES:
        if name in installed:
            return name
    for entry in entries:
        if not entry.name.startswith(_LAST_RESORT) and _has_chinese(entry.fname):
            return str(entry.name)
    return None


def _has_chinese(path: str) -> bool:
    try:
        if os.path.getsize(path) < _SMALLEST:
            return False
        font = load("matplotlib.ft2font", "explain", "drawing").FT2Font(path)
        return bool(font.get_char_index(ord(_PROBE)))
    except (OSError, RuntimeError):  # gone since matplotlib listed the fonts, or not one FreeType reads
        return False


def prepare() -> str | None:
    """Let matplotlib fall back to this machine's Chinese font in every figure made from now on.

    Returns the font's family, or None where there is none.  Well-known families that are not installed
    become other names of it, so that ``rcParams["font.sans-serif"] = ["SimHei"]`` works on every system.
    """
    matplotlib = load("matplotlib", "explain", "drawing")
    manager = load("matplotlib.font_manager", "explain", "drawing").fontManager
    found = family()
    # Without a Chinese font the names lead to the default one: the boxes are the same, without the log of searches.
    _alias(manager, found or manager.defaultFamily["ttf"])
    # Only font.family is a list of fallbacks; of font.sans-serif matplotlib takes the first font it finds.
    if found is not None and found not in matplotlib.rcParams["font.family"]:
        matplotlib.rcParams["font.family"] = [*matplotlib.rcParams["font.family"], found]
    return found


def _alias(manager: Any, target: str) -> None:
    installed = {entry.name for entry in manager.ttflist}
    faces = [entry for entry in manager.ttflist if entry.name == target]
    for name in FAMILIES:
        if name not in installed:
            manager.ttflist.extend(dataclasses.replace(face, name=name) for face in faces)


@contextmanager
def watch(say: Callable[[str], None]) -> Iterator[None]:
    """Where no font has Chinese characters, say so once in place of a warning for each missing glyph."""
    show = warnings.showwarning
    said = False

    def replacement(message: Any, *where: Any, **more: Any) -> None:
        nonlocal said
        missing = _MISSING.match(str(message))
        if missing is None or not is_cjk(chr(int(missing[1]))) or family() is not None:
            show(message, *where, **more)
        elif not said:
            said = True
            say(f"figures show boxes: {ADVICE}")

    warnings.showwarning = replacement
    try:
        yield
    finally:
        warnings.showwarning = show


def is_cjk(text: str) -> bool:
    """Whether the text has a Chinese, Japanese or Korean character.

    >>> is_cjk("导数"), is_cjk("f'(x) − π")
    (True, False)
    """
    return any("\u2e80" <= c <= "\ud7ff" or "\uf900" <= c <= "\ufaff" or "\uff00" <= c <= "\uffef"
               or "\U00020000" <= c <= "\U0003ffff" for c in text)  # fmt: skip
