"""Embeddings as layers: a vector for each index."""

from __future__ import annotations

from typing import Any, Self

from ..creation import empty
from ..errors import explained
from ..modes import no_grad
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class _Table(Module):
    """A matrix with a row for each index."""

    weight: Parameter

    def _set(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, complaint: str, weight: Tensor | None,
        freeze: bool, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < max(num_embeddings, 1):
                raise explained(
                    AssertionError(f"{complaint} must be within num_embeddings\nThere are {num_embeddings} rows.")
                )
            padding_idx += num_embeddings if padding_idx < 0 else 0
        self.padding_idx = padding_idx
        if weight is not None:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(weight, requires_grad=not freeze)
        else:
            drawn = empty((num_embeddings, embedding_dim), device=device, dtype=dtype)
            self.weight = Parameter(drawn, requires_grad=not freeze)
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all rows anew; the padding's is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def _options(self) -> dict[str, Any]:
        """The options that are not the usual ones."""
        d = self.__dict__
        usual = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        return {name: d[name] for name, value in usual.items() if d[name] != value}

    def _shown_with(self, **options: Any) -> str:
        said = [f"{name}={value!r}" for name, value in options.items()]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *said])


def _matrix(embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
    return embeddings.shape[0], embeddings.shape[1]


class Embedding(_Table):
    """Rows of a matrix by their numbers: indices of any shape (...) to (..., embedding_dim).

    ``weight`` is (num_embeddings, embedding_dim), at first standard normal.  The row ``padding_idx`` is 0 and gets no
    gradient; rows longer than ``max_norm``, by the norm of order ``norm_type``, are shortened when they are looked
    up; ``scale_grad_by_freq`` divides gradients by how often a row was.  ``sparse`` changes nothing here.

    Source: ``torch.nn.Embedding``.

    >>> import chainrule as torch
    >>> table = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> table(torch.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._set(num_embeddings, embedding_dim, padding_idx, "Padding_idx", _weight, _freeze, device, dtype)

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Self:  # fmt: skip
        """A layer with the rows of a matrix, which do not learn unless ``freeze`` is off."""
        rows, columns = _matrix(embeddings)
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings,
            _freeze=freeze,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """The rows; IndexError for a number that is none's."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """The sizes; the options where they are not the usual ones."""
        padding = {} if self.padding_idx is None else {"padding_idx": self.padding_idx}
        return self._shown_with(**padding, **self._options(), **({"sparse": True} if self.sparse else {}))


class EmbeddingBag(_Table):
    """The "mean", "sum" or "max" of bags of an :class:`Embedding`'s rows, to (bags, embedding_dim).

    Bags are the rows of (bags, n) indices; or pieces of a row of indices, which begin at ``offsets`` (with
    ``include_last_offset`` the last of these is the end).  Indices equal to ``padding_idx`` do not count.

    Source: ``torch.nn.EmbeddingBag``.

    >>> import chainrule as torch
    >>> bags = torch.nn.EmbeddingBag.from_pretrained(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), mode="sum")
    >>> bags(torch.tensor([0, 1, 1]), torch.tensor([0, 2]))
    tensor([[4., 6.],
            [3., 4.]])
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Tensor | None = None,
        include_last_offset: bool = False, padding_idx: int | None = None, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self._set(num_embeddings, embedding_dim, padding_idx, "padding_idx", _weight, False, device, dtype)

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:  # fmt: skip
        """A layer with the rows of a matrix, which do not learn unless ``freeze`` is off."""
        rows, columns = _matrix(embeddings)
        made = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
            padding_idx,
        )  # fmt: skip
        made.weight.requires_grad_(not freeze)
        return made

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """The bags' rows in one; with ``per_sample_weights``, of the indices' shape, each times its weight (mode "sum")."""
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The sizes; the options where they are not the usual ones."""
        padding = {} if self.padding_idx is None else {"padding_idx": self.padding_idx}
        return self._shown_with(**self._options(), mode=self.mode, **padding)
