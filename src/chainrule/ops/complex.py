"""Complex numbers: their parts and conjugates.

The gradient of a real L by z = x + iy is ∂L/∂x + i ∂L/∂y.  Where a function is holomorphic its slope is conjugated on
the way back, which an Elementwise sees to; the functions here are not, so they have rules of their own.
"""

from __future__ import annotations

import warnings
from typing import Any

from .. import errors
from ..arrays.namespace import dtype_of
from ..errors import explained
from ..lanes import general
from ..outputs import FOUND, takes_out
from ..primitive import Elementwise, Primitive
from ..tensor import Tensor
from .index import GetItem
from .kinds import attach, export
from .samples import ONE

Z: Any = [(([0.5 + 0.25j, -1.25 - 2j],), {}), ((-0.5 + 1j,), {})]
FLOATS = RuntimeError("Expected both inputs to be Half, Float or Double tensors but got {0} and {0}")
PAIR: Any = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


class Conj(Elementwise):
    """The complex conjugate."""

    forward = lambda xp, x: xp.conj(x)
    jointly_linear = True
    vjp_x = lambda xp, g: xp.conj(g)
    jvp_x = lambda xp, t: xp.conj(t)
    samples = ONE


class Real(Elementwise):
    """The real part."""

    forward = lambda xp, x: xp.real(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g
    jvp_x = lambda xp, t: xp.real(t)
    samples = ONE


class Imag(Elementwise):
    """The imaginary part."""

    forward = lambda xp, x: xp.imag(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g * 1j
    jvp_x = lambda xp, t: xp.imag(t)
    samples = Z


class Complex(Elementwise):
    """``x + iy`` of two real numbers."""

    real_only = FLOATS
    forward = lambda xp, x, y: xp.complex(x, y)
    jointly_linear = True
    vjp_x = lambda xp, g: xp.real(g)
    vjp_y = lambda xp, g: xp.imag(g)
    jvp_x = lambda xp, t: xp.complex(t, xp.zeros_like(t))
    jvp_y = lambda xp, t: xp.complex(xp.zeros_like(t), t)
    samples = PAIR


class ViewAsReal(Primitive):
    """Real and imaginary part along a new last axis, in the same memory."""

    forward = lambda xp, x: xp.view_as_real(x)
    vjp_x = lambda xp, g: xp.view_as_complex(g)
    jvp_x = lambda xp, t: xp.view_as_real(t)
    view = jointly_linear = True
    samples = Z

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return _as_complex(value)


class ViewAsComplex(Primitive):
    """The complex numbers whose real and imaginary parts lie along the last axis, in the same memory."""

    real_only = RuntimeError(
        "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: {}"
    )
    forward = lambda xp, x: xp.view_as_complex(x)
    vjp_x = lambda xp, g: xp.view_as_real(g)
    jvp_x = lambda xp, t: xp.view_as_complex(t)
    view = jointly_linear = True
    samples = [(((3, 2),), {}), (((2,),), {})]

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return _as_real(value)


# --- what users call ---

_conj, _physical, _part = Conj(), Conj("ConjPhysicalBackward0"), GetItem("SelectBackward0")
_as_real, _as_complex, _complex = ViewAsReal(), ViewAsComplex(), Complex()
Real(), Imag()


def conj(input: Tensor) -> Tensor:
    """The complex conjugate of each element; a real tensor itself.

    ``input`` has any shape; so has the result.  It is a copy: PyTorch puts the work off, and has a view that
    ``resolve_conj`` makes a copy of.

    Source: ``torch.conj``.

    >>> import chainrule as torch
    >>> torch.conj(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return _conj(input) if input.is_complex() else input


@takes_out(FOUND)
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugate of each element, a copy; a real tensor itself.

    Source: ``torch.conj_physical``.
    """
    return _physical(input) if input.is_complex() else input


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are never put off here.

    Source: ``torch.resolve_conj``.
    """
    return input


def is_conj(input: Tensor) -> bool:
    """Whether the tensor is a conjugate put off until later: never, here.

    Source: ``torch.is_conj``.
    """
    return False


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: negation is never put off here.

    Source: ``torch.resolve_neg``.
    """
    return input


def is_neg(input: Tensor) -> bool:
    """Whether the tensor is a negative put off until later: never, here.

    Source: ``torch.is_neg``.
    """
    return False


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers.

    Source: ``torch.is_complex``.
    """
    return input.is_complex()


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating point numbers, and real.

    Source: ``torch.is_floating_point``.
    """
    return input.is_floating_point()


def isreal(input: Tensor) -> Tensor:
    """Which elements have no imaginary part.

    Source: ``torch.isreal``.

    >>> import chainrule as torch
    >>> torch.isreal(torch.tensor([1 + 0j, 1j]))
    tensor([ True, False])
    """
    return imag(input) == 0 if input.is_complex() else (input != input) | True


def view_as_real(input: Tensor) -> Tensor:
    """Complex numbers of shape (...) as real ones of shape (..., 2), a view: real part, imaginary part.

    RuntimeError for real tensors.

    Source: ``torch.view_as_real``.

    >>> import chainrule as torch
    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if not input.is_complex():
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return _as_real(input)


def view_as_complex(input: Tensor) -> Tensor:
    """Real numbers of shape (..., 2) as complex ones of shape (...), a view.

    RuntimeError unless the two parts of each number lie side by side in memory.

    Source: ``torch.view_as_complex``.

    >>> import chainrule as torch
    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    if not input.is_floating_point():
        raise errors.not_of_complex(ViewAsComplex.real_only, input._dtype)
    if not input._shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input._shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    steps = input.stride()
    if steps[-1] != 1:
        raise explained(RuntimeError("Tensor must have a last dimension with stride 1\nMake it so: x.contiguous()."))
    if any(s % 2 for s in steps[:-1]):
        raise explained(
            RuntimeError(
                "Tensor must have a stride divisible by 2 for all but last dimension\nMake it so: x.contiguous()."
            )
        )
    return _as_complex(input)


def real(input: Tensor) -> Tensor:
    """The real parts, a view; a real tensor itself.

    Source: ``torch.real``.
    """
    return _part(_as_real(input), key=(..., 0)) if input.is_complex() else input


def imag(input: Tensor) -> Tensor:
    """The imaginary parts of a complex tensor, a view.  RuntimeError for a real one.

    Source: ``torch.imag``.
    """
    if not input.is_complex():
        raise explained(RuntimeError("imag is not implemented for tensors with non-complex dtypes.\nThe imaginary part of a "
                                     "real number is 0: torch.zeros_like(x)."))  # fmt: skip
    return _part(_as_real(input), key=(..., 1))


@takes_out("Expected object of scalar type {result} but got scalar type {out} for argument 'out'")
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex numbers with these real and imaginary parts, which broadcast.

    RuntimeError unless both are floats of one dtype.

    Source: ``torch.complex``.

    >>> import chainrule as torch
    >>> torch.complex(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.+2.j])
    """
    return of_floats(_complex, real, imag)


def of_floats(prim: Primitive, x: Tensor, y: Tensor) -> Tensor:
    d, e = dtype_of(x), dtype_of(y)
    if d.kind != "f" or e.kind != "f":
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{errors.scalar_type(d)} and {errors.scalar_type(e)}"
        )
    if d != e:
        raise explained(
            RuntimeError(
                f"Expected object of scalar type {errors.scalar_type(d)} but got scalar type {errors.scalar_type(e)} for "
                "second argument\nConvert one of them: y.to(x.dtype)."
            )
        )
    return general(prim, (x, y))


def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated: (..., n, m) to (..., m, n).

    Source: ``torch.adjoint``.
    """
    return _adjoint(input, "adjoint()")


def _adjoint(x: Tensor, name: str) -> Tensor:
    if x.ndim < 2:
        if x.ndim:
            raise RuntimeError(
                f"tensor.{name} is only supported on matrices or batches of matrices. Got {x.ndim}-D tensor."
            )
        name = name if name == "adjoint()" else f"Tensor.{name}"
        warnings.warn(f"{name} is deprecated on 0-D tensors. Consider using x.conj().", UserWarning, stacklevel=3)
        return conj(x)
    return conj(x.transpose(-2, -1))


def _hermitian(input: Tensor) -> Tensor:
    """A matrix transposed and conjugated; RuntimeError for other than 2 axes."""
    if input.ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if input.ndim > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor.{more}")
    return _adjoint(input, "H")


def _writer(part: Any) -> Any:
    """Assignment to ``z.real`` or ``z.imag``: written in place."""

    def write(self: Tensor, value: Any) -> None:
        view = part(self)
        view.copy_(value) if isinstance(value, Tensor) else view.fill_(value)

    return write


_methods: Any = (conj, resolve_conj, resolve_neg, is_conj, is_neg, isreal, adjoint)
for _f in _methods:
    export(_f.__name__, _f)
export("conj_physical", conj_physical, in_place=True)
_functions: Any = (is_complex, is_floating_point, view_as_real, view_as_complex, complex, real, imag)
for _f in _functions:
    export(_f.__name__, _f, method=False)
attach(real=property(real, _writer(real)), imag=property(imag, _writer(imag)))
_adjoints = property(
    lambda self: _adjoint(self, "mH"), doc="Each matrix transposed and conjugated: of shape (..., m, n), (..., n, m)."
)
attach(H=property(_hermitian), mH=_adjoints)
