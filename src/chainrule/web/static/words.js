// What the page says, in English and in Chinese. Explanations come in the right language from the server.

const WORDS = {
  "title": ["chainrule: every derivative, explained", "chainrule：每个导数都讲清楚"],
  "tagline": ["Every derivative, explained", "每个导数，都讲清楚"],
  "skip": ["Skip to the derivative", "跳到导数"],
  "language": ["Language", "语言"],
  "function": ["Function", "函数"],
  "hint": ["As in Python: + - * / **, pi, e, and sin, exp, log, sqrt, tanh, abs, max, …",
           "写法同 Python：+ - * / **、pi、e，以及 sin、exp、log、sqrt、tanh、abs、max 等"],
  "point": ["Point", "求导点"],
  "examples": ["Examples", "例子"],
  "share": ["Copy link", "复制链接"],
  "shared": ["Copied", "已复制"],
  "share by hand": ["Copy the address above", "请复制地址栏"],
  "derivative": ["Derivative", "导数"],
  "plot": ["Plot", "图像"],
  "views": ["What to plot", "画什么"],
  "along": ["along {x}", "沿 {x}"],
  "map": ["map", "等高线"],
  "zoom": ["Zoom", "缩放"],
  "closer": ["Zoom in", "放大"],
  "farther": ["Zoom out", "缩小"],
  "around": ["Reset", "复位"],
  "drag": ["Drag the point, or move it with the arrow keys.", "拖动圆点，或用方向键移动它。"],
  "handle": ["Point of the derivative", "求导点"],
  "plot says": ["Plot of the function and its first two derivatives along {x}", "函数及其一阶、二阶导数沿 {x} 的图像"],
  "map says": ["Level lines of the function over {x} and {y}, with the gradient at the point",
               "函数关于 {x} 和 {y} 的等高线，以及该点的梯度"],
  "no plot": ["There is nothing to plot here.", "这里没有可画的图像。"],
  "tangent": ["slope {slope}", "斜率 {slope}"],
  "gradient": ["gradient", "梯度"],
  "comma": [", ", "，"],
  "mark": ["{kind} at {x}", "{kind} {x}"],
  "maximum": ["maximum", "极大值"],
  "minimum": ["minimum", "极小值"],
  "inflection": ["inflection", "拐点"],
  "proofs": ["Three proofs", "三种验证"],
  "proofs hint": ["The same derivative, found in ways that know nothing of each other.", "同一个导数，用互不相干的方法各求一遍。"],
  "reverse": ["AD, reverse", "自动微分反向"],
  "forward": ["AD, forward", "自动微分正向"],
  "finite_difference": ["finite difference", "有限差分"],
  "sympy": ["SymPy", "SymPy"],
  "way": ["way", "方法"],
  "value": ["value", "值"],
  "off": ["off by", "相对误差"],
  "exact": ["0", "0"],
  "none": ["–", "–"],
  "agrees": ["agree", "一致"],
  "rounding": ["agree", "一致"],
  "differs": ["differ", "不一致"],
  "kink": ["a kink: no derivative here", "不可导点：这里没有导数"],
  "not finite": ["not finite", "不是有限数"],
  "unclear": ["lost in rounding", "被舍入误差淹没"],
  "steps": ["Chain rule, step by step", "链式法则，逐步推导"],
  "steps hint": ["From {y} back to the inputs: each step multiplies the gradient that arrives by its local derivative.",
                 "从 {y} 往回到输入：每一步把到达的梯度乘以局部导数。"],
  "step": ["step", "步骤"],
  "local": ["local derivative", "局部导数"],
  "arrives": ["arrives", "到达的梯度"],
  "leaves": ["leaves", "传出的梯度"],
  "gathered": ["Gathered in {x}: {parts} = {total}", "汇集到 {x}：{parts} = {total}"],
  "more": ["… and {n} more steps.", "…… 还有 {n} 步。"],
  "graph": ["Graph", "计算图"],
  "graph hint": ["Values flow down the arrows; the gradients beside them flow back up.", "值沿箭头向下流动；箭头旁的梯度向上传回。"],
  "footer": ["Computed on your machine by chainrule; nothing leaves it.", "由 chainrule 在您的电脑上计算，不向外发送任何内容。"],
  "says": ["{y} = {value}; {derivatives}", "{y} = {value}；{derivatives}"],
  "at": ["at {where}", "其中 {where}"],
  // --- what can go wrong
  "no variable": ["There is no variable to differentiate by: use a name such as x.", "没有可以求导的变量：请用 x 这样的名字。"],
  "empty": ["Type a function of one or more variables.", "请输入含一个或多个变量的函数。"],
  "value of": ["Value of {x}: {message}", "{x} 的值：{message}"],
  "failed time": ["This takes longer than the two seconds allowed: what was found by then is shown, the rest is left out.",
                  "超过了两秒的时限：已算出的部分显示在这里，其余略去。"],
  "failed memory": ["This needs more memory than a page may use. Try a shorter function.", "所需内存超出了网页的限额，请试试更短的函数。"],
  "failed depth": ["This is nested too deeply for a formula.", "嵌套过深，无法给出公式。"],
  "failed died": ["The computation broke off. Try again, or a shorter function.", "计算中断了。请重试，或换一个更短的函数。"],
  "failed start": ["The computation could not be started; the terminal may say why.", "计算无法启动；终端里可能有原因。"],
  "failed mistake": ["This went wrong, which is a mistake in chainrule; the terminal has the details.", "出错了，这是 chainrule 的缺陷；详情见终端。"],
  "failed busy": ["Too much at once: try again in a moment.", "请求太多，请稍后再试。"],
  "failed connection": ["No answer: is chainrule serve still running?", "没有回应：chainrule serve 还在运行吗？"],
};

export const languages = ["en", "zh"];

export function say(key, values = {}) {
  const text = WORDS[key][document.documentElement.lang === "zh" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Puts the words of the current language where the page asks for them.
export function sayAll() {
  document.title = say("title");
  for (const e of document.querySelectorAll("[data-say]")) e.textContent = say(e.dataset.say);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", say(e.dataset.label));
}
