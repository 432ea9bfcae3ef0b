"""Functions of complex numbers, holomorphic and not, for any library with PyTorch's names; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Function = Callable[[Any, Any], Any]


def _written_by_index(T: Any, z: Any) -> Any:
    y = z * 1
    y[0] = z[1] * 2
    return y * y


def _real_part_assigned(T: Any, z: Any) -> Any:
    y = z * 1
    y.real = z.imag * 2
    return y * y


def _imaginary_part_multiplied(T: Any, z: Any) -> Any:
    y = z * 1
    y.imag.mul_(3)
    return y * y


def _view_written(T: Any, z: Any) -> Any:
    y = z * 1
    T.view_as_real(y)[:, 1].add_(z.abs())
    return y.exp()


FUNCTIONS: dict[str, Function] = {
    "abs": lambda T, z: z.abs(),
    "abs squared": lambda T, z: z.abs() ** 2,
    "angle": lambda T, z: z.angle(),
    "conj": lambda T, z: z.conj() * (1 + 2j),
    "conj_physical": lambda T, z: T.conj_physical(z) ** 2,
    "real": lambda T, z: z.real**3,
    "imag": lambda T, z: z.imag * z,
    "sgn": lambda T, z: z.sgn(),
    "view_as_real": lambda T, z: T.view_as_real(z) ** 2,
    "view_as_complex": lambda T, z: T.view_as_complex(T.view_as_real(z) * 2 + 1) ** 2,
    "polar": lambda T, z: T.polar(z.abs() ** 2, z.angle()),
    "complex": lambda T, z: T.complex(z.imag, z.real * 2) ** 2,
    "norm": lambda T, z: z.norm(),
    "norm of order 3": lambda T, z: z.norm(3),
    "norm of order inf": lambda T, z: z.norm(float("inf")),
    "var": lambda T, z: z.var(),
    "std": lambda T, z: z.std(),
    "mixed": lambda T, z: z * z.abs() + z.conj() ** 2,
    "prod": lambda T, z: z.prod(),
    "logsumexp": lambda T, z: z.logsumexp(0),
    "cumsum": lambda T, z: z.cumsum(0) ** 2,
    "outer": lambda T, z: z[:, None] @ z[None],
    "dot": lambda T, z: z @ z,
    "matrix times vector": lambda T, z: (z[:, None] * z.conj()) @ z,
    "adjoint": lambda T, z: (z[:, None] * z).mH @ z,
    "sigmoid": lambda T, z: z.sigmoid(),
    "power": lambda T, z: z ** (1.5 - 0.5j),
    "power of powers": lambda T, z: z**z,
    "base": lambda T, z: (2 + 1j) ** z + 3**z,
    "quotient": lambda T, z: (1 + z) / (2 - z.conj()),
    "number over z": lambda T, z: 1j / z + 2 / z,
    "where": lambda T, z: T.where(z.real > 0, z, z.conj() * 1j),
    "real, complex, real": lambda T, z: ((z.abs() * 1j).exp() + z).abs(),
    "circular": lambda T, z: z.sin() * z.cos() / z.tan(),
    "hyperbolic": lambda T, z: z.sinh() + z.cosh() * z.tanh(),
    "inverses": lambda T, z: z.asin() + z.acos() * z.atan() + z.asinh() * z.acosh() - z.atanh(),
    "logarithms": lambda T, z: z.log() + z.log2() * z.log10() + z.log1p() + z.exp() * z.expm1(),
    "roots": lambda T, z: z.sqrt() + z.rsqrt() * z.reciprocal(),
    "stacked": lambda T, z: T.stack([z, z.conj()]).prod(0) + T.cat([z, z * 1j])[1:4],
    "written by index": _written_by_index,
    "real part assigned": _real_part_assigned,
    "imaginary part multiplied": _imaginary_part_multiplied,
    "view written": _view_written,
}

KERNEL = "\"{}\" not implemented for 'ComplexFloat'"
_loss = lambda name, *more: lambda T, z: getattr(T.nn.functional, name)(z, *more or (z,))
REFUSED: dict[str, tuple[Function, type[Exception], str]] = {
    **{
        name: (lambda T, z, name=name: getattr(T, name)(z), NotImplementedError, words)
        for name, words in {
            "sign": "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.",
            "floor": "floor is not supported for complex inputs",
            "ceil": "ceil is not supported for complex inputs",
            "round": KERNEL.format("round_vml_cpu"),
            "erf": KERNEL.format("erf_vml_cpu"),
            "relu": "clamp is not supported for complex types",
            "max": KERNEL.format("max_all"),
            "min": KERNEL.format("min_all"),
            "amax": KERNEL.format("max_values_cpu"),
            "amin": KERNEL.format("min_values_cpu"),
        }.items()
    },
    **{
        f"{name} along 0": (lambda T, z, name=name: getattr(T, name)(z, dim=0), RuntimeError, words)
        for name, words in {
            "max": "max(): does not support complex input",
            "min": "min(): does not support complex input",
            "argmax": "argmax(): does not support complex input",
            "argmin": "argmin(): does not support complex input",
        }.items()
    },
    "maximum": (lambda T, z: T.maximum(z, z), RuntimeError, "maximum not implemented for complex tensors."),
    "minimum": (lambda T, z: T.minimum(z, z.real), RuntimeError, "minimum not implemented for complex tensors."),
    "less": (lambda T, z: z < z, NotImplementedError, KERNEL.format("lt_cpu")),
    "less than a number": (lambda T, z: z < 1, NotImplementedError, KERNEL.format("lt_cpu")),
    "real, less": (lambda T, z: z.real <= 1j, NotImplementedError, KERNEL.format("le_cpu")),
    "greater": (lambda T, z: z.real > z, NotImplementedError, KERNEL.format("gt_cpu")),
    "or equal": (lambda T, z: z >= z, NotImplementedError, KERNEL.format("ge_cpu")),
    "remainder": (lambda T, z: z % 2, NotImplementedError, KERNEL.format("remainder_cpu")),
    "floor division": (lambda T, z: z // 2, NotImplementedError, KERNEL.format("div_floor_cpu")),
    "and": (lambda T, z: z & z, NotImplementedError, KERNEL.format("bitwise_and_cpu")),
    "gcd": (lambda T, z: T.gcd(z, z), NotImplementedError, KERNEL.format("gcd_cpu")),
    "lcm": (lambda T, z: T.lcm(z.real, z.real), NotImplementedError, '"lcm_cpu" not implemented for \'Float\''),
    "not": (lambda T, z: ~z, TypeError, "~ (operator.invert) is only implemented on integer and Boolean-type tensors"),
    "clamp": (lambda T, z: z.clamp(0, 1), NotImplementedError, "clamp is not supported for complex types"),
    "clamp, tensor": (lambda T, z: z.clamp(min=z), NotImplementedError, "clamp is not supported for complex types"),
    "softmax": (lambda T, z: z.softmax(-1), NotImplementedError, KERNEL.format("softmax_lastdim_kernel_impl")),
    "softmax along 0": (lambda T, z: z.softmax(0), NotImplementedError, KERNEL.format("softmax_kernel_impl")),
    "log_softmax": (lambda T, z: z.log_softmax(1), NotImplementedError, KERNEL.format("log_softmax_lastdim_kernel_impl")),
    "softplus": (lambda T, z: T.nn.functional.softplus(z), NotImplementedError, KERNEL.format("softplus_cpu")),
    "mse_loss": (_loss("mse_loss"), NotImplementedError, KERNEL.format("mse_cpu")),
    "binary_cross_entropy": (_loss("binary_cross_entropy"), NotImplementedError, KERNEL.format("binary_cross_entropy")),
    "logits": (_loss("binary_cross_entropy_with_logits"), NotImplementedError, KERNEL.format("log_sigmoid_cpu")),
    "polar": (
        lambda T, z: T.polar(z, z.real), RuntimeError,
        "Expected both inputs to be Half, Float or Double tensors but got ComplexFloat and Float",
    ),
    "complex of two dtypes": (
        lambda T, z: T.complex(z.real, z.real.double()), RuntimeError,
        "Expected object of scalar type Float but got scalar type Double for second argument",
    ),
    "view_as_real": (
        lambda T, z: T.view_as_real(z.real), RuntimeError, "view_as_real is only supported for complex tensors",
    ),
    "view_as_complex": (
        lambda T, z: T.view_as_complex(z), RuntimeError,
        "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
        "ComplexFloat",
    ),
    "view_as_complex of 3": (
        lambda T, z: T.view_as_complex(T.ones(3)), RuntimeError, "Tensor must have a last dimension of size 2",
    ),
    "view_as_complex of a number": (
        lambda T, z: T.view_as_complex(T.tensor(1.0)), RuntimeError, "Input tensor must have one or more dimensions",
    ),
    "view_as_complex, transposed": (
        lambda T, z: T.view_as_complex(T.ones(2, 3).t()), RuntimeError, "Tensor must have a last dimension with stride 1",
    ),
    "view_as_complex, odd steps": (
        lambda T, z: T.view_as_complex(T.ones(3, 3)[:, :2]), RuntimeError,
        "Tensor must have a stride divisible by 2 for all but last dimension",
    ),
    "imag of a real tensor": (
        lambda T, z: z.real.imag, RuntimeError, "imag is not implemented for tensors with non-complex dtypes.",
    ),
    "abs in place": (
        lambda T, z: z.detach().abs_(), RuntimeError, "In-place abs is not supported for complex tensors.",
    ),
    "complex into real": (
        lambda T, z: T.ones(2).mul_(1j), RuntimeError, "result type ComplexFloat can't be cast to the desired output type Float",
    ),
    "fill": (
        lambda T, z: T.ones(2).fill_(1j), RuntimeError, "value cannot be converted to type float without overflow",
    ),
    "assign": (
        lambda T, z: T.ones(2).__setitem__(0, 1j), RuntimeError, "value cannot be converted to type float without overflow",
    ),
    "float": (lambda T, z: float(z.detach()[0, 0]), RuntimeError, "value cannot be converted to type double without overflow"),
    "int": (lambda T, z: int(z.detach()[0, 0]), RuntimeError, "value cannot be converted to type int64_t without overflow"),
    "alpha": (
        lambda T, z: T.add(z.real, z.real, alpha=1j), RuntimeError,
        "For non-complex input tensors, argument alpha must not be a complex number.",
    ),
    "product of two dtypes": (
        lambda T, z: z @ z.real, RuntimeError,
        "expected m1 and m2 to have the same dtype, but got: c10::complex<float> != float",
    ),
    "allclose": (lambda T, z: T.allclose(z, z.real), RuntimeError, "ComplexFloat did not match Float"),
    "backward": (
        lambda T, z: z.sum().backward(), RuntimeError,
        "grad can be implicitly created only for real scalar outputs but got torch.complex64",
    ),
    "backward of many": (
        lambda T, z: (z * 1).backward(), RuntimeError, "grad can be implicitly created only for scalar outputs",
    ),
    "func.grad": (
        lambda T, z: T.func.grad(lambda z: z.sum())(z.detach()), RuntimeError,
        "grad can be implicitly created only for real scalar outputs but got torch.complex64",
    ),
    "real weight": (
        lambda T, z: z.sum().backward(T.tensor(1.0)), RuntimeError,
        "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
        "grad_output[0] has a dtype of torch.float32 and output[0] has a dtype of torch.complex64.",
    ),
    "complex weight": (
        lambda T, z: z.abs().sum().backward(T.tensor(1j)), RuntimeError,
        "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
        "grad_output[0] has a dtype of torch.complex64 and output[0] has a dtype of torch.float32.",
    ),
    **{
        f"{name}, inputs": (
            lambda T, z, name=name: getattr(T.func, name)(lambda z: z.abs())(z.detach()), RuntimeError,
            f"{shown}: Expected all inputs to be real but received complex tensor at flattened input idx: 0",
        )
        for name, shown in {"jacrev": "jacrev", "jacfwd": "jacfwd", "hessian": "jacfwd"}.items()
    },
    **{
        f"{name}, outputs": (
            lambda T, z, name=name: getattr(T.func, name)(lambda r: r * 1j)(T.ones(2)), RuntimeError,
            f"{name}: Expected all outputs to be real but received complex tensor at flattened input idx: 0",
        )
        for name in ("jacrev", "jacfwd")
    },
}  # fmt: skip
