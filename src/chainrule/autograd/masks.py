"""Derivatives to which what was not chosen contributes nothing.  PyTorch has no such mode."""

from __future__ import annotations

from ..modes import Setting


class exact_masks(Setting):
    """Inside, a sweep gives 0, and not nan, where a gradient of 0 meets a slope that is infinite or nan.

    So the branch that ``where``, ``maximum`` or ``clamp`` did not take contributes nothing, whatever its slope; and
    ``sqrt``, whose slope at 0 is infinite, contributes nothing there.  Outside, as in PyTorch, 0 times infinity is nan.
    What counts is where ``backward()`` or ``grad()`` is called; entry by entry operations only, and reverse mode only.

    >>> import chainrule as torch
    >>> x = torch.tensor(-1.0, requires_grad=True)
    >>> y = torch.where(x > 0, torch.sqrt(x), x)
    >>> torch.autograd.grad(y, x, retain_graph=True)
    (tensor(nan),)
    >>> with torch.autograd.exact_masks():
    ...     torch.autograd.grad(y, x)
    (tensor(1.),)
    """

    def __init__(self) -> None:
        super().__init__(masks=True)
