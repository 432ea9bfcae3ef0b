"""Random programs in which tensors carry tangents: :mod:`programs`, inside a dual level."""

from __future__ import annotations

import warnings
from typing import Any

from programs import KINDS, Program, Step, Writer, look, run_line


class DualWriter(Writer):
    """Writes programs whose leaves are mostly duals."""

    def leaf(self) -> None:
        super().leaf()
        if self.random.random() < 0.7:
            x = list(self.shapes)[-1]
            self.add(
                f"{{}} = D.make_dual({x}, T.tensor({self.values(self.shapes[x])}, dtype=T.float64))", self.shapes[x]
            )

    def unpack(self) -> None:
        x = self.name()
        self.add(f"{{}} = D.unpack_dual({x}).{self.choose(['primal', 'tangent.detach() * 1'])}", self.shapes[x])

    def through(self) -> None:
        """The gradient of a tangent."""
        x, y = self.name(), self.name()
        tangent = f"D.unpack_dual({y}).tangent.sum() + {y}.sum()"
        self.add(f"{{}} = T.autograd.grad({tangent}, {x}, materialize_grads=True)[0].detach() * 1", self.shapes[x])


_KINDS = [
    (getattr(DualWriter, kind.__name__), weight) for kind, weight in KINDS if kind.__name__ not in ("administer", "several")
] + [(DualWriter.unpack, 1), (DualWriter.through, 1)]  # fmt: skip


def generate(seed: int, most: int = 24) -> Program:
    w = DualWriter(seed)
    w.leaf()
    kinds, weights = zip(*_KINDS, strict=True)
    length = w.random.randint(4, most)
    while len(w.lines) < length:
        w.random.choices(kinds, weights)[0](w)
    return tuple(w.lines)


def trace(program: Program, T: Any, every: bool = True) -> list[Step]:
    """Run a program inside a level; look after every line, or only at the end."""
    import importlib

    D = importlib.import_module(f"{T.__name__}.autograd.forward_ad")
    env: dict[str, Any] = {"T": T, "D": D}
    steps: list[Step] = []
    with warnings.catch_warnings(), D.dual_level():
        warnings.simplefilter("ignore")
        for number, line in enumerate(program, 1):
            error = run_line(line, env)
            seen = {}
            if every or number == len(program):
                names = {id(t): n for n, t in reversed(env.items()) if n[0] == "v"}
                for name, t in env.items():
                    if name[0] == "v" and t is not None:
                        seen[name] = {**look(t, names), "tangent": tangent(D, t)}
            steps.append((error, seen))
    return steps


def tangent(D: Any, t: Any) -> Any:
    try:
        found = D.unpack_dual(t).tangent
    except RuntimeError as e:
        return str(e)[:40]
    return None if found is None else found.detach().numpy(force=True).copy()
