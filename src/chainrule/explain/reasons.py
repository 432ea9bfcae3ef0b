"""Why is this gradient None, zero, nan, or twice what it should be?  Asked of a tensor, answered from its graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ..language import Language, known
from ..node import Nowhere
from ..tensor import Tensor
from . import names as naming
from .formulas import optional_local
from .names import Line, Names
from .source import Source
from .tape import Item, Tape, read, sweep
from .text import number, slope_of, written_step

_WORDS: Final = {
    # --- None
    "integer": ("{x} holds {dtype}: only floating point numbers have gradients. Convert first: {x} = {x}.float().",
                "{x} 的类型是 {dtype}：只有浮点数才有梯度。先转换：{x} = {x}.float()。"),
    "never asked": ("{x} does not require grad, so nothing is recorded for it{line}. Ask before computing with it: "
                    "requires_grad=True.",
                    "{x} 不需要梯度，所以与它有关的运算没有被记录{line}。在用它计算之前声明：requires_grad=True。"),
    "cut": ("{x} does not require grad: it was cut off by {by}{line}.", "{x} 不需要梯度：它被 {by} 切断了{line}。"),
    "not recorded": ("{x} was computed from tensors that require grad and yet has no history{line}: recording was off, by "
                     "no_grad() or inference_mode().",
                     "{x} 由需要梯度的张量算出，却没有历史{line}：当时关闭了记录（no_grad() 或 inference_mode()）。"),
    "non-leaf": ("{x} was computed{line}; backward() fills .grad only of leaves. Call {x}.retain_grad() before the sweep.",
                 "{x} 是算出来的{line}；backward() 只给叶子张量填 .grad。请在反向传播之前调用 {x}.retain_grad()。"),
    "no sweep": ("{y} depends on {x}, but no sweep has come to {x} since its gradient was last None: call {y}.backward().",
                 "{y} 依赖 {x}，但还没有反向传播到达 {x}：请调用 {y}.backward()。"),
    "not used": ("{y} does not depend on {x}{line}.", "{y} 与 {x} 无关{line}。"),
    "cut on the way": ("{y} does not depend on {x}: on the way it was cut off by {by}{line}.",
                       "{y} 与 {x} 无关：中途被 {by} 切断了{line}。"),
    "nothing": ("Nothing here that has a history depends on {x}. Was the result computed from another tensor, or "
                "deleted? Ask about a result: why({x}, y).",
                "这里没有任何带历史的结果依赖 {x}。结果是不是由别的张量算出的，或者已被删除？可以指明结果：why({x}, y)。"),
    # --- zero, nan, doubled
    "zero step": ("The gradient becomes zero in {step}{line}: {g} arrives and the slope in {a} is {slope}.",
                  "梯度在 {step}{line} 变成 0：到达的是 {g}，而对 {a} 的斜率是 {slope}。"),
    "cancels": ("What arrives at {x} adds up to zero: {parts}.", "到达 {x} 的各部分相加为 0：{parts}。"),
    "zero arrives": ("The sweep starts with a gradient of zero.", "反向传播从 0 梯度开始。"),
    "nan value": ("The value is not finite from {step} = {value} on{line}; a gradient through it cannot be.",
                  "从 {step} = {value}{line} 开始，值已不是有限数，经过它的梯度也就不是。"),
    "nan step": ("The gradient becomes {left} in {step}{line}: {g} arrives, and the slope in {a} = {value} is not finite. "
                 "Keep {a} away from there, or choose before: where(ok, f(where(ok, {a}, 1)), 0).",
                 "梯度在 {step}{line} 变成 {left}：到达的是 {g}，而在 {a} = {value} 处斜率不是有限数。"
                 "让 {a} 避开这一点，或者先选再算：where(ok, f(where(ok, {a}, 1)), 0)。"),
    "multiple": ("{x}.grad is {k} times d{y}/d{x} = {g}: gradients add up, and {k} sweeps have come here. Set "
                 "{x}.grad = None (optimizer.zero_grad()) before each.",
                 "{x}.grad 是 d{y}/d{x} = {g} 的 {k} 倍：梯度会累加，已经反向传播了 {k} 次。每次之前令 {x}.grad = None"
                 "（optimizer.zero_grad()）。"),
    "rest": ("{x}.grad is {grad}, and one sweep from {y} gives {g}: the rest, {rest}, is from somewhere else. Gradients "
             "add up; set {x}.grad = None before the sweep.",
             "{x}.grad 是 {grad}，而从 {y} 反向传播一次得到 {g}：其余的 {rest} 来自别处。梯度会累加；"
             "反向传播之前令 {x}.grad = None。"),
    "right": ("{x}.grad is d{y}/d{x} = {g}, as it should be.", "{x}.grad 就是 d{y}/d{x} = {g}，没有问题。"),
    "parts": ("{x} is used {n} times in {y}, and the parts add up: {parts}.", "{x} 在 {y} 中用了 {n} 次，各部分相加：{parts}。"),
    "swept": ("{x}.grad = {grad}. Gradients add up, and {n} lines here sweep: {lines}. Set {x}.grad = None between them.",
              "{x}.grad = {grad}。梯度会累加，这里有 {n} 行做反向传播：{lines}。在它们之间令 {x}.grad = None。"),
    "in a loop": ("{x}.grad = {grad}. Gradients add up, and {line} sweeps in the loop of {loop}. Set {x}.grad = None in it.",
                  "{x}.grad = {grad}。梯度会累加，{line} 在循环 {loop} 里反复做反向传播。请在循环里令 {x}.grad = None。"),
    "freed": ("{x}.grad = {grad}. The graph is freed, so no more can be said; ask before backward(), or keep it: "
              "backward(retain_graph=True), and then why({x}, y).",
              "{x}.grad = {grad}。计算图已经释放，无法再查；请在 backward() 之前问，或者用 backward(retain_graph=True) "
              "保留它，然后 why({x}, y)。"),
}  # fmt: skip

_CUTS: Final = (".detach()", ".data", ".item()", ".numpy()", "torch.tensor(", ".tolist()", "float(")


@dataclass(frozen=True)
class Reason:
    """One reason; ``code`` tells its kind, ``line`` where the user's code has to do with it, if that is known."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)
    line: Line | None = None

    def text(self, language: Language) -> str:
        at = "" if self.line is None else f" ({self.line})"
        return _WORDS[self.code][language == "zh"].format(**{"line": at, **self.values})


@dataclass(frozen=True)
class Answer:
    """What :func:`why` found; ``print`` it."""

    reasons: list[Reason]
    language: Language

    def __str__(self) -> str:
        return "\n".join(r.text(self.language) for r in self.reasons)

    __repr__ = __str__


def why(x: Tensor, y: Tensor | None = None, *, lang: Language | None = None) -> Answer:
    """Why ``x.grad`` is what it is: None, zero, nan, or more than one sweep gives.

    ``y`` is the result that was, or is to be, swept from; if it is left out, the variables around the call are
    searched for one.  A graph that ``backward()`` has freed tells nothing of zeros and nan: ask before, or keep it.

    Raises TypeError for what is no tensor.

    >>> import chainrule as torch
    >>> from chainrule.explain import why
    >>> x = torch.tensor([1.0, -2.0], requires_grad=True)
    >>> y = torch.relu(x - 3).sum()
    >>> print(why(x, y, lang="en"))
    y depends on x, but no sweep has come to x since its gradient was last None: call y.backward().
    >>> y.backward(retain_graph=True)
    >>> print(why(x, y, lang="en"))
    The gradient becomes zero in t2 = relu(t1): [1, 1] arrives and the slope in t1 is 0.
    """
    for t in (x, y):
        if t is not None and not isinstance(t, Tensor):
            raise TypeError(f"why asks about a tensor, not {type(t).__name__}")
    frame = next(naming.users())
    asked = _Question(x, y, naming.around(frame), Source(frame), {**frame.f_globals, **frame.f_locals})
    return Answer(asked.answer(), known(lang))


class _Question:
    """A tensor, the result it is asked about, and the surroundings of the call."""

    def __init__(self, x: Tensor, y: Tensor | None, names: Names, source: Source, scope: dict[str, Any]) -> None:
        self.x, self.names, self.source, self.scope = x, names, source, scope
        self.name = names.of(x) or "x"
        self.results = [y] if y is not None else self._results()
        self.asked = y is not None

    def _results(self) -> list[Tensor]:
        """What depends on x among the user's variables, the last computed first."""
        found = [t for t in self.scope.values() if isinstance(t, Tensor) and t is not self.x and _leads(t, self.x)]
        return sorted(found, key=lambda t: -t._node._seq)

    def of(self, t: Tensor) -> str:
        return self.names.of(t) or "y"

    def line(self, name: str) -> Line | None:
        made = self.source.assignments(name)
        return made[-1].line if made else None

    def answer(self) -> list[Reason]:
        grad = self.x._grad
        if grad is None:
            return [self._none()]
        a = np.asarray(grad._a)
        y = next((t for t in self.results if _leads(t, self.x)), None)
        if y is None and self.asked:
            return [self._unreached(self.results[0])]
        try:
            tape = None if y is None else self._swept(y)
        except RuntimeError:  # its graph is freed
            tape = None
        if tape is None:
            return [self._freed(number(a))]
        if not np.isfinite(a).all():
            return self._path(tape, _becomes_nan)
        if not a.any():
            return self._path(tape, _becomes_zero)
        return self._compared(tape, a)

    # --- None ---

    def _none(self) -> Reason:
        x, told = self.x, {"x": self.name}
        if x._dtype.kind not in "fc":
            return Reason("integer", {**told, "dtype": str(x.dtype)})
        line = self.line(self.name)
        if not x._rg:
            made = self.source.assignments(self.name)
            value = made[-1].value if made else ""
            by = next((sign for sign in _CUTS if sign in value), None)
            uses = [self.scope.get(u) for u in made[-1].uses] if made else []
            tracked = any(isinstance(t, Tensor) and t._rg for t in uses)
            if by is not None and tracked:
                return Reason("cut", {**told, "by": by.rstrip("(")}, line)
            return Reason("not recorded" if tracked else "never asked", told, line)
        retained = x._node is not None and x._node.extra is not None and x._node.extra.capture is not None
        if x._node is not None and type(x._node) is not Nowhere and not retained:
            return Reason("non-leaf", told, line)
        if not self.results:
            return Reason("nothing", told)
        y = self.results[0]
        return Reason("no sweep", {**told, "y": self.of(y)}) if _leads(y, x) else self._unreached(y)

    def _unreached(self, y: Tensor) -> Reason:
        """Why ``y`` does not depend on x: a cut in the lines that led from one to the other, if there is one."""
        told = {"x": self.name, "y": self.of(y)}
        pending, seen = [(told["y"], self.source.here)], set()
        while pending:
            name, before = pending.pop()
            made = self.source.assignments(name, before)
            if name in seen or not made:
                continue
            seen.add(name)
            last = made[-1]
            by = next((sign for sign in _CUTS if sign in last.value), None)
            if by is not None:
                return Reason("cut on the way", {**told, "by": by.rstrip("(")}, last.line)
            pending += [(use, last.line.number) for use in last.uses]
        return Reason("not used", told, self.line(told["y"]))

    # --- a gradient that is there ---

    def _swept(self, y: Tensor) -> Tape:
        if self.names.of(y) is None:
            self.names.put("y", y)
        tape = read(y, self.names, [self.x])
        sweep(tape, y)
        return tape

    def _path(self, tape: Tape, look: Callable[[Tape, set[Item]], list[Reason]]) -> list[Reason]:
        """What ``look`` finds among the items that depend on x."""
        (x, *_) = tape.inputs
        on = {x}
        for item in tape.items:
            if any(a in on for a in item.args):
                on.add(item)
        return look(tape, on) or self._compared(tape, np.asarray(self.x._grad._a))

    def _compared(self, tape: Tape, a: Any) -> list[Reason]:
        x, told = tape.inputs[0], {"x": self.name, "y": tape.root.name}
        g = np.zeros(a.shape) if x.arrived is None else np.asarray(x.arrived)
        told |= {"g": number(g), "grad": number(a)}
        parts = [
            left for s in tape.swept for b, left in zip(s.args, s.left, strict=False) if b is x and left is not None
        ]
        used = Reason("parts", {**told, "n": len(parts), "parts": " + ".join(map(number, parts))})
        also = [used] if len(parts) > 1 else []
        if np.allclose(a, g, rtol=1e-4):
            return [Reason("right", told), *also]
        with np.errstate(all="ignore"):
            ratio = np.ravel(a / g)
        k = round(float(np.nanmedian(ratio))) if np.isfinite(ratio).any() else 0
        if k > 1 and np.allclose(a, k * g, rtol=1e-4):
            return [Reason("multiple", {**told, "k": k}), *also]
        return [Reason("rest", {**told, "rest": number(a - g)}), *also]

    def _freed(self, grad: str) -> Reason:
        lines = self.source.sweeps()
        told = {"x": self.name, "grad": grad}
        if len(lines) > 1:
            return Reason("swept", {**told, "n": len(lines), "lines": "; ".join(map(str, lines))})
        if lines and (loop := self.source.loop(lines[0].number)) is not None:
            return Reason("in a loop", {**told, "line": lines[0], "loop": loop})
        return Reason("freed", told)


def _leads(y: Tensor, x: Tensor) -> bool:
    """Whether the graph of ``y`` leads to ``x``."""
    target = x if x._node is None else x._node
    stack: list[Any] = [y if y._node is None else y._node]
    seen: set[Any] = set()
    while stack:
        edge = stack.pop()
        if edge is target:
            return True
        if edge is not None and edge._seq and edge not in seen:
            seen.add(edge)
            stack.extend(edge.edges)
    return False


def _step(item: Item) -> str:
    return written_step(item, optional_local(item))


def _arrived(item: Item) -> Any:
    return item.arrived[0] if isinstance(item.arrived, list) else item.arrived


def _onward(tape: Tape, on: set[Item]) -> Sequence[tuple[Item, int, Item, Any]]:
    """The steps of the sweep on the way to x, with the arguments that are on it and what left for them."""
    return [
        (item, place, a, left) for item in tape.swept
        for place, (a, left) in enumerate(zip(item.args, item.left, strict=False)) if a in on and left is not None
    ]  # fmt: skip


def _becomes_zero(tape: Tape, on: set[Item]) -> list[Reason]:
    for item, place, a, left in _onward(tape, on):
        g = _arrived(item)
        if g is not None and np.any(g) and not np.any(left):
            _, value = slope_of(a, item, place, optional_local(item))
            told = {"step": _step(item), "g": number(g), "a": a.name, "slope": value or "0"}
            return [Reason("zero step", told, item.line)]
    parts = [left for item, _, a, left in _onward(tape, on) if a is tape.inputs[0]]
    if any(np.any(p) for p in parts):
        return [Reason("cancels", {"x": tape.inputs[0].name, "parts": " + ".join(map(number, parts))})]
    return [Reason("zero arrives")]


def _becomes_nan(tape: Tape, on: set[Item]) -> list[Reason]:
    found = []
    for item in tape.items:
        if item in on and not item.leaf and not _finite(item.value) and all(_finite(a.value) for a in item.args):
            found.append(Reason("nan value", {"step": _step(item), "value": number(item.value)}, item.line))
            break
    for item, _, a, left in _onward(tape, on):
        g = _arrived(item)
        if _finite(g) and not _finite(left):
            told = {"step": _step(item), "g": number(g), "a": a.name, "value": number(a.value), "left": number(left)}
            found.append(Reason("nan step", told, item.line))
            break
    return found


def _finite(value: Any) -> bool:
    if value is None or isinstance(value, (tuple, list)):
        return True
    a = np.asarray(value)
    return a.dtype.kind not in "fc" or bool(np.isfinite(a).all())
