"""State around a compiled function: what is guarded, and what cannot be watched."""

from __future__ import annotations

import io
import itertools
import logging
import random
import re
import threading
import time
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from compiling import compile, equal, no_trace_in_tensor

__all__ = ["compile", "no_trace_in_tensor"]


class Settings:
    scale = 2.0


def test_what_python_offers_is_guarded() -> None:
    """Settings in objects of the standard library, class attributes that an object's own hide, the order of keywords."""
    import argparse
    import contextvars

    config, plain, own = argparse.Namespace(k=2), types.SimpleNamespace(k=2), Settings()
    variable: Any = contextvars.ContextVar("variable", default=1)

    def f(x: Any, **named: Any) -> Any:
        weights = sum(i * v for i, v in enumerate(named.values()))
        return x * config.k + plain.k + own.scale + variable.get() + weights

    g, x, y = torch.compile(f, backend="numpy", fullgraph=True), torch.ones(2), torch.arange(2)
    for change in (lambda: None, lambda: setattr(config, "k", 3), lambda: setattr(plain, "k", 5),
                   lambda: setattr(own, "scale", 7.0), lambda: variable.set(4)):  # fmt: skip
        change()
        equal(g(x), f(x))
    equal(g(x, a=x, b=y), f(x, a=x, b=y))
    equal(g(x, b=y, a=x), f(x, b=y, a=x))


def advancing() -> Any:
    numbers = itertools.count()
    return lambda x: x * next(numbers)


def generating() -> Any:
    numbers = (i for i in range(99))
    return lambda x: x * next(numbers)


def pythons_random() -> Any:
    source = random.Random(1)
    return lambda x: x * source.random()


def numpys_random() -> Any:
    source = np.random.default_rng(1)
    return lambda x: x * source.random()


def numpys_old_random() -> Any:
    source = np.random.RandomState(1)
    return lambda x: x * source.rand()


def writing() -> Any:
    text = io.StringIO()
    return lambda x: x * text.write("more")


def of_this_thread() -> Any:
    local = threading.local()
    local.k = 3
    return lambda x: x * local.k


def at_this_time() -> Any:
    return lambda x: x * (time.perf_counter() > 0)


def warning() -> Any:
    def f(x: Any) -> Any:
        warnings.warn("beware", UserWarning, stacklevel=2)
        return x

    return f


def logging_() -> Any:
    def f(x: Any) -> Any:
        logging.getLogger("nobody").error("seen")
        return x

    return f


def inferring() -> Any:
    def f(x: Any) -> Any:
        with torch.inference_mode():
            return x * 2

    return f


STATES = {
    advancing: "a count", generating: "a generator", pythons_random: "changes", numpys_random: "changes",
    numpys_old_random: "changes", writing: "a StringIO", of_this_thread: "a _local|a local", at_this_time: "reads the clock",
    warning: "it warns", logging_: "it logs", inferring: "inference mode",
}  # fmt: skip


@pytest.mark.parametrize("make", STATES, ids=lambda f: f.__name__)
def test_state_that_cannot_be_watched(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    x, f, g = torch.ones(2), make(), torch.compile(make(), backend="numpy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wanted = [f(x) for _ in range(3)]
        logged = len(caplog.records)
        found = [g(x) for _ in range(3)]
    for a, b in zip(found, wanted, strict=True):
        equal(a, b)
        assert a.is_inference() == b.is_inference()
    assert len(caplog.records) == 2 * logged
    said = [str(w.message) for w in caught if "uncompiled" in str(w.message)]
    assert len(said) == 1 and re.search(STATES[make], said[0])
    assert len(caught) == (7 if make is warning else 1)


def test_what_modules_do_when_they_are_imported_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_late.py").write_text("import time\nmade = time.time()\nwith open(__file__) as f: f.read()\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def f(x: Any) -> Any:
        import imported_late

        return x * (imported_late.made > 0)

    equal(torch.compile(f, backend="numpy", fullgraph=True)(torch.ones(2)), torch.ones(2))


def test_asserts_are_no_obstacle(compile: Any) -> None:
    """Under pytest they call what only it can name."""

    def f(x: Any) -> Any:
        assert x.shape == (3,), "three"
        return x * 2

    compiled = compile(f)
    assert compiled(torch.ones(3)).tolist() == [2.0] * 3
    with pytest.raises(AssertionError, match="three"):
        f(torch.ones(2))
