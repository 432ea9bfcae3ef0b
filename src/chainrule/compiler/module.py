"""A compiled module is a module, whose only child is the one that it was made of."""

from __future__ import annotations

from typing import Any

from ..nn.module import Module
from .dispatch import Compiled

_OWN = ("_orig_mod", "_options", "forward")
_COMPILED = ("entries", "explain", "reset", "source")


class OptimizedModule(Module):
    """``_orig_mod``, compiled: it has the attributes of that module, and its parameters under ``_orig_mod.``.

    Source: ``torch._dynamo.OptimizedModule``.
    """

    def __init__(self, model: Module, **options: Any) -> None:
        super().__init__()
        vars(self).pop("training", None)
        self._orig_mod, self._options = model, options
        self.forward = Compiled(model, **options)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN or "_modules" not in vars(self):
            return super().__getattr__(name)
        model = self._orig_mod
        return getattr(self.forward if name in _COMPILED and not hasattr(model, name) else model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig_mod, name)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "forward"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.forward = Compiled(self._orig_mod, **self._options)
