"""Text of tensors, character for character as PyTorch prints them.

The work falls in three steps: look at the numbers that will be shown and choose one *style* for all
of them (digits, notation, width), lay the styled numbers out in nested brackets, and hang the
``size=``, ``dtype=`` and ``requires_grad=`` suffixes behind the closing bracket.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_options = SimpleNamespace(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)

_PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Set how tensors are printed; ``None`` leaves an option as it is.

    ``sci_mode`` is the exception: every call sets it, and ``None`` means "choose by the values".
    ``profile`` is ``"default"``, ``"short"`` or ``"full"`` and is applied before the other arguments;
    as in PyTorch, an unknown profile is ignored.

    >>> set_printoptions(precision=2)
    >>> format_tensor(np.array([1.12345], np.float32))
    'tensor([1.12])'
    >>> set_printoptions(profile="default")
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in {**_PROFILES.get(profile or "", {}), **changes}.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """Return the current options; ``set_printoptions(**get_printoptions())`` changes nothing.

    >>> get_printoptions()["linewidth"]
    80
    """
    return dict(vars(_options))


# --- Styles: how a single number is written ---


class _Style(Protocol):
    """Writes one Python number. ``width`` is what line breaking counts for it."""

    @property
    def width(self) -> int: ...

    def __call__(self, value: Any) -> str: ...


class _RealStyle(NamedTuple):
    """A format spec, padded on the left to ``width``; ``dot`` marks whole floats (``3.``)."""

    spec: str
    dot: bool = False
    width: int = 1

    def __call__(self, value: Any) -> str:
        text = format(value, self.spec)
        if self.dot and math.isfinite(value):
            text += "."
        return text.rjust(self.width)

    def fitted(self, values: Array) -> _RealStyle:
        """The same style, just wide enough for all of ``values``."""
        # Among numbers of one sign the length of the text only grows or only shrinks with magnitude
        # (or, with an exponent, is longest at one of the ends), so the ends of each range suffice.
        parts = [values] if values.dtype == np.bool_ else [values[values < 0], values[values > 0]]
        ends = [end.item() for part in parts if part.size for end in (part.min(), part.max())]
        return _RealStyle(self.spec, self.dot, max((len(self(end)) for end in ends), default=1))


class _ComplexStyle(NamedTuple):
    real: _RealStyle
    imag: _RealStyle

    @property
    def width(self) -> int:
        # The "j" is counted and the joining "+" is not: PyTorch breaks its lines that way.
        return self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip()
        sign = "" if imag.startswith("-") else "+"
        return f"{self.real(value.real)}{sign}{imag}j"


class _TextStyle(NamedTuple):
    """Formulas, as they print themselves."""

    width: int

    def __call__(self, value: Any) -> str:
        return str(value)


def _real_style(values: Array) -> _RealStyle:
    if values.dtype.kind != "f":
        return _RealStyle("").fitted(values)

    # Zeros, infinities and nans have no say in the notation, nor in the width.
    telling = values[np.isfinite(values) & (values != 0)]
    if telling.size == 0:
        return _RealStyle(".0f", dot=True)

    magnitudes = np.abs(telling)
    low, high = float(magnitudes.min()), float(magnitudes.max())
    scientific = _options.sci_mode
    if scientific is None:
        scientific = high / low > 1000.0 or high > 1e8 or low < 1e-4

    if scientific:
        style = _RealStyle(f".{_options.precision}e")
    elif np.array_equal(telling, np.ceil(telling)):
        style = _RealStyle(".0f", dot=True)
    else:
        style = _RealStyle(f".{_options.precision}f")
    return style.fitted(telling)


def _style(values: Array) -> _Style:
    if values.dtype == object:
        return _TextStyle(max(len(str(v)) for v in values.flat))
    if values.dtype.kind == "c":
        return _ComplexStyle(_real_style(values.real), _real_style(values.imag))
    return _real_style(values)


# --- Layout: brackets, lines and summaries ---


def _shown_part(a: Array, edge: int) -> Array:
    """The elements that a summary shows, picked without reading any of the others."""
    kept = [np.r_[:edge, n - edge : n] if n > 2 * edge else np.arange(n) for n in a.shape]
    return a[np.ix_(*kept)] if kept else a


def _brackets(a: Array, indent: int, style: _Style, edge: int | None) -> str:
    """``a`` in brackets, each axis longer than ``2 * edge`` shortened (``None``: show everything)."""
    if a.ndim == 0:
        return style(a.item())

    n = len(a)
    shortened = edge is not None and n > 2 * edge
    head, tail = (a[:edge], a[n - (edge or 0) :]) if shortened else (a, a[n:])

    if a.ndim == 1:
        # Inside a row the dots carry a space of their own, unless they stand alone.
        dots = [" ..." if edge else "..."] if shortened else []
        cells = [style(x) for x in head.tolist()] + dots + [style(x) for x in tail.tolist()]
        per_line = max(1, math.floor((_options.linewidth - indent) / (style.width + 2)))
        blocks = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    else:
        dots = ["..."] if shortened else []
        blocks = [_brackets(x, indent + 1, style, edge) for x in head] + dots
        blocks += [_brackets(x, indent + 1, style, edge) for x in tail]

    line_breaks = "\n" * max(1, a.ndim - 1)
    return "[" + ("," + line_breaks + " " * (indent + 1)).join(blocks) + "]"


def format_array(a: Array, indent: int) -> str:
    """Return the bracketed text of ``a``, of any shape, as it stands ``indent`` columns into a line.

    Arrays of Booleans, integers, floats, complex numbers and formulas are supported.

    >>> format_array(np.array([[1.0, 2.5], [3.0, 4.0]]), 0)
    '[[1.0000, 2.5000],\\n [3.0000, 4.0000]]'
    """
    if a.size == 0:
        return "[]"
    edge = _options.edgeitems if a.size > _options.threshold else None
    style = _style(a if edge is None else _shown_part(a, edge))
    return _brackets(a, indent, style, edge)


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    # Two columns more than the last line holds: PyTorch counts so, and it decides where lines break.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def format_tensor(
    a: Array, *, default_dtype_name: str = "float32", requires_grad: bool = False, grad_fn_name: str | None = None,
    tangent: str | None = None, prefix: str = "tensor(", lazy: bool = False,
) -> str:  # fmt: skip
    """Return the whole ``repr`` of a tensor that holds ``a``, of any shape.

    The dtype is shown where the digits and ``default_dtype_name`` do not already tell it, the shape
    where there are no digits to tell it, and ``grad_fn_name`` in place of ``requires_grad``.  ``tangent`` is text.
    A ``lazy`` array is not asked for its numbers: dots stand for them.

    >>> format_tensor(np.array([1.0, 2.0]), requires_grad=True)
    'tensor([1., 2.], dtype=torch.float64, requires_grad=True)'
    """
    default_complex = "complex128" if default_dtype_name == "float64" else "complex64"
    # Only digits can show that a tensor is boolean, whole or complex; an empty one has none.
    no_digits = lazy or a.size == 0
    evident = {default_dtype_name} if no_digits else {default_dtype_name, default_complex, "int64", "bool", "object"}
    size_is_hidden = lazy or (a.ndim != 1 if a.size == 0 else not _options.edgeitems)

    suffixes = []
    if size_is_hidden:
        suffixes.append(f"size={a.shape}")
    if a.dtype.name not in evident:
        suffixes.append(f"dtype=torch.{a.dtype.name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")

    indent = len(prefix)
    return _with_suffixes(prefix + ("..." if lazy else format_array(a, indent)), suffixes, indent)
