"""PyTorch 2.13's streams, as recorded: these digits were printed by torch, not by chainrule."""

import copy
import hashlib
import os
import pickle
import signal
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import chainrule as torch
from chainrule import random
from chainrule.random import Generator, fill


def at(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def digest(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def equal(ours: npt.NDArray[Any], digits: list[float]) -> None:
    """The recorded digits identify a float16 or float32; float64 may differ with the C library."""
    recorded = np.array(digits, ours.dtype)
    if ours.dtype == np.float64:
        np.testing.assert_allclose(ours, recorded, rtol=1e-15, atol=0)
    else:
        np.testing.assert_array_equal(ours, recorded)


def test_uniform() -> None:
    equal(at(0).uniform(4, "float32"), [0.4962566, 0.7682218, 0.08847743, 0.13203049])
    equal(at(0).uniform((2, 2), "float16").ravel(), [0.4963, 0.768, 0.0885, 0.1321])
    equal(at(0).uniform(3, "float64"), [0.9700530018065531, 0.707819864399788, 0.45938294312745087])
    equal(at(5).uniform(3, "float32", -0.1, 0.3), [0.23210075, -0.049555637, 0.26298788])
    equal(
        at(5).uniform(3, "float64", -0.1, 0.3),
        [0.15680600265123765, 0.003903166070526121, 0.0443310477708617],
    )


def test_normal() -> None:
    equal(at(0).normal(5, "float32"), [1.5409961, -0.2934289, -2.1787894, 0.56843126, -1.0845224])
    equal(
        at(0).normal((4, 4), "float32").ravel(),
        [-1.1258398, -1.1523602, -0.25057858, -0.4338788, 0.84871036, 0.69200915, -0.31601277, -2.1152194,
         0.32227492, -1.2633348, 0.3499832, 0.30813393, 0.11984151, 1.2376579, 1.1167772, -0.24727815],
    )  # fmt: skip
    equal(at(0).normal(17, "float32")[-3:], [0.94629836, -0.84367675, 0.9318266])
    equal(at(0).normal(17, "float16")[-3:], [1.586, 0.9463, -0.8438])
    equal(at(0).normal(3, "float64"), [1.5409961082440433, -0.2934289057609464, -2.1787893820745574])
    equal(
        at(0).normal(20, "float64")[[0, 8, -1]],
        [-2.310411800234176, 0.23871805816817063, -0.7498915228391941],
    )
    equal(at(2).normal(16, "float32", 0.3, 1.7)[:3], [-1.469362, 1.8582271, -1.9171237])


def test_integers() -> None:
    assert at(0).randint(-5, 100, 6).tolist() == [69, 19, 93, 25, 38, 4]
    assert at(0).randint(0, 2**40, 3).tolist() == [741280623151, 506137267392, 291447657211]
    assert at(0).integers(3, "int64").tolist() == [
        900450186894289455, 3969543146641149120, 1895649597198586619
    ]  # fmt: skip
    assert at(0).randperm(10).tolist() == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
    assert digest(at(0).randperm(1000)) == "cee4a88ef6120e8e"


def test_bernoulli_and_exponential() -> None:
    assert at(0).bernoulli(0.3, 12).nonzero()[0].tolist() == [6, 9, 11]
    assert at(0).bernoulli(np.full(12, 0.3, np.float32)).nonzero()[0].tolist() == [2, 3]
    assert at(0).bernoulli(np.full(12, 0.3)).nonzero()[0].tolist() == [6, 9, 11]
    equal(at(0).exponential(3, "float64", 2), [1.754163093353821, 0.6151923820898384, 0.30752204694700574])
    equal(at(0).exponential(3, "float16", 2), [1.754, 0.615, 0.3076])


@pytest.mark.parametrize(
    ("dtype", "uniform", "normal", "scaled"),
    [
        ("float16", "4298a14d7c4590e2", "91a2bf85b3fc267f", "80f7bec6ad4a8d65"),
        ("float32", "aab492f998876a34", "9a04d411a9c4ed67", "0f8de48576b05716"),
        ("float64", "87b4ea827d432f48", None, None),
    ],
)
def test_ten_thousand_bit_for_bit(dtype: str, uniform: str, normal: str | None, scaled: str | None) -> None:
    assert digest(at(11).uniform(10_007, dtype)) == uniform
    if normal:  # float64 logarithms are the C library's
        assert digest(at(11).normal(10_007, dtype)) == normal
        assert digest(at(11).normal(10_007, dtype, 0.1, 3)) == scaled


def test_seeds_count_modulo_two_to_the_64_and_draw_modulo_two_to_the_32() -> None:
    for seed, initial, first in [
        (-1, 2**64 - 1, 0.9937994),
        (2**64 - 1, 2**64 - 1, 0.9937994),
        (2**32 + 1, 2**32 + 1, 0.7576316),
    ]:
        assert at(seed).initial_seed() == initial
        equal(at(seed).uniform(1, "float32"), [first])


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match="Overflow when unpacking long long"):
        at(seed)


@pytest.mark.parametrize("seed", [3.7, True, "5", None])
def test_seed_of_the_wrong_type(seed: Any) -> None:
    with pytest.raises(RuntimeError, match="manual_seed expected a long, but got"):
        at(seed)


def test_state_bytes() -> None:
    generator = at(0)
    assert digest(generator.get_state().numpy()) == "1ccf17250133dec5"
    generator.uniform(624, "float32")
    assert digest(generator.get_state().numpy()) == "484720ea4ef85e46"
    generator = at(0)
    generator.uniform(10, "float32")
    generator.normal(1, "float64")
    state = generator.get_state().numpy()
    assert state.dtype == np.uint8
    assert state.shape == (5056,)
    equal(state[5024:5032].view(np.float64), [-0.6064511869240653])
    state[5024:5032] = 0  # its last bit is the C library's
    assert digest(state) == "4060caf745c6d90c"


@pytest.mark.parametrize("words", [0, 1, 623, 624, 625])
def test_a_state_continues_the_stream(words: int) -> None:
    generator = at(3)
    generator.uniform(words, "float32")
    generator.normal(1, "float32")  # leaves a spare normal behind
    others = [
        Generator().set_state(generator.get_state()),
        pickle.loads(pickle.dumps(generator)),
        copy.deepcopy(generator),
    ]
    expected = [generator.normal(1, "float32"), generator.uniform(1000, "float64")]
    for other in others:
        assert other.initial_seed() == 3
        for one in expected:
            draw = other.normal(1, "float32") if one.size == 1 else other.uniform(1000, "float64")
            np.testing.assert_array_equal(draw, one)


def test_a_refused_state_changes_nothing() -> None:
    generator = at(3)
    before = generator.get_state().numpy()
    for bad in (
        torch.zeros(5056, dtype=torch.uint8),
        torch.zeros(5055, dtype=torch.uint8),
        torch.zeros(5056),
        before,
        None,
    ):
        with pytest.raises((RuntimeError, TypeError)):
            generator.set_state(bad)  # type: ignore[arg-type]
    np.testing.assert_array_equal(generator.get_state(), before)


def test_a_spare_normal_outlives_everything_but_a_seed() -> None:
    first, second = at(0).normal(2, "float64")
    generator = at(0)
    assert generator.normal(1, "float64")[0] == first
    generator.normal(16, "float32")
    generator.uniform(5, "float32")
    assert generator.normal((), "float64") == second
    generator.normal(1, "float64")
    assert generator.manual_seed(0).normal(1, "float64")[0] == first


def test_fill_goes_along_memory() -> None:
    target = np.zeros((5, 4, 3), np.float32).transpose(2, 0, 1)[:, ::2]
    assert fill(target, lambda shape: at(1).uniform(shape, "float32")) is target
    np.testing.assert_array_equal(target.transpose(1, 2, 0), at(1).uniform((3, 4, 3), "float32"))
    serial = fill(np.zeros((4, 4), np.float32).T, lambda shape: at(0).normal(shape, "float32", serial=True))
    equal(serial[:, 0], [1.5409961, -0.2934289, -2.1787894, 0.56843126])


def test_shapes() -> None:
    generator = at(0)
    cases: list[tuple[Any, tuple[int, ...]]] = [((), ()), (3, (3,)), ([2, 0], (2, 0)), ((2, 3, 9), (2, 3, 9))]
    for shape, dims in cases:
        draws = [
            generator.uniform(shape, "float32"), generator.normal(shape, "float16"),
            generator.normal(shape, "float64", serial=True), generator.exponential(shape, "float64"),
            generator.randint(0, 9, shape), generator.bernoulli(0.5, shape),
            generator.bernoulli(np.float64(0.5) + np.zeros(dims), shape),
        ]  # fmt: skip
        for draw in draws:
            assert isinstance(draw, np.ndarray)
            assert draw.shape == dims


def test_an_empty_draw_draws_nothing() -> None:
    generator = at(0)
    for n in (0, (3, 0)):
        generator.uniform(n, "float32"), generator.normal(n, "float64"), generator.randint(0, 5, n)
    generator.randperm(0), generator.randperm(1)
    np.testing.assert_array_equal(generator.get_state(), at(0).get_state().numpy())


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda g: g.uniform(3, "float32", 1, 0), r"found from=1 > to=0"),
        (lambda g: g.uniform(3, "float16", 0, 1e5), r"to is out of bounds for c10::Half"),
        (lambda g: g.uniform(3, "float32", -3e38, 3e38), r"uniform_ expects to-from <= "),
        (lambda g: g.normal(3, "float32", 0, -1), r"normal expects std >= 0.0, but found std -1"),
        (lambda g: g.exponential(3, "float32", 0), r"lambda > 0.0, but found lambda=0"),
        (lambda g: g.bernoulli(2, 3), r"expects p to be in \[0, 1\], but got p=2"),
        (lambda g: g.bernoulli(np.array([0.5, np.nan])), r"Expected p_in >= 0 && p_in <= 1"),
        (lambda g: g.randint(5, 5, 3), r"got from=5 >= to=5"),
        (lambda g: g.randint(0, 300, 3, "uint8"), r"to - 1 is out of bounds for unsigned char"),
        (lambda g: g.randint(-1, 3, 3, "bool"), r"from is out of bounds for bool"),
        (lambda g: g.randint(0, 2, 3, "complex64"), r"handles only integral, floating-point and boolean"),
        (lambda g: g.randperm(-1), r"negative dimension -1"),
        (lambda g: g.randperm(257, "uint8"), r"value cannot be converted to type uint8_t without overflow"),
        (lambda g: Generator("cuda"), r"Cannot get CUDA generator without ATen_cuda library"),
    ],
)
def test_errors(draw: Any, message: str) -> None:
    generator = at(0)
    with pytest.raises(RuntimeError, match=message):
        draw(generator)
    np.testing.assert_array_equal(generator.get_state(), at(0).get_state().numpy())


def test_integer_dtypes_have_no_uniform_or_normal() -> None:
    for draw in (Generator().uniform, Generator().normal, Generator().exponential):
        with pytest.raises(RuntimeError):
            draw(3, "int64")


def test_the_default_generator() -> None:
    before = random.default_generator.get_state()
    try:
        assert random.manual_seed(3.9) is random.default_generator  # type: ignore[arg-type]
        assert random.initial_seed() == 3
        equal(random.default_generator.uniform(1, "float32"), [0.004263520240783691])
        assert random.seed() == random.initial_seed() != random.seed()
    finally:
        random.default_generator.set_state(before)


def test_threads_share_a_generator_without_losing_or_repeating_a_draw() -> None:
    """Long draws come in slices, and normals leave a spare: both rest on the lock."""
    generator = at(9)
    uniforms: list[bytes] = []
    normals: list[float] = []

    def in_threads(work: Any) -> None:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    in_threads(lambda: uniforms.extend(generator.uniform(100_000, "float32").tobytes() for _ in range(20)))
    in_threads(lambda: normals.extend(float(generator.normal((), "float64")) for _ in range(2000)))
    alone = at(9)
    assert set(uniforms) == {alone.uniform(100_000, "float32").tobytes() for _ in range(80)}
    assert sorted(normals) == sorted(alone.normal(8000, "float64", serial=True).tolist())
    np.testing.assert_array_equal(generator.get_state(), alone.get_state().numpy())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_process_forked_in_the_middle_of_a_draw_can_draw() -> None:
    with random.default_generator._lock:
        child = os.fork()
        if not child:
            try:
                random.default_generator.uniform(3, "float32")
            finally:
                os._exit(0)
    for _ in range(200):
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("it waits for ever")
