"""Files from PyTorch loaded here, and files from here loaded by PyTorch, which trusts them no more than any other."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import chainrule
from checkpoints import CASES, archive, describe, records, written

pytestmark = pytest.mark.usefixtures("own_generator")


@pytest.mark.parametrize("name", CASES)
def test_to_and_fro(name: str) -> None:
    theirs, ours = CASES[name](torch), CASES[name](chainrule)
    expected = describe(torch, torch.load(io.BytesIO(written(torch, theirs)), weights_only=True))
    assert describe(chainrule, chainrule.load(io.BytesIO(written(torch, theirs)))) == expected
    assert describe(torch, torch.load(io.BytesIO(written(chainrule, ours)), weights_only=True)) == expected
    assert describe(chainrule, chainrule.load(io.BytesIO(written(chainrule, ours)))) == expected


@pytest.mark.parametrize("name", CASES)
def test_the_format_before(name: str) -> None:
    if name in ("dtype uint16", "dtype uint32", "dtype uint64"):
        pytest.skip("PyTorch writes these, and cannot read them")
    theirs = CASES[name](torch)
    file = written(torch, theirs, _use_new_zipfile_serialization=False)
    assert describe(chainrule, chainrule.load(io.BytesIO(file))) == describe(
        torch, torch.load(io.BytesIO(file), weights_only=True)
    )


@pytest.mark.parametrize("name", ["views", "state dicts", "dtype uint16", "containers"])
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_other_protocols(name: str, protocol: int) -> None:
    file = written(torch, CASES[name](torch), pickle_protocol=protocol)
    assert describe(chainrule, chainrule.load(io.BytesIO(file))) == describe(
        torch, torch.load(io.BytesIO(file), weights_only=False)
    )


def test_mapped_files(tmp_path: Path) -> None:
    path = tmp_path / "views.pt"
    torch.save(CASES["views"](torch), path)
    ours = chainrule.load(path, mmap=True)
    assert describe(chainrule, ours) == describe(torch, torch.load(path, mmap=True))
    ours["all"][0] = 9  # which stays here
    assert ours["matrix"][0, 0] == 9
    assert chainrule.load(path)["all"][0] == 0


def test_bfloat16_becomes_float32() -> None:
    theirs = torch.randn(5, 3).bfloat16()
    with pytest.warns(UserWarning, match="holds bfloat16, which NumPy has not"):
        ours = chainrule.load(io.BytesIO(written(torch, [theirs, theirs.t()])))
    for a, b in zip(ours, [theirs, theirs.t()], strict=True):
        assert a.dtype is chainrule.float32
        assert np.array_equal(a.numpy(), b.float().numpy())
        assert a.stride() == b.stride()


def test_conjugates_and_negatives() -> None:
    z = torch.tensor([1 + 2j, 3 - 4j])
    for theirs in (z.conj(), z.conj().imag, z.conj()[1:]):
        ours = chainrule.load(io.BytesIO(written(torch, theirs)))
        assert np.array_equal(ours.numpy(), theirs.resolve_conj().resolve_neg().numpy())


def test_what_pytorch_refuses_is_refused() -> None:
    class Other:
        pass

    refused: list[Any] = [frozenset([1]), slice(1, 2), np.ones(2), np.float32(1), range(3), Ellipsis, open, Path("x")]
    for value in refused:
        file = written(torch, value)
        with pytest.raises(chainrule.serialization.LoadError) as ours:
            chainrule.load(io.BytesIO(file))
        with pytest.raises(Exception, match="Weights only load failed") as theirs:
            torch.load(io.BytesIO(file), weights_only=True)
        said = str(ours.value).removeprefix("Weights only load failed. ").rpartition(" (")[0]
        assert said in str(theirs.value)


def test_errors_are_the_same() -> None:
    good = written(torch, torch.ones(3))
    for f in [
        lambda m: m.load(5),
        lambda m: m.load("/nowhere/x.pt"),
        lambda m: m.load(io.BytesIO(good), map_location="cuda"),
        lambda m: m.load(io.BytesIO(good), map_location=5),
        lambda m: m.load(io.BytesIO(good), mmap=True),
        lambda m: m.save(m.ones(1), "/nowhere/x.pt"),
        lambda m: m.save(m.ones(1), 5),
        lambda m: m.save(lambda: 1, io.BytesIO()),
    ]:
        outcomes = []
        for m in (chainrule, torch):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    outcomes.append(f(m))
                except Exception as e:
                    text = str(e).splitlines()[0].partition(" 0x")[0].replace("LoadError", "RuntimeError")
                    outcomes.append((type(e).__name__.replace("LoadError", "RuntimeError"), text))
        assert outcomes[0] == outcomes[1]


def test_map_location() -> None:
    file = written(torch, {"a": torch.ones(2)})
    seen: list[str] = []
    for where in (None, "cpu", "cpu:0", chainrule.device("cpu"), {"cuda:0": "cpu"}, {}, lambda s, at: s,
                  lambda s, at: None, lambda s, at: seen.append(at)):  # fmt: skip
        assert chainrule.load(io.BytesIO(file), map_location=where)["a"].tolist() == [1, 1]
    assert seen == ["cpu"]


def test_tensors_of_a_gpu_need_a_map_location() -> None:
    parts = records(written(torch, torch.ones(2)))
    for there, words in (("gpu", "don't know how to restore data location"), ("cuda:0", "on a CUDA device")):
        parts["data.pkl"] = parts["data.pkl"].replace(
            b"X\x03\x00\x00\x00cpu", b"X" + bytes([len(there), 0, 0, 0]) + there.encode()
        )
        with pytest.raises(RuntimeError, match=words):
            chainrule.load(io.BytesIO(archive(parts)))
        for to in ("cpu", {there: "cpu"}, lambda storage, at: storage):
            assert chainrule.load(io.BytesIO(archive(parts)), map_location=to).tolist() == [1, 1]
        parts = records(written(torch, torch.ones(2)))
