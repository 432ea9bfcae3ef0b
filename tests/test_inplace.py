"""Writing in place: what must be refused, and PyTorch's words for it.  What must work is in test_views.py.

``tests/parity`` has random programs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from both import T, Table, inner, leaf

__all__ = ["T"]
refused = Table()

VERSION = "one of the variables needed for gradient computation has been modified by an inplace operation"
FREED = "Trying to backward through the graph a second time"
LEAF, VIEW_OF_LEAF = "a leaf Variable that requires grad", "a view of a leaf Variable that requires grad"
OVERLAP = "unsupported operation: more than one element of the written-to tensor refers to a single memory location"
OVERLAPS = "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single"
NO_GRAD = "A view was created in no_grad mode and is being modified inplace with grad mode enabled"


# --- values that backward needs -------------------------------------------------------------------------------------


@refused(VERSION)
def saved_input(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b.add_(1)
    c.sum().backward()


@refused(VERSION)
def saved_output(T: Any) -> None:
    b = leaf(T).exp()
    b.add_(1)
    b.sum().backward()


@refused(VERSION)
def saved_output_of_a_write(T: Any) -> None:
    _, b = inner(T)
    b.sigmoid_()
    b.add_(1)
    b.sum().backward()


@refused(VERSION)
def saved_and_written_through_a_view(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b[0].add_(1)
    c.sum().backward()


@refused(VERSION)
def saved_and_written_through_detach(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b.detach().add_(1)
    c.sum().backward()


@refused(VERSION)
def saved_view_and_written_base(T: Any) -> None:
    _, b = inner(T)
    c = b[:2].exp() * b[1:]
    b.zero_()
    c.sum().backward()


@refused(VERSION)
def multiplied_by_itself_in_place(T: Any) -> None:
    _, b = inner(T)
    b.mul_(b)
    b.sum().backward()


@refused(VERSION)
def saved_number_and_augmented(T: Any) -> None:
    x = T.tensor(3.0, requires_grad=True)
    y = x * 2
    z = y * y
    y += 1
    z.backward()


@refused(VERSION)
def parameter_updated_before_backward(T: Any) -> None:
    a = leaf(T)
    y = (a * a).sum()
    with T.no_grad():
        a -= 0.1
    y.backward()


@refused(VERSION)
def saved_and_assigned_to_a_part(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b[0] = 5.0
    c.sum().backward()


@refused(VERSION)
def saved_and_assigned_by_index(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b[[0, 2]] = 5.0
    c.sum().backward()


@refused("Trying to use a saved tensor that has been detached in-place")
def saved_and_detached_in_place(T: Any) -> None:
    _, b = inner(T)
    c = b * b
    b.detach_()
    c.sum().backward()


# --- backward twice -------------------------------------------------------------------------------------------------


@refused(FREED)
def backward_twice(T: Any) -> None:
    a = leaf(T)
    y = (a * a).sum()
    y.backward()
    y.backward()


@refused(FREED)
def backward_twice_through_an_index(T: Any) -> None:
    y = leaf(T)[[0, 0]].sum()
    y.backward()
    y.backward()


@refused(FREED)
def backward_twice_through_a_written_view(T: Any) -> None:
    _, b = inner(T)
    b[0] = 2.0
    y = b.sum()
    y.backward()
    y.backward()


# --- leaves ---------------------------------------------------------------------------------------------------------


@refused(LEAF)
def leaf_written(T: Any) -> None:
    leaf(T).add_(1)


@refused(VIEW_OF_LEAF)
def view_of_leaf_written(T: Any) -> None:
    leaf(T)[0].add_(1)


@refused(VIEW_OF_LEAF)
def part_of_leaf_assigned(T: Any) -> None:
    leaf(T)[0] = 1.0


@refused(LEAF)
def whole_leaf_assigned(T: Any) -> None:
    leaf(T)[...] = 1.0


@refused(LEAF)
def leaf_assigned_by_index(T: Any) -> None:
    leaf(T)[[0, 1]] = 1.0


@refused(LEAF)
def leaf_written_wrongly(T: Any) -> None:
    leaf(T).add_(T.ones(2))  # the shapes are wrong too, but this is said first


@refused("you can only change requires_grad flags of leaf variables")
def flag_of_a_result(T: Any) -> None:
    (leaf(T) * 2).requires_grad_(False)


@refused("mul(): functions with out=... arguments don't support automatic differentiation")
def out_with_a_gradient(T: Any) -> None:
    T.mul(leaf(T), 2.0 * T.ones(3), out=T.zeros(3))


# --- views that must not be written to ------------------------------------------------------------------------------


@refused(NO_GRAD)
def view_made_without_grad(T: Any) -> None:
    _, b = inner(T)
    with T.no_grad():
        v = b[0]
    v.add_(1)


@refused("Output 0 of Select is a view of a view which was created in no_grad mode and is being modified inplace")
def view_of_a_view_made_without_grad(T: Any) -> None:
    _, b = inner(T, 2, 3)
    with T.no_grad():
        v = b[0]
    v[1].add_(1)


@refused("A view was created in no_grad mode and its base or another view of its base has been modified inplace")
def view_made_without_grad_of_a_written_base(T: Any) -> None:
    _, b = inner(T)
    with T.no_grad():
        v = b[0]
        b.add_(1)
    v * 2


@refused("Output 0 of Unbind is a view and is being modified inplace. This view is the output of a function that")
def one_of_several_views(T: Any) -> None:
    _, b = inner(T)
    b.unbind()[0].add_(1)


@refused("Output 0 of Select is a view and is being modified inplace. This view is the output of a function that")
def view_of_one_of_several_views(T: Any) -> None:
    _, b = inner(T, 2, 3)
    b.unbind()[1][0] = 1.0


@refused("Output 1 of Unbind is a view and its base or another view of its base has been modified inplace")
def one_of_several_views_of_a_written_base(T: Any) -> None:
    _, b = inner(T)
    v = b.unbind()[1]
    b.detach().add_(1)
    v * 2


@refused("Output 1 of Unbind is a view and its base or another view of its base has been modified inplace")
def one_of_several_views_of_a_base_detached_and_written(T: Any) -> None:
    _, b = inner(T)
    v = b.unbind()[1]
    b.detach_()
    b.sigmoid_()
    v * 2


@refused("A view was created in no_grad mode and its base or another view of its base has been modified inplace")
def saved_view_of_a_base_that_came_to_require_grad(T: Any) -> None:
    b = T.ones(2, 3)
    v = b.unbind()[0]
    v.detach().neg_()
    y = v * leaf(T)
    b.requires_grad_()
    y.sum().backward()


@refused("a view of a leaf Variable that requires grad is being used in an in-place operation")
def view_of_a_base_detached_after_a_write(T: Any) -> None:
    _, b = inner(T)
    v, w = b[:], b[1:]
    v.fill_(1.5)
    b.detach_()
    w.mul_(-1)


@refused("leaf variable has been moved into the graph interior")
def view_that_was_a_leaf_of_a_written_base(T: Any) -> None:
    b = T.ones(3)
    v = b[:2].requires_grad_()
    y = v * 2
    b.mul_(leaf(T))
    y.sum().backward()


@refused("Can't detach views in-place")
def view_detached_in_place(T: Any) -> None:
    inner(T)[1][0].detach_()


# --- memory ---------------------------------------------------------------------------------------------------------


@refused(OVERLAP)
def expanded(T: Any) -> None:
    T.ones(1).expand(3).add_(1)


@refused(OVERLAP)
def expanded_and_assigned(T: Any) -> None:
    T.ones(1).expand(3)[1:] = 2.0


@refused(OVERLAPS)
def shifted_onto_itself(T: Any) -> None:
    x = T.ones(3)
    x[1:] = x[:-1]


@refused(OVERLAPS)
def transposed_onto_itself(T: Any) -> None:
    x = T.ones(3, 3)
    x.add_(x.t())


@refused(OVERLAPS)
def indexed_from_itself(T: Any) -> None:
    x = T.ones(3)
    x[T.tensor([1, 0, 2])] = x


@refused("output with shape [1] doesn't match the broadcast shape [3]")
def grown(T: Any) -> None:
    T.ones(1).add_(T.ones(3))


@refused("The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0")
def copied_from_the_wrong_shape(T: Any) -> None:
    T.ones(3).copy_(T.ones(2))


@refused("The expanded size of the tensor (2) must match the existing size (3) at non-singleton dimension 0")
def assigned_the_wrong_shape(T: Any) -> None:
    T.ones(3)[:2] = T.ones(3)


@refused("result type Float can't be cast to the desired output type Long")
def cast_downwards(T: Any) -> None:
    T.ones(1, dtype=T.int64).add_(1.5)


@refused("Index put requires the source and destination dtypes match, got Float for the destination and Double for the")
def indexed_with_another_dtype(T: Any) -> None:
    T.ones(3)[[0, 1]] = T.ones(2, dtype=T.float64)


@refused("view size is not compatible with input tensor's size and stride")
def viewed_across_strides(T: Any) -> None:
    (1 - T.ones(2, 3).t()).view(6).exp_()  # the difference is laid out as its operand is


# --- what works, and its gradient -----------------------------------------------------------------------------------


# --- running them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", refused)
def test_refused(T: Any, name: str) -> None:
    refused.raises(name, T)


@pytest.mark.parametrize("value", [[1.0, 2.0], None, "a", np.ones(2)])
def test_only_numbers_and_tensors_are_assigned(T: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"^can't assign a .* to a torch\.FloatTensor"):
        T.ones(2)[:] = value


def test_a_refused_write_writes_nothing(T: Any) -> None:
    x, (a, b) = T.zeros(3), inner(T)
    u = b.unbind()
    for write in (lambda: x.__setitem__([0, 1], T.ones(3)), lambda: x.__setitem__(slice(None), T.ones(2)),
                  lambda: x.add_(T.ones(2)), lambda: u[0].add_(1), lambda: a.add_(1)):  # fmt: skip
        with pytest.raises(RuntimeError):
            write()
    assert x.tolist() == [0.0] * 3
    assert a.tolist() == b.tolist() == [1.0] * 3
    assert x._version == a._version == b._version == 0


def test_reversed_is_a_copy() -> None:
    import chainrule as torch

    x = torch.arange(3.0)
    x.flip(0).mul_(5)
    assert x.tolist() == [0.0, 1.0, 2.0]
