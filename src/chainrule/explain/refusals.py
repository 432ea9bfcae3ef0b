"""Why a formula is refused, and what to write instead, in English and in Chinese."""

from __future__ import annotations

from typing import Any, Final

from ..language import get_language, said
from ..tensor import Tensor

_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "column": ("column {column}: {message}", "第 {column} 列：{message}"),
    # --- characters and words
    "quotes": ("unexpected '{char}': quoted text has no place in a formula; use a number or a name such as x",
               "多余的“{char}”：公式里不能有引号；请写数字，或 x 这样的名字"),
    "brackets": ("unexpected '{char}': lists and indices are not available; group with ( ), and write x1 for x[1]",
                 "多余的“{char}”：这里没有列表和下标；分组用 ( )，x[1] 请写成 x1"),
    "comparison": ("unexpected '{char}': comparisons and assignments are not available; write one formula, such as x**2 + 1",
                   "多余的“{char}”：这里没有比较和赋值；请只写一个公式，例如 x**2 + 1"),
    "dot": ("unexpected '{char}': attributes are not available, and a decimal point needs a digit beside it, as in 0.5",
            "多余的“{char}”：这里没有属性；小数点旁边要有数字，例如 0.5"),
    "character": ("unexpected '{char}': use + - * / ** and parentheses", "多余的“{char}”：请用 + - * / ** 和括号"),
    "not ASCII": ("unexpected character {named}: write {hint}", "不能用的字符 {named}：请写 {hint}"),
    "plain space": ("a plain space", "普通空格"),
    "ASCII only": ("ASCII only", "英文半角字符"),
    "keyword": ("{word} is a word of Python, not of a formula; choose another name",
                "{word} 是 Python 的关键字，公式里不能用；请换一个名字"),
    "name": ("a name starts with a letter and has no double underscore; write x1 or x_1",
             "名字以字母开头，不含双下划线；请写 x1 或 x_1"),
    # --- the grammar
    "too long": ("the formula is longer than {most} characters; shorten it", "公式超过 {most} 个字符；请缩短"),
    "too deep": ("more than {most} levels of nesting; split the formula", "嵌套超过 {most} 层；请拆开公式"),
    "too large": ("more than {most} numbers, names and operations; shorten the formula",
                  "数字、名字和运算超过 {most} 个；请缩短公式"),
    "beyond float64": ("this number is beyond float64, whose largest is about 1.8e308",
                       "这个数超出了 float64 的范围，最大约为 1.8e308"),
    "bare function": ("{word} is a function and needs parentheses; write {example}", "{word} 是函数，要带括号；请写 {example}"),
    "unknown function": ("unknown function {word}; to multiply, write {word}*(...); the functions are {known}",
                         "没有函数 {word}；要相乘请写 {word}*(...)；可用的函数有 {known}"),
    "did you mean": ("unknown function {word}; did you mean {near}?", "没有函数 {word}；您是想写 {near} 吗？"),
    "or": (" or ", " 或 "),
    "empty parentheses": ("nothing stands in these parentheses; write {example}", "括号里是空的；请写 {example}"),
    "ends after": ("expected a value after '{last}', but the text ends; write a number, a name or (...)",
                   "“{last}”后面还缺一个值，文本就结束了；请写数字、名字或 (...)"),
    "found after": ("expected a value after '{last}', but found '{word}'; write a number, a name or (...)",
                    "“{last}”后面应该是一个值，却是“{word}”；请写数字、名字或 (...)"),
    "ends": ("expected a value at the start, but the text ends; write a number, a name or (...)",
             "这里应该有一个值，但什么也没有；请写数字、名字或 (...)"),
    "found": ("expected a value at the start, but found '{word}'; write a number, a name or (...)",
              "开头应该是一个值，却是“{word}”；请写数字、名字或 (...)"),
    "operator": ("an operator is missing; to multiply, write {before}*{after}", "缺少运算符；要相乘请写 {before}*{after}"),
    "floor": ("'//' is not available; write / to divide", "这里没有“//”；除法请写 /"),
    "comma": ("a comma parts the arguments of a function, as max(x, 0); write 1.5 for 1,5",
              "逗号用来分开函数的参数，如 max(x, 0)；一点五请写 1.5"),
    "closes nothing": ("this ')' closes nothing; remove it, or write a ( before it",
                       "这个“)”没有对应的“(”；请删去，或在前面补上 ("),
    "never closed": ("'{name}(' is never closed; write the ) that belongs to it", "“{name}(”没有闭合；请补上对应的 )"),
    "arguments": ("wrong number of arguments, {count}; write {example}", "参数个数不对：有 {count} 个；请写 {example}"),
    # --- values
    "no value": ("{name} has no value; give one, as in {name}=2", "{name} 还没有值；请给一个，例如 {name}=2"),
    "not here": ("{name} is not available here", "这里不能用 {name}"),
    "assignment": ("expected name=value, such as x=2 or u=3,v=pi/2", "这里应写“名字=值”，例如 x=2 或 u=3,v=pi/2"),
    "taken": ("{name} already has a meaning; choose another name", "{name} 已有含义；请换一个名字"),
    "twice": ("{name} is given twice; give each name one value", "{name} 给了两次；每个名字只给一个值"),
    "not finite": ("{name} must be a finite number, such as 2 or pi/2", "{name} 必须是有限的数，例如 2 或 pi/2"),
}  # fmt: skip


def refusal(key: str, **values: Any) -> str:
    """A sentence in the language of the moment, with values put in."""
    english, chinese = _SENTENCES[key]
    return (chinese if get_language() == "zh" else english).format(**values)


def tensor_result(y: Any) -> Tensor:
    """What a user's function gave; TypeError if it is no tensor."""
    if isinstance(y, Tensor):
        return y
    raise TypeError(said("the function must give one tensor, not {kind}: take one of its entries, and compute with tensors, "
                         "without .item() or math", "函数要给出一个张量，而不是 {kind}：请取其中一项，用张量计算，不用 .item()",
                         kind=type(y).__name__))  # fmt: skip
