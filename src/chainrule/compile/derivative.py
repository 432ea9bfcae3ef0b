"""The derivative of a compiled function: another program.

Capture sweeps the graph that the function left behind, so a function comes with its pull-back.  The two are
divided as follows.  What an element-by-element operation computed, the backward program computes again, in
the loop that needs it; what a matrix product or a reduction computed is saved.  Over Tensors or batches
(``create_graph``, ``is_grads_batched``) the pull-back is not run but replayed, operation by operation, so it
has derivatives in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import Box, Extra, Node, Port, Several
from ..primitive import bind
from ..tensor import Tensor, wrap
from . import scalar
from .capture import Captured
from .program import Atom, Equation, Program, Var
from .run import Runner
from .simplify import simplify


class Derivative:
    """A captured function and its pull-back, as two programs that share what the first saves for the second."""

    def __init__(self, captured: Captured, use_numba: bool) -> None:
        pull = captured.pull
        assert pull is not None
        self.use_numba = use_numba
        self.wanted = captured.wanted
        self.count = len(captured.tensors)  # of inputs
        n = len(captured.program.outputs)
        joint = simplify(_joined(captured.program, pull))
        inputs, outputs, grads = joint.inputs[: self.count], joint.outputs[:n], joint.outputs[n:]
        self.cotangents = joint.inputs[self.count :]
        self.saved = _saved(joint, inputs, grads)
        self.forward = joint.restricted(inputs, [*outputs, *self.saved])
        self.replayed = joint.restricted(joint.inputs, grads)
        self.backward = joint.restricted([*inputs, *self.saved, *self.cotangents], grads)
        self._runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        """The backward program, compiled when first asked for."""
        if self._runner is None:
            self._runner = Runner(self.backward, self.use_numba)
        return self._runner

    def node(self, tensors: tuple[Tensor, ...], saved: tuple[Any, ...]) -> CompiledFunctionBackward:
        """The graph's memory of one call."""
        edges: list[Any] = [None] * self.count
        for i in self.wanted:
            t = tensors[i]
            edges[i] = t if t._node is None else t._node
        versions = tuple([t._version for t in tensors])
        return CompiledFunctionBackward(tuple(edges), (None, *saved), tensors, self, Extra(versions=versions))

    def ports(self, node: Node, many: bool) -> list[Node]:
        """What each output has for a history."""
        return [Port(node, i) for i in range(len(self.cotangents))] if many else [node]


class CompiledFunctionBackward(Node):
    """A call of a compiled function; its ``params`` are the :class:`Derivative`."""

    __slots__ = ()

    def unpack(self) -> tuple[Any, ...]:
        return _Tensors(self.tensors)

    def pull(self, xp: Any, g: Any, saved: Any) -> Sequence[Any]:
        derivative: Derivative = self.params
        parts = g.parts if isinstance(g, Several) else {0: g}
        graph = isinstance(saved, _Tensors)
        cotangents = []
        for i, v in enumerate(derivative.cotangents):
            zero = None if i in parts else np.zeros(v.shape, v.dtype)
            cotangents.append(parts[i] if zero is None else wrap(zero) if graph else zero)
        if graph:
            found = derivative.replayed.evaluate([*saved, *cotangents], bind, wrap)
        elif any(isinstance(c, Box) for c in cotangents):
            found = derivative.replayed.evaluate([*(t._a for t in self.held), *cotangents], bind)
        else:
            found = derivative.runner.run(*[t._a for t in self.held], *saved[1:], *cotangents)
        grads: list[Any] = [None] * derivative.count
        for i, a in zip(derivative.wanted, found, strict=True):
            grads[i] = a
        return grads


class _Tensors(tuple[Any, ...]):
    """The inputs as Tensors, which says that a graph is wanted."""

    __slots__ = ()


def _joined(program: Program, pull: Program) -> Program:
    """The function and its pull-back as one program: first the outputs, then the cotangents."""
    equations: dict[int, Equation] = {id(eq): eq for eq in (*program.equations, *pull.equations)}
    return Program(
        pull.inputs, {**program.constants, **pull.constants}, _ordered(list(equations.values()), pull.inputs),
        [*program.outputs, *pull.outputs],
    )  # fmt: skip


def _ordered(equations: list[Equation], inputs: list[Var]) -> list[Equation]:
    """Both lists were in order, but what they share may stand in either."""
    return equations


def _saved(joint: Program, inputs: list[Var], grads: list[Atom]) -> list[Var]:
    """What the forward program hands to the backward one."""
    made = {v: eq for eq in joint.restricted(inputs, _independent(joint, inputs)).equations for v in eq.outs}
    found: dict[Var, None] = {}
    seen: set[Var] = set()
    todo: list[Any] = [v for eq in joint.equations if eq.outs[0] not in made for v in eq.vars]
    todo += [g for g in grads if isinstance(g, Var)]
    while todo:
        v = todo.pop()
        if v in seen or v not in made:
            continue
        seen.add(v)
        if scalar.expressible(made[v]) or made[v].prim.view:
            todo += made[v].vars
        else:
            found[v] = None
    return list(found)


def _independent(joint: Program, inputs: list[Var]) -> list[Atom]:
    """The variables that do not depend on a cotangent."""
    known = {*inputs, *joint.constants}
    found: list[Atom] = []
    for eq in joint.equations:
        if all(v in known for v in eq.vars):
            known.update(eq.outs)
            found += eq.outs
    return found
