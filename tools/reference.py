"""Write the reference, a page for each namespace, from signatures and docstrings: a hook of MkDocs, see ``mkdocs.yml``.

Many names are made when operations are declared, or imported when first used, so no tool that reads source code
finds them: the pages are made from the living package.  They are never files; MkDocs gets them when it asks.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import types
from collections.abc import Callable
from typing import Any

PACKAGE = "chainrule"
PAGES = (
    PACKAGE, "Tensor", "autograd", "func", "nn", "nn.functional", "nn.init", "nn.utils", "optim", "utils", "utils.data",
    "linalg", "fft", "special", "signal", "masked", "random", "serialization", "explain", "array_api", "cuda", "accelerator",
)  # fmt: skip
LETTERS = ("a-b", "c-d", "e-l", "m-q", "r-s", "t-z")  # pages of the package's functions, which are too many for one
WIDE = 100  # characters of a signature in one line

ROLE = re.compile(r":(?:\w+:)?\w+:`~?([^`<]+)`")
CODE = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)
UNNAMED = ("typing.Any", "Any", "object")
HEAD = """\
# Reference

Every public name, with its docstring; the tests run the examples. PyTorch's names mean what they mean in PyTorch, and what
differs is on [a page of its own](../differences.md).

| | names | |
|---|---:|---|
"""


# --- what there is ------------------------------------------------------------------------------------------


def modules() -> list[str]:
    """The public modules, without ``chainrule.``: all that can be reached through names that are exported."""
    found = {""}

    def walk(here: str) -> None:
        for value in names(here).values():
            if isinstance(value, types.ModuleType) and value.__name__.startswith(PACKAGE):
                there = value.__name__.removeprefix(f"{PACKAGE}.")
                if there not in found:
                    found.add(there)
                    walk(there)

    walk("")
    return sorted(found)


def names(module: str) -> dict[str, Any]:
    """The public names of a module; of one that exports nothing, those that it defines."""
    m = importlib.import_module(f"{PACKAGE}.{module}".rstrip("."))
    exported = getattr(m, "__all__", None) or [
        n for n, v in vars(m).items() if getattr(v, "__module__", None) == m.__name__
    ]
    return {n: getattr(m, n) for n in sorted(exported) if n[0] != "_"}


def members(cls: type) -> dict[str, Any]:
    """What a class adds to, or explains better than, its bases; of a Tensor everything."""
    if cls.__name__ == "Tensor":
        return {n: inspect.getattr_static(cls, n) for n in sorted(dir(cls)) if n[0] != "_"}
    known = {n for base in cls.__mro__[1:] for n, v in vars(base).items() if doc(v)}
    return {n: v for n, v in sorted(vars(cls).items()) if n[0] != "_" and doc(v) and n not in known}


def doc(value: Any) -> str:
    """The docstring of an object, and none of its type."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    own = isinstance(value, (type, types.FunctionType, types.MethodType, types.ModuleType, property, functools.partial))
    text = inspect.cleandoc(value.__doc__) if (own or callable(value)) and getattr(value, "__doc__", None) else ""
    return "" if text == (type(value).__doc__ or "") else text


# --- how it is written --------------------------------------------------------------------------------------


def signature(name: str, value: Any) -> str:
    """How to call it, in a block of code; nothing for what is not called."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parts, marked = [], False
    for p in found.parameters.values():
        if p.name[0] == "_" or p.name == "self":
            continue
        if p.kind is p.KEYWORD_ONLY and not marked:
            parts.append("*")
        marked = marked or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        kind = "" if annotation(p.annotation) in UNNAMED else annotation(p.annotation)
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else written(p.default)
        equals = " = " if kind and default else "=" if default else ""
        parts.append(f"{star}{p.name}{': ' if kind else ''}{kind}{equals}{default}")
    result = annotation(found.return_annotation)
    arrow = f" -> {result}" if result not in (*UNNAMED, "None") else ""
    line = f"{name}({', '.join(parts)}){arrow}"
    if len(line) > WIDE:
        line = "\n    ".join([f"{name}(", *(f"{part}," for part in parts)]) + f"\n){arrow}"
    return f"```python\n{line}\n```\n\n"


def annotation(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return UNNAMED[0]
    return (value if isinstance(value, str) else inspect.formatannotation(value)).strip("'\"")


def written(default: Any) -> str:
    text = getattr(default, "__name__", None) or repr(default)
    return "..." if text[0] == "<" else text


def markdown(text: str, link: Callable[[str], str] = "`{}`".format) -> str:
    """A docstring as Markdown: dialogues in blocks of code, roles as links, all else as it is read."""
    parts, lines, prose = [], iter(text.splitlines()), list[str]()

    def end() -> None:
        if prose:
            parts.append(plain("\n".join(prose), link))
            prose.clear()

    for line in lines:
        if line.lstrip().startswith(">>>"):
            end()
            block = [line]
            for below in lines:
                if not below.strip():
                    break
                block.append(below)
            parts.append("```python\n" + inspect.cleandoc("\n".join(block)) + "\n```\n")
        else:
            if line.startswith("- ") and prose and prose[-1].strip() and prose[-1][:2] not in ("- ", "  "):
                prose.append("")
            prose.append(line)
    end()
    return "\n".join(parts).strip() + "\n"


def plain(text: str, link: Callable[[str], str]) -> str:
    """Prose: what Markdown would take for a mark outside of code is escaped."""
    text = ROLE.sub(lambda m: f"\0{m[1]}\0", text)
    pieces, at = [], 0
    for m in CODE.finditer(text):
        pieces += [escaped(text[at : m.start()]), m[0]]
        at = m.end()
    pieces.append(escaped(text[at:]))
    return re.sub("\0([^\0]*)\0", lambda m: link(m[1].replace("\\", "")), "".join(pieces))


def escaped(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", text).replace("<", "&lt;")


# --- the pages ----------------------------------------------------------------------------------------------


def contents() -> dict[str, dict[str, dict[str, Any]]]:
    """What stands on each page: by module, or class, its names."""
    found: dict[str, dict[str, dict[str, Any]]] = {page: {} for page in PAGES}
    for module in modules():
        page = max((p for p in PAGES if f"{module}.".startswith(f"{p}.")), key=len, default=PACKAGE)
        found[page][f"{PACKAGE}.{module}".rstrip(".")] = names(module)
    top = found[PACKAGE][PACKAGE]
    found["Tensor"] = {f"{PACKAGE}.Tensor": members(top.pop("Tensor"))}
    functions = {n: v for n, v in top.items() if isinstance(v, types.FunctionType)}
    pages = {PACKAGE: {**found[PACKAGE], PACKAGE: {n: v for n, v in top.items() if n not in functions}}}
    for ends in LETTERS:
        inside = {n: v for n, v in functions.items() if ends[0] <= n[0].lower() <= ends[-1]}
        pages[f"functions-{ends}"] = {PACKAGE: inside}
    return {**pages, **{page: parts for page, parts in found.items() if page != PACKAGE}}


def letters(page: str) -> str:
    """Of a page of functions: A–B."""
    return page.removeprefix("functions-").upper().replace("-", "–")


class Reference:
    """All pages: each object is explained once, where it is met first, and elsewhere there is a link to it."""

    def __init__(self) -> None:
        self.contents = contents()
        self.place = {f"{w}.{n}": page for page, parts in self.contents.items() for w, ns in parts.items() for n in ns}
        self.place[f"{PACKAGE}.Tensor"] = "Tensor"
        self.explained: dict[int, str] = {id(names("")["Tensor"]): f"{PACKAGE}.Tensor"}
        self.files = {f"reference/{page}.md": self.page(page) for page in self.contents}
        self.files["reference/index.md"] = self.index()

    def link(self, target: str, where: str = PACKAGE) -> str:
        """A link to what a docstring names, in full or as seen from a module: ``torch.linalg.svd``, ``grad``."""
        tail = target.removeprefix("torch.").removeprefix(f"{PACKAGE}.")
        for name in (f"{where}.{tail}", f"{PACKAGE}.{tail}"):
            if name in self.place:
                return f"[`{target}`]({self.address(name)})"
        return f"`{target}`"

    def address(self, name: str) -> str:
        return f"{self.place[name]}.md#{name}"

    def page(self, page: str) -> str:
        parts = []
        for where, found in self.contents[page].items():
            if page.startswith("functions"):
                parts.append(f"# Functions {letters(page)}\n")
            elif page == "Tensor":
                parts += [f"# {where} {{ #{where} }}\n", self.text(doc(names("")["Tensor"]), where)]
            else:
                parts += [f"{'##' if parts else '#'} {where}\n", self.text(doc(importlib.import_module(where)), where)]
            parts.append(self.listing(where, found))
        return "\n".join(parts)

    def text(self, docstring: str, where: str) -> str:
        return markdown(docstring, lambda target: self.link(target, where))

    def listing(self, where: str, found: dict[str, Any]) -> str:
        """The names of a module or class: what is new explained, the rest in lists of links."""
        entries = []
        lists: dict[str, list[str]] = {"Modules": [], "Values": [], "In place": [], "Explained elsewhere": []}
        for name, value in sorted(found.items(), key=lambda item: item[0].lower()):
            full = f"{where}.{name}"
            function = f"{PACKAGE}.{name.removesuffix('_')}"
            if isinstance(value, types.ModuleType):
                inside = next(page for page, parts in self.contents.items() if value.__name__ in parts)
                lists["Modules"].append(f"[`{name}`]({inside}.md){{ #{full} }}")
            elif not callable(value) and not isinstance(value, (property, staticmethod, classmethod)):
                lists["Values"].append(f"<code id='{full}'>{name}</code>")
            elif name[-1] == "_" and function in self.place and where.endswith("Tensor"):
                lists["In place"].append(f"[`{name}`]({self.address(function)}){{ #{full} }}")
            elif (home := self.explained.setdefault(id(value), full)) != full:
                lists["Explained elsewhere"].append(f"[`{name}`]({self.address(home)}){{ #{full} }}")
            else:
                entries.append(self.entry(where, name, value))
        listed = [
            f"### {title} {{ #{where}-{title.lower().replace(' ', '-')} }}\n\n{', '.join(links)}\n"
            for title, links in lists.items()
            if links
        ]
        return "\n".join([*entries, *listed])

    def entry(self, where: str, name: str, value: Any) -> str:
        """A name: how it is called, what its docstring says, and what a class adds to its bases."""
        text = doc(value)
        if where.endswith("Tensor") and text and text == doc(names("").get(name)):  # a method that is a function
            first, _, _ = text.partition("\n\n")
            text = f"{first} See :func:`{PACKAGE}.{name}`."
        parts = [f"### {name} {{ #{where}.{name} }}\n\n{signature(name, value)}{self.text(text, where)}"]
        for member, inner in members(value).items() if isinstance(value, type) else ():
            head = signature(f"{name}.{member}", inner) or f"`{name}.{member}`: "
            parts.append(f"{head}{self.text(doc(inner), where)}")
        return "\n".join(parts)

    def index(self) -> str:
        rows = []
        for page, parts in self.contents.items():
            where = next(iter(parts))
            what = names("")["Tensor"] if page == "Tensor" else importlib.import_module(where)
            first = "its functions" if page.startswith("functions") else markdown(doc(what).partition("\n\n")[0])
            count = sum(len(found) for found in parts.values())
            title = f"`{PACKAGE}`, {letters(page)}" if page.startswith("functions") else f"`{page}`"
            rows.append(f"| [{title}]({page}.md) | {count} | {' '.join(first.split())} |\n")
        return HEAD + "".join(rows)


@functools.cache
def pages() -> dict[str, str]:
    """The pages' texts by their files."""
    return Reference().files


# --- MkDocs -------------------------------------------------------------------------------------------------


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for path in pages():  # as if they lay in docs/, which the plugin for languages asks of every page
        files.append(File(path, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Any, config: Any) -> str | None:
    return pages().get(page.file.src_uri)
