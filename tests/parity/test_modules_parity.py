"""Every layer beside PyTorch's: weights for a seed, text, values, gradients, saved states."""

from __future__ import annotations

import inspect
import io
from typing import Any

import numpy as np
import pytest
from module_runs import Make, array, made, randn, same_run, same_state

import chainrule

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database of modules needs it

from sides import carried
from torch.testing._internal.common_modules import module_db
from torch.utils._pytree import tree_map

pytestmark = [
    pytest.mark.usefixtures("own_generator", "one_thread"),
    pytest.mark.filterwarnings("ignore"),  # of PyTorch's, about its own old arguments
]


def function(a: Any) -> Any:
    """Our function for one of PyTorch's."""
    return a if inspect.isclass(a) else getattr(chainrule.nn.functional, getattr(a, "__name__", ""), a)


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
            continue  # an encoder's layer: see test_sequence_layers_parity.py
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


def test_the_size_of_a_transposed_convolution() -> None:
    ours, theirs = made(lambda t: t.nn.ConvTranspose1d(2, 3, 3, stride=4))
    same_run(ours.double(), theirs.double(), (randn(1, 2, 3),), {"output_size": [14]})
    same_run(ours, theirs, (randn(2, 3),), {"output_size": [3, 13]})


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
