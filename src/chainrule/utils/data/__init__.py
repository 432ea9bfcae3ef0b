"""PyTorch's ``torch.utils.data``: data sets, samplers, and the loader that makes batches of them.

``dataset`` and ``sampler`` say what there is and in which order, ``collate`` makes batches of samples,
``dataloader`` loads them in this process, ``parallel`` by workers.
"""

from __future__ import annotations

from . import distributed
from .collate import collate, default_collate, default_collate_fn_map, default_convert
from .dataloader import DataLoader
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .parallel import get_worker_info
from .progress import progress
from .sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataLoader", "Dataset", "DistributedSampler",
    "IterableDataset", "RandomSampler",
    "Sampler", "SequentialSampler", "StackDataset", "Subset", "SubsetRandomSampler", "TensorDataset",
    "WeightedRandomSampler", "collate", "default_collate", "default_collate_fn_map", "default_convert",
    "distributed", "get_worker_info", "progress", "random_split",
]  # fmt: skip
