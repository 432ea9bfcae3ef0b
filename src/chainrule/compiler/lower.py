"""Lower: a kernel's source, which is plain Python with declared types, as LLVM instructions.

A kernel knows numbers, flat arrays of them, slices, ``for`` over ranges, and choices without branches; and vectors
of n numbers: ``get(array, index, n)``, ``spread(number, n)``, ``fma(x, y, z)`` and ``put(array, index, vector)``,
and ``total(vector)``.  A loop over ``masked(n)`` rather than ``range(n)`` should do its last entries as part of a vector.  That
is little enough that its types need not be inferred: parameters declare theirs, and all else follows in
order.  Numba would make the same of it, and take ten times as long.

What is called is ``run(words, first, last)``, the same for all kernels.  The words are addresses, of arrays and of single
numbers, and lengths, which are declared as ``int``; ``first`` and ``last`` are blocks of work.  It gives 1 if the kernel returned
that an argument was too large for it, 2 if it found no memory.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import lanes, mathlib
from .mathlib_ir import Value, ir, stored_type, type_of
from .mathlib_kernels import Kit

ENTRY = "run"
FAST = "@fastmath\n"  # before a kernel whose arithmetic may be done in other ways
LOOSE = ("reassoc", "contract", "arcp", "nsz")  # which does not suppose that there are no infinities and nan
_COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_BITS: dict[Any, str] = {ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor"}
_CASTS = (*mathlib.DTYPES, "int8", "int16", "int32", "int64", "bool")
_OFTEN = 8  # calls of an elementary function in straight code from which it is there but once
_INTRINSIC = {"floor": "floor", "ceil": "ceil", "rint": "rint", "abs": "fabs"}


@dataclass(frozen=True, slots=True)
class Number:
    """A value of a kernel: an LLVM scalar and its dtype."""

    raw: Any
    dtype: str


_MARKS = 1000  # numbers from which on metadata is ours
_MASKED = f'!{_MARKS - 1} = !{{!"llvm.loop.vectorize.predicate.enable", i1 true}}\n'


@dataclass(frozen=True, slots=True)
class _Mark:
    """Metadata that is written below."""

    number: int

    def get_reference(self) -> str:
        """As LLVM's text has it."""
        return f"!{_MARKS + self.number}"


@dataclass(frozen=True, slots=True)
class Array:
    """Where entries of a dtype begin."""

    raw: Any
    dtype: str


def lower(text: str) -> str:
    """The LLVM module of the kernel that ``text`` defines."""
    kernel = _Kernel(_parsed(text))
    return str(kernel.module) + "".join(kernel.marks) + (_MASKED if kernel.marks else "")


def parameters(text: str) -> list[tuple[str, str, bool]]:
    """The parameters of a kernel: name, dtype, and whether it is an array."""
    return [_parameter(a) for a in _parsed(text).args.args]


def _parsed(text: str) -> ast.FunctionDef:
    tree = ast.parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


class _Kernel:
    """One function being written; ``self.names`` says what each name of the source is."""

    def __init__(self, tree: ast.FunctionDef) -> None:
        self.module, self.pointer, self.word = ir().Module("kernel"), ir().PointerType(), ir().IntType(64)
        self.parameters = [_parameter(a) for a in tree.args.args]
        self.flags = LOOSE if tree.decorator_list else ()
        types = [self.pointer if array else type_of(dtype) for _, dtype, array in self.parameters]
        self.function = ir().Function(self.module, ir().FunctionType(ir().IntType(32), types), "kernel")
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.names: dict[str, Any] = {}
        self.top = ir().IRBuilder(self.function.append_basic_block("top"))  # for what must live as long as the call
        self.builder = ir().IRBuilder(self.function.append_basic_block("body"))
        self.body = self.builder.block
        self.scratch: list[Any] = []
        self.marks: list[str] = []  # of loops that LLVM is told about
        self.often: set[str] = set()  # functions that are called, where others are written out: loops are of vectors so
        if not any(isinstance(s, ast.For) for s in tree.body):
            calls = Counter(
                n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            )
            self.often = {name for name, n in calls.items() if n > _OFTEN and name.startswith("fast_")}
        for (name, dtype, array), raw in zip(self.parameters, self.function.args, strict=True):
            if array:
                raw.add_attribute("noalias")
                self.names[name] = Array(raw, dtype)
            else:
                self.assign(name, Number(raw, "int64" if dtype == "int" else dtype))
        self.block(tree.body)
        if not self.builder.block.is_terminated:
            self.leave(0)
        self.top.branch(self.body)
        self.entry()

    def entry(self) -> None:
        """The function around it, which takes the words apart."""
        kind = ir().FunctionType(ir().IntType(32), [self.pointer, self.word, self.word])
        function = ir().Function(self.module, kind, ENTRY)
        b = ir().IRBuilder(function.append_basic_block())
        words, *blocks = function.args
        given, count = [], 0
        for name, dtype, array in self.parameters:
            if name in ("first", "last"):
                given.append(blocks[name == "last"])
                continue
            at = b.gep(words, [self.word(count)], source_etype=self.word)
            found = b.load(at, typ=self.word if dtype == "int" else self.pointer)
            if not array and dtype != "int":
                found = b.load(found, typ=stored_type(dtype))
                found = b.icmp_unsigned("!=", found, found.type(0)) if dtype == "bool" else found
            given.append(found)
            count += 1
        b.ret(b.call(self.function, given))

    # --- statements ---

    def block(self, statements: list[ast.stmt]) -> None:
        for s in statements:
            self.statement(s)

    def statement(self, tree: ast.stmt) -> None:
        match tree:
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                found = [self.number(v) for v in values]
                for target, value in zip(targets, found, strict=True):
                    assert isinstance(target, ast.Name)
                    self.assign(target.id, value)
            case ast.Assign([ast.Name(name)], ast.Subscript(ast.Name(array), ast.Slice(start))):
                source: Array = self.names[array]
                at = source.raw if start is None else self.place(source, start)
                self.names[name] = Array(at, source.dtype)
            case ast.Assign([ast.Name(name)], ast.Call(ast.Attribute(_, "empty"), [size, ast.Attribute(_, dtype)])):
                self.names[name] = self.memory(self.number(size), dtype)
            case ast.Assign([ast.Name(name)], value):
                self.assign(name, self.number(value))
            case ast.Assign([ast.Subscript(ast.Name(array), index)], value):
                target = self.names[array]
                self.builder.store(self.stored(self.number(value)), self.place(target, index))
            case ast.Expr(ast.Call(ast.Name("put"), [ast.Name(array), index, value])):
                target = self.names[array]
                self.builder.store(self.number(value).raw, self.place(target, index)).align = _size(target)
            case ast.For(ast.Name(name), ast.Call(ast.Name(kind), bounds), body):
                found = [self.number(b) for b in bounds]
                first, last, step = [self.integer(0)] * (len(found) < 2) + found + [self.integer(1)] * (len(found) < 3)
                self.loop(name, first, last, step, body, masked=kind == "masked")
            case ast.Return(None):
                self.leave(0)
            case ast.Return(value) if value is not None:
                self.leave(self.builder.zext(self.number(value).raw, ir().IntType(32)))
            case _:
                raise NotImplementedError(ast.dump(tree))

    def assign(self, name: str, value: Number) -> None:
        slot = self.names.get(name)
        if not isinstance(slot, tuple):  # (where it is kept, its dtype); registers are left to LLVM
            slot = self.names[name] = self.top.alloca(value.raw.type), value.dtype
        if slot[1] != value.dtype:
            raise TypeError(f"{name} is {slot[1]}, and then {value.dtype}")
        self.builder.store(value.raw, slot[0])

    def memory(self, size: Number, dtype: str) -> Array:
        """Memory for the length of a call: on the stack, if it is little that is known beforehand."""
        b = self.builder
        if isinstance(size.raw, ir().Constant):
            found = self.top.alloca(stored_type(dtype), size.raw.constant)
            found.align, found.type = 64, self.pointer  # to vectors as much as to numbers
            return Array(found, dtype)
        each = self.integer(np.dtype(dtype).itemsize).raw
        got = b.call(self.outside("PyMem_RawMalloc", self.pointer, [self.word]), [b.mul(size.raw, each)])
        with b.if_then(b.icmp_unsigned("==", got, ir().Constant(self.pointer, None)), likely=False):
            self.leave(2)
        self.scratch.append(got)
        return Array(got, dtype)

    def release(self) -> None:
        for memory in self.scratch:
            self.builder.call(self.outside("PyMem_RawFree", ir().VoidType(), [self.pointer]), [memory])

    def loop(
        self, name: str, first: Number, last: Number, step: Number, body: list[ast.stmt], masked: bool = False
    ) -> None:
        b, f = self.builder, self.function
        self.assign(name, first)
        test, inside, after = (f.append_basic_block(label) for label in ("test", "inside", "after"))
        b.branch(test)
        b.position_at_end(test)
        i = self.name(name).raw
        b.cbranch(b.icmp_signed("<", i, last.raw), inside, after)
        b.position_at_end(inside)
        self.block(body)
        self.assign(name, Number(b.add(self.name(name).raw, step.raw, flags=("nsw", "nuw")), "int64"))
        turn = b.branch(test)
        if masked:
            turn.set_metadata("llvm.loop", _Mark(len(self.marks)))
            self.marks.append(
                f"!{_MARKS + len(self.marks)} = distinct !{{!{_MARKS + len(self.marks)}, !{_MARKS - 1}}}\n"
            )
        b.position_at_end(after)

    def leave(self, status: Any) -> None:
        self.release()
        self.builder.ret(ir().IntType(32)(status) if isinstance(status, int) else status)

    # --- expressions ---

    def number(self, tree: ast.expr) -> Number:
        b = self.builder
        match tree:
            case ast.Constant(bool(value)):
                return Number(ir().Constant(ir().IntType(1), int(value)), "bool")
            case ast.Constant(int(value)):
                return self.integer(value)
            case ast.Constant(float(value)):
                return Number(ir().Constant(ir().DoubleType(), value), "float64")
            case ast.Attribute(ast.Name("np"), ("inf" | "nan") as name):
                return Number(ir().Constant(ir().DoubleType(), getattr(np, name)), "float64")
            case ast.Name(name):
                return self.name(name)
            case ast.Subscript(ast.Name(array), index):
                source: Array = self.names[array]
                stored = stored_type(source.dtype)
                raw = b.load(self.place(source, index), typ=stored)
                return Number(b.icmp_unsigned("!=", raw, stored(0)) if source.dtype == "bool" else raw, source.dtype)
            case ast.BinOp(left, op, right):
                return self.binary(op, self.number(left), self.number(right))
            case ast.UnaryOp(ast.USub(), operand):
                x = self.number(operand)
                return Number(b.fneg(x.raw) if is_float(x) else b.neg(x.raw), x.dtype)
            case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
                x = self.number(operand)
                return Number(b.not_(x.raw), x.dtype)
            case ast.Compare(left, [op], [right]):
                return self.compare(_COMPARE[type(op)], self.number(left), self.number(right))
            case ast.IfExp(test, body, otherwise):
                return self.choose(self.number(test), self.number(body), self.number(otherwise))
            case ast.Call(ast.Name("get"), [ast.Name(array), index, ast.Constant(n)]):
                source = self.names[array]
                raw = b.load(self.place(source, index), typ=ir().VectorType(type_of(source.dtype), n))
                raw.align = _size(source)
                return Number(raw, source.dtype)
            case ast.Call(ast.Name("spread"), [value, ast.Constant(n)]):
                x = self.number(value)
                none, places = (
                    ir().VectorType(x.raw.type, n)(ir().Undefined),
                    ir().VectorType(ir().IntType(32), n)(None),
                )
                return Number(
                    b.shuffle_vector(b.insert_element(none, x.raw, ir().IntType(32)(0)), none, places), x.dtype
                )
            case ast.Call(ast.Name(name), arguments):
                return self.call(name, [self.number(a) for a in arguments])
            case ast.Call(ast.Attribute(ast.Name("np"), name), [argument]):
                x = self.number(argument)
                return self.cast(x, name) if name in _CASTS else self.call(name, [x])
        raise NotImplementedError(ast.dump(tree))

    def integer(self, value: int) -> Number:
        return Number(ir().Constant(self.word, value), "int64")

    def name(self, name: str) -> Number:
        where, dtype = self.names[name]
        return Number(self.builder.load(where, typ=where.allocated_type), dtype)

    def place(self, a: Array, index: ast.expr) -> Any:
        kind = stored_type(a.dtype)
        return self.builder.gep(a.raw, [self.number(index).raw], inbounds=True, source_etype=kind)

    def stored(self, x: Number) -> Any:
        """A number as it lies in memory: a boolean takes a byte."""
        return self.builder.zext(x.raw, ir().IntType(8)) if x.dtype == "bool" else x.raw

    def binary(self, op: ast.operator, x: Number, y: Number) -> Number:
        if x.dtype != y.dtype:
            raise TypeError(f"{x.dtype} with {y.dtype}")
        b = self.builder
        if type(op) in _BITS:
            return Number(getattr(b, _BITS[type(op)])(x.raw, y.raw), x.dtype)
        if isinstance(op, ast.FloorDiv):  # of lengths, which are not negative
            return Number(b.sdiv(x.raw, y.raw), x.dtype)
        name = _BINARY[type(op)]
        if not is_float(x) and name == "div":
            raise TypeError("a quotient of integers")
        if is_float(x):
            return Number(getattr(b, f"f{name}")(x.raw, y.raw, flags=self.flags), x.dtype)
        return Number(getattr(b, name)(x.raw, y.raw), x.dtype)

    def compare(self, op: str, x: Number, y: Number) -> Number:
        b = self.builder
        if x.dtype != y.dtype:
            raise TypeError(f"{x.dtype} with {y.dtype}")
        if is_float(x):
            found = (b.fcmp_unordered if op == "!=" else b.fcmp_ordered)(op, x.raw, y.raw)
        else:
            found = (b.icmp_unsigned if x.dtype == "bool" else b.icmp_signed)(op, x.raw, y.raw)
        return Number(found, "bool")

    def choose(self, test: Number, x: Number, y: Number) -> Number:
        return Number(self.builder.select(test.raw, x.raw, y.raw), x.dtype)

    def cast(self, x: Number, dtype: str) -> Number:
        b, kind = self.builder, type_of(dtype)
        if x.dtype == dtype:
            return x
        if dtype == "bool":
            return self.compare("!=", x, self.cast(self.integer(0), x.dtype))
        to, of = np.dtype(dtype), np.dtype(x.dtype)
        if of.kind == to.kind == "f" and isinstance(x.raw, ir().Constant):
            raw = ir().Constant(kind, float(to.type(x.raw.constant)))
        elif of.kind == "f" and to.kind == "f":
            raw = b.fpext(x.raw, kind) if to.itemsize > of.itemsize else b.fptrunc(x.raw, kind)
        elif of.kind == "f":
            raw = b.fptosi(x.raw, kind)
        elif to.kind == "f":
            raw = b.uitofp(x.raw, kind) if of.kind == "b" else b.sitofp(x.raw, kind)
        elif of.kind == "b":
            raw = b.zext(x.raw, kind)
        else:
            raw = b.sext(x.raw, kind) if to.itemsize > of.itemsize else b.trunc(x.raw, kind)
        return Number(raw, dtype)

    def call(self, name: str, args: list[Number]) -> Number:
        b, x = self.builder, args[0]
        if name in self.often:
            return Number(b.call(self.function_of(name, args), [a.raw for a in args]), x.dtype)
        if name.startswith(("fast_", "sum_", "largest_", "smallest_")):
            kit = Kit(b, args[-1].dtype)
            build = mathlib.build if name.startswith("fast_") else lanes.build
            return Number(build(name, kit, [Value(b, a.raw) for a in args]).raw, x.dtype)
        if name == "fma":  # two operations where the machine has no such one
            kind = x.raw.type
            suffix = f"{'f32' if x.dtype == 'float32' else 'f64'}"
            wide = f"v{kind.count}" if isinstance(kind, ir().VectorType) else ""
            return Number(
                b.call(self.outside(f"llvm.fmuladd.{wide}{suffix}", kind, [kind] * 3), [a.raw for a in args]), x.dtype
            )
        if name == "total":  # of a vector, in any order
            kind = x.raw.type
            suffix = f"v{kind.count}f{8 * np.dtype(x.dtype).itemsize}"
            f = self.outside(f"llvm.vector.reduce.fadd.{suffix}", kind.element, [kind.element, kind])
            return Number(b.call(f, [kind.element(-0.0), x.raw], fastmath=("reassoc",)), x.dtype)
        if name == "min":
            return self.choose(self.compare("<", *args), *args)
        if name == "abs" and not is_float(x):
            return self.choose(
                self.compare("<", x, self.cast(self.integer(0), x.dtype)), Number(b.neg(x.raw), x.dtype), x
            )
        kind = type_of(x.dtype)
        if name in _INTRINSIC:
            f = self.module.declare_intrinsic(f"llvm.{_INTRINSIC[name]}", [kind])
        elif name in mathlib.PERIODIC:  # from the C library
            f = self.outside(name + ("f" if x.dtype == "float32" else ""), kind, [kind])
        else:
            raise NotImplementedError(name)
        return Number(b.call(f, [x.raw]), x.dtype)

    def function_of(self, name: str, args: list[Number]) -> Any:
        """An elementary function as a function of this module."""
        kind, label = args[0].raw.type, f"{name}_{args[0].dtype}"
        found = self.module.globals.get(label)
        if found is None:
            found = ir().Function(self.module, ir().FunctionType(kind, [kind] * len(args)), label)
            found.linkage = "internal"
            found.attributes.add("noinline")
            b = ir().IRBuilder(found.append_basic_block())
            b.ret(mathlib.build(name, Kit(b, args[0].dtype), [Value(b, a) for a in found.args]).raw)
        return found

    def outside(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """A function of Python or of the C library."""
        found = self.module.globals.get(name)
        return found or ir().Function(self.module, ir().FunctionType(result, arguments), name)


def _size(a: Array) -> int:
    return np.dtype(a.dtype).itemsize


def is_float(x: Number) -> bool:
    return x.dtype in mathlib.DTYPES


def _parameter(a: ast.arg) -> tuple[str, str, bool]:
    match a.annotation:
        case ast.Name(dtype):
            return a.arg, dtype, False
        case ast.Subscript(ast.Name(dtype)):
            return a.arg, dtype, True
    raise TypeError(f"{a.arg} has no type")
