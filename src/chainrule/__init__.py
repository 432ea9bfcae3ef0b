"""chainrule: derivatives with PyTorch's API, on NumPy.

>>> import chainrule as torch
>>> x = torch.tensor(2.0, requires_grad=True)
>>> y = 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5
>>> y.backward()
>>> x.grad
tensor(233.)
"""

from __future__ import annotations

import importlib as _importlib
import math as _math
from types import ModuleType as _ModuleType

from . import autograd
from . import numpy_calls as _numpy_calls
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .autograd.anomaly_mode import is_anomaly_check_nan_enabled, is_anomaly_enabled, set_anomaly_enabled
from .creation import (
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    is_tensor,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    zeros,
    zeros_like,
)  # fmt: skip
from .device import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from .dtypes import (
    Size,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)  # fmt: skip
from .dtypes import bool_ as bool
from .errors import MissingExtra, OutOfMemoryError
from .errors import explained as _explained
from .interop import from_dlpack, frombuffer
from .modes import is_inference
from .ops import find as _find
from .ops import functions as _later
from .ops import public as _public
from .printing import set_printoptions
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .tensor import Tensor

float, double, half = float32, float64, float16
int, long, short = int32, int64, int16
cfloat, cdouble, chalf = complex64, complex128, complex64
inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None

__version__ = "0.1.0"

globals().update(_public)

# Loaded when first asked for, so that ``import chainrule`` stays quick.
_PACKAGES = (
    "_dynamo",
    "accelerator",
    "array_api",
    "backends",
    "compiler",
    "cuda",
    "explain",
    "fft",
    "func",
    "linalg",
    "masked",
    "nn",
    "optim",
    "serialization",
    "signal",
    "special",
    "utils",
)
_LAZY = {
    "compile": "compiler", "load": "serialization", "save": "serialization", "typename": "nn.parameter", "vmap": "func",
    **dict.fromkeys(
        ("normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm"), "sampling"
    ),
    **dict.fromkeys(
        ("BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
         "ShortTensor", "set_default_tensor_type"), "tensor_types"
    ),
    **dict.fromkeys(
        ("are_deterministic_algorithms_enabled", "get_default_device", "get_float32_matmul_precision", "get_num_threads",
         "is_deterministic_algorithms_warn_only_enabled", "set_default_device", "set_float32_matmul_precision",
         "set_num_threads", "use_deterministic_algorithms"), "settings"
    ),
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        found: object = getattr(_importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = found
        return found
    if name in _later:
        globals()[name] = found = _find(name)
        return found
    raise _explained(
        AttributeError(
            f"module 'chainrule' has no attribute {name!r}\nPyTorch's API is covered in part: the documentation lists what is."
        )
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES, *_LAZY, *_later})


__all__ = sorted(
    {n for n, v in globals().items() if not n.startswith("_") and not isinstance(v, _ModuleType) and n != "annotations"}
    | {"autograd", "random", *_PACKAGES, *_LAZY, *_later}
)
