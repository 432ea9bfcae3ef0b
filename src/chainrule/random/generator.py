"""Generators of random numbers, as PyTorch's users meet them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..device import device as _device
from ..errors import explained
from ..forks import renewed
from ..tensor import Tensor, wrap
from .discrete import Discrete


class Generator(Discrete):
    """A stream of pseudo-random numbers equal to that of a PyTorch CPU generator.

    ``device`` is "cpu".  Draws may come from several threads: each is atomic.  Besides PyTorch's methods
    there is one for each kind of draw, which gives a NumPy array.

    Source: ``torch.Generator``.

    >>> import chainrule as torch
    >>> torch.rand(3, generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682, 0.0885])
    """

    def __init__(self, device: Any = "cpu") -> None:
        if (kind := _device(device).type) != "cpu":
            raise RuntimeError(f"Cannot get {kind.upper()} generator without ATen_{kind} library.")
        super().__init__()

    @property
    def device(self) -> _device:
        """Where it draws: ``device(type='cpu')``."""
        return _device("cpu")

    def manual_seed(self, seed: int) -> Generator:
        """Restart the stream at ``seed``, in ``[-2**63, 2**64)``; a negative one counts from ``2**64``.

        Seeds that agree in their low 32 bits give the same stream.  Raises ValueError out of range.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._restart(int(seed) % 2**64)
        return self

    def get_state(self) -> Tensor:
        """The whole state as a tensor of 5056 bytes, laid out as PyTorch lays them out."""
        return wrap(np.frombuffer(bytearray(self._get_bytes()), np.uint8))

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state of :meth:`get_state` or of PyTorch.  Raises if it is not one."""
        if not isinstance(new_state, Tensor):
            raise explained(
                TypeError(
                    f"expected a torch.ByteTensor, but got {_name(new_state)}"
                    "\nA state is what get_state() returned; bytes of PyTorch's become one by torch.from_numpy(...)."
                )
            )
        if new_state._dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self._set_bytes(new_state.numpy().tobytes())
        return self

    def clone_state(self) -> Generator:
        """Another generator, in the state that this one is in."""
        twin = Generator()
        twin._set_bytes(self._get_bytes())
        return twin

    def graphsafe_get_state(self) -> Generator:
        """Refused, as for PyTorch's CPU generators: it is for CUDA graphs."""
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state: Generator) -> Generator:
        """Refused, as for PyTorch's CPU generators: it is for CUDA graphs."""
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def __getstate__(self) -> bytes:
        return self._get_bytes()

    def __setstate__(self, state: bytes) -> None:
        self.__init__()  # type: ignore[misc]
        self._set_bytes(state)


def _name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


default_generator = Generator()
default_generator.seed()


@renewed
def _unlock() -> None:
    default_generator._lock = threading.Lock()


recorder: ContextVar[Any] = ContextVar("chainrule.random", default=None)  # who has draws written down


def drawing(generator: Generator | None) -> Generator:
    """The generator to draw from: the one given, or the default one; or what writes down what it is asked for."""
    if generator is None:
        generator = default_generator
    elif not isinstance(generator, Generator):
        raise explained(
            TypeError(
                f"argument 'generator' must be torch.Generator, not {type(generator).__name__}"
                "\nMake one: torch.Generator().manual_seed(0)."
            )
        )
    writer = recorder.get()
    return generator if writer is None else writer.generator(generator)


def manual_seed(seed: int) -> Generator:
    """Restart the default stream at ``int(seed)`` and return its generator.

    Source: ``torch.manual_seed``.

    >>> import chainrule as torch
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     torch.rand(1)
    tensor([0.4963])
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Restart the default stream at a seed drawn from the operating system, and return it.

    Source: ``torch.seed``.
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default stream started from.

    Source: ``torch.initial_seed``.
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, 5056 bytes as PyTorch lays them out.

    Source: ``torch.get_rng_state``.

    >>> import chainrule as torch
    >>> torch.get_rng_state().shape
    torch.Size([5056])
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator into a state that :func:`get_rng_state`, here or in PyTorch, gave.

    Source: ``torch.set_rng_state``.
    """
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:  # fmt: skip
    """A context whose draws from the default generator leave no trace: its state is put back at the end.

    ``devices`` and ``device_type`` are taken for compatibility: there is one generator.  Not ``enabled``, it
    does nothing.

    Source: ``torch.random.fork_rng``.

    >>> import chainrule as torch
    >>> before = torch.get_rng_state()
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    if not enabled:
        yield
        return
    before = default_generator._get_bytes()
    try:
        yield
    finally:
        default_generator._set_bytes(before)
