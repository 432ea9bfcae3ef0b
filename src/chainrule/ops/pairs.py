"""Numbers made of pairs of vectors: bilinear forms."""

from __future__ import annotations

import math

from ..errors import explained
from ..tensor import Tensor
from .kinds import export_all, public

matmul = public["matmul"]


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight[k] @ y + bias[k]`` for each k: (..., i), (..., j) and (out, i, j) to (..., out).

    RuntimeError for shapes that do not fit.

    Source: ``torch.nn.functional.bilinear``.

    >>> import chainrule as torch
    >>> x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    >>> bilinear(x, y, torch.eye(2).reshape(1, 2, 2))
    tensor([11.])
    """
    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for d, (n, m) in enumerate(zip(input1._shape[:-1], input2._shape[:-1], strict=True)):
        if n != m:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {d}: got {n} and {m}")
    out, *sizes = weight._shape
    for name, x, n in (("input1", input1, sizes[0]), ("input2", input2, sizes[1])):
        if x._shape[-1] != n:
            raise explained(
                RuntimeError(
                    f"bilinear(): {name} size does not match weight size: got {x._shape[-1]} but expected {n}"
                    f"\nThe weight is (out, {sizes[0]}, {sizes[1]}): its last axes go with the last ones of the inputs."
                )
            )
    if bias is not None and bias._shape[0] != out:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias._shape[0]} but expected {out}")
    lead = input1._shape[:-1]
    first = input1.reshape(math.prod(lead), sizes[0]) @ weight.permute(1, 0, 2).reshape(sizes[0], out * sizes[1])
    second = input2.reshape(math.prod(lead), sizes[1], 1)
    found = matmul(first.reshape(math.prod(lead), out, sizes[1]), second).reshape(*lead, out)
    return found if bias is None else found + bias


export_all(bilinear, method=False)
