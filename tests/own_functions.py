"""Functions with a derivative of the user's own, for the tests of them."""

from __future__ import annotations

import importlib
from typing import Any


def function(T: Any, **members: Any) -> Any:
    """A Function ``MyFn`` with these static methods, and attributes."""
    Function = importlib.import_module(f"{T.__name__}.autograd").Function
    return type("MyFn", (Function,), {k: staticmethod(v) if callable(v) else v for k, v in members.items()})


def save(ctx: Any, inputs: Any, output: Any) -> None:
    tensors = [x for x in inputs if hasattr(x, "shape")]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def product(T: Any, **members: Any) -> Any:
    """``a * b``, with everything that a transform may ask for."""
    return function(T, **{
        "forward": lambda a, b: a * b,
        "setup_context": save,
        "backward": lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]),
        "jvp": lambda ctx, s, t: s * ctx.saved_tensors[1] + t * ctx.saved_tensors[0],
        "generate_vmap_rule": True, **members,
    })  # fmt: skip


def doubled(ctx: Any, x: Any) -> Any:
    x.mul_(2)
    ctx.mark_dirty(x)
    return x


ONE = {"forward": lambda ctx, a: a * 2}
