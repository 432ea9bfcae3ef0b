"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import explained
from ...ops import public
from ...tensor import Tensor
from ..parameter import typename


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all ``parameters`` in one vector, of shape (n,), through which gradients flow back.

    Source: ``torch.nn.utils.parameters_to_vector``.

    >>> import chainrule as torch
    >>> torch.nn.utils.parameters_to_vector([torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])])
    tensor([1., 2., 3.])
    """
    found: Tensor = public["cat"]([p.reshape(-1) for p in parameters])
    return found


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make ``parameters`` show the elements of a vector of shape (n,), whose memory they then share.

    TypeError for what is no tensor.

    Source: ``torch.nn.utils.vector_to_parameters``.

    >>> import chainrule as torch
    >>> w = torch.zeros(1, 2, requires_grad=True)
    >>> torch.nn.utils.vector_to_parameters(torch.tensor([1.0, 2.0]), [w])
    >>> w
    tensor([[1., 2.]], requires_grad=True)
    """
    if not isinstance(vec, Tensor):
        raise explained(
            TypeError(f"expected torch.Tensor, but got: {typename(vec)}\nMake one of it first: torch.tensor(vec).")
        )
    at, data = 0, vec.data
    for p in parameters:
        n = p.numel()
        p.data, at = data[at : at + n].view_as(p), at + n
