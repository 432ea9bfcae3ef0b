"""Values and gradients of operations on the samples of PyTorch's database, as PyTorch 2.13 gave them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import chainrule as torch
from recorded import FILE, Reader, find, outcome

RECORDED = Reader()


@pytest.mark.parametrize("entry", RECORDED.index)
def test_entry(entry: str) -> None:
    record = RECORDED.index[entry]
    try:
        function = find(torch, record["path"])
        for sample in record["samples"]:
            moving: list[torch.Tensor] = []
            args = [RECORDED.value(v, torch, moving) for v in sample["args"]]
            kwargs = {k: RECORDED.value(v, torch, moving) for k, v in sample["kwargs"].items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values, gradients = outcome(function, torch, args, kwargs, moving)
            for got, places in ((values, sample["values"]), (gradients, sample["gradients"])):
                assert len(got) == len(places)
                for g, place in zip(got, places, strict=True):
                    want = RECORDED.array(place)
                    assert (g.shape, g.dtype) == (want.shape, want.dtype)
                    np.testing.assert_allclose(g, want, rtol=2e-5, atol=2e-6)
    except torch.MissingExtra as e:
        pytest.skip(str(e))


def test_the_record_is_small_and_whole() -> None:
    assert FILE.stat().st_size < 400_000
    assert len(RECORDED.index) > 400
    assert sum(bool(s["gradients"]) for r in RECORDED.index.values() for s in r["samples"]) > 600
