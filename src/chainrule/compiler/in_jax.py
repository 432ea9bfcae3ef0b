"""The same program by JAX: its operations over JAX's arrays, and ``jax.jit`` around the whole."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..extras import load
from ..primitive import compute
from .program import Atom, Program, Var


class JaxRunner:
    """``runner.run(*arrays)`` gives a program's outputs, as a tuple of NumPy arrays; XLA computes them where it will."""

    def __init__(self, program: Program, onto: dict[int, int] | None = None) -> None:
        self._jax = load("jax", "jax", "compile(backend='jax')")
        self.program = program
        self.steps: list[Any] = []
        self.written: set[int] = set()  # XLA gives new arrays
        needed = {v for eq in program.equations for v in eq.vars} | {a for a in program.outputs if isinstance(a, Var)}
        self._read = [i for i, v in enumerate(program.inputs) if v in needed]
        inner = Program([program.inputs[i] for i in self._read], program.constants, program.equations, program.outputs)

        def whole(*arrays: Any) -> tuple[list[Any], Any]:
            wrong: list[Any] = []
            found = inner.evaluate(arrays, _noting(wrong), self._jax.numpy.asarray)
            return found, functools.reduce(operator.or_, wrong, False)

        self._jitted = self._jax.jit(whole)
        with self._wide():  # traced now, so that what JAX refuses is known
            shapes = [self._jax.ShapeDtypeStruct(v.shape, v.dtype) for v in inner.inputs]
            self.source = self._jitted.lower(*shapes).as_text()

    def _wide(self) -> Any:
        """64 bits, which JAX leaves out unless told."""
        if hasattr(self._jax, "enable_x64"):
            return self._jax.enable_x64(True)
        return load("jax.experimental", "jax", "64 bits").enable_x64()

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        with self._wide():
            found, wrong = self._jitted(*[arrays[i] for i in self._read])
        if wrong:
            self.program.evaluate(arrays, compute)  # by NumPy, which raises
        return tuple([_given(x, a) for x, a in zip(found, self.program.outputs, strict=True)])


def _noting(wrong: list[Any]) -> Callable[..., Any]:
    """How JAX computes a primitive; whether an index is out of range, which it would not say, is added to ``wrong``."""

    def run(prim: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if prim.name not in ("Gather", "PutAlong", "Within"):
            return compute(prim, args, params)
        index = args[-1]
        n = params.get("n") or params.get("size") or args[0].shape[params["axis"]]
        wrong.append(((index < (-n if params.get("wraps") else 0)) | (index >= n)).any())
        return compute(prim, args, params) if prim.name != "Within" else index + n * (index < 0)

    return run


def _given(x: Any, a: Atom) -> Any:
    """A result as an array of its own that can be written to."""
    return np.array(x, a.dtype) if isinstance(a, Var) else a
