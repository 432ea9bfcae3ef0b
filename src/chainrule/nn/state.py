"""How a module's parameters and buffers go out into a dictionary and come back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..modes import no_grad
from ..node import RemovableHandle
from ..tensor import Tensor
from .parameter import Parameter
from .tree import Tree

_EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` did not find, and what it could not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Stateful(Tree):
    """The part of :class:`Module` that saves and loads."""

    _version: int = 1
    _state_dict_pre_hooks: dict[int, Callable[..., None]]
    _state_dict_hooks: dict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: dict[int, Callable[..., None]]
    _load_state_dict_post_hooks: dict[int, Callable[..., None]]

    @classmethod
    def _fresh(cls) -> dict[str, Any]:
        kinds = ("state_dict_pre", "state_dict", "load_state_dict_pre", "load_state_dict_post")
        return {**super()._fresh(), **{f"_{kind}_hooks": {} for kind in kinds}}

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this module is saved."""
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, metadata)`` after this module is saved; it may change the dict."""
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)`` before loading."""
        return RemovableHandle(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after this module is loaded; it may change the two lists."""
        return RemovableHandle(self._load_state_dict_post_hooks, hook)

    def get_extra_state(self) -> Any:
        """What else belongs into ``state_dict()``; override it together with :meth:`set_extra_state`."""
        raise RuntimeError("get_extra_state() of a module that does not define it must not be called")

    def set_extra_state(self, state: Any) -> None:
        """Take back what :meth:`get_extra_state` gave."""
        raise RuntimeError("set_extra_state() of a module that does not define it must not be called")

    def _persistent(self) -> dict[str, Tensor]:
        kept = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        return {k: v for k, v in {**self._parameters, **kept}.items() if v is not None}

    # --- out ---

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """The parameters and persistent buffers of this module and all below it, by dotted path.

        The tensors share the module's memory, detached unless ``keep_vars``: copy them to keep them as they
        are.  They are put into ``destination`` if it is given, under ``prefix`` + path.

        >>> import chainrule as torch
        >>> list(torch.nn.Linear(1, 1).state_dict())
        ['weight', 'bias']
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for before in list(self._state_dict_pre_hooks.values()):
            before(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for after in list(self._state_dict_hooks.values()):
            if after(self, destination, prefix, metadata) is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._persistent().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    # --- back ---

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of ``state_dict`` into this module's parameters and buffers, where paths agree.

        With ``assign`` the tensors themselves take the place of the module's, dtype included.  Returns the
        paths that were missing and those that were left over; with ``strict`` either is a RuntimeError, as a
        wrong shape always is.

        >>> import chainrule as torch
        >>> a, b = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        wrong: list[str] = []
        metadata: Any = getattr(state_dict, "_metadata", None) or {}

        def load(module: Stateful, state: dict[str, Any], prefix: str) -> None:
            local = {**metadata.get(prefix[:-1], {}), **({"assign_to_params_buffers": True} if assign else {})}
            module._load_from_state_dict(state, prefix, local, True, missing, unexpected, wrong)
            for name, child in module._modules.items():
                if child is not None:
                    path = f"{prefix}{name}."
                    load(child, {k: v for k, v in state.items() if k.startswith(path)}, path)
            for after in list(module._load_state_dict_post_hooks.values()):
                if after(module, IncompatibleKeys(missing, unexpected)) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, dict(state_dict), "")
        if strict:
            for what, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    wrong.insert(0, f"{what} key(s) in state_dict: " + ", ".join(f'"{k}"' for k in keys) + ". ")
        if wrong:
            raise RuntimeError(f"Error(s) in loading state_dict for {self._get_name()}:\n\t" + "\n\t".join(wrong))
        return IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Load this module alone; what does not fit goes into the three lists."""
        for before in list(self._load_state_dict_pre_hooks.values()):
            before(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._persistent()
        for name, mine in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            try:
                self._load_one(name, mine, state_dict[key], bool(local_metadata.get("assign_to_params_buffers")))
            except _MisfitError as e:
                error_msgs.append(e.args[0].format(key=key))
            except Exception as e:
                error_msgs.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {mine.size()} and '
                    f"whose dimensions in the checkpoint are {state_dict[key].size()}, "
                    f"an exception occurred : {e.args}."
                )
        extra = prefix + _EXTRA
        if type(self).set_extra_state is not Stateful.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            else:
                missing_keys.append(extra)
        elif extra in state_dict:
            unexpected_keys.append(extra)
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def _load_one(self, name: str, mine: Tensor, new: Any, assign: bool) -> None:
        if not isinstance(new, Tensor):
            raise _MisfitError(
                'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(new)}"
            )
        if not mine._shape and new._shape == (1,):  # what PyTorch 0.3 wrote for a single number
            new = new[0]
        if new._shape != mine._shape:
            raise _MisfitError(
                f"size mismatch for {{key}}: copying a param with shape {new.shape} from checkpoint, the shape in "
                f"current model is {mine.shape}."
            )
        with no_grad():
            if not assign:
                mine.copy_(new)
                return
            if isinstance(mine, Parameter):
                wanted = mine.requires_grad
                new = new.requires_grad_(wanted) if isinstance(new, Parameter) else Parameter(new, wanted)
            setattr(self, name, new)


class _MisfitError(Exception):
    """A value that cannot be loaded; its text has a place for the key."""
