"""Every layer beside PyTorch's: weights for a seed, text, values, gradients, saved states, refusals."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database of modules needs it

from op_db import carried
from torch.testing._internal.common_modules import module_db
from torch.utils._pytree import tree_flatten, tree_map

pytestmark = pytest.mark.usefixtures("own_generator")
Make = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's, about its own old arguments
        yield
    torch.set_num_threads(before)


def array(t: Any) -> Any:
    if any(nn.parameter.is_lazy(t) for nn in (chainrule.nn, torch.nn)):
        return np.asarray(repr(t))
    return np.asarray(t.detach().numpy())


def close(ours: Any, theirs: Any, what: str) -> None:
    assert (ours is None) == (theirs is None), what
    if theirs is not None:
        a, b = array(ours), array(theirs)
        assert a.dtype == b.dtype and a.shape == b.shape, (what, a.dtype, b.dtype, a.shape, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=what)


def same_state(ours: Any, theirs: Any, exact: bool) -> None:
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(wanted)
    for key, value in wanted.items():
        if exact:
            np.testing.assert_array_equal(array(mine[key]), array(value), err_msg=key)
        else:
            close(mine[key], value, key)


def made(make: Make) -> tuple[Any, Any]:
    """The same module of both libraries, after the same seed: equal weights, equal texts."""
    pair = []
    for t in (chainrule, torch):
        t.manual_seed(3)
        pair.append(make(t))
    ours, theirs = pair
    assert repr(ours) == repr(theirs)
    same_state(ours, theirs, exact=True)
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in theirs.parameters()]
    return ours, theirs


def tensors(tree: Any) -> list[Any]:
    """The tensors in nested tuples and lists, and None where there is none."""
    if isinstance(tree, (tuple, list)):
        return [t for part in tree for t in tensors(part)]
    return [tree]


def function(a: Any) -> Any:
    """Our function for one of PyTorch's."""
    return a if inspect.isclass(a) else getattr(chainrule.nn.functional, getattr(a, "__name__", ""), a)


def leaf(a: Any) -> Any:
    return a.detach().clone().requires_grad_(a.requires_grad) if isinstance(a, torch.Tensor) else a


def same_run(ours: Any, theirs: Any, args: Any, kwargs: Any) -> None:
    """Equal values, gradients of inputs and parameters, and buffers afterwards."""
    args, kwargs = tree_map(leaf, (args, kwargs))
    our_args, our_kwargs = carried((args, kwargs))
    torch.manual_seed(5)
    chainrule.manual_seed(5)
    out, wanted = tensors(ours(*our_args, **our_kwargs)), tensors(theirs(*args, **kwargs))
    assert len(out) == len(wanted)
    for a, b in zip(out, wanted, strict=True):
        close(a, b, "value")
    draw = np.random.default_rng(0)
    loss: Any = 0
    goal: Any = 0
    for a, b in zip(out, wanted, strict=True):
        if b is not None and b.requires_grad:
            assert a.requires_grad
            w = draw.standard_normal(b.shape)
            loss, goal = loss + (a * chainrule.tensor(w)).sum(), goal + (b * torch.tensor(w)).sum()
    if not isinstance(goal, int):
        loss.backward()
        goal.backward()
        for a, b in zip(tree_flatten((our_args, our_kwargs))[0], tree_flatten((args, kwargs))[0], strict=True):
            if isinstance(b, torch.Tensor) and b.requires_grad:
                close(a.grad, b.grad, "gradient of an input")
        for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            close(a.grad, b.grad, f"gradient of {name}")
    same_state(ours, theirs, exact=False)


# --- PyTorch's own database of modules ---------------------------------------------------------------------

KNOWN = [info for info in module_db if hasattr(chainrule.nn, info.module_cls.__name__)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("info", KNOWN, ids=lambda info: info.module_cls.__name__)
def test_the_database(info: Any, training: bool) -> None:
    name = info.module_cls.__name__
    samples = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
    for sample in samples:
        if sample.forward_input is None:
            continue
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        if any(isinstance(a, torch.nn.Module) for a in args):
            continue  # an encoder's layer: see below
        options = {torch: (args, kwargs), chainrule: tree_map(function, carried((args, kwargs)))}
        ours, theirs = made(lambda t, options=options: getattr(t.nn, name)(*options[t][0], **options[t][1]))  # type: ignore[misc]
        ours, theirs = ours.double().train(training), theirs.double().train(training)
        forward = sample.forward_input
        try:
            same_run(ours, theirs, forward.args, forward.kwargs)
        except AssertionError as e:
            e.add_note(f"{theirs} {sample.desc}")
            raise


def test_signatures() -> None:
    """The names, the order and the defaults of all constructors' arguments."""
    for name in chainrule.nn.__all__:
        ours, theirs = getattr(chainrule.nn, name), getattr(torch.nn, name)
        if inspect.isclass(theirs) and issubclass(theirs, torch.nn.Module):
            found, wanted = (
                [(p.name, p.default, p.kind) for p in inspect.signature(c.__init__).parameters.values()]
                for c in (ours, theirs)
            )
            assert [(n, getattr(d, "__name__", d), k) for n, d, k in found] == [
                (n, getattr(d, "__name__", d), k) for n, d, k in wanted
            ], name


# --- of each layer what the database does not ask ------------------------------------------------------------


def randn(*shape: int, **more: Any) -> Any:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True, **more)


CASES: dict[str, tuple[Make, tuple[Any, ...]]] = {
    "reflected": (lambda t: t.nn.Conv2d(2, 4, (3, 1), 2, 1, groups=2, padding_mode="reflect"), (2, 2, 5, 6)),
    "same, in circles": (lambda t: t.nn.Conv1d(2, 3, 4, padding="same", dilation=2, padding_mode="circular"), (2, 7)),
    "same": (lambda t: t.nn.Conv2d(2, 3, 4, padding="same", bias=False), (1, 2, 7, 5)),
    "valid": (lambda t: t.nn.Conv3d(2, 3, 2, padding="valid"), (1, 2, 3, 4, 5)),
    "unknown padding": (lambda t: t.nn.Conv3d(2, 3, 2, padding_mode="replicate", padding=1), (1, 2, 3, 4, 5)),
    "spread": (lambda t: t.nn.ConvTranspose2d(2, 4, 3, (2, 1), 1, (1, 0), 2), (2, 2, 3, 4)),
    "batches averaged": (lambda t: t.nn.BatchNorm1d(3, momentum=None), (4, 3)),
    "no affine": (lambda t: t.nn.BatchNorm1d(3, affine=False, track_running_stats=False), (4, 3, 2)),
    "no bias": (lambda t: t.nn.BatchNorm2d(3, bias=False, eps=1e-2), (4, 3, 2, 2)),
    "instances": (lambda t: t.nn.InstanceNorm1d(3, affine=True, track_running_stats=True), (3, 5)),
    "layer": (lambda t: t.nn.LayerNorm((3, 2), bias=False), (4, 3, 2)),
    "plain layer": (lambda t: t.nn.LayerNorm(2, elementwise_affine=False), (4, 3, 2)),
    "mean squares": (lambda t: t.nn.RMSNorm(2, eps=1e-3), (4, 3, 2)),
    "groups": (lambda t: t.nn.GroupNorm(2, 4, affine=False), (3, 4, 2)),
    "groups, no bias": (lambda t: t.nn.GroupNorm(2, 4, bias=False), (3, 4, 2)),
    "neighbours": (lambda t: t.nn.LocalResponseNorm(3, 0.1, 0.5, 2.0), (2, 5, 3)),
    "slopes": (lambda t: t.nn.PReLU(3, 0.1), (2, 3, 2)),
    "random slopes": (lambda t: t.nn.RReLU(0.1, 0.2), (2, 3)),
    "in place": (
        lambda t: t.nn.Sequential(t.nn.Linear(3, 3), t.nn.Mish(inplace=True), t.nn.SELU(), t.nn.ReLU6(True)),
        (3,),
    ),
    "old bounds": (lambda t: t.nn.Hardtanh(min_value=-2, max_value=0.5), (9,)),
    "six": (lambda t: t.nn.Sequential(t.nn.ReLU6(), t.nn.Hardswish(), t.nn.Tanhshrink(), t.nn.GELU("tanh")), (5,)),
    "halves": (lambda t: t.nn.GLU(1), (3, 4)),
    "channels": (lambda t: t.nn.Softmax2d(), (2, 3, 2, 2)),
    "padded": (lambda t: t.nn.ConstantPad2d((1, -1, 0, 2), 3.5), (2, 3, 4)),
    "unflattened": (lambda t: t.nn.Unflatten(1, (2, -1)), (3, 6)),
    "windows": (lambda t: t.nn.Unfold((2, 3), 1, (1, 0), 2), (2, 3, 5, 6)),
    "bilinear up": (lambda t: t.nn.Upsample((5, 6), mode="bilinear", align_corners=True), (1, 2, 3, 4)),
    "twice": (
        lambda t: t.nn.Sequential(t.nn.UpsamplingNearest2d(scale_factor=2), t.nn.PixelUnshuffle(2)),
        (1, 2, 3, 4),
    ),
    "corners": (lambda t: t.nn.Sequential(t.nn.UpsamplingBilinear2d((4, 6)), t.nn.ChannelShuffle(2)), (1, 4, 2, 3)),
    "pixels": (lambda t: t.nn.PixelShuffle(2), (1, 8, 2, 3)),
    "dropout": (lambda t: t.nn.Sequential(t.nn.Dropout(0.3), t.nn.Dropout1d(0.4)), (3, 4, 5)),
    "planes": (lambda t: t.nn.Sequential(t.nn.Dropout2d(), t.nn.AlphaDropout(0.2)), (3, 4, 2, 2)),
    "cubes": (lambda t: t.nn.Sequential(t.nn.Dropout3d(), t.nn.FeatureAlphaDropout()), (3, 4, 2, 2, 2)),
    "means": (lambda t: t.nn.AvgPool2d((2, 3), (1, 2), (1, 0), True, False, 5), (2, 3, 4, 6)),
    "largest": (lambda t: t.nn.MaxPool1d(3, 2, 1, 2, return_indices=True, ceil_mode=True), (2, 3, 10)),
    "fixed size": (lambda t: t.nn.AdaptiveAvgPool2d((3, None)), (2, 3, 4, 6)),
    "fixed sizes": (lambda t: t.nn.AdaptiveMaxPool1d(3, return_indices=True), (2, 3, 7)),
    "norms": (lambda t: t.nn.LPPool2d(3, 2), (2, 3, 4, 6)),
    "two layers": (lambda t: t.nn.GRU(3, 4, 2, dropout=0.5, bidirectional=True), (5, 2, 3)),
    "no bias, both ways": (lambda t: t.nn.LSTM(3, 4, bias=False, bidirectional=True, batch_first=True), (2, 5, 3)),
    "projected": (lambda t: t.nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True), (5, 2, 3)),
    "unbatched": (lambda t: t.nn.RNN(3, 4, 2, nonlinearity="relu"), (5, 3)),
    "a step": (lambda t: t.nn.LSTMCell(3, 4, bias=False), (2, 3)),
    "one step": (lambda t: t.nn.GRUCell(3, 4, bias=False), (3,)),
    "a plain step": (lambda t: t.nn.RNNCell(3, 4, nonlinearity="relu"), (3,)),
    "added windows": (lambda t: t.nn.Fold((4, 5), (2, 3)), (2, 12, 9)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_case(case: str, training: bool) -> None:
    make, shape = CASES[case]
    ours, theirs = made(make)
    torch.manual_seed(1)
    x = randn(*shape)
    for _ in range(2):  # twice: running statistics move on
        same_run(ours.double().train(training), theirs.double().train(training), (x,), {})


PAIRS: dict[str, tuple[Make, tuple[Any, ...]]] = {
    "cosine": (lambda t: t.nn.CosineSimilarity(0), ((3, 4), (3, 4))),
    "distance": (lambda t: t.nn.PairwiseDistance(1.0, keepdim=True), ((3, 4), (3, 4))),
    "triplets": (lambda t: t.nn.TripletMarginLoss(2.0, 1, swap=True), ((3, 4), (3, 4), (3, 4))),
    "distances": (lambda t: t.nn.TripletMarginWithDistanceLoss(margin=2.0), ((3, 4), (3, 4), (3, 4))),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_case_of_several_inputs(case: str) -> None:
    make, shapes = PAIRS[case]
    ours, theirs = made(make)
    torch.manual_seed(1)
    same_run(ours, theirs, tuple(randn(*shape) for shape in shapes), {})


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


def test_the_size_of_a_transposed_convolution() -> None:
    ours, theirs = made(lambda t: t.nn.ConvTranspose1d(2, 3, 3, stride=4))
    same_run(ours.double(), theirs.double(), (randn(1, 2, 3),), {"output_size": [14]})
    same_run(ours, theirs, (randn(2, 3),), {"output_size": [3, 13]})


# --- refusals ------------------------------------------------------------------------------------------------

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


# --- saved states --------------------------------------------------------------------------------------------


def network(t: Any) -> Any:
    n = t.nn
    return n.Sequential(
        n.Conv2d(1, 4, 3), n.BatchNorm2d(4), n.PReLU(4), n.Flatten(), n.Linear(16, 8), n.LayerNorm(8), n.GELU(),
        n.Linear(8, 2),
    )  # fmt: skip


def test_a_file_of_weights_goes_from_pytorch_to_chainrule_and_back() -> None:
    torch.manual_seed(0)
    theirs, ours = network(torch), network(chainrule)
    x = torch.randn(5, 1, 4, 4)
    theirs(x)  # moves the running statistics
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    assert str(ours.load_state_dict(chainrule.load(file))) == "<All keys matched successfully>"
    same_state(ours, theirs, exact=True)
    np.testing.assert_allclose(array(ours.eval()(carried(x))), array(theirs.eval()(x)), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        ours[0].weight.data.add_(1.0)
    back = io.BytesIO()
    chainrule.save(ours.state_dict(), back)
    back.seek(0)
    theirs.load_state_dict(torch.load(back, weights_only=True))
    same_state(ours, theirs, exact=True)


def test_a_state_from_before_batches_were_counted() -> None:
    def old(t: Any) -> Any:
        state = {k: v + 1 for k, v in t.nn.BatchNorm1d(2).state_dict().items() if k != "num_batches_tracked"}
        layer = t.nn.BatchNorm1d(2)
        layer(t.ones(3, 2))
        layer.load_state_dict(state)
        return layer

    made(old)
