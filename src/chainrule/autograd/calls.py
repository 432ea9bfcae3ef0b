"""One call of a function of ``functional``: what goes in, what comes out, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backward import grad
from ..creation import zeros_like
from ..errors import explained
from ..tensor import Tensor

Tensors = tuple[Tensor, ...]
Found = tuple[Tensor | None, ...]

# --- what goes in and what comes out ---


def _tensors(value: Any, what: str, name: str) -> tuple[bool, Tensors]:
    """``value`` as a tuple of tensors, and whether it was one."""
    several = isinstance(value, tuple)
    found = value if several else (value,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"{f'value at index {i}' if several else f'given {what}'} has type {type(t)}."
            )
    return several, found


class _Call:
    """One call of a function of this module: its name, its inputs as a tuple, and what was asked for."""

    def __init__(self, name: str, inputs: Any, create_graph: bool, strict: bool) -> None:
        self.name, self.create_graph, self.strict = name, create_graph, strict
        self.several, given = _tensors(inputs, "inputs", name)
        self.inputs = self.variables(given)

    def variables(self, given: Tensors, wanted: bool = True) -> Tensors:
        """Tensors of their own in place of those given, in their graph only if the result is to be.

        So what a function takes as an argument is told from the same tensor caught in its closure.
        """
        return tuple(
            [
                t.view_as(t) if self.create_graph and t.requires_grad else t.detach().requires_grad_(wanted)
                for t in given
            ]
        )

    def direction(self, v: Any, like: Tensors, several: bool, must: str) -> Found:
        """The vector of a product, checked against what it is to match; ``must`` says when it may be left out."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise explained(
                    RuntimeError(
                        f"The vector v can only be None if {must}.\nIt stands for a 1 then; for more elements, "
                        "give the direction: a tensor, or a tuple of tensors, of their shapes."
                    )
                )
            return (None,)
        found = self.variables(_tensors(v, "v", self.name)[1], wanted=False)
        if len(found) != len(like):
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}."
                if several else "The given v should contain a single Tensor."
            )  # fmt: skip
        for i, (t, other) in enumerate(zip(found, like, strict=True)):
            if t.shape != other.shape:
                which = f"Entry {i} in " if several else ""
                raise RuntimeError(f"{which}v has invalid size: should be {other.shape} but got {t.shape}.")
        return found

    def run(self, func: Callable[..., Any]) -> tuple[bool, Tensors]:
        """The function's outputs, as a tuple, and whether it gave one."""
        several, outputs = _tensors(func(*self.inputs), "outputs of the user-provided function", self.name)
        if self.strict:
            for i, y in enumerate(outputs):
                if not y.requires_grad:
                    raise RuntimeError(
                        f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                        "computed in a differentiable manner from the input when running in strict mode."
                    )
        return several, outputs

    def run_scalar(self, func: Callable[..., Any]) -> Tensor:
        """The function's output, which must be one number."""
        several, outputs = self.run(func)
        if several:
            raise RuntimeError(f"The function given to {self.name} should return a single Tensor")
        if outputs[0].numel() != 1:
            raise explained(
                RuntimeError(
                    f"The Tensor returned by the function given to {self.name} should contain a single element"
                    f"\nIt has shape {list(outputs[0].shape)}. A Hessian is that of one number: reduce it, y.sum()."
                )
            )
        return outputs[0]

    def filled(self, found: Found, like: Tensors, words: str, order: str) -> Tensors:
        """Zeros where nothing depends on nothing, or, if that is not to be, an error."""
        if self.strict:
            for i, g in enumerate(found):
                if g is None:
                    raise RuntimeError(words.format(i))
                if self.create_graph and not g.requires_grad:
                    raise RuntimeError(
                        f"The {order} of the user-provided function is independent of input {i}. This is not allowed "
                        "in strict mode when create_graph=True."
                    )
        return tuple([zeros_like(x) if g is None else g for g, x in zip(found, like, strict=True)])

    def finished(self, found: Sequence[Tensor], several: bool) -> Any:
        """Results as they are given back: cut from the graph unless it is wanted, in a tuple if the inputs were."""
        kept = tuple([t if self.create_graph else t.detach() for t in found])
        return kept if several else kept[0]


def _grads(outputs: Sequence[Tensor | None], inputs: Tensors, weights: Any = None, **options: Any) -> Found:
    """Gradients, None where there is none, of those of the outputs that have a history."""
    pairs = zip(outputs, weights or [None] * len(outputs), strict=True)
    live = [(y, w) for y, w in pairs if y is not None and y.requires_grad]
    if not live:
        return (None,) * len(inputs)
    found: Found = grad([y for y, _ in live], inputs, [w for _, w in live], allow_unused=True, **options)
    return found


def _must_depend(found: Found, words: str) -> None:
    for i, t in enumerate(found):
        if t is None:
            raise RuntimeError(_INDEPENDENT.format(i))
        if not t.requires_grad:
            raise RuntimeError(words.format(i))


_INDEPENDENT = (
    "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
)
_GRADIENT = (
    "The gradient with respect to input {} is independent of the inputs of the user-provided function. This is not "
    "allowed in strict mode."
)
_COTANGENT = (
    "The gradient with respect to the input is independent of entry {} in the grad_outputs when using the double "
    "backward trick to compute forward mode gradients. This is not allowed in strict mode."
)
_JACOBIAN = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for "
    "example)."
)
_SECOND = "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict mode."
_SECOND_COTANGENT = (
    "The hessian of the user-provided function is independent of entry {} in the grad_jacobian. This is not allowed in "
    "strict mode as it prevents from using the double backward trick to replace forward mode AD."
)
_HESSIAN = (
    "The hessian of the user-provided function with respect to input {} is independent of the input. This is not "
    "allowed in strict mode. You should ensure that your function is thrice differentiable and that the hessian "
    "depends on the inputs."
)
_ONE_INPUT = "the input to the user-provided function is a single Tensor with a single element"
