"""Weights that stay orthogonal, of given length, or of spectral norm 1.  Source: ``torch.nn.utils.parametrizations``.

>>> import chainrule as torch
>>> layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 3))
>>> torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-6)
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import linalg
from ...creation import eye, zeros_like
from ...dtypes import finfo
from ...modes import no_grad
from ...ops import public
from ...ops.weight_norm import norm_except_dim
from ...ops.weight_norm import weight_norm as _weight_norm
from ...tensor import Tensor
from .. import functional as F
from ..module import Module
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, output_axis

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor_of(module: Module, name: str) -> Tensor:
    found = getattr(module, name, None)
    if not isinstance(found, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return found


# --- orthogonal ---


def _cayley(a: Tensor) -> Tensor:
    """(1 + a/2) / (1 - a/2), which is orthogonal for a skew-symmetric ``a``."""
    one = eye(a._shape[-1], dtype=a.dtype)
    return linalg.solve(one - a * 0.5, one + a * 0.5)


def _reflections(x: Tensor) -> Tensor:
    """The product of the reflections in the columns below the diagonal, with the signs on the diagonal."""
    a = x.tril(-1)
    q = linalg.householder_product(a, 2.0 / (1.0 + (a * a).sum(-2)))
    return q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)


_SKEW: dict[str, Callable[[Tensor], Tensor]] = {"matrix_exp": public["matrix_exp"], "cayley": _cayley}


def _nearly_orthogonal(q: Tensor) -> bool:
    rows, columns = q._shape[-2:]
    one = eye(columns, dtype=q.dtype)
    return bool(public["allclose"](q.mH @ q, one, atol=10.0 * rows * finfo(q.dtype).eps))


def _orthonormal(a: Tensor) -> Tensor:
    """The Q of ``a`` = Q R with positive numbers on R's diagonal; no fewer rows than columns."""
    x, tau = public["geqrf"](a)
    return linalg.householder_product(x, tau) * x.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x._shape[-2] < x._shape[-1]
        x = x.mT if wide else x
        rows, columns = x._shape[-2:]
        if self.orthogonal_map == "householder":
            q = _reflections(x)
        else:
            x = x.tril()
            if rows != columns:
                x = public["cat"]([x, x.new_zeros(*x._shape[:-1], rows - columns)], -1)
            q = _SKEW[self.orthogonal_map](x - x.mH)[..., :columns]
        if self.use_trivialization:
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
            )
        wide = q._shape[-2] < q._shape[-1]
        tall = q.mT if wide else q
        with no_grad():
            if not self.use_trivialization:
                return self._from_reflections(tall, wide)
            rows, columns = tall._shape[-2:]
            if rows != columns:  # the columns that are missing are drawn
                more = tall.new_empty((*tall._shape[:-1], rows - columns)).normal_()
                self.base = _orthonormal(public["cat"]([tall, more], -1))
            else:
                self.base = tall.clone() if _nearly_orthogonal(tall) else _orthonormal(tall)
            start = zeros_like(q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # of which each map makes the identity
            return start

    def _from_reflections(self, tall: Tensor, wide: bool) -> Tensor:
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        a, tau = public["geqrf"](tall)
        signs = a.diagonal(dim1=-2, dim2=-1)
        signs.sign_()
        signs[tau == 0.0] *= -1  # a reflection that LAPACK left out
        return a.mT if wide else a


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep the tensor ``name`` of ``module``, (..., n, m), orthogonal, or unitary: its rows or columns orthonormal.

    ``orthogonal_map`` makes it of the free numbers: "matrix_exp" and "cayley" of a skew-symmetric matrix,
    "householder" by reflections.  Unless given, it is the first for square and complex matrices, the last for
    others.  With ``use_trivialization`` the result is multiplied by a fixed orthogonal matrix ``base``, so that it
    starts where the tensor is.  ValueError for fewer than two dimensions, or an unknown map.

    Source: ``torch.nn.utils.parametrizations.orthogonal``.

    >>> import chainrule as torch
    >>> torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(20, 40))
    ParametrizedLinear(
      in_features=20, out_features=40, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): _Orthogonal()
        )
      )
    )
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight._shape[-2] == weight._shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)


# --- of given length ---


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return _weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let the tensor ``name`` of ``module`` be lengths, ``original0``, times directions, ``original1``.

    There is a length for each index of ``dim``, or with None one for all.  States saved with the older
    :func:`chainrule.nn.utils.weight_norm` can be loaded.

    Source: ``torch.nn.utils.parametrizations.weight_norm``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(module: Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        old = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state for key in old):
            for i, key in enumerate(old):
                state[f"{prefix}parametrizations.{name}.original{i}"] = state.pop(key)

    module.register_load_state_dict_pre_hook(rename)
    return module


# --- of spectral norm 1 ---


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        n = weight.ndim
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{n}, {n - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % n
        self.eps = eps
        if n > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            for name, size in zip(("_u", "_v"), matrix._shape, strict=True):
                drawn = matrix.new_empty(size).detach().normal_(0, 1)
                self.register_buffer(name, F.normalize(drawn, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, count: int) -> None:
        """Bring ``_u`` and ``_v`` nearer to the first singular vectors: by one multiplication each."""
        with no_grad():
            for _ in range(count):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.mH @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next call writes into the buffers
        return weight / public["vdot"](u, public["mv"](matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide the tensor ``name`` of ``module`` by its largest singular value, as a matrix with ``dim`` first.

    The value is followed by ``n_power_iterations`` of the power method whenever the tensor is read in training.
    ``dim`` is 0 unless given, 1 for transposed convolutions.

    Source: ``torch.nn.utils.parametrizations.spectral_norm``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(20, 40))
    >>> 0.9 < torch.linalg.matrix_norm(layer.weight, 2).item() < 1.1
    True
    """
    weight = _tensor_of(module, name)
    made = _SpectralNorm(weight, n_power_iterations, output_axis(module) if dim is None else dim, eps)
    return register_parametrization(module, name, made)
