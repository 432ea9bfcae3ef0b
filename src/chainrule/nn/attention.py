"""Attention as a layer."""

from __future__ import annotations

from typing import Any

from ..creation import empty
from ..errors import explained
from ..tensor import Tensor
from . import functional as F
from . import init
from .linear import Linear
from .module import Module
from .parameter import Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """A :class:`Linear` under the name that PyTorch's texts have for it inside of attention."""


class MultiheadAttention(Module):
    """Each query's mean of the values, weighted by how well its key fits, in ``num_heads`` parts of the features.

    Queries, keys and values go through linear maps first, ``in_proj_weight`` (3 * embed_dim, embed_dim) and
    ``in_proj_bias``; with a ``kdim`` or ``vdim`` of their own there is ``q_proj_weight`` and so on.  The heads' results
    side by side go through ``out_proj``.  ``add_bias_kv`` adds a learned key and value at the end of the sequence,
    ``add_zero_attn`` zeros.  ``dropout`` is the part of the weights that is dropped in training.

    Source: ``torch.nn.MultiheadAttention``.

    >>> import chainrule as torch
    >>> x = torch.zeros(5, 2, 8)
    >>> out, weights = torch.nn.MultiheadAttention(8, 4)(x, x, x)
    >>> out.shape, weights.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        if embed_dim % num_heads:
            raise explained(
                AssertionError(
                    f"embed_dim must be divisible by num_heads\nEach head takes an equal part of the {embed_dim}."
                )
            )
        e = embed_dim
        self._qkv_same_embed_dim = self.kdim == e and self.vdim == e
        shapes: dict[str, tuple[int, ...] | None] = {
            "q_proj_weight": (e, e), "k_proj_weight": (e, self.kdim), "v_proj_weight": (e, self.vdim),
            "in_proj_weight": None,
        }  # fmt: skip
        if self._qkv_same_embed_dim:
            shapes = {"in_proj_weight": (3 * e, e), **dict.fromkeys(list(shapes)[:3])}
        shapes["in_proj_bias"] = (3 * e,) if bias else None
        shapes.update({"bias_k": (1, 1, e), "bias_v": (1, 1, e)} if add_bias_kv else {})
        for name, shape in shapes.items():
            value = None if shape is None else Parameter(empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, value)
        if not add_bias_kv:
            self.bias_k = self.bias_v = None
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias=bias, device=device, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if (weight := getattr(self, name)) is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """(output, weights) of ``query`` (L, n, embed_dim), ``key`` (S, n, kdim) and ``value`` (S, n, vdim).

        With ``batch_first`` n comes first; it may be left out.  In a bool mask, ``key_padding_mask`` (n, S) or
        ``attn_mask`` (L, S) or (n * heads, L, S), True forbids; floats are added to the scores.  The weights (n, L, S)
        are the means over the heads unless ``average_attn_weights`` is off, and None unless ``need_weights``.
        """
        swapped = self.batch_first and query.ndim == 3
        if swapped:
            same_k, same_v = key is query, value is key
            query = query.transpose(0, 1)
            key = query if same_k else key.transpose(0, 1)
            value = key if same_v else value.transpose(0, 1)
        apart = not self._qkv_same_embed_dim
        out, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, apart, self.q_proj_weight, self.k_proj_weight,
            self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return out.transpose(0, 1) if swapped else out, weights
