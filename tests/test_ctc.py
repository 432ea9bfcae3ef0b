"""The CTC loss against a sum over all alignments, one by one."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.autograd import gradcheck
from chainrule.nn import functional as F

RNG = np.random.default_rng(0)


def by_hand(probabilities: Any, target: list[int], blank: int) -> float:
    """Minus the logarithm of the probability of all paths that become ``target`` without repetitions and blanks."""
    total = 0.0
    for path in itertools.product(range(probabilities.shape[1]), repeat=len(probabilities)):
        labels = [c for c, _ in itertools.groupby(path) if c != blank]
        if labels == target:
            total += math.prod(p[c] for p, c in zip(probabilities, path, strict=True))
    return -math.log(total) if total else math.inf


CASES = [([1, 2], 4), ([1, 1], 4), ([1, 1], 2), ([], 3), ([2], 1), ([2, 1, 2], 4)]


def scores() -> torch.Tensor:
    return torch.tensor(RNG.standard_normal((4, len(CASES), 3)), requires_grad=True)


@pytest.mark.parametrize("blank", [0, 2])
def test_a_sum_over_alignments(blank: int) -> None:
    targets = [[(c + blank) % 3 for c in target] for target, _ in CASES]
    lengths = [n for _, n in CASES]
    x = scores()
    probabilities = x.softmax(-1).detach().numpy()
    wanted = [
        by_hand(probabilities[:n, i], target, blank) for i, (target, n) in enumerate(zip(targets, lengths, strict=True))
    ]
    counts = [len(t) for t in targets]
    rows = torch.tensor([t + [blank] * (3 - len(t)) for t in targets])
    flat = torch.tensor([*itertools.chain(*targets)])

    def f(x: torch.Tensor, **options: Any) -> torch.Tensor:
        return F.ctc_loss(x.log_softmax(-1), flat, lengths, torch.tensor(counts), blank, **options)

    each = f(x, reduction="none")
    np.testing.assert_allclose(each.detach().numpy(), wanted, rtol=1e-10)
    assert torch.equal(F.ctc_loss(x.log_softmax(-1), rows, torch.tensor(lengths), counts, blank, "none"), each)
    finite = [0 if math.isinf(v) else v for v in wanted]
    mean = f(x, zero_infinity=True)
    np.testing.assert_allclose(mean.item(), np.mean([v / max(c, 1) for v, c in zip(finite, counts, strict=True)]))
    np.testing.assert_allclose(f(x, zero_infinity=True, reduction="sum").item(), sum(finite))
    assert gradcheck(lambda x: f(x, zero_infinity=True), x, check_forward_ad=True)


def test_the_second_derivative_is_there_too() -> None:
    x = torch.tensor(RNG.standard_normal((3, 3)))

    def f(x: torch.Tensor) -> torch.Tensor:
        return F.ctc_loss(x.log_softmax(-1), torch.tensor([1, 2]), [3], [2], reduction="sum")

    h, i = 1e-5, torch.eye(9, dtype=torch.float64).reshape(9, 3, 3)
    found = torch.func.hessian(f)(x).reshape(9, 9)
    slope = torch.func.grad(f)
    wanted = [((slope(x + h * d) - slope(x - h * d)) / (2 * h)).flatten().tolist() for d in i]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-8)


def test_a_target_that_is_too_long() -> None:
    x = torch.zeros(1, 1, 2).log_softmax(-1).requires_grad_()
    loss = F.ctc_loss(x, torch.tensor([[1, 1]]), [1], [2], reduction="sum")
    assert loss.item() == math.inf
    (grad,) = torch.autograd.grad(loss, x)
    assert grad.isnan().all()
    kept = F.ctc_loss(x, torch.tensor([[1, 1]]), [1], [2], reduction="sum", zero_infinity=True)
    assert torch.autograd.grad(kept, x)[0].abs().sum() == 0


@pytest.mark.parametrize(
    ("targets", "lengths", "counts", "words"),
    [
        ([[1]], [5], [1], "Expected input_lengths to have value at most 4, but got value 5"),
        ([[1]], [4, 4], [1], "input_lengths must be of size batch_size"),
        ([[1]], [4], [2], "Expected tensor to have size at least 2 at dimension 1, but got size 1"),
        ([1, 2], [4], [1], "Expected tensor to have size 1 at dimension 0, but got size 2"),
        ([[1]], [4], [-1], "Expected target_lengths to have value at least 0, but got value -1"),
    ],
)
def test_lengths_that_do_not_fit(targets: Any, lengths: Any, counts: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        F.ctc_loss(torch.zeros(4, 1, 3), torch.tensor(targets), lengths, counts)
    with pytest.raises(RuntimeError, match="blank must be in label range"):
        F.ctc_loss(torch.zeros(4, 1, 3), torch.tensor([[1]]), [4], [1], blank=3)
