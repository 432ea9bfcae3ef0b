"""Draws to compare with PyTorch's: the same line for either library ``m``, from a generator ``g`` seeded with 17.

``tools/record_golden.py`` writes down what PyTorch gives; ``test_sampling.py`` reads it, and
``parity/test_sampling_parity.py`` asks PyTorch itself.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

Case = Callable[[Any, Any], Any]


def outcome(m: Any, case: Case) -> list[Any]:
    """What the case gives: dtype, shape, strides, name of the node, numbers, state afterwards; or the error."""
    g = m.Generator().manual_seed(17)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = case(m, g)
    except Exception as e:
        return [type(e).__name__, str(e).splitlines()[0].partition("  (Could")[0]]
    name = None if x.grad_fn is None else x.grad_fn.name()
    strides = [s for s, n in zip(x.stride(), x.shape, strict=True) if n > 1 and x.numel()]
    a = x.detach().numpy()
    exact = a.dtype.name not in ("float64", "complex128")  # float64 goes through the C library, whose last bits vary
    numbers = zlib.crc32(a.tobytes()) if exact else [repr(v) for v in a.ravel()[:: 1 + a.size // 40].tolist()]
    state = g.get_state().numpy().copy()
    state[5024:5032] = 0  # the spare normal, likewise
    return [str(x.dtype), list(x.shape), strides, name, numbers, zlib.crc32(state.tobytes())]


FILLS: dict[str, Callable[[Any, Any], Any]] = {
    "uniform_": lambda x, g: x.uniform_(-1, 3, generator=g),
    "normal_": lambda x, g: x.normal_(1, 3, generator=g),
    "exponential_": lambda x, g: x.exponential_(0.7, generator=g),
    "cauchy_": lambda x, g: x.cauchy_(generator=g),
    "cauchy_ apart": lambda x, g: x.cauchy_(0.3, 1.7, generator=g),
    "log_normal_": lambda x, g: x.log_normal_(generator=g),
    "log_normal_ narrow": lambda x, g: x.log_normal_(-3, 0.25, generator=g),
    "geometric_": lambda x, g: x.geometric_(0.3, generator=g),
    "geometric_ rare": lambda x, g: x.geometric_(0.003, generator=g),
    "random_": lambda x, g: x.random_(generator=g),
    "random_ to": lambda x, g: x.random_(100, generator=g),
    "random_ from": lambda x, g: x.random_(1, 90, generator=g),
    "random_ from, None": lambda x, g: x.random_(1, None, generator=g),
    "random_ all": lambda x, g: x.random_(-(2**63), None, generator=g),
    "bernoulli_": lambda x, g: x.bernoulli_(generator=g),
    "bernoulli_ number": lambda x, g: x.bernoulli_(0.8, generator=g),
}
FLOATS = ["float16", "float32", "float64"]
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS, "complex64", "complex128"]
SIZES = [0, 1, 2, 15, 16, 17, 100, 5000, 33_333]


def fills() -> Iterator[tuple[str, Case]]:
    for dtype in DTYPES:
        for size in SIZES:
            for name, draw in FILLS.items():
                if not size and not dtype.startswith("float"):
                    continue  # at an empty target PyTorch does not look
                if dtype.startswith("complex") and name.startswith("random_"):
                    continue  # PyTorch's errors there are of its making
                yield (f"{name} {dtype} {size}",
                       lambda m, g, draw=draw, n=size, d=dtype: draw(m.zeros(n, dtype=getattr(m, d)), g))  # fmt: skip


VIEWS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda x: x.reshape(17, 12).t(),
    "columns": lambda x: x.reshape(17, 12)[:, ::2],
    "permuted": lambda x: x.reshape(3, 4, 17, 1).permute(2, 0, 3, 1),
    "small": lambda x: x[:12].reshape(3, 4).t(),
}


def strided() -> Iterator[tuple[str, Case]]:
    for view, at in VIEWS.items():

        def x(m: Any, at: Any = at) -> Any:
            return at(m.arange(204.0) / 204)

        functions: list[Case] = [
            lambda m, g, x=x: x(m).log_normal_(generator=g),
            lambda m, g, x=x: x(m).bernoulli_(x(m).contiguous(), generator=g),
            lambda m, g, x=x: x(m).contiguous().bernoulli_(x(m), generator=g),
            lambda m, g, x=x: m.bernoulli(x(m), generator=g),
            lambda m, g, x=x: m.bernoulli(x(m), 0.3, generator=g),
            lambda m, g, x=x: m.poisson(5 * x(m), generator=g),
            lambda m, g, x=x: m.rand_like(x(m), generator=g),
            lambda m, g, x=x: m.randn_like(x(m), generator=g),
            lambda m, g, x=x: m.randint_like(x(m), 9, generator=g),
            lambda m, g, x=x: m.normal(x(m), 2.0, generator=g),
            lambda m, g, x=x: m.normal(1.0, x(m), generator=g),
            lambda m, g, x=x: m.normal(x(m), x(m), generator=g),
            lambda m, g, x=x: m.multinomial(x(m), 2, generator=g),
            lambda m, g, x=x: m.multinomial(x(m), 50, True, generator=g),
        ]
        yield from ((f"{view} {i}", f) for i, f in enumerate(functions))


def weighted() -> Iterator[tuple[str, Case]]:
    def weights(m: Any, dtype: str, n: int, *shape: int) -> Any:
        return m.rand(*shape, generator=m.Generator().manual_seed(n)).to(getattr(m, dtype))

    for dtype in FLOATS:
        for n in (1, 2, 7, 200):
            for replacement in (False, True):
                for shape in ((200,), (3, 200), (2, 5000), (0, 200)):
                    if dtype == "float16" and not replacement and n > 1:
                        continue  # weights tie, and which of them comes first is not promised
                    yield (
                        f"multinomial {dtype} {n} {replacement} {shape}",
                        lambda m, g, a=(dtype, n, *shape), n=n, r=replacement: m.multinomial(
                            weights(m, *a), n, r, generator=g
                        ),
                    )
        for rate in (0.0, 0.1, 1.0, 3.7, 9.99, 10.0, 11.0, 100.0, 1234.5, 60000.0):
            yield (f"poisson {dtype} {rate}",
                   lambda m, g, r=rate, d=dtype: m.poisson(m.full((500,), r, dtype=getattr(m, d)), generator=g))  # fmt: skip
        yield (f"poisson {dtype}",
               lambda m, g, d=dtype: m.poisson((m.arange(6000.0) / 200).to(getattr(m, d)), generator=g))  # fmt: skip


def binomials() -> Iterator[tuple[str, Case]]:
    for dtype in ("float32", "float64"):
        for trials in (0.0, 1.0, 7.5, 40.0, 1e3, 1e6, -3.0):
            for chance in (0.0, 0.02, 0.3, 0.5, 0.9, 1.0, 1.2, -0.1):
                yield (f"binomial {dtype} {trials} {chance}", lambda m, g, n=trials, p=chance, d=dtype: m.binomial(
                    m.full((200,), n, dtype=getattr(m, d)), m.full((200,), p, dtype=getattr(m, d)), g))  # fmt: skip
    yield "binomial, each otherwise", lambda m, g: m.binomial(m.arange(300.0).T, m.arange(300.0) / 300, g)
    yield "binomial, broadcast", lambda m, g: m.binomial(m.arange(60.0).reshape(3, 20), m.tensor([0.3]), g)


def permuted() -> Iterator[tuple[str, Case]]:
    for n in (0, 1, 2, 399, 400, 401, 1000, 65_537, 200_000):
        yield f"randperm {n}", lambda m, g, n=n: m.randperm(n, generator=g)


LINES: list[Case] = [
    lambda m, g: m.randint(10, (3, 4), generator=g),
    lambda m, g: m.randint(3, 10, (5,), generator=g),
    lambda m, g: m.randint(low=3, high=10, size=(5,), generator=g),
    lambda m, g: m.randint(3, high=10, size=(5,), generator=g),
    lambda m, g: m.randint(10, size=(5,), generator=g),
    lambda m, g: m.randint(10, [5], generator=g, dtype=m.float32),
    lambda m, g: m.randint(3, (2,), generator=g, dtype=m.float64, requires_grad=True),
    lambda m, g: m.randint(3, (2,), generator=g, requires_grad=True),
    lambda m, g: m.randint(5, 5, (2,), generator=g),
    lambda m, g: m.randint(0, (2,), generator=g),
    lambda m, g: m.randint(2.5, (2,)),
    lambda m, g: m.randint(10, 3),
    lambda m, g: m.randint(-5, 2**40, (7,), generator=g),
    lambda m, g: m.randint_like(m.zeros(2, 3), 5, generator=g),
    lambda m, g: m.randint_like(m.zeros(2, 3), 5, 9, generator=g, dtype=m.int16),
    lambda m, g: m.randperm(-1, generator=g),
    lambda m, g: m.randperm(2.5),
    lambda m, g: m.randperm(5, dtype=m.int8, generator=g),
    lambda m, g: m.randperm(200, dtype=m.int8, generator=g),
    lambda m, g: m.randperm(127, dtype=m.int8, generator=g),
    lambda m, g: m.randperm(128, dtype=m.int8, generator=g),
    lambda m, g: m.randperm(256, dtype=m.uint8, generator=g),
    lambda m, g: m.randperm(3000, dtype=m.float16, generator=g),
    lambda m, g: m.randperm(5, dtype=m.bool, generator=g),
    lambda m, g: m.randperm(5, dtype=m.complex64, generator=g),
    lambda m, g: m.randperm(5, requires_grad=True, generator=g),
    lambda m, g: m.rand(2, 3, dtype=m.complex64, generator=g),
    lambda m, g: m.randn(2, 3, dtype=m.complex64, generator=g),
    lambda m, g: m.randn(20, dtype=m.complex128, generator=g),
    lambda m, g: m.rand(3, dtype=m.int64, generator=g),
    lambda m, g: m.randn(3, dtype=m.int64, generator=g),
    lambda m, g: m.rand((2, 3), generator=g),
    lambda m, g: m.rand([], generator=g),
    lambda m, g: m.rand(3, generator=g, out=m.zeros(3, dtype=m.float64)),
    lambda m, g: m.randn(3, generator=g, out=m.zeros(3)),
    lambda m, g: m.randperm(3, generator=g, out=m.zeros(3, dtype=m.int32)),
    lambda m, g: m.rand(3, generator=g, requires_grad=True) * 1,
    lambda m, g: m.bernoulli(m.tensor([0.1, 2.0]), generator=g),
    lambda m, g: m.bernoulli(m.tensor([0.1, float("nan")]), generator=g),
    lambda m, g: m.bernoulli(m.tensor([1, 0]), generator=g),
    lambda m, g: m.bernoulli(m.zeros(9, dtype=m.int64), 0.5, generator=g),
    lambda m, g: m.zeros(9).bernoulli(0.3, generator=g),
    lambda m, g: m.bernoulli(m.full((9,), 0.4), generator=g, out=m.zeros(9)),
    lambda m, g: m.zeros(3).bernoulli_(2.0, generator=g),
    lambda m, g: m.zeros(9).bernoulli_(m.tensor(0.4), generator=g),
    lambda m, g: m.zeros(9).bernoulli_(m.tensor(0.4, dtype=m.float64), generator=g),
    lambda m, g: m.zeros(3).bernoulli_(m.tensor([0.4, 0.4]), generator=g),
    lambda m, g: m.zeros(3).bernoulli_(m.tensor([1]), generator=g),
    lambda m, g: m.zeros(3).uniform_(1, 0, generator=g),
    lambda m, g: m.zeros(3).uniform_(-3e38, 3e38, generator=g),
    lambda m, g: m.zeros(3).normal_(0, -1, generator=g),
    lambda m, g: m.zeros(3).exponential_(-1, generator=g),
    lambda m, g: m.zeros(3).geometric_(0, generator=g),
    lambda m, g: m.zeros(3).geometric_(1, generator=g),
    lambda m, g: m.zeros(3).cauchy_(0, -1, generator=g),
    lambda m, g: m.zeros(3).log_normal_(0, 0, generator=g),
    lambda m, g: m.zeros(3).random_(5, 2, generator=g),
    lambda m, g: m.zeros(3).random_(0, generator=g),
    lambda m, g: m.zeros(3, dtype=m.uint8).random_(0, 300, generator=g),
    lambda m, g: m.normal(0.0, 1.0, (2, 9), generator=g),
    lambda m, g: m.normal(0, 1, (2,), generator=g),
    lambda m, g: m.normal(2.0, 3.0, size=(2,), dtype=m.float64, generator=g),
    lambda m, g: m.normal(m.zeros(3), m.ones(3), generator=g),
    lambda m, g: m.normal(m.zeros(2, 1), m.ones(3), generator=g),
    lambda m, g: m.normal(m.zeros(9, 2), m.tensor([1.0, 100.0]), generator=g),
    lambda m, g: m.normal(0.5, m.arange(20.0), generator=g),
    lambda m, g: m.normal(m.arange(20.0), 2.0, generator=g),
    lambda m, g: m.normal(m.arange(20.0), generator=g),
    lambda m, g: m.normal(mean=m.zeros(2), std=m.ones(2), generator=g),
    lambda m, g: m.normal(m.zeros(3, dtype=m.float64), m.ones(3), generator=g),
    lambda m, g: m.normal(m.zeros(3), 3 * m.ones(3, dtype=m.float64), generator=g),
    lambda m, g: m.normal(m.zeros(3), m.ones(3, dtype=m.int64), generator=g),
    lambda m, g: m.normal(m.zeros(3), m.ones(3), generator=g, out=m.zeros(3)),
    lambda m, g: m.normal(m.zeros(3, dtype=m.int64), generator=g),
    lambda m, g: m.normal(m.zeros(3), -1.0, generator=g),
    lambda m, g: m.normal(0.0, -1.0, (2,), generator=g),
    lambda m, g: m.normal(m.zeros(3), -m.ones(3), generator=g),
    lambda m, g: m.poisson(-m.ones(3), generator=g),
    lambda m, g: m.poisson(m.ones(3, dtype=m.int64), generator=g),
    lambda m, g: m.poisson(m.tensor([float("nan")]), generator=g),
    lambda m, g: m.binomial(m.ones(3, dtype=m.int64), m.ones(3), g),
    lambda m, g: m.binomial(m.ones(3), m.ones(3, dtype=m.int64), g),
    lambda m, g: m.binomial(m.ones(3).half(), m.ones(3).half(), g),
    lambda m, g: m.binomial(m.ones(3), m.ones(3).double(), g),
    lambda m, g: m.binomial(m.ones(3), m.tensor([0.2, float("nan"), 0.5]), g),
    lambda m, g: m.binomial(m.ones(3).requires_grad_(), m.ones(3) / 2, g).sum().backward(),
    lambda m, g: m.multinomial(m.ones(3), 4, generator=g),
    lambda m, g: m.multinomial(m.ones(3), 4, True, generator=g),
    lambda m, g: m.multinomial(m.ones(2, 3, 4), 2, generator=g),
    lambda m, g: m.multinomial(m.tensor(1.0), 2, generator=g),
    lambda m, g: m.multinomial(m.tensor([1, 2]), 1, generator=g),
    lambda m, g: m.multinomial(m.tensor([1.0, -1.0]), 1, generator=g),
    lambda m, g: m.multinomial(m.tensor([1.0, -1.0]), 5, True, generator=g),
    lambda m, g: m.multinomial(m.tensor([1.0, float("inf")]), 1, generator=g),
    lambda m, g: m.multinomial(m.tensor([1.0, float("inf")]), 3, True, generator=g),
    lambda m, g: m.multinomial(m.tensor([1.0, float("nan")]), 1, generator=g),
    lambda m, g: m.multinomial(m.zeros(3), 1, generator=g),
    lambda m, g: m.multinomial(m.zeros(3), 2, True, generator=g),
    lambda m, g: m.multinomial(m.ones(3), 0, generator=g),
    lambda m, g: m.multinomial(m.ones(0), 1, generator=g),
    lambda m, g: m.multinomial(m.ones(2, 0), 2, True, generator=g),
    lambda m, g: m.multinomial(m.tensor([0.0, 1.0, 0.0]), 2, generator=g),
    lambda m, g: m.ones(3).multinomial(2, generator=g),
]

STATES: list[Case] = [
    lambda m, g: g.set_state(m.zeros(5056)),
    lambda m, g: g.set_state(m.zeros(5055, dtype=m.uint8)),
    lambda m, g: g.set_state(m.zeros(5056, dtype=m.uint8)),
    lambda m, g: g.set_state(None),
    lambda m, g: g.set_state(m.zeros(5056, dtype=m.uint8).numpy()),
    lambda m, g: g.graphsafe_get_state(),
    lambda m, g: m.rand(3, generator=g.clone_state()),
    lambda m, g: g.get_state(),
    lambda m, g: m.set_rng_state(m.zeros(5056)),
    lambda m, g: m.rand(3, generator=m.Generator(device="cpu").set_state(g.get_state())),
    lambda m, g: m.manual_seed("a"),
    lambda m, g: m.manual_seed(2**64),
    lambda m, g: m.manual_seed(None),
    lambda m, g: (m.manual_seed(3.7), m.rand(5))[1],
    lambda m, g: (m.manual_seed(3), m.set_rng_state(g.get_state()), m.rand(5))[2],
]

HISTORIES: list[Callable[[Any, Any, Any], Any]] = [
    lambda m, y, g: y.uniform_(generator=g),
    lambda m, y, g: y.normal_(generator=g),
    lambda m, y, g: y.exponential_(generator=g),
    lambda m, y, g: y.cauchy_(generator=g),
    lambda m, y, g: y.log_normal_(generator=g),
    lambda m, y, g: y.geometric_(0.3, generator=g),
    lambda m, y, g: y.random_(generator=g),
    lambda m, y, g: y.random_(5, generator=g),
    lambda m, y, g: y.random_(2, 5, generator=g),
    lambda m, y, g: y.bernoulli_(generator=g),
    lambda m, y, g: y.bernoulli_(m.tensor(0.3), generator=g),
    lambda m, y, g: m.bernoulli(y / 40, generator=g),
    lambda m, y, g: m.poisson(y, generator=g),
    lambda m, y, g: m.normal(y, 1.0, generator=g),
    lambda m, y, g: m.normal(1.0, y, generator=g),
    lambda m, y, g: m.rand_like(y, generator=g),
    lambda m, y, g: m.multinomial(y, 2, generator=g),
]


def cut(draw: Callable[[Any, Any, Any], Any]) -> Case:
    """The draw, of which no gradient comes back: that of ``x * y`` is ``y``."""

    def case(m: Any, g: Any) -> Any:
        x = (m.arange(20.0) + 1).requires_grad_()
        y = draw(m, x * 2, g)
        if y.requires_grad:
            (x * y).sum().backward()
            assert m.equal(x.grad, y.detach())
        return y

    return case


def forked(m: Any, g: Any) -> Any:
    m.manual_seed(4)
    with m.random.fork_rng():
        m.rand(3)
    a = m.rand(3)
    with m.random.fork_rng(enabled=False):
        m.rand(3)
    return m.cat([a, m.rand(3)])


CASES: dict[str, Case] = {
    **dict(fills()), **dict(strided()), **dict(weighted()), **dict(binomials()), **dict(permuted()), "fork_rng": forked,
    **{f"line {i}": line for i, line in enumerate(LINES)},
    **{f"state {i}": line for i, line in enumerate(STATES)},
    **{f"history {i}": cut(draw) for i, draw in enumerate(HISTORIES)},
}  # fmt: skip
