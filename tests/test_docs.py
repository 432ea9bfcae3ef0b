"""Every example in the README and in ``docs`` is run, and prints what it says it prints.

A page holds four kinds of block:

- ``python`` beginning with ``>>>``: a doctest.  The dialogues of a page are one dialogue, from top to bottom.
- other ``python``: a program of its own.  What it prints stands beside its ``print`` as a comment, and in
  the comment lines right below where it prints more; an empty line ends them.
- ``console``: commands after ``$ ``.  Those of ``chainrule`` are run in an empty folder and must print what
  is shown; others are not run.
- any other language: shown only.

A comment before a block says more: ``<!-- needs: sympy -->`` skips it where that library is missing (such a
dialogue stands alone), ``<!-- file: fit.py -->`` makes it a file for the page's commands instead of running it,
``<!-- source: chainrule.primitive.bind -->`` says that it quotes the source code, letter for letter.

A Chinese page, ``page.zh.md`` beside ``page.md``, has the same code and output; comments are translated. What is level
with the English page is not run a second time; what differs, in its strings or its language, is.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib.util
import inspect
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import reference

import chainrule as torch
from chainrule import primitive, printing
from chainrule.ops import load_all, public

load_all()  # so that what an example leaves behind can be told from what is always there

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:^[ \t]*<!-- (?P<key>needs|file|source): (?P<value>[^\n]*?) -->\n\n?)?"
    r"^(?P<indent>[ \t]*)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
SAME = doctest.ELLIPSIS


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int  # of its first line of text
    language: str
    text: str
    needs: tuple[str, ...] = ()
    file: str = ""
    source: str = ""

    @property
    def dialogue(self) -> bool:
        return self.language == "python" and self.text.lstrip().startswith(">>>")

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for m in BLOCK.finditer(text):
        said = [v.strip() for v in (m["value"] or "").split(",")]
        yield Block(
            page, text.count("\n", 0, m.start("text")) + 1, m["language"].strip(), textwrap.dedent(m["text"]),
            tuple(said) if m["key"] == "needs" else (), said[0] if m["key"] == "file" else "",
            said[0] if m["key"] == "source" else "",
        )  # fmt: skip


def promised(text: str) -> str:
    """The output that a program's comments promise."""
    found, below = [], False
    for line in text.splitlines():
        code, hash_, comment = line.partition("# ")
        if "print(" in code:
            below = True
            found += [comment] if hash_ else []
        elif below and hash_ and not code.strip():
            found.append(comment)
        else:
            below = False
    return "".join(f"{line.rstrip()}\n" for line in found)


def code_of(block: Block) -> str:
    """A block's code, without comments and output."""
    if block.dialogue:
        return "".join(ast.unparse(ast.parse(e.source)) for e in doctest.DocTestParser().get_examples(block.text))
    if block.language == "python":
        return ast.unparse(ast.parse(block.text))
    return "".join(re.findall(r"^\$ .*\n", block.text, re.MULTILINE))


def output_of(block: Block) -> list[str] | str:
    if block.dialogue:
        return [e.want for e in doctest.DocTestParser().get_examples(block.text)]
    return promised(block.text) if block.language == "python" else block.text


ALL = [b for page in PAGES for b in blocks(page)]
CHINESE = {p: p.with_name(re.sub(r"\.zh(-CN)?\.md", ".md", p.name)) for p in PAGES if ".zh" in p.suffixes[0]}
LEVEL = {
    b
    for page, original in CHINESE.items()
    for b, other in zip(blocks(page), blocks(original), strict=False)
    if code_of(b) == code_of(other) and output_of(b) == output_of(other)
}
TO_RUN = [b for b in ALL if b not in LEVEL]
ALONE = [b for b in TO_RUN if b.language == "python" and not b.file and not b.source and (b.needs or not b.dialogue)]
QUOTED = [b for b in ALL if b.source]
TALKING = {b.page for b in TO_RUN if b.dialogue and not b.needs}
DIALOGUES = {p: [b for b in ALL if b.page == p and b.dialogue and not b.needs] for p in PAGES if p in TALKING}
COMMANDS = [b for b in TO_RUN if b.language == "console"]


def name(x: Any) -> str:
    return x.where if isinstance(x, Block) else str(x.relative_to(ROOT))


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """An example may seed, change defaults and declare operations: all of it is undone."""
    generator, dtype = torch.default_generator.get_state(), torch.get_default_dtype()
    options = printing.get_printoptions()
    tables: list[tuple[dict[str, Any], dict[str, Any]]] = [(t, dict(t)) for t in (primitive.table, public)]
    methods = set(vars(torch.Tensor))
    yield
    torch.default_generator.set_state(generator)
    torch.set_default_dtype(dtype)
    torch.set_printoptions(**options)
    for now, before in tables:
        now.clear()
        now.update(before)
    for new in set(vars(torch.Tensor)) - methods:
        delattr(torch.Tensor, new)


def missing(needs: tuple[str, ...]) -> None:
    for library in needs:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"needs {library}")


def run_dialogue(block: Block, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, names, block.where, str(block.page), block.line - 1)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=SAME).run(test, out=report.write, clear_globs=False)
    names.update(test.globs)
    assert not report.getvalue(), report.getvalue()


def run_program(block: Block) -> None:
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": "__main__"})
    got = "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines() if line.strip())
    agree(block.where, promised(block.text), got)


def agree(where: str, want: str, got: str) -> None:
    want, got = (re.sub(r"\b\d\.\d+e-1\d\b", "(rounding)", text) for text in (want, got))  # differs between machines
    checker, example = doctest.OutputChecker(), doctest.Example("", want)
    assert checker.check_output(want, got, SAME), f"{where}\n{checker.output_difference(example, got, SAME)}"


@pytest.mark.parametrize("page", DIALOGUES, ids=name)
def test_dialogues(page: Path) -> None:
    names: dict[str, Any] = {}
    for block in DIALOGUES[page]:
        run_dialogue(block, names)


@pytest.mark.parametrize("block", ALONE, ids=name)
def test_program(block: Block) -> None:
    missing(block.needs)
    run: Callable[..., None] = (lambda b: run_dialogue(b, {})) if block.dialogue else run_program
    run(block)


@pytest.mark.parametrize("block", COMMANDS, ids=name)
def test_commands(block: Block, tmp_path: Path) -> None:
    missing(block.needs)
    for other in ALL:
        if other.page == block.page and other.file:
            (tmp_path / other.file).write_text(other.text, encoding="utf-8")
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "COLUMNS": "100", "MPLBACKEND": "agg",
           "LC_ALL": "C.UTF-8"}  # fmt: skip
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, want = part.replace("\\\n", "").partition("\n")
        words = shlex.split(command, comments=True)
        if words[:1] == ["chainrule"]:
            done = subprocess.run(
                [sys.executable, "-m", *words], cwd=tmp_path, env=env, text=True, encoding="utf-8",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
            )  # fmt: skip
            agree(f"{block.where}: {command}", *(f"{t.rstrip()}\n" if t.strip() else "" for t in (want, done.stdout)))
    if block.page.parent.name == "tutorials":  # SVG is the same everywhere, PNG is not
        for made in tmp_path.rglob("*.svg"):
            shown = ROOT / "docs" / "assets" / "tutorials" / made.name
            assert made.read_bytes() == shown.read_bytes(), f"{shown.name}: run python tools/tutorial_pictures.py"


@pytest.mark.parametrize("block", QUOTED, ids=name)
def test_quotations(block: Block) -> None:
    found = pkgutil.resolve_name(block.source)
    assert textwrap.dedent(inspect.getsource(found)).strip() == block.text.strip(), block.where


def test_files_are_used() -> None:
    """A file that a page shows is one that its commands run."""
    for block in ALL:
        if block.file:
            used = any(block.file in c.text for c in ALL if c.page == block.page and c.language == "console")
            assert used, f"{block.where}: {block.file} is never run"


def test_no_python_block_is_left_out() -> None:
    for page in PAGES:
        fences = re.findall(r"^[ \t]*```[ \t]*py", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == len([b for b in ALL if b.page == page and b.language == "python"]), name(page)


# --- the pages themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", CHINESE, ids=name)
def test_pages_are_level(page: Path) -> None:
    """A Chinese page has the English one's code, names, headings, paragraphs, lists, figures of tables, pictures, links."""
    texts = re.compile(r"'[^']*'|\"[^\"]*\"| --lang \w+")
    for one, other in zip(blocks(page), blocks(CHINESE[page]), strict=True):
        marks = [(b.language, b.needs, b.file, b.source, texts.sub("", code_of(b))) for b in (one, other)]
        assert marks[0] == marks[1], one.where
    one, other = (BLOCK.sub("", p.read_text(encoding="utf-8")) for p in (page, CHINESE[page]))
    one, other = (re.sub(r"\.zh(-CN)?(?=\.)", "", text) for text in (one, other))  # in links and pictures
    for what in (r"^(#+) ", r"^( *(?:-|\d+\.)) ", r"^(\|)", r"!\[[^]]*\]\(([^)]*)\)"):
        assert re.findall(what, one, re.MULTILINE) == re.findall(what, other, re.MULTILINE), what
    assert len(re.findall(r"\n\s*\n", one)) == len(re.findall(r"\n\s*\n", other)), "paragraphs"
    words = [{" ".join(w.split()) for w in re.findall(r"(?<!`)`([^`]+)`", text)} for text in (one, other)]
    assert words[0] == words[1]
    links = [sorted(re.findall(r"\]\(([^)#\s]*)", text)) for text in (one, other)]
    assert links[0] == links[1]
    rows = [re.findall(r"^\|.*", text, re.MULTILINE) for text in (one, other)]
    figures = [[sorted(re.findall(r"\d+(?:[.,]\d+)*", row)) for row in r] for r in rows]
    assert figures[0] == figures[1]


def test_every_page_has_a_chinese_one() -> None:
    for page in PAGES[len(READMES) + 1 :]:
        made = page.read_text(encoding="utf-8").startswith("<!-- Made by ")
        assert made or page in CHINESE or page in CHINESE.values(), f"{name(page)} is to be translated"


@pytest.mark.parametrize("page", CHINESE, ids=name)
def test_chinese_paragraphs_are_one_line(page: Path) -> None:
    """A browser shows a line break as a space, and between Chinese characters there is none."""
    wide = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
    assert not re.findall(f".*{wide}\n{wide}.*", BLOCK.sub("", page.read_text(encoding="utf-8")))


def test_measured_figures_agree() -> None:
    """Both READMEs show the figures of docs/performance.md."""
    pages = [*READMES, ROOT / "docs" / "performance.md"]
    rows = [re.findall(r"^\|.*\d (?:µs|ms) .*$", p.read_text(encoding="utf-8"), re.MULTILINE) for p in pages]
    one, other, source = [[re.findall(r"[\d.]+ (?:µs|ms|×)", row) for row in r] for r in rows]
    assert one == other == source[: len(one)]
    assert one


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    made = {ROOT / "docs" / path for path in reference.pages()}  # when the pages are built
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            path = (page.parent / target).resolve()
            assert path.exists() or path in made, f"{name(page)}: {target}"


def rooms() -> dict[str, int]:
    """The modules that docs/design.md lists, with their places in its order of imports."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("## The rooms")[2].partition("\n## ")[0]
    lines = re.findall(r"^(\d+)\. (.*?) — ", text, re.MULTILINE)
    return {module: int(n) for n, modules in lines for module in re.findall(r"`([\w.]+)`", modules)}


def room_of(module: str, listed: dict[str, int]) -> int:
    """The place of the longest listed prefix; the package itself comes before only the command line."""
    while module and module not in listed:
        module = module.rpartition(".")[0]
    return listed[module] if module else listed["cli"]


def imported(tree: ast.Module, package: str, modules: set[str]) -> Iterator[str]:
    """The modules of ours that a module imports when it is itself imported."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) + 1 - node.level], *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in modules else base


def test_imports_point_one_way() -> None:
    """Each module imports only from the rooms before its own, and from its own, as docs/design.md says."""
    listed = rooms()
    files = {
        ".".join(p.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): p
        for p in (ROOT / "src" / "chainrule").rglob("*.py")
    }
    assert len(listed) > 10
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        here = room_of(module.removeprefix("chainrule").lstrip("."), listed)
        for other in imported(ast.parse(path.read_text(encoding="utf-8")), package, set(files)):
            there = room_of(other.removeprefix("chainrule").lstrip("."), listed)
            assert there <= here, f"{module} (room {here}) imports {other} (room {there})"
