"""The methods that operations attach to Tensor.  Their signatures, for type checkers, are in methods.pyi."""


class TensorMethods:
    __slots__ = ()
