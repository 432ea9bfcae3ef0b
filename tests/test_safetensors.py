"""Safetensors files, to and from the library's own functions."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

reference = pytest.importorskip("safetensors.numpy")
safetensors = pytest.importorskip("safetensors")

import chainrule as torch
from chainrule.serialization import LoadError
from chainrule.serialization.safetensors import load, load_file, save, save_file
from checkpoints import DTYPES
from test_hostile_files import MUTANTS, mutants

ALL = {d: torch.arange(6).reshape(2, 3).to(getattr(torch, d)) for d in DTYPES if d != "complex128"}
MORE = {**ALL, "empty": torch.zeros(0, 3), "number": torch.tensor(2.5)}


def same(a: Any, b: Any) -> None:
    assert set(a) == set(b)
    for name in a:
        x, y = np.asarray(a[name]), np.asarray(b[name])
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


def test_to_and_fro(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(MORE, path, {"made": "here"})
    same(load_file(path), MORE)
    same(reference.load_file(path), MORE)
    same(load(path.read_bytes()), MORE)
    with safetensors.safe_open(path, framework="numpy") as f:
        assert f.metadata()["made"] == "here"
    arrays = {name: t.numpy() for name, t in MORE.items()}
    reference.save_file(arrays, path, {"made": "there"})
    same(load_file(path), MORE)
    same(load(reference.save(arrays)), MORE)
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_mapped_numbers_can_be_written_to(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "x")
    a = load_file(tmp_path / "x")["a"]
    a[0] = 5
    assert a.tolist() == [5, 0, 0]
    assert load_file(tmp_path / "x")["a"].tolist() == [0, 0, 0]
    save_file({"a": a}, tmp_path / "x")
    assert load_file(tmp_path / "x", device="cpu")["a"].tolist() == [5, 0, 0]


def test_errors(tmp_path: Path) -> None:
    x = torch.arange(6.0)
    for tensors, error, words in [
        ({"a": x, "b": x[1:]}, RuntimeError, "Some tensors share memory"),
        ({"a": x.reshape(2, 3).t()}, ValueError, "You are trying to save a non contiguous tensor: `a`"),
        ({"a": 1}, ValueError, "Key `a` is invalid, expected torch.Tensor but received <class 'int'>"),
        ([x], ValueError, "Expected a dict"),
        ({"a": x.to(torch.complex128)}, ValueError, "the format has no torch.complex128"),
    ]:  # fmt: skip
        with pytest.raises(error, match=words):
            save(tensors)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "none")
    with pytest.raises(LoadError):
        load(b"nothing")
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        load_file(tmp_path / "none", device="cuda")


def test_mutants_of_our_files_are_refused_or_the_same(tmp_path: Path) -> None:
    file = save(MORE, {"made": "here"})
    refused = 0
    for i, mutant in enumerate(mutants(file, MUTANTS // 3, seed=4)):
        path = tmp_path / str(i)
        path.write_bytes(mutant)
        for loading in (lambda m=mutant: load(m), lambda p=path: load_file(p)):
            try:
                found = loading()
            except LoadError:
                refused += 1
            else:
                same(found, MORE)
    assert refused > MUTANTS // 3


def test_mutants_of_foreign_files_are_taken_as_the_library_takes_them(tmp_path: Path) -> None:
    file = reference.save({name: t.numpy() for name, t in MORE.items()})
    for i, mutant in enumerate(mutants(file, MUTANTS // 3, seed=5)):
        path = tmp_path / str(i)
        path.write_bytes(mutant)
        try:
            expected = reference.load_file(path)
        except safetensors.SafetensorError:
            with pytest.raises(LoadError):
                load_file(path)
        except KeyError:  # a dtype that NumPy has not
            pass
        else:
            same(load_file(path), expected)


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    header += b" " * (-len(header) % 8)
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + b"\x80\x3f\x20\xc0")
    with pytest.warns(UserWarning, match="holds bfloat16"):
        assert load_file(tmp_path / "x")["x"].tolist() == [1, -2.5]


def test_dtypes_that_numpy_has_not(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    header += b" " * (-len(header) % 8)
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + b"ab")
    with pytest.raises(LoadError, match="'x' is F8_E4M3, which NumPy has not"):
        load_file(tmp_path / "x")


def test_saved_by_pytorch() -> None:
    theirs = pytest.importorskip("torch")
    torch_side = pytest.importorskip("safetensors.torch")
    tensors = {"a": theirs.arange(6.0).reshape(2, 3), "b": theirs.ones(3, dtype=theirs.int16)}
    same({k: v.numpy() for k, v in tensors.items()}, load(torch_side.save(tensors)))
    back = torch_side.load(save({k: torch.from_numpy(v.numpy()) for k, v in tensors.items()}))
    assert all(theirs.equal(back[k], v) for k, v in tensors.items())


def test_a_state_dict_of_a_model() -> None:
    with torch.random.fork_rng():
        a, b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    file = io.BytesIO(save(a.state_dict()))
    b.load_state_dict(load(file.getvalue()))
    assert torch.equal(a.weight, b.weight)
