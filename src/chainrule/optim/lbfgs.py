"""L-BFGS: Newton's method with a curvature guessed from the last few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.namespace import namespace
from ..errors import no_memory
from ..modes import enable_grad, no_grad
from ..tensor import Tensor, wrap
from .inplace import run
from .line_search import Trial, strong_wolfe
from .optimizer import Optimizer, Params
from .options import check
from .steps import State, number
from .update import assignment


class LBFGS(Optimizer):
    """Minimise with steps against the gradient times an inverse Hessian made of the last ``history_size`` steps.

    ``step(closure)`` takes up to ``max_iter`` iterations, for which the closure is evaluated up to ``max_eval``
    times (``max_iter * 5 // 4``, if None): it clears the gradients, computes the loss, calls backward on it and
    returns it.  It ends early where no gradient's element is above ``tolerance_grad``, or where the step or the gain
    is below ``tolerance_change``.  The step's length is ``lr``, or found by ``line_search_fn="strong_wolfe"``.  All
    parameters are in one group.  If the closure fails, or is interrupted, the parameters are as they were before the
    step.  ValueError for a negative ``lr`` and for several groups.

    Source: ``torch.optim.LBFGS``, after Liu and Nocedal, 1989.

    >>> import chainrule as torch
    >>> x = torch.tensor([-1.2, 1.0], requires_grad=True)
    >>> optimizer = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(24.2000, grad_fn=<AddBackward0>)
    >>> x
    tensor([1.0000, 1.0000], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float | Tensor = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check(lr=lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:
        """Take the iterations of one step; gives back the loss at its start."""
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        group = self.param_groups[0]
        state, before = self.state.get(group["params"][0], {}), _flat(group["params"], lambda p: p._a)
        warnings = np.geterr()

        def as_outside() -> Any:
            with enable_grad(), np.errstate(**warnings):
                return closure()

        try:
            with no_grad(), np.errstate(all="ignore"):
                loss, state = self._iterate(group, state, as_outside, before)
        except BaseException as e:
            _place(group["params"], before)
            if isinstance(e, MemoryError):
                raise no_memory("a step of L-BFGS", e) from None
            raise
        self.state[group["params"][0]] = state
        return loss

    def _iterate(self, group: dict[str, Any], state: State, closure: Callable[[], Any], x: Any) -> tuple[Any, State]:
        """The loss at ``x``, where the parameters are, and the state after the iterations."""
        params, lr, history = group["params"], number(group["lr"]), History(state, group["history_size"])
        most, small, least = group["max_eval"], group["tolerance_change"], group["tolerance_grad"]
        n_iter, func_evals = state.get("n_iter", 0), state.get("func_evals", 0)

        def evaluate(at: Any) -> tuple[float, Any]:
            _place(params, at)
            return float(number(closure())), _flat(params, _gradient)

        first = closure()
        loss, g = float(number(first)), _flat(params, _gradient)
        evals = 1
        if abs(g).max() <= least:
            return first, {**state, "func_evals": func_evals + 1, "n_iter": n_iter}
        d, g_before = _array(state.get("d")), _array(state.get("prev_flat_grad"))
        t, loss_before = number(state.get("t")), state.get("prev_loss")
        iteration = 0
        while iteration < group["max_iter"]:
            iteration += 1
            n_iter += 1
            if n_iter == 1:
                d = -g
            else:
                history.add(g - g_before, d * t)
                d = history.direction(g)
            g_before, loss_before = g, loss
            t = min(1.0, 1.0 / abs(g).sum()) * lr if n_iter == 1 else lr
            slope = g @ d
            if slope > -small:
                break
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")

                def trial(t: Any, x: Any = x, d: Any = d) -> Trial:
                    loss, g = evaluate(x + t * d)
                    return Trial(t, loss, g, g @ d)

                start = Trial(0, loss, g, slope)
                (t, loss, g, _), used = strong_wolfe(trial, t, start, abs(d).max(), small, most - evals)
                x = x + t * d
                _place(params, x)
            else:
                x, used = x + t * d, 0
                if iteration == group["max_iter"]:
                    _place(params, x)
                else:
                    loss, g = evaluate(x)
                    used = 1
            evals += used
            if evals >= most or abs(g).max() <= least or abs(d * t).max() <= small or abs(loss - loss_before) < small:
                break
        counts = {"func_evals": func_evals + evals, "n_iter": n_iter}
        moved = {"d": wrap(d), "t": float(t), "prev_flat_grad": wrap(g_before), "prev_loss": loss_before}
        return first, {**counts, **moved, **history.state()}


class History:
    """The last steps, and how the gradient changed in each: what is known of the Hessian."""

    def __init__(self, state: State, size: int) -> None:
        self.size = size
        self.changes, self.steps, self.inverse = (
            [x._a for x in state.get(name, ())] for name in ("old_dirs", "old_stps", "ro")
        )
        self.scale = _array(state.get("H_diag", 1))

    def add(self, change: Any, step: Any) -> None:
        """Note a step and the gradient's change in it, unless the function curves down."""
        curvature = change @ step
        if curvature > 1e-10:
            if len(self.changes) == self.size:
                for kept in (self.changes, self.steps, self.inverse):
                    del kept[0]
            self.changes.append(change)
            self.steps.append(step)
            self.inverse.append(1.0 / curvature)
            self.scale = curvature / (change @ change)

    def direction(self, g: Any) -> Any:
        """Against the gradient times the inverse Hessian: the two loops of L-BFGS, last step first and back."""
        d, shares = -g, []
        for change, step, inverse in zip(self.changes[::-1], self.steps[::-1], self.inverse[::-1], strict=True):
            shares.append((step @ d) * inverse)
            d = d - shares[-1] * change
        d = d * self.scale
        for change, step, inverse, share in zip(self.changes, self.steps, self.inverse, shares[::-1], strict=True):
            d = d + (share - (change @ d) * inverse) * step
        return d

    def state(self) -> State:
        """As PyTorch keeps it."""
        lists = {"old_dirs": self.changes, "old_stps": self.steps, "ro": self.inverse}
        return {
            **{name: [wrap(x) for x in kept] for name, kept in lists.items()},
            "H_diag": self.scale if isinstance(self.scale, int) else wrap(self.scale),
        }


# --- parameters as one vector ---


def _array(value: Any) -> Any:
    return value._a if isinstance(value, Tensor) else value


def _gradient(p: Tensor) -> Any:
    if p._grad is None:
        return namespace((p._a,)).zeros_like(p._a)
    return p._grad._a


def _flat(params: list[Tensor], array: Callable[[Tensor], Any]) -> Any:
    """The arrays of all parameters in one vector, a complex number as two."""
    arrays = [array(p) for p in params]
    xp = namespace(arrays)
    if any(p.is_complex() for p in params):
        arrays = [xp.stack([xp.real(a), xp.imag(a)], axis=-1) if p.is_complex() else a
                  for a, p in zip(arrays, params, strict=True)]  # fmt: skip
    return xp.concat([xp.reshape(a, (-1,)) for a in arrays], axis=0)


def _place(params: list[Tensor], x: Any) -> None:
    """Make the parameters what a vector says."""
    calls, at = [], 0
    for p in params:
        n = p.numel() * (2 if p.is_complex() else 1)
        part, at = x[at : at + n], at + n
        if p.is_complex():
            part = part[::2] + 1j * part[1::2]
        part = part.reshape(p._shape)
        p._own()
        calls.append(assignment(p, part))
        p._cell()[0] += 1
    run(calls)
