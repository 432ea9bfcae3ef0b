"""``backward``: where a sweep starts and ends, which graphs are kept and freed, errors word for word.

Each test runs on chainrule and, where it is installed, on PyTorch.  What happens at the ends of a graph is in
test_leaves.py, hooks are in test_hooks.py, ``grad`` is in test_grad.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
from both import T, close, refused, vector
from sweep_errors import FREED, NO_GRAD_FN, SCALAR

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")


# --- backward: where it starts ------------------------------------------------------------------------------


def test_a_number_starts_with_one(T: Any) -> None:
    x = vector(T)
    (x * x).sum().backward()
    assert close(x.grad, 2, 4)


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1)])
def test_one_element_counts_as_a_number(T: Any, shape: tuple[int, ...]) -> None:
    x = T.full(shape, 3.0, requires_grad=True)
    (x * x).backward()
    assert close(x.grad, 6)
    assert x.grad.shape == x.shape


def test_weights_of_the_elements(T: Any) -> None:
    x = vector(T)
    (x * x).backward(T.tensor([1.0, 10.0]))
    assert close(x.grad, 2, 40)


def test_gradient_by_name_and_the_other_arguments(T: Any) -> None:
    x = vector(T)
    y = x * x
    y.backward(gradient=T.ones(2), retain_graph=True, create_graph=False, inputs=(x,))
    y.backward(T.ones(2), None, False, None)
    assert close(x.grad, 4, 8)


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
def test_weights_of_another_dtype_are_converted(T: Any, dtype: str) -> None:
    x = vector(T)
    (x * 2).backward(T.tensor([1, 0]).to(getattr(T, dtype)))
    assert close(x.grad, 2, 0)
    assert x.grad.dtype == T.float32


def test_weights_that_require_grad(T: Any) -> None:
    x, w = vector(T), vector(T, 3.0, 4.0)
    (x * x).backward(w)
    assert close(x.grad, 6, 16)
    assert not x.grad.requires_grad
    x.grad = None
    (x * x).backward(w, create_graph=True)
    x.grad.sum().backward()
    assert close(w.grad, 2, 4)


def test_several_outputs(T: Any) -> None:
    x = vector(T)
    y = x * x
    T.autograd.backward([y.sum(), y * 3, y], [None, T.ones(2), T.tensor([1.0, 0.0])])
    assert close(x.grad, 10, 16)


def test_an_output_given_twice(T: Any) -> None:
    x = vector(T)
    y = (x * x).sum()
    T.autograd.backward((y, y))
    assert close(x.grad, 4, 8)


def test_outputs_of_which_one_leads_to_the_other(T: Any) -> None:
    x = vector(T)
    y = x * x
    T.autograd.backward([y.sum(), (y * y).sum(), x.sum()])
    assert close(x.grad, 2 + 4 + 1, 4 + 32 + 1)


def test_nothing_to_do(T: Any) -> None:
    T.autograd.backward([])


def test_a_leaf_itself(T: Any) -> None:
    x = T.tensor(5.0, requires_grad=True)
    x.backward()
    x.backward()
    assert close(x.grad, 2)
    assert close(T.autograd.grad(x, x)[0], 1)
    w = vector(T)
    T.autograd.backward([w, w * w, w], [T.ones(2), T.ones(2), T.tensor([10.0, 20.0])])
    assert close(w.grad, 13, 25)


def test_a_complex_leaf(T: Any) -> None:
    z = T.tensor(1 + 2j, requires_grad=True)
    (z * z).backward(T.tensor(1 + 0j))
    assert z.grad.item() == 2 - 4j


BAD_STARTS: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (lambda T, x: (x * 2).backward(), RuntimeError, SCALAR),
    (lambda T, x: x.detach().sum().backward(), RuntimeError, NO_GRAD_FN),
    (lambda T, x: T.autograd.backward([x.sum(), x.detach().sum()]), RuntimeError, NO_GRAD_FN.replace("0", "1")),
    (lambda T, x: T.autograd.backward([x.detach().sum(), x * 2]), RuntimeError, SCALAR),
    (lambda T, x: x.argmax().backward(), RuntimeError, NO_GRAD_FN),
    (
        lambda T, x: (x * 2).backward(T.ones(3)), RuntimeError,
        "Mismatch in shape: grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of torch.Size([2]).",
    ),
    (
        lambda T, x: x.sum().backward(T.ones(1)), RuntimeError,
        "Mismatch in shape: grad_output[0] has a shape of torch.Size([1]) and output[0] has a shape of torch.Size([]).",
    ),
    (
        lambda T, x: (x * 2).backward(T.ones(2, dtype=T.complex64)), RuntimeError,
        "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
        "grad_output[0] has a dtype of torch.complex64 and output[0] has a dtype of torch.float32.",
    ),
    (
        lambda T, x: (x * 1j).sum().backward(), RuntimeError,
        "grad can be implicitly created only for real scalar outputs but got torch.complex64",
    ),
    (lambda T, x: T.autograd.backward([x, x], [T.ones(2)]), RuntimeError, "got 2 tensors and 1 gradients"),
    (lambda T, x: T.autograd.backward(x.sum(), []), RuntimeError, "got 1 tensors and 0 gradients"),
    (lambda T, x: (x * 2).backward([1.0, 2.0]), TypeError, "gradients can be either Tensors or None, but got float"),
    (lambda T, x: (x * 2).backward(3.0), TypeError, "'float' object is not iterable"),
    (lambda T, x: T.autograd.backward([x.sum(), 3]), AssertionError, "Expected output to be a torch.Tensor"),
    (lambda T, x: T.autograd.grad([x.sum(), None], x), AssertionError, "Expected output to be a torch.Tensor"),
    (lambda T, x: x.sum().backward(inputs=[]), RuntimeError, "`inputs` argument to `backward()` cannot be empty."),
    (
        lambda T, x: x.sum().backward(inputs=["x"]), RuntimeError,
        "all inputs have to be Tensors or GradientEdges, but got str",
    ),
    (
        lambda T, x: x.sum().backward(inputs=[x.detach()]), RuntimeError,
        "can't retain_grad on Tensor that has requires_grad=False",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BAD_STARTS)))
def test_refused_starts(T: Any, case: int) -> None:
    action, error, message = BAD_STARTS[case]
    x = vector(T)
    with refused(error, message):
        action(T, x)
    assert x.grad is None


def test_the_old_name_of_the_weights(T: Any) -> None:
    x = vector(T)
    with pytest.warns(FutureWarning, match="`grad_variables` is deprecated. Use `grad_tensors` instead."):
        T.autograd.backward(x.sum(), grad_variables=T.tensor(2.0))
    assert close(x.grad, 2, 2)
    message = "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`."
    with pytest.warns(FutureWarning), refused(RuntimeError, message, whole=False):
        T.autograd.backward(x.sum(), T.tensor(2.0), grad_variables=T.tensor(2.0))


# --- backward: where it ends ------------------------------------------------------------------------------------


def test_inputs_alone_get_gradients(T: Any) -> None:
    x, w = vector(T), vector(T)
    h = x * 2
    (h * w).sum().backward(inputs=[x])
    assert close(x.grad, 2, 4)
    assert w.grad is None


def test_an_input_in_the_middle(T: Any) -> None:
    x = vector(T)
    h = x * 2
    (h * h).sum().backward(inputs=h)
    assert close(h.grad, 4, 8)
    assert h.retains_grad
    assert x.grad is None


def test_inputs_in_the_middle_and_at_the_end(T: Any) -> None:
    x = vector(T)
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward(inputs=[h, x])
    assert close(h.grad, 4, 8)
    assert close(x.grad, 8, 16)


def test_an_input_that_was_not_used(T: Any) -> None:
    x, z = vector(T), vector(T)
    x.sum().backward(inputs=[z])
    assert x.grad is None
    assert z.grad is None


def test_what_leads_to_no_input_is_not_freed(T: Any) -> None:
    x, w = vector(T), vector(T)
    side = (w * w).sum()
    (side + (x * x).sum()).backward(inputs=[x])
    side.backward()
    assert close(w.grad, 2, 4)


# --- the graph, kept and freed --------------------------------------------------------------------------------


def test_a_second_sweep_is_refused_where_values_are_gone(T: Any) -> None:
    x = vector(T)
    for make in (lambda: (x * x).sum(), lambda: x.exp().sum(), lambda: x @ x):
        y = make()
        y.backward()
        with refused(RuntimeError, FREED):
            y.backward()
        with refused(RuntimeError, FREED):
            T.autograd.grad(y, x)


def test_a_second_sweep_works_where_no_value_is_needed(T: Any) -> None:
    x = vector(T)
    y = (x + x).sum()
    y.backward()
    y.backward()
    assert close(x.grad, 4, 4)


def test_a_kept_graph(T: Any) -> None:
    x = vector(T)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert close(x.grad, 6, 12)
    with refused(RuntimeError, FREED):
        y.backward()


def test_what_two_results_share_is_freed_by_the_first(T: Any) -> None:
    x = vector(T)
    shared = x.exp()
    first, second = shared.sum(), (shared + 1).sum()
    first.backward()
    with refused(RuntimeError, FREED):
        second.backward()


def test_what_a_gradient_stops_at_is_not_freed(T: Any) -> None:
    x = vector(T)
    h = x.exp()
    (g,) = T.autograd.grad((h * h).sum(), h)
    h.backward(g)
    assert close(x.grad, *(2 * np.exp([2.0, 4.0])))


def test_a_graph_freed_by_hand() -> None:
    x = vector(chainrule)
    y = (x.exp() * x).sum()
    y.clear_autograd_grad()
    with refused(RuntimeError, FREED):
        y.backward()
    x.clear_autograd_grad()  # a leaf has no graph


def test_errors_name_the_operation_and_the_mend() -> None:
    x = vector(chainrule)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(RuntimeError) as caught:
        y.backward()
    (note,) = caught.value.__notes__
    assert "ExpBackward0" in note
    assert "retain_graph=True" in note
