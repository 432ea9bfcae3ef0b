"""Module: parameters and the function that uses them, under one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from .. import dtypes
from ..creation import empty_like
from ..errors import explained
from ..modes import no_grad
from ..node import RemovableHandle
from ..tensor import Tensor
from . import hooks
from .hooks import Hook
from .state import Stateful

Fn = Callable[..., Any]
_EITHER = (
    "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them."
    "\nregister_full_backward_hook is the one to use."
)


class Module(Stateful):
    """The base class of all layers and models: a tree of parameters, buffers and child modules.

    A subclass calls ``super().__init__()`` first, assigns parameters and modules to attributes, and says in
    ``forward`` what it computes; calling the module runs ``forward`` with the hooks around it.

    Source: ``torch.nn.Module``.

    >>> import chainrule as torch
    >>> class Scale(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = torch.nn.Parameter(torch.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(torch.tensor([1.0, 2.0]))
    tensor([2., 4.], grad_fn=<MulBackward0>)
    """

    _forward_pre_hooks: dict[int, Hook]
    _forward_hooks: dict[int, Hook]
    _backward_pre_hooks: dict[int, Fn]
    _backward_hooks: dict[int, Fn]

    _compiled_call_impl: Fn | None = None
    _is_full_backward_hook: bool | None = None  # of which kind the backward hooks are, once there was one

    @classmethod
    def _fresh(cls) -> dict[str, Any]:
        kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
        return {**super()._fresh(), **{kind: {} for kind in kinds}}

    def _no_forward(self, *args: Any, **kwargs: Any) -> Any:
        raise explained(
            NotImplementedError(
                f'Module [{type(self).__name__}] is missing the required "forward" function'
                "\nDefine it in the class, def forward(self, x): ..., indented as __init__ is."
            )
        )

    forward: Fn = _no_forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What ``forward`` gives, with the hooks around it."""
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            return hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile what calling this module does, hooks included; the arguments are those of :func:`chainrule.compile`.

        >>> import chainrule as torch
        >>> layer = torch.nn.Linear(2, 2)
        >>> layer.compile(backend="numpy")
        >>> layer(torch.ones(3, 2)).shape
        torch.Size([3, 2])
        """
        from ..compiler import compile

        def call(*args: Any, **kwargs: Any) -> Any:
            return hooks.call(self, args, kwargs)

        self._compiled_call_impl = compile(call, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_compiled_call_impl"}

    # --- hooks ---

    def register_forward_pre_hook(
        self, hook: Fn, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; it may return other arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)``, and returns None or both.
        """
        return hooks.register(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Fn, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; it may return another output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``; with ``always_call`` it runs also
        where ``forward`` raised.
        """
        return hooks.register(self._forward_hooks, Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Fn, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the outputs' gradients are known; it may return others."""
        return hooks.register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Fn, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known too.

        Both are tuples, None where there is no gradient; it may return another ``grad_input``.
        """
        if self._is_full_backward_hook is False:
            raise explained(RuntimeError(_EITHER))
        self._is_full_backward_hook = True
        return hooks.register(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Fn) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` as the node of the output shows them; deprecated.

        They are the gradients of the module's last operation, so where ``forward`` takes several they are not those of
        its inputs: :meth:`register_full_backward_hook` has these.
        """
        if self._is_full_backward_hook:
            raise explained(RuntimeError(_EITHER))
        self._is_full_backward_hook = False
        return hooks.register(self._backward_hooks, hook, False)

    # --- the whole tree ---

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call ``fn`` on every module below this one, children first, and last on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and in all modules below; dropout and batch normalisation heed it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for the gradients of all parameters, or for none."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to 0."""
        for param in self.parameters():
            clear_grad(param, set_to_none)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace every parameter's value, its gradient and every buffer by ``fn`` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for param in self._parameters.values():
                if param is not None:
                    param.data = fn(param)
                    if param._grad is not None:
                        param._grad.data = fn(param._grad)
            self._buffers.update({name: None if b is None else fn(b) for name, b in self._buffers.items()})
        return self

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, **ignored: Any) -> Self:
        """All floating and complex parameters and buffers in another dtype (or a tensor's), in place.

        TypeError for an integer dtype, RuntimeError for a device other than the CPU.
        """
        for a in args:
            if isinstance(a, Tensor):
                dtype = a.dtype
            elif isinstance(a, dtypes.dtype):
                dtype = a
            elif not isinstance(a, bool) and a is not None:
                device = a
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda t: t.to(dtype=dtype if t._dtype.kind in "fc" else None, device=device))

    def type(self, dst_type: Any) -> Self:
        """All parameters and buffers in another dtype."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Self:
        """All floating parameters and buffers as float32."""
        return self._floats(dtypes.float32)

    def double(self) -> Self:
        """All floating parameters and buffers as float64."""
        return self._floats(dtypes.float64)

    def half(self) -> Self:
        """All floating parameters and buffers as float16."""
        return self._floats(dtypes.float16)

    def bfloat16(self) -> Self:
        """Refused where there is a floating parameter or buffer: NumPy has no such dtype."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def _floats(self, dtype: dtypes.dtype) -> Self:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def cpu(self) -> Self:
        """This module: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refused, with what to do instead."""
        return self._apply(lambda t: t.cuda(device))

    def ipu(self, device: Any = None) -> Self:
        """Refused, with what to do instead."""
        return self._apply(lambda t: t.ipu(device))

    def mtia(self, device: Any = None) -> Self:
        """Refused, with what to do instead."""
        return self._apply(lambda t: t.mtia(device))

    def xpu(self, device: Any = None) -> Self:
        """Refused, with what to do instead."""
        return self._apply(lambda t: t.xpu(device))

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Give all parameters and buffers new memory, whose numbers are to be written; here they are 0."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self) -> Self:
        """Move all parameters and buffers to memory that forked processes share: see ``Tensor.share_memory_``."""
        return self._apply(lambda t: t.share_memory_())


def clear_grad(t: Tensor, set_to_none: bool) -> None:
    """Forget the gradient of ``t``, or set it to 0, cut from any graph."""
    if set_to_none:
        t._grad = None
    elif t._grad is not None:
        t._grad.detach_()
        t._grad.requires_grad_(False)
        t._grad.zero_()
