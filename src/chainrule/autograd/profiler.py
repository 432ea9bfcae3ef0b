"""PyTorch's ``torch.autograd.profiler``, whose names are here to say what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn


class profile:
    """Not there: it reads the clocks of PyTorch's own kernels."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(type(self).__name__)

    def __enter__(self) -> NoReturn:
        _refuse(type(self).__name__)

    def __exit__(self, *exc: object) -> None:
        pass


class record_function(profile):
    """Not there; see :class:`profile`."""


class emit_nvtx(profile):
    """Not there; see :class:`profile`."""


class emit_itt(profile):
    """Not there; see :class:`profile`."""


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.autograd.profiler.{name} is not part of chainrule, whose operations are Python functions: use Python's "
        "profilers, `python -m cProfile -s cumtime script.py`, or py-spy and scalene for single lines. The operations "
        "behind a result are in its graph: y.grad_fn.next_functions."
    )


__all__ = ["emit_itt", "emit_nvtx", "profile", "record_function"]
