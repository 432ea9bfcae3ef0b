"""``torch.compile``: values and derivatives equal to eager's, from kernels fused as far as they should be."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from chainrule.arrays.traced import TRANSPARENT
from chainrule.compiler import scalar
from chainrule.ops.families import FAMILIES
from chainrule.primitive import Elementwise, table
from compiling import compile, equal, loops, native, no_trace_in_tensor, seeded, wave

__all__ = ["compile", "native", "no_trace_in_tensor"]


# --- equal to eager ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 1, 4), (0, 3), (9000,)])
def test_values_and_gradients(compile: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x = torch.linspace(-3, 3, int(np.prod(shape)), dtype=dtype).reshape(shape)
    equal(compile(wave)(x), wave(x))
    gradient = func.grad(lambda x: wave(x).sum())
    equal(compile(gradient)(x), gradient(x))


@pytest.mark.parametrize(
    "transform",
    [
        func.grad(lambda x: wave(x).sum()),
        func.grad_and_value(lambda x: wave(x).mean()),
        func.hessian(lambda x: wave(x).prod()),
        func.jacrev(wave),
        func.jacfwd(lambda x: wave(x) * x.sum()),
        func.vmap(lambda a: wave(a) * a),
        func.vmap(func.grad(wave)),
        lambda x: func.jvp(wave, (x,), (x,)),
        lambda x: func.taylor(lambda t: wave(t * x), torch.tensor(0.1, dtype=torch.float64), 4),
        lambda x: func.vjp(wave, x)[1](x)[0],
    ],
)
def test_transforms_become_one_program(compile: Any, transform: Any) -> None:
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    equal(compile(transform)(x), transform(x))


def test_reductions_and_broadcasting(compile: Any) -> None:
    x, b, c = (
        torch.randn(6, 70, generator=seeded()),
        torch.randn(70, generator=seeded()),
        torch.randn(6, 1, generator=seeded()),
    )

    def f(x: Any, b: Any, c: Any) -> Any:
        y = torch.softmax(x + b, -1) * c
        z = torch.log_softmax(y, 0).sum(0)
        return y, z, (x - x.mean(-1, keepdim=True)).amax(1), torch.logsumexp(x * b, -1), (x * c).sum()

    equal(compile(f)(x, b, c), f(x, b, c), 1e-5)
    gradient = func.grad(lambda *a: sum(y.sum() for y in f(*a)), (0, 1, 2))
    equal(compile(gradient)(x, b, c), gradient(x, b, c), 1e-4)


def network(p: Any, x: Any, target: Any) -> Any:
    h = torch.relu(x @ p["w1"].t() + p["b1"])
    return torch.nn.functional.cross_entropy(h @ p["w2"].t() + p["b2"], target)


def parameters() -> dict[str, Any]:
    g = seeded()
    shapes = {"w1": (32, 20), "b1": (32,), "w2": (5, 32), "b2": (5,)}
    return {k: torch.randn(*s, generator=g) / 4 for k, s in shapes.items()}


def test_a_network(compile: Any) -> None:
    p, x, target = parameters(), torch.randn(16, 20, generator=seeded()), torch.arange(16) % 5
    wanted = func.grad(network)(p, x, target)
    equal(compile(func.grad(network))(p, x, target), wanted, 1e-5)
    tracked = {k: v.clone().requires_grad_() for k, v in p.items()}
    compile(network)(tracked, x, target).backward()
    equal({k: v.grad for k, v in tracked.items()}, wanted, 1e-5)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int) -> None:
    compare_random(seed, "numpy")


@pytest.mark.parametrize("seed", range(40, 48))
def test_random_programs_natively(seed: int) -> None:
    pytest.importorskip("llvmlite")
    compare_random(seed, "native")


def compare_random(seed: int, backend: str) -> None:
    """A random program of elementwise, shape and reducing operations: values and gradients."""
    draw = np.random.default_rng(seed)
    shapes = [(), (1,), (4, 1), (4, 3), (2, 4, 3), (2, 1, 3), (30, 40), (30, 1), (40,)]
    xs = [torch.from_numpy(draw.standard_normal(shapes[draw.integers(len(shapes))])) for _ in range(2)]

    def f(*xs: Any) -> Any:
        pick = np.random.default_rng(seed + 1)
        pool = list(xs)
        for _ in range(12):
            x = pool[-1 - pick.integers(min(len(pool), 4))]
            fits = [p for p in pool if broadcasts(p, x)]
            y = pool[0] if not fits else fits[pick.integers(len(fits))]
            choices = [
                lambda x, y: torch.sin(x), lambda x, y: torch.exp(-(x * x)), lambda x, y: x.abs() + 0.5,
                lambda x, y: x * y, lambda x, y: x - y, lambda x, y: x / (y * y + 1), torch.maximum,
                lambda x, y: torch.where(x > y, x, y * 2), lambda x, y: x.mean(-1, True) if x.ndim else x,
                lambda x, y: torch.softmax(x, -1) if x.ndim else x, lambda x, y: x.sum() / 9, lambda x, y: x.unsqueeze(0),
                lambda x, y: x.transpose(0, -1) if x.ndim else -x, lambda x, y: x[..., :1] if x.ndim else x * 3,
                lambda x, y: x.amax(0) if x.ndim else x**3, lambda x, y: torch.cat([x, x]) if x.ndim else x.sqrt() + 1,
            ]  # fmt: skip
            z = choices[pick.integers(len(choices))](x, y if broadcasts(x, y) else x)
            if z.numel() < 20_000 and z.ndim < 5:
                pool.append(z)
        return pool[-3:]

    def both(*xs: Any) -> Any:
        return f(*xs), func.grad(lambda *xs: sum((y * 0.3).sum() for y in f(*xs)), (0, 1))(*xs)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        equal(torch.compile(both, backend=backend, fullgraph=True)(*xs), both(*xs), 1e-9)


def broadcasts(a: Any, b: Any) -> bool:
    pairs = zip(reversed(tuple(a.shape)), reversed(tuple(b.shape)), strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


# --- derivatives of compiled functions ----------------------------------------------------------------------


def test_backward_and_again(compile: Any) -> None:
    f = compile(lambda x: wave(x).sum())
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    y = f(x)
    assert y.grad_fn.name() == "CompiledFunctionBackward"
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    for n, found in enumerate((first, second, third), 1):
        equal(found, func.derivative(wave, n)(x.detach()), 1e-10)
    f(x).backward()
    f(x).backward()
    equal(x.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward() or y.backward()


def test_several_results_some_unused(compile: Any) -> None:
    f = compile(lambda x, y: (x * y, {"sum": (x + y).sum()}, 3, [x.detach()]))
    x, y = torch.ones(3, requires_grad=True), torch.full((3,), 2.0)
    product, more, three, (constant,) = f(x, y)
    assert three == 3
    assert not constant.requires_grad
    more["sum"].backward(retain_graph=True)
    equal(x.grad, torch.ones(3))
    (product.sum() * more["sum"]).backward()
    equal(x.grad, torch.ones(3) + 2 * 9 + 6)


def test_gradients_flow_through(compile: Any) -> None:
    """A compiled function in the middle of a graph, over a tensor that has a history."""
    x = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    (compile(wave)(x * 2) * 3).sum().backward()
    found, x.grad = x.grad, None
    (wave(x * 2) * 3).sum().backward()
    equal(found, x.grad)


def test_transforms_of_a_compiled_function(compile: Any) -> None:
    f = compile(lambda x: (x**3).sum())
    x = torch.tensor([1.0, 2.0])
    equal(func.grad(f)(x), 3 * x**2)
    equal(func.hessian(f)(x), torch.diag(6 * x) if hasattr(torch, "diag") else (6 * x).unsqueeze(0) * torch.eye(2))
    equal(func.vmap(f)(torch.ones(3, 2)), torch.full((3,), 2.0))
    equal(func.jacrev(compile(lambda x: x * x))(x), torch.eye(2) * 2 * x)


def test_a_batch_of_cotangents(compile: Any) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = compile(lambda x: x * x * 3)(x)
    (rows,) = torch.autograd.grad(y, x, torch.eye(2), is_grads_batched=True)
    equal(rows, torch.eye(2) * 6 * x.detach())


def test_what_backward_needs_is_protected(compile: Any) -> None:
    f = compile(torch.exp)
    x = torch.ones(3, requires_grad=True)
    y = f(x)
    with torch.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_gradient_mode_and_flags_are_guarded(compile: Any) -> None:
    f = compile(lambda x: x * 2)
    x = torch.ones(2)
    assert not f(x).requires_grad
    assert f(x.clone().requires_grad_()).requires_grad
    with torch.no_grad():
        assert not f(x.clone().requires_grad_()).requires_grad


# --- fused as far as it should be -----------------------------------------------------------------------------


def test_a_gradient_is_one_loop(native: Any) -> None:
    f = native(func.grad_and_value(lambda x: wave(x).sum()))
    f(torch.linspace(-1, 1, 5000))
    assert len(loops(f)) == 1
    assert len(f.entries[0].runner.steps) == 1
    assert f.source.count("fast_exp_float32(") == 1, "the exponential is shared by value and gradient"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_short_rows_are_done_at_once(dtype: Any, native: Any, own_generator: Any) -> None:
    def f(x: Any, column: Any, kept: Any, mask: Any) -> Any:
        y = torch.softmax(torch.where(mask, x, -torch.inf) * column + kept, -1)
        best = y.amax(-1, keepdim=True)
        return y, torch.log_softmax(x, -1), best + kept, (y * torch.sin(x * 100) / best).sum(-1), torch.isnan(y)

    for rows, cols in [(16, 2), (33, 10), (1000, 16), (15, 10), (40, 65)]:
        x, column, kept = (
            torch.randn(rows, cols, dtype=dtype),
            torch.rand(cols, dtype=dtype),
            torch.rand(rows, 1, dtype=dtype),
        )
        x[1, 0], x[2, 1], x[3, 0], x[4, 1] = torch.nan, torch.inf, -torch.inf, 1e9  # the last is far for sin
        mask = torch.rand(rows, cols) < 0.7
        mask[5] = False
        compiled = native(f)
        for _ in range(2):
            for a, b in zip(compiled(x, column, kept, mask), f(x, column, kept, mask), strict=True):
                assert (
                    torch.allclose(a, b, rtol=1e-5, atol=2e-6, equal_nan=True)
                    if a.is_floating_point()
                    else torch.equal(a, b)
                )
        text = "".join(loops(compiled))
        assert ("for row in range(many)" in text) is (rows >= 16 and cols <= 16)


def test_softmax_and_its_gradient_are_one_loop(native: Any) -> None:
    f = native(func.grad(lambda x: (torch.softmax(x, -1) * torch.sin(x)).sum()))
    f(torch.ones(40, 50))
    assert len(loops(f)) == 1


def test_a_column_times_a_row_is_part_of_a_loop(
    compile: Any, native: Any, own_generator: Any, request: pytest.FixtureRequest
) -> None:
    def f(x: Any, w: Any) -> Any:
        return torch.relu(x @ w - 0.5), x @ w

    x, w = torch.tensor([[-1.0], [2.0], [torch.inf], [0.0]]), torch.tensor([[0.0, -3.0, torch.nan, 5.0, -0.0]])
    found, wanted = compile(f)(x, w), f(x, w)
    equal(found, wanted)
    if request.node.callspec.params["compile"] != "jax":  # which drops an added zero
        assert torch.equal(torch.signbit(found[1]), torch.signbit(wanted[1]))
    batch = native(lambda x, w: torch.tanh(x @ w).sum())
    x, w = torch.randn(3, 50, 1), torch.randn(1, 20)
    equal(batch(x, w), torch.tanh(x @ w).sum(), 1e-5)
    assert [k.text[:8] for k in batch.entries[0].runner.kernels] == ["def loop", "def fold"]


def test_shapes_share_machine_code(native: Any) -> None:
    f = native(wave)
    f(torch.ones(5000))
    f(torch.ones(70, 90))
    assert len(f.entries) == 2
    assert f.entries[0].runner.kernels[0].text == f.entries[1].runner.kernels[0].text


def test_small_arrays_become_straight_code(native: Any) -> None:
    f = native(func.hessian(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2))
    x = torch.tensor([1.2, 1.0], dtype=torch.float64)
    equal(f(x), torch.tensor([[2 - 400 * (1 - 3 * 1.44), -480.0], [-480.0, 200.0]], dtype=torch.float64))
    (step,) = f.entries[0].runner.steps
    assert type(step).__name__ == "Line"


def test_nothing_is_computed_twice_or_for_nothing(compile: Any) -> None:
    def f(x: Any) -> Any:
        torch.exp(x)  # not needed
        return torch.sin(x) + torch.sin(x) * torch.ones(3)

    g = compile(f)
    g(torch.ones(3))
    assert [eq.name for eq in g.entries[0].program.equations] == ["Sin", "Add"]


# Elementwise operations that no loop computes, but NumPy.
NOT_FUSED = {
    "Acosh", "Angle", "Asinh", "Atanh", "Complex", "Conj", "FloorDivide", "Imag", "Polar", "Real", "Remainder", "RoundTo",
    "Sgn", "Softplus",
}  # fmt: skip


def test_elementwise_operations_can_be_fused() -> None:
    prims = {
        type(p).__name__: p for p in table.values()
        if isinstance(p, Elementwise) and type(p).__module__.rpartition(".")[2] not in FAMILIES
    }  # fmt: skip
    known = {n for n, p in prims.items() if p.scalar and scalar._functions(p.scalar) <= scalar._KNOWN}
    assert prims.keys() - known - TRANSPARENT == NOT_FUSED


SPECIAL = [0.0, -0.0, 1.0, -1.5, float("inf"), -float("inf"), float("nan")]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 1, lambda x: x + 0, lambda x: 0 + x, lambda x: x - 0, lambda x: 0 - x, lambda x: x * 0,
        lambda x: x / 1, lambda x: x / 4, lambda x: (-x).neg(), lambda x: x - (-x), lambda x: 3 + (-x), lambda x: x**1,
        lambda x: x**2, lambda x: x**0, lambda x: torch.where(x > 0, x, x), lambda x: x * -1, lambda x: x * -0.0,
        lambda x: x + torch.zeros(7), lambda x: x * torch.ones(7), lambda x: x - torch.full((7,), -0.0),
        torch.relu, torch.sign, torch.abs, torch.floor, lambda x: torch.maximum(x, torch.zeros(7)),
        lambda x: func.grad(lambda r: (r[1] * x).sum() + (r[0] * -0.0).sum())(x.reshape(1, 7).expand(2, 7)),
    ],
)  # fmt: skip
def test_simplified_bit_for_bit(compile: Any, f: Any, request: Any) -> None:
    x = torch.tensor(SPECIAL)
    found, wanted = compile(f)(x).numpy(), f(x).numpy()
    np.testing.assert_array_equal(found, wanted)
    if request.node.callspec.params["compile"] == "jax":
        return  # XLA drops an added 0, and with it the sign of -0.0
    np.testing.assert_array_equal(np.signbit(found[wanted == 0]), np.signbit(wanted[wanted == 0]))


def test_arguments_beyond_the_fast_functions(native: Any) -> None:
    x = torch.tensor([1e7, 3e8, 0.5, float("inf")])
    with np.errstate(invalid="ignore"):
        equal(native(lambda x: torch.sin(x) + torch.cos(x) * 2)(x), torch.sin(x) + torch.cos(x) * 2)


@pytest.mark.parametrize("n", [70_000, 300_000])
def test_large_arrays(compile: Any, n: int) -> None:
    x = torch.linspace(-3, 3, n)
    f = func.grad_and_value(lambda x: (wave(x) * torch.softmax(x, 0)).sum())
    equal(compile(f)(x), f(x), 2e-5)


def test_sums_are_as_exact_as_numpy(native: Any) -> None:
    x = torch.rand(1_000_003, generator=seeded())
    exact = np.sum((x.numpy() * np.float32(1.5)).astype(np.float64))
    assert abs(native(lambda x: (x * 1.5).sum())(x).item() - exact) <= 1e-6 * exact
    rows = x[:1_000_000].reshape(2, -1)
    exact = rows.numpy().astype(np.float64).sum(-1)
    for f in (
        lambda x: x.sum(-1),
        lambda x: (x / x.amax(-1, keepdim=True)).sum(-1) * x.amax(-1),
        lambda x: x.t().sum(0),
    ):
        np.testing.assert_allclose(native(f)(rows).numpy(), exact, rtol=5e-7)


factor = 2.0


def test_source_and_explanation(native: Any) -> None:
    f = native(lambda x: wave(x) * factor)
    f(torch.ones(5000, requires_grad=True)).sum().backward()
    assert "def loop0(first: int, last" in f.source
    assert "def backward(" in f.source
    text = f.explain()
    for part in (
        "Sin",
        "loop over [5000]",
        "factor",
        "reads 20 kB, writes 20 kB",
        " operations in 1 steps, which move 40 kB; ",
    ):
        assert part in text


def test_a_long_recurrence_is_many_calls_of_few_kernels(native: Any) -> None:
    def kernels(steps: int) -> tuple[int, int]:
        w, xs = torch.eye(8) / 2, torch.ones(steps, 8)

        def loss(w: Any) -> Any:
            h = torch.zeros(8)
            for x in xs:
                h = torch.tanh(w @ h + x) * torch.sigmoid(x)
            return h.sum()

        f = native(func.grad(loss))
        equal(f(w), func.grad(loss)(w), 1e-4)
        found = [k.text for k in f.entries[0].runner.kernels]
        return len(found), len(set(found))

    (few, distinct), (many, still) = kernels(4), kernels(60)
    assert many > 10 * few
    assert still <= distinct + 2


def test_fast_arithmetic_on_request_only() -> None:
    pytest.importorskip("llvmlite")
    from chainrule.compiler.native import optimised

    def f(x: Any) -> Any:
        return torch.exp(x * 3 + 1) * x - x * 5

    x = torch.linspace(-3, 3, 40)
    for options, fast in ((None, False), ({"fastmath": True}, True)):
        compiled = torch.compile(f, options=options, fullgraph=True)
        assert torch.allclose(compiled(x), f(x), rtol=1e-5, equal_nan=True)
        (kernel,) = compiled.entries[0].runner.kernels
        assert ("fadd reassoc" in str(optimised(kernel.text))) is fast
        assert ("@fastmath" in compiled.source) is fast


def test_places_that_an_array_names(native: Any) -> None:
    table, at = torch.linspace(-1, 1, 60).reshape(20, 3), torch.tensor([0, 19, 7, 7, 7, 3])
    f = func.grad(lambda t, k: (t[k] ** 2).sum())
    compiled = native(f)
    for k in (at, at - 20, torch.zeros(6, dtype=torch.int64)):
        equal(compiled(table, k), f(table, k))
    assert len([k for k in compiled.entries[0].runner.kernels if "at_" in k.text]) == 2
    take = native(lambda x, k: torch.gather(x, 0, k))
    x = torch.arange(5.0)
    assert take(x, torch.tensor([4, 0])).tolist() == [4.0, 0.0]
    with pytest.raises(RuntimeError, match="index 5 is out of bounds"):
        take(x, torch.tensor([5, 0]))
    one = native(lambda x, k: (x[k] * 2).sum())
    assert [one(x, torch.tensor(k)).item() for k in ([1], [1, 3, -1])] == [2, 16]
    many = torch.zeros(100_000, dtype=torch.int64)
    equal(compiled(torch.full((2, 1), 0.1), many), f(torch.full((2, 1), 0.1), many), 1e-3)  # eager adds in float32


def test_a_derivative_that_cannot_be_made_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    f = torch.compile(lambda x: (x.sin() * x).sum(), fullgraph=True)
    x = torch.ones(3, requires_grad=True)
    y = f(x)
    derivative = f.entries[0].derivative
    monkeypatch.setattr(derivative, "make", lambda program: {}["loop"])
    with pytest.warns(UserWarning, match="runs operation by operation: KeyError: 'loop'"):
        y.backward()
    equal(x.grad, x.detach().sin() + x.detach().cos())
