"""Weights as lengths times directions, by a hook that computes them before each call; now a parametrization."""

from __future__ import annotations

import warnings
from typing import Any

from ...ops.weight_norm import norm_except_dim
from ...ops.weight_norm import weight_norm as _product
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter, is_lazy


class WeightNorm:
    """The hook: sets the weight ``name`` from ``name_g`` and ``name_v``."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight."""
        return _product(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace the parameter ``name`` by its lengths ``name_g`` and directions ``name_v``.

    There is a length for each index of ``dim``, or with None one for all.  A FutureWarning names what has taken its
    place, :func:`chainrule.nn.utils.parametrizations.weight_norm`.  RuntimeError for a second one on one parameter.

    Source: ``torch.nn.utils.weight_norm``.

    >>> import warnings
    >>> import chainrule as torch
    >>> with warnings.catch_warnings(action="ignore"):
    ...     layer = torch.nn.utils.weight_norm(torch.nn.Linear(20, 40))
    >>> layer.weight_g.shape
    torch.Size([40, 1])
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning, stacklevel=2,
    )  # fmt: skip
    if _found(module, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook, weight = WeightNorm(name, dim), getattr(module, name)
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
            "before applying weight normalization"
        )
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight, 2, hook.dim).data))
    module.register_parameter(name + "_v", Parameter(weight.data))
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undo :func:`weight_norm`; ValueError if there is nothing to undo.

    Source: ``torch.nn.utils.remove_weight_norm``.

    >>> import warnings
    >>> import chainrule as torch
    >>> with warnings.catch_warnings(action="ignore"):
    ...     layer = torch.nn.utils.weight_norm(torch.nn.Linear(20, 40))
    >>> torch.nn.utils.remove_weight_norm(layer)
    Linear(in_features=20, out_features=40, bias=True)
    """
    key = _found(module, name)
    if key is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    weight = module._forward_pre_hooks.pop(key).function.compute_weight(module)  # type: ignore[attr-defined]
    for part in (name, name + "_g", name + "_v"):
        delattr(module, part)
    setattr(module, name, Parameter(weight.data))
    return module


def _found(module: Module, name: str) -> int | None:
    """Where among the hooks that of ``name`` is."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, WeightNorm) and hook.function.name == name:
            return key
    return None
