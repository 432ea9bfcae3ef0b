"""Functions of the user's own under transforms: reverse mode at a higher level, forward mode, vmap.

The interpreter of highest rank takes its own layer off the arguments, has the Function called on what they held,
and puts the layer back, as for any operation; only what a derivative or a batch means is the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..arrays import namespace as ns
from ..arrays.batched import Batched
from ..arrays.batched import make as make_batch
from ..arrays.dual import Dual
from ..backward import fit
from ..errors import explained
from ..func import tree
from ..func.levels import inside
from ..tensor import Lifted, Tensor, lower, wrap
from ..transforms import Transform
from .applied import call

_SEE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a ``vmap`` staticmethod is told about the call."""

    batch_size: int
    randomness: str


def apply(cls: Any, rank: int, args: tuple[Any, ...], kwargs: dict[str, Any], separate: bool) -> Any:
    """Call ``cls`` on arguments of which the highest rank is ``rank``, above 2."""
    if not separate:
        raise explained(
            RuntimeError(
                "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must "
                f"override the setup_context staticmethod. {_SEE}"
                "\nTake ctx out of forward, forward(x), and save in setup_context(ctx, inputs, output)."
            )
        )
    top = next(a for a in args if _is(a, rank))
    if isinstance(top, Batched):
        return _batched(cls, top.level, args)
    if isinstance(top, (Lifted, Dual)):
        return _tracked(cls, rank, args, kwargs)
    raise NotImplementedError(
        f"{cls.__name__} has a rule for the first derivative, but none for a {type(top).__name__} series. Nest func.grad "
        "or func.jvp instead, or write the function with tensor operations alone."
    )


def _is(a: Any, rank: int) -> bool:
    return isinstance(a, Tensor) and a._rank == rank


def _lowered(args: Sequence[Any], rank: int) -> list[Any]:
    return [lower(a._a) if _is(a, rank) else a for a in args]


def _raised(output: Any, inner: Sequence[Any], args: Sequence[Any], put: Any) -> Any:
    """``output`` with ``put`` around its tensors; an argument that is returned stays the one that was passed."""
    several = isinstance(output, tuple)
    found = []
    for i, out in enumerate(output if several else (output,)):
        given = [a for a, low in zip(args, inner, strict=True) if low is out]
        found.append(out if not isinstance(out, Tensor) else given[0] if given else put(i, out))
    return tuple(found) if several else found[0]


def _tracked(cls: Any, rank: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def forward(args: tuple[Any, ...]) -> Any:
        inner = _lowered(args, rank)
        return _raised(cls.apply(*inner, **kwargs), inner, args, lambda _, out: wrap(inside(out), rank))

    return call(cls, rank, args, kwargs, True, forward)


# --- batches ---


def _batched(cls: Any, level: Transform, args: tuple[Any, ...]) -> Any:
    from .function import Function

    rank, size = level.rank, level.size
    own = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid "
            f"ambiguity. {_SEE}"
        )
    inner = _lowered(args, rank)
    if cls.generate_vmap_rule:
        made = generated(cls, [_is(a, rank) for a in args], size, level.randomness)
        output = made.apply(*inner)
        dims = [0 if b else None for b in made.out_batched]
    elif own:
        info, in_dims = VmapInfo(size, level.randomness), tuple([0 if _is(a, rank) else None for a in args])
        output, dims = _checked(cls.vmap(info, in_dims, *inner))
    else:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and implement the "
            f"vmap staticmethod or set generate_vmap_rule=True. {_SEE}"
        )

    def put(i: int, out: Tensor) -> Tensor:
        dim = dims[i]
        return out if dim is None else make_batch(inside(out.movedim(dim, 0) if dim else out), level)

    return _raised(output, inner, args, put)


def _checked(result: Any) -> tuple[Any, list[int | None]]:
    """What a ``vmap`` staticmethod returned: the output, and a dimension for each of its tensors."""
    complaint = (
        "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible "
        "with the output. "
    )
    if not isinstance(result, tuple):
        raise RuntimeError(f"{complaint}Got a {type(result)} instead")
    if len(result) != 2:
        raise RuntimeError(f"{complaint}Got {len(result)} returns instead")
    output, out_dims = result
    found = tree.spread(out_dims, tree.tree_structure(output))
    if found is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
            f"out_dims={out_dims} to be compatible with the structure of `output`. {_SEE}"
        )
    return output, found


class _Inside:
    """The ctx that a Function sees while it runs on batches: tensors are saved without their batch, and come back with it."""

    def __init__(self, ctx: Any, **own: Any) -> None:
        self.__dict__.update(own, _ctx=ctx)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._ctx, name, value)

    def save_for_backward(self, *tensors: Any) -> None:
        self._ctx.save_for_backward(*self._unboxed("backward", tensors))

    def save_for_forward(self, *tensors: Any) -> None:
        self._ctx.save_for_forward(*self._unboxed("forward", tensors))

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self._ctx.mark_non_differentiable(*[self._outputs.get(id(t), t) for t in tensors])

    def _unboxed(self, what: str, tensors: tuple[Any, ...]) -> list[Any]:
        found, self._note[what] = _split(tensors, self._level)
        return found


def _boxed(values: Sequence[Any], batched: Sequence[bool], level: Transform) -> list[Any]:
    return [make_batch(inside(v), level) if b and v is not None else v for v, b in zip(values, batched, strict=True)]


def _split(values: Sequence[Any], rank: int) -> tuple[list[Any], list[bool]]:
    """Values without the batches of one level, and which had one."""
    batched = [_is(v, rank) for v in values]
    return [lower(v._a) if b else v for v, b in zip(values, batched, strict=True)], batched


def generated(cls: Any, batched: list[bool], size: int, randomness: str) -> Any:
    """``cls`` as a Function of batches: its own forward, backward and jvp, each run on all samples at once.

    ``batched`` says which arguments are; ``out_batched``, known once it has been called, which outputs.
    """
    from .function import Function, FunctionMeta

    def forward(*args: Any) -> Any:
        with Transform("vmap", size, randomness) as level:
            output = cls.forward(*_boxed(args, batched, level))
            several = isinstance(output, tuple)
            found, made.out_batched = _split(output if several else (output,), level.rank)
        return tuple(found) if several else found[0]

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        several = isinstance(output, tuple)
        outputs = output if several else (output,)
        with Transform("vmap", size, randomness) as level:
            args = _boxed(inputs, batched, level)
            outs = _boxed(outputs, made.out_batched, level)
            note: dict[str, Any] = {"backward": [], "forward": []}
            note["inputs"] = [(a._shape, a._dtype) if isinstance(a, Tensor) else None for a in args]
            ctx._notes[made] = note
            same = dict(zip(map(id, outs), outputs, strict=True))
            own = _Inside(ctx, _level=level.rank, _note=note, _outputs=same)
            cls.setup_context(own, tuple(args), tuple(outs) if several else outs[0])

    def backward(ctx: Any, *grads: Any) -> Any:
        note = ctx._notes[made]
        with Transform("vmap", size, randomness) as level:
            saved = tuple(_boxed(ctx.saved_tensors, note["backward"], level))
            own = _Inside(ctx, saved_tensors=saved)
            rule = cls.vjp if cls.vjp is not Function.vjp else cls.backward
            found = rule(own, *_boxed(grads, made.out_batched, level))
            found = found if isinstance(found, tuple) else (found,)
            fitted = [c if meta is None or not isinstance(c, Tensor) else fit(ns.boxes, c, *meta)
                      for c, meta in zip(found, note["inputs"], strict=False)]  # fmt: skip
            each, has = _split(fitted, level.rank)
        return (*[_like(c, h, b, size) for c, h, b in zip(each, has, batched, strict=False)], *found[len(batched) :])

    def jvp(ctx: Any, *tangents: Any) -> Any:
        note = ctx._notes[made]
        with Transform("vmap", size, randomness) as level:
            saved = tuple(_boxed(ctx.saved_tensors, note["forward"], level))
            found = cls.jvp(_Inside(ctx, saved_tensors=saved), *_boxed(tangents, batched, level))
            several = isinstance(found, tuple)
            each, has = _split(found if several else (found,), level.rank)
        found = tuple([_like(t, h, b, size) for t, h, b in zip(each, has, made.out_batched, strict=False)])
        return found if several else found[0]

    members = {f.__name__: staticmethod(f) for f in (forward, setup_context, backward, jvp)}
    made: Any = FunctionMeta(f"Vmapped{cls.__name__}", (Function,), {**members, "generate_vmap_rule": True})
    return made


def _like(c: Any, has: bool, wanted: bool, size: int) -> Any:
    """A gradient for an argument that has a batch axis.  For one that has none, who takes it sums it to fit."""
    return c if c is None or has or not wanted else ns.boxes.broadcast_to(c, (size, *c._shape))
