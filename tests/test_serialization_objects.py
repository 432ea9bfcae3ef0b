"""Objects in files: which may be named there, when allowed and how restored, and which are refused."""

from __future__ import annotations

import enum
import io
import pickle
import re
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.serialization import LoadError
from checkpoints import again, archive, records, written

pytestmark = pytest.mark.usefixtures("own_generator")
Point = namedtuple("Point", "x y")


# --- what files may name -------------------------------------------------------------------------------------


def test_other_objects_need_to_be_allowed() -> None:
    value = {"point": Point(1, torch.ones(1)), "default": defaultdict(list, a=[1]), "array": np.arange(3)}
    file = io.BytesIO(written(torch, value))
    with pytest.raises(LoadError, match=r"GLOBAL test_serialization_objects.Point was not an allowed global") as e:
        torch.load(file)
    assert "add_safe_globals" in e.value.__notes__[0]
    file.seek(0)
    names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    assert names == [
        "builtins.list", "collections.defaultdict", "numpy._core.multiarray._reconstruct", "numpy.dtype",
        "numpy.ndarray", "test_serialization_objects.Point",
    ]  # fmt: skip
    reconstruct = np.arange(3).__reduce__()[0]
    allowed = [Point, defaultdict, list, reconstruct, np.ndarray, np.dtype, type(np.dtype("int64"))]
    for trusted in (True, False):
        file.seek(0)
        with torch.serialization.safe_globals(allowed):
            assert torch.serialization.get_safe_globals() == allowed
            loaded = torch.load(file, weights_only=not trusted)
        assert loaded["point"].x == 1
        assert loaded["point"].y.tolist() == [1]
        assert loaded["default"]["new"] == []
        assert loaded["array"].tolist() == [0, 1, 2]
    file.seek(0)
    with pytest.raises(LoadError):
        torch.load(file, weights_only=False)  # trusted, but nothing is allowed by that


def test_allowed_under_another_name() -> None:
    class Mine(torch.Tensor):
        pass

    x = torch.ones(2)
    x.__class__ = Mine
    Mine.__module__, Mine.__qualname__ = "long.ago", "Tensor"
    x.tag = "t"  # type: ignore[attr-defined]
    file = io.BytesIO(written(torch, x))
    with torch.serialization.safe_globals([(Mine, "long.ago.Tensor")]):
        y = torch.load(file)
    assert type(y) is Mine
    assert y.tag == "t"
    with pytest.raises(TypeError, match="Expected second item in tuple to be str"):
        torch.serialization.add_safe_globals([(Mine, 1)])
    assert torch.serialization.get_safe_globals() == []


def test_add_and_clear() -> None:
    try:
        torch.serialization.add_safe_globals([Point])
        assert again(Point(1, 2)) == Point(1, 2)
    finally:
        torch.serialization.clear_safe_globals()
    with pytest.raises(LoadError):
        again(Point(1, 2))


def test_attributes_may_not_hide_what_a_class_has() -> None:
    x = torch.ones(2)
    x.tag = 1  # type: ignore[attr-defined]
    parts = records(written(torch, x))
    parts["data.pkl"] = parts["data.pkl"].replace(b"X\x03\x00\x00\x00tag", b"X\x03\x00\x00\x00sum")
    with pytest.raises(LoadError, match="attribute 'sum' cannot be set"):
        torch.load(io.BytesIO(archive(parts)))


# --- objects of all sorts -----------------------------------------------------------------------------------


def test_objects_of_all_sorts() -> None:
    value = [
        re.compile("a+"),
        Slotted(1, 2),
        Stateful(3),
        SINGLE,
        Simple(4),
        len,
        OSError,
        Colour.RED,
        deque([1, 2], 5),
        defaultdict(int, a=1),
    ]
    allowed = [
        re._compile,
        Slotted,
        Stateful,
        Simple,
        (SINGLE, f"{__name__}.SINGLE"),
        len,
        OSError,
        Colour,
        deque,
        defaultdict,
        int,
    ]
    with torch.serialization.safe_globals([*allowed, (object.__new__, "copyreg.__newobj__")]):
        pattern, slotted, stateful, single, simple, function, error, colour, several, default = again(value)
    assert pattern == value[0]
    assert (slotted.a, slotted.b) == (1, 2)
    assert stateful.got == {"value": 3}
    assert single is SINGLE
    assert simple.value == 4
    assert (function, error, colour) == (len, OSError, Colour.RED)
    assert list(several) == [1, 2]
    assert default["b"] == 0


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int) -> None:
        self.a, self.b = a, b


class Simple:
    def __init__(self, value: int) -> None:
        self.value = value


class Single:
    """Describes itself by the name of the only one."""

    def __reduce__(self) -> str:
        return "SINGLE"


SINGLE = Single()


class Stateful:
    def __init__(self, value: int) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        self.got = state


class Colour(enum.Enum):
    RED = 1


def test_python_2_and_protocol_0_are_told_apart() -> None:
    with pytest.raises(LoadError, match="no file of PyTorch's"):
        torch.load(io.BytesIO(pickle.dumps([1], 0)))
    parts = records(written(torch, 1))
    for data, found in [
        (b"\x80\x02U\x02ab.", "ab"), (b"\x80\x02c__builtin__\nset\n](K\x01e\x85R.", {1}),
        (b"\x80\x04\x95\x03\0\0\0\0\0\0\0\x8f(K\x01K\x02\x90.", {1, 2}), (b"\x80\x04C\x02ab\x94.", b"ab"),
        (b"\x80\x02ccollections\nOrderedDict\n}(K\x01K\x02u\x85R.", OrderedDict({1: 2})),
        (b"\x80\x02ccollections\nOrderedDict\n](K\x01K\x02\x86e\x85R.", OrderedDict({1: 2})),
        (b"\x80\x02cbuiltins\nbytearray\nC\x02ab\x85R.", bytearray(b"ab")), (b"\x80\x02cbuiltins\nbytes\n)R.", b""),
    ]:  # fmt: skip
        assert torch.load(io.BytesIO(archive({**parts, "data.pkl": data}))) == found


def test_names_from_the_stack_are_listed_too() -> None:
    parts = records(written(torch, 1))
    data = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94."
    file = io.BytesIO(archive({**parts, "data.pkl": data}))
    assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == ["os.system"]


def test_objects_with_slots_in_their_state_are_refused() -> None:
    x = torch.ones(2)
    x.tag = 1  # type: ignore[attr-defined]
    parts = records(written(torch, x))
    data = parts["data.pkl"]
    assert data.endswith(b"K\x01utq\x15Rq\x16.") or b"X\x03\x00\x00\x00tag" in data
    start = data.rindex(b"}q")
    for state, words in ((b"}}(X\x01\0\0\0aK\x01u\x86", "has slots"), (b"K\x01", "are not a dict")):
        changed = data[:start] + state + b"tR."
        with pytest.raises(LoadError, match=words):
            torch.load(io.BytesIO(archive({**parts, "data.pkl": changed})))
    loaded = torch.load(io.BytesIO(archive({**parts, "data.pkl": data[:start] + b"}(X\x03\0\0\0tagK\x05uN\x86tR."})))
    assert loaded.tag == 5
