"""The derivative of a compiled function: another program.

Capture sweeps the graph that the function left behind, so a function comes with its pull-back.  The two are
divided as follows.  What an element-by-element operation computed, the backward program computes again, in
the loop that needs it; what a matrix product or a reduction computed is saved.  Over Tensors or batches
(``create_graph``, ``is_grads_batched``) the pull-back is not run but replayed, operation by operation, so it
has derivatives in turn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import explained
from ..node import Box, Node, Several
from ..primitive import Primitive, bind, table
from ..tensor import Tensor, wrap
from . import scalar
from .captured import Captured
from .program import Program, Var
from .simplify import simplify
from .watching import Uncompilable


class Derivative:
    """What a captured function (its ``program`` simplified) computes and pulls back, as programs of their own."""

    def __init__(self, captured: Captured, program: Program, make: Callable[..., Any]) -> None:
        self.make = make  # runners of programs
        self.wanted, self.cut = captured.wanted, captured.cut
        self.count = len(captured.tensors) + len(captured.draws)
        inputs, self.cotangents = program.inputs[: self.count], program.inputs[self.count :]
        outputs, grads = program.outputs[: captured.outputs], program.outputs[captured.outputs :]
        saved = _saved(program, inputs)
        self.replayed = _replayed(captured, program)
        self.backward = program.restricted([*inputs, *saved, *self.cotangents], grads)
        read = {v for p in (self.replayed, self.backward) for eq in p.equations for v in eq.vars}
        read |= {g for g in grads if isinstance(g, Var)}
        self.needed = [v in read for v in inputs]
        # Inputs that the function overwrites are needed as they were; with a derivative of their own they cannot be.
        self.copied = [w.tensor for w in captured.writes if self.needed[w.tensor]]
        if any(captured.tensors[i]._rg for i in self.copied):
            raise Uncompilable("it writes to a tensor that its derivative needs")
        self.kept = len(outputs) + len(saved)
        self.forward = program.restricted(inputs, [*outputs, *saved, *[inputs[i] for i in self.copied]])

    def __getattr__(self, name: str) -> Any:
        """The backward program is compiled when it is first asked for.

        Not by ``cached_property``, which up to Python 3.11 holds one lock for all, for ever in a process that is forked then.
        """
        if name != "runner":
            raise AttributeError(name)
        try:
            self.runner = self.make(self.backward)
        except Exception as e:  # at a time when the function cannot run as it is any more
            from .run import Runner

            why = f"{type(e).__name__}: {e}".partition("\n")[0]
            warnings.warn(f"A derivative runs operation by operation: {why}", UserWarning, stacklevel=2)
            self.runner = Runner(self.backward, fuse=False)
        return self.runner


class CompiledFunctionBackward(Node):
    """A call of a compiled function.

    ``params`` is its :class:`Derivative`; ``saved`` are None, the arrays read and what the program saved.
    """

    __slots__ = ()

    def unpack(self, saved: Any) -> tuple[Any, ...]:
        return _Tensors(
            t if t is not None or a is None else wrap(a) for t, a in zip(self.tensors, saved[1], strict=True)
        )

    def pull(self, sweep: Any, g: Any, saved: Any) -> Sequence[Any]:
        d: Derivative = self.params
        if type(saved) is tuple and not isinstance(g, (Box, Several)):  # numbers, one output: the common case
            found: Sequence[Any] = d.runner.run(*saved[1], *saved[2], g)
        else:
            found = self._pull_several(d, g.parts if isinstance(g, Several) else {0: g}, saved)
        if len(d.wanted) == d.count:
            return found
        grads = dict(zip(d.wanted, found, strict=True))
        return [grads.get(i) for i in range(d.count)]

    def _pull_several(self, d: Derivative, parts: dict[int, Any], saved: Any) -> Sequence[Any]:
        graph = isinstance(saved, _Tensors)
        cotangents = [parts.get(i) for i in range(len(d.cotangents))]
        for i, v in enumerate(d.cotangents):
            if cotangents[i] is None:  # an output that was not used
                zero = np.zeros(v.shape, v.dtype)
                cotangents[i] = wrap(zero) if graph else zero
        if graph:
            inputs = [bind(_once, (t,), {}) if d.cut and isinstance(t, Tensor) else t for t in saved]
            return d.replayed.evaluate([*inputs, *cotangents], bind, wrap)
        if any(isinstance(c, Box) for c in cotangents):
            return d.replayed.evaluate([*saved[1], *cotangents], bind)
        return d.runner.run(*saved[1], *saved[2], *cotangents)  # type: ignore[no-any-return]


class Once(Primitive):
    """x, for a pull-back whose equations do not tell its derivative."""

    forward = lambda xp, x: x  # noqa: E731
    vjp_x = lambda xp, g, x: _refuse()  # noqa: E731

    def jvp(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: Any) -> Any:
        return _refuse()


_once = table.pop(Once().name)  # no operation that others could find


def _refuse() -> NoReturn:
    raise explained(RuntimeError(_CUT))


_CUT = (
    "torch.compile with aot_autograd does not currently support double backward"
    "\nThis function cuts something from the graph, by detach() or no_grad(), or has a Function of its own.  Take the derivatives "
    "inside the compiled function, or leave it uncompiled."
)


class _Tensors(tuple[Any, ...]):
    """The inputs as Tensors, which says that a graph is wanted."""

    __slots__ = ()


def _replayed(captured: Captured, program: Program) -> Program:
    """The pull-back from the inputs on, whose derivatives are to be what they would be."""
    if any(eq.name == "Stop" for eq in captured.program.equations):
        program = simplify(captured.program, stops=True)
    return program.restricted(program.inputs, program.outputs[captured.outputs :])


def _saved(program: Program, inputs: list[Var]) -> list[Var]:
    """What the function hands to its pull-back: the costly among the values that do not depend on a cotangent."""
    known = {*inputs, *program.constants}
    early, late = {}, []
    for eq in program.equations:
        if all(v in known for v in eq.vars):
            known.update(eq.outs)
            early.update(dict.fromkeys(eq.outs, eq))
        else:
            late.append(eq)
    found: dict[Var, None] = {}
    seen: set[Var] = set()
    todo = [v for eq in late for v in eq.vars]
    while todo:
        v = todo.pop()
        if v not in seen and v in early:
            seen.add(v)
            if scalar.expressible(early[v]) or early[v].prim.view:
                todo += early[v].vars
            else:
                found[v] = None
    return list(found)
