"""The words in which indices that name no entry are refused are PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

from test_index_range import CASES, FROM_THE_END, check, index

pytorch: Any = pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    check(pytorch, name, lambda f: f)


@pytest.mark.parametrize("name", FROM_THE_END)
def test_counted_from_the_end(name: str) -> None:
    f, n, words = FROM_THE_END[name]
    assert pytorch.equal(f(pytorch, index(pytorch, (2,), -1)), f(pytorch, index(pytorch, (2,), n - 1)))
    for i in (n, -n - 1):
        with pytest.raises(IndexError) as found:
            f(pytorch, index(pytorch, (2,), i))
        assert str(found.value).partition("\n")[0] == words.format(i=i, at=0, n=n)
