"""PyTorch's own database of operations, run here beside it: values, gradients, and every other reading.

    python tests/parity/op_db.py                       score all, and print a table of what fails
    python tests/parity/op_db.py linalg.solve fft.fft  only these, with each failure's message
    python tests/parity/op_db.py --samples 100         more samples of each operation

An entry's samples are made by PyTorch, carried over as NumPy arrays, and both libraries do the same with them.
A *level* is one thing to do: ``forward``, ``backward``, ``double`` (backward of backward), ``jvp``, ``vmap``
(against a loop), ``method`` and ``inplace`` (the entry's other forms), ``out`` (results in tensors that are handed over).
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import signal
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sides import Missing, Side, carried, counterpart, differ, here, ours
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_unflatten

import chainrule as cr

LEVELS = ("forward", "backward", "double", "jvp", "vmap", "method", "inplace", "out")
DTYPES = (torch.float64, torch.complex128, torch.int64, torch.bool)
SECONDS = 30  # for one entry in one dtype; what takes longer hangs
TIED = ("kthvalue", "median", "mode", "nanmedian", "topk")  # of equal entries PyTorch names any: only values count
KERNELS_WORDS = (
    "abs", "bucketize", "diag", "diff", "fft.ihfft", "frexp", "inner", "kthvalue", "lerp", "lu", "matmul", "max", "mean",
    "min", "mode", "mvlgamma", "nanmean", "nansum", "narrow_copy", "norm", "searchsorted",
)  # of an ``out`` of another dtype PyTorch says what the kernel does that the sample happens to reach  # fmt: skip
ALONE = (
    "_batch_norm_with_update", "fft.ihfftn", "histogramdd", "nn.functional.linear", "nonzero",
)  # have no ``out`` in fact, or not always, or leave it unwritten  # fmt: skip
RESIZED = ("kthvalue", "mode", "normal", "svd")  # by PyTorch to a shape on the way, or not at all
STRIDED = (
    "narrow_copy",
    "nn.functional.avg_pool3d",
    "normal",
    "randn",
)  # PyTorch overruns it, or draws in another order


class Unasked(Exception):
    """PyTorch itself refuses."""


@dataclass
class Score:
    """What became of one entry: for each level that applies, "" or why it failed."""

    name: str
    levels: dict[str, str] = field(default_factory=dict)

    def note(self, level: str, why: str) -> None:
        if not self.levels.get(level):
            self.levels[level] = why

    @property
    def failed(self) -> dict[str, str]:
        return {level: why for level, why in self.levels.items() if why}


# --- one entry -------------------------------------------------------------------------------------------------


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def samples(op: Any, dtype: Any, most: int) -> list[Any]:
    """Up to ``most`` of an entry's samples, spread evenly over them."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    grad = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    found = [_leaves(s) for s in op.sample_inputs("cpu", dtype, requires_grad=grad)]
    if len(found) > most:
        found = [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]
    return found


def _leaves(sample: Any) -> Any:
    """A sample with leaves in place of views that were made of leaves without recording, which no gradient reaches."""

    def leaf(a: Any) -> Any:
        hidden = isinstance(a, torch.Tensor) and a.requires_grad and a.is_leaf and a._is_view()
        return a.detach().requires_grad_() if hidden else a

    flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
    sample.input, sample.args, sample.kwargs = tree_unflatten([leaf(a) for a in flat], spec)
    return sample


def _ours_of(sample: Any) -> Any:
    return types.SimpleNamespace(
        input=carried(sample.input), args=carried(sample.args), kwargs=carried(sample.kwargs),
        output_process_fn_grad=_processing(sample.output_process_fn_grad),
    )  # fmt: skip


def _processing(f: Any) -> Any:
    return ours(f) if isinstance(f, types.FunctionType) else f


def run(op: Any, most: int = 6, levels: tuple[str, ...] = LEVELS) -> Score:
    """Score one entry."""
    score = Score(op.full_name)
    supported = op.supported_dtypes("cpu")
    for dtype in [d for d in DTYPES if d in supported][:2]:
        try:
            with warnings.catch_warnings(), limited(SECONDS):
                warnings.simplefilter("ignore")
                _run(op, dtype, most, levels, score)
        except (Missing, TimeoutError) as e:
            score.note("forward", f"{dtype}: {e}")
            if isinstance(e, Missing):
                break
    return score


def _run(op: Any, dtype: Any, most: int, levels: tuple[str, ...], score: Score) -> None:
    mine: Any = None
    for sample in samples(op, dtype, most):
        try:
            want = THERE.outputs(op.op, sample)
        except Exception:  # a sample that PyTorch itself refuses here
            continue
        mine = counterpart(op) if mine is None else mine
        for level, check in checks(op, dtype, mine, sample, want).items():
            if level not in levels or score.levels.get(level):
                continue
            try:
                why = check(_ours_of(sample))
            except Unasked:
                continue
            except (Missing, TimeoutError):
                raise
            except Exception as e:
                if level == "forward" and "has no attribute" in str(e) and type(e) is AttributeError:
                    raise Missing(str(e).splitlines()[0]) from None
                why = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:300]
            shape = tuple(sample.input.shape) if isinstance(sample.input, torch.Tensor) else type(sample.input).__name__
            score.note(level, f"{str(dtype)[6:]}{shape} {_short(sample)}: {why}" if why else "")
            if why and level == "forward":
                break  # the other readings would say the same


THERE, HERE = Side(torch), Side(cr)


def checks(op: Any, dtype: Any, mine: Any, sample: Any, want: list[Any]) -> dict[str, Callable[[Any], str]]:
    """The levels that apply to a sample: functions of our copy of it, which say why they fail."""
    f = op.op

    def against(mine_: Callable[[Any], Any], theirs: Callable[[], Any], what: str) -> Callable[[Any], str]:
        def check(s: Any) -> str:
            try:
                wanted = theirs()
            except Exception as e:
                raise Unasked from e
            return differ(mine_(s), wanted, what)

        return check

    found = {"forward": against(lambda s: kept(op, HERE.outputs(mine, s)), lambda: kept(op, want), "value")}
    floats = dtype.is_floating_point or dtype.is_complex
    if op.supports_autograd and floats and dtype in op.supported_backward_dtypes("cpu"):
        found["backward"] = against(
            lambda s: HERE.gradients(mine, s, False), lambda: THERE.gradients(f, sample, False), "gradient"
        )
        if op.supports_gradgrad:
            found["double"] = against(
                lambda s: HERE.gradients(mine, s, True), lambda: THERE.gradients(f, sample, True), "second gradient"
            )
        if op.supports_forward_ad:
            found["jvp"] = against(lambda s: HERE.push(mine, s), lambda: THERE.push(f, sample), "tangent")
        found["vmap"] = lambda s: _batched(f, mine, sample, s)
    if isinstance(sample.input, torch.Tensor):
        form, form_ = op.method_variant, op.inplace_variant
        if form is not None and not isinstance(f, types.FunctionType):
            found["method"] = lambda s: _form(op, form.__name__, sample, s)
        if form_ is not None:
            found["inplace"] = lambda s: _in_place(form_, sample, s)
    if op.supports_out and op.name not in ALONE and all(isinstance(y, torch.Tensor) for y in want):
        found["out"] = lambda s: _into(op, mine, sample, s)
    return found


def _batched(f: Any, mine: Any, sample: Any, s: Any) -> str:
    """Under vmap against a loop, where PyTorch's own are the same: not of random numbers, say."""
    try:
        why = differ(*HERE.batched(mine, s), "batched value")
    except Exception as e:
        why, error = str(e), e
    else:
        error = None
    if why:
        try:
            unlike = differ(*THERE.batched(f, sample))
        except Exception as e:
            raise Unasked from e
        if unlike:
            raise Unasked
        if error is not None:
            raise error
    return why


def kept(op: Any, outputs: list[Any]) -> list[Any]:
    """What is the same in both libraries: not which of equal entries, nor what is in memory that nobody has written."""
    if "empty" in op.name:
        return [np.array(y.shape) for y in outputs]
    return outputs[:1] if op.name in TIED else outputs


def _short(sample: Any) -> str:
    def show(a: Any) -> str:
        return f"T{tuple(a.shape)}" if isinstance(a, torch.Tensor) else str(a)[:40]

    return ", ".join([show(a) for a in sample.args] + [f"{k}={show(v)}" for k, v in sample.kwargs.items()])[:120]


def _form(op: Any, name: str, sample: Any, s: Any) -> str:
    method = getattr(s.input, name, None)
    if method is None:
        raise AttributeError(f"no Tensor.{name}")
    got, want = method(*s.args, **s.kwargs), getattr(sample.input, name)(*sample.args, **sample.kwargs)
    if sample.output_process_fn_grad is not None:
        got, want = s.output_process_fn_grad(got), sample.output_process_fn_grad(want)
    return differ(kept(op, HERE.leaves(got)), kept(op, THERE.leaves(want)))


def _in_place(form: Any, sample: Any, s: Any) -> str:
    x, y = sample.input.detach().clone(), s.input.detach().clone()
    torch.manual_seed(42)
    cr.manual_seed(42)
    try:
        want = form(x, *sample.args, **sample.kwargs)
    except RuntimeError:  # this sample does not fit into its input
        return ""
    if isinstance(form, functools.partial):
        mine: Any = functools.partial(getattr(cr.nn.functional, form.func.__name__), **form.keywords)
    elif isinstance(form, types.FunctionType) and form.__name__ == "<lambda>":
        mine = ours(form)
    else:
        mine = getattr(cr.Tensor, form.__name__)
    got = mine(y, *s.args, **s.kwargs)
    return differ([got, y], [want, want]) or ("" if got is y else "does not return the tensor itself")


def _seen(side: Side, sample: Any, out: Any) -> list[Any]:
    """What an entry's samples take its result for: a product of the factors, say, where those are not unique."""
    process = sample.output_process_fn_grad
    return side.leaves(process(out) if process is not None else out)


def _into(op: Any, mine: Any, sample: Any, s: Any) -> str:
    """The entry with ``out=``: of the right kind, of another shape, of other dtypes, and one that requires grad."""
    f = op.op
    want = _plain(f(sample.input, *sample.args, **sample.kwargs))
    one = isinstance(want, torch.Tensor)
    results = [want] if one else list(want)

    def attempt(call: Any, a: Any, outs: Any) -> tuple[Any, list[str], str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                torch.manual_seed(42), cr.manual_seed(42)
                got = call(a.input, *a.args, **a.kwargs, out=outs[0] if one else tuple(outs))
            except Exception as e:
                return None, [], f"{type(e).__name__}: {str(e).splitlines()[0]}"
        heard = [str(w.message).partition(" (Triggered")[0] for w in caught if "was resized" in str(w.message)]
        return got, heard, ""

    def other(y: torch.Tensor) -> torch.dtype:
        return torch.float32 if y.dtype in (torch.int64, torch.bool) else torch.int64

    fresh = {
        "the same": lambda y: torch.empty(y.shape, dtype=y.dtype),
        "strided": lambda y: torch.empty((*y.shape, 2), dtype=y.dtype)[..., 0],
        "empty": lambda y: torch.empty(0, dtype=y.dtype),
        "another shape": lambda y: torch.empty((2, *y.shape), dtype=y.dtype),
        "another dtype": lambda y: torch.empty(y.shape, dtype=other(y) if y is results[0] else y.dtype),
        "double": lambda y: torch.empty(y.shape, dtype=torch.complex128 if y.dtype.is_complex else torch.float64),
        "requires grad": lambda y: torch.empty(y.shape, dtype=y.dtype, requires_grad=y.dtype.is_floating_point),
    }
    plain, ours_ = _without_grad(sample), _without_grad(s)
    for what, make in fresh.items():
        if what == "another shape" and (op.name in RESIZED or not all(y.numel() for y in results)):
            continue
        if what == "strided" and op.name in STRIDED:
            continue
        theirs = [make(y) for y in results]
        own = [here(o.detach().clone()).requires_grad_(o.requires_grad) for o in theirs]
        if what == "strided":
            own = [cr.empty(*y.shape, 2, dtype=here(y.dtype))[..., 0] for y in results]
        places = [o.data_ptr() for o in own]
        wanted, heard, error = attempt(f, plain, theirs)
        got, heard_, error_ = attempt(mine, ours_, own)
        if what == "requires grad" and error_:  # the composite ones among PyTorch's name the kernel that noticed
            continue
        if op.name in KERNELS_WORDS and what in ("another dtype", "double") and (error or error_):
            continue
        if what == "empty" and error and not error_:
            continue
        if error != error_:
            return f"{what}: {error_ or 'no error'!r}, not {error or 'no error'!r}"
        if error:
            continue
        if not set(heard) <= set(heard_):  # here all warn, but for those that make new tensors
            return f"{what}: warns {heard_}, not {heard}"
        if wanted is None:  # PyTorch's returns nothing
            got, wanted = tuple(own), tuple(theirs)
        seen, to = _seen(HERE, s, got), _seen(THERE, sample, wanted)
        if what == "double":  # what is computed in float32 has no more digits than that
            seen, to = [_single(cr, y) for y in seen], [_single(torch, y) for y in to]
        why = differ(kept(op, seen), kept(op, to), f"out of {what}")
        if why:
            return why
        if not all(a is b for a, b in zip([got] if one else got, own, strict=True)):
            return f"{what}: does not return the tensors that it was given"
        if what in ("the same", "strided") and places != [o.data_ptr() for o in own]:
            return f"{what}: other memory"
    return ""


def _single(lib: Any, y: Any) -> Any:
    return y.to(lib.complex64 if y.is_complex() else lib.float32)


def _without_grad(sample: Any) -> Any:
    flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
    first, args, kwargs = tree_unflatten([a.detach() if hasattr(a, "detach") else a for a in flat], spec)
    return types.SimpleNamespace(input=first, args=args, kwargs=kwargs)


def _plain(out: Any) -> Any:
    return out.detach() if isinstance(out, torch.Tensor) else tuple(_plain(y) for y in out)


def named(op: Any, name: str) -> bool:
    return name in (op.full_name, op.name) or (name.endswith("*") and op.full_name.startswith(name[:-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="full names of entries, or beginnings ending in '*'")
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument("--json", help="write the scores to this file")
    args = parser.parse_args()
    chosen = [op for op in op_db if not args.names or any(named(op, n) for n in args.names)]
    scores = []
    for op in chosen:
        scores.append(run(op, args.samples, tuple(args.levels.split(","))))
        for level, why in scores[-1].failed.items():
            print(f"{op.full_name:40} {level:9} {why}", flush=True)
    for level in LEVELS:
        applies = [s for s in scores if level in s.levels]
        print(f"{level:9} {sum(not s.levels[level] for s in applies)} of {len(applies)}")
    differentiable = {op.full_name for op in chosen if op.supports_autograd}
    whole = [s.name for s in scores if s.name in differentiable and not s.failed]
    print(f"differentiable entries without a failure: {len(whole)} of {len(differentiable)}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({s.name: s.levels for s in scores}, file, indent=1)


if __name__ == "__main__":
    main()
