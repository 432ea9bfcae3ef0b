"""Every notebook runs from top to bottom and shows what it shows."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
from pathlib import Path
from typing import Any

import pytest

from chainrule.errors import MissingExtra
from chainrule.language import set_language

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def shown(source: str, scope: dict[str, Any]) -> str:
    """What a cell prints, and its last line's value, as a notebook shows them in text."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "<cell>", "exec"), scope)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)
            if value is not None:
                print(repr(value))
    return said.getvalue()


def test_there_are_notebooks_in_both_languages() -> None:
    names = {path.name for path in NOTEBOOKS}
    assert {"derivatives.ipynb", "derivatives.zh.ipynb"} <= names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook(path: Path, own_generator: Any) -> None:
    scope: dict[str, Any] = {"__name__": "notebook"}
    checker = doctest.OutputChecker()
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert cells
    try:
        for cell in cells:
            want = "".join("".join(o.get("text") or o["data"]["text/plain"]) for o in cell["outputs"])
            got = shown("".join(cell["source"]), scope)
            assert checker.check_output(want, got, SAME), (
                f"{''.join(cell['source'])}\n--- wanted\n{want}\n--- got\n{got}"
            )
    except MissingExtra as e:
        pytest.skip(str(e))
    finally:
        set_language(None)
