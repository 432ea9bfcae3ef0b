"""How much a file may make of itself: memory and work are counted before they are spent."""

from __future__ import annotations

from .errors import refused

_GRANT = 60 * 2**20  # bytes that any file may come to, besides its own size
STEP = 40  # bytes that a step of the unpickler counts for, whatever it makes


class Budget:
    """Bytes left to a file for what is made of it; numbers that are kept as they stand are not counted.

    A ``trusted`` file has as many as it wants.
    """

    def __init__(self, name: str, size: int, trusted: bool = False) -> None:
        self.name, self.size, self.trusted = name, size, trusted
        self.left = _GRANT + size

    def charge(self, cost: int) -> None:
        """Take ``cost`` bytes off; LoadError if there are not as many left."""
        self.left -= cost
        if self.left < 0 and not self.trusted:
            raise refused(
                self.name,
                f"The file has {self.size} bytes and asks for far more memory than that explains",
                "A small file can be made to ask for any amount. If you know where this one comes from, lift the "
                "limit: torch.load(..., weights_only=False). No code is run then either.",
            )
