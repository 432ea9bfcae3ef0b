"""The same program by JAX: its operations over JAX's arrays, and ``jax.jit`` around the whole."""

from __future__ import annotations

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

        def whole(*arrays: Any) -> list[Any]:
            return inner.evaluate(arrays, compute, self._jax.numpy.asarray)

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
            found = self._jitted(*[arrays[i] for i in self._read])
        return tuple([_given(x, a) for x, a in zip(found, self.program.outputs, strict=True)])


def _given(x: Any, a: Atom) -> Any:
    """A result as an array of its own that can be written to."""
    return np.array(x, a.dtype) if isinstance(a, Var) else a
