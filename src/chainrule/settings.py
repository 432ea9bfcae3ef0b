"""Settings of the process that programs make at their start.  Results never depend on the order of threads here."""

from __future__ import annotations

import os
import warnings
from typing import Any

from .device import device, on_cpu

__all__ = [
    "are_deterministic_algorithms_enabled", "get_default_device", "get_float32_matmul_precision", "get_num_threads",
    "is_deterministic_algorithms_warn_only_enabled", "set_default_device", "set_float32_matmul_precision",
    "set_num_threads", "use_deterministic_algorithms",
]  # fmt: skip

_threads: int | None = None
_deterministic = _warn_only = False
_precision = "highest"
_device = device("cpu")


def get_num_threads() -> int:
    """How many threads compiled functions use: one for each core that the process may use, unless it was set.

    The environment's ``CHAINRULE_THREADS`` sets it too.

    Source: ``torch.get_num_threads``.
    """
    if _threads is not None:
        return _threads
    wish = os.environ.get("CHAINRULE_THREADS", "")
    if wish.isdecimal():
        return max(int(wish), 1)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Let functions that are compiled from now on use ``n`` threads.

    Matrix products of NumPy have their own, set by ``OPENBLAS_NUM_THREADS`` in the environment before Python starts.

    Source: ``torch.set_num_threads``.
    """
    global _threads
    if type(n) is not int:
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    _threads = n


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Remembered for those who ask: every algorithm here is deterministic.

    Source: ``torch.use_deterministic_algorithms``.
    """
    global _deterministic, _warn_only
    if type(mode) is not bool:
        raise TypeError(
            f"_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not {type(mode).__name__}"
        )
    _deterministic, _warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """What was last said to :func:`use_deterministic_algorithms`.

    Source: ``torch.are_deterministic_algorithms_enabled``.
    """
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What :func:`use_deterministic_algorithms` was last told of ``warn_only``.

    Source: ``torch.is_deterministic_algorithms_warn_only_enabled``.
    """
    return _warn_only


def get_float32_matmul_precision() -> str:
    """ "highest", or what was set.

    Source: ``torch.get_float32_matmul_precision``.
    """
    return _precision


def set_float32_matmul_precision(precision: str) -> None:
    """Remembered for those who ask: products of float32 matrices are computed in float32.

    Source: ``torch.set_float32_matmul_precision``.
    """
    global _precision
    if precision in ("highest", "high", "medium"):
        _precision = precision
    else:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.", UserWarning, stacklevel=2,
        )  # fmt: skip


def get_default_device() -> device:
    """Where new tensors are: on the CPU.

    Source: ``torch.get_default_device``.
    """
    return _device


def set_default_device(device: Any) -> None:
    """Accepted for the CPU; an error for another device.

    Source: ``torch.set_default_device``.
    """
    global _device
    on_cpu(device)
    _device = _named(device)


def _named(where: Any) -> device:
    return device("cpu" if where is None else where)
