"""Cases that run on chainrule and, where it is installed, on PyTorch: so the expectations are tested too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import chainrule

Case = Callable[[Any], Any]


@pytest.fixture(params=["chainrule", "torch"])
def T(request: pytest.FixtureRequest) -> Any:
    return chainrule if request.param == "chainrule" else pytest.importorskip("torch")


class Table(dict[str, tuple[Case, Any]]):
    """Cases by name, each with what is expected of it; filled by a decorator."""

    def __call__(self, *expected: Any) -> Callable[[Case], Case]:
        def note(case: Case) -> Case:
            self[case.__name__] = (case, expected)
            return case

        return note

    def raises(self, name: str, T: Any) -> None:
        """The case raises RuntimeError, with a message that begins as expected."""
        case, (message,) = self[name]
        with pytest.raises(RuntimeError) as caught:
            quietly(case, T)
        assert type(caught.value) is RuntimeError
        assert str(caught.value).startswith(message)

    def gives(self, name: str, T: Any) -> None:
        """The case returns the values expected."""
        case, expected = self[name]
        found = quietly(case, T)
        for ours, right in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
            value = ours.detach().numpy() if hasattr(ours, "detach") else ours
            if isinstance(right, (float, list)):
                np.testing.assert_allclose(value, np.array(right), rtol=1e-6)
            else:
                assert value == right


def quietly(case: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case(*args)


def leaf(T: Any, *shape: int, value: float = 1.0) -> Any:
    return T.full(shape or (3,), value, requires_grad=True)


def inner(T: Any, *shape: int, value: float = 1.0) -> tuple[Any, Any]:
    """A leaf, and a copy of it that may be written to."""
    a = leaf(T, *shape, value=value)
    return a, a * 1


# --- for tests written out one by one --------------------------------------------------------------------------


@contextmanager
def refused(error: type[Exception], message: str, whole: bool = True) -> Iterator[None]:
    """Within, exactly this error is raised, in exactly these words (or, if not ``whole``, in words that begin so)."""
    with pytest.raises(error) as caught:
        yield
    assert type(caught.value) is error
    said = str(caught.value)
    assert said == message if whole else said.startswith(message)


def error(case: Callable[..., Any], *args: Any) -> tuple[str, str]:
    """The class and the words of the error that a call raises."""
    with pytest.raises(Exception) as caught:
        quietly(case, *args)
    return type(caught.value).__name__, str(caught.value)


def numbers(*tensors: Any) -> list[Any]:
    return [None if t is None else t.detach().numpy().tolist() for t in tensors]


def vector(T: Any, *values: float, **more: Any) -> Any:
    return T.tensor(values or (1.0, 2.0), requires_grad=True, **more)


def close(t: Any, *values: float) -> bool:
    """Whether a tensor holds these numbers, in row-major order."""
    return t is not None and np.allclose(t.detach().numpy().ravel(), values, rtol=1e-6)
