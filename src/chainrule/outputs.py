"""Results in tensors that the caller hands over: ``out=``.

A function that takes ``out`` says so in its signature, and :func:`takes_out` above it does the rest.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from . import dtypes, errors, modes
from .arrays.namespace import dtype_of
from .errors import explained
from .primitive import RULE
from .tensor import Tensor
from .writes import assign, may_write

F = TypeVar("F", bound=Callable[..., Any])
_mode = modes.current

# What PyTorch says of an ``out`` that has another dtype than the result.
CASTS = "result type {result} can't be cast to the desired output type {out}"
SAFELY = "{name}: Expected result to be safely castable from {result} dtype, but got result with dtype {out}"
JOINED = "torch.cat(): input types can't be cast to the desired output type {out}"
EXACT = "Expected out tensor to have dtype {c_result}, but got {c_out} instead"
FOUND = "Found dtype {out} but expected {result}"
SCALAR = "expected scalar type {result} but found {out}"
SCALAR_TYPE = "expected scalar_type {result} but found {out}"
ANY = ""  # nothing: the result is computed in the dtype of ``out``, or becomes that

_VARARGS, _VARKEYWORDS = 4, 8  # flags of a code object


def takes_out(words: str, *, casts: bool = False, error: type[Exception] = RuntimeError) -> Callable[[F], F]:
    """Make a function that has a parameter ``out``, and need not look at it, write its result there.

    ``words`` are PyTorch's for an ``out`` whose dtype is wrong.  Words that speak of casts allow what PyTorch casts, int64 to
    float32, say, but no float to an integer; so do others if it ``casts`` all the same.
    """

    def around(function: F) -> F:
        def into(out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            said = words
            if not words and "dtype" in kwargs:
                if kwargs["dtype"] is None:
                    kwargs["dtype"] = out.dtype
                else:
                    said = EXACT
            return deliver(
                out, function(*args, **kwargs), taking.__name__.removeprefix("old_"), said, args, casts, error
            )

        taking: F = _passing_on(function, into)
        return taking

    return around


def _passing_on(function: Any, into: Any) -> Any:
    """``function`` where ``out`` is None, else ``into(out, args, kwargs)``.

    The call is spelled out once, from the function's parameters, as it costs every caller that passes no ``out``.
    """
    code = function.__code__
    n, m = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames)
    positional, keywords, rest = names[:n], names[n:m], names[m:]
    parameters, args, kwargs = list(positional), [], list(keywords)
    if "out" in positional:  # what follows it is passed by name
        at = positional.index("out")
        positional, kwargs = positional[:at], positional[at + 1 :] + kwargs
    args = list(positional)
    if code.co_flags & _VARARGS:
        parameters.append(f"*{rest[0]}")
        args.append(f"*{rest.pop(0)}")
    elif keywords:
        parameters.append("*")
    parameters += keywords
    kwargs = [k for k in kwargs if k != "out"]
    named, held = [f"{k}={k}" for k in kwargs], [f"'{k}': {k}" for k in kwargs]
    if code.co_flags & _VARKEYWORDS:
        parameters.append(f"**{rest[0]}")
        named.append(f"**{rest[0]}")
        held.append(f"**{rest[0]}")
    source = (
        f"lambda {', '.join(parameters)}: function({', '.join(args + named)}) if out is None else "
        f"into(out, ({''.join(a + ', ' for a in args)}), {{{', '.join(held)}}})"
    )
    found = eval(compile(source, RULE, "eval"), {"function": function, "into": into})
    found.__defaults__, found.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return functools.update_wrapper(found, function)


def deliver(out: Any, result: Any, name: str, words: str = CASTS, args: tuple[Any, ...] = (), casts: bool = False,
            error: type[Exception] = RuntimeError) -> Any:  # fmt: skip
    """``result`` of the operation ``name`` on ``args``, a tensor or several, written into ``out``; returns ``out``."""
    if not isinstance(result, tuple):
        _check(out, result, name, words, casts, error)
        return fill(out, result, args, not words)
    if not isinstance(out, (tuple, list)) or len(out) != len(result):
        raise TypeError(f"{name}(): argument 'out' must be tuple of Tensors, not {type(out).__name__}")
    for o, r in zip(out, result, strict=True):
        _check(o, r, name, words, casts, error)
    found = [fill(o, r, args, not words) for o, r in zip(out, result, strict=True)]
    return type(result)(*found) if hasattr(result, "_fields") else tuple(found)


def _check(out: Any, result: Tensor, name: str, words: str, casts: bool, error: type[Exception]) -> None:
    """PyTorch's errors for an ``out`` that cannot hold ``result``."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if out._first or result._first:
        raise NotImplementedError(
            f"Trying to use forward AD with {name}_out that does not support it because it is an out= function"
        )
    if (out._rg or result._rg) and _mode().grad:
        raise explained(RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
            "\nLeave out= away and use the result, or compute under torch.no_grad()."
        ))  # fmt: skip
    have, want = dtype_of(result._a), dtype_of(out._a)
    if words and have != want and not ((casts or "cast" in words) and dtypes.kind_rank(have) <= dtypes.kind_rank(want)):
        raise explained(error(
            words.format(name=name, result=errors.scalar_type(have), out=errors.scalar_type(want),
                         c_result=errors.c_name(have), c_out=errors.c_name(want))
            + f"\nThe result is {result.dtype}: hand over a tensor of that dtype, or leave out= away."
        ))  # fmt: skip


def fill(
    out: Tensor, result: Tensor, args: tuple[Any, ...] = (), convert: bool = False, quietly: bool = False
) -> Tensor:
    """Make ``out`` hold ``result``, in its own memory: resized if need be, with PyTorch's warning unless ``quietly``."""
    may_write(out, args)
    if out._shape != result._shape:
        if out.numel() and not quietly:
            warnings.warn(
                "An output with one or more elements was resized since it had shape "
                f"{list(out._shape)}, which does not match the required output shape {list(result._shape)}. This behavior "
                "is deprecated, and in a future PyTorch release outputs will not be resized unless they have zero elements. "
                "You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                UserWarning, stacklevel=5,
            )  # fmt: skip
        out.resize_(result._shape)
    return assign(out, result.to(out.dtype) if convert else result)
