"""Activations as layers: each calls the function of its name and keeps its options."""

from __future__ import annotations

from ..ops.activation import log_softmax, sigmoid, softmax, softplus
from ..ops.trigonometric import tanh
from ..tensor import Tensor
from .functional import relu
from .module import Module


class ReLU(Module):
    """``max(x, 0)``, any shape; with ``inplace`` written into its input.

    Source: ``torch.nn.ReLU``.

    >>> import chainrule as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The rectified input."""
        return relu(input, self.inplace)

    def extra_repr(self) -> str:
        """The option, if set."""
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, any shape.

    Source: ``torch.nn.Sigmoid``.

    >>> import chainrule as torch
    >>> torch.nn.Sigmoid()(torch.tensor([0.0]))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Numbers between 0 and 1."""
        return sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, any shape.

    Source: ``torch.nn.Tanh``.

    >>> import chainrule as torch
    >>> torch.nn.Tanh()(torch.tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Numbers between -1 and 1."""
        return tanh(input)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``: a smooth rectifier, linear where ``beta * x > threshold``.

    Source: ``torch.nn.Softplus``.

    >>> import chainrule as torch
    >>> torch.nn.Softplus()(torch.tensor([0.0]))
    tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Positive numbers."""
        return softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The options."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """``exp(x) / sum(exp(x))`` along ``dim``: positive numbers that sum to 1.

    Source: ``torch.nn.Softmax``.

    >>> import chainrule as torch
    >>> torch.nn.Softmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities of input's shape."""
        return softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of :class:`Softmax`, without overflow.

    Source: ``torch.nn.LogSoftmax``.

    >>> import chainrule as torch
    >>> torch.nn.LogSoftmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities of input's shape."""
        return log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"
