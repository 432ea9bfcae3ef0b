"""Modules as functions of their parameters: what ``grad`` and ``vmap`` need to differentiate or batch a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import explained
from ..tensor import Tensor

if TYPE_CHECKING:
    from ..nn.module import Module

State = dict[str, Tensor]
_MISSING: Any = object()  # stands for what a module does not have under a name


def functional_call(
    module: Module, parameter_and_buffer_dicts: State | Sequence[State], args: Any = None,
    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """What ``module(*args, **kwargs)`` gives with other tensors in place of its parameters and buffers.

    ``parameter_and_buffer_dicts`` is a dictionary of tensors by dotted path, or several whose names differ; the module
    keeps its own for what is not named, and has them all back afterwards.  A buffer that ``forward`` replaces is
    replaced in the dictionary.  ``args`` is a tuple, or the one argument.  With ``tie_weights`` a tensor given for one
    name of a shared parameter stands for all its names; with ``strict`` each parameter and buffer must be named.

    Raises ValueError for a name in two dictionaries, or different tensors for a shared parameter; RuntimeError for
    names that are missing or unknown under ``strict``.

    Source: ``torch.func.functional_call``.

    >>> import chainrule as torch
    >>> line = torch.nn.Linear(2, 1)
    >>> state = {"weight": torch.tensor([[1.0, 10.0]]), "bias": torch.tensor([100.0])}
    >>> torch.func.functional_call(line, state, torch.tensor([2.0, 3.0]))
    tensor([132.])
    >>> loss = lambda state, x: torch.func.functional_call(line, state, (x,)).sum()
    >>> torch.func.grad(loss)(state, torch.tensor([2.0, 3.0]))
    {'weight': tensor([[2., 3.]]), 'bias': tensor([1.])}
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        state = parameter_and_buffer_dicts
    else:
        state = _merged(parameter_and_buffer_dicts)
    if not isinstance(args, tuple):
        args = () if args is None else (args,)
    with _replaced(module, state, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _merged(dicts: Any) -> State:
    if not isinstance(dicts, Sequence):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
        )
    if not all(isinstance(d, dict) for d in dicts):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [name for d in dicts for name in d]
    repeated = list(dict.fromkeys([name for name in names if names.count(name) > 1]))
    if repeated:
        raise explained(
            ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
                "\nLeave each name in one of them: {**first, **second} takes the second's."
            )
        )
    return {name: t for d in dicts for name, t in d.items()}


@contextmanager
def _replaced(module: Module, state: State, tie_weights: bool, strict: bool) -> Iterator[None]:
    """Within, ``module`` has the tensors of ``state``; what it has put in their places is then in ``state``."""
    full = _with_ties(module, state) if tie_weights else state
    if strict:
        _check_names(module, full)
    old: dict[str, Any] = {}
    try:
        for name, t in full.items():
            old[name] = _swap(module, name, t)
        yield
    finally:
        new = {name: _swap(module, name, t) for name, t in old.items()}
        state.update({name: new[name] for name in state if name in new})


def _swap(module: Module, path: str, value: Any) -> Any:
    """Put ``value`` at a dotted path; gives what was there.  Parameters are not checked to be any."""
    where, _, name = path.rpartition(".")
    owner: Any = module
    for step in where.split(".") if where else ():
        owner = _child(owner, step)
    if value is not _MISSING and value is not None and not isinstance(value, Tensor):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    if not name:
        raise KeyError('tensor name can\'t be empty string ""')
    places: list[dict[str, Any]] = [owner._parameters, owner._buffers]
    place = next((p for p in places if name in p), None)
    if place is None:
        place, there = vars(owner), getattr(owner, name, None)
        if there is not None and not isinstance(there, Tensor):
            raise TypeError(f"attribute `{name}`: {there} is not an instance of torch.Tensor")
    old = place.get(name, _MISSING)
    if value is _MISSING:
        place.pop(name, None)
    else:
        place[name] = value
    return old


def _child(owner: Any, name: str) -> Any:
    from ..nn.module import Module

    found = getattr(owner, name, _MISSING)
    if found is _MISSING:
        raise explained(
            AttributeError(
                f"{owner._get_name()} has no attribute `{name}`"
                "\nNames are dotted paths, as dict(module.named_parameters()) has them."
            )
        )
    if not isinstance(found, Module):
        raise TypeError(f"submodule `{name}`: {found} is not an instance of torch.nn.Module")
    return found


def _named(module: Module) -> Iterable[tuple[str, Tensor]]:
    """All parameters and buffers, shared ones under each of their names."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _with_ties(module: Module, state: State) -> State:
    """``state``, with each tensor under all names of the parameter or buffer that it stands for."""
    names_of: dict[int, list[str]] = {}
    for name, t in _named(module):
        names_of.setdefault(id(t), []).append(name)
    full = dict(state)
    for names in names_of.values():
        given = {id(state[name]): state[name] for name in names if name in state} if len(names) > 1 else {}
        if len(given) > 1:
            raise explained(
                ValueError(
                    f"functional_call got multiple values for keys {sorted(names)}, which are tied. Consider using "
                    "tie_weights=False\nThe module has one tensor under all these names: give one, under any of them."
                )
            )
        for t in given.values():
            full.update(dict.fromkeys(names, t))
    return full


def _check_names(module: Module, state: State) -> None:
    known = {name for name, _ in _named(module)}
    wrong = [
        f"{what} key(s): {', '.join(map(repr, sorted(names)))}."
        for what, names in (("Unexpected", state.keys() - known), ("Missing", known - state.keys()))
        if names
    ]
    if wrong:
        lines = "\n\t".join(wrong)
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t{lines}")


def stack_module_state(models: Sequence[Module]) -> tuple[State, State]:
    """The parameters and the buffers of several models of one class, each stacked along a new first dimension.

    The stacked parameters are leaves, and require grad if the models' do.  With :func:`functional_call` under
    :func:`vmap` they make an ensemble, which runs as one model.

    Raises RuntimeError if there is no model, or they differ in class, in training mode, or in what requires grad.

    Source: ``torch.func.stack_module_state``.

    >>> import chainrule as torch
    >>> from chainrule.func import functional_call, stack_module_state, vmap
    >>> models = [torch.nn.Linear(3, 2) for _ in range(5)]
    >>> params, buffers = stack_module_state(models)
    >>> params["weight"].shape
    torch.Size([5, 2, 3])
    >>> ensemble = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None))
    >>> ensemble(params, buffers, torch.ones(4, 3)).shape
    torch.Size([5, 4, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise explained(
            RuntimeError(
                "stack_module_state: Expected all models to have the same training/eval mode."
                "\nCall train() or eval() on each of them first."
            )
        )
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    return _stacked([dict(m.named_parameters()) for m in models]), _stacked([dict(m.named_buffers()) for m in models])


def _stacked(states: list[State]) -> State:
    from ..ops.shape import stack

    found = {}
    for name, first in states[0].items():
        tensors = [state[name] for state in states]
        if any(t._rg != first._rg for t in tensors):
            raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
        stacked = stack(tensors).detach()
        found[name] = stacked.requires_grad_() if first._rg else stacked
    return found


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let every batch norm in ``root`` normalise by its batch alone, without running statistics; gives back ``root``.

    A running mean is written to, which vmap cannot do to what all samples share.

    Source: ``torch.func.replace_all_batch_norm_modules_``.

    >>> import chainrule as torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    >>> torch.func.replace_all_batch_norm_modules_(model)[1].running_mean is None
    True
    """
    from ..nn.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
