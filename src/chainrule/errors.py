"""What went wrong, why, and what to write instead.  The first sentence is PyTorch's, since people search for it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

E = TypeVar("E", bound=Exception)


def explained(e: E) -> E:
    """The error with PyTorch's sentence as its text, and what follows the first line break as a note.

    A traceback shows both.  ``str(e)`` is what a program that catches the error compares and prints.
    """
    first, found, more = str(e.args[0]).partition("\n")
    if found:
        e.args = (first, *e.args[1:])
        e.add_note(more)
    return e


class OutOfMemoryError(RuntimeError, MemoryError):
    """An array could not be allocated: both PyTorch's class and Python's, so that either handler works."""


class MissingExtra(ImportError):
    """An optional library is needed and not installed; the message holds the command."""


def missing(library: str, extra: str, purpose: str) -> MissingExtra:
    return MissingExtra(
        f"{purpose} needs {library}, which is not installed. Install it with: pip install 'chainrule[{extra}]'"
    )


_TYPES = {
    "float16": "Half", "float32": "Float", "float64": "Double", "int8": "Char", "int16": "Short", "int32": "Int",
    "int64": "Long", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
    "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
}  # fmt: skip


def scalar_type(d: Any) -> str:
    """PyTorch's C++ name of a dtype: Float, Long, ..."""
    return _TYPES[np.dtype(d).name]


def freed_graph(node: Any) -> str:
    return (
        "Trying to backward through the graph a second time (or directly access saved tensors after they have "
        "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
        "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if "
        "you need to access saved tensors after calling backward."
        f"\nThe values that {node.name()} needs are gone. Either compute the result anew before the second "
        "backward(), or keep the graph in the first: backward(retain_graph=True)."
    )


def modified_in_place(node: Any, saved: Any, version: int, expected: int, output: bool = False) -> str:
    array = saved if output else saved._a
    dims = ", ".join(map(str, array.shape))
    maker = node if output else saved._node
    what = "" if maker is None else f", which is output 0 of {_op_name(maker)},"
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{scalar_type(getattr(array, '_dtype', None) or array.dtype)}Tensor [{dims}]]{what} "
        f"is at version {version}; expected version {expected} instead. "
        f"\n{node.name()} saved this value for the backward pass, and it was overwritten before it was used. "
        "Write `y = y + 1` instead of `y += 1` (or `y.add(1)` instead of `y.add_(1)`), or write to a copy: y.clone()."
    )


def _op_name(node: Any) -> str:
    name: str = node.name()
    operation, backward, digit = name.rpartition("Backward")
    return operation + digit.strip("0") if backward and digit.isdigit() else name


def no_grad_fn(index: int, tensor: Any) -> str:
    why = (
        "It was computed from tensors that do not require grad, or inside no_grad(), or passed through detach(), "
        ".item() or .numpy(), which cut the graph."
    )
    return (
        f"element {index} of tensors does not require grad and does not have a grad_fn"
        f"\n{why} Ask for the gradient before computing: x = torch.tensor(..., requires_grad=True), then y = f(x)."
    )


def not_scalar(shape: Any) -> str:
    return (
        "grad can be implicitly created only for scalar outputs"
        f"\nThis output has shape {list(shape)}. Reduce it first, y.sum().backward(), or say with which weights its "
        "elements count: y.backward(torch.ones_like(y))."
    )


def no_numpy() -> str:
    return (
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        "\nNumPy does not record operations, so a gradient through the array would be lost without a word."
    )


def cannot_grow(have: Any, want: Any) -> str:
    return (
        f"output with shape {list(have)} doesn't match the broadcast shape {list(want)}"
        "\nAn in-place operation cannot grow its tensor: write x = x + y instead of x += y."
    )


def leaf_in_place(view: bool) -> str:
    which = "a view of a leaf" if view else "a leaf"
    return (
        f"{which} Variable that requires grad is being used in an in-place operation."
        "\nIts old value is what the gradient is asked for. To update a parameter, write inside `with torch.no_grad():`; "
        "to compute with a changed value, write to a copy: y = x.clone()."
    )


DETACHED = (
    "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(). This is not supported, please "
    "use out-of-place `.detach()` instead"
)
OVERLAPS = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
    "location. Please clone() the tensor before performing the operation."
)
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
NON_LEAF_GRAD = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
    "the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information."
)
GRAD_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient "
    "which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you "
    "have to use this function, make sure to reset the .grad fields of your parameters to None after use to break "
    "the cycle and avoid the leak."
)


def forbidden_view(created: str, node: Any, number: int, past: bool) -> str:
    """A write to a view that was ``created`` in "no_grad" mode or as one of "several"; ``past``: to its base, before."""
    told = "its base or another view of its base has been" if past else "is being"
    who = "" if node is None else f"Output {number} of {_op_name(node)} is a view"
    if created == "several" and node is not None:
        what = f"{who} and {told} modified inplace. "
    else:
        who = f"{who} of a view which" if who else "A view"
        what = f"{who} was created in no_grad mode and {told} modified inplace with grad mode enabled. "
    return what + (
        "This view is the output of a function that returns multiple views. Such functions do not allow the output "
        "views to be modified inplace. You should replace the inplace operation by an out-of-place one."
        if created == "several" else
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
        "both the view and the inplace either both inside the no_grad block (if you don't want the inplace to be "
        "tracked) or both outside (if you want the inplace to be tracked)."
    )  # fmt: skip


def unused(index: int) -> str:
    return (
        f"The differentiated Tensor at index {index} appears to not have been used in the graph. Set "
        "allow_unused=True if this is the desired behavior."
        "\nThe outputs do not depend on it: check that it, and not a copy made by detach(), clone() after the fact "
        "or torch.tensor(x), went into the computation."
    )


def out_of_memory(what: str, shape: Any, d: Any) -> OutOfMemoryError:
    size = np.dtype(d).itemsize
    for length in shape:
        size *= int(length)
    return OutOfMemoryError(
        f"can't allocate memory: you tried to allocate {size} bytes. "
        f"\n{what} of shape {list(shape)} and dtype {np.dtype(d).name} does not fit."
    )


def size_mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """PyTorch's sentence for two shapes that do not broadcast."""
    for i in range(1, min(len(a), len(b)) + 1):
        if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
            dim = max(len(a), len(b)) - i
            return (
                f"The size of tensor a ({a[-i]}) must match the size of tensor b ({b[-i]}) at non-singleton "
                f"dimension {dim}\nThe shapes {list(a)} and {list(b)} are aligned from the right; each pair of sizes "
                "must be equal, or one of them 1."
            )
    return f"shapes {list(a)} and {list(b)} do not broadcast"


def dim_range(dim: int, ndim: int) -> str:
    n = max(ndim, 1)
    return f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
