"""Fixed expectations for tensor printing, recorded from PyTorch 2.13."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.printing import format_array, format_tensor, get_printoptions, set_printoptions

inf, nan = np.inf, np.nan


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    set_printoptions(profile="default")
    yield
    set_printoptions(profile="default")


def f32(values: Any) -> Any:
    return np.array(values, np.float32)


def f64(values: Any) -> Any:
    return np.array(values, np.float64)


def c64(values: Any) -> Any:
    return np.array(values, np.complex64)


def case(name: str, array: Any, text: str, *, options: dict[str, Any] | None = None, **wants: Any) -> Any:
    return pytest.param(array, text, options or {}, wants, id=name)


# fmt: off
CASES = [
    # Notation: whole, fixed or scientific.
    case("whole floats", f32([1, 2, -3]), "tensor([ 1.,  2., -3.])"),
    case("fixed point", f32([1, 2.5, -3.14159]), "tensor([ 1.0000,  2.5000, -3.1416])"),
    case("all zeros", f32([0.0, -0.0]), "tensor([0., -0.])"),
    case("only special values", f32([nan, inf, -inf, 0.0]), "tensor([nan, inf, -inf, 0.])"),
    case("specials beside whole floats", f32([nan, inf, -inf, -0.0, 12]),
         "tensor([nan, inf, -inf, -0., 12.])"),
    case("specials beside fractions", f32([nan, inf, -inf, -0.0, 0.5]),
         "tensor([   nan,    inf,   -inf, -0.0000, 0.5000])"),
    case("specials beside exponents", f64([nan, inf, -inf, -0.0, 1e-200, 5]),
         """tensor([        nan,         inf,        -inf, -0.0000e+00, 1.0000e-200,
         5.0000e+00], dtype=torch.float64)"""),
    case("ratio of exactly 1000", f32([1, 1000]), "tensor([   1., 1000.])"),
    case("ratio just over 1000", f32([1, 1001]), "tensor([1.0000e+00, 1.0010e+03])"),
    case("largest of exactly 1e8", f64([1e8]), "tensor([100000000.], dtype=torch.float64)"),
    case("largest over 1e8", f64([100000001]), "tensor([1.0000e+08], dtype=torch.float64)"),
    case("smallest of exactly 1e-4", f64([1e-4]), "tensor([0.0001], dtype=torch.float64)"),
    case("single precision 1e-4 is below 1e-4", f32([1e-4]), "tensor([1.0000e-04])"),
    case("three-digit exponent on a negative inner value", f64([-1.0, -1e-200, 1.0]),
         "tensor([ -1.0000e+00, -1.0000e-200,   1.0000e+00], dtype=torch.float64)"),
    case("rounding up to one more digit", f64([9.99996, -99.99996]),
         "tensor([  10.0000, -100.0000], dtype=torch.float64)"),
    case("half precision", np.array([0.1, 65504, 6e-8], np.float16),
         "tensor([9.9976e-02, 6.5504e+04, 5.9605e-08], dtype=torch.float16)"),
    # Other dtypes.
    case("bool", np.array([True, False]), "tensor([ True, False])"),
    case("true only", np.array([True, True]), "tensor([True, True])"),
    case("int64", np.array([1, -20, 300]), "tensor([  1, -20, 300])"),
    case("int64 extremes", np.array([-(2**63), 2**63 - 1]),
         "tensor([-9223372036854775808,  9223372036854775807])"),
    case("zeros", np.array([0, 0]), "tensor([0, 0])"),
    case("int8", np.array([-128, 0, 127], np.int8), "tensor([-128,    0,  127], dtype=torch.int8)"),
    case("uint64", np.array([0, 2**64 - 1], np.uint64),
         "tensor([                   0, 18446744073709551615], dtype=torch.uint64)"),
    case("complex whole", c64([1 + 2j, -3 - 4j]), "tensor([ 1.+2.j, -3.-4.j])"),
    case("complex parts have their own style", c64([1 + 0.5j, -10 - 1e-6j]),
         "tensor([  1.+5.0000e-01j, -10.-1.0000e-06j])"),
    case("complex specials", c64([complex(nan, -nan), complex(-0.0, -0.0), complex(inf, -inf)]),
         "tensor([nan+nanj, -0.-0.j, inf-infj])"),
    case("complex128", np.array([1.5 + 2j]), "tensor([1.5000+2.j], dtype=torch.complex128)"),
    case("complex wraps by width without its plus", np.arange(13) * (1 + 0.5j),
         """tensor([ 0.+0.0000j,  1.+0.5000j,  2.+1.0000j,  3.+1.5000j,  4.+2.0000j,  5.+2.5000j,
         6.+3.0000j,  7.+3.5000j,  8.+4.0000j,  9.+4.5000j, 10.+5.0000j, 11.+5.5000j,
        12.+6.0000j], dtype=torch.complex128)"""),
    case("complex fills a narrow line", np.arange(4) * c64(1 + 1j),
         """tensor([0.+0.j, 1.+1.j, 2.+2.j,
        3.+3.j],
       dtype=torch.complex128)""", options={"linewidth": 31}),
    # Shapes.
    case("0-d float", f32(27.0), "tensor(27.)"),
    case("0-d fraction", f64(0.1), "tensor(0.1000, dtype=torch.float64)"),
    case("0-d bool", np.array(True), "tensor(True)"),
    case("0-d int", np.array(-7), "tensor(-7)"),
    case("0-d complex", c64(1 - 2j), "tensor(1.-2.j)"),
    case("matrix", f32([[1, 2.5], [-3, 4]]),
         """tensor([[ 1.0000,  2.5000],
        [-3.0000,  4.0000]])"""),
    case("blank lines between blocks", np.arange(16).reshape(2, 2, 2, 2),
         """tensor([[[[ 0,  1],
          [ 2,  3]],

         [[ 4,  5],
          [ 6,  7]]],


        [[[ 8,  9],
          [10, 11]],

         [[12, 13],
          [14, 15]]]])"""),
    case("empty vector", f32([]), "tensor([])"),
    case("empty matrix", np.zeros((0, 3), np.float32), "tensor([], size=(0, 3))"),
    case("empty integers show their dtype", np.zeros((2, 0), np.int64),
         "tensor([], size=(2, 0), dtype=torch.int64)"),
    case("empty default complex shows its dtype", np.zeros(0, np.complex64),
         "tensor([], dtype=torch.complex64)"),
    case("empty bool", np.zeros((1, 0, 2), bool), "tensor([], size=(1, 0, 2), dtype=torch.bool)"),
    case("long vector wraps", np.arange(30),
         """tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"""),
    case("long rows wrap", np.arange(44).reshape(2, 22) / 8,
         """tensor([[0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750, 1.0000,
         1.1250, 1.2500, 1.3750, 1.5000, 1.6250, 1.7500, 1.8750, 2.0000, 2.1250,
         2.2500, 2.3750, 2.5000, 2.6250],
        [2.7500, 2.8750, 3.0000, 3.1250, 3.2500, 3.3750, 3.5000, 3.6250, 3.7500,
         3.8750, 4.0000, 4.1250, 4.2500, 4.3750, 4.5000, 4.6250, 4.7500, 4.8750,
         5.0000, 5.1250, 5.2500, 5.3750]], dtype=torch.float64)"""),
    # Summaries.
    case("1001 elements", np.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    case("only long axes are shortened", np.arange(1200).reshape(2, 600),
         """tensor([[   0,    1,    2,  ...,  597,  598,  599],
        [ 600,  601,  602,  ..., 1197, 1198, 1199]])"""),
    case("rows are shortened too", np.arange(2000).reshape(1000, 2) * f32(0.5),
         """tensor([[0.0000e+00, 5.0000e-01],
        [1.0000e+00, 1.5000e+00],
        [2.0000e+00, 2.5000e+00],
        ...,
        [9.9700e+02, 9.9750e+02],
        [9.9800e+02, 9.9850e+02],
        [9.9900e+02, 9.9950e+02]], dtype=torch.float64)"""),
    case("hidden values do not set the width", np.where(np.arange(2000) == 1000, 1e6, f32(1.5)),
         "tensor([1.5000, 1.5000, 1.5000,  ..., 1.5000, 1.5000, 1.5000])"),
    case("block", np.zeros((10, 1, 101), np.float32),
         """tensor([[[0., 0., 0.,  ..., 0., 0., 0.]],

        [[0., 0., 0.,  ..., 0., 0., 0.]],

        [[0., 0., 0.,  ..., 0., 0., 0.]],

        ...,

        [[0., 0., 0.,  ..., 0., 0., 0.]],

        [[0., 0., 0.,  ..., 0., 0., 0.]],

        [[0., 0., 0.,  ..., 0., 0., 0.]]])"""),
    case("half", np.arange(1001, dtype=np.float16),
         "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.], dtype=torch.float16)"),
    case("complex", np.arange(1001, dtype=np.complex64) * 1j,
         "tensor([0.+0.j, 0.+1.j, 0.+2.j,  ..., 0.+998.j, 0.+999.j, 0.+1000.j])"),
    # Suffixes.
    case("requires_grad", f32([1, 2]), "tensor([1., 2.], requires_grad=True)", requires_grad=True),
    case("dtype before requires_grad", f64([1, 2]),
         "tensor([1., 2.], dtype=torch.float64, requires_grad=True)", requires_grad=True),
    case("grad_fn stands for requires_grad", f32(27),
         "tensor(27., grad_fn=<MulBackward0>)", requires_grad=True, grad_fn_name="MulBackward0"),
    case("empty with everything", np.zeros((0, 3)),
         "tensor([], size=(0, 3), dtype=torch.float64, grad_fn=<MulBackward0>)",
         requires_grad=True, grad_fn_name="MulBackward0"),
    case("float64 as default", f64([0.5]), "tensor([0.5000])", default_dtype_name="float64"),
    case("float32 is then named", f32([0.5]),
         "tensor([0.5000], dtype=torch.float32)", default_dtype_name="float64"),
    case("complex128 is then the default", np.array([0.5j]),
         "tensor([0.+0.5000j])", default_dtype_name="float64"),
    case("complex64 is then named", c64([0.5j]),
         "tensor([0.+0.5000j], dtype=torch.complex64)", default_dtype_name="float64"),
    case("complex64 goes with float16", c64([0.5j]), "tensor([0.+0.5000j])", default_dtype_name="float16"),
    case("suffix that still fits", np.arange(15, dtype=np.int8),
         "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14], dtype=torch.int8)",
         options={"linewidth": 87}),
    case("suffix that wraps", np.arange(15, dtype=np.int8),
         """tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14],
       dtype=torch.int8)""", options={"linewidth": 86}),
    case("both suffixes wrap", np.full(9, 0.5),
         """tensor([0.5000, 0.5000,
        0.5000, 0.5000,
        0.5000, 0.5000,
        0.5000, 0.5000,
        0.5000],
       dtype=torch.float64,
       requires_grad=True)""", requires_grad=True, options={"linewidth": 30}),
    case("suffix after a wrapped line", np.full(16, 0.5),
         """tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
        0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],
       dtype=torch.float64, requires_grad=True)""", requires_grad=True),
    case("second suffix wraps alone", f64([0.5]),
         """tensor([0.5000], dtype=torch.float64,
       requires_grad=True)""", requires_grad=True, options={"linewidth": 57}),
    case("indent counts on a wrapped line", np.full(4, 0.5),
         """tensor([0.5000, 0.5000, 0.5000, 0.5000],
       dtype=torch.float64,
       requires_grad=True)""", requires_grad=True, options={"linewidth": 45}),
    # Options.
    case("precision", f64([1.23456789, 2]),
         "tensor([1.23, 2.00], dtype=torch.float64)", options={"precision": 2}),
    case("precision zero", f64([1.5, 2.25]), "tensor([2, 2], dtype=torch.float64)", options={"precision": 0}),
    case("short profile", np.linspace(0, 1, 1001),
         "tensor([0.00, 0.00,  ..., 1.00, 1.00], dtype=torch.float64)", options={"profile": "short"}),
    case("profile with an override", f64([0.123456]),
         "tensor([0.123], dtype=torch.float64)", options={"profile": "short", "precision": 3}),
    case("narrow lines", np.arange(12),
         """tensor([ 0,  1,  2,
         3,  4,  5,
         6,  7,  8,
         9, 10, 11])""", options={"linewidth": 20}),
    case("line too narrow for one number", np.arange(3),
         """tensor([0,
        1,
        2])""", options={"linewidth": 1}),
    case("threshold and edgeitems", np.arange(10),
         "tensor([0,  ..., 9])", options={"threshold": 5, "edgeitems": 1}),
    case("wide edges", np.arange(9),
         "tensor([0, 1, 2, 3,  ..., 5, 6, 7, 8])", options={"threshold": 5, "edgeitems": 4}),
    case("edges that meet leave nothing out", np.arange(6),
         "tensor([0, 1, 2, 3, 4, 5])", options={"threshold": 5}),
    case("one hidden value does not set the width", np.array([1, 2, 3, 1000, 4, 5, 6]),
         "tensor([1, 2, 3,  ..., 4, 5, 6])", options={"threshold": 5}),
    case("no edges", np.arange(9), "tensor([...], size=(9,))", options={"threshold": 5, "edgeitems": 0}),
    case("no edges, matrix", np.ones((3, 3), np.float32),
         "tensor([...], size=(3, 3))", options={"threshold": 5, "edgeitems": 0}),
    case("no edges below the threshold", np.arange(3),
         "tensor([0, 1, 2], size=(3,))", options={"edgeitems": 0}),
    case("scientific on request", f64([1, 2.5, nan]),
         "tensor([1.0000e+00, 2.5000e+00,        nan], dtype=torch.float64)", options={"sci_mode": True}),
    case("scientific needs a number", f64([0, nan]),
         "tensor([0., nan], dtype=torch.float64)", options={"sci_mode": True}),
    case("never scientific", f64([1e-7, 12345.678]),
         "tensor([    0.0000, 12345.6780], dtype=torch.float64)", options={"sci_mode": False}),
    case("never scientific, whole", f64([1e12, 1]),
         "tensor([1000000000000.,             1.], dtype=torch.float64)", options={"sci_mode": False}),
]
# fmt: on


@pytest.mark.parametrize(("array", "text", "options", "wants"), CASES)
def test_text(array: Any, text: str, options: dict[str, Any], wants: dict[str, Any]) -> None:
    set_printoptions(**options)
    assert format_tensor(array, **wants) == text


def test_prefix_sets_the_indent() -> None:
    text = format_tensor(np.eye(2, dtype=np.float32), prefix="Mine(")
    assert text == "Mine([[1., 0.],\n      [0., 1.]])"


def test_format_array_gives_only_the_brackets() -> None:
    assert format_array(np.eye(2), indent=3) == "[[1., 0.],\n    [0., 1.]]"
    assert format_array(np.zeros((0, 3)), indent=3) == "[]"


def test_transposed_and_strided_arrays_print_in_their_own_order() -> None:
    a = np.arange(6).reshape(2, 3)
    assert format_array(a.T, 0) == "[[0, 3],\n [1, 4],\n [2, 5]]"
    assert format_array(a[:, ::-2], 0) == "[[2, 0],\n [5, 3]]"


def test_full_profile_shows_every_element() -> None:
    set_printoptions(profile="full")
    text = format_tensor(np.arange(5000))
    assert "..." not in text
    assert [int(x) for x in text[8:-2].split(",")] == list(range(5000))


def test_threshold_counts_elements_of_the_whole_tensor() -> None:
    assert "..." not in format_tensor(np.zeros((10, 100)))
    assert "..." in format_tensor(np.zeros((7, 143)))


def test_printing_leaves_the_array_alone() -> None:
    a = np.array([1.5, -0.0, nan])
    a.flags.writeable = False
    before = a.tobytes()
    format_tensor(a)
    assert a.tobytes() == before


def test_options_start_at_the_defaults_and_round_trip() -> None:
    defaults = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
    assert get_printoptions() == defaults
    set_printoptions(profile="short", linewidth=100, sci_mode=True)
    changed = get_printoptions()
    assert changed == {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 100, "sci_mode": True}
    set_printoptions(profile="default")
    set_printoptions(**changed)
    assert get_printoptions() == changed


def test_every_call_sets_sci_mode_anew() -> None:
    set_printoptions(sci_mode=True)
    set_printoptions(precision=3)
    assert get_printoptions()["sci_mode"] is None
    assert get_printoptions()["precision"] == 3


def test_zero_is_a_value_and_not_a_missing_option() -> None:
    set_printoptions(precision=0, threshold=0, edgeitems=0)
    options = get_printoptions()
    assert (options["precision"], options["threshold"], options["edgeitems"]) == (0, 0, 0)


def test_unknown_profile_changes_nothing() -> None:
    before = get_printoptions()
    set_printoptions(profile="no such profile")
    assert get_printoptions() == before
