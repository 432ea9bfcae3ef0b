"""What layers share that scale and shift what they have normalised."""

from __future__ import annotations

from typing import Any

from ..creation import empty
from . import init
from .module import Module
from .parameter import Parameter


class Affine(Module):
    """A layer with a ``weight``, at first 1, and a ``bias``, at first 0, where they are learned."""

    weight: Parameter | None
    bias: Parameter | None

    def _learn(self, shape: tuple[int, ...], learned: dict[str, bool], device: Any, dtype: Any) -> None:
        for name, wanted in learned.items():
            value = Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        for name, fill in (("weight", init.ones_), ("bias", init.zeros_)):
            value = self._parameters.get(name)
            if value is not None:
                fill(value)
