"""Loading data: the same lines for either library ``m``, and all that can be seen of them.

``tools/record_golden.py`` writes down what PyTorch gives; ``test_data.py`` reads it, and
``parity/test_data_parity.py`` asks PyTorch itself.
"""

from __future__ import annotations

import random
import warnings
import zlib
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

Case = Callable[[Any], Any]
Point = namedtuple("Point", "x y")


def shown(m: Any, value: Any) -> Any:
    """A value as plain data, with what is a tensor told from what is not."""
    if isinstance(value, m.Tensor):
        return [str(value.dtype), list(value.shape), value.tolist()]
    if hasattr(value, "_fields"):
        return [type(value).__name__, *(shown(m, v) for v in value)]
    if isinstance(value, (dict, UserDict)):
        return [type(value).__name__, [[k, shown(m, v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(shown(m, v) for v in value)]
    if isinstance(value, (np.ndarray, np.generic)):
        return [type(value).__name__, repr(value.tolist())]
    return value.decode() if isinstance(value, bytes) else value


def outcome(m: Any, case: Case) -> Any:
    """What a case gives, from the default generator seeded with 5, and the state that leaves; or the error."""
    m.manual_seed(5)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            found = shown(m, case(m))
    except Exception as e:
        lines = str(e).splitlines()
        return ["error", type(e).__name__, lines[0].partition(" When subclassing")[0] if lines else ""]
    state = zlib.crc32(m.get_rng_state().numpy().tobytes())
    return [found, state, [str(w.message).split(" 0x")[0] for w in heard if w.category is UserWarning]]


def tensors(m: Any, n: int = 10) -> Any:
    return m.utils.data.TensorDataset(m.arange(n), m.arange(float(n)) / 2)


def shares(m: Any, n: int, rank: int, **options: Any) -> Any:
    """One process's share of ten samples, in two passes and after the next epoch begins."""
    sampler = m.utils.data.distributed.DistributedSampler(range(10), n, rank, **options)
    found = [len(sampler), list(sampler), list(sampler)]
    sampler.set_epoch(1)
    return [*found, list(sampler)]


def epochs(m: Any, n: int = 2, dataset: Any = None, **options: Any) -> Any:
    """The batches of some passes."""
    loader = m.utils.data.DataLoader(tensors(m) if dataset is None else dataset, **options)
    return [list(loader) for _ in range(n)]


def counting(m: Any, n: int = 7) -> Any:
    class Counting(m.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            return iter(range(n))

        def __len__(self) -> int:
            return n

        def __repr__(self) -> str:
            return "Counting()"

    return Counting()


def short(m: Any) -> Any:
    """An iterable data set that has more than it says."""
    found = counting(m)
    type(found).__len__ = lambda self: 2  # type: ignore[method-assign]
    loader = m.utils.data.DataLoader(found, batch_size=2)
    return [len(loader), list(loader)]


def left_early(m: Any) -> Any:
    loader = m.utils.data.DataLoader(range(10), shuffle=True, batch_size=3)
    first = next(iter(loader))
    return [first, list(loader)]


def samples(m: Any, *args: Any, name: str, **how: Any) -> Any:
    sampler = getattr(m.utils.data, name)(*args, **how)
    return [len(sampler), list(sampler), list(sampler)]


def gen(m: Any, seed: int = 3) -> Any:
    return m.Generator().manual_seed(seed)


def advanced(m: Any, **how: Any) -> Any:
    """A pass with a generator of its own, and what that gives afterwards."""
    g = gen(m)
    return [epochs(m, generator=g, **how), m.rand(2, generator=g)]


def setting(m: Any, name: str, value: Any) -> Any:
    setattr(m.utils.data.DataLoader([1, 2]), name, value)


D: dict[str, Case] = {
    "plain": lambda m: epochs(m),
    "batches": lambda m: epochs(m, batch_size=4),
    "drop last": lambda m: epochs(m, batch_size=4, drop_last=True),
    "single samples": lambda m: epochs(m, batch_size=None),
    "shuffled": lambda m: epochs(m, n=3, batch_size=3, shuffle=True),
    "shuffled by a generator": lambda m: advanced(m, batch_size=3, shuffle=True),
    "a generator and no shuffle": lambda m: advanced(m, batch_size=3),
    "left early": left_early,
    "after another draw": lambda m: [m.rand(2), epochs(m, shuffle=True, batch_size=5), m.rand(2)],
    "two at once": lambda m: list(zip(*(m.utils.data.DataLoader(range(4), shuffle=True) for _ in range(2)), strict=True)),
    "sampler": lambda m: epochs(m, sampler=[3, 1, 4], batch_size=2),
    "batch sampler": lambda m: epochs(m, batch_sampler=[[0, 1], [7], []][:2]),
    "batch sampler of a sampler": lambda m: epochs(
        m, batch_sampler=m.utils.data.BatchSampler(m.utils.data.RandomSampler(range(10)), 4, True)),
    "collate": lambda m: epochs(m, dataset=range(5), batch_size=2, collate_fn=lambda batch: sum(batch)),
    "collate of single samples": lambda m: epochs(m, dataset=range(3), batch_size=None, collate_fn=lambda x: -x),
    "lengths": lambda m: [len(m.utils.data.DataLoader(range(10), batch_size=b, drop_last=d))
                          for b in (1, 3, 10, 11) for d in (True, False)],
    "length of single samples": lambda m: len(m.utils.data.DataLoader(range(10), batch_size=None)),
    "iterable": lambda m: epochs(m, dataset=counting(m)),
    "iterable, batches": lambda m: epochs(m, dataset=counting(m), batch_size=3),
    "iterable, drop last": lambda m: epochs(m, dataset=counting(m), batch_size=3, drop_last=True),
    "iterable, single": lambda m: epochs(m, dataset=counting(m), batch_size=None),
    "iterable, lengths": lambda m: [len(m.utils.data.DataLoader(counting(m), batch_size=b)) for b in (2, None)],
    "iterable that is longer": short,
    "pinned": lambda m: epochs(m, pin_memory=True),
    "arrays": lambda m: epochs(m, dataset=[np.arange(2), np.arange(2, 4)], batch_size=2),
    "arrays, single": lambda m: epochs(m, dataset=[np.arange(2), np.float32(3), "a", (np.int8(1),)], batch_size=None),
    "empty": lambda m: epochs(m, dataset=[]),
    # samplers
    "sequential": lambda m: samples(m, range(4), name="SequentialSampler"),
    "random": lambda m: samples(m, range(9), name="RandomSampler"),
    "random, of a generator": lambda m: samples(m, range(9), generator=gen(m), name="RandomSampler"),
    "random, fewer": lambda m: samples(m, range(9), num_samples=4, name="RandomSampler"),
    "random, more": lambda m: samples(m, range(9), num_samples=22, generator=gen(m), name="RandomSampler"),
    "random, twice as many": lambda m: samples(m, range(9), num_samples=18, generator=gen(m), name="RandomSampler"),
    "random, replaced": lambda m: samples(m, range(9), True, name="RandomSampler"),
    "random, replaced, many": lambda m: samples(m, range(9), True, 70, generator=gen(m), name="RandomSampler"),
    "random, replaced, 64": lambda m: samples(m, range(9), True, 64, generator=gen(m), name="RandomSampler"),
    **{
        f"share {rank} of {n}, {options}": lambda m, n=n, rank=rank, options=options: shares(m, n, rank, **options)
        for n, rank in ((3, 0), (3, 2), (20, 13), (2, 2)) for options in ({}, {"shuffle": False}, {"drop_last": True}, {"seed": 3})
    },
    "share of nothing": lambda m: list(m.utils.data.DistributedSampler([], 2, 0)),
    "share of an unknown number": lambda m: m.utils.data.DistributedSampler(range(3)),
    "subset": lambda m: samples(m, [5, 7, 2, 0], name="SubsetRandomSampler"),
    "subset, of a generator": lambda m: samples(m, "abcd", generator=gen(m), name="SubsetRandomSampler"),
    "weighted": lambda m: samples(m, [0.1, 3, 0.0, 2], 8, name="WeightedRandomSampler"),
    "weighted, not replaced": lambda m: samples(m, m.tensor([0.1, 3, 0.5, 2]), 3, False, generator=gen(m),
                                                name="WeightedRandomSampler"),
    "batch": lambda m: samples(m, range(7), 3, False, name="BatchSampler"),
    "batch, drop last": lambda m: samples(m, range(7), 3, True, name="BatchSampler"),
    # data sets
    "tensors": lambda m: [len(tensors(m)), tensors(m)[3], tensors(m)[-1], tensors(m)[2:4], tensors(m)[[0, 5]]],
    "tensors of several lengths": lambda m: m.utils.data.TensorDataset(m.ones(2), m.ones(3)),
    "stack": lambda m: [(d := m.utils.data.StackDataset([1, 2, 3], "abc"))[1], len(d), d.__getitems__([2, 0])],
    "stack by name": lambda m: [(d := m.utils.data.StackDataset(x=[1, 2], y="ab"))[1], d.__getitems__([1])],
    "stack loaded": lambda m: epochs(m, dataset=m.utils.data.StackDataset(x=range(5), y=tensors(m, 5)), batch_size=2),
    "stack of both": lambda m: m.utils.data.StackDataset([1], x=[1]),
    "stack of none": lambda m: m.utils.data.StackDataset(),
    "stack of several lengths": lambda m: m.utils.data.StackDataset([1], [1, 2]),
    "concat": lambda m: [m.utils.data.ConcatDataset([range(3), "ab", []])[i] for i in (0, 2, 3, 4, -1, -5)],
    "concat, sizes": lambda m: [(d := m.utils.data.ConcatDataset([range(3), "ab"])).cumulative_sizes, len(d)],
    "concat, too negative": lambda m: m.utils.data.ConcatDataset([range(3)])[-4],
    "concat, too large": lambda m: m.utils.data.ConcatDataset([range(3)])[3],
    "concat of none": lambda m: m.utils.data.ConcatDataset([]),
    "concat of an iterable": lambda m: m.utils.data.ConcatDataset([counting(m)]),
    "sum": lambda m: [list(range(20))[i] for i in range(0)] or (tensors(m) + tensors(m, 3))[11],
    "chain": lambda m: [list(d := m.utils.data.ChainDataset([counting(m, 3), counting(m, 2)])), len(d)],
    "chain by sum": lambda m: list(counting(m, 2) + counting(m, 2)),
    "chain of a list": lambda m: list(m.utils.data.ChainDataset([[1]])),
    "subset of tensors": lambda m: [(d := m.utils.data.Subset(tensors(m), [7, 1, 3]))[0], len(d), d.__getitems__([2, 1])],
    "subset, several": lambda m: m.utils.data.Subset(tensors(m), [7, 1, 3])[[0, 2]],
    "subset, overridden": lambda m: type("Mine", (m.utils.data.Subset,), {"__getitem__": lambda s, i: 1})([1], [0]),
    "subset loaded": lambda m: epochs(m, dataset=m.utils.data.Subset(tensors(m), [7, 1, 3]), batch_size=2, shuffle=True),
    "split": lambda m: [list(part) for part in m.utils.data.random_split(range(10), [3, 7])],
    "split by a generator": lambda m: [p.indices for p in m.utils.data.random_split(range(10), [3, 7], gen(m))],
    "split by fractions": lambda m: [p.indices for p in m.utils.data.random_split(range(11), [0.5, 0.3, 0.2])],
    "split by thirds": lambda m: [len(p) for p in m.utils.data.random_split(range(11), [1 / 3] * 3)],
    "split into nothing": lambda m: [len(p) for p in m.utils.data.random_split(range(2), [0.1, 0.9, 0.0])],
    "split into too much": lambda m: m.utils.data.random_split(range(10), [3, 8]),
    "split, negative": lambda m: m.utils.data.random_split(range(10), [-0.5, 1.5]),
    "base": lambda m: m.utils.data.Dataset()[0],
    # collate
    "convert": lambda m: m.utils.data.default_convert(
        [1, 2.0, "a", b"b", None, np.arange(2), np.float32(1), np.array(["x"]), (np.ones(1), 2), Point(np.ones(1), 1),
         {"k": np.zeros(1)}, OrderedDict(a=np.zeros(1)), m.ones(1)]),
    "collate numbers": lambda m: [m.utils.data.default_collate(b) for b in (
        [1, 2], [1.5, 2], [True, False], ["a", "b"], [b"a", b"b"], [np.float32(1), np.float32(2)], [np.int16(3)] * 2)],
    "collate tensors": lambda m: m.utils.data.default_collate([m.ones(2), m.zeros(2)]),
    "collate arrays": lambda m: m.utils.data.default_collate([np.ones(2), np.zeros(2)]),
    "collate tuples": lambda m: m.utils.data.default_collate([(1, (2.0, "a")), (3, (4.0, "b"))]),
    "collate lists": lambda m: m.utils.data.default_collate([[1, [2, 3]], [4, [5, 6]]]),
    "collate points": lambda m: m.utils.data.default_collate([Point(1, 2), Point(3, 4)]),
    "collate dicts": lambda m: m.utils.data.default_collate([{"a": 1, "b": [1, 2]}, {"b": [3, 4], "a": 5}]),
    "collate ordered dicts": lambda m: m.utils.data.default_collate([OrderedDict(a=1), OrderedDict(a=2)]),
    "collate user dicts": lambda m: m.utils.data.default_collate([UserDict(a=1), UserDict(a=2)]),
    "collate ranges": lambda m: m.utils.data.default_collate([range(2), range(2)]),
    "collate none": lambda m: m.utils.data.default_collate([None]),
    "collate sets": lambda m: m.utils.data.default_collate([{1}]),
    "collate complex": lambda m: m.utils.data.default_collate([1j]),
    "collate texts in arrays": lambda m: m.utils.data.default_collate([np.array(["a"])]),
    "collate of several lengths": lambda m: m.utils.data.default_collate([[1], [1, 2]]),
    "collate of several keys": lambda m: m.utils.data.default_collate([{"a": 1}, {"b": 1}]),
    # options that exclude each other
    "negative workers": lambda m: epochs(m, num_workers=-1),
    "negative timeout": lambda m: epochs(m, timeout=-1),
    "timeout without workers": lambda m: epochs(m, timeout=1),
    "prefetch without workers": lambda m: epochs(m, prefetch_factor=2),
    "negative prefetch": lambda m: epochs(m, prefetch_factor=-2, num_workers=1),
    "persistent without workers": lambda m: epochs(m, persistent_workers=True),
    "context without workers": lambda m: epochs(m, multiprocessing_context="spawn"),
    "unknown context": lambda m: epochs(m, multiprocessing_context="walk", num_workers=1),
    "odd context": lambda m: epochs(m, multiprocessing_context=5, num_workers=1),
    "shuffle and sampler": lambda m: epochs(m, shuffle=True, sampler=[1]),
    "batch sampler and size": lambda m: epochs(m, batch_sampler=[[1]], batch_size=2),
    "no batches and drop last": lambda m: epochs(m, batch_size=None, drop_last=True),
    "batches of 0": lambda m: epochs(m, batch_size=0),
    "batches of 1.5": lambda m: epochs(m, batch_size=1.5),
    "drop last of 1": lambda m: m.utils.data.BatchSampler([1], 1, 1),
    "shuffle an iterable": lambda m: epochs(m, dataset=counting(m), shuffle=True),
    "sampler of an iterable": lambda m: epochs(m, dataset=counting(m), sampler=[1]),
    "batch sampler of an iterable": lambda m: epochs(m, dataset=counting(m), batch_sampler=[[1]]),
    "shuffle nothing": lambda m: epochs(m, dataset=[], shuffle=True),
    "random of none": lambda m: m.utils.data.RandomSampler(range(3), num_samples=0),
    "random, replaced by 1": lambda m: m.utils.data.RandomSampler(range(3), replacement=1),
    "weighted of none": lambda m: m.utils.data.WeightedRandomSampler([1.0], 0),
    "weighted, replaced by 1": lambda m: m.utils.data.WeightedRandomSampler([1.0], 1, 1),
    "weighted by a matrix": lambda m: m.utils.data.WeightedRandomSampler([[1.0]], 1),
    "set batch size": lambda m: setting(m, "batch_size", 2),
    "set sampler": lambda m: setting(m, "sampler", [1]),
    "set data set": lambda m: setting(m, "dataset", [1]),
}  # fmt: skip


# --- with workers: what is seen from inside them, by functions that can be sent to them ---------------------------


class Drawing:
    """A data set whose samples are random numbers of every kind, and who drew them."""

    def __init__(self, m: Any, n: int = 8) -> None:
        self.name, self.n = m.__name__, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        m = __import__(self.name)
        import sys

        info = sys.modules[f"{self.name}.utils.data"].get_worker_info()
        who = [] if info is None else [info.id, info.num_workers, info.seed]
        return [i, float(m.rand(()).item()), random.random(), float(np.random.rand()), who]


def listed(batch: Any) -> Any:
    return list(batch)


class Failing:
    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        if i == 2:
            raise self.kind("number two")
        return i


class OddError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} {b}")


def sharing(m: Any, n: int = 9) -> Any:
    """An iterable data set that gives each worker its share."""

    class Sharing(m.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            info = m.utils.data.get_worker_info()
            return iter(range(n)) if info is None else iter(range(info.id, n, info.num_workers))

    return Sharing()


def prepared(m: Any) -> Any:
    """What ``worker_init_fn`` did is seen."""

    class Seen:
        mark = -1

        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> int:
            return Seen.mark

    def prepare(worker: int) -> None:
        Seen.mark = worker

    return epochs(m, dataset=Seen(), num_workers=2, worker_init_fn=prepare)


def failing(m: Any, kind: type[BaseException], **how: Any) -> Any:
    """The batches before an error, the error, and those behind it."""
    found: list[Any] = []
    batches = iter(m.utils.data.DataLoader(Failing(kind), num_workers=2, **how))
    while True:
        try:
            found.append(next(batches))
        except StopIteration:
            return found
        except Exception as e:
            text = str(e)
            assert "in __getitem__" in text
            found.append([type(e).__name__, text.splitlines()[0], text.splitlines()[1], "number two" in text])


WORKERS: dict[str, Case] = {
    "seeds": lambda m: epochs(m, dataset=Drawing(m), num_workers=2, batch_size=2, collate_fn=listed),
    "seeds, persistent": lambda m: epochs(m, dataset=Drawing(m), num_workers=2, batch_size=2, collate_fn=listed,
                                          persistent_workers=True, shuffle=True),
    "seeds of a generator": lambda m: epochs(m, dataset=Drawing(m), num_workers=2, generator=gen(m), collate_fn=listed,
                                             shuffle=True),
    "shuffled": lambda m: epochs(m, n=2, batch_size=3, shuffle=True, num_workers=2),
    "shuffled by a generator": lambda m: advanced(m, batch_size=3, shuffle=True, num_workers=2, prefetch_factor=1),
    "prefetched": lambda m: epochs(m, batch_size=2, num_workers=2, prefetch_factor=4),
    "single samples": lambda m: epochs(m, batch_size=None, num_workers=1),
    "iterable, each all": lambda m: [sorted(b.item() for b in e) for e in epochs(m, dataset=counting(m), num_workers=2)],
    "iterable, in turn": lambda m: epochs(m, dataset=counting(m), num_workers=2, batch_size=3),
    "iterable, shared": lambda m: epochs(m, dataset=sharing(m), num_workers=2, batch_size=2, persistent_workers=True),
    "iterable, drop last": lambda m: epochs(m, dataset=sharing(m), num_workers=2, batch_size=2, drop_last=True),
    "any order": lambda m: sorted(b[0].item() for b in epochs(m, 1, num_workers=2, in_order=False)[0]),
    "prepared": prepared,
    "ValueError": lambda m: failing(m, ValueError),
    "KeyError": lambda m: failing(m, KeyError),
    "persistent ValueError": lambda m: failing(m, ValueError, persistent_workers=True),
    "left early": lambda m: [next(iter(m.utils.data.DataLoader(range(100), num_workers=2))), m.rand(1)],
}  # fmt: skip

CASES = {**D, **{f"workers: {name}": case for name, case in WORKERS.items()}}
