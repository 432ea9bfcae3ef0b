"""Copies, pickles, other libraries' memory, Python's buffers; with PyTorch on the other side where it is there."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T  # noqa: F401  the fixture: chainrule, and PyTorch where it is installed

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")  # PyTorch's
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "float64", "complex64", "complex128"]  # fmt: skip


def errors(f: Any) -> tuple[str, str]:
    with pytest.raises(Exception) as e:
        f()
    return type(e.value).__name__, str(e.value).splitlines()[0]


# --- copies ------------------------------------------------------------------------------------------------


def test_deep_copies_share_what_was_shared(T: Any) -> None:  # noqa: F811
    x = T.arange(12.0)
    views = {"all": x, "part": x[3:], "turned": x.reshape(3, 4).t(), "every other": x[::2], "apart": T.arange(12.0)}
    copies = copy.deepcopy(views)
    assert [c.stride() for c in copies.values()] == [v.stride() for v in views.values()]
    copies["all"][4] = 99
    assert copies["part"][1] == copies["turned"][0, 1] == copies["every other"][2] == 99
    assert copies["apart"][4] == x[4] == 4


def test_deep_copies_of_leaves(T: Any) -> None:  # noqa: F811
    x = T.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    x.tag = [1]
    y = copy.deepcopy([x, x])[0]
    assert y.requires_grad
    assert y.grad.tolist() == [3, 3]
    assert y.tag == [1]
    assert y.tag is not x.tag
    y.grad[0] = 7
    assert x.grad.tolist() == [3, 3]
    a, b = copy.deepcopy([x, x])
    assert a is b


def test_only_leaves_are_copied_deeply(T: Any) -> None:  # noqa: F811
    name, words = errors(lambda: copy.deepcopy(T.ones(2, requires_grad=True) * 2))
    assert name == "RuntimeError"
    assert words.startswith("Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol")


def test_deep_copies_of_memory_with_gaps_or_backwards() -> None:
    base = np.arange(12.0).reshape(3, 4)
    for a in (base[:, ::-1], base[::2, 1:3], np.broadcast_to(base[0], (3, 4)), base.T):
        x = torch.from_numpy(a)
        y = copy.deepcopy(x)
        assert y.tolist() == x.tolist()
        assert not np.shares_memory(x.numpy(), y.numpy())


def test_shallow_copies_share_memory(T: Any) -> None:  # noqa: F811
    x = T.arange(3.0)
    x.tag = "t"
    y = copy.copy(x)
    y[0] = 5
    assert x[0] == 5
    assert y.tag == "t"
    assert y is not x


def test_pickles(T: Any) -> None:  # noqa: F811
    x = T.arange(6.0).reshape(2, 3).t().requires_grad_()
    x.grad, x.tag = T.ones(3, 2), "t"
    for value in (x, T.nn.Parameter(T.ones(2)), T.tensor(3), T.zeros(0, 2), T.float32, T.Size([1, 2]), T.device("cpu")):
        for protocol in (2, 5):
            y = pickle.loads(pickle.dumps(value, protocol))
            assert type(y) is type(value)
            assert y is value if value is T.float32 else repr(y) == repr(value)
    y = pickle.loads(pickle.dumps(x))
    assert (y.grad, y.tag, y.stride(), y.requires_grad) == (None, "t", (1, 3), True)
    assert pickle.loads(pickle.dumps(x * 2)).is_leaf


# --- NumPy -------------------------------------------------------------------------------------------------


def test_arrays_from_tensors(T: Any) -> None:  # noqa: F811
    x = T.arange(6.0).reshape(2, 3)
    for a in (np.asarray(x), x.numpy(), np.asarray(x.t()).T):
        assert np.shares_memory(a, x.numpy())
    assert not np.shares_memory(np.array(x), x.numpy())
    assert np.asarray(x, dtype=np.int32).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert errors(lambda: np.asarray(T.ones(1, requires_grad=True)))[0] == "RuntimeError"


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_numpy_shares(T: Any, dtype: str) -> None:  # noqa: F811
    a = np.arange(6).astype(dtype).reshape(2, 3)
    for b in (a, a.T, a[:, 1:], a[:0]):
        x = T.from_numpy(b)
        assert str(x.dtype) == f"torch.{dtype}"
        assert tuple(x.shape) == b.shape
        assert np.array_equal(x.numpy(), b)
        if b.size:
            assert np.shares_memory(x.numpy(), a)


def test_from_numpy_errors(T: Any) -> None:  # noqa: F811
    assert errors(lambda: T.from_numpy([1])) == ("TypeError", "expected np.ndarray (got list)")
    name, words = errors(lambda: T.from_numpy(np.ones(2, dtype=np.dtype("f4").newbyteorder())))
    assert name == "ValueError"
    assert words.startswith("given numpy array has byte order different from the native byte order.")
    assert errors(lambda: T.from_numpy(np.array(["a"])))[1].startswith("can't convert np.ndarray of type numpy.")


# --- DLPack ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_there_and_back(T: Any, dtype: str) -> None:  # noqa: F811
    x = T.arange(6).to(getattr(T, dtype)).reshape(2, 3)
    for y in (x, x.t(), x[:, 1]):
        a = np.from_dlpack(y)
        assert np.shares_memory(a, x.numpy())
        for z in (T.from_dlpack(a), T.from_dlpack(y), T.utils.dlpack.from_dlpack(T.utils.dlpack.to_dlpack(y))):
            assert z.dtype == y.dtype
            assert z.stride() == y.stride()
            assert np.shares_memory(z.numpy(), x.numpy())
            assert np.array_equal(z.numpy(), y.numpy())


def test_dlpack_writes_are_seen_on_both_sides(T: Any) -> None:  # noqa: F811
    a = np.zeros(3)
    x = T.from_dlpack(a)
    x[0], a[1] = 5, 6
    assert a.tolist() == x.tolist() == [5, 6, 0]
    y = T.from_dlpack(a, copy=True)
    y[2] = 7
    assert a[2] == 0


def test_dlpack_errors(T: Any) -> None:  # noqa: F811
    x = T.ones(2)
    assert errors(lambda: T.ones(2, requires_grad=True).__dlpack__()) == (
        "BufferError", "Can't export tensors that require gradient, use tensor.detach()",
    )  # fmt: skip
    assert errors(lambda: x.__dlpack__(stream=1)) == ("AssertionError", "stream should be None on cpu.")
    assert tuple(int(n) for n in x.__dlpack_device__()) == (1, 0)
    used = T.utils.dlpack.to_dlpack(x)
    T.from_dlpack(used)
    for what in (used, 5):
        name, words = errors(lambda what=what: T.from_dlpack(what))
        assert name == "RuntimeError"
        assert words.startswith("from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed")


def test_dlpack_with_other_libraries() -> None:
    theirs = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    y = theirs.from_dlpack(x)
    y[0, 0] = 9
    assert x[0, 0] == 9
    z = torch.from_dlpack(y.t())
    assert z.stride() == (1, 3)
    z[1, 1] = 8
    assert x[1, 1] == 8
    assert theirs.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x)).tolist() == x.tolist()
    assert torch.utils.dlpack.from_dlpack(theirs.utils.dlpack.to_dlpack(y)).tolist() == x.tolist()


def test_dlpack_with_jax() -> None:
    jnp = pytest.importorskip("jax.numpy")
    x = torch.arange(3.0)
    assert jnp.from_dlpack(x).tolist() == [0, 1, 2]
    assert torch.from_dlpack(jnp.arange(3)).tolist() == [0, 1, 2]


# --- buffers -----------------------------------------------------------------------------------------------


def test_frombuffer(T: Any) -> None:  # noqa: F811
    data = bytearray(np.arange(4, dtype=np.int16).tobytes())
    x = T.frombuffer(data, dtype=T.int16)
    assert x.tolist() == [0, 1, 2, 3]
    x[0] = 7
    assert data[0] == 7
    assert T.frombuffer(data, dtype=T.int16, offset=2, count=2).tolist() == [1, 2]
    assert T.frombuffer(bytearray(8), dtype=T.float64, requires_grad=True).requires_grad
    for how, words in [
        ({"dtype": T.int8, "count": 0}, "both buffer length (8) and count (0) must not be 0"),
        ({"dtype": T.int8, "offset": 8}, "offset (8 bytes) must be non-negative and no greater than buffer length"),
        ({"dtype": T.int8, "offset": -1}, "offset (-1 bytes) must be non-negative"),
        ({"dtype": T.int32, "offset": 1}, "buffer length (7 bytes) after offset (1 bytes) must be a multiple of"),
        ({"dtype": T.int32, "count": 3}, "requested buffer length (3 * 4 bytes) after offset (0 bytes) must not be"),
    ]:  # fmt: skip
        name, said = errors(lambda how=how: T.frombuffer(data, **how))
        assert name == "ValueError"
        assert said.startswith(words)
    assert errors(lambda: T.frombuffer(5, dtype=T.int8)) == (
        "ValueError", "object does not implement Python buffer protocol.",
    )  # fmt: skip
