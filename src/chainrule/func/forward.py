"""Forward mode as functions: ``jvp``, and ``linearize``, which keeps what it does to tangents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays import namespace as ns
from ..arrays.dual import Dual, make
from ..arrays.linear import Linear, Tape
from ..errors import explained
from ..tensor import Tensor, lower
from . import tree
from .arguments import aux_tensor, only_tensors, with_aux
from .levels import Differentiation, inside, level, outside

API = "jvp(f, primals, tangents)"


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """``(func(*primals), derivative along tangents)``, in one pass, side by side.

    ``primals`` is the tuple of arguments, tensors or nests of them, and ``tangents`` is built alike, with the same
    shapes.  With ``has_aux`` the function returns ``(output, aux)``, and the result is ``(output, derivative, aux)``.
    Under ``strict`` an output that does not depend on the primals is an error; else its derivative is zeros.

    Raises RuntimeError if primals, tangents or outputs are not tensors of matching structure and shapes.

    Source: ``torch.func.jvp``.

    >>> import chainrule as torch
    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(1.0),))
    (tensor(0.), tensor(1.))
    """
    if not isinstance(primals, tuple):
        raise explained(
            RuntimeError(
                f"{API}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
                "\nWrite (x,) for one argument, and (v,) for its tangent."
            )
        )
    xs, spec = tree.tree_flatten(primals)
    ts, given = tree.tree_flatten(tangents)
    if spec != given:
        raise explained(
            RuntimeError(
                f"{API}: Expected primals and tangents to have the same python structure. For example, if primals is a "
                f"tuple of 3 tensors, tangents also must be. Got primals with structure {spec} and tangents with "
                f"structure {given}\nGive a tangent for each argument, zeros for one that is held fixed."
            )
        )
    for what, values in (("primals", xs), ("tangents", ts)):
        if not values:
            raise RuntimeError(f"{API}: Expected {what} to contain at least one Tensor.")
        for x in values:
            if not isinstance(x, Tensor):
                raise RuntimeError(f"{API}: Expected {what} to only contain Tensors, got {type(x)}")
    return push(func, xs, ts, lambda duals: spec.unflatten(duals), strict, has_aux)


def push(
    func: Callable[..., Any], xs: list[Tensor], ts: list[Tensor], call: Callable[[list[Any]], Any], strict: bool,
    has_aux: bool,
) -> Any:  # fmt: skip
    """Run ``func`` on the arguments that ``call`` makes of ``xs``, which carry the tangents ``ts``."""
    for x, t in zip(xs, ts, strict=True):
        _check(x, t)
    with Differentiation("jvp") as level:
        out = func(*call([make(inside(x), inside(t), level.rank) for x, t in zip(xs, ts, strict=True)]))
        aux = None
        if has_aux:
            out, aux = with_aux(out, API)
            aux = tree.tree_map(lambda y: _primal(aux_tensor(y), level), aux)
        ys, spec = only_tensors(out, API)
        found = spec.unflatten([_primal(y, level) for y in ys])
        along = spec.unflatten([_tangent(y, level, strict) for y in ys])
    return (found, along, aux) if has_aux else (found, along)


def _check(x: Tensor, t: Tensor) -> None:
    for what, value in (("primal", x), ("tangent", t)):
        if value._dtype.kind not in "fc":
            raise explained(
                ValueError(
                    f"Expected {what} to be floating point or complex, but got: {value.dtype}"
                    "\nOnly numbers that can change a little have a derivative: convert them, x.float()."
                )
            )
    if x._shape != t._shape:
        raise explained(
            RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original Tensor, this is "
                f"not supported. Tensor is of size {list(x._shape)} while the given forward gradient is of size "
                f"{list(t._shape)}.\nA tangent says how each element moves: it has the shape of its primal."
            )
        )


def _primal(y: Tensor, level: Differentiation) -> Tensor:
    y = outside(y, level.rank)
    return lower(y._a) if y._rank == level.rank else y


def _tangent(y: Tensor, level: Differentiation, strict: bool) -> Tensor:
    if isinstance(y, Dual) and y._rank == level.rank:
        return lower(y.tangent._a)
    if strict:
        raise explained(
            RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not "
                "allowed with strict=True.\nWithout strict=True its derivative is zeros."
            )
        )
    return ns.boxes.zeros(y._shape, dtype=y._dtype)  # type: ignore[no-any-return]


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``(func(*primals), push)``: ``push(*tangents)`` is the derivative along the tangents, without a new run.

    The function runs once, in forward mode, and what it does to tangents is kept.  As in :func:`jvp`, tangents pass
    through ``no_grad``.

    Raises RuntimeError from ``push`` if the tangents do not have the primals' structure, shapes and dtypes.

    Source: ``torch.func.linearize``.

    >>> import chainrule as torch
    >>> value, push = torch.func.linearize(torch.sin, torch.zeros(2))
    >>> push(torch.tensor([1.0, 10.0]))
    tensor([ 1., 10.])
    """
    xs, shape = tree.tree_flatten(primals)
    for x in xs:
        if not isinstance(x, Tensor):
            raise RuntimeError(f"linearize(f, *primals): Expected primals to only contain Tensors, got {type(x)}")
    with level() as rank:
        tape = Tape(rank)
        starts: list[Any] = [tape.entry(inside(ns.boxes.zeros_like(x))) for x in xs]
        value, along = push(func, xs, starts, shape.unflatten, False, False)
    ys, spec = tree.tree_flatten(along)
    tape.keep([y.place for y in ys if isinstance(y, Linear)])

    def linear(*tangents: Any) -> Any:
        ts, given = tree.tree_flatten(tangents)
        if given != shape:
            raise RuntimeError(f"Expected the tangents {given} to have the same argspec as the primals {shape}")
        for i, (t, x) in enumerate(zip(ts, xs, strict=True)):
            for what, have, want in (("shape", t.shape, x.shape), ("dtype", t.dtype, x.dtype)):
                if have != want:
                    raise RuntimeError(
                        f"tangent:{i} with {what} {have} in flattened pytree doesn't match the {what} {want} of the "
                        "corresponding primal."
                    )
        found = tape.play(ts)
        return spec.unflatten([lower(found[y.place]) if isinstance(y, Linear) else y for y in ys])

    return value, linear
