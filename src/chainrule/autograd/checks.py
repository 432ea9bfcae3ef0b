"""The single checks that :func:`~chainrule.autograd.gradcheck` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..backward import grad
from ..creation import zeros_like
from ..func.vmap import vmap
from ..ops.shape import stack
from ..random import Generator
from ..tensor import Tensor, wrap
from .differences import Array, Differences, parts
from .forward_ad import dual_level, make_dual, unpack_dual
from .gradcheck import Function, GradcheckError, as_tuple


@dataclass
class Check:
    """A function at one point.

    Derivatives are tables with a row for each direction in which an input moves, and a column for each direction
    in which an output is looked at.  Those are the elements; or, if ``fast``, one random combination of them.
    """

    func: Function
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    differences: Differences
    atol: float
    rtol: float
    fast: bool

    def __post_init__(self) -> None:
        self.draw = Generator()  # its own: the user's random numbers stay as they are
        self.live = [i for i, y in enumerate(self.outputs) if y.requires_grad]
        self.places = [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        self.variables = [self.inputs[i] for i in self.places]
        # [variable][part]: the directions, for the real part and, if there is one, the imaginary
        self.rows = [
            [self.random(x.numel())[None] if self.fast else np.eye(x.numel()) for _ in parts(x)] for x in self.variables
        ]

    def random(self, n: int) -> Array:
        """A random direction: numbers not below 0, of length 1."""
        v = self.draw.uniform((n,), np.float32).astype(np.float64)
        return v / np.linalg.norm(v)

    @cached_property
    def numerical(self) -> list[list[list[tuple[Array, Array]]]]:
        """[variable][part][output]: the derivatives by differences, for each row and element, and their error."""
        return [
            [self._moved(x, rows * part) for rows, part in zip(per_part, parts(x), strict=True)]
            for x, per_part in zip(self.variables, self.rows, strict=True)
        ]

    def _moved(self, x: Tensor, rows: Array) -> list[tuple[Array, Array]]:
        sizes = [y.numel() for y in self.outputs]
        if not len(rows):
            return [(np.zeros((0, n)), np.zeros((0, n))) for n in sizes]
        found = []
        for k, row in enumerate(rows):
            where = None if self.fast else tuple(int(i) for i in np.unravel_index(k, x._shape))
            found.append(self.differences.along(x, row.reshape(x._shape), where))
        return [(np.stack([f[i][0] for f in found]), np.stack([f[i][1] for f in found])) for i in range(len(sizes))]

    def constant(self, tolerance: float) -> None:
        """Outputs without a history do not depend on the inputs; integers may jump."""
        for tables in (tables for per_part in self.numerical for tables in per_part):
            for y, (d, _) in zip(self.outputs, tables, strict=True):
                if y._dtype.kind in "fc" and d.size and np.abs(d).max() > (tolerance if self.fast else 0):
                    raise GradcheckError("Numerical gradient for function expected to be zero")

    # --- against the rules ---

    def backward(self, tolerance: float, dtypes: bool) -> None:
        """Reverse mode: of complex outputs the imaginary part, then the real part."""
        checked = set()
        for part in (1j, 1.0) if any(y.is_complex() for y in self.outputs) else (1.0,):
            for i in self.live:
                if self.outputs[i].is_complex() or i not in checked:
                    checked.add(i)
                    self._backward(i, part if self.outputs[i].is_complex() else 1.0, tolerance, dtypes)

    def _backward(self, i: int, part: complex, tolerance: float, dtypes: bool) -> None:
        y, view = self.outputs[i], np.imag if part == 1j else np.real
        columns = self.random(y.numel())[:, None] if self.fast else np.eye(y.numel())
        first, second = self._swept(y, columns.T * part, dtypes), self._swept(y, columns.T * part, False)
        for a, b in zip(first, second, strict=True):
            if not np.all((np.abs(a - b) <= tolerance) | (a == b)):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    "gives different values, although analytical gradient matches numerical gradient."
                    f"The tolerance for nondeterminism was {tolerance}."
                )
        for j, (a, per_part) in enumerate(zip(first, self.numerical, strict=True)):
            n, error = view(per_part[0][i][0]), per_part[0][i][1]
            rows = self.rows[j]
            if len(per_part) > 1:  # a complex variable: the gradient is d/dx + i d/dy
                n, error = n + 1j * view(per_part[1][i][0]), error + per_part[1][i][1]
            atol = self.atol
            if self.fast:
                a = rows[0] @ a.real + 1j * (rows[1] @ a.imag) if len(rows) > 1 else rows[0] @ a
                n, error = n @ columns, error @ columns
                atol *= sum(float(r.sum()) for r in rows) * float(columns.sum())
            self._compare(a, n, error, atol, i, j, part if y.is_complex() else None, "outputs", forward=False)

    def _swept(self, y: Tensor, cotangents: Array, dtypes: bool) -> list[Array]:
        """For each variable its gradients, a column for each cotangent."""
        found = [np.zeros((x.numel(), len(cotangents)), x._dtype) for x in self.variables]
        for k, c in enumerate(cotangents):
            g = wrap(c.reshape(y._shape).astype(y._dtype))
            for table, x, gradient in zip(found, self.variables, self._grad([y], [g]), strict=True):
                if gradient is None:
                    continue
                if dtypes and gradient.dtype != x.dtype:
                    raise GradcheckError("Gradient has dtype mismatch")
                if gradient.shape != x.shape:
                    raise GradcheckError("Analytical gradient has incorrect size")
                table[:, k] = _numbers(gradient)
        return found

    def _grad(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> tuple[Any, ...]:
        found: tuple[Any, ...] = grad(outputs, self.variables, cotangents, retain_graph=True, allow_unused=True)
        return found

    def forward(self, dtypes: bool) -> None:
        """Forward mode: along the imaginary parts of complex inputs, then along the real."""
        several = [part for part in (1, 0) if any(len(p) > part for p in self.numerical)]
        for part in several:
            tables = [
                self._pushed(j, rows[part] * parts(x)[part], dtypes) if len(rows) > part else None
                for j, (x, rows) in enumerate(zip(self.variables, self.rows, strict=True))
            ]
            for i in self.live:
                for j, found in enumerate(tables):
                    if found is not None:
                        x, (n, error) = self.variables[j], self.numerical[j][part][i]
                        atol = self.atol * (float(self.rows[j][part].sum()) if self.fast else 1)
                        which = (1.0, 1j)[part] if x.is_complex() else None
                        self._compare(found[i], n, error, atol, i, j, which, "inputs", forward=True)

    def _pushed(self, j: int, tangents: Array, dtypes: bool) -> list[Array]:
        """For each output its tangents, a row for each tangent of one variable."""
        x, found = self.variables[j], [np.zeros((len(tangents), y.numel()), y._dtype) for y in self.outputs]
        for row, t in enumerate(tangents):
            given = [
                wrap(t.reshape(x._shape).astype(x._dtype)) if k == j else zeros_like(v)
                for k, v in enumerate(self.variables)
            ]
            for table, pair in zip(found, self.push(given), strict=True):
                if pair.tangent is not None:
                    if dtypes and pair.primal.is_complex() != pair.tangent.is_complex():
                        raise GradcheckError("Forward AD gradient has dtype mismatch.")
                    table[row] = _numbers(pair.tangent)
        return found

    def push(self, tangents: Sequence[Tensor | None]) -> list[Any]:
        """The outputs' values and tangents, as the variables move along ``tangents``, None for not at all."""
        with dual_level():
            args = list(self.inputs)
            for i, t in zip(self.places, tangents, strict=True):
                x = args[i].detach()
                args[i] = x if t is None else make_dual(x, t)
            return [unpack_dual(y) for y in as_tuple(self.func(*args))]

    def _compare(
        self, a: Array, n: Array, error: Array, atol: float, i: int, j: int, part: complex | None, side: str, forward: bool
    ) -> None:  # fmt: skip
        allowed = atol + self.rtol * np.abs(n)
        if self.differences.strict:
            allowed = np.minimum(allowed, STRICT * allowed + 4 * error)
        wrong = ~((np.abs(a - n) <= allowed) | (a == n))
        if not wrong.any():
            return
        prefix = "" if part is None else (
            f"While considering the {'imaginary' if part == 1j else 'real'} part of complex {side} only, "
        )  # fmt: skip
        mode = "computed with forward mode " if forward else ""
        e = GradcheckError(
            f"{prefix}Jacobian {mode}mismatch for output {i} with respect to input {j},\n"
            f"numerical:{self._shown(n)}\nanalytical:{self._shown(a)}\n"
        )
        e.add_note(self._explained(a, n, wrong, forward))
        raise e

    def _shown(self, table: Array) -> Tensor:
        """A table as a tensor; what only ``fast`` makes rows or columns of is none."""
        return wrap(np.squeeze(table, tuple(i for i in (0, 1) if table.shape[i] == 1)) if self.fast else table)

    def _explained(self, a: Array, n: Array, wrong: Array, forward: bool) -> str:
        if self.fast:
            text = "These are a random combination of the entries. "
            try:
                slow = replace(self, fast=False)
                slow.forward(False) if forward else slow.backward(np.inf, False)
            except GradcheckError as e:
                return f"{text}Element by element: {e}" + "\n".join(e.__notes__)
            return f"{text}Element by element they agree: the tolerances are near, pass fast_mode=False."
        worst = np.unravel_index(np.argmax(np.where(wrong, np.abs(a - n), -1)), a.shape)
        with np.errstate(all="ignore"):
            ratio = a[worst] / n[worst]
        return (
            f"{wrong.sum()} of {wrong.size} entries differ, most of all that for element {int(worst[0])} of the input and "
            f"element {int(worst[1])} of the output (counted flat): the rule gives {a[worst]:.10g}, differences "
            f"{n[worst]:.10g}, a ratio of {ratio:.8g}. At a kink or a jump, and for too large a step, differences are "
            "wrong and the rule may be right."
        )

    # --- one at a time, and none ---

    def _normal(self, x: Tensor) -> Tensor:
        """Random numbers for every element of ``x``."""
        a = self.draw.normal((*x._shape, 2), np.float64)
        return wrap((a[..., 0] + 1j * a[..., 1] if x.is_complex() else a[..., 0].copy()).astype(x._dtype))

    def batched_backward(self, i: int) -> None:
        """Two sweeps as a batch against two sweeps."""

        def swept(cotangent: Tensor) -> tuple[Tensor, ...]:
            found = self._grad([self.outputs[i]], [cotangent])
            return tuple([zeros_like(x) if g is None else g for g, x in zip(found, self.variables, strict=True)])

        self._batched(swept, [self._normal(self.outputs[i]) for _ in range(2)], i)

    def batched_forward(self) -> None:
        """Two passes forward as a batch against two passes."""
        for j, x in enumerate(self.variables):

            def pushed(tangent: Tensor, j: int = j) -> tuple[Tensor, ...]:
                pairs = self.push([tangent if k == j else None for k in range(len(self.variables))])
                return tuple([zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs])

            self._batched(pushed, [self._normal(x) for _ in range(2)], j)

    def _batched(self, f: Callable[[Tensor], tuple[Tensor, ...]], given: list[Tensor], number: int) -> None:
        expected = [stack(each) for each in zip(*[f(v) for v in given], strict=True)]
        try:
            got = vmap(f)(stack(given))
        except RuntimeError as e:
            raise GradcheckError(f"While computing batched gradients, got: {e}") from e
        for k, (res, exp) in enumerate(zip(got, expected, strict=True)):
            if not np.allclose(_numbers(res), _numbers(exp)):
                raise GradcheckError(
                    f"For output {number} and input {k}:\n\ngradcheck or gradgradcheck failed while testing batched "
                    f"gradient computation.\n\nGot:\n{res}\n\nExpected:\n{exp}"
                )

    def zero_cotangents(self, masked: bool) -> None:
        """Cotangents of zero give gradients of zero, of their variable's dtype and shape."""
        outputs = [self.outputs[i] for i in self.live]
        found = self._grad(outputs, [zeros_like(y) for y in outputs]) if outputs else ()
        for g, x in zip(found, self.variables, strict=bool(outputs)):
            if g is not None:
                if not (np.allclose(_numbers(g), 0) if masked else (_numbers(g) == 0).all()):
                    raise GradcheckError("backward not multiplied by grad_output")
                if g.dtype != x.dtype:
                    raise GradcheckError("grad is incorrect type")
                if g.shape != x.shape:
                    raise GradcheckError("grad is incorrect size")

    def missing_cotangents(self) -> None:
        """Each output of several may be left out of a sweep."""
        for left_out in range(len(self.live)) if len(self.live) > 1 else ():
            outputs = [y for y in as_tuple(self.func(*self.inputs)) if y.requires_grad]
            del outputs[left_out]
            try:
                found = self._grad(outputs, [zeros_like(y) for y in outputs])
            except RuntimeError as e:
                raise GradcheckError("Expected backward function to handle undefined output grads.") from e
            if any(g is not None and (_numbers(g) != 0).any() for g in found):
                raise GradcheckError(
                    "Expected all input grads to be undefined or zero when all output grads are undefined or zero."
                )

    def missing_tangents(self) -> None:
        """A variable without a tangent counts as one whose tangent is zero."""
        given: list[Tensor | None] = [self._normal(x) for x in self.variables]
        for j, x in enumerate(self.variables):
            before, after = given[:j], given[j + 1 :]
            with_zero, without = self.push([*before, zeros_like(x), *after]), self.push([*before, None, *after])
            for i, (p, q) in enumerate(zip(with_zero, without, strict=True)):
                a, b = p.tangent, q.tangent
                if a is not None and b is not None and not np.allclose(_numbers(a), _numbers(b)):
                    raise GradcheckError(
                        f"Mismatch in tangent values for output with index: {i} when input: {x} has an undefined tangent "
                        f"value. Got: {a} but expected: {b}"
                    )


STRICT = 1e-4  # how much closer than the tolerances a strict check asks for


def _numbers(t: Tensor) -> Array:
    found: Array = np.asarray(t.detach().numpy()).reshape(-1)
    return found
