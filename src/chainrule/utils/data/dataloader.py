"""The loader: samples of a data set in batches, in this process or by workers."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ...random import Generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset, fetch
from .sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed

T_co = TypeVar("T_co", covariant=True)

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Nothing:
    """The sampler of a data set that has an order of its own: None, for ever."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Batches of a data set.

    ``dataset`` is anything with ``__getitem__`` and ``__len__``, or an :class:`IterableDataset`.  Samples are
    taken in the order of ``sampler``, shuffled with ``shuffle``, in batches of ``batch_size`` (None: single
    samples) that ``collate_fn`` makes of lists of samples; or as ``batch_sampler`` says.  The same seed shuffles as
    in PyTorch.

    With ``num_workers`` other processes fetch, each ``prefetch_factor`` batches ahead; ``worker_init_fn`` is called
    there with the worker's number, ``timeout`` is how many seconds to wait for a batch, and ``persistent_workers``
    stay for the next pass.  ``in_order=False`` gives batches as they come.  ``pin_memory`` is taken for
    compatibility.

    Raises ValueError for options that exclude each other.

    Source: ``torch.utils.data.DataLoader``.

    >>> import chainrule as torch
    >>> x, y = torch.arange(4.0), torch.tensor([0, 1, 0, 1])
    >>> loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=3)
    >>> for a, b in loader:
    ...     print(a, b)
    tensor([0., 1., 2.]) tensor([0, 1, 0])
    tensor([3.]) tensor([1])
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None,
        batch_sampler: Any = None, num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None, multiprocessing_context: Any = None,
        generator: Generator | None = None, *, prefetch_factor: int | None = None, persistent_workers: bool = False,
        pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.worker_init_fn, self.in_order, self.generator = worker_init_fn, in_order, generator
        self.multiprocessing_context = multiprocessing_context
        self._iterable = isinstance(dataset, IterableDataset)
        _check_order(self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        if sampler is None:
            sampler = (
                _Nothing() if self._iterable else RandomSampler(dataset, generator=generator) if shuffle
                else SequentialSampler(dataset)
            )  # fmt: skip
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.persistent_workers = persistent_workers
        self._promised: int | None = None  # what len() said of an iterable data set
        self._workers: Any = None  # those that persist
        self._made = True
        self.check_worker_number_rationality()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and getattr(self, "_made", False):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How workers are started: a start method's name, or a context of Python's ``multiprocessing``."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if not self.num_workers:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                        f"multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self._context = context

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        if not self.num_workers:
            return Pass(self)
        from .parallel import ParallelPass

        if not self.persistent_workers:
            self.check_worker_number_rationality()
        return ParallelPass(self)

    def __len__(self) -> int:
        if not self._iterable:
            return len(self._index_sampler)
        n = self._promised = len(self.dataset)
        if self.batch_size is not None:
            n = n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return n

    def check_worker_number_rationality(self) -> None:
        """Warn of more workers than there are processors."""
        here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if self.num_workers and (here is None or self.num_workers > here):
            aside = "" if hasattr(os, "sched_getaffinity") else " (`cpuset` is not taken into account)"
            most = (
                "DataLoader is not able to compute a suggested max number of worker in current system." if here is None
                else f"Our suggested max number of worker in current system is {here}{aside}, which is smaller than what "
                "this DataLoader is going to create."
            )  # fmt: skip
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. {most} Please be aware that "
                "excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to "
                "avoid potential slowness/freeze if necessary.", UserWarning, stacklevel=3,
            )  # fmt: skip


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if not num_workers and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and not num_workers:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_order(
    iterable: bool, batch_size: int | None, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if iterable:
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


class Fetcher:
    """Makes batches of indices: of the data set's samples there, or of the next ones if it has an order of its own."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.dataset, self.iterable = loader.dataset, loader._iterable
        self.batches, self.drop_last = loader.batch_sampler is not None, loader.drop_last
        self.collate = loader.collate_fn

    def restart(self) -> Fetcher:
        """From the first sample on."""
        self._samples = iter(self.dataset) if self.iterable else None
        self._ended = False
        return self

    def __call__(self, index: Any) -> Any:
        """The batch; StopIteration if there is none any more."""
        return self.collate(self._next(index) if self.iterable else self._at(index))

    def _at(self, index: Any) -> Any:
        return fetch(self.dataset, index) if self.batches else self.dataset[index]

    def _next(self, index: Any) -> Any:
        assert self._samples is not None
        if self._ended:
            raise StopIteration
        if not self.batches:
            return next(self._samples)
        found = []
        for _ in index:
            try:
                found.append(next(self._samples))
            except StopIteration:
                self._ended = True
                break
        if not found or (self.drop_last and len(found) < len(index)):
            raise StopIteration
        return found


class Pass:
    """One pass over a loader's batches, fetched here."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.", UserWarning, stacklevel=3,
            )  # fmt: skip
        self.loader = loader
        self._indices = iter(loader._index_sampler)
        self._yielded = 0
        self._promised = loader._promised
        self._start()

    def _start(self) -> None:
        draw_seed(self.loader.generator)  # for workers, of which there are none; PyTorch draws it all the same
        if self.loader.timeout:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher = Fetcher(self.loader).restart()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def _next_batch(self) -> Any:
        return self._fetcher(next(self._indices))

    def __next__(self) -> Any:
        batch = self._next_batch()
        self._yielded += 1
        if self.loader._iterable and self._promised is not None and self._yielded > self._promised:
            hint = (
                "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset "
                "replica at each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data."
                "IterableDataset for examples." if self.loader.num_workers else ""
            )  # fmt: skip
            warnings.warn(
                f"Length of IterableDataset {self.loader.dataset} was reported to be {self._promised}(when accessing "
                f"len(dataloader)), but {self._yielded} samples have been fetched. {hint}", UserWarning, stacklevel=2,
            )  # fmt: skip
        return batch

    def __reduce__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")
