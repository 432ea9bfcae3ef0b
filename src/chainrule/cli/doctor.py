"""``chainrule doctor``: what is installed, and what each missing part would add."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from typing import Final

from .. import __version__
from . import Parser
from .colour import paint

EXTRAS: Final = {
    "llvmlite": ("fast", "compiled programs"), "scipy": ("special", "special functions"),
    "sympy": ("explain", "formulas"), "matplotlib": ("explain", "plots and PNG pictures"),
    "dask": ("dask", "arrays larger than memory"), "jax": ("jax", "JAX arrays"),
    "starlette": ("web", "the local page"), "uvicorn": ("web", "the local page"),
    "safetensors": ("train", "safetensors files"), "tqdm": ("train", "progress bars"),
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Print the report; the exit status."""
    parser = Parser(
        prog="chainrule doctor", allow_abbrev=False, description="Say what is installed and what is missing."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(list(argv))
    found = {"chainrule": __version__, "python": platform.python_version(), "numpy": _version("numpy")}
    optional = {name: _version(name) for name in EXTRAS}
    if chosen.json:
        print(json.dumps({**found, **optional, "platform": platform.platform()}, indent=2))
        return 0
    for name, version in found.items():
        print(f"{name:12} {version}")
    for name, version in optional.items():
        extra, purpose = EXTRAS[name]
        missing = f"not installed: {purpose} need it; pip install 'chainrule[{extra}]'"
        print(f"{name:12} {paint(missing, 'caution') if version is None else version}")
    return 0


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
