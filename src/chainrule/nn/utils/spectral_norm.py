"""Weights divided by their largest singular value, by a hook that does so before each call."""

from __future__ import annotations

from typing import Any

from ...modes import no_grad
from ...ops import public
from ...tensor import Tensor
from .. import functional as F
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from ..parameter import Parameter, is_lazy


def output_axis(module: Module) -> int:
    """The axis of a layer's weight that its outputs are numbered by."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """``weight`` with the axis ``dim`` first and all others made one."""
    return weight.movedim(dim, 0).flatten(1) if weight.ndim > 1 else weight.reshape(-1, 1)


class SpectralNorm:
    """The hook: sets the weight ``name`` from ``name_orig``, and follows its singular vectors in ``name_u``, ``name_v``."""

    _version = 1  # 1: v is saved as well as u

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight, after ``n_power_iterations`` of the power method if wanted."""
        weight, u, v = (getattr(module, self.name + part) for part in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.t() @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the next call writes into the buffers
        return weight / public["dot"](u, public["mv"](matrix, v))  # type: ignore[no-any-return]

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def saved(self, module: Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
        """Note in a saved state which buffers there are."""
        metadata.setdefault("spectral_norm", {})[self.name + ".version"] = self._version


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide the parameter ``name`` by its largest singular value, as a matrix with ``dim`` first, before each call.

    The value is followed by ``n_power_iterations`` of the power method in each call in training.  ``dim`` is 0 unless
    given, 1 for transposed convolutions.  RuntimeError for a second one on one parameter.  The newer form is
    :func:`chainrule.nn.utils.parametrizations.spectral_norm`.

    Source: ``torch.nn.utils.spectral_norm``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.spectral_norm(torch.nn.Linear(20, 40))
    >>> layer.weight_u.shape
    torch.Size([40])
    """
    if _found(module, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook = SpectralNorm(name, n_power_iterations, output_axis(module) if dim is None else dim, eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
            "before applying spectral normalization"
        )
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.data)
    with no_grad():
        for part, size in zip("uv", as_matrix(weight, hook.dim)._shape, strict=True):
            module.register_buffer(f"{name}_{part}", F.normalize(weight.new_empty(size).normal_(0, 1), dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    module.register_state_dict_post_hook(hook.saved)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Undo :func:`spectral_norm`, leaving the weight as it is; ValueError if there is nothing to undo.

    Source: ``torch.nn.utils.remove_spectral_norm``.

    >>> import chainrule as torch
    >>> torch.nn.utils.remove_spectral_norm(torch.nn.utils.spectral_norm(torch.nn.Linear(20, 40)))
    Linear(in_features=20, out_features=40, bias=True)
    """
    key = _found(module, name)
    if key is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    hook: Any = module._forward_pre_hooks.pop(key).function
    for other, after in list(module._state_dict_hooks.items()):
        if getattr(after, "__self__", None) is hook:
            del module._state_dict_hooks[other]
    with no_grad():
        weight = hook.compute_weight(module, False)
    for part in ("", "_u", "_v", "_orig"):
        delattr(module, name + part)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def _found(module: Module, name: str) -> int | None:
    """Where among the hooks that of ``name`` is."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, SpectralNorm) and hook.function.name == name:
            return key
    return None
