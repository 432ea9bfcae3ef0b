"""Normalisation over batches and over instances, with running statistics, as layers."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..creation import ones, zeros
from ..errors import explained
from ..tensor import Tensor
from . import functional as F
from .affine import Affine
from .module import Module


class _NormBase(Affine):
    """Weight and bias for each channel, the running mean and variance, and the number of batches they come from."""

    _version = 2  # 2: num_batches_tracked is saved
    _axes: tuple[int, ...]  # how many axes an input may have
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if tracked else None)
        count = zeros((), device=device, dtype=dtypes.int64) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self._learn((num_features,), {"weight": affine, "bias": affine and bias}, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget all batches, and set the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._axes:
            wanted = " or ".join(f"{n}D" for n in self._axes)
            raise explained(
                ValueError(
                    f"expected {wanted} input (got {input.ndim}D input)"
                    "\nThe axes are (batch, channels, ...); there is a layer for each number of axes: 1d, 2d, 3d."
                )
            )

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, *rest: Any) -> None:
        key = prefix + "num_batches_tracked"
        if (local_metadata.get("version") or 1) < self._version and self.num_batches_tracked is not None:
            state_dict.setdefault(key, self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; ValueError for another number of axes, or a single value per channel in training."""
        self._check_input_dim(input)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # the mean of all batches
                momentum = 1.0 / float(self.num_batches_tracked)
        running = (None, None)
        if not self.training or self.track_running_stats:
            running = (self.running_mean, self.running_var)  # type: ignore[assignment]
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        return F.batch_norm(input, *running, self.weight, self.bias, by_batch, momentum or 0.0, self.eps)


class BatchNorm1d(_BatchNorm):
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` for each channel: (n, channels) or (n, channels, length).

    In training mean and variance are the batch's, and the buffers ``running_mean`` and ``running_var`` move towards
    them by ``momentum`` (None: they are the mean of all batches); in evaluation they are the running ones.
    ``weight`` and ``bias`` are (num_features,), at first 1 and 0; without ``affine`` there are none.

    Source: ``torch.nn.BatchNorm1d``.

    >>> import chainrule as torch
    >>> layer = torch.nn.BatchNorm1d(1, affine=False)
    >>> layer(torch.tensor([[1.0], [3.0]]))
    tensor([[-1.0000],
            [ 1.0000]])
    >>> layer.running_mean
    tensor([0.2000])
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` of (n, channels, height, width).

    Source: ``torch.nn.BatchNorm2d``.

    >>> import chainrule as torch
    >>> torch.nn.BatchNorm2d(3)(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """:class:`BatchNorm1d` of (n, channels, depth, height, width).

    Source: ``torch.nn.BatchNorm3d``.

    >>> import chainrule as torch
    >>> torch.nn.BatchNorm3d(3)(torch.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _axes = (5,)


class SyncBatchNorm(_BatchNorm):
    """:class:`BatchNorm1d` of any number of axes from two on, for models made for several processes.

    With several, PyTorch's takes the mean and variance over the batches of all; here there is one process, and the batch
    is its own.  ValueError for a vector, or for no channels.

    Source: ``torch.nn.SyncBatchNorm``.

    >>> import chainrule as torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    >>> torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    )
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, process_group: Any = None, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
        if input._shape[1] == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """``module`` with a layer like this, over the same parameters and buffers, for each batch normalisation."""
        made = module
        if isinstance(module, _BatchNorm):
            made = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                process_group, bias=module.bias is not None,
            )  # fmt: skip
            made._parameters.update(module._parameters)
            made._buffers.update(module._buffers)
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; ValueError for another number of axes or of channels."""
        self._check_input_dim(input)
        axis = input.ndim - self._axes[0]
        found = input._shape[axis]
        if found != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={axis} to match num_features ({self.num_features}), but got: {found}."
                )
            warnings.warn(
                f"input's size at dim={axis} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False",
                stacklevel=2,
            )
        x = input if axis else input.unsqueeze(0)
        y = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return y if axis else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """:class:`BatchNorm1d` of each sample alone: (n, channels, length), or (channels, length).

    Without ``affine``, as usual, there are no weight and bias, and without ``track_running_stats`` no running mean
    and variance.

    Source: ``torch.nn.InstanceNorm1d``.

    >>> import chainrule as torch
    >>> torch.nn.InstanceNorm1d(1)(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """:class:`InstanceNorm1d` of (n, channels, height, width), or without n.

    Source: ``torch.nn.InstanceNorm2d``.

    >>> import chainrule as torch
    >>> torch.nn.InstanceNorm2d(3)(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """:class:`InstanceNorm1d` of (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.InstanceNorm3d``.

    >>> import chainrule as torch
    >>> torch.nn.InstanceNorm3d(3)(torch.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _axes = (4, 5)
