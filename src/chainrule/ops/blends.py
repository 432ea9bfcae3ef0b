"""Three arguments, element by element."""

from __future__ import annotations

from typing import Any

from ..errors import explained
from ..lanes import general
from ..primitive import Elementwise
from ..tensor import Tensor
from .kinds import export


class Lerp(Elementwise):
    """The point from x to y at ``weight``: x at 0, y at 1."""

    forward = lambda xp, x, y, weight: x + weight * (y - x)
    d_x = lambda weight: 1 - weight
    d_y = lambda weight: weight
    d_weight = lambda x, y: y - x
    samples = [(((2, 3), (2, 3), (2, 3)), {}), (((2, 1), (3,), ()), {}), (((2,), (2,), 0.3), {})]
    labels = None


def times(value: float, x: Any) -> Any:
    return x if value == 1 else value * x


class Addcmul(Elementwise):
    """``x + value * y * z``."""

    forward = lambda xp, x, y, z, *, value: x + times(value, y * z)
    d_x = 1
    d_y = lambda z, value: z * value
    d_z = lambda y, value: y * value
    samples = [(((2, 3), (2, 3), (2, 3)), {"value": 1}), (((3,), (2, 1), (3,)), {"value": 0.5})]


class Addcdiv(Elementwise):
    """``x + value * y / z``."""

    forward = lambda xp, x, y, z, *, value: x + times(value, y / z)
    d_x = 1
    d_y = lambda z, value: value / z
    d_z = lambda y, z, value: -value * (y / (z * z))
    samples = [(((2, 3), (2, 3), (2, 3)), {"value": 1}), (((3,), (2, 1), (3,)), {"value": 0.5})]


_lerp, _lerp_number, _addcmul, _addcdiv = Lerp("LerpBackward1"), Lerp("LerpBackward0"), Addcmul(), Addcdiv()
Lerp()


def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """``input + weight * (end - input)``: ``input`` at weight 0, ``end`` at 1.

    Source: ``torch.lerp``.
    """
    if end._dtype != input._dtype:
        raise explained(RuntimeError(
            f"expected dtype {_c(input)} for `end` but got dtype {_c(end)}\nConvert one of them: end.to(input.dtype)."
        ))  # fmt: skip
    return general(_lerp if isinstance(weight, Tensor) else _lerp_number, (input, end, weight), out)


def _c(x: Tensor) -> str:
    return {"float32": "float", "float64": "double"}.get(x._dtype.name, x._dtype.name)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, out: Tensor | None = None) -> Tensor:
    """``input + value * tensor1 * tensor2``.

    Source: ``torch.addcmul``.
    """
    return general(_addcmul, (input, tensor1, tensor2), out, {"value": value})


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, out: Tensor | None = None) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    Source: ``torch.addcdiv``.
    """
    if all(t._dtype.kind in "iub" for t in (input, tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
            "division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
            "torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) "
            "for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / "
            "tensor2), for all dtypes."
        )
    return general(_addcdiv, (input, tensor1, tensor2), out, {"value": value})


export("lerp", lerp, in_place=True)
export("addcmul", addcmul, in_place=True)
export("addcdiv", addcdiv, in_place=True)
