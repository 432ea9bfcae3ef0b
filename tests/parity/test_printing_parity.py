"""Seeded random tensors, printed by chainrule and by PyTorch: every character must agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import printing

torch = pytest.importorskip("torch")
torch_printing = pytest.importorskip("torch._tensor_str")

Array = np.ndarray[Any, Any]

INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
DTYPES = ["bool", *INTEGERS, *FLOATS, *COMPLEX]

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e-4, 1e8, 1e-5, 5e-324, 1e300])
SMALL = [(), (0,), (0, 3), (2, 0, 2), (1,), (1, 1, 1), (7, 1), (1, 30), (2, 3, 4), (2, 1, 3, 2)]
LARGE = [(1000,), (1001,), (1, 1200), (1200, 1), (7, 6, 30), (7, 143), (2, 40, 20), (2, 4, 5, 6, 7)]
SHAPES: list[tuple[int, ...]] = [*SMALL, *LARGE]


@pytest.fixture(autouse=True)
def default_settings() -> Iterator[None]:
    yield
    printing.set_printoptions(profile="default")
    torch_printing.set_printoptions(profile="default")
    torch.set_default_dtype(torch.float32)


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    kind = rng.random()
    if kind < 0.3:
        return SHAPES[rng.integers(len(SHAPES))]
    if kind < 0.6:
        return (int(rng.integers(1, 60)),)
    return tuple(rng.integers(1, 9, size=rng.integers(2, 5)).tolist())


def random_floats(rng: np.random.Generator, n: int) -> Array:
    """Values that reach every branch: whole or not, near each threshold, wide, tiny, special."""
    kind = rng.integers(7)
    if kind == 0:
        values = rng.integers(-20, 20, n).astype(float)
    elif kind == 1:
        values = rng.normal(size=n) * 10.0 ** rng.integers(-8, 10)
    elif kind == 2:
        values = rng.normal(size=n) * 10.0 ** rng.uniform(-5, 5, n)
    elif kind == 3:
        values = 10.0 ** rng.integers(-4, 9, n) * rng.choice([1.0, -1.0, 0.999999, 9.99995], n)
    elif kind == 4:
        values = rng.choice(SPECIAL[: rng.integers(1, len(SPECIAL) + 1)], n)
    elif kind == 5:
        values = np.floor(rng.uniform(-1, 1, n) * 10.0 ** rng.integers(1, 12))
    else:
        values = 10.0 ** rng.uniform(-300, 300, n) * rng.choice([1.0, -1.0], n)
    if rng.random() < 0.25:
        values = np.where(rng.random(n) < 0.2, rng.choice(SPECIAL[:7], n), values)
    return values


def random_array(rng: np.random.Generator) -> Array:
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))])
    shape = random_shape(rng)
    n = int(np.prod(shape))
    flat: Array
    if dtype.kind == "b":
        flat = rng.random(n) < rng.choice([0.0, 0.5, 1.0])
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        reach = int(min(info.max, 10 ** int(rng.integers(1, 20))))
        flat = rng.integers(max(info.min, -reach), reach, n, dtype=dtype, endpoint=True)
    else:
        flat = random_floats(rng, n)
        with np.errstate(over="ignore"):
            if dtype.kind == "c":
                both = np.stack([flat, random_floats(rng, n)], axis=-1).astype(f"f{dtype.itemsize // 2}")
                flat = both.view(dtype)[:, 0]
            flat = flat.astype(dtype)
    return flat.reshape(shape)


def random_options(rng: np.random.Generator) -> dict[str, Any]:
    """Mostly PyTorch's defaults, else a profile with some of its options overridden."""
    if rng.random() < 0.4:
        return {"profile": "default"}
    choices: dict[str, list[Any]] = {
        "precision": [0, 1, 2, 8, 20],
        "threshold": [-1, 0, 1, 5, 50, 1000, float("inf")],
        "edgeitems": [0, 1, 2, 5, 40],
        "linewidth": [1, 20, 40, 79, 120, 1000],
        "sci_mode": [True, False],
    }
    options: dict[str, Any] = {"profile": ["default", "short", "full"][rng.integers(3)]}
    for name, values in choices.items():
        if rng.random() < 0.3:
            options[name] = values[rng.integers(len(values))]
    return options


def compare(seed: int) -> tuple[str, str, dict[str, Any]]:
    """One random case: chainrule's text, PyTorch's text and what they were asked for."""
    rng = np.random.default_rng(seed)
    array, options = random_array(rng), random_options(rng)
    if array.ndim > 1 and rng.random() < 0.2:
        array = array.T
    default = str(rng.choice(["float32", "float64", "float16"], p=[0.6, 0.3, 0.1]))
    prefix = "tensor("

    tensor = torch.from_numpy(array)
    wants: dict[str, Any] = {}
    if array.dtype.kind in "fc" and rng.random() < 0.6:
        tensor = tensor.detach().requires_grad_()
        wants["requires_grad"] = True
        if rng.random() < 0.5:
            tensor = tensor.clone()
            wants["grad_fn_name"] = "CloneBackward0"
    if not wants and rng.random() < 0.1:
        prefix = "LongerName("
        tensor = tensor.as_subclass(type("LongerName", (torch.Tensor,), {}))

    torch.set_default_dtype(getattr(torch, default))
    for module in (printing, torch_printing):
        module.set_printoptions(profile="default")
        module.set_printoptions(**options)
    ours = printing.format_tensor(array, default_dtype_name=default, prefix=prefix, **wants)
    case = {"shape": array.shape, "dtype": array.dtype.name, "default": default, **options, **wants}
    return ours, repr(tensor), case


@pytest.mark.parametrize("seed", range(400))
def test_random_tensor_prints_as_in_torch(seed: int) -> None:
    ours, theirs, case = compare(seed)
    assert ours == theirs, case


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_dtype_and_shape_prints_as_in_torch(dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)) % 11).astype(dtype).reshape(shape)
    assert printing.format_tensor(array) == repr(torch.from_numpy(array))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("limit", [1e-4, 1e8, 1.0, 10.0, 99.99995, 1e3, 0.00005])
def test_notation_changes_at_the_same_value(dtype: str, limit: float) -> None:
    with np.errstate(over="ignore"):
        at = np.array([limit]).astype(dtype)[0]
        for x in (np.nextafter(at, at.dtype.type(0)), at, np.nextafter(at, at.dtype.type(np.inf))):
            for values in ([x], [-x], [x, x * 1000], [-x, 1000], [np.nan, 0, x]):
                array = np.array(values).astype(dtype)
                assert printing.format_tensor(array) == repr(torch.from_numpy(array))


@pytest.mark.parametrize("width", range(10, 90, 3))
def test_suffixes_wrap_at_the_same_column(width: int) -> None:
    for module in (printing, torch_printing):
        module.set_printoptions(linewidth=width)
    for n in range(12):
        array = np.linspace(0.0, 1.0, n)
        tensor = torch.from_numpy(array).requires_grad_()
        assert printing.format_tensor(array, requires_grad=True) == repr(tensor)


@pytest.mark.parametrize("bits", range(0, 1 << 16, 1 << 12))
def test_every_half_prints_as_in_torch(bits: int) -> None:
    array = np.arange(bits, bits + (1 << 12), dtype=np.uint16).view(np.float16)
    for module in (printing, torch_printing):
        module.set_printoptions(profile="full")
    assert printing.format_tensor(array) == repr(torch.from_numpy(array))


@pytest.mark.parametrize("seed", range(50))
def test_set_printoptions_leaves_the_same_options(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(4):
        options = random_options(rng)
        if rng.random() < 0.3:
            options["profile"] = [None, "no such profile"][rng.integers(2)]
        printing.set_printoptions(**options)
        torch_printing.set_printoptions(**options)
        assert printing.get_printoptions() == torch_printing.get_printoptions()
