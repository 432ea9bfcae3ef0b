"""Schedules beside PyTorch's: rates, saved states, texts, warnings and errors."""

from __future__ import annotations

from typing import Any

import pytest
from optim_lines import converted, leaf, same

import chainrule
import optim_schedules

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


# --- rates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", optim_schedules.CASES)
def test_rates(name: str) -> None:
    assert optim_schedules.outcome(chainrule, name) == optim_schedules.outcome(torch, name)


@pytest.mark.parametrize("name", optim_schedules.SCHEDULES)
def test_rates_that_are_tensors(name: str) -> None:
    ours, theirs = (optim_schedules.run(t, name, tensor=True, state=True) for t in (chainrule, torch))
    assert ours == theirs


# --- what they say, and take up ---------------------------------------------------------------------------------


def scheduled(t: Any) -> Any:
    return t.optim.lr_scheduler, optim_schedules.optimizer(t)


@pytest.mark.parametrize(
    "lines",
    [
        lambda s, o: s.StepLR(3, 1), lambda s, o: s.StepLR(o, 1, last_epoch=3), lambda s, o: s.ConstantLR(o, 2.0),
        lambda s, o: s.LinearLR(o, 0.0), lambda s, o: s.LinearLR(o, 0.5, -1.0), lambda s, o: s.LambdaLR(o, [abs]),
        lambda s, o: s.MultiplicativeLR(o, [abs]), lambda s, o: s.MultiplicativeLR(o, 3),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), lambda s, o: s.CosineAnnealingWarmRestarts(o, 1.5),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0), lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 1, "a"),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 1).step(-1), lambda s, o: s.CyclicLR(o, [1], 2),
        lambda s, o: s.CyclicLR(o, 1, 2, mode="no"), lambda s, o: s.CyclicLR(3, 1, 2), lambda s, o: s.OneCycleLR(o, 1),
        lambda s, o: s.OneCycleLR(o, 1, total_steps=0), lambda s, o: s.OneCycleLR(o, 1, total_steps=1.5),
        lambda s, o: s.OneCycleLR(o, 1, epochs=0, steps_per_epoch=3), lambda s, o: s.OneCycleLR(3, 1, 2),
        lambda s, o: s.OneCycleLR(o, 1, epochs=2, steps_per_epoch=-3), lambda s, o: s.OneCycleLR(o, [1], 5),
        lambda s, o: s.OneCycleLR(o, 1, 5, pct_start=1), lambda s, o: s.OneCycleLR(o, 1, 5, anneal_strategy="no"),
        lambda s, o: s.ReduceLROnPlateau(o, "mid"), lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
        lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="no"), lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1]),
        lambda s, o: s.ReduceLROnPlateau(3), lambda s, o: s.SequentialLR(o, [], []),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]), lambda s, o: s.SequentialLR(o, [3], []),
        lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), lambda s, o: s.ChainedScheduler([]),
        lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]), lambda s, o: s.ChainedScheduler([3], o),
        lambda s, o: s.LRScheduler(o), lambda s, o: s.StepLR(o, 0, last_epoch=-1).step(),
    ],
)  # fmt: skip
def test_refused_schedules(lines: Any) -> None:
    result, _ = same(lambda t: lines(*scheduled(t)))
    assert result[0].endswith("Error")


def test_schedules_that_need_momentum() -> None:
    for lines in (lambda s, o: s.CyclicLR(o, 1, 2), lambda s, o: s.OneCycleLR(o, 1, 5)):
        result, _ = same(lambda t, lines=lines: lines(t.optim.lr_scheduler, t.optim.Adagrad([leaf(t)])))
        assert "must support momentum" in result[1]


def test_schedules_of_another_optimizer() -> None:
    def lines(t: Any) -> Any:
        s, o = scheduled(t)
        return s.ChainedScheduler([s.StepLR(o, 1), s.StepLR(scheduled(t)[1], 1)])

    assert same(lines)[0][0] == "ValueError"


@pytest.mark.parametrize(
    "lines",
    [
        lambda s, o: s.StepLR(o, 1).step(),  # before the optimiser's
        lambda s, o: s.StepLR(o, 2).step(5),
        lambda s, o: s.StepLR(o, 2).get_lr(),
        lambda s, o: s.CosineAnnealingLR(o, 2).get_lr(),
        lambda s, o: [o.step(), s.ExponentialLR(o, 0.5).step()],
        lambda s, o: s.ReduceLROnPlateau(o).step(1.0, 3),
        lambda s, o: [x := s.CosineAnnealingWarmRestarts(o, 2), x.step(1.5), x.step(7.25), x.get_last_lr()][-1],
        lambda s, o: [x := s.MultiStepLR(o, [2, 3]), x.step(3), x.get_last_lr(), x.step(0), x.get_last_lr()][1:],
        lambda s, o: [x := s.LambdaLR(o, lambda n: n), x.step(3), x.get_last_lr()][1:],
        lambda s, o: [x := s.SequentialLR(o, [s.SequentialLR(o, [s.StepLR(o, 1), s.ConstantLR(o)], [2]),
                                              s.PolynomialLR(o, 3)], [5]), o.step(), x.step(), x.get_last_lr()][1:],
    ],
)  # fmt: skip
def test_warnings_of_schedules(lines: Any) -> None:
    same(lambda t: lines(*scheduled(t)))


def test_a_step_that_was_overridden() -> None:
    def lines(t: Any) -> Any:
        s, o = scheduled(t)
        scheduler = s.StepLR(o, 1)
        o.step = lambda: None
        scheduler.step()

    _, caught = same(lines)
    assert "has been overridden" in caught[0][1]


@pytest.mark.parametrize("name", optim_schedules.SCHEDULES)
def test_schedules_go_on_from_a_saved_state(name: str) -> None:
    """What PyTorch saved, we take up, and it goes on as there."""

    def after(t: Any, scheduler: Any, o: Any) -> list[Any]:
        found = []
        for _ in range(5):
            o.step()
            scheduler.step()
            found.append(optim_schedules.numbers(o))
        return found

    made = [(o := optim_schedules.optimizer(t), optim_schedules.SCHEDULES[name](t.optim.lr_scheduler, o, t))
            for t in (torch, chainrule)]  # fmt: skip
    (theirs, their), (ours, our) = made
    after(torch, their, theirs)
    ours.load_state_dict(converted(theirs.state_dict(), chainrule))
    our.load_state_dict(their.state_dict())
    ours.step()  # else the next step of the schedule warns
    assert after(chainrule, our, ours) == after(torch, their, theirs)


@pytest.mark.parametrize(
    "lines",
    [
        lambda t, o: t.optim.swa_utils.SWALR(o, [0.1]), lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, 3, "no"),
        lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, -1), lambda t, o: t.optim.swa_utils.SWALR(o, 0.1, 1.5),
    ],
)  # fmt: skip
def test_refused_swalr(lines: Any) -> None:
    assert same(lambda t: lines(t, optim_schedules.optimizer(t)))[0][0] == "ValueError"
