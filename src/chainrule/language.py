"""The language in which errors, explanations and pictures are worded: English or Chinese."""

from __future__ import annotations

import os
from typing import Final, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final = get_args(Language)

_chosen: list[Language] = []


def set_language(language: Language | None) -> None:
    """Say in which language chainrule explains: "en", "zh", or None for the locale's.

    What an error says first stays PyTorch's English sentence, which people search for.

    Raises ValueError for any other language.

    >>> from chainrule.language import get_language, set_language
    >>> set_language("zh"); get_language()
    'zh'
    >>> set_language(None)
    """
    _chosen[:] = [] if language is None else [known(language)]


def get_language() -> Language:
    """The language that :func:`set_language` chose, else the locale's, from ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``."""
    if _chosen:
        return _chosen[0]
    locale = next((v for k in ("LC_ALL", "LC_MESSAGES", "LANG") if (v := os.environ.get(k))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def known(language: str | None) -> Language:
    """``language`` if it is one of ours; None is the current one."""
    if language is None:
        return get_language()
    if language not in LANGUAGES:
        raise ValueError(f"no language {language!r} here: choose one of {', '.join(map(repr, LANGUAGES))}")
    return language  # type: ignore[return-value]  # checked


def said(english: str, chinese: str, **values: object) -> str:
    """Whichever of two texts is in the language of the moment, with values put in if there are any."""
    text = chinese if get_language() == "zh" else english
    return text.format(**values) if values else text
