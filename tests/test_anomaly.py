"""Anomaly mode, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Any

import pytest

import chainrule as torch
from both import T, leaf

__all__ = ["T"]


def failure(case: Any, T: Any) -> tuple[str, list[str]]:
    """The words of the error that a case raises, and those of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Exception) as error:
            case(T)
    return str(error.value), [str(w.message) for w in caught]


def anomaly(T: Any, **kwargs: Any) -> Any:
    return T.autograd.set_detect_anomaly(True, **kwargs)


# --- nan ------------------------------------------------------------------------------------------------------------


def test_nan_is_traced_to_the_forward_line(T: Any) -> None:
    def case(T: Any) -> None:
        with anomaly(T):
            root = leaf(T, value=-1.0).sqrt()  # the line to blame
            (root * 2).sum().backward()

    text, (warning,) = failure(case, T)
    assert text == "Function 'SqrtBackward0' returned nan values in its 0th output."
    assert warning.startswith(
        "Error detected in SqrtBackward0. Traceback of forward call that caused the error:\n  File"
    )
    assert "root = leaf(T, value=-1.0).sqrt()  # the line to blame" in warning
    assert "backward()" not in warning


def test_nan_of_which_input(T: Any) -> None:
    class Nan(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a + b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g * float("nan")

    def case(T: Any) -> None:
        with anomaly(T):
            Nan.apply(leaf(T), leaf(T)).sum().backward()

    text, (warning,) = failure(case, T)
    assert text == "Function 'NanBackward' returned nan values in its 1th output."
    assert "Nan.apply(leaf(T), leaf(T)).sum().backward()" in warning


def test_nan_may_be_let_through(T: Any) -> None:
    x = leaf(T, value=-1.0)
    with anomaly(T, check_nan=False):
        x.sqrt().sum().backward()
    assert str(x.grad) == "tensor([nan, nan, nan])"


def test_infinity_is_no_anomaly(T: Any) -> None:
    x = leaf(T, value=0.0)
    with anomaly(T):
        x.sqrt().sum().backward()
    assert str(x.grad) == "tensor([inf, inf, inf])"


def test_a_graph_recorded_before_has_no_line(T: Any) -> None:
    def case(T: Any) -> None:
        y = leaf(T, value=-1.0).sqrt().sum()
        with anomaly(T):
            y.backward()

    text, warned = failure(case, T)
    assert text == "Function 'SqrtBackward0' returned nan values in its 0th output."
    assert warned[0].startswith(
        "Error detected in SqrtBackward0. No forward pass information available. Enable detect anomaly during forward "
        "pass for more information."
    )


# --- errors ---------------------------------------------------------------------------------------------------------


def test_errors_of_a_users_backward(T: Any) -> None:
    class Bad(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            raise ValueError("some error in backward")

    def case(T: Any) -> None:
        with anomaly(T):
            out = Bad.apply(leaf(T))
            out.sum().backward()

    text, (warning,) = failure(case, T)
    assert text == "some error in backward"
    assert warning.startswith("Error detected in BadBackward. Traceback of forward call that caused the error:")
    assert "out = Bad.apply(leaf(T))" in warning


def test_errors_of_hooks(T: Any) -> None:
    def case(T: Any) -> None:
        with anomaly(T):
            y = leaf(T) * 2  # hooked
            y.register_hook(lambda g: 1 / 0)
            y.sum().backward()

    text, (warning,) = failure(case, T)
    assert text == "division by zero"
    assert "y = leaf(T) * 2  # hooked" in warning


def test_writes_to_saved_values(T: Any) -> None:
    def case(T: Any) -> None:
        with anomaly(T):
            b = leaf(T) * 1
            y = b * b  # saves b
            b.add_(1)
            y.sum().backward()

    text, (warning,) = failure(case, T)
    assert text == (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        "[torch.FloatTensor [3]], which is output 0 of Add, is at version 1; expected version 0 instead. Hint: the "
        "backtrace further above shows the operation that failed to compute its gradient. The variable in question was "
        "changed in there or anywhere later. Good luck!"
    )
    assert "y = b * b  # saves b" in warning


def test_graphs_that_are_freed(T: Any) -> None:
    def case(T: Any) -> None:
        with anomaly(T):
            x = leaf(T)
            y = x * x
            y.sum().backward()
            y.sum().backward()

    text, (warning,) = failure(case, T)
    assert text.startswith("Trying to backward through the graph a second time")
    assert "y = x * x" in warning


def test_what_a_derivative_of_a_derivative_was_induced_by(T: Any) -> None:
    def case(T: Any) -> None:
        with anomaly(T):
            x = leaf(T, value=0.0)
            y = x**1.5  # the function
            (first,) = T.autograd.grad(y.sum(), x, create_graph=True)  # its derivative
            (second,) = T.autograd.grad(first.sum(), x, create_graph=True)
            T.autograd.grad((second * 0).sum(), x)

    text, warned = failure(case, T)
    assert text.endswith("th output.")
    assert len(warned) == 3
    assert "(second,) = T.autograd.grad(first.sum(), x, create_graph=True)" in warned[0]
    for warning, line in zip(warned[1:], ("# its derivative", "# the function"), strict=True):
        assert "Previous calculation was induced by " in warning
        assert "Traceback of forward call that induced the previous calculation:" in warning
        assert line in warning


# --- switching it ---------------------------------------------------------------------------------------------------


def test_the_lines_are_noted_in_the_nodes_metadata(T: Any) -> None:
    x = leaf(T)
    with anomaly(T):
        y = x * 2
        (g,) = T.autograd.grad((y * y).sum(), x, create_graph=True)
    assert any("y = x * 2" in line for line in y.grad_fn.metadata["traceback_"])
    assert g.grad_fn.metadata["parent_"].name() == "MulBackward0"
    assert (x * 2).grad_fn.metadata == {}


def test_switches(T: Any) -> None:
    def state() -> tuple[bool, bool]:
        return T.is_anomaly_enabled(), T.is_anomaly_check_nan_enabled()

    assert state() == (False, True)
    with T.autograd.set_detect_anomaly(True, check_nan=False):
        assert state() == (True, False)
        with T.autograd.set_detect_anomaly(False):
            assert state()[0] is False
        assert state() == (True, False)
    T.autograd.set_detect_anomaly(True)
    assert state() == (True, True)
    T.set_anomaly_enabled(False)
    assert state() == (False, True)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled. This mode will increase the runtime and"):
        mode = T.autograd.detect_anomaly()
    assert state() == (False, True)
    with mode:
        assert state() == (True, True)
    assert state() == (False, True)


def test_the_warning_points_at_the_line_that_sweeps() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError), anomaly(torch):
            leaf(torch, value=-1.0).sqrt().sum().backward()
    assert caught[0].filename == __file__


def test_the_trace_ends_at_the_users_line() -> None:
    for make in (lambda x: x.sqrt(), lambda x: x**0.5, lambda x: x[[0, 1]], lambda x: torch.cat([x, x]),
                 lambda x: torch.nn.functional.softmax(x, 0), lambda x: x.clone().mul_(2)):  # fmt: skip
        with anomaly(torch):
            y = make(leaf(torch))
        last = y.grad_fn.metadata["traceback_"][-1]
        assert __file__ in last
        assert "lambda x:" in last


def test_the_mode_belongs_to_a_thread_and_a_task() -> None:
    seen: list[bool] = []
    with anomaly(torch):
        thread = threading.Thread(target=lambda: seen.append(torch.is_anomaly_enabled()))
        thread.start()
        thread.join()

    async def task() -> None:
        with anomaly(torch):
            await asyncio.sleep(0)
            seen.append(torch.is_anomaly_enabled())

    async def both() -> None:
        await asyncio.gather(task(), task())
        seen.append(torch.is_anomaly_enabled())

    asyncio.run(both())
    assert seen == [False, True, True, False]
