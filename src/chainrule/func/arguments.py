"""Which arguments a transform is about, and what it asks of what functions give back."""

from __future__ import annotations

from typing import Any

from ..errors import explained
from ..tensor import Tensor
from . import tree

Argnums = int | tuple[int, ...]


def numbers(argnums: Any, args: tuple[Any, ...]) -> tuple[int, ...]:
    """``argnums`` as a tuple of positions, or PyTorch's error."""
    if isinstance(argnums, int):
        return (_number(argnums, len(args)),)
    if not isinstance(argnums, tuple):
        raise explained(
            RuntimeError(
                f"argnums must be int or Tuple[int, ...], got: {type(argnums)}"
                "\nWrite argnums=0 for the first argument, argnums=(0, 1) for the first two."
            )
        )
    found = tuple([_number(n, len(args)) for n in argnums])
    if not found:
        raise explained(RuntimeError("argnums must be non-empty\nName at least one argument, as argnums=(0,) does."))
    if len(set(found)) != len(found):
        raise explained(
            RuntimeError(f"argnums elements must be unique, got {found}\nName each argument once, whatever its sign.")
        )
    return found


def _number(n: Any, count: int) -> int:
    if not isinstance(n, int):
        raise RuntimeError(f"argnum must be int, got: {type(n)}")
    if not -count <= n < count:
        raise explained(
            RuntimeError(
                f"Got argnum={n}, but only {count} positional inputs"
                "\nArguments to differentiate must be passed by position."
            )
        )
    return n % count


def chosen(args: tuple[Any, ...], argnums: Any) -> Any:
    """The arguments that ``argnums`` names: one, or a tuple of them."""
    found = numbers(argnums, args)
    return args[found[0]] if isinstance(argnums, int) else tuple([args[n] for n in found])


def replaced(args: tuple[Any, ...], argnums: Any, new: Any) -> tuple[Any, ...]:
    """``args`` with ``new`` in the place of what ``chosen`` gives."""
    full = list(args)
    for n, value in zip(numbers(argnums, args), (new,) if isinstance(argnums, int) else new, strict=True):
        full[n] = value
    return tuple(full)


def with_aux(out: Any, api: str) -> tuple[Any, Any]:
    """An output and its auxiliary data, or PyTorch's error."""
    if not (isinstance(out, tuple) and len(out) == 2):
        raise explained(
            RuntimeError(
                f"{api}: output of function f should be a tuple: (output, aux) if has_aux is True"
                "\nReturn two things, `return loss, predictions`, or leave has_aux out."
            )
        )
    return out


def only_tensors(out: Any, api: str) -> tuple[list[Tensor], tree.TreeSpec]:
    """The tensors of an output and their structure, or PyTorch's error."""
    ys, spec = tree.tree_flatten(out)
    if not ys or (len(ys) == 1 and ys[0] is None):
        raise explained(
            RuntimeError(
                f"{api}: Expected f to be a function that has non-empty output (got output = {ys})"
                "\nThe function returns nothing: is there a `return` at its end?"
            )
        )
    for y in ys:
        if not isinstance(y, Tensor):
            raise explained(
                RuntimeError(
                    f"{api}: expected f(*primals) to return only tensors, got unsupported type {type(y)}"
                    "\nA number made by .item() or float() carries no derivative: return the tensor it was made of."
                )
            )
    return ys, spec


def aux_tensor(y: Any) -> Tensor:
    if isinstance(y, Tensor):
        return y
    raise explained(
        RuntimeError(
            f"Expected tensors, got unsupported type {type(y)}"
            "\nAuxiliary data is made of tensors: write torch.tensor(value), or keep the rest in a list from outside."
        )
    )


def real_only(api: str, what: str, values: Any) -> None:
    """PyTorch's error for complex numbers in a Jacobian."""
    for i, x in enumerate(tree.tree_leaves(values)):
        if isinstance(x, Tensor) and x._dtype.kind == "c":
            raise explained(
                RuntimeError(
                    f"{api}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}"
                    "\nDifferentiate real and imaginary part apart: torch.view_as_real(z) makes two real numbers of each."
                )
            )
