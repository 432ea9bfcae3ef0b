"""Draw for draw against PyTorch's CPU generator, after which both must be in the same state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import chainrule
from chainrule.random import Generator, fill

FLOATS = ["float16", "float32", "float64"]
SIZES = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 624, 1000, 16384 + 7, 40_000]
pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="without AVX2 PyTorch does not fuse multiply-adds, and differs in the last bits",
)


class Pair:
    """The two generators, started alike; ``same`` compares one draw and the states after it."""

    def __init__(self, seed: int = 1) -> None:
        self.ours, self.theirs = Generator().manual_seed(seed), torch.Generator().manual_seed(seed)

    def same(self, ours: Any, theirs: Any) -> None:
        expected = theirs.numpy()
        assert ours.dtype == expected.dtype
        assert ours.shape == expected.shape
        assert ours.tobytes() == expected.tobytes()  # signs of zero too
        assert np.array_equal(self.ours.get_state().numpy(), self.theirs.get_state().numpy())


def kind(name: str) -> Any:
    return getattr(torch, name)


@pytest.mark.parametrize("seed", [0, 1, -1, -5, 10**15, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_seeds(seed: int) -> None:
    pair = Pair(seed)
    assert pair.ours.initial_seed() == pair.theirs.initial_seed()
    pair.same(pair.ours.uniform(700, "float32"), torch.rand(700, generator=pair.theirs))


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 3.7, True, "5", None])
def test_bad_seeds(seed: Any) -> None:
    with pytest.raises((RuntimeError, ValueError)) as theirs:
        torch.Generator().manual_seed(seed)
    with pytest.raises(type(theirs.value)) as ours:
        Generator().manual_seed(seed)
    assert str(ours.value) == str(theirs.value).splitlines()[0]


def test_a_new_generator_starts_alike() -> None:
    assert Generator().initial_seed() == torch.Generator().initial_seed()
    assert np.array_equal(Generator().get_state().numpy(), torch.Generator().get_state().numpy())


@pytest.mark.parametrize("words", [0, 1, 2, 623, 624, 625, 1248, 2000])
@pytest.mark.parametrize("normals", [0, 1, 2])
def test_states_are_interchangeable(words: int, normals: int) -> None:
    pair = Pair(77)
    pair.same(pair.ours.uniform(words, "float32"), torch.rand(words, generator=pair.theirs))
    pair.same(pair.ours.normal(normals, "float64"), torch.randn(normals, dtype=torch.float64, generator=pair.theirs))
    crossed = Pair(5)
    crossed.ours.set_state(chainrule.from_numpy(pair.theirs.get_state().numpy()))
    crossed.theirs.set_state(torch.from_numpy(pair.ours.get_state().numpy()))
    assert crossed.ours.initial_seed() == crossed.theirs.initial_seed() == 77
    crossed.same(crossed.ours.normal(5, "float32"), torch.randn(5, generator=crossed.theirs))
    crossed.same(crossed.ours.uniform(700, "float32"), torch.rand(700, generator=crossed.theirs))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_rand_and_randn(dtype: str, size: int) -> None:
    pair = Pair(size)
    for _ in range(3):
        pair.same(pair.ours.uniform(size, dtype), torch.rand(size, dtype=kind(dtype), generator=pair.theirs))
        pair.same(pair.ours.normal(size, dtype), torch.randn(size, dtype=kind(dtype), generator=pair.theirs))


@pytest.mark.parametrize("bounds", [(-1, 1), (0.1, 0.7), (-3.3, 12.7), (0, 0.037), (-0.0361, 0.0361), (5, 5),
                                    (-300, 500), (1, 1 + 2**-9), (100.03, 100.07), (-1e-30, 3)])  # fmt: skip
@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_bounds(dtype: str, bounds: tuple[float, float]) -> None:
    pair = Pair(9)
    empty = torch.empty(123, 41, dtype=kind(dtype))
    pair.same(pair.ours.uniform((123, 41), dtype, *bounds), empty.uniform_(*bounds, generator=pair.theirs))


def test_uniform_never_returns_its_open_end() -> None:
    for dtype, high in (("float16", 1.0), ("float32", 1 + 2**-22), ("float64", 1 + 2**-51)):
        low = 0.0 if dtype == "float16" else 1.0
        pair = Pair(4)
        draw = pair.ours.uniform(50_000, dtype, low, high)
        pair.same(draw, torch.empty(50_000, dtype=kind(dtype)).uniform_(low, high, generator=pair.theirs))
        assert draw.max() < np.dtype(dtype).type(high)


@pytest.mark.parametrize("moments", [(0.3, 1.7), (0, 0.02), (1, 0.02), (-100, 0.1), (5, 0), (1e-3, 1e5)])
@pytest.mark.parametrize("size", [1, 7, 15, 16, 29, 5000, 5001])
@pytest.mark.parametrize("dtype", FLOATS)
def test_normal_moments(dtype: str, size: int, moments: tuple[float, float]) -> None:
    pair = Pair(21)
    for _ in range(2):
        empty = torch.empty(size, dtype=kind(dtype))
        pair.same(pair.ours.normal(size, dtype, *moments), empty.normal_(*moments, generator=pair.theirs))


@pytest.mark.parametrize("lambd", [1, 0.3, 2.5, 1e-3, 7e4, float("inf")])
@pytest.mark.parametrize("dtype", FLOATS)
def test_exponential(dtype: str, lambd: float) -> None:
    pair = Pair(33)
    empty = torch.empty(33, 101, dtype=kind(dtype))
    pair.same(pair.ours.exponential((33, 101), dtype, lambd), empty.exponential_(lambd, generator=pair.theirs))


INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64"]
RANGES = [
    (0, 1), (0, 2), (0, 10), (-7, 100), (-128, 128), (0, 256), (-100, 0), (0, 2**12), (3, 2**24 + 5),
    (0, 2**28 - 1), (0, 2**28), (-1, 2**28 - 1), (0, 2**28 + 1), (-5, 2**31), (0, 2**32), (0, 2**32 + 1),
    (-(2**40), 2**40), (-(2**62), 2**62), (-(2**63), 2**63 - 1), (0, 2**63 - 1), (0, 2**53 + 3),
    (-(2**24) - 5, 5), (-(2**27) - 1, 100 - 2**27), (2**60 - 1, 2**60 + 300), (2**60 + 1, 2**60 + 3),
    (-3000, 3000), (-40_001, 40_001), (4097, 4099), (2049, 2050), (0, 65_500), (5, 5), (5, 3),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*Due to precision limitations")
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_randint(dtype: str) -> None:
    drawn = 0
    for bounds in RANGES:
        pair = Pair(8)
        try:
            expected = torch.randint(*bounds, (40, 10), dtype=kind(dtype), generator=pair.theirs)
        except RuntimeError as error:
            with pytest.raises(RuntimeError) as ours:
                pair.ours.randint(*bounds, (40, 10), dtype)
            assert str(ours.value) == str(error).splitlines()[0]
        else:
            pair.same(pair.ours.randint(*bounds, (40, 10), dtype), expected)
            drawn += 1
    assert drawn >= 2


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_random_without_bounds(dtype: str) -> None:
    pair = Pair(6)
    pair.same(pair.ours.integers(999, dtype), torch.empty(999, dtype=kind(dtype)).random_(generator=pair.theirs))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 100, 1000, 30_000])
@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float32", "float64"])
def test_randperm(dtype: str, n: int) -> None:
    pair = Pair(n)
    pair.same(pair.ours.randperm(n, dtype), torch.randperm(n, dtype=kind(dtype), generator=pair.theirs))


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 256), ("int8", 128), ("int16", 2**15), ("float16", 2049)])
def test_randperm_fits_its_dtype(dtype: str, most: int) -> None:
    pair = Pair()
    pair.same(pair.ours.randperm(most, dtype), torch.randperm(most, dtype=kind(dtype), generator=pair.theirs))
    for draw in (pair.ours.randperm, lambda n, dtype: torch.randperm(n, dtype=kind(dtype))):
        with pytest.raises(RuntimeError):
            draw(most + 1, dtype)


@pytest.mark.parametrize("p", [0, 0.1, 0.3, 0.5, 0.9, 1])
def test_bernoulli_number(p: float) -> None:
    for dtype in ["bool", "int64", *FLOATS]:
        pair = Pair(2)
        empty = torch.empty(1001, dtype=kind(dtype))
        pair.same(pair.ours.bernoulli(p, 1001, dtype), empty.bernoulli_(p, generator=pair.theirs))


@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_array(dtype: str) -> None:
    pair = Pair(12)
    p = torch.rand(31, 33, dtype=kind(dtype))
    pair.same(pair.ours.bernoulli(p.numpy()), torch.bernoulli(p, generator=pair.theirs))
    target = torch.empty(7, 31, 33, dtype=torch.int32)
    pair.same(pair.ours.bernoulli(p.numpy(), target.shape, "int32"), target.bernoulli_(p, generator=pair.theirs))


def test_dropout_mask() -> None:
    torch.manual_seed(3)
    kept = torch.nn.functional.dropout(torch.ones(1000), 0.3).numpy() != 0
    assert np.array_equal(Generator().manual_seed(3).bernoulli(1 - 0.3, 1000) != 0, kept)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda dtype: np.zeros((17, 9), dtype).T,
    "columns": lambda dtype: np.zeros((17, 18), dtype)[:, ::2],
    "permuted": lambda dtype: np.zeros((3, 4, 5, 6), dtype).transpose(2, 0, 3, 1),
    "permuted slice": lambda dtype: np.zeros((3, 4, 5, 6), dtype).transpose(3, 1, 0, 2)[1:5, ::2, 1:],
    "inner": lambda dtype: np.zeros((8, 9), dtype)[1:5, 2:7],
    "middle of one": lambda dtype: np.zeros((5, 1, 7), dtype).transpose(2, 1, 0),
    "rows": lambda dtype: np.zeros((20, 3), dtype)[::2],
    "small": lambda dtype: np.zeros((3, 4), dtype).T,
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("view", VIEWS)
def test_strided_targets(view: str, dtype: str) -> None:
    pair = Pair(14)
    g, h = pair.ours, pair.theirs
    draws: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (lambda shape: g.uniform(shape, dtype, -1, 3), lambda t: t.uniform_(-1, 3, generator=h)),
        (lambda shape: g.normal(shape, dtype, 1, 3, serial=True), lambda t: t.normal_(1, 3, generator=h)),
        (lambda shape: g.randint(0, 50, shape, dtype), lambda t: t.random_(0, 50, generator=h)),
        (lambda shape: g.bernoulli(0.4, shape, dtype), lambda t: t.bernoulli_(0.4, generator=h)),
        (lambda shape: g.exponential(shape, dtype, 2), lambda t: t.exponential_(2, generator=h)),
    ]
    for ours, theirs in draws:
        tensor = torch.from_numpy(VIEWS[view](dtype))
        assert not tensor.is_contiguous()
        pair.same(fill(VIEWS[view](dtype), ours), theirs(tensor))


def test_interleaved_draws() -> None:
    """Every kind in turn, odd sizes, so that the spare normal is left over, survives and is used."""
    pair = Pair(2**40 + 17)
    g, h = pair.ours, pair.theirs
    for n in [1, 3, 16, 5, 0, 17, 33, 2, 700, 1, 15, 41]:
        pair.same(g.normal(n, "float32"), torch.randn(n, generator=h))
        pair.same(g.uniform((n, 2), "float64"), torch.rand(n, 2, dtype=torch.float64, generator=h))
        pair.same(g.normal(n, "float64", 2, 3), torch.empty(n, dtype=torch.float64).normal_(2, 3, generator=h))
        pair.same(g.randint(-5, 2**35, n), torch.randint(-5, 2**35, (n,), generator=h))
        pair.same(g.normal(n, "float16"), torch.randn(n, dtype=torch.float16, generator=h))
        pair.same(g.randperm(n), torch.randperm(n, generator=h))
        pair.same(g.bernoulli(0.25, n), torch.empty(n).bernoulli_(0.25, generator=h))
        pair.same(g.exponential(n, "float32"), torch.empty(n).exponential_(generator=h))


ONES = 2**32 - 1


def untempered(word: int) -> int:
    """The engine word that comes out as ``word``: the inverse of MT19937's tempering."""
    word ^= word >> 18
    word ^= word << 15 & 0xEFC60000
    x = word
    for _ in range(5):
        x = word ^ (x << 7 & 0x9D2C5680)
    y = x
    for _ in range(3):
        y = x ^ y >> 11
    return y & 0xFFFFFFFF


@pytest.mark.parametrize("words", [[0], [ONES], [0, ONES], [ONES] * 8 + [0] * 8, [1, 0], [2**31, 3]])
@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_words(words: list[int], dtype: str) -> None:
    """Uniforms of exactly 0 and of the largest value below 1."""
    state = Generator().manual_seed(1).get_state().numpy()
    key = np.array([untempered(words[i % len(words)]) for i in range(624)], np.uint64)
    state[8:24] = np.array([624, 1, 1, 0], np.int32).view(np.uint8)  # left, seeded, next
    state[24 : 24 + 8 * 624] = key.view(np.uint8)
    empty = torch.empty(32, dtype=kind(dtype))
    draws: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (lambda g: g.uniform(32, dtype), lambda h: empty.uniform_(generator=h)),
        (lambda g: g.uniform(32, dtype, -2, 5), lambda h: empty.uniform_(-2, 5, generator=h)),
        (lambda g: g.normal(32, dtype), lambda h: empty.normal_(generator=h)),
        (lambda g: g.normal(5, dtype), lambda h: empty[:5].normal_(generator=h)),
        (lambda g: g.normal(32, dtype, 0.5, 2), lambda h: empty.normal_(0.5, 2, generator=h)),
        (lambda g: g.exponential(32, dtype, 3), lambda h: empty.exponential_(3, generator=h)),
        (lambda g: g.cauchy(32, dtype), lambda h: empty.cauchy_(generator=h)),
        (lambda g: g.cauchy(32, dtype, 3, 5), lambda h: empty.cauchy_(3, 5, generator=h)),
        (lambda g: g.log_normal(32, dtype), lambda h: empty.log_normal_(generator=h)),
        (lambda g: g.geometric(32, dtype, 0.2), lambda h: empty.geometric_(0.2, generator=h)),
        (lambda g: g.bernoulli(1, 32, dtype), lambda h: empty.bernoulli_(1, generator=h)),
        (lambda g: g.bernoulli(0, 32, dtype), lambda h: empty.bernoulli_(0, generator=h)),
    ]
    for ours, theirs in draws:
        pair = Pair()
        pair.ours.set_state(chainrule.from_numpy(state))
        pair.theirs.set_state(torch.from_numpy(state))
        pair.same(ours(pair.ours), theirs(pair.theirs))


ERRORS: list[tuple[Callable[[Generator], Any], Callable[[Any], Any]]] = [
    (lambda g: g.uniform(3, "float32", 1, 0), lambda t: t.uniform_(1, 0)),
    (lambda g: g.uniform(3, "float32", 0, float("inf")), lambda t: t.uniform_(0, float("inf"))),
    (lambda g: g.uniform(3, "float32", float("nan"), 1), lambda t: t.uniform_(float("nan"), 1)),
    (lambda g: g.uniform(3, "float16", 0, 1e5), lambda t: t.half().uniform_(0, 1e5)),
    (lambda g: g.normal(3, "float32", 0, -1.5), lambda t: t.normal_(0, -1.5)),
    (lambda g: g.exponential(3, "float32", 0), lambda t: t.exponential_(0)),
    (lambda g: g.bernoulli(-0.1, 3), lambda t: t.bernoulli_(-0.1)),
    (lambda g: g.bernoulli(float("nan"), 3), lambda t: t.bernoulli_(float("nan"))),
    (lambda g: g.randperm(-1), lambda t: torch.randperm(-1)),
    (lambda g: g.randint(0, 2**63, 3), lambda t: torch.randint(0, 2**63, (3,))),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors_and_their_words(case: int) -> None:
    pair = Pair()
    before = pair.ours.get_state()
    with pytest.raises((RuntimeError, ValueError, TypeError)) as theirs:
        ERRORS[case][1](torch.empty(3))
    with pytest.raises(type(theirs.value)) as ours:
        ERRORS[case][0](pair.ours)
    assert str(ours.value) == str(theirs.value).splitlines()[0]
    assert np.array_equal(pair.ours.get_state(), before)  # a refused draw draws nothing


@pytest.mark.parametrize("dtype", FLOATS)
def test_many_draws(dtype: str) -> None:
    pair = Pair(10)
    empty = torch.empty(500_001, dtype=kind(dtype))
    pair.same(pair.ours.normal(500_001, dtype, 0.1, 3), empty.normal_(0.1, 3, generator=pair.theirs))
    pair.same(pair.ours.uniform(500_001, dtype, -0.3, 0.7), empty.uniform_(-0.3, 0.7, generator=pair.theirs))
