"""What compiled programs do natively beside loops: activations are parts of these, entries are moved by kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from compiling import equal, loops, native, no_trace_in_tensor

__all__ = ["native", "no_trace_in_tensor"]  # fixtures


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "int16", "bool", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"],
)
def test_entries_of_all_kinds_are_moved(native: Any, dtype: str) -> None:
    x = torch.tensor(np.array([0, 3, -5, 120, 7, 2]) if dtype != "bool" else np.arange(6) % 2).to(getattr(torch, dtype))
    at = torch.tensor([1, 2, 0, 5])

    def f(x: Any) -> Any:
        y, row = x.reshape(2, 3).t(), torch.zeros_like(x).reshape(3, 2)
        row[1] = x[4:]
        return (
            torch.cat([x, x]),
            torch.stack([x[1:], x[:-1]], 1),
            x[at],
            y.reshape(6),
            torch.gather(x, 0, at),
            row,
            y.flip(0),
        )

    for found, wanted in zip(native(f)(x), f(x), strict=True):
        assert found.dtype == wanted.dtype
        assert (found == wanted).all()


ACTIVATIONS = [
    "gelu", "silu", "mish", "softplus", "elu", "selu", "celu", "hardswish", "hardsigmoid", "hardtanh", "relu6", "leaky_relu",
    "logsigmoid", "softsign", "tanhshrink", "hardshrink", "softshrink", "sigmoid", "tanh", "relu",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_parts_of_loops(native: Any, name: str) -> None:
    activation = getattr(torch.nn.functional, name)
    x = torch.linspace(-7, 7, 60, dtype=torch.float64).reshape(6, 10)
    for f in (lambda x: activation(x * 1.5) + 1, func.grad(lambda x: (activation(x) * x).sum())):
        g = native(f)
        equal(g(x), f(x), 1e-11)
        assert len(loops(g)) == len(g.entries[0].runner.kernels) == 1


MOVES = [
    lambda x: x.flip(0), lambda x: x.flip(0, 1), lambda x: torch.roll(x, 2, 0), lambda x: torch.roll(x, (1, -3), (0, 1)),
    lambda x: x.repeat(2, 3), lambda x: x.repeat(2, 1, 2), lambda x: torch.nn.functional.pad(x, (1, 2)),
    lambda x: torch.nn.functional.pad(x, (-1, 2, 3, -2), value=1.5), lambda x: x.cumsum(0), lambda x: x.cumsum(1),
    lambda x: torch.nn.functional.pad(x, (-3, -2, 1, 0)), lambda x: x.t().flip(1).cumsum(0),
    lambda x: torch.roll(x, (1, 2), (0, 0)),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(MOVES)))
def test_entries_are_moved_by_kernels(native: Any, k: int) -> None:
    x = torch.linspace(-1, 1, 30).reshape(5, 6)
    for f in (lambda x: MOVES[k](x) * 1, func.grad(lambda x: MOVES[k](x).square().sum())):
        g = native(f)
        equal(g(x), f(x))
        assert not g.entries[0].runner.calls, "NumPy has nothing to do"


def test_entries_of_small_shapes_are_moved(native: Any) -> None:
    for shape in ((), (1,), (0,), (0, 3), (3, 0)):
        x = torch.ones(shape)
        for f in (
            lambda x: x.flip(tuple(range(x.ndim))), lambda x: torch.roll(x, 1), lambda x: x.repeat(*[2] * x.ndim),
            lambda x: x.repeat(3, *[1] * x.ndim), lambda x: torch.nn.functional.pad(x, (1, 2) if x.ndim else ()),
            lambda x: x.cumsum(0), lambda x: x.reshape(-1),
        ):  # fmt: skip
            equal(native(lambda x, f=f: f(x) * 2)(x), f(x) * 2)


def test_first_entries_of_running_sums_keep_their_sign(native: Any) -> None:
    x = torch.tensor([-0.0, -0.0, 1.0, 2.0])
    for f in (lambda x: x.cumsum(0), lambda x: x.reshape(2, 2).cumsum(0)):
        assert torch.signbit(native(f)(x)).tolist() == torch.signbit(f(x)).tolist()


def test_rows_of_an_embedding(native: Any, own_generator: Any) -> None:
    table, at = torch.randn(9, 4), torch.randint(0, 9, (3, 20))
    embedding = torch.nn.functional.embedding
    for f in (
        lambda t, k: embedding(k, t) * 1,
        func.grad(lambda t, k: embedding(k, t).square().sum()),
        func.grad(lambda t, k: embedding(k, t, padding_idx=2).square().sum()),
        func.grad(lambda t, k: embedding(k, t).sum()),  # which needs no row
    ):
        g = native(f)
        equal(g(table, at), f(table, at), 1e-5)
        for wrong in (9, -1):
            with pytest.raises(IndexError, match="index out of range in self"):
                g(table, at.clone().fill_(wrong))


def test_rows_put_together_are_one_array(native: Any) -> None:
    f = func.grad(lambda x: torch.sin(x[0]).sum() + torch.exp(x[2]).sum() + (x[1] * x[3]).sum())
    x = torch.linspace(-1, 1, 20).reshape(4, 5)
    g = native(f)
    equal(g(x), f(x))
    names = [eq.name for eq in g.entries[0].program.equations]
    assert "PutAdd" not in names
    assert names.count("Stack") == 1
    part = func.grad(lambda x: torch.sin(x[0]).sum() + torch.exp(x[2]).sum() + x[0].sum())
    equal(native(part)(x), part(x))


@pytest.fixture(params=["native", "numpy"])
def compile(request: pytest.FixtureRequest) -> Any:
    """``torch.compile`` on the backends that know rows of tables."""
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return lambda f: torch.compile(f, fullgraph=True, backend=request.param)


@pytest.mark.parametrize(("mode", "padding", "average"), [("sum", None, True), ("mean", 2, False), ("max", 2, False)])
def test_bags_of_rows(mode: str, padding: int | None, average: bool, compile: Any, own_generator: Any) -> None:
    bag = torch.nn.functional.embedding_bag
    table, rows = torch.randn(10, 3), torch.tensor([1, 2, 2, 9, 0, 2, 1, 1])

    def f(table: Any, rows: Any, starts: Any = None, last: bool = False) -> Any:
        more = {"padding_idx": padding, "scale_grad_by_freq": average, "include_last_offset": last}
        found = bag(rows, table, starts, mode=mode, **more)
        return found, torch.func.grad(lambda t: bag(rows, t, starts, mode=mode, **more).square().sum())(table)

    g = compile(f)
    equal(g(table, rows.reshape(4, 2)), f(table, rows.reshape(4, 2)))
    if mode != "max":  # of which it is open how many rows there are to be compared
        for starts, last in [([0, 3, 3, 6], False), ([0, 1, 2, 8], False), ([0, 4, 6, 8], True), ([0], False)]:
            equal(g(table, rows.int(), torch.tensor(starts), last), f(table, rows, torch.tensor(starts), last))
        assert len(g.entries) == 4, "where bags begin is no condition"


def test_what_names_no_row_and_no_bag_is_refused_as_eager_does(compile: Any) -> None:
    f = lambda rows, starts: torch.nn.functional.embedding_bag(rows, torch.eye(4), starts)
    g = compile(f)
    g(torch.tensor([1, 2, 3]), torch.tensor([0, 1]))
    for rows, starts in [([1, 4, 3], [0, 1]), ([1, 2, -1], [0, 1]), ([1, 2, 3], [1, 2]), ([1, 2, 3], [0, 4])]:
        words = []
        for h in (f, g):
            with pytest.raises(RuntimeError) as caught:
                h(torch.tensor(rows), torch.tensor(starts))
            words.append(str(caught.value))
        assert words[0] == words[1]
    assert len(g.entries) == 1
