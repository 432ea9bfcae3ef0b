"""Parameters that are functions of others: ``module.weight`` becomes ``f(original)``, computed whenever it is read.

Source: ``torch.nn.utils.parametrize``.

>>> import chainrule as torch
>>> class Symmetric(torch.nn.Module):
...     def forward(self, x):
...         return x.triu() + x.triu(1).T
>>> layer = torch.nn.utils.parametrize.register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric())
>>> bool((layer.weight == layer.weight.T).all())
True
>>> list(layer.state_dict())
['bias', 'parametrizations.weight.original']
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from ...modes import no_grad
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_cache: ContextVar[dict[Any, Tensor] | None] = ContextVar("values of parametrizations", default=None)


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """A context in which a parametrized tensor is computed once, when it is first read, and then kept.

    Source: ``torch.nn.utils.parametrize.cached``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> with torch.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    outer = _cache.get()
    token = _cache.set({} if outer is None else outer)
    try:
        yield
    finally:
        _cache.reset(token)


class ParametrizationList(ModuleList):
    """The functions behind one parametrized tensor, and the tensor or tensors that they are applied to.

    ``original``, or ``original0``, ``original1`` and so on where a ``right_inverse`` gives several, are parameters if
    the tensor was one, buffers otherwise.  Made by :func:`register_parametrization`, which says what is refused.

    Source: ``torch.nn.utils.parametrize.ParametrizationList``.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype != dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            original.data = new
            keep(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element "
                        f"{i} of the sequence with type {type(part).__name__}."
                    )
                if isinstance(original, Parameter):
                    part = Parameter(part, original.requires_grad)
                part.requires_grad_(original.requires_grad)
                keep(self, f"original{i}", part)
        if not unsafe:
            now = self()
            if not isinstance(now, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(now).__name__}.")
            for what, was, is_ in (("dtype", dtype, now.dtype), ("shape", shape, now.shape)):
                if is_ != was:
                    raise ValueError(
                        f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is "
                        f"enabled.\nunparametrized {what}: {was}\nparametrized {what}: {is_}"
                    )

    def originals(self) -> list[Tensor]:
        """The tensors that the first function is applied to."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Any) -> None:
        """Make the originals such that the parametrized tensor becomes ``value``.

        RuntimeError where a function has no ``right_inverse``, ValueError where it gives something else than it gave
        when it was registered.
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            if not self.is_tensor:
                self._take_several(value)
                return
            if not isinstance(value, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
            if value.dtype != self.original.dtype:
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has dtype "
                    f"{self.original.dtype}"
                )
            self.original.data = value

    def _take_several(self, value: Any) -> None:
        if not isinstance(value, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}.")
        if len(value) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length "
                f"{len(value)}."
            )
        for i, (old, new) in enumerate(zip(self.originals(), value, strict=True)):
            if not isinstance(new, Tensor):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors or reference-type opaques. Got element "
                    f"{i} of type {type(new).__name__}."
                )
            if new.dtype != old.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {new.dtype} while `original{i}` has dtype "
                    f"{old.dtype}"
                )
            old.data = new

    def forward(self) -> Any:
        """The parametrized tensor."""
        first, *others = self
        value = first(*self.originals())
        for module in others:
            value = module(value)
        return value


def keep(module: Module, name: str, tensor: Tensor) -> None:
    """Register ``tensor`` as what it is, a parameter or a buffer."""
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


# --- the class of a parametrized module ---


def _refuse_pickling(self: Module) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _copied(self: Module, memo: dict[int, Any]) -> Module:
    """A copy with a class of its own, from which tensors can be taken without a loss to this module."""
    cls = type(self)
    replica: Module = cls.__new__(type(cls.__name__, cls.__bases__, dict(cls.__dict__)))
    memo[id(self)] = replica
    replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return replica


def _property(name: str) -> property:
    def read(self: Any) -> Tensor:
        functions, kept = self.parametrizations[name], _cache.get()
        if kept is None:
            return functions()  # type: ignore[no-any-return]
        key = (id(self), name)
        if key not in kept:
            kept[key] = functions()
        return kept[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let ``module``'s parameter or buffer ``tensor_name`` be what ``parametrization`` makes of it, or of others.

    The function is applied to the tensor itself, or to what its ``right_inverse`` makes of the tensor, one tensor
    or several; with it the parametrized tensor can also be assigned to.  What is registered later is applied to the
    outcome.  The module is returned.  ValueError if there is no such tensor, or if a function or ``right_inverse``
    changes shape or dtype, unless ``unsafe``.

    Source: ``torch.nn.utils.parametrize.register_parametrization``.

    >>> import chainrule as torch
    >>> class Positive(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.exp()
    ...
    ...     def right_inverse(self, y):
    ...         return y.log()
    >>> layer = torch.nn.Linear(1, 1)
    >>> torch.nn.utils.parametrize.register_parametrization(layer, "bias", Positive(), unsafe=True)
    ParametrizedLinear(
      in_features=1, out_features=1, bias=True
      (parametrizations): ModuleDict(
        (bias): ParametrizationList(
          (0): Positive()
        )
      )
    )
    >>> layer.bias = torch.tensor([1.0])
    >>> layer.parametrizations.bias.original
    Parameter containing:
    tensor([0.], requires_grad=True)
    """
    parametrization.train(module.training)
    held: Any = module
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_further(tensor_name, getattr(module, tensor_name), parametrization)
        functions = held.parametrizations[tensor_name]
        functions.append(parametrization)
        functions.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        functions = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            cls = type(module)
            body = {"__getstate__": _refuse_pickling, "__deepcopy__": getattr(cls, "__deepcopy__", _copied)}
            module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), body)
            held.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        held.parametrizations[tensor_name] = functions
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def _check_further(name: str, old: Tensor, parametrization: Any) -> None:
    """That a further function, and its inverse, give tensors like the one they get."""
    new = parametrization(old)
    if not isinstance(new, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(new).__name__}.")
    changes = "Registering a parametrization may not change the {what} of the tensor"
    _check_alike(name, old, new, changes, "parametrization(module.{name}).{what}")
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(new)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
    differs = "The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}"
    _check_alike(name, old, back, differs, "returned {what}")


def _check_alike(name: str, old: Tensor, new: Tensor, words: str, called: str) -> None:
    """That ``new``, as the error calls it, has the dtype and the shape of the module's tensor ``name``."""
    for what in ("dtype", "shape"):
        if getattr(new, what) != getattr(old, what):
            raise ValueError(
                f"{words}, unless the `unsafe` flag is enabled.\nmodule.{{name}}.{{what}}: {getattr(old, what)}\n"
                f"{called}: {getattr(new, what)}".format(name=name, what=what)
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has parametrizations, of ``tensor_name`` if it is given.

    Source: ``torch.nn.utils.parametrize.is_parametrized``.

    >>> import chainrule as torch
    >>> torch.nn.utils.parametrize.is_parametrized(torch.nn.Linear(1, 1))
    False
    """
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make ``tensor_name`` a parameter or buffer again: as it is now, or unparametrized, as its original is.

    The module is returned, with its former class if nothing else is parametrized.  ValueError if the tensor is not
    parametrized, or without ``leave_parametrized`` if it is made of several.

    Source: ``torch.nn.utils.parametrize.remove_parametrizations``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(1, 1))
    >>> torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=1, out_features=1, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    held: Any = module
    functions = held.parametrizations[tensor_name]
    if functions.is_tensor:
        tensor = functions.original
        if leave_parametrized:
            with no_grad():
                tensor.data = getattr(module, tensor_name)
    elif leave_parametrized:
        tensor = getattr(module, tensor_name)
        tensor = Parameter(tensor) if tensor.requires_grad else tensor
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del held.parametrizations[tensor_name]
    keep(module, tensor_name, tensor)
    if not is_parametrized(module):
        del held.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that ``module`` had before anything in it was parametrized.

    Source: ``torch.nn.utils.parametrize.type_before_parametrizations``.

    >>> import chainrule as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(1, 1))
    >>> torch.nn.utils.parametrize.type_before_parametrizations(layer) is torch.nn.Linear
    True
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrize ``to_module`` as ``from_module`` is, by the same functions of the same originals, and return it.

    Without ``tensor_name`` this is done for all parametrized tensors; those that are missing are made.

    Source: ``torch.nn.utils.parametrize.transfer_parametrizations_and_params``.

    >>> import chainrule as torch
    >>> a, b = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(1, 1)), torch.nn.Linear(1, 1)
    >>> bool((torch.nn.utils.parametrize.transfer_parametrizations_and_params(a, b).weight == a.weight).all())
    True
    """
    if not is_parametrized(from_module):
        return to_module
    given: Any = from_module
    held: Any = to_module
    for name in list(given.parametrizations) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        functions = given.parametrizations[name]
        for function in functions:
            register_parametrization(to_module, name, function)
        names = ["original"] if functions.is_tensor else [f"original{i}" for i in range(functions.ntensors)]
        for original in names:
            setattr(held.parametrizations[name], original, getattr(functions, original))
    return to_module
