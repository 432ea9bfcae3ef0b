"""``import torch`` that gives chainrule."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_OURS = __name__.partition(".")[0]


class _Torch(MetaPathFinder, Loader):
    """Finds ``torch`` and ``torch.X`` as the very modules ``chainrule`` and ``chainrule.X``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "torch":
            return None
        _find(fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what stands in sys.modules afterwards; the empty module it made is dropped.
        sys.modules[module.__name__] = _find(module.__name__)


def _find(fullname: str) -> ModuleType:
    name = _OURS + fullname.removeprefix("torch")
    parent, _, child = name.rpartition(".")
    held = getattr(sys.modules.get(parent), child, None)
    if isinstance(held, ModuleType) and held.__name__.startswith(_OURS):
        return held
    # What is there but not a module, such as the function torch.tensor, must not be replaced by the file that
    # defines it, which the import system would do.
    if held is None and importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    message = f"No module named {fullname!r}: chainrule does not have this part of PyTorch"
    raise ModuleNotFoundError(message, name=fullname)


@contextmanager
def torch_is_chainrule() -> Iterator[None]:
    """Within the block ``import torch`` gives chainrule, whether PyTorch is installed or not.

    >>> with torch_is_chainrule():
    ...     import torch.nn as nn
    >>> nn.__name__
    'chainrule.nn'
    """
    finder = _Torch()
    theirs = _take_torch()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _take_torch()
        sys.modules.update(theirs)


def _take_torch() -> dict[str, ModuleType]:
    """Remove ``torch`` and all of its modules from those imported, and return them."""
    names = [name for name in sys.modules if name == "torch" or name.startswith("torch.")]
    return {name: sys.modules.pop(name) for name in names}
