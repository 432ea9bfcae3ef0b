"""What layers refuse, in PyTorch's words."""

from __future__ import annotations

import pytest
from module_runs import Make

import chainrule

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.usefixtures("own_generator", "one_thread"),
    pytest.mark.filterwarnings("ignore"),  # of PyTorch's, about its own old arguments
]


WRONG: list[Make] = [
    lambda t: t.nn.Conv2d(3, 4, 2, groups=2),
    lambda t: t.nn.Conv2d(4, 3, 2, groups=2),
    lambda t: t.nn.Conv2d(4, 4, 2, groups=0),
    lambda t: t.nn.Conv2d(4, 4, 2, 2, padding="same"),
    lambda t: t.nn.Conv2d(4, 4, 2)(t.ones(2, 3, 4, 4)),
    lambda t: t.nn.Conv2d(4, 4, 2)(t.ones(4, 4)),
    lambda t: t.nn.ConvTranspose1d(4, 4, 2, padding_mode="reflect"),
    lambda t: t.nn.ConvTranspose1d(4, 4, 2)(t.ones(1, 4, 3), output_size=[9]),
    lambda t: t.nn.ConvTranspose1d(4, 4, 2)(t.ones(1, 4, 3), output_size=[9, 9]),
    lambda t: t.nn.BatchNorm1d(3)(t.ones(1, 3)),
    lambda t: t.nn.BatchNorm1d(3)(t.ones(3)),
    lambda t: t.nn.BatchNorm2d(3)(t.ones(2, 3)),
    lambda t: t.nn.BatchNorm3d(3)(t.ones(2, 4, 1, 1, 1)),
    lambda t: t.nn.BatchNorm3d(3)(t.ones(2, 3)),
    lambda t: t.nn.InstanceNorm2d(3)(t.ones(2, 3)),
    lambda t: t.nn.InstanceNorm1d(3, affine=True)(t.ones(2, 4, 5)),
    lambda t: t.nn.LayerNorm(3)(t.ones(2, 4)),
    lambda t: t.nn.GroupNorm(2, 3),
    lambda t: t.nn.LocalResponseNorm(2)(t.ones(3)),
    lambda t: t.nn.Hardtanh(1, 1),
    lambda t: t.nn.Softmax2d()(t.ones(3)),
    lambda t: t.nn.GLU()(t.ones(3)),
    lambda t: t.nn.PReLU(3)(t.ones(2, 4)),
    lambda t: t.nn.CircularPad1d(1)(t.ones(4)),
    lambda t: t.nn.ReflectionPad1d(4)(t.ones(1, 3)),
    lambda t: t.nn.Unflatten(1, (2, 2.0)),
    lambda t: t.nn.Unflatten(1, 2),
    lambda t: t.nn.MultiMarginLoss(3),
    lambda t: t.nn.TripletMarginLoss(0),
    lambda t: t.nn.TripletMarginWithDistanceLoss(margin=-1),
    lambda t: t.nn.HuberLoss(delta=0)(t.ones(2), t.ones(2)),
    lambda t: t.nn.GELU("no")(t.ones(2)),
    lambda t: t.nn.Bilinear(0, 1, 2),
    lambda t: t.nn.Dropout(1.5),
    lambda t: t.nn.Embedding(3, 2, padding_idx=3),
    lambda t: t.nn.EmbeddingBag(3, 2, padding_idx=-4),
    lambda t: t.nn.Embedding(3, 2, _weight=t.ones(2, 2)),
    lambda t: t.nn.Embedding.from_pretrained(t.ones(2)),
    lambda t: t.nn.Embedding(3, 2)(t.tensor([3])),
    lambda t: t.nn.FractionalMaxPool2d(2),
    lambda t: t.nn.FractionalMaxPool2d(2, 2, 0.5),
    lambda t: t.nn.FractionalMaxPool3d(2, output_ratio=1.5),
    lambda t: t.nn.Upsample()(t.ones(1, 1, 2)),
    lambda t: t.nn.PixelShuffle(2)(t.ones(1, 3, 2, 2)),
    lambda t: t.nn.RNN(0, 2),
    lambda t: t.nn.RNN(2, 2, nonlinearity="sin"),
    lambda t: t.nn.GRU(2, 2, proj_size=1),
    lambda t: t.nn.LSTM(2, 2, proj_size=2),
    lambda t: t.nn.LSTM(2, 2, proj_size=-1),
    lambda t: t.nn.LSTM(2, 2, dropout=1.5),
    lambda t: t.nn.LSTM(2, 2, bias=1),
    lambda t: t.nn.LSTM(2.0, 2),
    lambda t: t.nn.LSTM(2, 3)(t.ones(2)),
    lambda t: t.nn.LSTM(2, 3)(t.ones(2, 1, 3)),
    lambda t: t.nn.GRU(2, 3)(t.ones(2, 1, 2).double()),
    lambda t: t.nn.GRU(2, 3)(t.ones(2, 1, 2), t.ones(1, 2, 3)),
    lambda t: t.nn.GRU(2, 3)(t.ones(2, 1, 2), t.ones(1, 3)),
    lambda t: t.nn.LSTM(2, 3)(t.ones(2, 1, 2), (t.ones(1, 1, 3), t.ones(1, 1, 2))),
    lambda t: t.nn.LSTM(2, 3)(t.ones(2, 2), (t.ones(1, 1, 3), t.ones(1, 1, 3))),
    lambda t: t.nn.LSTMCell(2, 3)(t.ones(2, 2, 2)),
    lambda t: t.nn.LSTMCell(2, 3)(t.ones(2, 2), (t.ones(2, 3), t.ones(2, 2, 3))),
    lambda t: t.nn.GRUCell(2, 3)(t.ones(2, 2), t.ones(1, 1, 3)),
    lambda t: t.nn.GRUCell(2, 3)(t.ones(2, 3)),
    lambda t: t.nn.RNNCell(2, 3)(t.ones(2, 2), t.ones(3, 3)),
    lambda t: t.nn.RNNCell(2, 3)(t.ones(2, 2), t.ones(2, 2)),
    lambda t: t.nn.RNNCell(2, 3, nonlinearity="sin")(t.ones(2, 2)),
    lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 2]),
    lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 0]),
    lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1]),
    lambda t: t.nn.utils.rnn.pad_packed_sequence(t.nn.utils.rnn.pack_sequence([t.ones(3)]), total_length=2),
    lambda t: t.nn.utils.rnn.pad_sequence(5),
    lambda t: t.nn.MultiheadAttention(5, 2),
    lambda t: t.nn.MultiheadAttention(0, 2),
    lambda t: t.nn.TransformerEncoderLayer(4, 2, 8, activation="tanh"),
    lambda t: t.nn.Transformer(4, 2, 1, 1, 8)(t.ones(3, 2, 4), t.ones(3, 1, 4)),
    lambda t: t.nn.Transformer(4, 2, 1, 1, 8)(t.ones(3, 2, 5), t.ones(3, 2, 4)),
    lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": t.ones(3, 2)}),
    lambda t: t.nn.BatchNorm1d(2).load_state_dict(t.nn.BatchNorm1d(2, affine=False).state_dict()),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_refusals(number: int) -> None:
    said = []
    for t in (chainrule, torch):
        with pytest.raises(Exception) as caught:
            WRONG[number](t)
        said.append((caught.type.__name__, str(caught.value.args[0])))
    (ours, ours_said), (theirs, theirs_said) = said
    assert ours == theirs
    assert ours_said.partition("\nException raised from")[0] == theirs_said.partition("\nException raised from")[0]
