"""Out of memory: one error, soon, that says what for; and everything as it was before."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from allocations import refusing
from chainrule import OutOfMemoryError
from op_cases import Case, all_cases

TOO_MUCH = 10**13


def text(e: BaseException) -> str:
    return "\n".join([str(e), *getattr(e, "__notes__", ())])


# --- one class, and what it says --------------------------------------------------------------------------------


def test_either_handler_works() -> None:
    assert issubclass(OutOfMemoryError, RuntimeError)
    assert issubclass(OutOfMemoryError, MemoryError)
    assert torch.OutOfMemoryError is OutOfMemoryError


def huge(*shape: int) -> Any:
    """A tensor of a great shape that takes no memory."""
    return torch.zeros((1,) * len(shape)).expand(*shape)


# what is tried: the name it must be told by, its shape, its dtype
REFUSED: dict[str, tuple[Callable[[], Any], str, list[int], str]] = {
    "zeros": (lambda: torch.zeros(TOO_MUCH), "", [TOO_MUCH], "float32"),
    "empty": (lambda: torch.empty(2**62), "", [2**62], "float32"),
    "ones": (lambda: torch.ones(2**40, 2**40, dtype=torch.float64), "", [2**40, 2**40], "float64"),
    "full": (lambda: torch.full((TOO_MUCH,), 2), "", [TOO_MUCH], "int64"),
    "zeros_like": (lambda: torch.zeros_like(huge(TOO_MUCH)), "", [TOO_MUCH], "float32"),
    "arange": (lambda: torch.arange(TOO_MUCH), "", [TOO_MUCH], "int64"),
    "linspace": (lambda: torch.linspace(0, 1, TOO_MUCH), "", [TOO_MUCH], ""),
    "eye": (lambda: torch.eye(10**7), "", [10**7, 10**7], "float32"),
    "rand": (lambda: torch.rand(TOO_MUCH), "", [TOO_MUCH], ""),
    "randn": (lambda: torch.randn(TOO_MUCH), "", [TOO_MUCH], ""),
    "number": (lambda: huge(TOO_MUCH) + 1, "Add", [TOO_MUCH], "float32"),
    "same shape": (lambda: huge(TOO_MUCH) * huge(TOO_MUCH), "Mul", [TOO_MUCH], "float32"),
    "function": (lambda: torch.exp(huge(TOO_MUCH)), "Exp", [TOO_MUCH], "float32"),
    "broadcast": (lambda: huge(2**20, 1) + huge(1, 2**25), "Add", [2**20, 2**25], "float32"),
    "matmul": (lambda: huge(2**23, 1) @ huge(1, 2**23), "Matmul", [2**23, 2**23], "float32"),
    "clone": (lambda: huge(TOO_MUCH).clone(), "Clone", [TOO_MUCH], "float32"),
    "index": (lambda: huge(TOO_MUCH)[torch.ones(1).expand(TOO_MUCH) > 2], "", [TOO_MUCH], "bool"),
}


def check_refused(name: str) -> None:
    action, operation, shape, dtype = REFUSED[name]
    with pytest.raises(OutOfMemoryError) as caught:
        action()
    said = text(caught.value)
    assert operation in said
    assert str(shape) in said
    assert dtype in said
    if dtype:
        assert f"{math.prod(shape) * np.dtype(dtype).itemsize} bytes" in said


OVERFLOWS: list[tuple[Callable[[], Any], str]] = [
    (lambda: torch.zeros(2**63), "Storage size calculation overflowed with sizes=[9223372036854775808]"),
    (lambda: torch.ones(2**40, 2**40), "Storage size calculation overflowed with sizes=[1099511627776, 1099511627776]"),
    (lambda: huge(2**40, 2**40), "can't allocate memory"),
    (lambda: torch.eye(2**40), "can't allocate memory"),
    (lambda: torch.rand(2**62, 3), "can't allocate memory"),
    (lambda: torch.arange(2**62), "can't allocate memory"),
]


def check_all() -> None:
    for name in REFUSED:
        check_refused(name)
    for action, message in OVERFLOWS:
        with pytest.raises(OutOfMemoryError) as caught:
            action()
        assert str(caught.value).startswith(message)


def in_child(code: str, megabytes: int) -> None:
    """Run ``code`` in a process that may have so much address space beyond what it uses when it starts."""
    program = f"""
import resource, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_out_of_memory
from test_out_of_memory import *
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {megabytes} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
{textwrap.dedent(code)}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# With a limit, whatever the system would promise, and never give, without one.
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="no limit of address space here")


@on_linux
def test_what_is_too_large_is_refused() -> None:
    in_child("check_all()", megabytes=256)


@on_linux
def test_a_real_limit() -> None:
    """Training until there is no memory left, and then again with less."""
    in_child(
        """
        x = torch.ones(2**20, dtype=torch.float64, requires_grad=True)  # 8 MiB
        held = []

        def loss(n):
            y = x
            for _ in range(n):
                y = (y * 1.5).tanh()  # saves its result
                held.append(y)
            return y.sum()

        for _ in range(3):
            with pytest.raises(OutOfMemoryError) as caught:
                loss(100).backward()
            assert x.grad is None
            assert "[1048576]" in text(caught.value)
            del caught
            held.clear()
        loss(4).backward()
        assert x.grad.isfinite().all()
        """,
        megabytes=256,
    )


# --- every request for memory in a training step ------------------------------------------------------------------


class Training:
    """A network, its data and its optimiser, the same each time."""

    def __init__(self, optimizer: str, layers: int) -> None:
        rng = np.random.default_rng(0)
        make = lambda *shape: torch.tensor(rng.normal(size=shape) / 2, dtype=torch.float64, requires_grad=True)
        self.layers = [(make(4, 4), make(4)) for _ in range(layers)]
        self.shift, self.x, self.y = (
            make(),
            torch.tensor(rng.normal(size=(5, 4))),
            torch.tensor(rng.normal(size=(5, 4))),
        )
        self.params = [p for layer in self.layers for p in layer] + [self.shift]
        self.optimizer = OPTIMIZERS[optimizer](self.params)

    def loss(self) -> Any:
        h = self.x
        for w, b in self.layers:
            h = torch.tanh(h @ w + b) * torch.exp(-h * h) + torch.relu(h).sqrt().clamp(0.1, 2.0)
            h = torch.softmax(h.t(), 0).t().reshape(5, 4) / (1 + h.abs()) + self.shift
        return ((h - self.y) ** 2).mean() + torch.nn.functional.cross_entropy(h, self.y.softmax(1))

    def step(self) -> None:
        self.loss().backward()
        self.optimizer.step()

    def state(self) -> Any:
        kept = self.optimizer.state
        return [
            [bits(p) for p in self.params],
            [bits(p.grad) for p in self.params],
            [{k: bits(v) for k, v in kept[p].items()} if p in kept else {} for p in self.params],
        ]


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.1),
}


def bits(t: Any) -> Any:
    return None if t is None else t.detach().numpy().tobytes() if hasattr(t, "detach") else t


@pytest.mark.parametrize(("optimizer", "layers"), [("SGD", 1), ("momentum", 5), ("Adam", 1)])
@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "second"])
def test_each_request_in_a_step_fails_in_turn(optimizer: str, layers: int, earlier: int) -> None:
    """Refused anywhere, a step leaves parameters, the optimiser's state and, until the whole sweep has been done,
    gradients as they were; repeated, it gives what it would have given."""
    reference = Training(optimizer, layers)
    for _ in range(earlier):
        reference.step()
    before = reference.state()
    reference.loss().backward()
    swept = reference.state()[1]
    reference.optimizer.step()
    after = reference.state()

    for k in range(1, 10_000):
        t = Training(optimizer, layers)
        for _ in range(earlier):
            t.step()
        try:
            with refusing(k) as requests:
                t.step()
        except MemoryError as e:
            assert type(e) is OutOfMemoryError
            assert "can't allocate memory" in str(e)
            params, grads, state = t.state()
            assert (params, state) == (before[0], before[2])
            assert grads in (before[1], swept)
            t.optimizer.zero_grad() if not earlier else restore(t, before[1])
            t.step()
        assert t.state() == after
        if not requests.refused:
            break
    assert k > 40 * layers


def restore(t: Training, grads: list[Any]) -> None:
    """Let each parameter have the gradient that it had."""
    for p, g in zip(t.params, grads, strict=True):
        p.grad = torch.tensor(np.frombuffer(g, np.float64).reshape(tuple(p.shape)))


def test_nothing_is_held_after_the_error() -> None:
    """Reference counts alone free what the failed computation had made."""
    t = Training("SGD", 5)
    gc.collect()
    gc.disable()
    try:
        for k in range(1, 300, 7):
            hidden = t.x * 2 + t.shift
            node = weakref.ref(hidden.grad_fn)
            try:
                with refusing(k):
                    (t.loss() + hidden.sum()).backward()
            except OutOfMemoryError:
                pass
            del hidden
            assert node() is None
    finally:
        gc.enable()


def test_an_operation_that_fails_leaves_numpys_warnings_as_they_were() -> None:
    before, x = np.geterr(), torch.ones(16)
    for action in (lambda: x + x, lambda: x.exp(), lambda: 2 * x, lambda: x.reshape(4, 4) @ x.reshape(4, 4)):
        with refusing(1), pytest.raises(OutOfMemoryError):
            action()
        assert np.geterr() == before


# --- every operation ------------------------------------------------------------------------------------------


# Not those that call LAPACK or such: NumPy's and SciPy's wrappers of it do not live through a refusal.
CASES = [case for case in all_cases() if case.prim.formula]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_operations(case: Case) -> None:
    """Whatever request fails in an operation or in its sweep, the error is ours, and the leaves have no gradient."""
    for k in places():
        xs = [x.detach().requires_grad_() for x in case.xs()]
        try:
            with refusing(k) as requests:
                y = case(*xs)
                if y.requires_grad:
                    y.backward(torch.ones_like(y))
        except MemoryError as e:
            assert type(e) is OutOfMemoryError
            assert [x.grad for x in xs] == [None] * len(xs)
        if not requests.refused:
            break


def places() -> Iterator[int]:
    """1, 2, 3, ...; beyond 100 only some: iterations ask again and again for the same."""
    yield from range(1, 100)
    yield from (int(100 * 1.3**n) for n in range(60))


WRITES: dict[str, Callable[[Any], Any]] = {  # of a tensor of shape (4, 5)
    "add_": lambda x: x.add_(torch.ones(4, 5)),
    "mul_ by a number": lambda x: x.mul_(2),
    "mul_ by itself": lambda x: x.mul_(x),
    "broadcast": lambda x: x.sub_(torch.ones(5)),
    "exp_": lambda x: x.exp_(),
    "copy_": lambda x: x.copy_(torch.zeros(5)),
    "fill_": lambda x: x.fill_(7),
    "row": lambda x: x[0].mul_(3),
    "slice": lambda x: x.__setitem__((slice(None), slice(1, 3)), torch.ones(4, 2, dtype=torch.int64)),
    "entries": lambda x: x.__setitem__(torch.tensor([0, 0, 1]), torch.ones(3, 5)),
    "mask": lambda x: x.__setitem__(x > 1, 0.0),
    "transposed": lambda x: x.t().add_(1),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("tracked", [False, True])
def test_writing_in_place(name: str, tracked: bool) -> None:
    """A write that fails has not begun: value, version and history are what they were."""

    def make() -> Any:
        x = torch.arange(20.0).reshape(4, 5).requires_grad_(tracked) * 1
        x.view(-1)  # somebody shares its memory
        return x

    wanted = make()
    WRITES[name](wanted)
    for k in places():
        x = make()
        before = bits(x), x._version, x.grad_fn
        try:
            with refusing(k) as requests:
                WRITES[name](x)
        except MemoryError as e:
            assert type(e) is OutOfMemoryError
            assert (bits(x), x._version, x.grad_fn) == before
            WRITES[name](x)
        assert bits(x) == bits(wanted)
        if not requests.refused:
            break
    assert k > 1
