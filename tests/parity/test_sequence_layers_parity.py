"""Layers over sequences beside PyTorch's: packed sequences through recurrent layers, padding, attention, transformers."""

from __future__ import annotations

from typing import Any

import pytest
from module_runs import Make, close, made, randn, same_run, tensors

import chainrule

torch = pytest.importorskip("torch")
from sides import carried

pytestmark = [
    pytest.mark.usefixtures("own_generator", "one_thread"),
    pytest.mark.filterwarnings("ignore"),  # of PyTorch's, about its own old arguments
]


SEQUENCES: dict[str, Make] = {
    "RNN": lambda t: t.nn.RNN(3, 4, 2, bidirectional=True),
    "LSTM": lambda t: t.nn.LSTM(3, 4, 2, bidirectional=True),
    "GRU": lambda t: t.nn.GRU(3, 4),
    "projected": lambda t: t.nn.LSTM(3, 4, bidirectional=True, proj_size=2),
}


@pytest.mark.parametrize("sorted_", [True, False])
@pytest.mark.parametrize("kind", SEQUENCES)
def test_packed_sequences(kind: str, sorted_: bool) -> None:
    ours, theirs = made(SEQUENCES[kind])
    torch.manual_seed(1)
    lengths = [4, 2, 2] if sorted_ else [2, 4, 1]
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    size = 2 if kind == "projected" else 4
    layers = theirs.num_layers * (2 if theirs.bidirectional else 1)
    h = torch.randn(layers, 3, size, dtype=torch.float64)
    hx = (h, torch.randn(layers, 3, 4, dtype=torch.float64)) if theirs.mode == "LSTM" else h
    found = []
    for t, net in ((chainrule, ours.double()), (torch, theirs.double())):
        inputs, states = carried((x, hx)) if t is chainrule else (x, hx)
        inputs = inputs.clone().requires_grad_()
        packed = t.nn.utils.rnn.pack_padded_sequence(inputs, lengths, enforce_sorted=sorted_)
        out, last = net(packed, states)
        padded, back = t.nn.utils.rnn.pad_packed_sequence(out, total_length=5, padding_value=-1.0)
        (padded**2).sum().backward()
        grads = [p.grad for p in net.parameters()]
        given = [t_ for t_ in packed if t_ is not None]
        found.append(tensors([padded, back, last, inputs.grad, grads, given, out.unsorted_indices]))
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found, strict=True):
        close(a, b, "packed")


def sequences(t: Any) -> list[Any]:
    u = t.nn.utils.rnn
    parts = [t.arange(3.0), t.arange(5.0), t.arange(1.0)]
    packed = u.pack_sequence(parts, enforce_sorted=False)
    found = [u.pad_sequence(parts), u.pad_sequence(parts, True, 7.0, "left"), *packed, *u.unpack_sequence(packed)]
    found += [*packed.double(), *u.unpad_sequence(u.pad_sequence(parts), t.tensor([3, 5, 1]))]
    return [*found, u.invert_permutation(t.tensor([2, 0, 1]))]


def test_padding_and_packing() -> None:
    for a, b in zip(sequences(chainrule), sequences(torch), strict=True):
        close(a, b, "sequences")
    assert repr(chainrule.nn.utils.rnn.pack_sequence([chainrule.tensor([1, 2])])) == repr(
        torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2])])
    )


def encoder(t: Any, **options: Any) -> Any:
    layer = t.nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, **options)
    return t.nn.TransformerEncoder(layer, 2, t.nn.LayerNorm(4), enable_nested_tensor=False)


def decoder(t: Any, **options: Any) -> Any:
    layer = t.nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, **options)
    return t.nn.TransformerDecoder(layer, 2)


ATTENDING: dict[str, tuple[Make, list[tuple[int, ...]], dict[str, Any]]] = {
    "self": (lambda t: t.nn.MultiheadAttention(4, 2, add_bias_kv=True), [(3, 2, 4)] * 3, {}),
    "cross": (
        lambda t: t.nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_zero_attn=True, bias=False, batch_first=True),
        [(2, 3, 4), (2, 6, 3), (2, 6, 5)], {"average_attn_weights": False},
    ),
    "unbatched": (lambda t: t.nn.MultiheadAttention(4, 2, 0.3, batch_first=True), [(3, 4)] * 3, {}),
    "masked": (
        lambda t: t.nn.MultiheadAttention(4, 2), [(3, 2, 4)] * 3,
        {"attn_mask": torch.ones(3, 3, dtype=torch.bool).triu(1), "need_weights": False},
    ),
    "encoder": (encoder, [(3, 2, 4)], {"src_key_padding_mask": torch.tensor([[False, False, True]] * 2)}),
    "encoder, norm first": (lambda t: encoder(t, norm_first=True, activation="gelu"), [(3, 2, 4)],
                            {"mask": torch.nn.Transformer.generate_square_subsequent_mask(3).double()}),
    "encoder, batch first": (lambda t: encoder(t, batch_first=True, bias=False), [(3, 2, 4)], {}),
    "decoder": (decoder, [(3, 2, 4), (5, 2, 4)],
                {"tgt_mask": torch.nn.Transformer.generate_square_subsequent_mask(3).double(), "tgt_is_causal": True}),
    "decoder, norm first": (lambda t: decoder(t, norm_first=True), [(3, 2, 4), (5, 2, 4)], {}),
    "both": (lambda t: t.nn.Transformer(4, 2, 1, 1, 6, dropout=0.0), [(5, 2, 4), (3, 2, 4)], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", ATTENDING)
def test_attention(case: str) -> None:
    make, shapes, options = ATTENDING[case]
    ours, theirs = made(make)
    torch.manual_seed(1)
    same_run(ours.double(), theirs.double(), tuple(randn(*shape) for shape in shapes), options)


def test_causal_masks() -> None:
    masks = (t.nn.Transformer.generate_square_subsequent_mask(3) for t in (chainrule, torch))
    close(*masks, "mask")
