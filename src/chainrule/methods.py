"""The methods that operations attach to Tensor.  Their signatures, for type checkers, are in methods.pyi."""


class TensorMethods:
    """Functions that operations make methods."""

    __slots__ = ()
