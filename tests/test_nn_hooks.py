"""Hooks of modules, without PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as torch
from chainrule import nn
from parameters import numbers

pytestmark = pytest.mark.usefixtures("own_generator")


def test_forward_hooks_in_order_and_removed() -> None:
    net, seen = nn.Identity(), []
    net.register_forward_hook(lambda m, args, out: seen.append("second"))
    with net.register_forward_hook(lambda m, args, out: seen.append("first"), prepend=True):
        net(torch.ones(1))
    handle = net.register_forward_pre_hook(lambda m, args: args[0] + 1)
    assert numbers(net(torch.ones(1))) == [2.0]
    handle.remove()
    assert numbers(net(torch.ones(1))) == [1.0]
    assert seen == ["first", "second", "second", "second"]


def test_a_hook_that_is_always_called() -> None:
    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("broken")

    net, seen = Broken(), []
    net.register_forward_hook(lambda m, args, out: seen.append("never"))
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(out), with_kwargs=True, always_call=True)
    with pytest.raises(ValueError, match="broken"):
        net(1)
    assert seen == [None]
    works, calls = nn.Identity(), []
    works.register_forward_hook(lambda m, args, out: calls.append(out), always_call=True)
    works.register_forward_hook(lambda m, args, out: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        works(1)
    assert calls == [1]  # it had run already
    net.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
    with pytest.warns(UserWarning, match="silenced"), pytest.raises(ValueError, match="broken"):
        net(1)


def test_backward_hooks_see_this_modules_gradients_only() -> None:
    net, seen = nn.Linear(1, 1, bias=False), []
    with torch.no_grad():
        net.weight.fill_(3)
    net.register_full_backward_hook(lambda m, gi, go: seen.append((numbers(gi[0]), numbers(go[0]))))
    x = torch.ones(1, 1, requires_grad=True)
    (net(x) * 2 + 100 * x).sum().backward()
    assert seen == [([[6.0]], [[2.0]])]
    assert numbers(x.grad) == [[106.0]]


def test_a_backward_hook_of_the_wrong_length() -> None:
    net = nn.Identity()
    net.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        net(torch.ones(1, requires_grad=True)).sum().backward()
