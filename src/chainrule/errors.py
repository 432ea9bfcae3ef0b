"""What went wrong, why, and what to write instead.  The first sentence is PyTorch's, since people search for it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from .modes import current

E = TypeVar("E", bound=Exception)
F = TypeVar("F", bound=Callable[..., Any])


def explained(e: E, topic: str = "", *about: Any) -> E:
    """The error with PyTorch's sentence as its text, and what follows the first line break as a note.

    A traceback shows both.  ``str(e)`` is what a program that catches the error compares and prints.  With a ``topic``,
    which ``explain.lessons`` lists, the note tells what the user's code has to do with it, ``about`` these tensors or nodes.
    """
    first, found, more = str(e.args[0]).partition("\n")
    if found:
        e.args = (first, *e.args[1:])
        if topic:
            from .explain.lessons import lesson

            more = lesson(topic, about, more)
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


def c_name(d: np.dtype[Any]) -> str:
    """The name of a dtype in C, as few of PyTorch's errors give it."""
    return {
        "int64": "long int", "int16": "short int", "int8": "signed char", "uint8": "unsigned char",
        "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
    }.get(d.name, scalar_type(d).lower())  # fmt: skip


def unequal_sizes(shapes: Any) -> RuntimeError | None:
    """PyTorch's error where arrays to be stacked are not all of one shape."""
    first, *rest = shapes
    for i, shape in enumerate(rest, 1):
        if shape != first:
            return RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(shape)} at entry {i}"
            )
    return None


exported: dict[str, str] = {}  # the names that operations are public under first, by those of their classes


def snake_case(name: str) -> str:
    """What PyTorch calls the operation of this class: ``log_sigmoid`` for ``LogSigmoid``, ``isnan`` for ``IsNan``."""
    return exported.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


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
    hint = (
        "Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
        if current().anomaly is None else
        "Hint: the backtrace further above shows the operation that failed to compute its gradient. The variable in "
        "question was changed in there or anywhere later. Good luck!"
    )  # fmt: skip
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{scalar_type(getattr(array, '_dtype', None) or array.dtype)}Tensor [{dims}]]{what} "
        f"is at version {version}; expected version {expected} instead. {hint}"
        f"\n{node.name()} saved this value for the backward pass, and it was overwritten before it was used. "
        "Write `y = y + 1` instead of `y += 1` (or `y.add(1)` instead of `y.add_(1)`), or write to a copy: y.clone()."
    )


def _op_name(node: Any) -> str:
    name: str = node.name()
    operation, backward, digit = name.rpartition("Backward")
    return operation + digit.strip("0") if backward and (digit.isdigit() or not digit) else name


def no_grad_fn(index: int) -> str:
    why = (
        "It was computed from tensors that do not require grad, or inside no_grad(), or passed through detach(), "
        ".item() or .numpy(), which cut the graph."
    )
    return (
        f"element {index} of tensors does not require grad and does not have a grad_fn"
        f"\n{why} Ask for the gradient before computing: x = torch.tensor(..., requires_grad=True), then y = f(x)."
    )


EDGE_WITHOUT_GRAD = (
    "grad can be implicitly created only for scalar outputs"
    "\nA GradientEdge does not know the shape of its tensor. Say with which weights it counts: "
    "torch.autograd.grad(edge, x, torch.ones(3))."
)


def not_scalar(shape: Any) -> str:
    return (
        "grad can be implicitly created only for scalar outputs"
        f"\nThis output has shape {list(shape)}. Reduce it first, y.sum().backward(), or say with which weights its "
        "elements count: y.backward(torch.ones_like(y))."
    )


def not_real(dtype: Any) -> str:
    return (
        f"grad can be implicitly created only for real scalar outputs but got {dtype}"
        "\nA complex output has no slope that is one number. Take a real one, such as z.abs() or z.real, or say with "
        "which weight it counts: z.backward(torch.ones_like(z))."
    )


def batch_mismatch(i: int, have: Any, want: Any) -> str:
    return (
        "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. The "
        "sizes of the remaining dimensions are expected to match the shape of corresponding output, but a mismatch was "
        f"detected: grad_output[{i}] has a shape of {have} and output[{i}] has a shape of {want}. If you only want some "
        "tensors in `grad_output` to be considered batched, consider using vmap."
    )


NO_BATCH = (
    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim "
    "tensor to a number"
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
MOVED_INSIDE = (
    "leaf variable has been moved into the graph interior"
    "\nIt is a view, and its base was written to since. Make the leaf a copy: x = base[...].clone().requires_grad_()."
)
OVERLAPS = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
    "location. Please clone() the tensor before performing the operation."
)
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
NOT_A_LEAF = "you can only change requires_grad flags of leaf variables."
DETACH_IT = (
    " If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = "
    "var.detach()."
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


_CLONE = "You can make a clone to get a normal tensor"
INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation "
    "tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or "
    "use `torch.no_grad()` instead of `torch.inference_mode()`."
)
INFERENCE_WRITE = (
    f"Inplace update to inference tensor outside InferenceMode is not allowed.{_CLONE} before doing inplace update."
    "See https://github.com/pytorch/rfcs/pull/17 for more details."
)
INFERENCE_REQUIRES_GRAD = (
    "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
    f"\n{_CLONE} that may require it: x.clone().requires_grad_()."
)
PACK_WRITES = (
    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified "
    "by in-place operations as this can lead to unexpected side-effects. Please open an issue if you need to perform "
    "in-place operations on the input to a pack hook."
)


FREED_FOR_HOOKS = (
    "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are freed "
    "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a "
    "second time or if you need to access saved variables after calling backward."
)
HOOKED_TWICE = (
    "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is allowed "
    "at a time."
)

# --- custom Functions ---

DIRTY_NOT_RETURNED = (
    "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified "
    "inplace must all be outputs of the Function."
    "\nReturn the very tensor that was written to: x.add_(1); ctx.mark_dirty(x); return x."
)
DIRTY_NOT_GIVEN = (
    "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated should be passed "
    "to ctx.mark_dirty()."
)
LEAF_USED_IN_PLACE = (
    "a leaf Variable that requires grad has been used in an in-place operation."
    "\nIts old value is what the gradient is asked for. Pass a copy to the Function: x.clone()."
)
VIEW_AMONG_SEVERAL = (
    "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than "
    "one Tensor. This is not supported by the current autograd engine. You should either make sure the input is not a "
    "view (using .clone() for example) or make your Function only return one Tensor (potentially splitting it into two "
    "Functions: one doing the inplace that returns a single Tensor and a second one that does the other operations)."
)
COMPLEX_GRADIENT = (
    "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == grad_is_complex) to be true, but got false."
    "\nThe gradient of a real argument must be real, that of a complex argument complex: return g.real, or g.to(x.dtype)."
)


def wrong_number_of_gradients(name: str, expected: int, got: int) -> str:
    return (
        f"function {name} returned an incorrect number of gradients (expected {expected}, got {got})"
        "\nbackward returns as many values as forward takes arguments (ctx not counted), in their order; None stands "
        "for an argument that has no gradient."
    )


def gradient_of_no_tensor(name: str, position: int) -> str:
    return (
        f"function {name} returned a gradient different than None at position {position}, but the corresponding forward "
        "input was not a Variable\nReturn None in that place."
    )


def invalid_gradient(name: str, index: int, got: Any, expected: Any) -> str:
    return (
        f"Function {name} returned an invalid gradient at index {index} - got {list(got)} but expected shape compatible "
        f"with {list(expected)}\nA gradient has the shape of the argument that it belongs to; are two of them swapped?"
    )


def forbidden_view(created: str, node: Any, number: int, past: bool) -> str:
    """Why a view must not be written to, by how it was ``created``; ``past``: its base was written to, before.

    It was made in "no_grad" or "inference" mode, as one of "several", or in a "custom" Function.
    """
    told = "its base or another view of its base has been" if past else "is being"
    who = "" if node is None else f"Output {number} of {_op_name(node)} is a view"
    if created == "custom":
        return f"{who} and {told} modified inplace. " + (
            "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
            "logic to handle view+inplace would override the custom backward associated with the custom Function, leading "
            "to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom "
            "Function."
        )
    if created == "several" and node is not None:
        what = f"{who} and {told} modified inplace. "
    elif created == "inference":
        what = (f"{who} of a view which" if who else "A view") + (
            f" was created in inference mode and {told} modified inplace in normal mode. "
        )
    else:
        who = f"{who} of a view which" if who else "A view"
        what = f"{who} was created in no_grad mode and {told} modified inplace with grad mode enabled. "
    return what + (
        "This view is the output of a function that returns multiple views. Such functions do not allow the output "
        "views to be modified inplace. You should replace the inplace operation by an out-of-place one."
        if created == "several" else
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
        f"both the view and the inplace either both inside the {'inference_mode' if created == 'inference' else 'no_grad'} "
        "block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked)."
    )  # fmt: skip


def unused(index: int) -> str:
    return (
        f"The differentiated Tensor at index {index} appears to not have been used in the graph. Set "
        "allow_unused=True if this is the desired behavior."
        "\nThe outputs do not depend on it: check that it, and not a copy made by detach(), clone() after the fact "
        "or torch.tensor(x), went into the computation."
    )


def too_large(e: Exception) -> bool:
    """Whether NumPy means by ``e`` that it cannot allocate so much: of sizes that overflow it says so otherwise."""
    return isinstance(e, MemoryError) or (isinstance(e, ValueError) and str(e).startswith(_OVERFLOW))


_OVERFLOW = ("array is too big", "Maximum allowed size", "Maximum allowed dimension")


def no_memory(what: str, e: Exception) -> OutOfMemoryError:
    """NumPy's error on allocating for ``what``, as ours."""
    if isinstance(e, OutOfMemoryError):
        return e
    if hasattr(e, "shape") and hasattr(e, "dtype"):
        return out_of_memory(what, e.shape, e.dtype)
    return explained(OutOfMemoryError(f"can't allocate memory: {e}\nIt is wanted by {what}. {_LESS}"))


def out_of_memory(what: str, shape: Any, d: Any) -> OutOfMemoryError:
    """There is no room for an array that ``what`` needs."""
    size = np.dtype(d).itemsize * math.prod(map(int, shape))
    said = (
        f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {size} bytes."
        if size < 2**63 else f"Storage size calculation overflowed with sizes={list(shape)}"
    )  # fmt: skip
    array = f"An array of shape {list(shape)} and dtype {np.dtype(d).name}, {size} bytes,"
    return explained(OutOfMemoryError(f"{said}\n{array} is wanted by {what}. {_LESS}"))


def allocating(what: str) -> Callable[[F], F]:
    """Decorates a function whose arrays, for ``what``, may not fit: NumPy's error becomes ours."""

    def decorated(f: F) -> F:
        @functools.wraps(f)
        def allocated(*args: Any, **kwargs: Any) -> Any:
            try:
                return f(*args, **kwargs)
            except (MemoryError, ValueError) as e:
                if too_large(e):
                    raise no_memory(what, e) from None
                raise

        return cast(F, allocated)

    return decorated


_LESS = "Make it smaller, or work through it in pieces; what was there before is as it was."


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


def not_of_complex(e: Exception, d: Any) -> Exception:
    """PyTorch's error ``e`` for an operation that numbers of dtype ``d``, complex or integers, do not have."""
    mend = (
        "Complex numbers have no order, and not every function of real numbers has a complex one. Take the real numbers "
        "that are meant: z.abs(), z.angle(), z.real, z.imag."
        if np.dtype(d).kind == "c" else
        "It is for integers and truth values: compare first, x != 0, or convert, x.long()."
        if np.dtype(d).kind == "f" else
        "It is computed in floating point: convert first, x.float()."
    )  # fmt: skip
    return explained(type(e)(f"{str(e).format(scalar_type(d))}\n{mend}"))


def not_differentiable(name: str, argument: str) -> str:
    return (
        f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot have "
        "requires_grad True."
        f"\nIt counts as a constant: say so, {argument}.detach()."
    )


def no_derivative(name: str, argument: str, none_at_all: bool) -> str:
    if not none_at_all:
        return f"{not_differentiable(snake_case(name), argument)} Or declare its rule, vjp_{argument}, in the operation's class."
    return (
        f"derivative for aten::{snake_case(name)} is not implemented"
        f"\nA gradient was asked for that {name} has no rule for. If it is not wanted, cut the graph: x.detach()."
    )


def no_forward_mode(name: str, argument: str) -> str:
    return (
        f"Trying to use forward AD with aten::{snake_case(name)} that does not support it."
        f"\nDeclare jvp_{argument} in the class of the operation, or, if it is linear in {argument}, say so: "
        f'linear = ("{argument}",). Reverse mode may work: func.vjp, func.jacrev.'
    )


def no_value(a: object) -> str:
    return (
        f"a value was asked of {type(a).__name__}, which stands for many or for none: inside vmap, jvp or compile, "
        "`if`, float(), .item() and print cannot see numbers. Write torch.where(condition, a, b) instead of `if`."
    )


def type_name(value: Any) -> str:
    """The name of a value's type as PyTorch's messages give it: "int", "numpy.ndarray"."""
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def not_tensor(function: str, **arguments: Any) -> Exception:
    """The error for the first of a function's arguments that is no tensor."""
    at, (name, value) = next((i, a) for i, a in enumerate(arguments.items(), 1) if not hasattr(a[1], "_rg"))
    return explained(
        TypeError(
            f"{function}(): argument '{name}' (position {at}) must be Tensor, not {type_name(value)}"
            "\nMake it a tensor first: torch.as_tensor(value)."
        )
    )


def no_size(*values: Any) -> Exception:
    """The error of a loss of which one argument is no tensor."""
    value = next(v for v in values if not hasattr(v, "_rg"))
    mend = "\nBoth arguments of a loss are tensors: torch.as_tensor(value)."
    if type_name(value).startswith("numpy."):
        return explained(TypeError(f"'int' object is not callable{mend}"))
    return explained(AttributeError(f"'{type_name(value)}' object has no attribute 'size'{mend}"))
