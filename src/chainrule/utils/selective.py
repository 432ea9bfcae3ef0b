"""Selective checkpoints: of some operations the results are kept, of all others they are computed again."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import explained
from ..modes import Setting, no_grad
from ..ops.aten import OpOverload, OpOverloadPacket, named
from ..primitive import Primitive
from ..tensor import Tensor, wrap

__all__ = ["SAC_IGNORED_OPS", "CheckpointPolicy", "SelectiveCheckpointContext", "create_selective_checkpoint_contexts"]


class CheckpointPolicy(enum.Enum):
    """What becomes of an operation's result: kept, or computed again.  MUST and PREFER are one here, and so are
    keeping and keeping in the CPU's memory, where everything is.

    Source: ``torch.utils.checkpoint.CheckpointPolicy``.
    """

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_AGAIN = (CheckpointPolicy.MUST_RECOMPUTE, CheckpointPolicy.PREFER_RECOMPUTE)
SAC_IGNORED_OPS = {OpOverload("detach"), OpOverload("alias")}  # what policies are not asked about, besides views

_MISMATCH = (
    "This can happen if the operations in the checkpointed region are nondeterministic or depend on global state that "
    "changed between forward and backward."
)


class SelectiveCheckpointContext:
    """What a policy is told besides the operation and its arguments: ``op_output``, the result.

    Source: ``torch.utils.checkpoint.SelectiveCheckpointContext``.
    """

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


class _Entry:
    """One call of an operation in the forward pass: its result if that is kept, and the counters of writes to it."""

    def __init__(self, result: Any = None, kept: bool = False) -> None:
        self.result, self.kept, self.used = result, kept, False
        self.cells: list[tuple[list[int], int]] = []


class _Keeping:
    """The forward pass: asks the policy about each result."""

    def __init__(self, policy: Callable[..., Any], calls: dict[OpOverload, list[_Entry]]) -> None:
        self.policy, self.calls = policy, calls
        self.last = _Entry()

    def computed(self, prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], compute: Any) -> Any:
        """What ``prim`` gives."""
        result, op = compute(prim, arrays, params), named(prim)
        if prim.view or op in SAC_IGNORED_OPS:
            return result
        shown = wrap(result) if prim.outputs is None else tuple([wrap(r) for r in result])
        args = [a if isinstance(a, (Tensor, int, float, bool, complex)) else wrap(a) for a in arrays]
        with no_grad(), Setting(cache=None):
            answer = self.policy(SelectiveCheckpointContext(is_recompute=False, op_output=shown), op, *args, **params)
        again = answer in _AGAIN if isinstance(answer, CheckpointPolicy) else not answer
        self.last = _Entry() if again else _Entry(result, True)
        self.calls[op].append(self.last)
        return result

    def made(self, outs: Sequence[Tensor]) -> None:
        """The tensors that a result is in."""
        if self.last.kept:
            cells = [out._cell() for out in outs]
            self.last.cells, self.last = [(cell, cell[0]) for cell in cells], _Entry()


class _Kept:
    """The second run: hands out the results that were kept, in their order."""

    def __init__(self, calls: dict[OpOverload, list[_Entry]], mutable: bool) -> None:
        self.calls, self.mutable = calls, mutable
        self.counts: dict[OpOverload, int] = defaultdict(int)

    def computed(self, prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], compute: Any) -> Any:
        """What ``prim`` gives, or gave."""
        op = named(prim)
        if prim.view or op in SAC_IGNORED_OPS:
            return compute(prim, arrays, params)
        found, number = self.calls.get(op), self.counts[op]
        self.counts[op] += 1
        if found is None:
            raise RuntimeError(f"{op} encountered during backward but not found in storage. {_MISMATCH}")
        if number >= len(found):
            raise RuntimeError(
                f"{op} invocation index {number} encountered during backward but not found in storage. {_MISMATCH}"
            )
        entry = found[number]
        if not entry.kept:
            return compute(prim, arrays, params)
        if entry.used:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward once on any region computed under "
                "selective activation checkpoint."
            )
        if not self.mutable and any(cell[0] != version for cell, version in entry.cells):
            raise explained(
                RuntimeError(
                    "Tensor cached during selective activation checkpoint has been mutated"
                    f"\nA result of {op} was written to in place after it was kept. Write y = y + 1 for y += 1, or let the "
                    "policy compute it again."
                )
            )
        result, entry.used = entry.result, True
        entry.result, entry.cells = None, []
        return result

    def made(self, outs: Sequence[Tensor]) -> None:
        """Nothing is kept."""


class _Again(Setting):
    """The second run's context: counts from the start each time it is entered."""

    def __init__(self, kept: _Kept) -> None:
        self.kept = kept
        super().__init__(cache=kept)

    def __enter__(self) -> None:
        self.kept.counts.clear()
        super().__enter__()


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Setting, Setting]:
    """The two contexts of a checkpoint that keeps the results of some operations, for ``checkpoint(context_fn=...)``.

    ``policy_fn_or_list`` is a list of operations whose results are kept, such as ``torch.ops.aten.mm.default``; or a
    function ``policy(ctx, op, *args, **params)`` that gives a :class:`CheckpointPolicy`, or whether to keep, for each
    operation as it is done.  Views are never kept.  ``allow_cache_entry_mutation`` leaves out the check that nobody
    writes to what is kept.

    Raises TypeError or ValueError for what is neither.

    Source: ``torch.utils.checkpoint.create_selective_checkpoint_contexts``.

    >>> import functools
    >>> import chainrule as torch
    >>> from chainrule.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts
    >>> keep = functools.partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    >>> x = torch.ones(2, 2, requires_grad=True)
    >>> y = checkpoint(lambda x: (x @ x).sin(), x, use_reentrant=False, context_fn=keep)
    >>> y.sum().backward()  # sin is computed again, the product is not
    >>> x.grad
    tensor([[-1.6646, -1.6646],
            [-1.6646, -1.6646]])
    """
    if isinstance(policy_fn_or_list, list):
        for op in policy_fn_or_list:
            if not isinstance(op, OpOverload):
                more = (
                    "Please update the OpOverloadPacket to a specific OpOverload.For example, if you have "
                    "`torch.ops.aten.mm`, change it to `torch.ops.aten.mm.default`."
                ) if isinstance(op, OpOverloadPacket) else ""  # fmt: skip
                raise ValueError(
                    f"Expected op in `op_list` to be an OpOverload but got: {op} of type {type(op)}. {more}"
                )
        kept = set(policy_fn_or_list)

        def policy(ctx: Any, op: Any, *args: Any, **kwargs: Any) -> bool:
            return op in kept

    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    calls: dict[OpOverload, list[_Entry]] = defaultdict(list)
    return Setting(cache=_Keeping(policy, calls)), _Again(_Kept(calls, allow_cache_entry_mutation))
