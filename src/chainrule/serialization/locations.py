"""Where the tensors of a file go: ``map_location``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..device import device
from .errors import LoadError
from .storages import Storage

Place = Callable[[Storage, str], Storage]


def placing(map_location: Any) -> Place:
    """How to place a storage of the location that a file gives, as a user's ``map_location`` says it.

    All memory is the CPU's here; a file of another device needs to be told so.
    """
    if not (map_location is None or callable(map_location) or isinstance(map_location, (str, device, Mapping))):
        raise TypeError(f"'{type(map_location).__name__}' object is not callable")

    def place(storage: Storage, location: str) -> Storage:
        to = map_location
        if isinstance(to, Mapping):
            to = to.get(location)
        elif callable(to):
            moved = to(storage, location)
            if isinstance(moved, Storage):
                return moved
            to = moved
        where = str(location if to is None else to)
        if where.partition(":")[0] == "cpu":
            return storage
        if where.startswith("cuda"):
            raise LoadError(
                "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
                "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map "
                "your storages to the CPU."
            )
        raise LoadError(f"don't know how to restore data location of a storage (tagged with {where:.60})")

    return place
