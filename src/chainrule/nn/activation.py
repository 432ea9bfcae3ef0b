"""Smooth activations as layers: each calls the function of its name and keeps its options."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _InPlace(Module):
    """An activation that can write its result into its input."""

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """The options; of ``inplace`` nothing unless it is set."""
        options = super().extra_repr()
        return (options + ", " if options and self.inplace else options) + "inplace=True" * self.inplace


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, any shape.

    Source: ``torch.nn.Sigmoid``.

    >>> import chainrule as torch
    >>> torch.nn.Sigmoid()(torch.tensor([0.0]))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Numbers between 0 and 1."""
        return F.sigmoid(input)


class LogSigmoid(Module):
    """The logarithm of :class:`Sigmoid`, without overflow; any shape.

    Source: ``torch.nn.LogSigmoid``.

    >>> import chainrule as torch
    >>> torch.nn.LogSigmoid()(torch.tensor([0.0]))
    tensor([-0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.logsigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, any shape.

    Source: ``torch.nn.Tanh``.

    >>> import chainrule as torch
    >>> torch.nn.Tanh()(torch.tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Numbers between -1 and 1."""
        return F.tanh(input)


class Tanhshrink(Module):
    """``x - tanh(x)``, any shape.

    Source: ``torch.nn.Tanhshrink``.

    >>> import chainrule as torch
    >>> torch.nn.Tanhshrink()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.tanhshrink(input)


class Softsign(Module):
    """``x / (1 + |x|)``, any shape.

    Source: ``torch.nn.Softsign``.

    >>> import chainrule as torch
    >>> torch.nn.Softsign()(torch.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.softsign(input)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``: a smooth rectifier, linear where ``beta * x > threshold``.

    Source: ``torch.nn.Softplus``.

    >>> import chainrule as torch
    >>> torch.nn.Softplus()(torch.tensor([0.0]))
    tensor([0.6931])
    """

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Positive numbers."""
        return F.softplus(input, self.beta, self.threshold)


class ELU(_InPlace):
    """x above 0, ``alpha * (exp(x) - 1)`` below; any shape.

    Source: ``torch.nn.ELU``.

    >>> import chainrule as torch
    >>> torch.nn.ELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.elu(input, self.alpha, self.inplace)


class CELU(_InPlace):
    """x above 0, ``alpha * (exp(x / alpha) - 1)`` below; any shape.

    Source: ``torch.nn.CELU``.

    >>> import chainrule as torch
    >>> torch.nn.CELU(2.0)(torch.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """An :class:`ELU` scaled so that means and variances settle (Klambauer et al., 2017); any shape.

    Source: ``torch.nn.SELU``.

    >>> import chainrule as torch
    >>> torch.nn.SELU()(torch.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.selu(input, self.inplace)


class SiLU(_InPlace):
    """``x * sigmoid(x)``, any shape.

    Source: ``torch.nn.SiLU``.

    >>> import chainrule as torch
    >>> torch.nn.SiLU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """``x * tanh(softplus(x))``, any shape.

    Source: ``torch.nn.Mish``.

    >>> import chainrule as torch
    >>> torch.nn.Mish()(torch.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.mish(input, self.inplace)


class GELU(Module):
    """x times the probability that a standard normal number is below x; with ``approximate="tanh"`` nearly so.

    Source: ``torch.nn.GELU``.

    >>> import chainrule as torch
    >>> torch.nn.GELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """The function of each entry."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """The option, quoted."""
        return f"approximate={self.approximate!r}"


class GLU(Module):
    """One half of ``dim``, times the sigmoid of the other half: shape (..., 2n, ...) to (..., n, ...).

    Source: ``torch.nn.GLU``.

    >>> import chainrule as torch
    >>> torch.nn.GLU()(torch.tensor([1.0, 0.0]))
    tensor([0.5000])
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The gated half; RuntimeError for an odd length."""
        return F.glu(input, self.dim)
