"""Edges of operations: integers and truth values, empty tensors, rules and libraries that are missing, losses of bits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, Table, leaf
from chainrule import func, primitive
from chainrule.primitive import Elementwise, Primitive

__all__ = ["T"]
values, errors = Table(), Table()
INF = float("inf")


# --- integers, truth values, nothing -----------------------------------------------------------------------


@errors("ZeroDivisionError")
def integers_divided_by_0(T: Any) -> Any:
    return T.tensor([1, 2]) // T.tensor([0, 1])


@errors("ZeroDivisionError")
def remainder_by_0(T: Any) -> Any:
    return 5 % T.tensor([0])


@errors("Integers to negative integer powers are not allowed.")
def a_negative_power(T: Any) -> Any:
    return T.tensor([2]) ** -1


@values([0, 1, -1, 1, 0, 0])
def negative_powers(T: Any) -> Any:
    return T.tensor([2, 1, -1, -1, 0, 5]) ** T.tensor([-1, -3, -3, -2, -1, -2])


@errors(
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator"
)
def truths_subtracted(T: Any) -> Any:
    return T.tensor([True]) - T.tensor([True])


@errors(
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the"
)
def a_truth_taken_off_1(T: Any) -> Any:
    return 1 - T.tensor([True])


@errors(
    "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or"
)
def a_truth_negated(T: Any) -> Any:
    return -T.tensor([True])


@errors("Boolean inputs not supported for relu")
def relu_of_truths(T: Any) -> Any:
    return T.tensor([True]).relu()


@errors("argmax(): does not support bool input")
def argmax_of_truths(T: Any) -> Any:
    return T.tensor([True]).argmax()


@errors("std and var only support floating point and complex dtypes")
def var_of_integers(T: Any) -> Any:
    return T.tensor([1, 2]).var()


@errors("value cannot be converted to type int8_t without overflow")
def a_number_too_large(T: Any) -> Any:
    return T.zeros(1, dtype=T.int8).fill_(300)


@errors("For integral input tensors, argument alpha must not be a floating point number.")
def a_fraction_of_integers(T: Any) -> Any:
    return T.add(T.tensor([1]), T.tensor([1]), alpha=0.5)


@values("torch.float32", "torch.uint8", "torch.float32", 255)
def dtypes(T: Any) -> Any:
    byte = T.tensor([1, 0], dtype=T.uint8)
    return (
        str(T.tensor([1]).logsumexp(0).dtype),
        str(byte.any().dtype),
        str((T.tensor([1]) / 2).dtype),
        byte.fill_(-1)[0].item(),
    )


@values(-INF, [2.0, 2.0, -2.0], [1.3, -2.5], [160.0, -20.0])
def sums_and_halves(T: Any) -> Any:
    return (
        T.tensor([]).logsumexp(0), T.tensor([1.5, 2.5, -2.5]).round(), T.tensor([1.256, -2.5]).round(decimals=1),
        T.tensor([155.0, -25.0]).round(decimals=-1),
    )  # fmt: skip


@values([30.0, 1.5, 0.0], [1.0, 0.0, 0.0])
def nan_is_the_largest(T: Any) -> Any:
    x = T.tensor([float("nan"), 1.0, 2.0], requires_grad=True)
    x.max().backward()
    return T.tensor([30.0, 1.5, 0.0]), x.grad


@values([2.0, 0.0], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
def quantiles_beside_infinities(T: Any) -> Any:
    x = T.tensor([[INF, 1.0, 2.0], [-1.0, INF, 0.0]], requires_grad=True)
    found = T.quantile(x, 0.5, dim=-1)
    return found, T.autograd.grad(found.sum(), x)[0]


@values([2.0, 2.0, 1.0], [5, 5, 2], [0.0, 1.0, 0.0])
def thresholds(T: Any) -> Any:
    x = T.tensor([0.0, 1.0, 0.0], requires_grad=True)
    T.nn.functional.relu(x).backward(T.tensor([INF, 1.0, float("nan")]))
    return (
        T.nn.functional.threshold(T.tensor([-INF, 0.5, 1.0]), 0.5, 2.0),
        T.nn.functional.threshold(T.tensor([0, 1, 2]), 1.5, 5.5), x.grad,
    )  # fmt: skip


@values([0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0])
def bounds_that_are_met(T: Any) -> Any:
    x, low = (T.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 2.0]))
    slopes = T.autograd.grad(x.clamp(min=low).sum(), (x, low))
    return (
        slopes[0],
        slopes[1],
        T.autograd.grad(T.atan2(x * 0, low * 0).sum(), x)[0],
        T.autograd.grad(x.clamp(max=low).sum() - x[0], x)[0],
    )


@pytest.mark.parametrize("name", errors)
def test_errors(name: str, T: Any) -> None:
    errors.raises(name, T)


@pytest.mark.parametrize("name", values)
def test_values(name: str, T: Any) -> None:
    values.gives(name, T)


def test_too_few_for_a_variance(T: Any) -> None:
    with pytest.warns(UserWarning, match=r"var\(\): degrees of freedom is <= 0. Correction should be strictly less"):
        assert T.isnan(T.ones(1).var()).item()


# --- softplus, losses of bits ------------------------------------------------------------------------------


def test_softplus_is_linear_beyond_its_threshold(T: Any) -> None:
    x = T.tensor([1.0, 2.0, 25.0], requires_grad=True)
    for beta, threshold, linear in ((1.0, 20.0, [25.0]), (2.0, 3.0, [2.0, 25.0]), (0.1, 3.0, [])):
        y = T.nn.functional.softplus(x, beta, threshold)
        (slope,) = T.autograd.grad(y.sum(), x)
        n = 3 - len(linear)
        assert y.tolist()[n:] == linear
        assert slope.tolist()[n:] == [1.0] * len(linear)
        z = np.array([1.0, 2.0, 25.0])[:n] * beta
        np.testing.assert_allclose(y.detach().numpy()[:n], np.log1p(np.exp(z)) / beta, rtol=1e-6)
        assert y.grad_fn.name() == "SoftplusBackward0"


PROBABILITIES, ANSWERS = [0.0, 1.0, 0.3, 1e-30, 0.5], [0.0, 1.0, 1.0, 1.0, 0.25]


def test_bits_at_0_and_1(T: Any) -> None:
    """Logarithms stop at -100, and slopes at 1e12: finite, also where the answer is wrong with certainty."""
    x, y = T.tensor(PROBABILITIES, requires_grad=True), T.tensor(ANSWERS)
    each = T.nn.functional.binary_cross_entropy(x, y, reduction="none")
    np.testing.assert_allclose(each.tolist(), [0, 0, 1.2039728, 69.0775528, 0.6931472], rtol=1e-6)
    (slope,) = T.autograd.grad(each.sum(), x)
    np.testing.assert_allclose(slope.tolist(), [0, 0, -10 / 3, -1e12, 1.0], rtol=1e-6)
    wrong = T.nn.functional.binary_cross_entropy(x, 1 - y, reduction="none")
    assert wrong.tolist()[:2] == [100.0, 100.0]
    np.testing.assert_allclose(T.autograd.grad(wrong.sum(), x)[0].tolist()[:2], [-1e12, 1e12], rtol=1e-6)
    assert each.grad_fn.name() == "BinaryCrossEntropyBackward0"
    mean = T.nn.functional.binary_cross_entropy_with_logits(x, y)
    assert mean.grad_fn.name() == "BinaryCrossEntropyWithLogitsBackward0"


def test_bits_of_scores_do_not_overflow(T: Any) -> None:
    x = T.tensor([0.0, -30.0, 100.0, -1000.0], requires_grad=True)
    y = T.tensor([0.0, 1.0, 1.0, 0.0], requires_grad=True)
    weight, yes = T.tensor([1.0, 2.0, 1.0, 1.0]), T.tensor([3.0, 0.5, 1.0, 1.0])
    each = T.nn.functional.binary_cross_entropy_with_logits(x, y, weight, pos_weight=yes, reduction="none")
    np.testing.assert_allclose(each.tolist(), [0.6931472, 30.0, 0.0, 0.0], rtol=1e-6, atol=1e-30)
    by_x, by_y = T.autograd.grad(each.sum(), [x, y])
    np.testing.assert_allclose(by_x.tolist(), [0.5, -1.0, 0.0, 0.0], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(by_y.tolist(), [2 * 0.6931472, 60 - 30.0, -100.0, 1000.0], rtol=1e-6)


WRONG = {
    "a target beyond 1": (lambda T: ([0.5], [3.0]), "all elements of target should be between 0 and 1"),
    "no probability": (lambda T: ([1.5], [1.0]), "all elements of input should be between 0 and 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bits_that_are_none(name: str, T: Any) -> None:
    make, words = WRONG[name]
    x, y = map(T.tensor, make(T))
    with pytest.raises(RuntimeError, match=words):
        T.nn.functional.binary_cross_entropy(x, y)


@pytest.mark.parametrize(
    ("name", "argument", "loss"),
    [
        ("nll_loss_forward", "weight", lambda T, w: T.nn.functional.nll_loss(leaf(T, 1, 2), T.tensor([0]), w)),
        ("binary_cross_entropy", "weight", lambda T, w: T.nn.functional.binary_cross_entropy(leaf(T, 2), T.ones(2), w)),
        (
            "binary_cross_entropy_with_logits", "pos_weight",
            lambda T, w: T.nn.functional.binary_cross_entropy_with_logits(leaf(T, 2), T.ones(2), pos_weight=w),
        ),
    ],
)  # fmt: skip
def test_weights_are_constants(name: str, argument: str, loss: Any, T: Any) -> None:
    words = (
        f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot have "
    )
    with pytest.raises(RuntimeError) as caught:
        loss(T, leaf(T, 2))
    assert str(caught.value).startswith(words)


# --- rules that are missing ----------------------------------------------------------------------------------


@pytest.fixture
def declared() -> Iterator[None]:
    before = dict(primitive.table)
    yield
    primitive.table.clear()
    primitive.table.update(before)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, when it first loads forward mode
def test_no_way_back(T: Any) -> None:
    y = leaf(T) // 2
    assert (y.requires_grad, type(y.grad_fn).__name__) == (True, "NotImplemented")
    with pytest.raises(RuntimeError, match="derivative for aten::floor_divide is not implemented"):
        y.sum().backward()
    with pytest.raises(
        NotImplementedError, match="Trying to use forward AD with aten::floor_divide that does not support"
    ):
        T.func.jvp(lambda x: x // 2, (T.ones(2),), (T.ones(2),))


@pytest.mark.usefixtures("declared")
def test_one_rule_of_two() -> None:
    class Half(Elementwise):
        forward = lambda xp, x, y: x * y
        d_x = lambda y: y

    half, x, y = Half(), leaf(torch), leaf(torch)
    assert torch.autograd.grad(half(x, y.detach()).sum(), x)[0].tolist() == [1.0] * 3
    words = (
        "The function 'half' is not differentiable with respect to argument 'y'. This input cannot have requires_grad"
    )
    with pytest.raises(RuntimeError, match=words):
        half(x, y).sum().backward()
    with pytest.raises(NotImplementedError, match="Trying to use forward AD with aten::half"):
        func.jvp(lambda y: half(x.detach(), y), (y.detach(),), (torch.ones(3),))


@pytest.mark.usefixtures("declared")
def test_no_forward_mode() -> None:
    """What has no tangent rule is not taken to be linear."""

    class Cubed(Primitive):
        forward = lambda xp, x: x * x * x
        vjp_x = lambda xp, g, x: 3 * g * x * x

    cubed = Cubed()
    assert func.grad(lambda x: cubed(x).sum())(torch.ones(2)).tolist() == [3.0, 3.0]
    with pytest.raises(NotImplementedError) as caught:
        func.jvp(cubed, (torch.ones(2),), (torch.ones(2),))
    assert "Declare jvp_x" in caught.value.__notes__[0]


# --- libraries that are missing --------------------------------------------------------------------------------


def test_erf_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    x = torch.tensor([[-1.5, 0.0], [0.25, INF]], dtype=torch.float64)
    np.testing.assert_allclose(x.erf().tolist(), [[-0.9661051464753108, 0.0], [0.2763263901682369, 1.0]], rtol=1e-15)
    assert torch.tensor(0.25).erf().dtype == torch.float32
    assert func.grad(torch.erf)(torch.tensor(0.0)).item() == pytest.approx(2 / np.pi**0.5)


def test_names_of_types() -> None:
    assert str(torch.Tensor) == "<class 'chainrule.Tensor'>"
    assert [torch.typename(v) for v in (torch.ones(1), torch.ones(1).double(), 3)] == [
        "torch.FloatTensor", "torch.DoubleTensor", "int",
    ]  # fmt: skip


def test_integers_beyond_the_range_of_a_dtype_wrap_as_in_pytorch() -> None:
    x = torch.tensor([1, 200], dtype=torch.uint8)
    assert (x + 300).tolist() == [45, 244]
    assert (300 - x).tolist() == [43, 100]
    assert (x < -1).tolist() == [True, True]  # -1 is 255
    assert (torch.tensor([1], dtype=torch.int8) + 200).tolist() == [-55]
    assert (torch.tensor([1]) + 2**63).tolist() == [1 - 2**63]
    assert x.add_(300).dtype is torch.uint8
    with pytest.raises(OverflowError, match="int too big to convert"):
        torch.tensor([1]) + 2**64
    for call in (lambda: x**300, lambda: torch.where(x > 5, x, 300)):
        with pytest.raises(RuntimeError, match="value cannot be converted to type uint8_t without overflow"):
            call()
    with pytest.raises(RuntimeError, match="Integers to negative integer powers are not allowed"):
        x**-1


def test_two_numbers_where_pytorch_takes_them() -> None:
    assert torch.equal(torch.add(1, 2), torch.tensor(3))
    assert torch.equal(torch.add(1, 2, alpha=3), torch.tensor(7))
    assert torch.equal(torch.div(1, 2), torch.tensor(0.5))
    assert torch.equal(torch.mul(2.0, 3), torch.tensor(6.0))
    with pytest.raises(TypeError, match=r"maximum\(\): argument 'input' \(position 1\) must be Tensor, not int"):
        torch.maximum(1, 2)


def test_a_remainder_of_zero_keeps_the_sign_of_what_is_divided() -> None:
    r = torch.remainder(torch.tensor([-2.0, 2.0, -0.0, 3.0]), torch.tensor([2.0, -2.0, 2.0, -2.0]))
    assert r.tolist() == [0.0, 0.0, 0.0, -1.0]
    assert torch.signbit(r).tolist() == [True, False, True, True]
    assert str(torch.remainder(torch.tensor(-2.0), 2.0)) == "tensor(-0.)"


def test_sums_and_products_have_the_dtype_that_is_asked_for() -> None:
    x = torch.tensor([100, 100, 3])
    for name, wanted in (("sum", -53), ("prod", 48), ("cumsum", [100, -56, -53]), ("cumprod", [100, 16, 48])):
        found = getattr(torch, name)(x, 0, dtype=torch.int8)
        assert found.dtype is torch.int8
        assert found.tolist() == wanted
    assert torch.sum(x, dtype=torch.bool).dtype is torch.bool


def test_a_large_tensor_is_read_by_several_indices() -> None:
    x, rows, columns = torch.arange(1_000_000).reshape(1000, 1000), torch.tensor([0, 999, -1]), torch.tensor([1, 2, -2])
    assert x[rows, columns].tolist() == [1, 999_002, 999_998]
    assert x[rows, :, None].shape == (3, 1000, 1)
    assert x[rows][:, 5].tolist() == [5, 999_005, 999_005]


def test_padding_keeps_the_sign_of_zero() -> None:
    assert str(torch.nn.functional.pad(torch.tensor([-0.0, 1.0]), (1, 0), value=-0.0)) == "tensor([-0., -0., 1.])"
    assert str(torch.nn.functional.pad(torch.tensor([-0.0, 1.0]), (1, 0))) == "tensor([0., -0., 1.])"
