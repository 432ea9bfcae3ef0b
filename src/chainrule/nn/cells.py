"""Recurrent cells: one step of a recurrent layer."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as ns
from ..arrays.gates import parts
from ..creation import empty, zeros
from ..ops.recurrence import lstm_step, recurrence
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class RNNCellBase(Module):
    """What the cells share: ``num_chunks`` gates' weights for the input and for the hidden state.

    Source: ``torch.nn.RNNCellBase``.

    >>> import chainrule as torch
    >>> torch.nn.RNNCellBase(2, 3, True, 4).weight_hh.shape
    torch.Size([12, 3])
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        """The sizes; the options where they are not the usual ones."""
        kind = getattr(self, "nonlinearity", "tanh")
        shown = [f"{self.input_size}, {self.hidden_size}", *([] if self.bias else ["bias=False"])]
        return ", ".join(shown + ([f"nonlinearity={kind}"] if kind != "tanh" else []))

    def _step(self, cell: str, input: Tensor, states: list[Tensor] | None, count: int = 1) -> list[Tensor]:
        """The new states."""
        axes = len(input._shape)
        if axes not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {axes}D instead")
        for i, s in enumerate(states or ()):
            if len(s._shape) not in (1, 2):
                what = "hidden" if count == 1 else f"hx[{i}]"
                raise ValueError(f"{type(self).__name__}: Expected {what} to be 1D or 2D, got {s.ndim}D instead")
        x = input if axes == 2 else input.unsqueeze(0)
        n = x._shape[0]
        if states is None:
            states = [zeros(n, self.hidden_size, dtype=x.dtype)] * count
        elif axes == 1:
            states = [s.unsqueeze(0) for s in states]
        self._check(x, states)
        new = self._next(cell, x, states)
        return new if axes == 2 else [s.squeeze(0) for s in new]

    def _next(self, cell: str, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        w, u, b, d = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        if cell == "lstm" and x._dtype == w._dtype == states[0]._dtype == states[1]._dtype:
            return list(lstm_step(x, *states, w, u, b, d))  # type: ignore[call-arg]
        gates = F.linear(x, w, b)
        if cell == "gru":  # whose gate scales what the hidden state gives, bias included
            bias = zeros(3 * self.hidden_size, dtype=x.dtype) if d is None else d
            return recurrence(cell, gates, states, u, bias, (x._shape[0],))[1]
        gates = gates + F.linear(states[0], u, d)
        if cell == "lstm":
            return parts(ns.boxes.lstm(gates, states[1]), 0, 2, self.hidden_size)
        return [getattr(gates, cell)()]

    def _check(self, x: Tensor, states: list[Tensor]) -> None:
        n, size = x._shape
        if size != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {size} expected {self.input_size}")
        wanted = (n, self.hidden_size)
        for i, s in enumerate(states):
            if s._shape == wanted:
                continue
            if s._shape[0] != n:
                raise RuntimeError(f"Input batch size {n} doesn't match hidden{i} batch size {s._shape[0]}")
            raise RuntimeError(
                f"hidden{i} has inconsistent hidden_size: got {s._shape[1]}, expected {self.hidden_size}"
            )


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`: input (n, input_size) and hidden state (n, hidden_size) to the next hidden state.

    Source: ``torch.nn.RNNCell``.

    >>> import chainrule as torch
    >>> torch.nn.RNNCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next hidden state; ``hx`` is zeros unless given."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(self.nonlinearity, input, None if hx is None else [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: input (n, input_size) and states (h, c), each (n, hidden_size), to the next states.

    Source: ``torch.nn.LSTMCell``.

    >>> import chainrule as torch
    >>> h, c = torch.nn.LSTMCell(10, 20)(torch.zeros(3, 10))
    >>> h.shape, c.shape
    (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next (h, c); ``hx`` is zeros unless given."""
        if isinstance(hx, Tensor):
            raise TypeError("lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not Tensor")
        h, c = self._step("lstm", input, None if hx is None else list(hx), 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`: input (n, input_size) and hidden state (n, hidden_size) to the next hidden state.

    Source: ``torch.nn.GRUCell``.

    >>> import chainrule as torch
    >>> torch.nn.GRUCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next hidden state; ``hx`` is zeros unless given."""
        return self._step("gru", input, None if hx is None else [hx])[0]
