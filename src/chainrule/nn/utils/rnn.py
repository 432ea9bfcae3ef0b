"""Sequences of several lengths, padded to one length or packed without gaps.  Source: ``torch.nn.utils.rnn``.

A packed sequence holds all first steps, then all second steps, and so on, the longest sequence first: so a recurrent
layer computes each step of all sequences that have one at once, and nothing for those that have ended.

>>> import chainrule as torch
>>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1.0, 2.0]), torch.tensor([3.0])], batch_first=True)
tensor([[1., 2.],
        [3., 0.]])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from ...creation import full, tensor
from ...errors import explained
from ...ops import public
from ...tensor import Tensor, wrap

_cat, _stack = public["cat"], public["stack"]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences without gaps: ``data`` (rows, ...), and how many rows each step has, ``batch_sizes``.

    ``sorted_indices`` is the order the sequences were brought into, ``unsorted_indices`` the way back; None where
    they were in order.  Made by :func:`pack_padded_sequence` and :func:`pack_sequence`.

    Source: ``torch.nn.utils.rnn.PackedSequence``.

    >>> import chainrule as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])])
    >>> packed.data
    tensor([1, 4, 2, 3])
    >>> packed.batch_sizes
    tensor([2, 1, 1])
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:  # fmt: skip
        """Of its fields; or of a pair, ``(data, batch_sizes)``."""
        if batch_sizes is None:
            data, batch_sizes = data
        back = invert_permutation(sorted_indices) if unsorted_indices is None else unsorted_indices
        return super().__new__(cls, data, batch_sizes, sorted_indices, back)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same with ``data`` converted; itself where there is nothing to convert."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self) -> Self:
        """This sequence: it is on the CPU."""
        return self

    def double(self) -> Self:
        """With ``data`` as float64."""
        return self._of(self.data.double())

    def float(self) -> Self:
        """With ``data`` as float32."""
        return self._of(self.data.float())

    def half(self) -> Self:
        """With ``data`` as float16."""
        return self._of(self.data.half())

    def long(self) -> Self:
        """With ``data`` as int64."""
        return self._of(self.data.long())

    def int(self) -> Self:
        """With ``data`` as int32."""
        return self._of(self.data.int())

    def _of(self, data: Tensor) -> Self:
        return self if data is self.data else type(self)(data, *self[1:])

    @property
    def is_cuda(self) -> bool:
        """False: tensors are on the CPU."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The way back from an order of n things, (n,); None for None.

    Source: ``torch.nn.utils.rnn.invert_permutation``.

    >>> import chainrule as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else wrap(np.argsort(permutation.numpy()))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Sequences of these ``lengths`` (n,), padded to (steps, n, ...), without the padding.

    With ``batch_first`` they are (n, steps, ...).  RuntimeError for lengths that do not fall, unless
    ``enforce_sorted`` is off, and for lengths below 1.

    Source: ``torch.nn.utils.rnn.pack_padded_sequence``.

    >>> import chainrule as torch
    >>> padded = torch.tensor([[1, 2], [3, 0]])
    >>> torch.nn.utils.rnn.pack_padded_sequence(padded, [2, 1], batch_first=True).data
    tensor([1, 3, 2])
    """
    found = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths, np.int64)
    order = None
    if not enforce_sorted:
        falling, order = tensor(found).sort(descending=True)
        found = falling.numpy()
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    if found.ndim != 1 or len(found) != input._shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {found.size} (batch_size={input._shape[1]})"
        )
    if found.size and found[-1] <= 0:
        raise explained(
            RuntimeError(
                "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
                "\nLeave empty sequences out."
            )
        )
    if (found[1:] > found[:-1]).any():
        raise explained(
            RuntimeError(
                "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
                "do not need ONNX exportability.\nThe longest sequence comes first."
            )
        )
    steps, n = int(found[0]), input._shape[1]
    if steps > input._shape[0]:
        raise RuntimeError(
            f"Expected the longest length, {steps}, to be at most the number of steps, {input._shape[0]}"
        )
    alive = np.arange(steps)[:, None] < found  # (steps, n)
    rows = input[:steps].reshape(steps * n, *input._shape[2:])
    data = rows if alive.all() else rows[wrap(np.flatnonzero(alive))]
    return PackedSequence(data, wrap(alive.sum(1)), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """(padded, lengths): what :func:`pack_padded_sequence` took, (steps, n, ...) and (n,).

    ValueError for a ``total_length`` that is shorter than the longest.

    Source: ``torch.nn.utils.rnn.pad_packed_sequence``.

    >>> import chainrule as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])])
    >>> torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))
    """
    sizes = sequence.batch_sizes.numpy()
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    data, n = sequence.data, int(sizes[0])
    sizes = np.concatenate([sizes, np.zeros(steps - len(sizes), sizes.dtype)])
    alive = np.arange(n) < sizes[:, None]
    place = np.where(alive, np.cumsum(alive.ravel()).reshape(alive.shape) - 1, data._shape[0])
    lengths = alive.sum(0)
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices.numpy()
        place, lengths = place[:, back], lengths[back]
    if batch_first:
        place = place.T
    rest = data._shape[1:]
    rows = _cat([data, full((1, *rest), padding_value, dtype=data.dtype)])
    return rows[wrap(np.ascontiguousarray(place))], wrap(lengths)


def pad_sequence(
    sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Sequences (length, ...) beside each other, filled up to the longest: (steps, n, ...), or (n, steps, ...).

    Source: ``torch.nn.utils.rnn.pad_sequence``.

    >>> import chainrule as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(3)], padding_value=-1.0, padding_side="left")
    tensor([[-1.,  1.],
            [ 1.,  1.],
            [ 1.,  1.]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    found = list(sequences)
    if not found:
        raise RuntimeError("received an empty list of sequences")
    steps = max(len(s) for s in found)
    filled = []
    for s in found:
        rest = full((steps - len(s), *s._shape[1:]), padding_value, dtype=s.dtype)
        filled.append(s if not len(rest) else _cat([s, rest] if padding_side == "right" else [rest, s]))
    out: Tensor = _stack(filled, 0 if batch_first else 1)
    return out


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences that :func:`pad_sequence` took, of these ``lengths``.

    Source: ``torch.nn.utils.rnn.unpad_sequence``.

    >>> import chainrule as torch
    >>> torch.nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(rows, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (length, ...), packed.  RuntimeError for lengths that do not fall, unless ``enforce_sorted`` is off.

    Source: ``torch.nn.utils.rnn.pack_sequence``.

    >>> import chainrule as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1]), torch.tensor([2, 3])], enforce_sorted=False).data
    tensor([2, 1, 3])
    """
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that :func:`pack_sequence` took.

    Source: ``torch.nn.utils.rnn.unpack_sequence``.

    >>> import chainrule as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])])
    >>> torch.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2, 3]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
