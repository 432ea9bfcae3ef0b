"""Plans: the way that is chosen is right, and by count, not by clock, the cheapest."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import grad, hessian, jacfwd, jacrev, jvp, partials, plan
from chainrule.func.plan import OVERHEAD, count
from chainrule.func.segments import Trace

sparse = pytest.importorskip("scipy.sparse")


def vector(n: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(0).uniform(0.3, 1.7, n))


def close(a: Any, b: Any, tol: float = 1e-10) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tol, atol=tol)


def band(x: torch.Tensor) -> torch.Tensor:
    return x[1:] * x[:-1].sin()


def chain(x: torch.Tensor) -> torch.Tensor:
    return (band(x) ** 2).sum()


def cost(run: Any, *args: Any) -> float:
    tally = count(run, *args)
    return OVERHEAD * tally.operations + tally.work


class TestCount:
    def test_entries_and_operations(self) -> None:
        tally = count(lambda x: (x * 2).sin().sum(), vector(100))
        assert (tally.operations, tally.work, tally.bytes) == (3, 300, 1608)

    def test_products(self) -> None:
        a, b = vector(6).reshape(2, 3), vector(12).reshape(3, 4)
        assert count(lambda a: a @ b, a).work == 24
        assert count(lambda b: a @ b[:, 0], b).work == 6

    def test_through_transforms(self) -> None:
        """A reverse sweep of a sine: a few operations on its entries; a Jacobian: as many times that."""
        forward = count(lambda x: x.sin().sum(), vector(50))
        both = count(grad(lambda x: x.sin().sum()), vector(50))
        assert 2 * 50 <= both.work - forward.work <= 5 * 50  # the cosine, times the cotangent, and what belongs to it
        many = count(jacfwd(torch.sin), vector(50))
        assert many.work >= 50 * 50

    def test_values_may_be_looked_at(self) -> None:
        assert count(lambda x: x.sin() if x[0] > 0 else x, vector(5)).operations >= 2


# want: (function, x, further arguments, the name chosen, what the result must equal)
CHOICES: dict[str, tuple[str, Any, Any, str, Any]] = {
    "banded Jacobian": ("jacobian", band, vector(200), "coloured forward mode", jacrev(band)),
    "wide Jacobian": ("jacobian", lambda x: x.reshape(40, 9).exp().prod(1), vector(360), "coloured reverse mode", None),
    "one entry": ("jacobian", lambda x: x.prod() * x, vector(1), "", None),
    "tall Jacobian": ("jacobian", lambda x: x.sum() * vector(300) ** x[0], vector(3), "forward mode", None),
    "full Jacobian": ("jacobian", lambda x: x.cumsum(0).exp()[:4], vector(100), "reverse mode", None),
    "banded Hessian": ("hessian", chain, vector(200), "coloured forward over reverse mode", hessian(chain)),
    "full Hessian": ("hessian", lambda x: (x * x).sum().log(), vector(60), "forward over reverse mode", None),
    "gradient": ("gradient", chain, vector(200), "reverse mode", grad(chain)),
    "tenth derivative": ("derivative", lambda x: x.tanh().tanh(), vector(3), "a Taylor series", None),
    "third partials": ("partials", lambda x: x.prod().sin() + (x**3).sum(), vector(4), "Taylor series along directions", None),
}  # fmt: skip
ORDERS = {"tenth derivative": 6, "third partials": 3}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name: str) -> None:
    want, f, x, chosen, wanted = CHOICES[name]
    p = plan(f, x, want, order=ORDERS.get(name, 2))
    assert not chosen or p.chosen.name == chosen, str(p)
    if wanted is not None:
        close(p(x), wanted(x))
    for way in p.ways:  # all of them lead to the same place
        close(way.run(x), p(x), 1e-8)


@pytest.mark.parametrize("name", CHOICES)
def test_the_chosen_way_does_least(name: str) -> None:
    """Counted on the real thing, sweeps and assembly and all."""
    want, f, x, *_ = CHOICES[name]
    p = plan(f, x, want, order=ORDERS.get(name, 2))
    costs = {way.name: cost(way.run, x) for way in p.ways if "piece" not in way.name}  # that one knows numbers only
    assert costs[p.chosen.name] <= 1.25 * min(costs.values()), (str(p), costs)


@pytest.mark.parametrize("name", ["banded Jacobian", "banded Hessian", "full Hessian", "tall Jacobian", "gradient"])
def test_estimates_are_near_the_count(name: str) -> None:
    want, f, x, *_ = CHOICES[name]
    for way in plan(f, x, want).ways:
        if "piece" not in way.name:
            assert cost(way.run, x) / 2.5 < way.cost < 2.5 * cost(way.run, x), str(way)


def test_hessian_products() -> None:
    x, v = vector(30), vector(30).flip(0)
    p = plan(chain, x, "hvp")
    wanted = hessian(chain)(x) @ v
    for way in p.ways:
        close(way.run(x, v), wanted)
    costs = {way.name: cost(way.run, x, v) for way in p.ways}
    assert costs[p.chosen.name] == min(costs.values())


@pytest.mark.parametrize(
    ("want", "f", "dense"), [("sparse jacobian", band, jacrev), ("sparse hessian", chain, hessian)]
)
def test_sparse_results(want: str, f: Any, dense: Any) -> None:
    x = vector(50)
    p = plan(f, x, want)
    assert "coloured" in p.chosen.name
    for way in p.ways:
        found = way.run(x)
        assert isinstance(found, sparse.csr_array)
        np.testing.assert_allclose(found.toarray(), dense(f)(x).numpy(), rtol=1e-12)


def test_nests() -> None:
    f = lambda p: {"u": p["a"][1:] * p["b"].sum(), "v": [p["b"] ** 2]}
    p = {"a": vector(40), "b": vector(3).reshape(3, 1)}
    for way in plan(f, p).ways:
        found, wanted = way.run(p), jacrev(f)(p)
        close(found["u"]["a"], wanted["u"]["a"])
        close(found["u"]["b"], wanted["u"]["b"])
        close(found["v"][0]["b"], wanted["v"][0]["b"])
    g = lambda p: (p["a"][1:] * p["a"][:-1]).sum() * p["b"].prod()
    for way in plan(g, p, "hessian").ways:
        close(way.run(p)["a"]["b"], hessian(g)(p)["a"]["b"])
    for way in plan(g, p, "gradient").ways:
        close(way.run(p)["b"], grad(g)(p)["b"])


def test_batches_keep_within_the_memory() -> None:
    f, x = lambda x: x.cumsum(0).exp().cumsum(0), vector(50)
    wide, narrow = plan(f, x), plan(f, x, memory=40_000)
    assert narrow.chosen.memory <= 40_000 < wide.chosen.memory
    close(narrow(x), wide(x))
    assert count(narrow.chosen.run, x).operations > 2 * count(wide.chosen.run, x).operations


class TestPieces:
    @staticmethod
    def deep(x: Any) -> Any:
        y = x
        for _ in range(60):
            y = (y * 1.01).sin() + x * 0.1
        return (y**2).sum()

    def test_chosen_where_the_graph_is_too_large(self) -> None:
        x = vector(1000)
        p = plan(self.deep, x, "gradient", memory=300_000)
        assert p.obvious.name == "reverse mode"
        assert p.obvious.memory > 300_000 >= p.chosen.memory
        assert "piece by piece" in p.chosen.name
        close(p(x), grad(self.deep)(x))
        assert plan(self.deep, x, "gradient").chosen.name == "reverse mode"

    def test_memory_is_as_announced(self) -> None:
        import tracemalloc

        x = vector(20_000)
        trace = Trace(self.deep, x)
        peaks = []
        for run in (trace.gradient, grad(self.deep)):
            run(x)
            tracemalloc.start()
            run(x)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[0] < 1.3 * trace.memory()
        assert trace.kept() < peaks[1]
        assert peaks[0] < 0.7 * peaks[1]

    @pytest.mark.parametrize("n", [1, 2, 3, 7])
    def test_short_functions(self, n: int) -> None:
        def f(x: Any) -> Any:
            for _ in range(n):
                x = x.sin()
            return x.sum()

        close(Trace(f, vector(4)).gradient(vector(4)), grad(f)(vector(4)))

    def test_skipped_and_unused_values(self) -> None:
        """An early value used at the end, an input that is not used, a constant result."""
        f = lambda p: (p["a"].exp().sin().cos().tanh() * p["a"]).sum()
        p = {"a": vector(5), "b": vector(3)}
        found = Trace(f, p).gradient(p)
        close(found["a"], grad(f)(p)["a"])
        assert not found["b"].numpy().any()

    def test_it_holds_for_other_values(self) -> None:
        trace = Trace(self.deep, vector(10))
        close(trace.gradient(2 * vector(10)), grad(self.deep)(2 * vector(10)))


class TestWords:
    def test_what_a_plan_says(self) -> None:
        text = str(plan(band, vector(1000)))
        assert text.startswith("jacobian by coloured forward mode: 2 forward sweeps, cost ")
        assert "instead of reverse mode, which takes 999 reverse sweeps and " in text
        assert "times the cost" in text
        assert "also considered: forward mode: 1000 forward sweeps" in text

    def test_the_obvious_way(self) -> None:
        assert "this is the obvious way, and the best one here" in str(plan(chain, vector(50), "gradient"))

    def test_memory(self) -> None:
        text = str(plan(TestPieces.deep, vector(1000), "gradient", memory=300_000))
        assert "kB of memory" in text
        text = str(plan(TestPieces.deep, vector(1000), "gradient", memory=1000))
        assert "no way is sure to keep within 1 kB" in text

    def test_what_is_not_possible(self) -> None:
        f = lambda x: x**2 if x[0] > 0 else x
        p = plan(f, vector(5))
        assert "not possible: coloured forward mode (a value was asked" in str(p)
        close(p(vector(5)), jacrev(f)(vector(5)))

    def test_without_scipy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "scipy.sparse", None)
        p = plan(band, vector(50))
        assert "not considered: coloured forward mode (a sparse derivative needs scipy" in str(p)
        close(p(vector(50)), jacrev(band)(vector(50)))

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match="want must be one of 'gradient', 'jacobian'"):
            plan(band, vector(5), "laplacian")


def test_a_plan_is_differentiable() -> None:
    x = vector(20)
    for want, f in (("jacobian", band), ("hessian", chain)):
        p = plan(f, x, want)
        assert "coloured" in p.chosen.name
        along = lambda run: jvp(run, (x,), (torch.ones_like(x),))[1]
        close(along(p), along((jacrev if want == "jacobian" else hessian)(f)))


def test_series_count_as_said() -> None:
    x = vector(4)
    p = plan(lambda x: x.prod() + (x**3).sum(), x, "partials", order=3)
    assert p.chosen.sweeps == math.comb(6, 3)
    close(p(x), partials(lambda x: x.prod() + (x**3).sum(), 3)(x))
