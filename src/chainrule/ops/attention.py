"""Attention: sums of values, weighted by how well queries and keys agree."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .activation import Softmax
from .dropout import dropout
from .kinds import no_kernel, public
from .linalg import linear
from .padding import pad
from .pieces import chunk
from .rearrange import repeat_interleave
from .shape import cat

where = public["where"]


class MaskedSoftmax(Softmax):
    """:class:`Softmax`, but 0 where everything along ``axis`` is -inf: where all is masked, nothing is attended to."""

    forward = lambda xp, x, *, axis: masked_softmax(xp, x, axis)


def masked_softmax(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    top = xp.peak(x, axis=axis)
    e = xp.exp(x - xp.where(top == -math.inf, 0, top))
    total = xp.sum(e, axis=axis, keepdims=True)
    return e / xp.where(total == 0, 1, total)


class Attention(Primitive):
    """``softmax(q @ k.mT * scale) @ v``."""

    composite = True
    real_only = no_kernel("softmax_lastdim_kernel_impl")
    formula = False  # as one it grows without bounds
    forward = lambda xp, q, k, v, *, scale: xp.attend(q, k, v, None, scale)
    vjp_all = lambda xp, g, out, q, k, v, scale: xp.attend_back(g, out, q, k, v, None, scale)
    samples = [(((2, 3, 2), (2, 4, 2), (2, 4, 2)), {"scale": 0.7})]


class MaskedAttention(Primitive):
    """:class:`Attention` with a mask, through which no gradient flows."""

    composite = True
    real_only = no_kernel("softmax_lastdim_kernel_impl")
    formula = False
    forward = lambda xp, q, k, v, mask, *, scale: xp.attend(q, k, v, mask, scale)
    vjp_all = lambda xp, g, out, q, k, v, mask, scale: [*xp.attend_back(g, out, q, k, v, mask, scale), None]
    samples = [
        (((2, 3, 2), (2, 2, 2), (2, 2, 2), [[[True, False], [False, True], [True, True]]] * 2), {"scale": 0.7}),
    ]  # fmt: skip


_attention = Attention("ScaledDotProductFlashAttentionForCpuBackward0")
_masked_attention = MaskedAttention("ScaledDotProductFlashAttentionForCpuBackward0")
_softmax, _masked_softmax = Softmax(), MaskedSoftmax("SoftmaxBackward0")


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise explained(
            RuntimeError(
                "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
                f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
                "\nThe last two axes are the sequence and the features; those before them are batches."
            )
        )
    if not query._dtype == key._dtype == value._dtype:
        q, k, v = (_c_name(t) for t in (query, key, value))
        raise explained(
            RuntimeError(
                f"Expected query, key, and value to have the same dtype, but got query.dtype: {q} key.dtype: {k} and "
                f"value.dtype: {v} instead.\nConvert them: key.to(query.dtype)."
            )
        )
    if mask is not None and mask._dtype not in (np.dtype(bool), np.dtype("float32"), query._dtype):
        raise explained(
            RuntimeError(
                f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{_c_name(mask)} and  query.dtype: {_c_name(query)} instead."
                "\nA bool mask says where attention goes; a float one is added to the scores."
            )
        )
    if mask is not None and is_causal:
        raise explained(
            RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
                "\nPut the causal part into the mask: mask & torch.ones(L, S, dtype=torch.bool).tril()."
            )
        )


def _alike(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether there are batches of heads, the same for all, as the common way takes them."""
    q, k, v = query._shape, key._shape, value._shape
    real = query._dtype.kind == "f"
    return real and len(q) == 4 and q[:2] == k[:2] == v[:2] and q[3] == k[3] == v[3] and k[2] == v[2]


def _constant(mask: Tensor) -> bool:
    """Whether no derivative can be asked for with respect to a mask: of truth values, or of plain numbers."""
    return mask._dtype.kind == "b" or (type(mask) is Tensor and type(mask._a) is np.ndarray and not mask._rg)


def _c_name(t: Tensor) -> str:
    return {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}.get(
        str(t._dtype), str(t._dtype)
    )


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """``softmax(query @ key.mT * scale + mask) @ value``: (..., L, E), (..., S, E), (..., S, Ev) to (..., L, Ev).

    ``scale`` is ``1 / sqrt(E)`` unless given.  A bool ``attn_mask`` (..., L, S) is True where attention goes, one of
    floats is added; ``is_causal`` lets query i see keys up to i.  A query that sees none gives zeros.  Weights are
    dropped with probability ``dropout_p``, whether in training or not.  With ``enable_gqa`` several heads, along axis
    -3, share one of key's and value's.  RuntimeError for shapes or dtypes that do not fit.

    Source: ``torch.nn.functional.scaled_dot_product_attention``.

    >>> import chainrule as torch
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        heads, of_key, of_value = query._shape[-3], key._shape[-3], value._shape[-3]
        if heads % of_key or heads % of_value:
            raise explained(
                RuntimeError(
                    "Number of heads in key and value must divide the number of heads in \n"
                    f"The query has {heads}, the key {of_key}, the value {of_value}."
                )
            )
        key, value = repeat_interleave(key, heads // of_key, -3), repeat_interleave(value, heads // of_value, -3)
    scale = 1 / math.sqrt(query._shape[-1]) if scale is None else scale
    if not dropout_p and _alike(query, key, value) and (attn_mask is None or _constant(attn_mask)):
        if is_causal:
            attn_mask = wrap(np.tri(query._shape[-2], key._shape[-2], dtype=bool))
        if attn_mask is None:
            return _attention(query, key, value, scale=scale)
        mask = attn_mask.reshape((1,) * (4 - attn_mask.ndim) + attn_mask._shape)
        return _masked_attention(query, key, value, mask, scale=scale)
    scores = (query * scale) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = wrap(np.tri(query._shape[-2], key._shape[-2], dtype=bool))
    if attn_mask is None:
        weights: Tensor = _softmax(scores, axis=(-1,))
    else:
        if attn_mask._dtype.kind == "b":
            scores = where(attn_mask, scores, -math.inf)
        else:
            scores = scores + attn_mask
        weights = _masked_softmax(scores, axis=(-1,))
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return weights @ value


# --- with several heads ---


def _mha_shapes(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, heads: int
) -> bool:
    """Whether there is a batch axis, after PyTorch's checks."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    n = query.ndim
    batch = f"For {'batched (3-D)' if n == 3 else 'unbatched (2-D)'} `query`, expected"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"{batch} `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"{batch} `key_padding_mask` to be `None` or {n - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(f"{batch} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead")
    if mask is not None and n == 2 and mask.ndim == 3:
        wanted = (heads, query._shape[0], key._shape[0])
        if mask._shape != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return n == 3


def _added(mask: Tensor | None, name: str, dtype: Any, other: Tensor | None = None) -> Tensor | None:
    """A mask as what is added to the scores: True in a bool mask forbids."""
    if mask is None:
        return None
    if other is not None and other._dtype != mask._dtype:
        warnings.warn(
            f"Support for mismatched {name} and attn_mask is deprecated. Use same type for both instead.", stacklevel=3
        )
    if mask._dtype.kind == "f":
        return mask
    if mask._dtype.kind != "b":
        raise AssertionError(f"only bool and floating types of {name} are supported")
    zero, low = (wrap(np.asarray(v, dtype)) for v in (0, -math.inf))
    return where(mask, low, zero)


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Any, bias: Tensor | None, apart: tuple[Any, Any, Any] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values after the linear maps at the door: one weight, (3 E, E), or three ``apart``."""
    if apart is None and query is key is value:
        q, k, v = chunk(linear(query, weight, bias), 3, -1)
        return q, k, v
    w_q, w_k, w_v = chunk(weight, 3) if apart is None else apart
    b_q, b_k, b_v = (None, None, None) if bias is None else chunk(bias, 3)
    return linear(query, w_q, b_q), linear(key, w_k, b_k), linear(value, w_v, b_v)


def _fits(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
    add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
    training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
    attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None,
    static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention in ``num_heads`` parts of the features, between linear maps: the output, and the weights if wanted.

    ``query`` is (L, n, E), ``key`` and ``value`` (S, n, E); the batch axis n may be left out.  In a bool mask,
    ``key_padding_mask`` (n, S) or ``attn_mask`` (L, S) or (n * heads, L, S), True forbids; floats are added.
    ``bias_k`` and ``bias_v`` (1, 1, E) stand at the end of the sequence, as do zeros with ``add_zero_attn``.  The
    weights (n, L, S) are means over the heads unless ``average_attn_weights`` is off.  AssertionError for shapes that
    do not fit.

    Source: ``torch.nn.functional.multi_head_attention_forward``.
    """
    batched = _mha_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_k, same_v = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_k else key.unsqueeze(1)
        value = key if same_v else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    (long, n, width), short = query._shape, key._shape[0]
    key_padding_mask = _added(key_padding_mask, "key_padding_mask", query._dtype, attn_mask)
    if is_causal and attn_mask is None:
        raise explained(
            RuntimeError(
                "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
                "`generate_square_subsequent_mask` to create this mask.\nis_causal only says that the mask is the causal one."
            )
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        attn_mask = _added(attn_mask, "attn_mask", query._dtype)
        is_causal = is_causal and key_padding_mask is None
    _fits(width == embed_dim_to_check, f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    size = width // num_heads
    _fits(size * num_heads == width, f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        _fits(key._shape[:2] == value._shape[:2], f"key's sequence and batch dims {key.shape[:2]} do not match value's "
              f"{value.shape[:2]}")  # fmt: skip
        for name, w in (("q", q_proj_weight), ("k", k_proj_weight), ("v", v_proj_weight)):
            _fits(w is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
    else:
        _fits(key._shape == value._shape, f"key shape {key.shape} does not match value shape {value.shape}")
        _fits(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
    apart = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, apart)

    if attn_mask is not None:
        wanted = (long, short) if attn_mask.ndim == 2 else (n * num_heads, long, short)
        if attn_mask._shape != wanted:
            raise RuntimeError(
                f"The shape of the {attn_mask.ndim}D attn_mask is {attn_mask.shape}, but should be {wanted}."
            )
        attn_mask = attn_mask.unsqueeze(0) if attn_mask.ndim == 2 else attn_mask
    _fits((bias_k is None) == (bias_v is None), "bias_k is set but bias_v is None" if bias_v is None else
          "bias_v is set but bias_k is None")  # fmt: skip
    added = 0  # places at the end of the sequence that are not in the input
    if bias_k is not None and bias_v is not None:
        _fits(static_k is None, "bias cannot be added to static key.")
        _fits(static_v is None, "bias cannot be added to static value.")
        k, v = cat([k, bias_k.expand(1, n, width)]), cat([v, bias_v.expand(1, n, width)])
        added += 1

    def by_head(x: Tensor) -> Tensor:
        return x.reshape(x._shape[0], n * num_heads, size).transpose(0, 1)

    def static(given: Tensor, name: str) -> Tensor:
        for at, m in ((0, n * num_heads), (2, size)):
            _fits(given._shape[at] == m, f"expecting {name}.size({at}) of {m}, but got {given._shape[at]}")
        return given

    q = by_head(q)
    k = by_head(k) if static_k is None else static(static_k, "static_k")
    v = by_head(v) if static_v is None else static(static_v, "static_v")
    if add_zero_attn:
        zeros = k.new_zeros(n * num_heads, 1, size)
        k, v = cat([k, zeros], 1), cat([v, zeros], 1)
        added += 1
    short = k._shape[1]
    if attn_mask is not None and added:
        attn_mask = pad(attn_mask, (0, added))
    if key_padding_mask is not None:
        key_padding_mask = pad(key_padding_mask, (0, added)) if added else key_padding_mask
        for at, m in enumerate((n, short)):
            _fits(key_padding_mask._shape[at] == m, f"Expected key_padded_mask.shape[{at}] to be {m}, but got "
                  f"{key_padding_mask._shape[at]}")  # fmt: skip
        each = key_padding_mask.reshape(n, 1, 1, short).expand(n, num_heads, 1, short).reshape(n * num_heads, 1, short)
        attn_mask = each if attn_mask is None else attn_mask + each
    dropout_p = dropout_p if training else 0.0

    weights = None
    if need_weights:
        _fits(not (is_causal and attn_mask is None), "FIXME: is_causal not implemented for need_weights")
        scores = (q * math.sqrt(1.0 / size)) @ k.transpose(-2, -1)
        weights = _softmax(scores if attn_mask is None else attn_mask + scores, axis=(-1,))
        weights = dropout(weights, dropout_p)
        out = (weights @ v).transpose(0, 1)
        weights = weights.reshape(n, num_heads, long, short)
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    else:
        if attn_mask is not None:
            alone = attn_mask._shape[0] == 1
            attn_mask = attn_mask.unsqueeze(0) if alone else attn_mask.reshape(n, num_heads, -1, short)
        q, k, v = (x.reshape(n, num_heads, x._shape[1], size) for x in (q, k, v))
        out = scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal).permute(2, 0, 1, 3)
    out = linear(out.reshape(long * n, width), out_proj_weight, out_proj_bias)
    out = out.reshape(long, n, out._shape[1])
    return (out if batched else out.squeeze(1)), weights
