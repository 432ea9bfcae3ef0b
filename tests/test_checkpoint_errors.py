"""Checkpoints of functions that fail, or that do something else the second time, and arguments that are refused."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf
from recomputing import module, waves

__all__ = ["T"]


# --- functions that fail --------------------------------------------------------------------------------------------


def test_errors_of_the_function_come_through(T: Any) -> None:
    def f(t: Any) -> Any:
        raise KeyError("mine")

    assert error(lambda: module(T).checkpoint(f, leaf(T), use_reentrant=False)) == ("KeyError", "'mine'")
    text = (
        "torch.utils.checkpoint: the forward context provided by context_fn suppressed an exception raised during the "
        "checkpointed forward. This is not supported because checkpoint cannot return a value for a failed forward."
    )
    contexts = lambda: (contextlib.suppress(KeyError), contextlib.nullcontext())
    case = lambda: module(T).checkpoint(f, leaf(T), use_reentrant=False, context_fn=contexts)
    assert error(case) == ("RuntimeError", text)
    assert (leaf(T) * 2).requires_grad


# --- functions that do something else -------------------------------------------------------------------------------


def first_then(first: Any, then: Any) -> Any:
    runs = [then, first]
    return lambda t: runs.pop()(t)


def test_functions_that_save_other_values(T: Any) -> None:
    checkpoint, Error = module(T).checkpoint, module(T).CheckpointError
    assert issubclass(Error, RuntimeError)

    def said(first: Any, then: Any, **kwargs: Any) -> str:
        y = checkpoint(first_then(first, then), leaf(T), use_reentrant=False, **kwargs).sum()
        kind, text = error(y.backward)
        assert kind == "CheckpointError"
        return text

    short, long = lambda t: t.sin().exp(), lambda t: (t.sin() * t.cos()).exp()
    assert said(long, short).startswith(
        "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
        "Number of tensors saved during forward: 5\nNumber of tensors saved during recomputation: 2."
    )
    assert said(short, long, early_stop=False).startswith(
        "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward pass."
    )
    assert said(lambda t: t.sin().exp().sum(), lambda t: t[:2].sin().exp().sum()).startswith(
        "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the "
        "forward pass.\ntensor at position 0:\nsaved metadata: {'shape': torch.Size([3]), 'dtype': torch.float32, "
        "'device': device(type='cpu')}\nrecomputed metadata: {'shape': torch.Size([2]), 'dtype': torch.float32, "
        "'device': device(type='cpu')}\ntensor at position 1:\n"
    )


def test_the_check_may_be_left_out(T: Any) -> None:
    checkpoint = module(T).checkpoint
    f = first_then(lambda t: t.sin(), lambda t: (t * 1).double().sin())
    x = leaf(T)
    checkpoint(f, x, use_reentrant=False, determinism_check="none").sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(1), rtol=1e-5)


def test_debugging_shows_where_each_value_was_saved() -> None:
    def first(t: Any) -> Any:
        y = t.sin()  # saves t
        return y.exp()  # saves its output

    def then(t: Any) -> Any:
        return t.cos()  # saves t, and no more

    def notes(**kwargs: Any) -> list[str]:
        y = module(torch).checkpoint(first_then(first, then), leaf(torch), use_reentrant=False, **kwargs).sum()
        with pytest.raises(module(torch).CheckpointError) as caught:
            y.backward()
        return caught.value.__notes__

    assert "debug=True" in notes()[-1]
    told = notes(debug=True)
    with module(torch).set_checkpoint_debug_enabled(True):
        assert notes() == told
    *_, forward, again = told
    assert forward.startswith("Saved during forward, in order:")
    assert forward.index("# saves t") < forward.index("# saves its output")
    assert again.startswith("Saved during recomputation, in order:")
    assert again.count("File") == again.count("# saves t, and no more") == 1


# --- arguments ------------------------------------------------------------------------------------------------------


def test_say_which_kind(T: Any) -> None:
    with pytest.warns(
        UserWarning, match="torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly"
    ):
        y = module(T).checkpoint(waves, leaf(T))
    assert "CheckpointFunctionBackward" in repr(y)
    with pytest.warns(
        UserWarning, match="checkpoint_sequential: the use_reentrant parameter should be passed explicitly"
    ):
        module(T).checkpoint_sequential([T.sin, T.cos], 2, leaf(T))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "keyword": ({"use_reentrant": True, "k": 1}, "ValueError", "Unexpected keyword arguments: k"),
    "debug": (
        {"use_reentrant": True, "debug": True}, "ValueError",
        "Passing `context_fn` or `debug` is only supported when use_reentrant=False."),
    "debug with contexts": (
        {"use_reentrant": False, "debug": True, "context_fn": lambda: None}, "ValueError",
        "debug=True is incompatible with non-default context_fn"),
    "check": (
        {"use_reentrant": False, "determinism_check": "some"}, "ValueError",
        "determinism_check should be one of ['default', 'none'], but got some"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(T: Any, name: str) -> None:
    kwargs, kind, text = REFUSED[name]
    assert error(lambda: module(T).checkpoint(waves, leaf(T), **kwargs)) == (kind, text)


def test_the_reentrant_kind_has_limits(T: Any) -> None:
    checkpoint = module(T).checkpoint
    text = (
        "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` parameter to "
        ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing "
        "the `inputs` argument."
    )
    x = leaf(T)
    y = checkpoint(waves, x, use_reentrant=True).sum()
    assert error(lambda: T.autograd.grad(y, x, retain_graph=True)) == ("RuntimeError", text)
    assert error(lambda: y.backward(inputs=[x])) == ("RuntimeError", text)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True. Gradients will be None"):
        assert not checkpoint(waves, T.ones(3), use_reentrant=True).requires_grad
    assert checkpoint(lambda t: t * x, T.ones(3), use_reentrant=False).requires_grad
    text = "none of output has requires_grad=True, this checkpoint() is not necessary"
    z = checkpoint(lambda t: t.detach() * 2, x, use_reentrant=True).sum()
    assert error(z.backward) == ("RuntimeError", text)


def test_saved_values_may_be_asked_for_again(T: Any) -> None:
    """PyTorch and we agree that a second look at ctx.saved_tensors in one backward is refused."""

    class F(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            ctx.saved_tensors
            return g * ctx.saved_tensors[0]

    y = module(T).checkpoint(lambda t: F.apply(t.sin()), leaf(T), use_reentrant=False).sum()
    kind, text = error(y.backward)
    assert kind == "CheckpointError"
    assert text.startswith(
        "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once."
    )
