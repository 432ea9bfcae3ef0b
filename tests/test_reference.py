"""The reference has every public name, once, with its docstring; its links lead somewhere."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from pathlib import Path

import file_titles
import pytest
import reference

import chainrule as torch

ROOT = Path(__file__).parents[1]
PAGES = reference.pages()
ANCHORS = re.findall(r"#(chainrule[\w.]*\w) \}|id='(chainrule[\w.]*)'", "\n".join(PAGES.values()))
FOUND = [a or b for a, b in ANCHORS]
NAMESPACES = (
    "array_api", "autograd", "autograd.forward_ad", "autograd.functional", "autograd.graph", "explain", "fft", "func",
    "linalg", "masked", "nn", "nn.functional", "nn.utils", "nn.utils.parametrize", "nn.utils.prune", "optim",
    "optim.lr_scheduler", "random", "serialization", "signal.windows", "special", "utils", "utils.checkpoint", "utils.data",
)  # fmt: skip


def test_every_public_name_has_a_place() -> None:
    wanted = {f"chainrule.{n}" for n in torch.__all__} | {"chainrule.Tensor"}
    wanted |= {f"chainrule.Tensor.{n}" for n in dir(torch.Tensor) if n[0] != "_"}
    for namespace in NAMESPACES:
        wanted |= {f"chainrule.{namespace}.{n}" for n in importlib.import_module(f"chainrule.{namespace}").__all__}
    assert not {name for name in wanted - set(FOUND) if "._" not in name}
    assert len(wanted) > 1500


def test_each_has_one_place() -> None:
    assert len(FOUND) == len(set(FOUND))


@pytest.mark.parametrize(
    "name", ["sin", "einsum", "nn.Linear", "func.jacrev", "Tensor.backward", "utils.data.DataLoader"]
)
def test_docstrings_are_shown(name: str) -> None:
    value = torch
    for part in name.split("."):
        value = getattr(value, part)
    first = inspect.cleandoc(value.__doc__ or "").split(".")[0].splitlines()[0]
    (page,) = (p for p in PAGES.values() if f"{{ #chainrule.{name} }}" in p)
    assert first in page.partition(f"{{ #chainrule.{name} }}")[2][:1000]


def test_links_lead_somewhere() -> None:
    """Within the reference; and the menu has each of its pages."""
    for path, text in PAGES.items():
        for page, anchor in re.findall(r"\]\(([\w.-]+\.md)(?:#([\w.]+))?\)", text):
            assert f"reference/{page}" in PAGES, f"{path}: {page}"
            assert not anchor or f"#{anchor} }}" in PAGES[f"reference/{page}"], f"{path}: {page}#{anchor}"
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"^ +- (reference/\S+\.md)$", menu, re.MULTILINE)) == set(PAGES)


def test_markdown_is_escaped() -> None:
    said = "Of ``a*b`` and *args, __init__, <b> and [x]; see :func:`torch.nn.relu`.\n\n>>> 1 + 1\n2\n\nMore:\n- one"
    made = reference.markdown(said)
    assert made.startswith(r"Of ``a*b`` and \*args, \_\_init\_\_, &lt;b> and \[x\]; see `torch.nn.relu`.")
    assert "```python\n>>> 1 + 1\n2\n```" in made
    assert made.endswith("More:\n\n- one\n")


def test_signatures() -> None:
    def f(x: object, n: int = 3, *, out: list[int] | None = None, _hidden: int = 0) -> list[int]:
        return []

    assert (
        reference.signature("f", f)
        == "```python\nf(x, n: int = 3, *, out: list[int] | None = None) -> list[int]\n```\n\n"
    )
    assert reference.signature("pi", types.SimpleNamespace()) == ""


def test_an_empty_line_of_output_is_shown_empty() -> None:
    assert file_titles.on_page_markdown("1\n<BLANKLINE>\n2\n", None, None, None) == "1\n\n2\n"
