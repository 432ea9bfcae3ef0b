"""``chainrule doctor``: what is installed, and what each missing part would add."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from typing import Final

from .. import __version__
from ..language import said
from . import Parser
from .colour import paint

EXTRAS: Final = {
    "llvmlite": ("fast", "compiled programs", "编译程序"), "scipy": ("special", "special functions", "特殊函数"),
    "sympy": ("explain", "formulas", "公式"), "matplotlib": ("explain", "plots and PNG pictures", "曲线图和 PNG 图片"),
    "dask": ("dask", "arrays larger than memory", "超出内存的数组"), "jax": ("jax", "JAX arrays", "JAX 数组"),
    "starlette": ("web", "the local page", "本地网页"), "uvicorn": ("web", "the local page", "本地网页"),
    "safetensors": ("train", "safetensors files", "safetensors 文件"), "tqdm": ("train", "progress bars", "进度条"),
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Print the report; the exit status."""
    examples = said("examples:", "例子：") + "\n  chainrule doctor\n  chainrule doctor --json\n\n"
    ends = said("The exit status is 0.", "退出码是 0。")
    parser = Parser(
        "doctor", said("Say what is installed and what is missing.", "列出已安装和缺少的组件。"), examples + ends
    )
    parser.add_argument("--json", action="store_true", help=said("print JSON", "输出 JSON"))
    parser.add_language()
    chosen = parser.parse(argv)
    found = {"chainrule": __version__, "python": platform.python_version(), "numpy": _version("numpy")}
    optional = {name: _version(name) for name in EXTRAS}
    if chosen.json:
        print(json.dumps({**found, **optional, "platform": platform.platform()}, indent=2))
        return 0
    for name, version in found.items():
        print(f"{name:12} {version}")
    for name, version in optional.items():
        extra, *purpose = EXTRAS[name]
        missing = said("not installed: {what} need it; pip install 'chainrule[{extra}]'",
                       "没有安装：{what}要用到它；pip install 'chainrule[{extra}]'", what=said(*purpose), extra=extra)  # fmt: skip
        print(f"{name:12} {paint(missing, 'caution') if version is None else version}")
    return 0


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
