"""Layers that learn the size of their input from the first one they get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import dtypes
from ..creation import tensor
from ..modes import no_grad
from ..tensor import Tensor
from .batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _NormBase,
)
from .conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
    _ConvTranspose,
)
from .linear import Linear
from .module import Module
from .parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from .sizes import Sizes


class LazyModuleMixin(Module):
    """A module whose parameters, or some of them, get their shape from the first input.

    A class that inherits from this and from a module makes them :class:`UninitializedParameter` in its ``__init__``, and
    says in ``initialize_parameters``, which gets what ``forward`` gets, how they are made of their shape.  After the first
    call, the object is one of the class ``cls_to_become``, if that is set.

    Source: ``torch.nn.modules.lazy.LazyModuleMixin``.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = True  # for the first input

    def _held(self) -> Iterator[Any]:
        yield from self._parameters.values()
        yield from self._buffers.values()

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer is still without a shape."""
        return any(is_lazy(p) for p in self._held())

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes, from the arguments of ``forward``."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, value in {**self._parameters, **self._buffers}.items():
            new = state_dict.get(prefix + name)
            if is_lazy(value) and new is not None and not is_lazy(new):
                value.materialize(new.shape)  # type: ignore[union-attr]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _load_one(self, name: str, mine: Tensor, new: Any, assign: bool) -> None:
        if not is_lazy(mine):  # one without a shape has nothing to take
            super()._load_one(name, mine, new, assign)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What ``forward`` gives; before the first call, the parameters are made."""
        if self._waiting:
            _not_while_captured()
            with no_grad():
                self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
            self._waiting = False
            if self.cls_to_become is not None:
                del self._waiting
                self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return Module.__call__(self, *args, **kwargs)


def _not_while_captured() -> None:
    """Let a function that is being captured run as it is this time."""
    from ..compiler.watching import Inline, current

    if (capture := current.get()) is not None:
        capture.refuse(Inline())


class _Lazy(LazyModuleMixin):
    """A layer of the library's own, which is drawn anew when its shape is known, and becomes one of its last base."""

    def __init_subclass__(cls) -> None:
        kind: Any = cls.__bases__[-1]
        if not issubclass(kind, _Lazy):
            cls.cls_to_become = kind

    def _shapeless(self, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            if wanted:
                setattr(self, name, UninitializedParameter(device=device, dtype=dtype))

    def _shape(self, **shapes: tuple[int, ...]) -> None:
        """Give these parameters and buffers their shapes, where they are still without one, and set them all."""
        for name, shape in shapes.items():
            value = getattr(self, name)
            if is_lazy(value):
                value.materialize(shape)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, if their shape is known."""
        if not self.has_uninitialized_params() and next((p.numel() for p in self._held() if p is not None), 0):
            super().reset_parameters()  # type: ignore[misc]


class LazyLinear(_Lazy, Linear):
    """:class:`Linear` whose ``in_features`` are those of the first input.

    Source: ``torch.nn.LazyLinear``.

    >>> import chainrule as torch
    >>> layer = torch.nn.LazyLinear(4)
    >>> layer
    LazyLinear(in_features=0, out_features=4, bias=True)
    >>> layer(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    >>> layer
    Linear(in_features=3, out_features=4, bias=True)
    """

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self._shapeless(True, bias, device, dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        """Take ``in_features`` from ``input``; AssertionError if loaded weights have others."""
        if self.has_uninitialized_params():
            self.in_features = input._shape[-1]
            self._shape(weight=(self.out_features, self.in_features), bias=(self.out_features,))
        if self.in_features == 0:
            if input._shape[-1] != self.weight._shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input._shape[-1]} is not equal to in_features from self.weight: "
                    f"{self.weight._shape[-1]}"
                )
            self.in_features = input._shape[-1]


class _LazyConv(_Lazy, _ConvNd):
    """What the convolutions share: the channels are those of the first input."""

    def initialize_parameters(self, input: Tensor, *rest: Any) -> None:
        """Take ``in_channels`` from ``input``; RuntimeError for another number of axes."""
        if not self.has_uninitialized_params():
            return
        n = self._rank
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {self._get_name()}, but got input of size: "
                f"{input.shape}"
            )
        self.in_channels = input._shape[-n - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        self._shape(weight=self._weight_shape(), bias=(self.out_channels,))


class _LazyConvForward(_LazyConv):
    def __init__(
        self, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: str | Sizes = 0, dilation: Sizes = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self.out_channels = out_channels
        self._shapeless(True, bias, device, dtype)


class LazyConv1d(_LazyConvForward, Conv1d):
    """:class:`Conv1d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConv1d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConv1d(4, 3)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 4, 6])
    """


class LazyConv2d(_LazyConvForward, Conv2d):
    """:class:`Conv2d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConv2d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConv2d(4, 3)(torch.zeros(2, 5, 8, 8)).shape
    torch.Size([2, 4, 6, 6])
    """


class LazyConv3d(_LazyConvForward, Conv3d):
    """:class:`Conv3d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConv3d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConv3d(4, 3)(torch.zeros(2, 5, 8, 8, 8)).shape
    torch.Size([2, 4, 6, 6, 6])
    """


class _LazyConvTranspose(_LazyConv, _ConvTranspose):
    def __init__(
        self, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0, output_padding: Sizes = 0,
        groups: int = 1, bias: bool = True, dilation: Sizes = 1, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
        )
        self.out_channels = out_channels
        self._shapeless(True, bias, device, dtype)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """:class:`ConvTranspose1d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConvTranspose1d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConvTranspose1d(4, 3)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 4, 10])
    """


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """:class:`ConvTranspose2d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConvTranspose2d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConvTranspose2d(4, 3)(torch.zeros(2, 5, 8, 8)).shape
    torch.Size([2, 4, 10, 10])
    """


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """:class:`ConvTranspose3d` whose ``in_channels`` are those of the first input.

    Source: ``torch.nn.LazyConvTranspose3d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyConvTranspose3d(4, 3)(torch.zeros(2, 5, 8, 8, 8)).shape
    torch.Size([2, 4, 10, 10, 10])
    """


class _LazyNorm(_Lazy, _NormBase):
    """What the normalisations share: the features are those of the first input."""

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._shapeless(affine, affine and bias, device, dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=dtypes.int64, device=device)

    def initialize_parameters(self, input: Tensor) -> None:
        """Take ``num_features`` from ``input``."""
        if self.has_uninitialized_params():
            self.num_features = input._shape[1]
            names = ("weight", "bias", "running_mean", "running_var")
            self._shape(**dict.fromkeys(names, (self.num_features,)))


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """:class:`BatchNorm1d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyBatchNorm1d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyBatchNorm1d()(torch.zeros(2, 5)).shape
    torch.Size([2, 5])
    """


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """:class:`BatchNorm2d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyBatchNorm2d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyBatchNorm2d()(torch.zeros(2, 5, 3, 3)).shape
    torch.Size([2, 5, 3, 3])
    """


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """:class:`BatchNorm3d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyBatchNorm3d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyBatchNorm3d()(torch.zeros(2, 5, 3, 3, 3)).shape
    torch.Size([2, 5, 3, 3, 3])
    """


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """:class:`InstanceNorm1d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyInstanceNorm1d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyInstanceNorm1d()(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 3])
    """


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """:class:`InstanceNorm2d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyInstanceNorm2d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyInstanceNorm2d()(torch.zeros(2, 5, 3, 3)).shape
    torch.Size([2, 5, 3, 3])
    """


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """:class:`InstanceNorm3d` whose ``num_features`` are those of the first input.

    Source: ``torch.nn.LazyInstanceNorm3d``.

    >>> import chainrule as torch
    >>> torch.nn.LazyInstanceNorm3d()(torch.zeros(2, 5, 3, 3, 3)).shape
    torch.Size([2, 5, 3, 3, 3])
    """
