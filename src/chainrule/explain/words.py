"""What explanations say, in English and in Chinese."""

from __future__ import annotations

from typing import Any, Final

from ..language import Language

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "no formula": ("No formula: {why}.", "没有公式：{why}。"),
    "many inputs": ("{n} inputs are too many for a formula; the limit is {most}", "{n} 个输入太多，公式最多处理 {most} 个"),
    "many steps": ("{n} steps are too many for a formula; the limit is {most}", "{n} 步太多，公式最多处理 {most} 步"),
    "large formula": ("the formula has more than {most} operations", "公式超过 {most} 个运算"),
    "otherwise": ("otherwise", "其他情形"),
    "at": ("at", "其中"),
    "sum": ("the entries of {y} count once each: this is the derivative of their sum",
            "{y} 的各元素权重都是 1：这里是它们之和的导数"),
    "sweep": ("The chain rule, from {y} back:", "链式法则，从 {y} 往回："),
    "step": ("step", "步骤"),
    "value": ("value", "值"),
    "slope": ("local derivative", "局部导数"),
    "arrives": ("arrives", "到达的梯度"),
    "leaves": ("leaves", "传出的梯度"),
    "line": ("line", "代码"),
    "gathered": ("Gathered in {x}: {parts} = {total}", "汇集到 {x}：{parts} = {total}"),
    "in words": ("In words:", "逐步说明："),
    "evidence": ("Evidence:", "验证："),
    "derivative": ("derivative", "导数"),
    "reverse": ("reverse mode", "反向模式"),
    "forward": ("forward mode", "正向模式"),
    "difference": ("finite difference", "有限差分"),
    "sympy": ("SymPy's diff", "SymPy 求导"),
    "verdict": ("verdict", "结论"),
    "agrees": ("agree", "一致"),
    "rounding": ("agree to {dtype}'s digits", "在 {dtype} 的精度内一致"),
    "differs": ("DIFFER", "不一致"),
    "kink": ("a kink", "不可导点"),
    "not finite": ("not finite", "不是有限数"),
    "unclear": ("lost in rounding", "被舍入误差淹没"),
    "direction": ("(v is one direction through all inputs, which are too many to be compared one by one.)",
                  "（v 是同时经过所有输入的一个方向：输入太多，不逐个比较。）"),
    "more": ("… {n} more", "…… 还有 {n} 个"),
    "surprises": ("What may surprise:", "值得注意："),
    "cut": ("… {n} more steps", "…… 还有 {n} 步"),
    # --- one sentence a step
    "starts": ("The sweep starts at {y} with the gradient {g}: {y} by itself.",
               "从 {y} 出发，梯度为 {g}：{y} 对自身的导数。"),
    "slope and number": ("the slope in {x} is {slope} = {number}, so {g} · {number} = {left} goes on to {x}",
                         "对 {x} 的局部导数是 {slope} = {number}，于是 {g} · {number} = {left} 传给 {x}"),
    "number": ("the slope in {x} is {number}, so {g} · {number} = {left} goes on to {x}",
               "对 {x} 的局部导数是 {number}，于是 {g} · {number} = {left} 传给 {x}"),
    "formula": ("the slope in {x} is, entry by entry, {slope}; so {left} goes on to {x}",
                "对 {x} 的局部导数逐元素为 {slope}，于是 {left} 传给 {x}"),
    "same": ("the slope in {x} is 1, so {left} goes on to {x} as it came", "对 {x} 的局部导数是 1，{left} 原样传给 {x}"),
    "adds up": ("a change of any entry changes the sum as much, so each entry of {x} gets {g}",
                "任一元素变化多少，和就变化多少，所以 {x} 的每个元素都得到 {g}"),
    "averages": ("the mean takes 1/{n} of each entry, so each entry of {x} gets {each}",
                 "平均值取每个元素的 1/{n}，所以 {x} 的每个元素都得到 {each}"),
    "moves": ("it only moves entries, so each one's gradient goes back to its place in {x}",
              "它只移动元素，每个元素的梯度回到它在 {x} 中的位置"),
    "linear": ("it is linear in {x}, so the gradient goes back through the transposed map: {left} to {x}",
               "它对 {x} 是线性的，梯度经过转置的映射返回：{left} 传给 {x}"),
    "rule": ("by its rule, {left} goes on to {x}", "按它的求导规则，{left} 传给 {x}"),
    "nothing": ("nothing goes on", "没有梯度继续传下去"),
    # --- what may surprise
    "held": ("{x}.grad already holds {old}. Gradients add up: after {y}.backward() it would read {new}. "
             "Set {x}.grad = None first (optimizer.zero_grad()) if only this one is meant.",
             "{x}.grad 里已经有 {old}。梯度会累加：{y}.backward() 之后它会变成 {new}。"
             "如果只想要这一次的梯度，先令 {x}.grad = None（optimizer.zero_grad()）。"),
    "no value": ("{y} is {value} here, not a finite number, so it has no derivative; what the rules give means nothing.",
                 "{y} 在这里是 {value}，不是有限数，因此没有导数；按规则算出的数没有意义。"),
    "non-leaf": ("{x} was computed from other tensors: after backward() {x}.grad stays None, unless you call "
                 "{x}.retain_grad() before.",
                 "{x} 是由其他张量算出来的：backward() 之后 {x}.grad 仍是 None，除非事先调用 {x}.retain_grad()。"),
    "not used": ("{y} does not depend on {x}: no gradient reaches it. Was it detached, copied with torch.tensor(), or "
                 "left out?",
                 "{y} 与 {x} 无关：没有梯度到达它。它是否被 detach 了、用 torch.tensor() 复制过，或者根本没用到？"),
    "integer": ("{x} = {value} is an integer, which has no derivative; it was taken as {value}.0.",
                "{x} = {value} 是整数，整数没有导数；这里把它当作 {value}.0。"),
    "kink at": ("{step} has a kink at {x} = {value}: the slope differs from side to side. The convention is PyTorch's: "
                "{slope}.",
                "{step} 在 {x} = {value} 处不可导：两侧的斜率不同。这里按 PyTorch 的约定取 {slope}。"),
    "saturated": ("{step} is saturated at {x} = {value}: its slope is {slope}, so almost nothing passes and learning "
                  "stalls here.",
                  "{step} 在 {x} = {value} 处饱和：斜率只有 {slope}，梯度几乎传不过去，学习会停在这里。"),
    "infinite": ("{step} has an infinite slope at {x} = {value}; times a gradient of 0 that is nan. Keep {x} away "
                 "from there, for example by clamp.",
                 "{step} 在 {x} = {value} 处斜率无穷大；乘以 0 的梯度就成了 nan。让 {x} 避开这一点，例如用 clamp。"),
    "nan": ("the gradient becomes nan in {step}: {g} arrives and the slope is not finite there (0 · ∞ = nan).",
            "梯度在 {step} 变成 nan：到达的是 {g}，而那里的斜率不是有限数（0 · ∞ = nan）。"),
    "flat": ("{step} is flat wherever it has a slope: its gradient is 0 everywhere, so nothing before it learns.",
             "{step} 处处平坦：梯度总是 0，它之前的部分学不到任何东西。"),
    "branch": ("{step} chose by a comparison that is not differentiated; the formula holds while it comes out the same.",
               "{step} 依据一个不参与求导的比较作选择；只要比较结果不变，公式就成立。"),
}  # fmt: skip


def say(language: Language, key: str, **values: Any) -> str:
    """A text in a language, with values put in."""
    english, chinese = _WORDS[key]
    return (chinese if language == "zh" else english).format(**values)
