"""Layers that multiply by a matrix, that do nothing, and that reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..creation import empty
from ..ops.linalg import linear
from ..ops.pairs import bilinear
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """Gives back what it gets; any arguments of the constructor are ignored.

    Source: ``torch.nn.Identity``.

    >>> import chainrule as torch
    >>> torch.nn.Identity()(torch.tensor([1.0]))
    tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """``input``, of any shape."""
        return input


class Linear(Module):
    """``x @ weight.T + bias``: shapes (..., in_features) to (..., out_features).

    ``weight`` is (out_features, in_features), ``bias`` (out_features,) or None; both start uniform within
    ±1/√in_features, with PyTorch's numbers for the same seed.

    Source: ``torch.nn.Linear``.

    >>> import chainrule as torch
    >>> layer = torch.nn.Linear(20, 30)
    >>> layer(torch.zeros(128, 20)).shape
    torch.Size([128, 30])
    """

    in_features: int
    out_features: int
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The product; RuntimeError unless the last dimension of ``input`` is in_features."""
        own: dict[str, Any] = self._parameters
        if type(self) is Linear and "weight" in own and "bias" in own:  # an attribute that is not plain takes 0.5 µs
            return linear(input, own["weight"], own["bias"])
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``x1 @ weight[k] @ x2 + bias[k]`` for each k: (..., in1_features) and (..., in2_features) to (..., out_features).

    ``weight`` is (out_features, in1_features, in2_features), ``bias`` (out_features,) or None; both start uniform
    within ±1/√in1_features.

    Source: ``torch.nn.Bilinear``.

    >>> import chainrule as torch
    >>> torch.nn.Bilinear(20, 30, 40)(torch.zeros(128, 20), torch.zeros(128, 30)).shape
    torch.Size([128, 40])
    """

    _shown = ("in1_features", "in2_features", "out_features")
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for param in self.parameters():
            init.uniform_(param, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """The products; RuntimeError for other sizes."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class Flatten(Module):
    """Dimensions ``start_dim`` to ``end_dim`` made one: (n, 3, 4, 5) to (n, 60).

    Source: ``torch.nn.Flatten``.

    >>> import chainrule as torch
    >>> torch.nn.Flatten()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """``input`` with fewer dimensions; its memory is shared where it can be."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension made several, the inverse of :class:`Flatten`: (n, 60) to (n, 3, 4, 5).

    One of ``unflattened_size`` may be -1: what is left.  TypeError unless they are whole numbers.

    Source: ``torch.nn.Unflatten``.

    >>> import chainrule as torch
    >>> torch.nn.Unflatten(1, (3, 4))(torch.zeros(2, 12)).shape
    torch.Size([2, 3, 4])
    """

    _shown = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError("named tensor dimensions are not supported: dim must be an int")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            )
        for i, n in enumerate(unflattened_size):
            if not isinstance(n, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(n).__name__} at pos {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """``input`` with more dimensions, sharing its memory; RuntimeError if the sizes do not fit."""
        return input.unflatten(self.dim, self.unflattened_size)
