"""Recurrent layers: a cell unrolled over sequences, in several layers and in both directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..arrays import namespace as ns
from ..arrays.gates import parts
from ..creation import empty, zeros
from ..ops import public
from ..ops.recurrence import recurrence
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

_cat, _stack = public["cat"], public["stack"]
_CELLS = {"LSTM": ("lstm", 4), "GRU": ("gru", 3), "RNN_TANH": ("tanh", 1), "RNN_RELU": ("relu", 1)}


class RNNBase(Module):
    """What :class:`RNN`, :class:`LSTM` and :class:`GRU`, the ``mode``, share: their weights and how they are used.

    Layer k has ``weight_ih_lk`` (gates * hidden_size, inputs), ``weight_hh_lk`` (gates * hidden_size, hidden_size),
    ``bias_ih_lk`` and ``bias_hh_lk`` (gates * hidden_size,), and with a ``proj_size`` ``weight_hr_lk`` (proj_size,
    hidden_size); those of the other direction end in "_reverse".  All start uniform within ±1/√hidden_size.

    Source: ``torch.nn.RNNBase``.

    >>> import chainrule as torch
    >>> [name for name, _ in torch.nn.RNNBase("GRU", 2, 3).named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_options(dropout)
        self.dropout = float(dropout)
        rows, carried = _CELLS[mode][1] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self._directions():
                inputs = carried * (2 if bidirectional else 1) if layer else input_size
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, carried)}
                shapes.update({"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {})
                shapes.update({"weight_hr": (proj_size, hidden_size)} if proj_size else {})
                for name, shape in shapes.items():
                    setattr(self, f"{name}_l{layer}{suffix}", Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _check_options(self, dropout: Any) -> None:
        if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _CELLS:
            raise ValueError("Unrecognized RNN mode: " + self.mode)

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: weights lie as they do."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, in a list for each layer and direction."""
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        names += ["weight_hr"] if self.proj_size else []
        return [
            [getattr(self, f"{name}_l{layer}{suffix}") for name in names]
            for layer in range(self.num_layers)
            for suffix in self._directions()
        ]

    # --- forward ---

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(output, last states) of ``input`` (steps, n, input_size), or without n, or a packed sequence.

        ``output`` has the last layer's hidden states after each step, both directions side by side; the states are
        (layers * directions, n, hidden_size), for :class:`LSTM` two of them, and so is ``hx``, zeros unless given.
        ``batch_first`` puts n first in input and output.  RuntimeError for sizes that do not fit.
        """
        if isinstance(input, PackedSequence):
            sizes = tuple(input.batch_sizes.tolist())
            states = self._states(input.data, hx, sizes[0], input.sorted_indices, True)
            self._check_input(input.data, 2)
            rows, last = self._layers(input.data, states, sizes)
            packed = PackedSequence(rows, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
            back = input.unsorted_indices
            return packed, self._given(last if back is None else [s.index_select(1, back) for s in last])
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if self.batch_first and batched else x
        steps, n = x._shape[:2]
        states = self._states(x, hx, n, None, batched)
        self._check_input(x, 3)
        rows, last = self._layers(x.reshape(steps * n, -1), states, (n,) * steps)
        out = rows.reshape(steps, n, -1)
        if not batched:
            return out.squeeze(1), self._given([s.squeeze(1) for s in last])
        return out.transpose(0, 1) if self.batch_first else out, self._given(last)

    def _check_input(self, x: Tensor, axes: int) -> None:
        weight: Tensor = self.weight_ih_l0
        if x._dtype != weight._dtype:
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({x.dtype})"
            )
        if x.ndim != axes:
            raise RuntimeError(f"input must have {axes} dimensions, got {x.ndim}")
        if x._shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x._shape[-1]}"
            )

    def _states(self, x: Tensor, hx: Any, n: int, order: Tensor | None, batched: bool) -> list[Tensor]:
        """The first states, checked: each (layers * directions, n, size)."""
        layers = self.num_layers * len(self._directions())
        shapes = [(layers, n, self.proj_size or self.hidden_size), (layers, n, self.hidden_size)]
        shapes = shapes if self.mode == "LSTM" else shapes[:1]
        if hx is None:
            return [zeros(shape, dtype=x.dtype) for shape in shapes]
        states = [hx[0], hx[1]] if self.mode == "LSTM" else [hx]
        self._check_axes(states, batched)
        states = states if batched else [s.unsqueeze(1) for s in states]
        words = ["Expected hidden[0] size {}, got {}", "Expected hidden[1] size {}, got {}"]
        for s, shape, said in zip(
            states, shapes, words if len(states) > 1 else ["Expected hidden size {}, got {}"], strict=True
        ):
            if tuple(s._shape) != shape:
                raise RuntimeError(said.format(shape, list(s.shape)))
        return states if order is None else [s.index_select(1, order) for s in states]

    def _check_axes(self, states: Sequence[Tensor], batched: bool) -> None:
        wanted, kind = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if any(s.ndim != wanted for s in states):
            if len(states) > 1:
                found = ", ".join(f"{s.ndim}-D" for s in states)
                raise RuntimeError(f"For {kind} input, hx and cx should also be {wanted}-D but got ({found}) tensors")
            raise RuntimeError(f"For {kind} input, hx should also be {wanted}-D but got {states[0].ndim}-D tensor")

    def _given(self, states: list[Tensor]) -> Any:
        return tuple(states) if self.mode == "LSTM" else states[0]

    def _layers(self, x: Tensor, states: list[Tensor], sizes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """The rows after the last layer, and the last states of all."""
        last: list[list[Tensor]] = []
        place = 0
        for layer in range(self.num_layers):
            found = []
            for suffix in self._directions():
                rows, final = self._one(x, [s[place] for s in states], f"_l{layer}{suffix}", sizes, suffix != "")
                found.append(rows)
                last.append(final)
                place += 1
            x = _cat(found, -1) if len(found) > 1 else found[0]
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [_stack([final[k] for final in last]) for k in range(len(states))]

    def _one(
        self, x: Tensor, states: list[Tensor], at: str, sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction."""
        get = self.__getattr__
        cell = _CELLS[self.mode][0]
        bias, hidden_bias = (get(f"bias_ih{at}"), get(f"bias_hh{at}")) if self.bias else (None, None)
        if cell == "gru":  # whose gate scales what the hidden state gives, bias included
            hidden_bias = zeros(3 * self.hidden_size, dtype=x.dtype) if hidden_bias is None else hidden_bias
        elif bias is not None and hidden_bias is not None:
            bias, hidden_bias = bias + hidden_bias, None
        gates = F.linear(x, get(f"weight_ih{at}"), bias)
        weight = get(f"weight_hh{at}")
        if self.proj_size:
            return _projected(gates, states, weight, get(f"weight_hr{at}"), sizes, reverse)
        return recurrence(cell, gates, states, weight, hidden_bias, sizes, reverse)

    def extra_repr(self) -> str:
        """The sizes; the options where they are not the usual ones."""
        usual = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False,
        }  # fmt: skip
        shown = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *shown])


def _projected(
    gates: Tensor, states: list[Tensor], weight: Tensor, smaller: Tensor, sizes: tuple[int, ...], reverse: bool
) -> tuple[Tensor, list[Tensor]]:
    """A :class:`Lstm` whose hidden state is multiplied by ``smaller`` after each step."""
    (h, c), found, ends = states, {}, [sum(sizes[: t + 1]) for t in range(len(sizes))]
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        n = sizes[t]
        a = gates[ends[t] - n : ends[t]] + F.linear(h[:n], weight)
        raw, new = parts(ns.boxes.lstm(a, c[:n]), 0, 2, c._shape[-1])
        found[t] = F.linear(raw, smaller)
        h, c = (s if n == len(old) else _cat([s, old[n:]]) for s, old in ((found[t], h), (new, c)))
    return _cat([found[t] for t in range(len(sizes))]), [h, c]


class RNN(RNNBase):
    """``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`` at each step, or relu by ``nonlinearity``; see :meth:`forward`.

    Each of ``num_layers`` reads the one before; with ``bidirectional`` a second set of weights reads from the end.
    ``dropout`` is the part of each layer's output, but the last's, that is dropped in training.

    Source: ``torch.nn.RNN``.

    >>> import chainrule as torch
    >>> out, h = torch.nn.RNN(10, 20, 2)(torch.zeros(5, 3, 10))
    >>> out.shape, h.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self_kind, args = args[3], args[:3] + args[4:]
        else:
            self_kind = kwargs.pop("nonlinearity", "tanh")
        if self_kind not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self_kind}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{self_kind.upper()}", *args, **kwargs)
        self.nonlinearity = self_kind


class LSTM(RNNBase):
    """Long short-term memory: ``c' = f c + i g`` and ``h' = o tanh(c')`` at each step, the states being (h, c).

    The gates i, f, o are sigmoids and g a tanh of ``W_ih x + b_ih + W_hh h + b_hh``, in the order i, f, g, o.  With a
    ``proj_size`` h is multiplied by a matrix (proj_size, hidden_size) after each step.  Other options as :class:`RNN`.

    Source: ``torch.nn.LSTM``.

    >>> import chainrule as torch
    >>> out, (h, c) = torch.nn.LSTM(10, 20, bidirectional=True)(torch.zeros(5, 3, 10))
    >>> out.shape, h.shape, c.shape
    (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """A gated recurrent unit: ``h' = z h + (1 - z) n`` at each step.

    The gates r and z are sigmoids of ``W_ih x + b_ih + W_hh h + b_hh``; in n, a tanh, r scales the hidden state's
    part.  The order is r, z, n.  Options as :class:`RNN`.

    Source: ``torch.nn.GRU``.

    >>> import chainrule as torch
    >>> out, h = torch.nn.GRU(10, 20, batch_first=True)(torch.zeros(3, 5, 10))
    >>> out.shape, h.shape
    (torch.Size([3, 5, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)
