"""What an error about gradients says of the user's own code: the variable, the lines that clash, the smallest mend.

All of it is looked up when the error is raised, in the frames that led here.  Whatever cannot be found is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

from ..language import Language, get_language
from ..tensor import Tensor
from .names import Line, Names, around, line_of, users
from .source import Source

# --- what holds for every such error, in Chinese; in English the error brings it along ---

_CHINESE: Final = {
    "freed": "反向传播用过一次后，计算图里保存的值就被释放了。要么在第二次 backward() 之前重新计算结果，"
             "要么在第一次时保留计算图：backward(retain_graph=True)。",
    "in place": "反向传播要用到的一个值在被使用之前就被就地修改了。把 `y += 1` 写成 `y = y + 1`"
                "（或把 `y.add_(1)` 写成 `y.add(1)`），或者写到副本里：y.clone()。",
    "no graph": "它是由不需要梯度的张量算出来的，或者在 no_grad() 里计算，或者经过了 detach()、.item() 或 .numpy()，"
                "这些都会切断计算图。要在计算之前声明需要梯度：x = torch.tensor(..., requires_grad=True)，然后 y = f(x)。",
    "not scalar": "这个输出的形状是 {shape}。先把它变成一个数，如 y.sum().backward()；或者说明各元素的权重："
                  "y.backward(torch.ones_like(y))。",
    "numpy": "NumPy 不记录运算，经过这个数组的梯度会不声不响地丢失。",
    "leaf": "求的正是它原来的值的梯度。要更新参数，请写在 `with torch.no_grad():` 里；"
            "要用改动后的值计算，请写到副本里：y = x.clone()。",
    "shapes": "形状 {a} 和 {b} 从右边对齐；每一对长度必须相等，或者其中一个是 1。",
    "product": "第一个的列数（形状 {a}）必须等于第二个的行数（形状 {b}）；也许有一个矩阵需要转置：y.t()。",
    "layer": "这一层沿最后一维接收长度为 {n} 的向量；输入的形状是 {a}。",
    "dtypes": "两者的类型不同。转换其中一个：x.to(y.dtype)；或者转换整个模型：model.double()。",
    "cast": "就地运算不能改变张量的类型。先转换：x = x.float()；或者不要就地写：x = x * 1.5。",
}  # fmt: skip

_WORDS: Final = {
    "freed node": ("It was made for `{name}`{at}.", "它属于 `{name}`{at}。"),
    "first sweep": ("First sweep: {line}", "第一次反向传播：{line}"),
    "this sweep": ("This sweep:  {line}", "这一次反向传播：{line}"),
    "loop": ("Both are the same line, in the loop of {line}. Compute {name} inside the loop, or keep the graph.",
             "两次是同一行，在循环 {line} 里。请在循环内重新计算 {name}，或者保留计算图。"),
    "keep": ("Mend: {text}", "改法：{text}"),
    "changed": ("The value is `{name}`, needed by {user}; it was changed by {line}",
                "这个值是 `{name}`，{user} 要用到它；它被这一行改动：{line}"),
    "changed nowhere": ("The value is `{name}`, needed by {user}.", "这个值是 `{name}`，{user} 要用到它。"),
    "made": ("`{name}` comes from {line}", "`{name}` 来自 {line}"),
    "cut": ("There the graph is cut by {by}.", "计算图在那里被 {by} 切断。"),
    "plain": ("`{x}` in it does not require grad: {line}", "其中的 `{x}` 不需要梯度：{line}"),
    "plain, no line": ("`{x}` in it does not require grad.", "其中的 `{x}` 不需要梯度。"),
    "product": ("`{a}` has shape {m}, `{b}` has shape {n}: {line}", "`{a}` 的形状是 {m}，`{b}` 的形状是 {n}：{line}"),
    "dtypes": ("`{a}` holds {m}, `{b}` holds {n}: {line}", "`{a}` 的类型是 {m}，`{b}` 的类型是 {n}：{line}"),
    "cast": ("`{name}` holds {dtype}: {line}", "`{name}` 的类型是 {dtype}：{line}"),
    "shapes": ("tensor a is `{a}` of shape {m}, tensor b is `{b}` of shape {n}: {line}",
               "tensor a 是 `{a}`，形状 {m}；tensor b 是 `{b}`，形状 {n}：{line}"),
}  # fmt: skip

_CUTS: Final = {".detach()": "detach()", ".data": ".data", ".item()": ".item()", ".numpy()": ".numpy()",
                "torch.tensor(": "torch.tensor(), which copies"}  # fmt: skip


def lesson(topic: str, about: tuple[Any, ...], general: str) -> str:
    """The note for an error: ``general`` in the user's language, and what their own code has to do with it."""
    language = get_language()
    if language == "zh" and topic in _CHINESE:
        general = _CHINESE[topic].format(**_shapes(topic, about))
    try:
        found = _TOPICS[topic](language, *about)
    except Exception:  # an error is being raised already, and must not give way to one of ours
        found = []
    return "\n".join([general, *found])


def _shapes(topic: str, about: tuple[Any, ...]) -> dict[str, Any]:
    if topic == "not scalar":
        return {"shape": list(about[0]._shape)}
    if topic in ("shapes", "product", "layer"):
        a, b = (list(t._shape) for t in about)
        return {"a": a, "b": b, "n": b[-1]}
    return {}


def _say(language: Language, key: str, **values: Any) -> str:
    return _WORDS[key][language == "zh"].format(**values)


class _Scene:
    """The user's frame that the error comes from, its source and its names."""

    def __init__(self) -> None:
        self.frame = next(users(sys._getframe(1)))
        self.source, self.names = Source(self.frame), around(self.frame)

    @property
    def line(self) -> Line:
        return line_of(self.frame)

    def at(self, name: str) -> str:
        """The line that gave a variable its value, in brackets."""
        made = self.source.assignments(name)
        return f" ({made[-1].line})" if made else ""


def _freed(language: Language, node: Any) -> list[str]:
    scene = _Scene()
    said = []
    name = scene.names.of(node)
    if name is not None:
        said.append(_say(language, "freed node", name=name, at=scene.at(name)))
    sweeps, here = scene.source.sweeps(), scene.line
    earlier = [line for line in sweeps if line.number < here.number]
    loop = scene.source.loop()
    if earlier:
        said += [_say(language, "first sweep", line=earlier[-1]), _say(language, "this sweep", line=here)]
        if "backward()" in earlier[-1].text:
            text = earlier[-1].text.replace("backward()", "backward(retain_graph=True)")
            said.append(_say(language, "keep", text=earlier[-1]._replace(text=text)))
    elif loop is not None and here.number in [line.number for line in sweeps]:
        what = here.text.partition(".backward")[0] if ".backward" in here.text else name or "it"
        said += [_say(language, "this sweep", line=here), _say(language, "loop", line=loop, name=what)]
    return said


def _in_place(language: Language, node: Any, value: Any) -> list[str]:
    scene = _Scene()
    name = _name(scene.names, value)
    user = scene.names.of(node)
    if name is None:
        return []
    told = f"`{user}`{scene.at(user)}" if user is not None else node.name()
    needed = scene.source.assignments(user) if user is not None else []
    writes = scene.source.writes(name)
    late = [w for w in writes if not needed or w.number > needed[-1].line.number] or writes
    if not late:
        return [_say(language, "changed nowhere", name=name, user=told)]
    said = [_say(language, "changed", name=name, user=told, line=late[-1])]
    if (mend := _out_of_place(late[-1].text, name)) is not None:
        said.append(_say(language, "keep", text=mend))
    return said


def _name(names: Names, value: Any) -> str | None:
    found = names.of(value)
    if found is None and isinstance(value, Tensor) and value._v is not None:
        found = names.of(value._v)  # a view, or what it is a view of: they count writes together
    return found


def _out_of_place(text: str, name: str) -> str | None:
    """A line that writes in place as one that makes a new value."""
    for sign in ("+", "-", "*", "/"):
        left, found, right = text.partition(f" {sign}= ")
        if found and left == name:
            return f"{name} = {name} {sign} {right}" if sign in "+-" else f"{name} = {name} {sign} ({right})"
    head, found, rest = text.partition("_(")
    if found and head.startswith(f"{name}.") and head.count(".") == 1 and "(" not in head:
        return f"{name} = {head}({rest}"
    return None


def _no_graph(language: Language, y: Any) -> list[str]:
    scene = _Scene()
    name = scene.names.of(y) if isinstance(y, Tensor) else None
    if name is None or not (made := scene.source.assignments(name)):
        return []
    last = made[-1]
    said = [_say(language, "made", name=name, line=last.line)]
    for sign, by in _CUTS.items():
        if sign in last.value:
            return [*said, _say(language, "cut", by=by)]
    held = {**scene.frame.f_globals, **scene.frame.f_locals}
    for x in last.uses:
        t = held.get(x)
        if isinstance(t, Tensor) and not t._rg:
            where = scene.source.assignments(x, last.line.number)
            if not where:
                said.append(_say(language, "plain, no line", x=x))
                continue
            said.append(_say(language, "plain", x=x, line=where[-1].line))
            text = where[-1].line.text
            if len(where) == 1 and "tensor(" in text and text.endswith(")") and "requires_grad" not in text:
                said.append(_say(language, "keep", text=f"{text[:-1]}, requires_grad=True)"))
    return said


def _not_scalar(language: Language, y: Any) -> list[str]:
    scene = _Scene()
    text, name = scene.line.text, scene.names.of(y)
    if ".backward()" in text:
        return [_say(language, "keep", text=text.replace(".backward()", ".sum().backward()"))]
    return [] if name is None else [_say(language, "keep", text=f"{name}.sum().backward()")]


def _numpy(language: Language, x: Any) -> list[str]:
    scene = _Scene()
    text, name = scene.line.text, scene.names.of(x)
    if name is not None and f"{name}.numpy()" in text:
        return [_say(language, "keep", text=text.replace(f"{name}.numpy()", f"{name}.detach().numpy()"))]
    return [] if name is None else [_say(language, "keep", text=f"{name}.detach().numpy()")]


def _leaf(language: Language, x: Any) -> list[str]:
    scene = _Scene()
    text = scene.line.text
    return (
        [_say(language, "keep", text=f"with torch.no_grad(): {text}")] if text and not text.startswith("with") else []
    )


def _shape(language: Language, a: Any, b: Any) -> list[str]:
    scene = _Scene()
    m, n = _name(scene.names, a), _name(scene.names, b)
    if m is None and n is None:
        return []
    shapes = {"m": list(a._shape), "n": list(b._shape)}
    return [_say(language, "shapes", a=m or "…", b=n or "…", line=scene.line, **shapes)]


def _two(
    language: Language, key: str, a: Any, b: Any, m: Any, n: Any
) -> tuple[_Scene, str | None, str | None, list[str]]:
    """The scene of an error about two tensors, what they are called, and what they are."""
    scene = _Scene()
    x, y = _name(scene.names, a), _name(scene.names, b)
    said = [] if x is None and y is None else [_say(language, key, a=x or "…", b=y or "…", m=m, n=n, line=scene.line)]
    return scene, x, y, said


def _product(language: Language, a: Any, b: Any) -> list[str]:
    m, n = list(a._shape), list(b._shape)
    scene, x, y, said = _two(language, "product", a, b, m, n)
    if x is None or y is None or len(m) != 2 or len(n) > 2:
        return said
    mends = [(f"{x} @ {y}.T", m[1] == n[-1]), (f"{x}.T @ {y}", m[0] == n[0]), (f"{y} @ {x}", n[-1] == m[0])]
    mend = next((text for text, fits in mends if fits), None)
    if mend is not None:
        written = next((w for w in (f"{x} @ {y}", f"{x}@{y}") if w in scene.line.text), None)
        said.append(_say(language, "keep", text=scene.line.text.replace(written, mend) if written else mend))
    return said


def _layer(language: Language, a: Any, b: Any) -> list[str]:
    return _two(language, "product", a, b, list(a._shape), list(b._shape))[-1]


def _dtypes(language: Language, a: Any, b: Any) -> list[str]:
    scene, x, y, said = _two(language, "dtypes", a, b, a.dtype, b.dtype)
    if x is not None and y is not None:
        text, whole = scene.line.text, re.compile(rf"(?<![\w.]){re.escape(x)}(?![\w.\[])")
        right = text.partition("=")[2] if re.match(r"[\w.]+ = ", text) else text
        mend = whole.sub(f"{x}.to({y}.dtype)", right)
        said.append(
            _say(language, "keep", text=text.removesuffix(right) + mend if mend != right else f"{x}.to({y}.dtype)")
        )
    return said


def _cast(language: Language, x: Any) -> list[str]:
    scene = _Scene()
    name = _name(scene.names, x)
    if name is None:
        return []
    said = [_say(language, "cast", name=name, dtype=x.dtype, line=scene.line)]
    if (mend := _out_of_place(scene.line.text, name)) is not None:
        said.append(_say(language, "keep", text=mend))
    return said


_TOPICS: Final[dict[str, Callable[..., list[str]]]] = {
    "freed": _freed, "in place": _in_place, "no graph": _no_graph, "not scalar": _not_scalar, "numpy": _numpy,
    "leaf": _leaf, "shapes": _shape, "product": _product, "layer": _layer, "dtypes": _dtypes, "cast": _cast,
}  # fmt: skip
