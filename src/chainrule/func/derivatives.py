"""Derivatives as functions: ``grad``, ``vjp``, ``jvp``, ``jacrev``, ``jacfwd``, ``hessian``.

Reverse mode needs no machinery of its own: an argument becomes a fresh leaf (or, if something outside
tracks it, an alias with a node of its own), the function runs, and the engine sweeps to that node.  The
sweep is itself recorded only if the graph leads on to something outside.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from .. import backward as _backward
from ..arrays.dual import Dual
from ..arrays.dual import make as make_dual
from ..backward import edge_of
from ..errors import explained
from ..modes import enable_grad, is_grad_enabled
from ..primitive import table
from ..tensor import Tensor, init, lower, wrap
from . import tree
from .levels import as_tensor, depth, inside, level, outside
from .vmap import vmap

Argnums = int | tuple[int, ...]


def _fresh(x: Any) -> Tensor:
    """``x`` as a variable of the transform that starts here."""
    x = as_tensor(x)
    rank = 2 * depth() + 2
    if x._dtype.kind not in "fc":
        raise RuntimeError(
            f"only Tensors of floating point and complex dtype can be differentiated, got {x.dtype}: write x.float()"
        )
    if x._rank == rank and x._rg:
        return table["AliasBackward0"](x, key=(...,))  # type: ignore[no-any-return]
    out = wrap(x._own() if rank == 2 else x._a if x._rank == rank else x, rank)
    if x._rank == rank == 2:
        out = init(object.__new__(type(out)), x._own())
        out._v = x._cell()
    if x._first and x._rank == rank:
        x._lend(out)
    out._rg = True
    return out


def _tracked(outputs: list[Tensor], variables: list[Tensor]) -> bool:
    """Whether the graph behind ``outputs`` leads to something other than ``variables``."""
    own = {id(edge_of(v)) for v in variables}
    seen: set[int] = set()
    stack = [edge_of(y) for y in outputs if y._rg]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if id(node) in own:
            if node._seq:
                return True  # an alias of something tracked outside
            continue
        if not node._seq:
            if "ended" not in node.__dict__:
                return True
            continue
        stack.extend(e for e in node.edges if e is not None)
    return False


def _pull(outputs: list[Tensor], variables: list[Tensor], cotangents: Any, keep: bool, outer: bool) -> list[Tensor]:
    live = [(y, None if cotangents is None else c) for y, c in
            zip(outputs, cotangents or [None] * len(outputs), strict=True) if y._rg and y._rank == variables[0]._rank]  # fmt: skip
    if not live:
        return [_zeros(v) for v in variables]
    weights = [c for _, c in live if c is not None]
    create = outer and (_tracked(outputs, variables) or any(c._rg and c._rank == variables[0]._rank for c in weights))
    found = _backward.grad(
        [y for y, _ in live], variables, None if cotangents is None else [c for _, c in live],
        retain_graph=keep or create, create_graph=create, allow_unused=True,
    )  # fmt: skip
    return [_zeros(v) if g is None else _out(g) for g, v in zip(found, variables, strict=True)]


def _zeros(v: Tensor) -> Tensor:
    from ..creation import zeros

    return zeros(*v.shape, dtype=v.dtype)


def _out(g: Tensor) -> Tensor:
    """A result without the wrapper of the transform that ends here."""
    if g._rank > 2 and g._rank == 2 * depth() + 2 and not g._rg and isinstance(g._a, Tensor):
        return g._a
    return g


def _chosen(args: tuple[Any, ...], argnums: Argnums) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise explained(
                RuntimeError(
                    f"Got argnum={n}, but only {len(args)} positional inputs"
                    "\nArguments to differentiate must be passed by position."
                )
            )
    return numbers


def _call(
    func: Any, args: tuple[Any, ...], kwargs: Any, argnums: Argnums
) -> tuple[Any, list[Tensor], Callable[[list[Any]], Any]]:
    """Run ``func`` with fresh variables in place of the chosen arguments."""
    numbers = _chosen(args, argnums)
    leaves, rebuild = tree.flatten(tuple(args[n] for n in numbers))
    variables = [_fresh(x) for x in leaves]
    new = list(args)
    for n, v in zip(numbers, rebuild(variables), strict=True):
        new[n] = v
    out = func(*new, **kwargs)
    for v in variables:
        v.__dict__["ended"] = True  # who finds it in a graph from now on, from outside, has nothing to do with it
    return out, variables, lambda found: rebuild(found)[0] if isinstance(argnums, int) else rebuild(found)


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives ``(gradient, value)`` of a scalar function; with ``has_aux``, ``(gradient, (value, aux))``.

    Source: ``torch.func.grad_and_value``.
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        outer = is_grad_enabled()
        with enable_grad():
            out, variables, shape = _call(func, args, kwargs, argnums)
            aux = None
            if has_aux:
                if not (isinstance(out, tuple) and len(out) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True"
                    )
                out, aux = out
            if not isinstance(out, Tensor):
                raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return tensor, got {type(out)}")
            if out.shape:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with "
                    f"{out.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            tracked = outer and out._rg and _tracked([out], variables)
            found = _pull([out], variables, None, tracked, outer)
        value = out if tracked else _value(out)
        return shape(found), ((value, tree.map_(_value, aux)) if has_aux else value)

    return wrapped


def _value(y: Any) -> Any:
    return _out(y._cut()) if isinstance(y, Tensor) and y._rank == 2 * depth() + 2 else y


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function of the same arguments.

    ``argnums`` says with respect to which positional arguments (each a tensor or a nest of them).  Nests:
    ``grad(grad(f))`` is the second derivative.

    Source: ``torch.func.grad``.

    >>> import chainrule as torch
    >>> torch.func.grad(torch.func.grad(lambda x: x**3))(torch.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        g, value = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return wrapped


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(func(*primals), pull)``: ``pull(cotangents)`` gives the cotangent of each primal.

    Source: ``torch.func.vjp``.
    """
    outer = is_grad_enabled()
    with enable_grad():
        out, variables, shape = _call(func, primals, {}, tuple(range(len(primals))))
        aux = None
        if has_aux:
            out, aux = out
    ys, rebuild = tree.flatten(out)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        cs, _ = tree.flatten(cotangents)
        if len(cs) != len(ys):
            raise RuntimeError(f"expected {len(ys)} cotangents, of the structure of the output, got {len(cs)}")
        with enable_grad():
            found = _pull(ys, variables, cs, True, outer)
        return shape(found)

    tracked = outer and _tracked([y for y in ys if y._rg], variables)
    value = rebuild(ys if tracked else [_value(y) for y in ys])
    return (value, pull, aux) if has_aux else (value, pull)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """``(func(*primals), directional derivative along tangents)``, in one forward pass.

    Source: ``torch.func.jvp``.

    >>> import chainrule as torch
    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(1.0),))
    (tensor(0.), tensor(1.))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"jvp: Expected primals to be a tuple. E.g. it should be valid to call f(*primals). Got {type(primals)}."
        )
    xs, rebuild = tree.flatten(primals)
    ts, _ = tree.flatten(tangents)
    if len(xs) != len(ts):
        raise RuntimeError(
            f"jvp: Expected primals and tangents to have the same structure, got {len(xs)} and {len(ts)} tensors"
        )
    for x, t in zip(xs, ts, strict=True):
        if as_tensor(x).shape != as_tensor(t).shape:
            raise RuntimeError(
                f"jvp: primal and tangent must have the same shape, got {list(x.shape)} and {list(t.shape)}"
            )
    with level() as rank:
        duals = [make_dual(inside(x), inside(t), rank) for x, t in zip(xs, ts, strict=True)]
        out = func(*rebuild(duals))
    aux = None
    if has_aux:
        out, aux = out
    ys, again = tree.flatten(out)
    ys = [outside(y, rank) for y in ys]
    value, tangent = again([_primal(y, rank) for y in ys]), again([_tangent(y, rank) for y in ys])
    return (value, tangent, tree.map_(lambda a: _primal(a, rank), aux)) if has_aux else (value, tangent)


def _primal(y: Any, rank: int) -> Any:
    return lower(y._a) if isinstance(y, Tensor) and y._rank == rank else y


def _tangent(y: Any, rank: int) -> Any:
    from ..creation import zeros

    if isinstance(y, Dual) and y._rank == rank:
        return lower(y.tangent._a)
    return zeros(*y.shape, dtype=y.dtype)


def _basis(xs: list[Tensor]) -> list[Tensor]:
    """For each of several tensors, the unit directions of all of them together: (total, *shape) each."""
    from ..creation import eye, zeros

    sizes = [x.numel() for x in xs]
    total = sum(sizes)
    out = []
    for x, n, start in zip(xs, sizes, [0, *itertools.accumulate(sizes)], strict=False):
        if len(xs) == 1:
            out.append(eye(n, dtype=x.dtype).reshape(n, *x.shape))
            continue
        block = zeros(total, n, dtype=x.dtype)
        block[start : start + n] = eye(n, dtype=x.dtype)
        out.append(block.reshape(total, *x.shape))
    return out


def _refuse_complex(name: str, what: str, values: Any) -> None:
    """PyTorch's error if a Jacobian is asked for that complex numbers would have two of."""
    for i, t in enumerate(tree.flatten(values)[0]):
        if isinstance(t, Tensor) and t.is_complex():
            raise explained(
                RuntimeError(
                    f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}"
                    "\nDifferentiate by the parts: f(torch.complex(x, y)) by x and by y, and take the parts of the result "
                    "with torch.view_as_real. For a holomorphic f the slope along one direction is torch.func.jvp's."
                )
            )


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian by reverse mode: one sweep per output element, done as a batch.

    For an output of shape (m,) and an input of shape (n,) it has shape (m, n).

    Source: ``torch.func.jacrev``.
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = _chosen(args, argnums)
        _refuse_complex("jacrev", "inputs", args)

        def partial(*chosen: Any) -> Any:
            new = list(args)
            for n, v in zip(numbers, chosen, strict=True):
                new[n] = v
            return func(*new, **kwargs)

        result = vjp(partial, *[args[n] for n in numbers], has_aux=has_aux)
        out, pull = result[0], result[1]
        _refuse_complex("jacrev", "outputs", out)
        ys, rebuild = tree.flatten(out)
        basis = _basis(ys)
        xs, inputs = tree.flatten(tuple(args[n] for n in numbers))

        def row(*cotangents: Any) -> Any:
            return tuple(tree.flatten(pull(rebuild(list(cotangents))))[0])

        rows = vmap(row, chunk_size=chunk_size)(*basis)
        sizes = [y.numel() for y in ys]
        per_output = []
        for y, n, start in zip(ys, sizes, [0, *itertools.accumulate(sizes)], strict=False):
            blocks = [r[start : start + n].reshape(*y.shape, *x.shape) for r, x in zip(rows, xs, strict=True)]
            nested = inputs(blocks)
            per_output.append(nested[0] if isinstance(argnums, int) else nested)
        jacobian = rebuild(per_output)
        return (jacobian, result[2]) if has_aux else jacobian

    return wrapped


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    randomness: str = "error",
) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian by forward mode: one pass per input element, done as a batch.

    Source: ``torch.func.jacfwd``.
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = _chosen(args, argnums)
        _refuse_complex("jacfwd", "inputs", args)
        chosen = tuple(args[n] for n in numbers)
        xs, inputs = tree.flatten(chosen)

        def partial(*values: Any) -> Any:
            new = list(args)
            for n, v in zip(numbers, values, strict=True):
                new[n] = v
            return func(*new, **kwargs)

        shapes: list[Any] = []

        def column(*tangents: Any) -> Any:
            result = jvp(partial, chosen, inputs(list(tangents)), has_aux=has_aux)
            _refuse_complex("jacfwd", "outputs", result[0])
            ys, rebuild = tree.flatten(result[1])
            shapes[:] = [rebuild, [y.shape for y in ys], *(result[2:])]
            return tuple(ys)

        columns = vmap(column, out_dims=-1, chunk_size=chunk_size)(*_basis([as_tensor(x) for x in xs]))
        sizes = [x.numel() for x in xs]
        per_output = []
        for c, shape in zip(columns, shapes[1], strict=True):
            blocks = []
            for x, n, start in zip(xs, sizes, [0, *itertools.accumulate(sizes)], strict=False):
                blocks.append(c[..., start : start + n].reshape(*shape, *x.shape))
            nested = inputs(blocks)
            per_output.append(nested[0] if isinstance(argnums, int) else nested)
        jacobian = shapes[0](per_output)
        return (jacobian, shapes[2]) if has_aux else jacobian

    return wrapped


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The matrix of second derivatives: forward over reverse.

    Source: ``torch.func.hessian``.

    >>> import chainrule as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
