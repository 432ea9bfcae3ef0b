"""Apart: straight code as pieces that have nothing to do with one another.

An optimiser counts the steps of each parameter and corrects its rates by that: for a thousand parameters, a thousand times
the same few numbers.  As one kernel, they would be compiled for a minute; as pieces, one of them is, for all.
"""

from __future__ import annotations

from .program import Equation, Var

LONG = 256  # equations that one kernel may have in any case
PIECE = 64  # or a few more: what a piece has, if it can be so short


def apart(equations: list[Equation]) -> list[list[Equation]]:
    """The equations, if they are many, in pieces none of which reads what another makes."""
    if len(equations) <= LONG:
        return [equations]
    parts: dict[Var, list[Equation]] = {}  # by what is made in them
    for eq in equations:
        own = [eq]
        met = {id(parts[v]): parts[v] for v in eq.vars if v in parts}
        for part in sorted(met.values(), key=len, reverse=True):  # a larger one takes in the smaller
            own, other = (part, own) if len(part) >= len(own) else (own, part)
            own += other
            parts.update((v, own) for e in other for v in e.outs)
        parts.update(dict.fromkeys(eq.outs, own))
    order = {eq: i for i, eq in enumerate(equations)}
    pieces: list[list[Equation]] = []
    for part in {id(p): p for p in parts.values()}.values():
        if not pieces or len(pieces[-1]) >= PIECE:
            pieces.append([])
        pieces[-1] += sorted(part, key=order.__getitem__)
    return pieces
