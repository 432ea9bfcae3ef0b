"""PyTorch's ``torch.autograd.anomaly_mode``: find the forward line behind an error, or a nan, in backward."""

from __future__ import annotations

import warnings

from ..modes import AtOnce, Setting, change, current

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled",
           "set_detect_anomaly"]  # fmt: skip


class detect_anomaly(Setting):
    """Inside, each operation notes the line that called it, and an error in backward comes with a warning that shows it.

    With ``check_nan`` a rule that gives nan is an error too.  For debugging: it is slow.

    Source: ``torch.autograd.detect_anomaly``.

    >>> import warnings
    >>> import chainrule as torch
    >>> warnings.simplefilter("ignore")
    >>> with torch.autograd.detect_anomaly():
    ...     x = torch.tensor(-1.0, requires_grad=True)
    ...     x.sqrt().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        super().__init__(anomaly=check_nan)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.", UserWarning, stacklevel=2,
        )  # fmt: skip


class set_detect_anomaly(AtOnce):
    """Switch anomaly mode on or off: as a call, at once; as a context manager, until its end.

    Source: ``torch.autograd.set_detect_anomaly``.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(anomaly=check_nan if mode else None)


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode on or off, here and from now on.

    Source: ``torch.set_anomaly_enabled``.
    """
    change(anomaly=check_nan if mode else None)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on here, in this thread and task.

    Source: ``torch.is_anomaly_enabled``.
    """
    return current().anomaly is not None


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, if it is on, looks for nan.

    Source: ``torch.is_anomaly_check_nan_enabled``.
    """
    return current().anomaly is not False
