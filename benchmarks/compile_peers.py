"""The work of ``compile.py`` in other words: JAX's, and by hand for Numba, which shows what the machine can do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], Any]


# --- JAX ------------------------------------------------------------------------------------------------------


def jax_cases() -> dict[str, Callable[[bool], Run]]:
    """What JAX can do with the same functions, its results waited for."""
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")

    def of(f: Any, *make: Callable[[bool], Any]) -> Callable[[bool], Run]:
        def case(smoke: bool) -> Run:
            args, g = [m(smoke) for m in make], jax.jit(f)
            return lambda: jax.block_until_ready(g(*args))

        return case

    def line(n: int, scale: float = 1.0) -> Callable[[bool], Any]:
        return lambda smoke: jnp.linspace(-scale, scale, 8 if smoke else n, dtype="float32")

    def normal(*shape: int, by: float = 1.0) -> Callable[[bool], Any]:
        rng = np.random.default_rng(0)
        return lambda smoke: jnp.asarray(rng.normal(size=shape) * by, "float32")

    def number(value: float) -> Callable[[bool], Any]:
        return lambda smoke: jnp.float32(value)

    def step(loss: Any, widths: tuple[int, ...], rows: int, adam: bool) -> Callable[[bool], Run]:
        """A whole training step; memory of the old parameters may be used for the new."""

        def move(parameters: Any, state: Any, t: Any, x: Any, y: Any) -> Any:
            value, grads = jax.value_and_grad(loss)(parameters, x, y)
            if not adam:
                return value, jax.tree.map(lambda p, g: p - 0.01 * g, parameters, grads), state, t
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], grads)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], grads)
            size, root = 0.01 / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
            new = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), parameters, m, v)
            return value, new, (m, v), t

        def case(smoke: bool) -> Run:
            rng, given = np.random.default_rng(0), lambda *s: jnp.asarray(rng.normal(size=s) / 10, "float32")
            parameters = [(given(b, a), given(b)) for a, b in zip(widths, widths[1:], strict=False)]
            zeros = jax.tree.map(jnp.zeros_like, parameters)
            x, y = given(rows, widths[0]), jnp.arange(rows) % widths[-1]
            now = [parameters, (zeros, jax.tree.map(jnp.zeros_like, parameters)), jnp.float32(0)]
            run = jax.jit(move, donate_argnums=(0, 1))

            def once() -> Any:
                value, *now[:] = run(*now, x, y)
                return jax.block_until_ready((value, now))

            return once

        return case

    def network(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.nn.relu(x @ w.T + b)
        w, b = parameters[-1]
        return x @ w.T + b

    def entropy(parameters: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(network(parameters, x)), y[:, None], 1))

    def squares(parameters: Any, x: Any, y: Any) -> Any:
        return jnp.mean((network(parameters, x)[:, 0] - y) ** 2)

    def lstm(w: Any, xs: Any) -> Any:
        def cell(carried: Any, x: Any) -> Any:
            h, c = carried
            i, f, g, o = (w @ jnp.concatenate([x, h])).reshape(4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zero = jnp.zeros(xs.shape[1], "float32")
        return jax.lax.scan(cell, (zero, zero), xs)[0][0].sum()

    def attention(w: Any, x: Any) -> Any:
        q, k, v = x @ w[0], x @ w[1], x @ w[2]
        return ((jax.nn.softmax(q @ k.transpose(0, 2, 1) / x.shape[-1] ** 0.5) @ v) ** 2).sum()

    def norm_gelu(x: Any) -> Any:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return jax.nn.gelu((x - mean) / jnp.sqrt(var + 1e-5), approximate=False).sum()

    wave = jax.value_and_grad(lambda x: (jnp.sin(x) * jnp.exp(-(x * x)) + jnp.tanh(x)).sum())
    poly = jax.grad(lambda x: ((((2 * x + 1) * x - 3) * x + 0.5) * x).sum())
    tenth: Any = lambda x: jnp.sin(x) * jnp.exp(x)  # noqa: E731
    for _ in range(10):
        tenth = jax.grad(tenth)
    hill = jax.hessian(lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())
    logistic = lambda w, a, y: (jnp.log1p(jnp.exp(a @ w)) - y * (a @ w)).sum()  # noqa: E731
    hvp = lambda w, v, a, y: jax.jvp(lambda w: jax.grad(logistic)(w, a, y), (w,), (v,))[1]  # noqa: E731
    pair = jax.grad(lambda u, v: jnp.sin(u * v) + u / v + jnp.exp(u) * v**2, (0, 1))
    rows = lambda smoke: jnp.asarray(np.random.default_rng(0).integers(0, 10_000, 4096))  # noqa: E731
    return {
        "scalar polynomial, gradient": of(jax.grad(lambda x: x**3 * 2 - x**2 * 3 + x * 5 - 7), number(0.7)),
        "f(u, v), gradients": of(pair, number(0.7), number(1.3)),
        "sum(x²), n = 20": of(jax.grad(lambda x: (x**2).sum()), line(20)),
        **{f"sin·exp+tanh, n = {n:,}": of(wave, line(n, 5.0)) for n in (10_000, 1_000_000, 10_000_000)},
        **{f"polynomial, n = {n:,}": of(poly, line(n)) for n in (1_000_000, 10_000_000)},
        "softmax Jacobian, n = 256": of(jax.jacrev(jax.nn.softmax), line(256)),
        "linear regression step": step(squares, (3, 1), 100, adam=False),
        "MLP 64-128-10 SGD step": step(entropy, (64, 128, 10), 32, adam=False),
        "MLP 64-128-10 Adam step": step(entropy, (64, 128, 10), 32, adam=True),
        "MLP 784-1024-1024-10 Adam step": step(entropy, (784, 1024, 1024, 10), 128, adam=True),
        "10th derivative": of(tenth, number(0.3)),
        "Rosenbrock Hessian, n = 100": of(hill, line(100)),
        "logistic hvp, 1000×100": of(hvp, normal(100), normal(100), normal(1000, 100), normal(1000)),
        "LSTM cell × 100": of(jax.grad(lstm), normal(128, 64, by=1 / 32), normal(100, 32)),
        "attention": of(jax.grad(attention), normal(3, 64, 64, by=1 / 8), normal(8, 128, 64)),
        "layer_norm + gelu, 4096×1024": of(jax.grad(norm_gelu), normal(4096, 1024)),
        "embedding": of(jax.grad(lambda t, at: (t[at] ** 2).sum()), normal(10_000, 64), rows),
    }


# --- the limit: by hand for Numba -----------------------------------------------------------------------------


def limits() -> dict[str, Callable[[bool], Run]]:
    """The same work as a user of Numba would write it, derivative and all, with memory for the results at hand."""
    numba: Any = importlib.import_module("numba")
    jit = numba.njit(error_model="numpy", fastmath=True)
    one, two = np.float32(1), np.float32(2)

    @jit
    def wave(x, out):  # type: ignore[no-untyped-def]
        total = np.float32(0)
        for i in range(x.size):
            s, c, e, t = np.sin(x[i]), np.cos(x[i]), np.exp(-x[i] * x[i]), np.tanh(x[i])
            out[i] = e * (c - two * x[i] * s) + one - t * t
            total += s * e + t
        return total

    @jit
    def polynomial(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = ((np.float32(8) * x[i] + np.float32(3)) * x[i] - np.float32(6)) * x[i] + np.float32(0.5)

    @jit
    def power(x):  # type: ignore[no-untyped-def]
        return 6 * x * x - 6 * x + 5

    @jit
    def pair(u, v):  # type: ignore[no-untyped-def]
        c, e = np.cos(u * v), np.exp(u)
        return v * c + 1 / v + e * v * v, u * c - u / (v * v) + 2 * e * v

    @jit
    def squares(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = 2 * x[i]

    @jit
    def jacobian(x, out):  # type: ignore[no-untyped-def]
        p, n = np.exp(x - x.max()), x.size
        p /= p.sum()
        for i in range(n):
            for j in range(n):
                out[i, j] = -p[i] * p[j]
            out[i, i] += p[i]

    @jit
    def regression(x, y, w, b, out):  # type: ignore[no-untyped-def]
        gw, gb, total, n = np.zeros_like(w), np.float32(0), np.float32(0), x.shape[0]
        for i in range(n):
            r = b[0] - y[i]
            for k in range(w.size):
                r += x[i, k] * w[k]
            total += r * r
            gb += r
            for k in range(w.size):
                gw[k] += r * x[i, k]
        out[0] = total / n
        for k in range(w.size):
            w[k] -= np.float32(0.02) * gw[k] / n
        b[0] -= np.float32(0.02) * gb / n

    @jit
    def tenth(x):  # type: ignore[no-untyped-def]
        return 32 * np.exp(x) * np.cos(x)

    @jit
    def hill(x, out):  # type: ignore[no-untyped-def]
        out[:] = 0
        for i in range(x.size - 1):
            out[i, i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2
            out[i + 1, i + 1] += 200
            out[i, i + 1] = out[i + 1, i] = -400 * x[i]

    @jit
    def embedding(table, at, out):  # type: ignore[no-untyped-def]
        out[:] = 0
        for i in range(at.size):
            for k in range(table.shape[1]):
                out[at[i], k] += two * table[at[i], k]

    def of(
        kernel: Any, n: int, scale: float = 1.0, square: bool = False, dtype: Any = np.float32
    ) -> Callable[[bool], Run]:
        def case(smoke: bool) -> Run:
            m = 8 if smoke else n
            x = np.linspace(-scale, scale, m, dtype=dtype)
            out = np.empty((m, m) if square else m, dtype)
            return lambda: kernel(x, out)

        return case

    def regress(smoke: bool) -> Run:
        rng = np.random.default_rng(0)
        given = lambda *s: rng.normal(size=s).astype(np.float32)  # noqa: E731
        args = given(100, 3), given(100), given(3), given(1), given(1)
        return lambda: regression(*args)

    def embed(smoke: bool) -> Run:
        rng = np.random.default_rng(0)
        table, at = rng.normal(size=(10_000, 64)).astype(np.float32), rng.integers(0, 10_000, 4096)
        out = np.empty_like(table)
        return lambda: embedding(table, at, out)

    return {
        "scalar polynomial, gradient": lambda smoke: lambda: power(0.7),
        "f(u, v), gradients": lambda smoke: lambda: pair(0.7, 1.3),
        "sum(x²), n = 20": of(squares, 20),
        **{f"sin·exp+tanh, n = {n:,}": of(wave, n, 5.0) for n in (10_000, 1_000_000, 10_000_000)},
        **{f"polynomial, n = {n:,}": of(polynomial, n) for n in (1_000_000, 10_000_000)},
        "softmax Jacobian, n = 256": of(jacobian, 256, square=True),
        "linear regression step": regress,
        "10th derivative": lambda smoke: lambda: tenth(0.3),
        "Rosenbrock Hessian, n = 100": of(hill, 100, square=True, dtype=np.float64),
        "embedding": embed,
    }
