"""Checkpoints that keep some results: which, by a policy or a list of operations, and what that forbids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf
from recomputing import module

__all__ = ["T"]


def _selective(T: Any, policy: Any, f: Any, x: Any, **options: Any) -> Any:
    m = module(T)
    return m.checkpoint(
        f, x, use_reentrant=False, context_fn=lambda: m.create_selective_checkpoint_contexts(policy, **options)
    )


def _network(x: Any) -> Any:
    return (x @ x.sin() @ x.t()).sigmoid() * x


def test_a_policy_is_asked_in_the_forward_pass_and_what_it_keeps_is_not_computed_again(T: Any) -> None:
    asked: list[str] = []
    m = module(T)

    def policy(ctx: Any, op: Any, *args: Any, **kwargs: Any) -> Any:
        assert not ctx.is_recompute
        if op == T.ops.aten.mm.default:
            asked.append(op.name())
            assert tuple(ctx.op_output.shape) == (3, 3)
            return m.CheckpointPolicy.MUST_SAVE
        return m.CheckpointPolicy.PREFER_RECOMPUTE

    x, plain = [T.linspace(-1, 1, 9).reshape(3, 3).requires_grad_() for _ in range(2)]
    y = _selective(T, policy, _network, x)
    _network(plain).sum().backward()
    y.sum().backward()
    assert asked == ["aten::mm"] * 2
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("ops", "again"), [([], 2), (["mm"], 0), (["sigmoid"], 2)])
def test_how_much_is_computed_again(monkeypatch: Any, ops: list[str], again: int) -> None:
    from chainrule import recording

    found: list[str] = []
    compute = recording.compute_numpy
    monkeypatch.setattr(
        recording, "compute_numpy", lambda prim, *args: (found.append(prim.label), compute(prim, *args))[1]
    )
    x = torch.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
    y = _selective(torch, [getattr(torch.ops.aten, name).default for name in ops], _network, x)
    assert found.count("MmBackward0") == 2
    y.sum().backward()
    assert found.count("MmBackward0") == 2 + again


def test_true_keeps_and_false_does_not(T: Any) -> None:
    x = T.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
    expected = T.autograd.grad(_network(x).sum(), x)[0]
    for policy in (lambda *_, **__: True, lambda *_, **__: False):
        found = T.autograd.grad(_selective(T, policy, _network, x).sum(), x)[0]
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_what_is_kept_may_not_be_written_to(T: Any) -> None:
    def f(x: Any) -> Any:
        y = x @ x
        z = y.sin()
        y.add_(1)
        return z * 2

    keep, x = [T.ops.aten.mm.default], leaf(T, 2, 2)
    y = _selective(T, keep, f, x)
    assert error(lambda: y.sum().backward()) == (
        "RuntimeError", "Tensor cached during selective activation checkpoint has been mutated"
    )  # fmt: skip


def test_a_second_backward_finds_nothing(T: Any) -> None:
    x = leaf(T, 2, 2)
    y = _selective(T, [T.ops.aten.mm.default], lambda x: (x @ x).sin(), x).sum()
    y.backward(retain_graph=True)
    assert error(y.backward) == (
        "RuntimeError",
        "Trying to backward an extra time. You are only allowed to backward once on any region computed under selective "
        "activation checkpoint.",
    )


def test_other_operations_in_the_second_run(T: Any) -> None:
    runs: list[Any] = []

    def f(x: Any) -> Any:
        runs.append(x)
        return (x @ x).sin().exp() if len(runs) == 1 else (x @ x).cos().exp()

    y = _selective(T, [T.ops.aten.mm.default], f, leaf(T, 2, 2))
    kind, text = error(lambda: y.sum().backward())
    assert (kind, text.partition(" encountered")[0]) == ("RuntimeError", "aten.cos.default")


def test_policies_that_are_none(T: Any) -> None:
    make = module(T).create_selective_checkpoint_contexts
    assert error(lambda: make(3)) == ("TypeError", "policy_fn_or_list must be either a function or a list of ops.")
    kind, text = error(lambda: make([T.ops.aten.mm]))
    assert kind == "ValueError"
    assert text.startswith("Expected op in `op_list` to be an OpOverload but got: aten.mm of type ")
    assert text.endswith("change it to `torch.ops.aten.mm.default`.")
