"""How optimisers move their parameters: an optimiser gives a formula, and here it is carried out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter, is_, setitem
from typing import Any, ClassVar, TypeAlias

import numpy as np

from .. import dtypes
from ..arrays.namespace import dtype_of, namespace
from ..errors import explained
from ..node import Box
from ..ops import namespace as boxes
from ..tensor import Tensor, wrap
from ..writes import store
from .inplace import Formula, Move, Plan, Workshop, notes, run, written
from .update import Rule, assignment, filled, split

State: TypeAlias = dict[str, Any]

_ndarray = np.ndarray
_NONE: State = {}
_LATER = ((2.0,), (1.0,))  # the number of a step that is not counted, by whether it is the first
_COPY = repeat(np.positive)
_array = attrgetter("_a")
_TENSORS = ("lr", "weight_decay", "betas")  # options that may be tensors
_ACCELERATORS = ("cuda", "xpu", "hpu", "privateuseone")
_FUSED = ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


def number(option: Any, recorded: bool = False) -> Any:
    """An option as Python numbers; ``recorded``, a tensor that wants a gradient stays one."""
    if isinstance(option, (tuple, list)):
        return tuple([number(o, recorded) for o in option])
    if isinstance(option, Tensor):
        return (option.squeeze() if option.dim() else option) if recorded and option._rg else option.item()
    return option.item() if isinstance(option, np.generic) else option


def scalar(value: float, group: dict[str, Any]) -> Tensor:
    """A number of a state, as PyTorch keeps it."""
    wide = dtypes.default_float() == np.float64 and not group.get("fused")
    return wrap(np.array(value, np.float64 if wide else np.float32))


def _numbers(counts: Sequence[Any]) -> tuple[Any, ...]:
    """The numbers of a parameter's next step, from those in its state."""
    if isinstance(counts[0], Box):  # that are not known yet
        return (boxes.astype(counts[0], np.float64) + 1, *counts[1:])
    return (1 + float(counts[0]), *[x[()] for x in counts[1:]])


class Recipe:
    """How a group's parameters are moved with the options it has.  ``entries`` are those of their states."""

    def __init__(self, key: Any, entries: tuple[str, ...], n: int, at: Callable[..., Any], formula: Formula) -> None:
        self.key, self.entries, self.n, self.at, self.formula = key, entries, n, at, formula
        self._plans: dict[int, tuple[Plan, list[float]]] = {}
        self.turns: dict[Any, Turn] = {}  # if steps are not counted: the first, and all others

    def planned(self, k: int) -> tuple[Plan, list[float]]:
        """The plan for the formula of ``k`` numbers, and the other numbers in it."""
        found = self._plans.get(k)
        if found is None:
            found = self._plans[k] = written(self.formula, k, self.n)
        return found


class Turn:
    """The n-th step of those parameters of a group that are at it."""

    def __init__(self, recipe: Recipe, numbers: tuple[Any, ...], counts: list[Any]) -> None:
        now, new = recipe.at(*numbers)
        self.plan, constants = recipe.planned(len(now))
        self.all = (*now, *constants)
        self.counts = [np.array(value, x.dtype) for x, value in zip(counts, (numbers[0], *new), strict=False)]
        self._values: dict[Any, Any] = {}

    def values(self, dtype: Any) -> Any:
        """The numbers of the plan as an array."""
        found = self._values.get(dtype)
        if found is None:
            found = self._values[dtype] = np.array(self.all, dtype)
        return found


class Steps:
    """What an optimiser says about its steps, and how they are taken."""

    _numbers: ClassVar[dict[str, float]] = {"step": 0.0}  # the numbers of a state, first how many steps, at its start
    _elementwise = True  # each element moves by itself, and the formula is made of what notes know
    _decays = True  # weight decay is not left to the formula
    _watched = "params and state_steps"  # what PyTorch's refusal of ``capturable`` names
    _beyond: tuple[str, ...] = ("xla",)  # and the accelerators at the end of its list

    state: defaultdict[Any, State]
    defaults: dict[str, Any]
    _moves: dict[Tensor, Move]
    _recipes: dict[int, Recipe]
    _workshop: Workshop

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        """Which entries of a parameter's state the formula takes and gives, in its order."""
        return ()

    def _start(self, p: Tensor, group: dict[str, Any]) -> State:
        """The state of a parameter before its first step."""
        numbers = {name: scalar(value, group) for name, value in self._numbers.items()}
        return {**numbers, **{name: filled(p) for name in self._names(group, p)}}

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        """How this optimiser moves a parameter, with the options of ``group`` worked out: ``(at, move)``.

        ``at(t, *numbers)`` takes the number of the step, 1 for the first, and the other ``_numbers`` of the state, and
        gives what the formula needs of them, as a tuple, and the new numbers.  ``move(now, p, g, *state)`` gets that
        tuple and arrays, those of the state as ``_names`` has them, and gives the new p and state.  It is plain
        arithmetic over arrays whose namespace is ``xp``, and changes none.  The sign for climbing and weight decay
        have been taken care of.  An optimiser that counts no steps takes all after the first for number 2.
        """
        raise NotImplementedError

    # --- in place ---

    def _plan(self, group: dict[str, Any], i: int, moved: list[Tensor], calls: list[Any]) -> None:
        """For the parameters of the i-th group that have a gradient: note which tensors change, and the calls that do it.

        No call is carried out yet, so that what can fail comes before what changes anything.
        """
        states, moves = self.state, self._moves
        recipe = None
        known: dict[Any, Turn] = {}
        last: Any = None
        numbers: Any = None
        held: dict[int, Turn] = {}  # whose numbers will be where, by then
        own = 1 + len(self._numbers)  # where a parameter's arrays of its own shape begin, after itself and the numbers
        for p in group["params"]:
            if p._grad is None:
                continue
            a, g = p._a, p._grad._a
            if type(a) is not _ndarray or type(g) is not _ndarray:
                a, g = _together(p, g)
            if type(a) is not _ndarray or type(g) is not _ndarray or not self._elementwise:
                self._plan_alone(p, g, group, moved, calls)
                continue
            if recipe is None:
                recipe = self._recipe(group, i, p)
                if own == 1:
                    known = recipe.turns
            state = states.get(p)
            fresh = not state
            if not state:
                state = self._start(p, group) if recipe.entries else _NONE
            olds = [*map(state.__getitem__, recipe.entries)]
            arrays = [a, *map(_array, olds)]
            at = _LATER[fresh] if own == 1 else _numbers(arrays[1:own])
            turn = known.get(at)
            if turn is None:
                turn = known[at] = Turn(recipe, at, arrays[1:own])
            move = moves.get(p)
            if move is None or move.plan is not turn.plan or not all(map(is_, arrays, move.arrays)):
                arrays = [a, *[x._own() for x in olds]]
                move = moves[p] = Move(turn.plan, arrays, own, self._workshop, i)
            if turn is not last or move.numbers is not numbers:
                last, numbers = turn, move.numbers
                if held.get(id(numbers), numbers.holds) is not turn:
                    held[id(numbers)] = turn
                    calls.append((np.positive, turn.values(move.dtype), numbers.array))
                    calls.append((setattr, numbers, "holds", turn))
            move.add_to(calls, g)
            if turn.counts:
                calls += zip(_COPY, turn.counts, arrays[1:own], strict=False)
            if fresh and recipe.entries:
                calls.append((setitem, states, p, state))
            moved.append(p)
            moved += olds

    def _recipe(self, group: dict[str, Any], i: int, p: Tensor) -> Recipe:
        """How to move parameters like ``p`` of the i-th group, worked out anew, and looked at, if an option has changed."""
        key = tuple(map(group.get, self.defaults))
        found = self._recipes.get(i)
        if found is None or found.key != key:
            self._check_step(group)
            names = self._names(group, p)
            found = Recipe(key, (*self._numbers, *names), len(names) + 2, *self._prepared(group, notes))
            if not any(isinstance(o, Tensor) for v in key for o in (v if isinstance(v, (tuple, list)) else [v])):
                self._recipes[i] = found  # a tensor may hold another number next time
        return found

    # --- otherwise ---

    def _plan_alone(self, p: Tensor, g: Any, group: dict[str, Any], moved: list[Tensor], calls: list[Any]) -> None:
        """The same for a parameter whose array cannot be written to, or a formula that is not elementwise."""
        state, olds, found, others = self._moved(p, g, group, namespace((p._a, g)), lambda x: x._a)
        calls += [assignment(x, value) for x, value in zip((p, *olds), found, strict=True)]
        calls += others
        moved += (p, *olds, *map(state.__getitem__, self._numbers))

    def _step_recorded(self, group: dict[str, Any]) -> None:
        """Move the parameters of a ``differentiable`` group, recorded as any computation is."""
        for p in group["params"]:
            if p._grad is not None:
                state, _, (first, *others), calls = self._moved(p, p._grad, group, boxes, lambda x: x.clone())
                p.copy_(first)  # what was recorded of the old value is a copy's
                names = self._names(group, p)
                run([*[(setitem, state, name, x) for name, x in zip(names, others, strict=True)], *calls])

    def _moved(
        self, p: Tensor, g: Any, group: dict[str, Any], xp: Any, array: Callable[[Tensor], Any]
    ) -> tuple[State, list[Tensor], tuple[Any, ...], list[Any]]:
        """A parameter's state, what of it moves, the new values with the parameter's, and the calls for the rest."""
        self._check_step(group)
        state = self.state.get(p)
        fresh = not state
        if not state:
            state = self._start(p, group)
        counts = [state[name]._own() for name in self._numbers]
        numbers = _numbers(counts) if counts else _LATER[fresh]
        at, formula = self._prepared(group, xp)
        now, new = at(*numbers)
        known = not any(isinstance(x, Box) for x in counts)
        now = tuple([boxes.astype(x, p._dtype) if isinstance(x, Box) and not known else x for x in now])
        if self._elementwise and p.is_complex():
            formula = split(formula, xp)
        olds = [state[name] for name in self._names(group, p)]
        calls: list[Any] = [
            (store, state[name], wrap(boxes.astype(v, dtype_of(x))))
            if isinstance(x, Box)
            else (setitem, x, ..., number(v))
            for name, x, v in zip(self._numbers, counts, (numbers[0], *new), strict=False)
        ]
        if fresh and state:
            calls.append((setitem, self.state, p, state))
        found = formula(now, array(p), g, *map(array, olds))
        found = tuple(
            [boxes.astype(v, p._dtype) if isinstance(v, Box) and dtype_of(v) != p._dtype else v for v in found]
        )
        return state, olds, found, calls

    # --- what all have in common ---

    def _prepared(self, group: dict[str, Any], xp: Any) -> Rule:
        """The rule of a group with what all optimisers do first: the sign for climbing, and weight decay."""
        options = {**group, **{name: number(group[name], xp is boxes) for name in _TENSORS if name in group}}
        at, formula = self._rule(options, xp)
        climb, decay = options.get("maximize"), options.get("weight_decay", 0) if self._decays else 0
        if not climb and decay == 0:
            return at, formula
        kept = 1 - options["lr"] * decay if options.get("decoupled_weight_decay") else None

        def move(now: Any, p: Any, g: Any, *state: Any) -> tuple[Any, ...]:
            if climb:
                g = -g
            if decay != 0:
                if kept is None:
                    g = g + decay * p
                else:
                    p = p * kept
            return formula(now, p, g, *state)

        return at, move

    def _check_step(self, group: dict[str, Any]) -> None:
        """Refuse what PyTorch refuses when a step is taken with options that it has not seen before."""
        if group.get("capturable"):
            raise explained(
                AssertionError(
                    f"If capturable=True, {self._watched} must be on supported devices: "
                    f"{[*_ACCELERATORS, *self._beyond]}."
                    "\nA step is captured in a graph on accelerators only: leave capturable=False."
                )
            )
        if group.get("differentiable") and group.get("foreach") and self._numbers:
            raise explained(
                AssertionError(
                    "_foreach ops don't support autograd"
                    "\nA step is recorded with differentiable=True alone: leave foreach=None."
                )
            )
        if group.get("fused"):
            for p in group["params"]:
                if p._grad is not None and not p.is_floating_point():
                    raise RuntimeError(
                        "`fused=True` requires all the params to be floating point Tensors of supported devices: "
                        f"{_FUSED} but {p.dtype} and {p.device}"
                    )


def _together(p: Tensor, g: Any) -> tuple[Any, Any]:
    """A parameter's array, of no dimension or not NumPy's, and its gradient: computed, if the parameter is numbers."""
    a = p._own()
    if isinstance(a, _ndarray):
        a = np.asarray(a)  # a memory map, say: the same memory, without what its class would do
    return a, np.asarray(g) if type(a) is _ndarray and not isinstance(g, Box) else g
