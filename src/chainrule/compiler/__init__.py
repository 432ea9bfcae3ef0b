"""``compile``: a function as a fused, native program.

>>> import chainrule as torch
>>> from chainrule import compile
>>> @compile
... def f(x):
...     return (torch.sin(x) * x).sum()
>>> f(torch.tensor([0.0, 1.0]))
tensor(0.8415)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from .control import (
    allow_in_graph,
    assume_constant_result,
    cudagraph_mark_step_begin,
    disable,
    is_compiling,
    is_dynamo_compiling,
    is_exporting,
    list_backends,
    nested_compile_region,
    reset,
    set_stance,
)

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling",
    "is_dynamo_compiling", "is_exporting", "list_backends", "nested_compile_region", "reset", "set_stance",
]  # fmt: skip


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
    backend: str = "native", mode: str | None = None, options: dict[str, Any] | None = None, disable: bool = False,
) -> Any:  # fmt: skip
    """``model`` (a function) compiled: captured at its first call, then run as fused native loops.

    Usable as a decorator, with or without arguments.  The first call with arguments of new shapes, dtypes or
    Python values captures and compiles anew.  Tensors that the function reaches otherwise (closures, globals,
    attributes) are read at each call.  What cannot be compiled runs as it is, with one warning that says why;
    ``fullgraph=True`` makes that an error.  Derivatives are compiled too, whether taken inside the function
    (``torch.func.grad``, ``backward()``) or of its result.  A whole training step may be compiled, from
    ``zero_grad()`` to ``optimizer.step()``: what it writes to tensors is written at the end of each call, and
    random numbers are drawn from the same streams.  Where an optimiser has yet to begin its state, the first
    call runs as it is.

    ``backend``: "native"; "numpy" for the same program without machine code, which is also what happens where LLVM
    is not installed (``pip install 'chainrule[fast]'``); or "jax" for the same program under ``jax.jit``.
    New sizes are captured anew and share machine code with others; with ``dynamic=False`` they count as other ways
    to call the function, of which there may be 16.  ``mode`` and other ``options`` than ``{"fastmath": True}`` are
    accepted for PyTorch's sake; that one lets loops reorder sums and products and join them to multiply-adds.
    ``CHAINRULE_COMPILE=0`` in the environment switches compilation off.

    Source: ``torch.compile``.
    """
    if backend not in ("native", "numpy", "jax"):
        raise ValueError(f"backend must be 'native', 'numpy' or 'jax', got {backend!r}")
    if model is None:
        return lambda f: compile(
            f, fullgraph=fullgraph, dynamic=dynamic, backend=backend, options=options, disable=disable
        )
    if disable or os.environ.get("CHAINRULE_COMPILE") == "0":
        return model
    from .dispatch import Compiled, CompiledObject

    fast = bool((options or {}).get("fastmath"))
    kind: Any = Compiled if isinstance(model, FunctionType) else CompiledObject
    if (nn := sys.modules.get("chainrule.nn.module")) is not None and isinstance(model, nn.Module):
        from .module import OptimizedModule

        kind = OptimizedModule
    return kind(model, fullgraph=fullgraph, dynamic=dynamic, backend=backend, fast=fast)
