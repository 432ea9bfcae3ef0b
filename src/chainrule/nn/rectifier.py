"""Activations of straight pieces as layers: each calls the function of its name and keeps its options."""

from __future__ import annotations

import warnings
from typing import Any

from ..creation import full
from ..tensor import Tensor
from . import functional as F
from .activation import _InPlace
from .init import constant_
from .module import Module
from .parameter import Parameter


class ReLU(_InPlace):
    """``max(x, 0)``, any shape; with ``inplace`` written into its input.

    Source: ``torch.nn.ReLU``.

    >>> import chainrule as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The rectified input."""
        return F.relu(input, self.inplace)


class LeakyReLU(_InPlace):
    """x above 0, ``negative_slope * x`` below; any shape.

    Source: ``torch.nn.LeakyReLU``.

    >>> import chainrule as torch
    >>> torch.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(_InPlace):
    """A :class:`LeakyReLU` whose slopes are drawn from [lower, upper] in training, and their mean otherwise.

    Source: ``torch.nn.RReLU``.

    >>> import chainrule as torch
    >>> torch.nn.RReLU(0.1, 0.3).eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    _shown = ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """A :class:`LeakyReLU` that learns its slope: one, or one for each of ``num_parameters`` channels, axis 1.

    ``weight`` is (num_parameters,), at first ``init``.

    Source: ``torch.nn.PReLU``.

    >>> import chainrule as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000], grad_fn=<PreluKernelBackward0>)
    """

    _shown = ("num_parameters",)
    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the slopes to what they were at first."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry; RuntimeError for another number of channels."""
        return F.prelu(input, self.weight)


class Threshold(_InPlace):
    """x above ``threshold``, else ``value``; any shape.

    Source: ``torch.nn.Threshold``.

    >>> import chainrule as torch
    >>> torch.nn.Threshold(1.0, -3.0)(torch.tensor([0.5, 2.0]))
    tensor([-3.,  2.])
    """

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Hardtanh(_InPlace):
    """x, but at least ``min_val`` and at most ``max_val``; any shape.

    ``min_value`` and ``max_value`` are the old names of the bounds: a FutureWarning says so.

    Source: ``torch.nn.Hardtanh``.

    >>> import chainrule as torch
    >>> torch.nn.Hardtanh()(torch.tensor([-3.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    _shown: tuple[str, ...] = ("min_val", "max_val")

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False, min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(inplace)
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warnings.warn(
                    f"keyword argument `{old}` is deprecated and rename to `{new}`", FutureWarning, stacklevel=2
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """x, but at least 0 and at most 6; any shape.

    Source: ``torch.nn.ReLU6``.

    >>> import chainrule as torch
    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 9.0]))
    tensor([0., 6.])
    """

    _shown = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Hardsigmoid(_InPlace):
    """``(x + 3) / 6``, but at least 0 and at most 1; any shape.

    Source: ``torch.nn.Hardsigmoid``.

    >>> import chainrule as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-5.0, 0.0]))
    tensor([0.0000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """x times :class:`Hardsigmoid` of x; any shape.

    Source: ``torch.nn.Hardswish``.

    >>> import chainrule as torch
    >>> torch.nn.Hardswish()(torch.tensor([-1.0, 3.0]))
    tensor([-0.3333,  3.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.hardswish(input, self.inplace)


class Hardshrink(Module):
    """x where ``|x|`` is above ``lambd``, else 0; any shape.

    Source: ``torch.nn.Hardshrink``.

    >>> import chainrule as torch
    >>> torch.nn.Hardshrink()(torch.tensor([0.25, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The bound."""
        return str(self.lambd)


class Softshrink(Module):
    """x moved by ``lambd`` towards 0, and not beyond; any shape.

    Source: ``torch.nn.Softshrink``.

    >>> import chainrule as torch
    >>> torch.nn.Softshrink()(torch.tensor([0.25, 2.0]))
    tensor([0.0000, 1.5000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The bound."""
        return str(self.lambd)
