"""Modules without their first values."""

from __future__ import annotations

import inspect
from typing import Any

from ...random import fork_rng
from ..module import Module


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module of ``module_cls`` whose parameters are still to be given values, and no random number is used up.

    RuntimeError for a class that is no module, or whose constructor has no ``device``.

    Source: ``torch.nn.utils.skip_init``.

    >>> import chainrule as torch
    >>> torch.nn.utils.skip_init(torch.nn.Linear, 5, 1)
    Linear(in_features=5, out_features=1, bias=True)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with fork_rng():
        return module_cls(*args, **kwargs)
