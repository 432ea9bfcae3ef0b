"""Files: those that PyTorch 2.13 wrote, in ``golden/files``, and our own."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.serialization import EmptyFileError, LoadError
from chainrule.serialization import archive as archive_
from checkpoints import CASES, again, archive, describe, records, written

pytestmark = pytest.mark.usefixtures("own_generator")
HERE = Path(__file__).parent
FILES = sorted((HERE / "golden" / "files").iterdir())
MODULE_LEVEL = lambda: 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore:.*holds bfloat16")
def test_files_of_pytorch(path: Path) -> None:
    loaded = torch.load(path)
    name = path.name.partition(".")[0].replace("_", " ")
    if name in CASES:
        assert describe(torch, loaded) == describe(torch, CASES[name](torch))
    elif name == "bfloat16":
        exact = (np.arange(6, dtype=np.float32) / np.float32(7)).view(np.uint32)
        exact += 0x7FFF + (exact >> 16 & 1)  # rounded to the upper half, ties to even
        exact &= 0xFFFF0000
        for t, a in zip(loaded, (exact.reshape(2, 3), exact.reshape(2, 3).T), strict=True):
            assert t.dtype is torch.float32
            assert np.array_equal(
                t.numpy().view(np.uint32) if t.is_contiguous() else t.numpy().copy().view(np.uint32), a
            )
    else:
        assert loaded.tolist() == ([1 - 2j, 3 + 4j] if name == "conjugate" else [-2.0, 4.0])


def test_there_are_thirty_files_at_least() -> None:
    assert len(FILES) >= 30


@pytest.mark.parametrize("name", CASES)
def test_round_trip(name: str) -> None:
    value = CASES[name](torch)
    assert describe(torch, again(value)) == describe(torch, value)


@pytest.mark.parametrize("name", ["views", "state dicts"])
def test_paths_files_and_mapped_files(name: str, tmp_path: Path) -> None:
    value = CASES[name](torch)
    expected = describe(torch, value)
    path = tmp_path / "model.tar"
    torch.save(value, path)
    assert describe(torch, torch.load(path)) == expected
    assert describe(torch, torch.load(str(path), mmap=True)) == expected
    with open(path, "rb") as file:
        assert describe(torch, torch.load(file)) == expected
    with open(tmp_path / "behind", "w+b") as file:
        file.write(b"something before")
        torch.save(value, file)
        file.seek(16)
        assert describe(torch, torch.load(file)) == expected
    assert zipfile.ZipFile(path).testzip() is None
    assert {n.partition("/")[0] for n in zipfile.ZipFile(path).namelist()} == {"model"}


def test_writing_to_a_mapped_file_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.arange(3.0), path)
    x = torch.load(path, mmap=True)
    x[0] = 9
    assert x.tolist() == [9, 1, 2]
    torch.save(x, path)  # over the file that it was mapped from
    assert x.tolist() == torch.load(path).tolist() == [9, 1, 2]


def test_part_of_a_mapped_file_is_saved_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(10_000), "b": torch.ones(2)}, path)
    loaded = torch.load(path, mmap=True)
    assert len(written(torch, loaded["b"])) < 5000


def test_numbers_begin_at_multiples_of_64() -> None:
    file = written(torch, [torch.ones(n) for n in range(1, 9)])
    with zipfile.ZipFile(io.BytesIO(file)) as z:
        for info in z.infolist():
            n_name, n_extra = np.frombuffer(file, "<u2", 2, info.header_offset + 26)
            assert (info.header_offset + 30 + int(n_name) + int(n_extra)) % 64 == 0


def test_the_other_byte_order() -> None:
    parts = records(written(torch, [torch.arange(3.0), torch.tensor([1 + 2j]), torch.arange(3, dtype=torch.int16)]))
    other = {"little": b"big", "big": b"little"}[sys.byteorder]
    for name, unit in (("data/0", 4), ("data/1", 4), ("data/2", 2)):
        parts[name] = np.frombuffer(parts[name], f"u{unit}").byteswap().tobytes()
    parts["byteorder"] = other
    a, b, c = torch.load(io.BytesIO(archive(parts)))
    assert (a.tolist(), b.tolist(), c.tolist()) == ([0, 1, 2], [1 + 2j], [0, 1, 2])


def test_memory_that_is_no_storage_is_copied() -> None:
    base = np.arange(12, dtype=np.float32)
    backwards, odd = torch.from_numpy(base[::-1]), torch.from_numpy(np.frombuffer(b"xabcdefgh", np.int64, 1, 1))
    turned = torch.from_numpy(np.asfortranarray(base.reshape(3, 4)))
    a, b, c = again([backwards, odd, turned])
    assert a.tolist() == base[::-1].tolist()
    assert b.tolist() == odd.tolist()
    assert c.tolist() == turned.tolist()
    assert c.stride() == (1, 3)


def test_one_memory_as_two_dtypes() -> None:
    a = np.zeros(4, np.float32)
    with pytest.raises(RuntimeError, match="Cannot save multiple tensors or storages that view the same data"):
        written(torch, [torch.from_numpy(a), torch.from_numpy(a.view(np.int32))])


def test_graphs_are_not_saved() -> None:
    x = torch.ones(2, requires_grad=True)
    y = again(x * 3)
    assert y.requires_grad
    assert y.is_leaf
    assert y.grad_fn is None


def test_models_go_on_from_where_they_were() -> None:
    def made() -> Any:
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(model: Any, optimizer: Any) -> float:
        optimizer.zero_grad()
        loss = (model(torch.tensor([[1.0, 2.0]])) ** 2).sum()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    with torch.random.fork_rng():
        model, optimizer = made()
        step(model, optimizer)
        saved = written(torch, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        other, its = made()
    loaded = torch.load(io.BytesIO(saved))
    other.load_state_dict(loaded["model"])
    its.load_state_dict(loaded["optimizer"])
    assert [step(model, optimizer) for _ in range(3)] == [step(other, its) for _ in range(3)]


# --- errors -------------------------------------------------------------------------------------------------


def test_errors_of_both_families(tmp_path: Path) -> None:
    assert issubclass(LoadError, RuntimeError)
    assert issubclass(LoadError, pickle.UnpicklingError)
    assert issubclass(EmptyFileError, EOFError)
    with pytest.raises(EmptyFileError):
        torch.load(io.BytesIO())
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "none.pt")
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        torch.save(1, tmp_path / "none" / "x.pt")
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        torch.load(io.BytesIO(b"x"), mmap=True)
    with pytest.raises(AttributeError, match="You can only torch.load from a file that is seekable"):
        torch.load(5)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like object"):
        torch.save(1, 5)
    with pytest.raises(ValueError, match="zip format only"):
        torch.save(1, io.BytesIO(), _use_new_zipfile_serialization=False)
    for trusted in (True, False):
        with pytest.raises(RuntimeError, match="pickle_module"):
            torch.load(io.BytesIO(b"x"), pickle_module=pickle, weights_only=trusted)


def test_messages_name_the_file_and_stay_short(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200 + ".pt")
    for data in (b"PK\3\4", b"junk", archive({"data.pkl": b"\x80\x02cposix\n" + b"s" * 500 + b"\n."})):
        path.write_bytes(data)
        with pytest.raises(LoadError) as e:
            torch.load(path)
        assert len(str(e.value)) <= 300
        assert "xxx.pt)" in str(e.value)


def test_what_cannot_be_saved() -> None:
    for value, error in (
        (lambda: 1, AttributeError), (MODULE_LEVEL, pickle.PicklingError), (threading.Lock(), TypeError),
        (2**5000, pickle.PicklingError),
        ((x for x in ()), TypeError),
    ):  # fmt: skip
        with pytest.raises(error):
            written(torch, {"a": value})


def test_recursion() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    around = again(loop)
    assert around[1] is around
    around = again({"self": (loop,)})
    assert around["self"][0][1] is around["self"][0]
    circle: list[Any] = []
    circle.append((circle,))
    with pytest.raises(pickle.PicklingError, match="a tuple that contains itself"):
        written(torch, circle[0])


def test_no_tensors_of_transforms() -> None:
    def f(x: Any) -> Any:
        written(torch, x)
        return x

    with pytest.raises(RuntimeError, match="Cannot access data pointer of Tensor that doesn't have storage"):
        torch.func.vmap(f)(torch.ones(2))


def test_saving_does_not_change_what_is_saved() -> None:
    value = CASES["state dicts"](torch)
    before = describe(torch, copy.deepcopy(value))
    written(torch, value)
    assert describe(torch, value)[0] == before[0]
    assert written(torch, value) == written(torch, value)


def test_ordered_dicts_keep_their_attributes() -> None:
    d: Any = OrderedDict(a=1)
    d.more = {"b": 2}
    assert again(d).more == {"b": 2}


def test_map_location() -> None:
    parts = records(written(torch, torch.ones(2)))
    for there, words in (("gpu", "don't know how to restore data location"), ("cuda:0", "on a CUDA device")):
        mark = b"X" + bytes([len(there), 0, 0, 0]) + there.encode()
        file = archive({**parts, "data.pkl": parts["data.pkl"].replace(b"X\x03\x00\x00\x00cpu", mark)})
        for to in (None, {"other": "cpu"}, lambda storage, where: None):
            with pytest.raises(RuntimeError, match=words):
                torch.load(io.BytesIO(file), map_location=to)
        for to in (
            "cpu",
            torch.device("cpu"),
            {there: "cpu"},
            lambda storage, where: storage,
            lambda storage, where: "cpu",
        ):
            assert torch.load(io.BytesIO(file), map_location=to).tolist() == [1, 1]
    with pytest.raises(TypeError, match="'int' object is not callable"):
        torch.load(io.BytesIO(file), map_location=5)


class Plain:
    """A file that can only be read into new bytes."""

    name = "plain"

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)
        self.read, self.seek, self.tell = self.file.read, self.file.seek, self.file.tell


def test_files_of_few_methods() -> None:
    value = CASES["views"](torch)
    assert describe(torch, torch.load(Plain(written(torch, value)))) == describe(torch, value)

    class Gone(Plain):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self.read = lambda n: b""  # type: ignore[assignment,method-assign]

    with pytest.raises(LoadError, match="the file ended"):
        torch.load(Gone(written(torch, value)))


def test_mapped_files_that_are_cut_off(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.pt", written(torch, torch.ones(100))
    for n in (1, 100, len(whole) - 30):
        path.write_bytes(whole[:n])
        with pytest.raises(LoadError):
            torch.load(path, mmap=True)
    path.write_bytes((HERE / "golden" / "files" / "views.before-1.6.pt").read_bytes())
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(path, mmap=True)


def test_records_and_places_beyond_4_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields for them, from small sizes on."""
    monkeypatch.setattr(archive_, "_LONG", 500)
    value = [torch.arange(n) for n in (3, 1000, 50, 2000)]
    file = written(torch, value)
    assert describe(torch, torch.load(io.BytesIO(file))) == describe(torch, value)
    monkeypatch.undo()
    with pytest.raises(LoadError):
        torch.load(io.BytesIO(file))
