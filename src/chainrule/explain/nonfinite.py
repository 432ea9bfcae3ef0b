"""Where a nan or an infinity comes from: the first step that makes one of finite numbers, and what to write instead."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

import numpy as np

from ..autograd.nan_tracer import is_finite, place_of
from ..creation import ones_like
from ..language import get_language
from ..tensor import Tensor
from .names import Line, Names, around, users
from .source import Source
from .tape import Item, Tape, read, sweep
from .text import name_of, number

_SAYS: Final = {
    "forward": ("the value becomes {what} in {op}{line}", "值在 {op} 中变成 {what}{line}"),
    "backward": ("the gradient becomes {what} in {op}{line}", "梯度在 {op} 中变成 {what}{line}"),
    "came in": ("{name} holds {what} before anything is computed from it{line}", "{name} 在参与计算之前就含有 {what}{line}"),
    "line": ("{name} becomes {what}{line}", "{name} 变成 {what}{line}"),
    "unknown": ("{name} is {what}, and where that begins cannot be found: the graph holds too little",
                "{name} 是 {what}，找不到起点：计算图保留的信息不够"),
    "value": ("{step} = {value}{where}.", "{step} = {value}{where}。"),
    "step": ("{step}: the gradient {g} arrives and {left} leaves{where}.", "{step}：到达的梯度是 {g}，传出的是 {left}{where}。"),
    "where": (", at {at}, {k} of {n} entries", "，位置 {at}，{n} 个元素中有 {k} 个"),
    "entries": ("At {at}, {k} of {n} entries.", "位置 {at}，{n} 个元素中有 {k} 个。"),
}  # fmt: skip

# What to write instead, by operation and pass.
_POSITIVE = ("Keep its argument positive: torch.log(x.clamp(min=1e-12)), torch.log1p for 1 + x; of a probability take "
             "log_softmax or logsigmoid instead.",
             "让参数保持为正：torch.log(x.clamp(min=1e-12))；1 + x 用 torch.log1p；"
             "概率请改用 log_softmax 或 logsigmoid。")  # fmt: skip
_DIVISOR = ("The divisor is 0, or too small. Add a small number to it, or choose before dividing: "
            "x / torch.where(y == 0, 1.0, y).",
            "除数是 0 或太小。给它加一个小数，或者先选再除：x / torch.where(y == 0, 1.0, y)。")  # fmt: skip
_LARGE = ("The result is beyond the dtype's largest number. Use logsumexp, softmax or log_softmax, which do not overflow, "
          "clamp the argument, or compute in float64.",
          "结果超出了该类型的最大值。请用不会溢出的 logsumexp、softmax 或 log_softmax，限制参数范围，"
          "或者用 float64 计算。")  # fmt: skip
_RANGE = ("Its argument must lie inside (-1, 1): x.clamp(-1 + 1e-6, 1 - 1e-6).",
          "参数必须在 (-1, 1) 之内：x.clamp(-1 + 1e-6, 1 - 1e-6)。")  # fmt: skip
_POWER = ("A negative number has no real fractional power, and 0 no negative one. Use x.abs() ** p, or "
          "x.clamp(min=1e-12) ** p.",
          "负数没有实的分数次幂，0 没有负数次幂。请用 x.abs() ** p 或 x.clamp(min=1e-12) ** p。")  # fmt: skip
_ROOT = ("A negative number has no real square root: x.clamp(min=0).sqrt().",
         "负数没有实平方根：x.clamp(min=0).sqrt()。")  # fmt: skip
_INSIDE = ("The slope of {op} at 0 is infinite. Add a small number inside, torch.{op}(x + 1e-12), or choose before: "
           "torch.{op}(torch.where(x > 0, x, 1.0)). with torch.autograd.exact_masks() lets what is not chosen contribute "
           "nothing.",
           "{op} 在 0 处的斜率是无穷大。在里面加一个小数：torch.{op}(x + 1e-12)，或者先选再算："
           "torch.{op}(torch.where(x > 0, x, 1.0))。用 with torch.autograd.exact_masks() 可让未选中的分支不起作用。")  # fmt: skip
_MASKED = ("What arrives is 0, for where() or clamp() did not choose this value, and 0 times an infinite slope is nan. "
           "Choose before: f(torch.where(ok, x, 1.0)); or sweep inside torch.autograd.exact_masks().",
           "到达的是 0（where() 或 clamp() 没有选这个值），而 0 乘无穷大的斜率是 nan。先选再算：f(torch.where(ok, x, 1.0))，"
           "或者在 torch.autograd.exact_masks() 里反向传播。")  # fmt: skip
_SPREAD = ("All entries are equal, or there is only one. Add a small number: x.std() + 1e-6, or use correction=0 of more "
           "than one entry.",
           "所有元素相等，或者只有一个。加一个小数：x.std() + 1e-6，或者对多个元素用 correction=0。")  # fmt: skip
_CANCEL = ("Infinities cancel, or 0 meets one: look for what overflowed before, and keep it finite with clamp or float64.",
           "无穷大相消，或者 0 乘无穷大：请查之前是什么溢出了，用 clamp 或 float64 保持有限。")  # fmt: skip
_GENERAL = ("Keep its arguments away from there, or choose before: torch.where(ok, f(torch.where(ok, x, 1.0)), 0.0).",
            "让参数避开这里，或者先选再算：torch.where(ok, f(torch.where(ok, x, 1.0)), 0.0)。")  # fmt: skip
_DATA = ("Look at where it comes from: torch.isfinite(x).all() tells, torch.nan_to_num(x) replaces.",
         "请检查数据来源：用 torch.isfinite(x).all() 检查，用 torch.nan_to_num(x) 替换。")  # fmt: skip
_STEEP = ("The slope overflows. Clip gradients (torch.nn.utils.clip_grad_norm_), scale the argument, or compute in float64.",
          "斜率溢出。请裁剪梯度（torch.nn.utils.clip_grad_norm_），缩小参数，或者用 float64 计算。")  # fmt: skip

_FORWARD: Final = {
    **dict.fromkeys(("log", "log2", "log10", "log1p", "xlogy"), _POSITIVE),
    **dict.fromkeys(("div", "reciprocal", "remainder", "rsqrt"), _DIVISOR), "sqrt": _ROOT, "pow": _POWER,
    **dict.fromkeys(("exp", "exp2", "expm1", "cosh", "sinh", "square", "sum", "prod", "matmul", "mm", "addmm", "mse_loss"),
                    _LARGE),
    **dict.fromkeys(("asin", "acos", "atanh", "erfinv", "logit"), _RANGE), **dict.fromkeys(("std", "var"), _SPREAD),
    **dict.fromkeys(("add", "sub", "mul"), _CANCEL),
}  # fmt: skip
_BACKWARD: Final = {
    **dict.fromkeys(("sqrt", "log", "log2", "log10", "norm", "rsqrt"), _INSIDE), "div": _DIVISOR, "reciprocal": _DIVISOR,
    "pow": _POWER, **dict.fromkeys(("asin", "acos", "atanh", "erfinv", "logit"), _RANGE), "std": _SPREAD,
    **dict.fromkeys(("exp", "exp2", "mul", "tan", "cosh", "sinh"), _STEEP),
}  # fmt: skip


_WORD: Final = re.compile(r"\w+")


def of_sweep(outputs: Sequence[Any], roots: Sequence[tuple[Any, Any]]) -> FloatingPointError:
    """What to raise for a sweep that began with, or gave, something that is not finite."""
    return of_values(outputs) or _backward(outputs, roots) or _error(_say("unknown", name="a gradient", what="nan"))


def of_values(outputs: Sequence[Any]) -> FloatingPointError | None:
    """What to raise for results with histories; None if they are all finite."""
    names = around()
    for y in outputs:
        if not isinstance(y, Tensor) or is_finite(y):
            continue
        name = names.of(y) or "the result"
        if (tape := _tape(y, names)) is None or tape.root.value is None:
            return _error(_say("unknown", name=name, what=_what(y._a)))
        return _of_value(tape, _born(tape))
    return None


def _tape(y: Tensor, names: Names) -> Tape | None:
    try:
        return read(y, names)
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):  # freed, or not to be repeated
        return None


def _born(tape: Tape) -> Item:
    """The step back to which what is wrong with the result can be followed; or the leaf that it came in with."""
    item = tape.root
    while True:
        wrong = [a for a in item.args if a.value is not None and not is_finite(a.value)]
        if _has_nan(item.value) and wrong and not any(_has_nan(a.value) for a in wrong):
            wrong = [a for a in wrong if not a.leaf]  # infinities that came in were meant; this step made nan of them
        if not wrong:
            return _opaque(item) or item
        item = wrong[0]


def _opaque(item: Item) -> Item | None:
    """The user's Function, if one is behind ``item``, whose result nobody kept."""
    stack = [a for a in item.args if a.value is None]
    while stack:
        if (a := stack.pop()).kind == "step" and a.prim is None:
            return a
        stack += [b for b in a.args if b.value is None]
    return None


def _of_value(tape: Tape, item: Item) -> FloatingPointError:
    op = name_of(item)
    if item.value is None:
        return _error(_say("forward", what=_what(tape.root.value), op=op, line=_said(_line(item))), _in(_GENERAL))
    what = _what(item.value)
    if item.leaf:
        return _error(
            _say("came in", name=item.name, what=what, line=_said(_assigned(item.name))),
            _entries(item.value),
            _in(_DATA),
        )
    at = _first_wrong(item.value)
    value = _say("value", step=_call(item, at), value=number(_entry(item.value, at)), where=_where(item.value, at))
    remedy = _FORWARD.get(op, _GENERAL)
    if op == "sqrt" and what == "inf":
        remedy = _LARGE
    return _error(_say("forward", what=what, op=op, line=_said(_line(item))), value, _in(remedy, op))


def _backward(outputs: Sequence[Any], roots: Sequence[tuple[Any, Any]]) -> FloatingPointError | None:
    names = around()
    for y, (_, g) in zip(outputs, roots, strict=False):
        if not isinstance(y, Tensor) or (tape := _tape(y, names)) is None:
            continue
        try:
            sweep(tape, y, y._wrap(g) if isinstance(g, (np.ndarray, np.generic)) else ones_like(y))
        except (RuntimeError, TypeError):
            continue
        for item in tape.swept:
            arrived = item.arrived[0] if isinstance(item.arrived, list) else item.arrived
            for left in item.left:
                if left is not None and is_finite(arrived) and not is_finite(left):
                    return _of_step(item, arrived, left)
    return None


def _of_step(item: Item, arrived: Any, left: Any) -> FloatingPointError:
    op, at = name_of(item), _first_wrong(left)
    here = at if np.shape(arrived) == np.shape(left) else ()
    g = _entry(arrived, here)
    step = _say("step", step=_call(item, at), g=number(g), left=number(_entry(left, at)), where=_where(left, at))
    masked = np.ndim(g) == 0 and not g
    remedy = _MASKED if masked else _BACKWARD.get(op, _GENERAL)
    return _error(_say("backward", what=_what(left), op=op, line=_said(_line(item))), step, _in(remedy, op))


# --- by running once more ---


def of_call(f: Callable[..., Any], args: Any, kwargs: Any, rewind: Callable[[], Any]) -> FloatingPointError:
    """What to raise for a function whose result has no history: it is run again, and its variables are looked at."""
    for i, a in enumerate([*args, *kwargs.values()]):
        if isinstance(a, Tensor) and not is_finite(a):
            name = (*f.__code__.co_varnames, *kwargs)[i] if hasattr(f, "__code__") else f"argument {i + 1}"
            return _error(_say("came in", name=name, what=_what(a._a), line=""), _entries(a._a), _in(_DATA))
    rewind()
    watcher = _Lines()
    before = sys.gettrace()
    sys.settrace(watcher.called)
    try:
        f(*args, **kwargs)
    except Exception:  # it may not be made to run twice; what was seen until then counts
        pass
    finally:
        sys.settrace(before)
    if watcher.found is None:
        return _error(_say("unknown", name="the result", what="nan"))
    name, value, line = watcher.found
    called = [_FORWARD[word] for word in _WORD.findall(line.text) if word in _FORWARD]
    remedy = _in(called[0] if called else _GENERAL)
    return _error(_say("line", name=name, what=_what(value), line=_said(line)), _entries(value), remedy)


class _Lines:
    """Looks, after each line of the user's code, for the first variable that is not finite."""

    found: tuple[str, Any, Line] | None = None

    def __init__(self) -> None:
        self.lines: dict[FrameType, int] = {}  # the line that a frame is at
        self.fine: dict[int, Any] = {}  # held, so that identities stay theirs

    def called(self, frame: FrameType, event: str, arg: Any) -> Any:
        own = next(users(frame), None) is frame and "site-packages" not in frame.f_code.co_filename
        return self.step if own and self.found is None else None

    def step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self.found is not None:
            return None
        number = self.lines.get(frame)
        if number is not None and event in ("line", "return"):
            held = dict(frame.f_locals)
            if event == "return":
                held["the result"] = arg
            for name, value in held.items():
                a = value._a if isinstance(value, Tensor) else value
                if id(a) not in self.fine and isinstance(a, (np.ndarray, np.generic, float)):
                    self.fine[id(a)] = a
                    if not is_finite(np.asarray(a)):
                        code = frame.f_code
                        text = linecache.getline(code.co_filename, number, frame.f_globals).strip()
                        self.found = name, a, Line(code.co_filename, number, code.co_name, text)
                        return None
        self.lines[frame] = frame.f_lineno
        return self.step


# --- words ---


def _say(key: str, **values: Any) -> str:
    return _SAYS[key][get_language() == "zh"].format(**values)


def _in(pair: tuple[str, str], op: str = "") -> str:
    return pair[get_language() == "zh"].replace("{op}", op)


def _error(*lines: str) -> FloatingPointError:
    """The first line as the error's text, the others as its note."""
    error = FloatingPointError(lines[0])
    if said := "\n".join(filter(None, lines[1:])):
        error.add_note(said)
    return error


def _has_nan(value: Any) -> bool:
    return value is not None and np.asarray(value).dtype.kind in "fc" and bool(np.isnan(value).any())


def _what(value: Any) -> str:
    a = np.asarray(value)
    if a.dtype.kind not in "fc" or np.isnan(a).any():
        return "nan"
    return "-inf" if a.dtype.kind == "f" and (a == -np.inf).any() and not (a == np.inf).any() else "inf"


def _first_wrong(value: Any) -> tuple[int, ...]:
    a = np.asarray(value)
    wrong = np.isnan(a) if np.isnan(a).any() else ~np.isfinite(a)
    return tuple(map(int, np.argwhere(wrong)[0])) if a.ndim else ()


def _entry(value: Any, at: tuple[int, ...]) -> Any:
    """One entry of what may have been broadcast."""
    a = np.asarray(value)
    return a[tuple(0 if n == 1 else i for i, n in zip(at[len(at) - a.ndim :], a.shape, strict=True))]


def _where(value: Any, at: tuple[int, ...]) -> str:
    a = np.asarray(value)
    return _say("where", at=list(at), k=int((~np.isfinite(a)).sum()), n=a.size) if a.ndim else ""


def _entries(value: Any) -> str:
    a = np.asarray(value)
    return _say("entries", at=list(_first_wrong(a)), k=int((~np.isfinite(a)).sum()), n=a.size) if a.ndim else ""


def _call(item: Item, at: tuple[int, ...]) -> str:
    """A step with its arguments' numbers: at one entry, if it works entry by entry."""
    shown = []
    for a in item.args:
        entry = item.prim is not None and item.prim.broadcasts and a.value is not None and np.ndim(a.value) <= len(at)
        shown.append(number(_entry(a.value, at) if entry else a.value) if a.value is not None else a.name)
    return f"{name_of(item)}({', '.join(shown)})"


def _line(item: Item) -> Line | None:
    """The line that made a step, as the tracer noted it, or else the one that gave its variable a value."""
    place = None if item.edge is None else place_of(item.edge)
    if place is None:
        return item.line or (_assigned(item.name) if item.named else None)
    code, offset = place
    return _at(code, offset)


def _at(code: CodeType, offset: int) -> Line:
    number = next(n for start, end, n in code.co_lines() if n is not None and start <= offset < end)
    return Line(code.co_filename, number, code.co_name, linecache.getline(code.co_filename, number).strip())


def _assigned(name: str) -> Line | None:
    for frame in users():
        if made := Source(frame).assignments(name):
            return made[-1].line
    return None


def _said(line: Line | None) -> str:
    return "" if line is None else f": {line}"
