"""Pruning: parameters whose less important entries are held at 0 by a mask.  Source: ``torch.nn.utils.prune``.

``module.weight`` becomes ``weight_orig``, a parameter, times ``weight_mask``, a buffer, computed anew before each call.
Each function prunes a parameter of a module and returns the module; ``amount`` is a number of entries (or channels), or
a share between 0 and 1 of them, of those that are left if there is a mask already.

>>> import chainrule as torch
>>> layer = torch.nn.Linear(2, 2)
>>> with torch.no_grad():
...     _ = layer.weight.copy_(torch.tensor([[0.1, -2.0], [3.0, -0.2]]))
>>> torch.nn.utils.prune.l1_unstructured(layer, "weight", amount=2).weight
tensor([[ 0., -2.],
        [ 3., -0.]], grad_fn=<MulBackward0>)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...creation import ones_like
from ...tensor import Tensor
from ..module import Module
from .convert_parameters import parameters_to_vector
from .pruning import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
    prunes,
)

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
    "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
    "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def identity(module: Module, name: str) -> Module:
    """Give the parameter ``name`` a mask of ones.

    Source: ``torch.nn.utils.prune.identity``.
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune entries at random.

    Source: ``torch.nn.utils.prune.random_unstructured``.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune the entries nearest to 0, or with the lowest ``importance_scores``.

    Source: ``torch.nn.utils.prune.l1_unstructured``.
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune channels along ``dim`` at random.

    Source: ``torch.nn.utils.prune.random_structured``.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune the channels along ``dim`` with the smallest norm of order ``n``, of ``importance_scores`` if given.

    Source: ``torch.nn.utils.prune.ln_structured``.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune where ``mask`` is 0.

    Source: ``torch.nn.utils.prune.custom_from_mask``.
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Prune entries of several parameters, (module, name), as if they were one vector; ``kwargs`` are the method's.

    TypeError for a method that is not "unstructured".

    Source: ``torch.nn.utils.prune.global_unstructured``.

    >>> import chainrule as torch
    >>> a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    >>> prune = torch.nn.utils.prune
    >>> prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=5)
    >>> int(a.weight_mask.sum() + b.weight_mask.sum())
    3
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    places = list(parameters)
    tensors = [getattr(module, name) for module, name in places]
    scores = parameters_to_vector([given.get(place, t) for place, t in zip(places, tensors, strict=True)])
    masks = [getattr(m, f"{name}_mask", ones_like(t)) for (m, name), t in zip(places, tensors, strict=True)]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of type '
            f"{method.PRUNING_TYPE}"
        )
    mask, at = PruningContainer(method).compute_mask(scores, parameters_to_vector(masks)), 0
    for (module, name), t in zip(places, tensors, strict=True):
        custom_from_mask(module, name, mask[at : at + t.numel()].view_as(t))
        at += t.numel()


def remove(module: Module, name: str) -> Module:
    """Make the parameter ``name`` an ordinary one, with the zeros it has now; ValueError if it is not pruned.

    Source: ``torch.nn.utils.prune.remove``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.prune.random_unstructured(torch.nn.Linear(2, 2), "weight", 3)
    >>> list(torch.nn.utils.prune.remove(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    for key in list(module._forward_pre_hooks):
        if prunes(module, key, name):
            module._forward_pre_hooks.pop(key).function.remove(module)  # type: ignore[attr-defined]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether a parameter of ``module``, or of a module below it, is pruned.

    Source: ``torch.nn.utils.prune.is_pruned``.

    >>> import chainrule as torch
    >>> torch.nn.utils.prune.is_pruned(torch.nn.Linear(2, 2))
    False
    """
    return any(prunes(m, key) for m in module.modules() for key in m._forward_pre_hooks)
