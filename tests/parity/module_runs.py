"""The same module of both libraries, run on the same inputs: weights, texts, values, gradients and buffers compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")
from sides import carried
from torch.utils._pytree import tree_flatten, tree_map

Make = Callable[[Any], Any]


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


def randn(*shape: int, **more: Any) -> Any:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True, **more)
