"""Steps of optimisers that fail or are interrupted: each parameter moves whole, with its state, or not at all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.optim import SGD
from parameters import leaf, numbers, with_grad

pytestmark = pytest.mark.usefixtures("own_generator")


class _InterruptError(Exception):
    pass


@pytest.fixture
def interrupts() -> Iterator[None]:
    def interrupt(*_: Any) -> None:
        raise _InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals here")
@pytest.mark.usefixtures("interrupts")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the signal may hit a gc callback
def test_an_interrupted_step_leaves_each_parameter_with_its_state_old_or_new() -> None:
    params = [with_grad(torch.zeros(200, requires_grad=True), *[1.0] * 200) for _ in range(40)]
    optimizer = SGD(params, lr=1.0, momentum=1.0)  # after n steps: buffer n, value -n (n + 1) / 2
    interrupted = 0
    rng = np.random.default_rng(0)
    for _ in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, float(rng.uniform(1e-5, 4e-4)))
            optimizer.step()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except _InterruptError:
            interrupted += 1
        for p in params:
            n = optimizer.state[p]["momentum_buffer"]._a[0] if p in optimizer.state else 0
            assert (p._a == -n * (n + 1) / 2).all()
    assert interrupted > 5  # else nothing was tried


def test_a_failing_step_leaves_everything_as_it_was() -> None:
    class Failing(SGD):
        """A formula that is not elementwise, so it sees the numbers, and fails at one."""

        _elementwise = False

        def _rule(self, group: dict[str, Any], xp: Any) -> Any:
            at, move = super()._rule(group, xp)

            def second_fails(now: Any, p: Any, *others: Any) -> Any:
                result = move(now, p, *others)
                if p[0] == 5:
                    raise MemoryError
                return result

            return at, second_fails

    x, y = with_grad(leaf(1.0), 1.0), with_grad(leaf(5.0), 1.0)
    optimizer = Failing([x, y], lr=0.5, momentum=0.5)
    with pytest.raises(MemoryError):
        optimizer.step()
    assert (numbers(x), numbers(y)) == ([1.0], [5.0])
    assert not optimizer.state
    assert (x._version, y._version) == (0, 0)


def test_an_interrupted_step_of_large_parameters_is_whole_too() -> None:
    """A parameter of many blocks moves in one call into C."""
    x = with_grad(torch.zeros(400_000, requires_grad=True), *[1.0] * 400_000)
    optimizer = torch.optim.Adam([x], lr=1.0)
    optimizer.step()
    caught = 0

    def interrupt(*_: Any) -> None:
        raise _InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in np.linspace(1e-5, 2e-3, 60):
            try:
                signal.setitimer(signal.ITIMER_REAL, float(delay))
                optimizer.step()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except _InterruptError:
                caught += 1
            t = optimizer.state[x]["step"].item()
            values = x.detach().numpy()
            assert values.min() == values.max() == pytest.approx(-t, rel=1e-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught > 5


def test_a_failing_closure_leaves_lbfgs_where_it_was() -> None:
    x = leaf(-1.2, 1.0)
    optimizer = torch.optim.LBFGS([x], line_search_fn="strong_wolfe")
    left = [5]

    def closure() -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise _InterruptError
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    with pytest.raises(_InterruptError):
        optimizer.step(closure)
    assert numbers(x) == [-1.2, 1.0]
    assert not optimizer.state
    left[0] = 1000
    for _ in range(6):
        optimizer.step(closure)
    assert numbers(x) == pytest.approx([1, 1], abs=1e-3)
