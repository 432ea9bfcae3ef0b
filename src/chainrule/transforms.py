"""Which transforms of ``func`` are running here, outermost first.  Local to a thread and to an async task."""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from typing import Any, Self

from .errors import explained

_running: ContextVar[tuple[Transform, ...]] = ContextVar("chainrule.transforms", default=())
running = _running.get


class Transform:
    """A transform while it runs, as a context manager.

    All but "grad" have arrays of their own, of rank ``2 * depth + 1``.  Reverse mode works with Tensors over what
    those hold, of rank ``2 * depth + 2``.  A "vmap" has a ``size``, and says what is to be done about ``randomness``.
    """

    __slots__ = ("depth", "guests", "kind", "over", "randomness", "rank", "size", "start", "token", "variables")
    depth: int
    rank: int
    token: Token[tuple[Transform, ...]]

    def __init__(self, kind: str, size: int = 0, randomness: str = "error") -> None:
        self.kind, self.size, self.randomness = kind, size, randomness
        self.over, self.start = False, 0  # start: nodes with smaller numbers are older
        self.variables: list[Any] = []
        self.guests: list[tuple[weakref.ref[Any], tuple[str, ...]]] = []  # see welcome()

    def __enter__(self) -> Self:
        outer = running()
        depth = outer[-1].depth if outer else 0
        if self.kind == "grad":
            self.depth, self.rank = depth, 2 * depth + 2
        else:
            self.depth, self.rank = depth + 1, 2 * depth + 3
        self.token = _running.set((*outer, self))
        return self

    def __exit__(self, *exc: object) -> None:
        _running.reset(self.token)
        self.over = True


def depth() -> int:
    """How many of the running transforms have arrays of their own."""
    found = running()
    return found[-1].depth if found else 0


def welcome(t: Any, attributes: tuple[str, ...]) -> None:
    """Note that values of running transforms are written into a tensor that may be from outside, and with them
    attributes that it had not."""
    for transform in running():
        if transform.rank > t._rank or (transform.kind == "grad" and transform.rank == t._rank):
            transform.guests.append((weakref.ref(t), attributes))


def batches(t: Any) -> list[Transform]:
    """The vmaps in whose samples ``t`` differs, outermost first."""
    found = []
    while t is not None:
        level = getattr(t, "level", None)
        if level is not None and level.kind == "vmap":
            found.append(level)
        t = getattr(t, "_a", None)
    return found[::-1]


def show(name: str, rank: int, more: str, text: str) -> str:
    """A transform's array, which holds what ``text`` shows, as PyTorch prints it."""
    numbers = [str(i + 1) for i, t in enumerate(running()) if t.rank == rank]
    text = text.replace("\n", "\n    ")
    return f"{name}(lvl={numbers[-1] if numbers else '?'}, {more}value=\n    {text}\n)"


def forbid(sentence: str) -> None:
    """Raise RuntimeError with PyTorch's ``sentence`` if any transform is running."""
    if running():
        raise explained(RuntimeError(sentence))


def drawing_anew() -> list[Transform]:
    """The vmaps for each of whose samples random numbers are drawn anew, outermost first.

    RuntimeError if one of those that are running is in "error" mode.
    """
    vmaps = [t for t in running() if t.kind == "vmap"]
    for t in vmaps:
        if t.randomness == "error":
            raise explained(
                RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
                    "\nShould the samples share their random numbers? Say so: vmap(f, randomness='same'), or 'different'."
                )
            )
    return [t for t in vmaps if t.randomness == "different"]


# --- what PyTorch says ---

_TWO_WAYS = (
    "\nInside vmap a tensor stands for all samples, and `if`, float() and print cannot take one of them. Choose for each "
    "sample with torch.where(condition, a, b); or loop over the samples: torch.stack([f(x) for x in xs])."
)
OF_MANY = {
    "item": "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a "
            "Tensor, please try to rewrite what you're doing with other operations. If error is occurring somewhere "
            "inside PyTorch internals, please file a bug report." + _TWO_WAYS,
    "bool": "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support "
            "that yet, please file an issue at https://github.com/pytorch/pytorch/issues ." + _TWO_WAYS,
    "numpy": "Cannot access data pointer of Tensor that doesn't have storage"
             "\nInside vmap a tensor stands for all samples. Use NumPy outside, or write with chainrule's operations.",
}  # fmt: skip
ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user error (see "
    "https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal functorch error in `"
    "gen_vmap_plumbing` Please file an issue if it looks like the latter"
    "\nReturn what is needed outside from the function, instead of keeping it in a list or an attribute."
)


_ONE_SHAPE = (
    "\nThe results of all samples must have one shape. Keep all entries and choose among them, torch.where(mask, x, 0.0); "
    "or loop over the samples."
)
BY_MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with a "
    "boolean mask." + _ONE_SHAPE
)


def one_shape(operation: str, *tensors: Any) -> None:
    """PyTorch's error for an operation whose result's shape depends on values, if these differ from sample to sample."""
    if any(batches(t) for t in tensors):
        raise explained(
            RuntimeError(
                "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over "
                f"aten::{operation}. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this "
                "feature." + _ONE_SHAPE
            )
        )


def one_for_many(operation: str) -> str:
    return (
        f"vmap: {operation}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that "
        "has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped "
        f"over in a vmap. Please try to use out-of-place operators instead of {operation}. If said operator is being "
        "called inside the PyTorch framework, please file a bug report instead."
        "\nThis tensor is the same for all samples, so it has no room for a value of each. Make it of an input, "
        "x.new_zeros(...) or torch.zeros_like(x), which has room; or compute without writing."
    )


def _inside_transform(call: str, maybe: str = "") -> str:
    return (
        f"You are attempting to call Tensor.{call}() {maybe}inside of a function being transformed by a functorch "
        "transform. This is unsupported, please attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, "
        f"hessian) or call {call}() outside of a function being transformed instead."
        "\nTo differentiate inside, nest the transforms: func.grad(f)(x)."
    )


NO_REQUIRES_GRAD = _inside_transform("requires_grad_", "(or perhaps using torch.autograd.functional.* APIs) ")
NO_RETAIN_GRAD = _inside_transform("retain_grad")
NO_BACKWARD = (
    "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp "
    "instead or call backward() outside of functorch transforms."
    "\nfunc.grad(f)(x) gives the gradient as a value, inside vmap too."
)
