"""Write what declarations attach into files: ``python tools/make_stubs.py [--check]``.

Operations become functions of ``chainrule`` and methods of ``Tensor`` when they are declared, which a type
checker cannot follow.  This writes their signatures down, in ``__init__.pyi`` and ``methods.pyi``; and in
``ops/families.py`` the names of each family that is not imported until one of them is used.  The page of
``list_operations.py`` is made too.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import list_operations

import chainrule
from chainrule import ops
from chainrule.dtypes import dtype
from chainrule.methods import TensorMethods
from chainrule.ops import families as listed_families
from chainrule.ops import kinds, later
from chainrule.tensor import Tensor

ROOT = Path(chainrule.__file__).parent
HEADER = '"""Made by tools/make_stubs.py from the declarations; do not edit."""\n\n'
IMPORTS = """from __future__ import annotations

from builtins import bool as _bool
from builtins import complex as _complex
from builtins import float as _float
from builtins import int as _int
from builtins import tuple as _tuple
from builtins import type as _type
from collections.abc import Callable, Sequence
from typing import Any

from .random import Generator
from .tensor import Tensor

"""


def families() -> str:
    """``families.py``: the names that each module of ``ops`` declares, of those that ``ops`` does not import."""
    eager = {m for m in sys.modules if m.startswith("chainrule.ops.")}
    declared: dict[str, tuple[list[str], list[str]]] = {}

    def watch(name: str) -> Any:
        original = getattr(kinds, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            frame: Any = sys._getframe(1)
            while frame.f_globals["__name__"] == kinds.__name__:
                frame = frame.f_back
            before, members = set(kinds.public), {*vars(Tensor)}
            standing = {n for n, v in vars(Tensor).items() if isinstance(v, later.Later)}
            module = frame.f_globals["__name__"].rpartition(".")[2]
            known = declared.get(module, ([], []))
            again = (
                {args[0]} & before - {*known[0]} if name == "export" else {*kwargs} & members - standing - {*known[1]}
            )
            if again:
                raise ValueError(f"ops/{module}.py declares {again}, as another module does: which is meant?")
            result = original(*args, **kwargs)
            functions, methods = declared.setdefault(module, ([], []))
            functions += set(kinds.public) - before
            now = {n for n, v in vars(Tensor).items() if isinstance(v, later.Later)}
            methods += ({*vars(Tensor)} - members) | (standing - now)
            return result

        setattr(kinds, name, watched)

    for name in ("export", "attach"):
        watch(name)
    for found in pkgutil.iter_modules(ops.__path__):
        if f"chainrule.ops.{found.name}" not in eager:
            importlib.import_module(f"chainrule.ops.{found.name}")
            declared.setdefault(found.name, ([], []))
    text = inspect.cleandoc(listed_families.__doc__ or "")
    lines = [f'"""{text}\n"""\n\nFAMILIES: dict[str, tuple[str, str]] = {{\n']
    for family, (functions, methods) in sorted(declared.items()):
        names = [wrapped(functions), wrapped(methods)]
        line = f'    "{family}": ({", ".join(names)}),\n'
        long = len(line) > 121 or "\n" in line[:-1]
        lines.append(f'    "{family}": (\n        {names[0]},\n        {names[1]},\n    ),\n' if long else line)
    return "".join(lines) + "}\n"


def wrapped(names: list[str]) -> str:
    """Names as one string over several lines."""
    lines = textwrap.wrap(" ".join(sorted(set(names))), 100) or [""]
    return "\n        ".join(f'"{line}{" " if i + 1 < len(lines) else ""}"' for i, line in enumerate(lines))


def modules() -> list[types.ModuleType]:
    """chainrule's own modules that are loaded, those that declare operations first."""
    found = [m for name, m in sorted(sys.modules.items()) if name.startswith("chainrule.") and m is not None]
    return sorted(found, key=lambda m: not m.__name__.startswith("chainrule.ops."))


def home(name: str, value: Any) -> tuple[str, str] | None:
    """The (module, name) where a public object is defined."""
    own = getattr(value, "__module__", None)
    for module in modules():
        if isinstance(value, type) and f"class {value.__name__}" not in inspect.getsource(module):
            continue  # imported there
        if own not in (None, "chainrule", module.__name__) and not isinstance(value, dtype):
            continue
        for key in (name, getattr(value, "__name__", name)):
            if module.__name__ != "chainrule.ops" and vars(module).get(key) is value:
                return module.__name__.removeprefix("chainrule"), key
    return None


def package() -> str:
    """``__init__.pyi``: every public name and where it comes from."""
    origins: dict[str, list[str]] = {}
    plain = []
    for name in sorted(chainrule.__all__):
        value = getattr(chainrule, name)
        if isinstance(value, types.ModuleType):
            origins.setdefault(".", []).append(f"{name} as {name}")
        elif isinstance(value, dtype):
            plain.append(f"{name}: _dtype")
        elif value is None or isinstance(value, (float, int)):
            plain.append(f"{name}: {type(value).__name__ if value is not None else 'None'}")
        elif (found := home(name, value)) is not None:
            origins.setdefault(found[0], []).append(f"{found[1]} as {name}")
        else:
            raise SystemExit(f"no home for chainrule.{name}: {value!r}")
    plain = [p.replace(": float", ": _float").replace(": int", ": _int") for p in plain]
    lines = []
    for module, names in origins.items():
        listed = textwrap.wrap(", ".join(names).replace(" as ", "~as~"), 116)
        long = len(listed) > 1
        text = "\n    ".join(listed).replace("~", " ")
        lines.append(f"from {module} import " + (f"(\n    {text}\n)" if long else text))
    head = "from builtins import float as _float\nfrom .dtypes import dtype as _dtype\n"
    return HEADER + head + "\n".join(lines) + "\n\n" + "\n".join(plain) + "\n__version__: str\n__all__: list[str]\n"


def signature(name: str, function: Any) -> str:
    """A method's stub."""
    if name.startswith("__") and name.endswith("__") and function.__module__ != "chainrule.interop":
        other = "" if name in ("__neg__", "__abs__", "__invert__") else ", other: Any"
        if name == "__getitem__":
            return "    def __getitem__(self, key: Any) -> Tensor: ..."
        if name == "__setitem__":
            return "    def __setitem__(self, key: Any, value: Any) -> None: ..."
        ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        return f"    def {name}(self{other}) -> Tensor: ...{ignore}"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    parts, keyword_only = ["self"], False
    for p in parameters[1:]:
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
        keyword_only = keyword_only or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        kind = p.annotation if isinstance(p.annotation, str) else "Any"
        parts.append(f"{star}{p.name}: {kind}" + (" = ..." if p.default is not p.empty else ""))
    returns = inspect.signature(function).return_annotation if parameters else "Any"
    return f"    def {name}({', '.join(parts)}) -> {returns if isinstance(returns, str) else 'Any'}: ..."


def methods() -> str:
    """``methods.pyi``: what operations attach to Tensor."""
    lines = []
    for name, value in sorted(vars(Tensor).items()):
        function = value.fget if isinstance(value, property) else value
        if getattr(function, "__module__", None) in ("chainrule.tensor", None) or not callable(function):
            continue
        if isinstance(value, property):
            lines.append(f"    @property\n    def {name}(self) -> Tensor: ...")
        elif name != "_interpret":
            lines.append(signature(name, function))
    lines = [
        re.sub(
            r"\b(int|float|bool|complex|tuple|type)\b(?=[ |,\])=:\[]|$)(?!: ignore)", r"_\1", line.partition("(")[2]
        ).join([line.partition("(")[0] + "(", ""])
        if "(" in line
        else line
        for line in lines
    ]
    return HEADER + IMPORTS + f"class {TensorMethods.__name__}:\n" + "\n".join(lines) + "\n"


def main() -> int:
    """Write all of it; with ``--check`` only say whether they are up to date."""
    stale = 0
    listed = families()  # first: it imports them
    made = {ROOT / "ops/families.py": listed}
    for name, text in (("__init__.pyi", package()), ("methods.pyi", methods())):
        made[ROOT / name] = text.replace("\n    ", "\n\t")  # one byte for four: the stubs are installed
    made[list_operations.FILE] = list_operations.text()
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale += 1
            print(
                f"{path.name} {'is out of date: run python tools/make_stubs.py' if '--check' in sys.argv else 'written'}"
            )
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    return stale if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
