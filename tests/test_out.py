"""Results written into tensors that the caller hands over: ``out=``."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch

X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
CALLS: dict[str, tuple[Any, Any]] = {
    "lane of one": (torch.exp, (X,)),
    "lane of two": (torch.mul, (X, X)),
    "of a number": (torch.sub, (X, 2.0)),
    "with parameters": (lambda x, **out: torch.add(x, x, alpha=3, **out), (X,)),
    "reduction": (torch.sum, (X, 1)),
    "composite": (torch.logsumexp, (X, 0)),
    "product": (torch.matmul, (X, X.t())),
    "joined": (torch.cat, ([X, X],)),
    "gathered": (torch.index_select, (X, 1, torch.tensor([2, 0]))),
    "solved": (torch.linalg.inv, (torch.tensor([[2.0, 1.0], [0.0, 4.0]]),)),
    "transformed": (torch.fft.ifft, (X,)),
    "loss's part": (torch.nn.functional.softplus, (X,)),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_memory_is_used_again(call: str) -> None:
    function, args = CALLS[call]
    wanted = function(*args)
    out = torch.zeros(wanted.shape, dtype=wanted.dtype)
    seen = out.view(-1)
    assert function(*args, out=out) is out
    assert torch.equal(out, wanted)
    assert torch.equal(seen, wanted.reshape(-1))  # a view of the same memory


@pytest.mark.parametrize("call", CALLS)
def test_a_strided_out_is_written_where_it_lies(call: str) -> None:
    function, args = CALLS[call]
    wanted = function(*args)
    whole = torch.full((*wanted.shape, 2), 7.0, dtype=wanted.dtype)
    function(*args, out=whole[..., 1])
    assert torch.equal(whole[..., 1], wanted)
    assert bool((whole[..., 0] == 7).all())


def test_several_results() -> None:
    values, places = torch.empty(2), torch.empty(2, dtype=torch.int64)
    found = torch.max(X, 1, out=(values, places))
    assert found.values is values
    assert found.indices is places
    assert values.tolist() == [3.0, 6.0]
    assert places.tolist() == [2, 2]
    with pytest.raises(TypeError, match="argument 'out' must be tuple of Tensors, not Tensor"):
        torch.sort(X, out=values)


def test_another_shape_is_resized_with_a_warning() -> None:
    out = torch.empty(4)
    with pytest.warns(
        UserWarning, match=r"resized since it had shape \[4\], which does not match the required output shape \[3\]"
    ):
        torch.add(X[0], 1, out=out)
    assert out.tolist() == [2.0, 3.0, 4.0]
    with pytest.warns(UserWarning, match=r"was resized since it had shape \[3\]") as caught:
        torch.sum(X, 1, out=out)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = torch.empty(0)
        assert torch.matmul(X, X[0], out=empty).tolist() == [14.0, 32.0]
        torch.zeros(3, 3, out=empty)
    assert empty.shape == (3, 3)


def test_a_wider_kind_of_number_is_taken_where_pytorch_casts() -> None:
    assert torch.add(torch.tensor([1, 2]), 1, out=torch.empty(2, dtype=torch.float64)).tolist() == [2.0, 3.0]
    assert torch.eq(X[0], 2, out=torch.empty(3)).tolist() == [0.0, 1.0, 0.0]
    for call, sentence in (
        (torch.add, "result type Float can't be cast to the desired output type Long"),
        (torch.abs, "Found dtype Long but expected Float"),
        (torch.mm, "Expected out tensor to have dtype float, but got long int instead"),
        (torch.linalg.tensorinv, "tensorinv: Expected result to be safely castable from Float dtype, but got result"),
    ):
        x = torch.eye(2).reshape(2, 1, 2, 1) if call is torch.linalg.tensorinv else torch.eye(2)
        out = torch.zeros(2, 2, dtype=torch.int64)
        with pytest.raises(RuntimeError, match=sentence) as error:
            call(x, **({"mat2": x} if call is torch.mm else {"other": 1} if call is torch.add else {}), out=out)
        assert "hand over a tensor of that dtype" in error.value.__notes__[0]
        assert not out.any()
    with pytest.raises(TypeError, match="input types can't be cast to the desired output type Long"):
        torch.stack([X], out=torch.empty(1, 2, 3, dtype=torch.int64))


def test_sums_are_computed_in_the_dtype_of_out() -> None:
    big = torch.tensor([2.0**24, 1.0, 1.0])
    assert torch.sum(big, 0, out=torch.empty((), dtype=torch.float64)).item() == 2**24 + 2
    assert torch.cumsum(torch.tensor([1.5, 2.5]), 0, out=torch.empty(2, dtype=torch.int64)).tolist() == [1, 3]
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype double, but got float instead"):
        torch.sum(big, 0, dtype=torch.float64, out=torch.empty(()))


def test_no_history_goes_into_out() -> None:
    x = X.clone().requires_grad_()
    for call in (lambda **k: torch.exp(x, **k), lambda **k: torch.cumprod(x, 0, **k)):
        with pytest.raises(RuntimeError, match=r"functions with out=\.\.\. arguments don't support automatic diff"):
            call(out=torch.empty(2, 3))
        with torch.no_grad():
            assert not call(out=torch.empty(2, 3)).requires_grad
    pytest.importorskip("scipy")
    for name in ("entr", "i0e", "i1e"):
        with pytest.raises(RuntimeError, match=rf"^special_{name}\(\): functions with out"):
            getattr(torch.special, name)(x, out=torch.empty(2, 3))
    with pytest.raises(RuntimeError, match=r"^special_xlog1py\(\): functions with out"):
        torch.special.xlog1py(x, x, out=torch.empty(2, 3))
    assert torch.argmax(x, out=torch.empty((), dtype=torch.int64)).item() == 5  # has none
    with pytest.raises(RuntimeError, match=r"functions with out"):
        torch.exp(X, out=torch.empty(2, 3, requires_grad=True))


def test_memory_that_is_read_may_not_be_written_in_part() -> None:
    x = torch.arange(5.0)
    for call in (lambda out: torch.add(x[1:], 1, out=out), lambda out: torch.cumsum(x[1:], 0, out=out)):
        with pytest.raises(RuntimeError, match="refer to a single memory location"):
            call(x[:-1])
    assert torch.add(x, 1, out=x).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_is_saved_for_backward_is_told_of_the_write() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x.exp()
    torch.add(X[0], 1, out=y.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_tensor_is_asked_for() -> None:
    for call in (torch.exp, torch.cumsum, torch.linalg.inv):
        with pytest.raises(TypeError, match=r"argument 'out' must be Tensor, not ndarray"):
            call(torch.eye(2), **({"dim": 0} if call is torch.cumsum else {}), out=np.empty((2, 2)))


def test_signatures_and_documentation_are_those_of_the_function() -> None:
    assert list(inspect.signature(torch.sum).parameters)[-1] == "out"
    assert torch.sum.__name__ == "sum"
    assert "Source: ``torch.sum``" in torch.sum.__doc__
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'dim'"):
        torch.cumsum(X)


@pytest.mark.usefixtures("own_generator")
def test_new_tensors() -> None:
    out = torch.empty(3, dtype=torch.float64)
    assert torch.rand(3, out=out) is out
    assert torch.arange(3, out=out).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(RuntimeError, match=r"dtype Float does not match dtype of out parameter \(Double\)"):
        torch.randn(3, dtype=torch.float32, out=out)
