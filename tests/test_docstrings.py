"""The examples in docstrings are run, and print what they say."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as torch
from chainrule.errors import MissingExtra

PACKAGE = Path(torch.__file__).parent
OPTIONAL = {"numba", "llvmlite", "scipy", "sympy", "matplotlib", "starlette", "uvicorn", "dask", "jax", "cupy", "tqdm",
            "safetensors", "array_api_compat"}  # fmt: skip
NOT_FOR_IMPORT = {"chainrule.__main__"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = sorted(set(map(module_name, PACKAGE.rglob("*.py"))) - NOT_FOR_IMPORT)


def load(name: str) -> Any:
    """The module; the test is skipped where it needs an optional library that is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        library = (e.name or "").partition(".")[0]
        if isinstance(e, MissingExtra) or (library in OPTIONAL and importlib.util.find_spec(library) is None):
            pytest.skip(str(e))
        raise


class Runner(doctest.DocTestRunner):
    """Remembers whether an example asked for an optional library that is not installed."""

    missing = ""

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
        if isinstance(exc_info[1], MissingExtra):
            self.missing = str(exc_info[1])
        else:
            super().report_unexpected_exception(out, test, example, exc_info)


@pytest.fixture(autouse=True)
def same_options() -> Iterator[None]:
    from chainrule import printing

    before = printing.get_printoptions()
    state = torch.default_generator.get_state()
    yield
    printing.set_printoptions(**before)
    torch.default_generator.set_state(state)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = load(name)
    tests = [t for t in doctest.DocTestFinder(exclude_empty=True).find(module, name) if t.examples]
    report = io.StringIO()
    runner = Runner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test, out=report.write)
        if runner.missing:
            pytest.skip(runner.missing)
    assert not report.getvalue(), report.getvalue()


def test_there_are_examples() -> None:
    """The finder finds: at least the package's own first example."""
    found = doctest.DocTestFinder().find(torch, "chainrule")
    assert any(t.examples for t in found)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))), f"{name} has no docstring"


def test_every_member_of_tensor_says_what_it_is() -> None:
    """Of a property its own docstring; none has an empty paragraph."""
    for name in MODULES:
        if name.startswith("chainrule.ops."):  # which attach their methods when they are imported
            load(name)
    members = {n: inspect.getattr_static(torch.Tensor, n) for n in dir(torch.Tensor) if n[0] != "_"}
    assert not [n for n, m in members.items() if not m.__doc__]
    assert not [n for n, m in members.items() if re.search(r"\n\s*\n\s*\n", m.__doc__)]
