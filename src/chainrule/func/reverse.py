"""Reverse mode as functions: ``grad``, ``grad_and_value``, ``vjp``.

Reverse mode needs no arrays of its own: an argument becomes a fresh leaf (or, if something outside tracks it, an
alias with a node of its own), the function runs, and the engine sweeps to that node.  The sweep is itself recorded
only if the graph leads on to something outside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import backward as _backward
from ..arrays import namespace as ns
from ..errors import explained
from ..graph import behind
from ..modes import is_grad_enabled
from ..primitive import table
from ..tensor import Tensor, init, lower, wrap
from ..transforms import Transform
from ..writes import alias
from . import tree
from .arguments import Argnums, aux_tensor, chosen, only_tensors, replaced, with_aux
from .levels import Differentiation, recording

_OVER = Transform("grad")
_OVER.over = True


class Reverse(Differentiation):
    """A reverse-mode transform, and the variables it differentiates with respect to."""

    __slots__ = ("edges", "outer")

    def __init__(self) -> None:
        super().__init__("grad")
        self.outer = is_grad_enabled()  # whether what is done to things from outside is recorded

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for v in self.variables:
            if hasattr(v, "level"):
                v.level = _OVER  # not this one, which knows them: a cycle would wait for the garbage collector

    def enter(self, primals: Any) -> Any:
        """``primals`` with variables of this transform for tensors."""
        if isinstance(primals, Tensor):
            self.variables = [self._fresh(primals)]
            fresh: Any = self.variables[0]
        else:
            leaves, spec = tree.tree_flatten(primals)
            self.variables = [self._fresh(x) for x in leaves]
            fresh = spec.unflatten(self.variables)
        self.edges = [_backward.edge_of(v) for v in self.variables]
        return fresh

    def _fresh(self, x: Any) -> Tensor:
        rank = self.rank
        if not isinstance(x, Tensor):
            mend = f"\nWrite torch.tensor({float(x)})." if isinstance(x, (bool, int, float)) else ""
            raise explained(ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}{mend}"))
        if x._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "only Tensors of floating point dtype can require gradients"
                    f"\nThis argument is {x.dtype}. Convert it first, x.float(); or let argnums leave it out."
                )
            )
        if x._rank == rank and x._rg:
            return table["AliasBackward0"](x, key=(...,))
        if rank > 2:
            out = wrap(x._a if x._rank == rank else x, rank)
        else:
            out = init(object.__new__(type(x) if type(x)._rank == 2 else Tensor), x._own())
            out._v = x._cell()
        if x._first and x._rank == rank:
            x._lend(out)
        out._rg, out.level = True, self  # type: ignore[attr-defined]
        return out

    def tracked(self, x: Tensor) -> bool:
        return x._rg and self.leads_outside([x])

    def leads_outside(self, outputs: Sequence[Any]) -> bool:
        """Whether the graph behind ``outputs`` leads to something other than the variables."""
        own = set(self.edges)
        seen: set[Any] = set()
        stack = [_backward.edge_of(y) for y in outputs]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if not node._seq:
                level = getattr(node, "level", None)  # a variable of a transform that is over leads nowhere
                if node not in own and (level is None or not level.over):
                    return True
            elif node in own:
                return True  # an alias of something tracked outside
            else:
                stack.extend([e for e in node.edges if e is not None])
        return False

    def pull(
        self, outputs: Sequence[Tensor], cotangents: Sequence[Any] | None, keep: bool, create: bool
    ) -> list[Tensor]:
        """The cotangents of the variables; zeros where the outputs do not depend on them."""
        for v, edge in zip(self.variables, self.edges, strict=True):
            if _backward.edge_of(v) is not edge:
                raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        live = [i for i, y in enumerate(outputs) if y._rg and y._rank == self.rank]
        if not live:
            return [_zeros(v) for v in self.variables]
        ys = [outputs[i] for i in live]
        cs = None if cotangents is None else [cotangents[i] for i in live]
        if create:
            create = self.leads_outside(ys) or any(
                c._rg and c._rank == self.rank for c in cs or () if isinstance(c, Tensor)
            )
        found = _backward.grad(
            ys, self.variables, cs, retain_graph=keep or create, create_graph=create, allow_unused=True
        )
        return [_zeros(v) if g is None else self.out(g) for g, v in zip(found, self.variables, strict=True)]

    def keep(self, outputs: Sequence[Tensor]) -> None:
        """Let the graph be swept when this is over: what was written into tensors, which then lose it, stays saved."""
        guests = {id(x): x for ref, _ in self.guests if (x := ref()) is not None}
        twins: dict[int, Any] = {}
        for node in behind(*[_backward.edge_of(y) for y in outputs]) if guests else ():
            if node.tensors is not None and any(id(x) in guests for x in node.tensors):
                twins.update({i: alias(x) for x in node.tensors if (i := id(x)) in guests and i not in twins})
                node.tensors = tuple([twins.get(id(x), x) for x in node.tensors])

    def out(self, g: Tensor) -> Tensor:
        """A result without the wrapper of this transform."""
        if self.rank > 2 and g._rank == self.rank and not g._rg:
            return lower(g._a)
        return g

    def value(self, y: Any) -> Tensor:
        """What is seen outside of a tensor that was computed inside."""
        y = aux_tensor(y)
        if y._rank != self.rank or not y._rg or (self.outer and self.leads_outside([y])):
            return self.out(y)
        y = y._cut()
        return lower(y._a) if self.rank > 2 and not y._first else y


def _zeros(v: Tensor) -> Tensor:
    return ns.boxes.zeros(v._shape, dtype=v._dtype)  # type: ignore[no-any-return]


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives ``(gradient, value)`` of a scalar function; with ``has_aux``, ``(gradient, (value, aux))``.

    Arguments, results and errors are those of :func:`grad`.

    Source: ``torch.func.grad_and_value``.

    >>> import chainrule as torch
    >>> torch.func.grad_and_value(lambda x: x**3)(torch.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with Reverse() as t, recording():
            primals, spec = tree.tree_flatten(chosen(args, argnums))
            out = func(*replaced(args, argnums, spec.unflatten(t.enter(primals))), **kwargs)
            aux = None
            if has_aux:
                out, aux = with_aux(out, "grad_and_value(f)(*args)")
            _check_scalar(out)
            found = t.pull([out], None, False, t.outer)
            t.keep([out, *found])
            value = t.value(out)
            return spec.unflatten(found), (value, tree.tree_map(t.value, aux)) if has_aux else value

    return wrapped


def _check_scalar(out: Any) -> None:
    start = "grad_and_value(f)(*args): Expected f(*args) to return a"
    if not isinstance(out, Tensor):
        raise explained(
            RuntimeError(
                f"{start} Tensor, got {type(out)}"
                "\nReturn the loss as a tensor; if the function returns more beside it, say has_aux=True."
            )
        )
    if out._shape:
        raise explained(
            RuntimeError(
                f"{start} scalar Tensor, got tensor with {out.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs "
                f"instead?\nThe result has shape {list(out.shape)}. Reduce it, f(x).sum(), or take jacrev(f) for the "
                "derivative of each element."
            )
        )
    if out._dtype.kind == "c" and out._rg:
        raise explained(
            RuntimeError(
                f"grad can be implicitly created only for real scalar outputs but got {out.dtype}"
                "\nReturn a real number of it, such as z.abs() or z.real."
            )
        )


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function of the same arguments.

    ``argnums`` says with respect to which positional arguments, each a tensor or a nest of them; the result is built
    as they are, a tuple for a tuple of numbers.  With ``has_aux`` the function returns ``(value, aux)``, and the
    result is ``(gradient, aux)``.  Nests: ``grad(grad(f))`` is the second derivative.

    Raises RuntimeError if the function does not give one number, or an argument holds integers; ValueError if an
    argument holds what is not a tensor.

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
    """``(func(*primals), pull)``: ``pull(cotangents)`` gives the cotangents of the primals, a tuple.

    Outputs and primals are tensors or nests of them; cotangents are built as the output is.  With ``has_aux`` the
    function returns ``(output, aux)``, and the result is ``(output, pull, aux)``.

    Raises RuntimeError for outputs that are not floating tensors, and from ``pull`` if the cotangents do not match.

    Source: ``torch.func.vjp``.

    >>> import chainrule as torch
    >>> value, pull = torch.func.vjp(lambda x: x**2, torch.tensor([1.0, 2.0]))
    >>> pull(torch.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    with Reverse() as t, recording():
        out = func(*t.enter(primals))
        return _pullback(t, out, tree.tree_structure(primals), has_aux)


def _pullback(t: Reverse, out: Any, primals: tree.TreeSpec, has_aux: bool) -> Any:
    """What ``vjp`` gives, once the function has run."""
    aux = None
    if has_aux:
        out, aux = with_aux(out, "vjp(f, *primals)")
        aux = tree.tree_map(t.value, aux)
    ys, spec = only_tensors(out, "vjp(f, *primals)")
    for y in ys:
        if y._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    f"vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                    f"{y.dtype}\nWhat has no derivative may be returned as auxiliary data: has_aux=True."
                )
            )

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        cs, given = tree.tree_flatten(cotangents)
        if given != spec:
            raise explained(
                RuntimeError(
                    "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                    f"function. cotangents: {tree.treespec_pprint(given)}, primal output: {tree.treespec_pprint(spec)}"
                    "\nA cotangent weighs each element of the output: give it the output's structure and shapes."
                )
            )
        create = is_grad_enabled() if create_graph is None else create_graph
        return primals.unflatten(t.pull(ys, cs, retain_graph, create))

    t.keep(ys)
    value = spec.unflatten([t.value(y) for y in ys])
    return (value, pull, aux) if has_aux else (value, pull)
