"""Random numbers: PyTorch's CPU generator, draw for draw.

The engine is MT19937, seeded with the low 32 bits of the seed.  NumPy has the same engine, so every draw is a
vectorised transform of its raw output: ``words`` has the engine and its state, ``exact`` arithmetic to the last
bit, ``continuous`` and ``discrete`` the draws over NumPy arrays, ``generator`` what users hold.
"""

from __future__ import annotations

from .generator import (
    Generator,
    default_generator,
    drawing,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .words import fill

__all__ = [
    "Generator", "default_generator", "drawing", "fill", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state",
]  # fmt: skip
