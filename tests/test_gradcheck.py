"""gradcheck on both libraries: what it lets pass, what it finds, in which words; and that it finds planted mistakes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T
from chainrule import primitive
from chainrule.autograd import gradcheck
from chainrule.autograd.gradcheck import GradcheckError
from chainrule.primitive import Primitive
from op_cases import cases, primitives
from wrong_rules import plant

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's about its own parts

# PyTorch's OpInfo names an option "check_batched_grad"; all that a check of one function can be asked for:
EVERYTHING = {"check_forward_ad": True, "check_batched_grad": True, "check_grad_dtypes": True}


def vec(T: Any, *values: complex, grad: bool = True) -> Any:
    dtype = T.complex128 if any(isinstance(v, complex) for v in values) else T.float64
    return T.tensor(values, dtype=dtype, requires_grad=grad)


def errors(T: Any) -> Any:
    import importlib

    return importlib.import_module(f"{T.__name__}.autograd.gradcheck").GradcheckError


# --- what passes ---------------------------------------------------------------------------------------------

PASSES: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "one of one": (lambda x: x.sin(), lambda T: vec(T, 0.5, 2.0)),
    "a number of a number": (lambda x: x**3, lambda T: vec(T, 2.0)[0].detach().requires_grad_()),
    "several of several": (lambda x, y: (x * y, (x + y).exp().sum()), lambda T: (vec(T, 0.5, 2.0), vec(T, -1.0, 1.0))),
    "a list of outputs": (lambda x: [x * 2, x.exp()], lambda T: vec(T, 0.5, 2.0)),
    "some inputs are constants": (lambda x, n, y: x * n + y.sum(), lambda T: (vec(T, 0.5), 3, vec(T, 1.0, grad=False))),
    "nothing in it": (lambda x: x * 2, lambda T: vec(T)),
    "an output that is a constant": (lambda x: (x * 2, x.detach() * 0 + 1), lambda T: vec(T, 0.5)),
    "not dense": (lambda x: x.t().exp(), lambda T: T.arange(6, dtype=T.float64).reshape(2, 3).t().requires_grad_()),
    "in place": (lambda x: x.clone().mul_(x).add_(1), lambda T: vec(T, 0.5, 2.0)),
    "complex to complex": (lambda z: z * z * 2, lambda T: vec(T, 1 + 2j, 0.5 - 1j)),
    "complex to real": (lambda z: z.abs(), lambda T: vec(T, 1 + 2j, 0.5 - 1j)),
    "not holomorphic": (lambda z: z * z.conj() * (1 + 1j), lambda T: vec(T, 1 + 2j, 0.5 - 1j)),
    "real to complex": (lambda x: x * (1 + 2j), lambda T: vec(T, 0.5, 2.0)),
    "complex and real": (lambda z, x: (z * x, x * x), lambda T: (vec(T, 1 + 2j), vec(T, 3.0))),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", PASSES)
def test_passes(name: str, fast: bool, T: Any) -> None:
    f, inputs = PASSES[name]
    options = EVERYTHING if name != "an output that is a constant" or T is torch else {"check_batched_grad": True}
    assert T.autograd.gradcheck(f, inputs(T), fast_mode=fast, **options) is True


@pytest.mark.parametrize("name", [n for n in PASSES if n not in ("a list of outputs", "an output that is a constant")])
def test_second_derivatives_pass(name: str, T: Any) -> None:
    f, inputs = PASSES[name]
    assert T.autograd.gradgradcheck(f, inputs(T), check_fwd_over_rev=True, check_batched_grad=True) is True


@pytest.mark.parametrize("name", PASSES)
def test_strict_passes(name: str) -> None:
    f, inputs = PASSES[name]
    for fast in (False, True):
        assert gradcheck(f, inputs(torch), strict=True, fast_mode=fast, check_batched_forward_grad=True, **EVERYTHING)


def test_closures_are_checked_too(T: Any) -> None:
    x = vec(T, 0.5, 2.0)
    assert T.autograd.gradcheck(lambda *_: x**3, (x,))


def test_the_same_input_twice(T: Any) -> None:
    x = vec(T, 0.5, 2.0)
    assert T.autograd.gradcheck(lambda a, b: a * b, (x, x))


def test_options_of_gradgradcheck(T: Any) -> None:
    x = vec(T, 0.5, 2.0)
    assert T.autograd.gradgradcheck(lambda x: x**3, x, gen_non_contig_grad_outputs=True)
    assert T.autograd.gradgradcheck(lambda x: x**3, x, vec(T, 1.0, -2.0))
    assert T.autograd.gradgradcheck(lambda x: x**3, (x,), (vec(T, 1.0, -2.0, grad=False),), fast_mode=True)
    assert T.autograd.gradgradcheck(lambda x: x**3, x, check_rev_over_rev=False, check_fwd_over_rev=True,
                                    check_undefined_grad=False)  # fmt: skip


def test_nothing_is_left_changed(T: Any) -> None:
    """Inputs are as they were, to the bit; no gradient was accumulated; the random streams were not touched."""
    x = vec(T, 0.1, 2.0, -0.0)
    before = x.detach().numpy().tobytes()
    T.autograd.gradcheck(lambda x: x.exp(), x, **EVERYTHING)
    assert x.detach().numpy().tobytes() == before
    assert x.grad is None
    assert x._version == 0


# --- what is found, in PyTorch's words ------------------------------------------------------------------------


def half(x: Any) -> Any:
    """A function of which autograd sees half."""
    return x * x.detach()


FOUND: dict[str, tuple[Callable[[Any], Any], str]] = {
    "backward": (
        lambda T: T.autograd.gradcheck(half, vec(T, 1.5, -2.0)),
        "Jacobian mismatch for output 0 with respect to input 0,\n"
        "numerical:tensor([[ 3.0000,  0.0000],\n        [ 0.0000, -4.0000]], dtype=torch.float64)\n"
        "analytical:tensor([[ 1.5000,  0.0000],\n        [-0.0000, -2.0000]], dtype=torch.float64)\n",
    ),
    "forward": (
        lambda T: T.autograd.gradcheck(half, vec(T, 1.5), check_forward_ad=True, check_backward_ad=False),
        "Jacobian computed with forward mode mismatch for output 0 with respect to input 0,\n"
        "numerical:tensor([[3.0000]], dtype=torch.float64)\nanalytical:tensor([[1.5000]], dtype=torch.float64)\n",
    ),
    "the second output by the second input": (
        lambda T: T.autograd.gradcheck(lambda x, y: (x * y, x + half(y)), (vec(T, 1.0), vec(T, 2.0))),
        "Jacobian mismatch for output 1 with respect to input 1,\n"
        "numerical:tensor([[4.0000]], dtype=torch.float64)\nanalytical:tensor([[2.]], dtype=torch.float64)\n",
    ),
    "imaginary part of the output": (
        lambda T: T.autograd.gradcheck(half, vec(T, 1 + 2j)),
        "While considering the imaginary part of complex outputs only, Jacobian mismatch for output 0 with respect to "
        "input 0,\nnumerical:tensor([[4.0000+2.0000j]], dtype=torch.complex128)\n"
        "analytical:tensor([[2.+1.j]], dtype=torch.complex128)\n",
    ),
    "imaginary part of the input": (
        lambda T: T.autograd.gradcheck(half, vec(T, 1 + 2j), check_forward_ad=True, check_backward_ad=False),
        "While considering the imaginary part of complex inputs only, Jacobian computed with forward mode mismatch for "
        "output 0 with respect to input 0,\nnumerical:tensor([[-4.0000+2.0000j]], dtype=torch.complex128)\n"
        "analytical:tensor([[-2.+1.j]], dtype=torch.complex128)\n",
    ),
    "a second derivative": (
        lambda T: T.autograd.gradgradcheck(lambda x: half(x) ** 2, vec(T, 2.0), vec(T, 1.0)),
        "Jacobian mismatch for output 0 with respect to input 0,\n"
        "numerical:tensor([[24.0000]], dtype=torch.float64)\nanalytical:tensor([[8.]], dtype=torch.float64)\n",
    ),
    "cut off": (
        lambda T: T.autograd.gradcheck(lambda x: x.detach() * 2, vec(T, 1.0)),
        "Numerical gradient for function expected to be zero",
    ),
    "cut off, in fast mode": (
        lambda T: T.autograd.gradcheck(lambda x: x.detach() * 2, vec(T, 1.0), fast_mode=True),
        "Numerical gradient for function expected to be zero",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, T: Any) -> None:
    call, words = FOUND[name]
    with pytest.raises(RuntimeError) as caught:
        call(T)
    assert type(caught.value) is errors(T)
    assert str(caught.value).replace(", grad_fn=<CopySlices>", "") == words  # a trace of how PyTorch fills its table


@pytest.mark.parametrize("options", [{}, {"check_forward_ad": True, "check_backward_ad": False}])
def test_found_in_fast_mode(options: Any, T: Any) -> None:
    with pytest.raises(errors(T)) as caught:
        T.autograd.gradcheck(half, vec(T, 1.5, -2.0), fast_mode=True, **options)
    mode = "computed with forward mode " if options else ""
    numbers = (
        "tensor([ 0.8787, -3.8246], dtype=torch.float64)" if options else "-2.378112885"
    )  # the same random vectors
    assert str(caught.value).startswith(
        f"Jacobian {mode}mismatch for output 0 with respect to input 0,\nnumerical:{numbers}"
    )


def test_found_without_raising(T: Any) -> None:
    assert T.autograd.gradcheck(half, vec(T, 1.5), raise_exception=False) is False
    assert T.autograd.gradgradcheck(lambda x: half(x) ** 2, vec(T, 1.5), raise_exception=False) is False


def test_a_note_says_where_and_by_how_much() -> None:
    with pytest.raises(RuntimeError) as caught:
        gradcheck(half, vec(torch, 1.5, -2.0))
    (note,) = caught.value.__notes__
    assert "element 1 of the input and element 1 of the output" in note
    assert "a ratio of 0.5" in note


# --- Functions of a user's own, each wrong in its own way ------------------------------------------------------


def function(T: Any, backward: Any, forward: Any = lambda ctx, x: x * 2, **members: Any) -> Any:
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward), **members}
    return type("Mine", (T.autograd.Function,), members).apply


def test_a_backward_that_does_not_multiply(T: Any) -> None:
    with pytest.raises(errors(T), match=r"^Jacobian mismatch|^backward not multiplied by grad_output$"):
        T.autograd.gradcheck(function(T, lambda ctx, g: T.full_like(g, 2.0)), vec(T, 1.0, 2.0))


def test_a_backward_that_does_not_multiply_a_single_cotangent(T: Any) -> None:
    """Of one element it is right for the only row there is."""
    with pytest.raises(errors(T), match=r"^backward not multiplied by grad_output$"):
        T.autograd.gradcheck(function(T, lambda ctx, g: T.full_like(g, 2.0)), vec(T, 1.0))


def test_a_backward_that_is_not_the_same_twice(T: Any) -> None:
    calls = [0]

    def backward(ctx: Any, g: Any) -> Any:
        calls[0] += 1
        return g * (2 + 1e-9 * calls[0])

    f = function(T, backward)
    with pytest.raises(errors(T), match=r"^Backward is not reentrant, i\.e\., running backward with same input and"):
        T.autograd.gradcheck(f, vec(T, 1.0))
    assert T.autograd.gradcheck(f, vec(T, 1.0), nondet_tol=1e-6)


def test_an_output_that_is_left_out(T: Any) -> None:
    """A backward that goes wrong where one output takes no part, and the other's gradient is 0."""

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        if g is None and (h is None or not h.any()):
            raise RuntimeError("unforeseen")
        return (0 if g is None else g * 2) + (0 if h is None else h * 3)

    def forward(ctx: Any, x: Any) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    f = function(T, backward, forward)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch adds one of its own
        with pytest.raises(errors(T), match=r"^Expected backward function to handle undefined output grads\."):
            T.autograd.gradcheck(f, vec(T, 1.0))
    assert T.autograd.gradcheck(f, vec(T, 1.0), check_undefined_grad=False)


def test_a_backward_that_batches_cannot_follow(T: Any) -> None:
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2 if float(g.sum()) > -1e9 else g

    f = function(T, backward)
    assert T.autograd.gradcheck(f, vec(T, 1.0))
    with pytest.raises(errors(T), match="^While computing batched gradients, got: "):
        T.autograd.gradcheck(f, vec(T, 1.0), check_batched_grad=True)


def test_a_jvp_that_disagrees(T: Any) -> None:
    f = function(T, lambda ctx, g: g * 2, jvp=staticmethod(lambda ctx, t: t * 3))
    assert T.autograd.gradcheck(f, vec(T, 1.0))
    with pytest.raises(errors(T), match="^Jacobian computed with forward mode mismatch"):
        T.autograd.gradcheck(f, vec(T, 1.0), check_forward_ad=True)


# --- what cannot be checked -----------------------------------------------------------------------------------

REFUSED: list[tuple[type[Exception], str, Callable[[Any, Any], Any]]] = [
    (ValueError, "gradcheck expects at least one input tensor to require gradient, but none of them have "
     "requires_grad=True.", lambda T, x: T.autograd.gradcheck(T.sin, x.detach())),
    (RuntimeError, "The 0th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to "
     "be able to compute the numerical gradients correctly. You should call .contiguous on the input before passing it to "
     "gradcheck.", lambda T, x: T.autograd.gradcheck(T.sin, x[:1].detach().expand(3).requires_grad_())),
    (AssertionError, "Expected at least one of check_forward_ad or check_backward_ad to be True",
     lambda T, x: T.autograd.gradcheck(T.sin, x, check_backward_ad=False)),
    (AssertionError, "Setting check_batched_grad=True requires check_backward_ad to be True",
     lambda T, x: T.autograd.gradcheck(T.sin, x, check_backward_ad=False, check_forward_ad=True, check_batched_grad=True)),
    (AssertionError, "Setting check_batched_forward_grad=True requires check_forward_ad to be True",
     lambda T, x: T.autograd.gradcheck(T.sin, x, check_batched_forward_grad=True)),
    (AssertionError, "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True",
     lambda T, x: T.autograd.gradgradcheck(T.sin, x, check_rev_over_rev=False)),
    (AssertionError, "Setting check_undefined_grad=True requires check_rev_over_rev to be True",
     lambda T, x: T.autograd.gradgradcheck(T.sin, x, check_rev_over_rev=False, check_fwd_over_rev=True)),
    (AssertionError, "Expected `func` to return outputs with the same shape when inputs are perturbed on index (0,) by "
     "1e-06, but got: shapes torch.Size([2]) and torch.Size([1]).",
     lambda T, x: T.autograd.gradcheck(lambda x: x[:1] if x[0] > 1.5 else x, x)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "call"), REFUSED, ids=[words[:40] for _, words, _ in REFUSED])
def test_refused(kind: type[Exception], words: str, call: Any, T: Any) -> None:
    with pytest.raises(kind) as caught:
        call(T, vec(T, 1.5, 2.0))
    assert type(caught.value) is kind
    assert str(caught.value) == words


def test_single_precision_is_warned_of(T: Any) -> None:
    x = T.tensor([1.0], requires_grad=True)
    with pytest.warns(UserWarning, match="^Input #0 requires gradient and is not a double precision"):
        T.autograd.gradcheck(T.sin, x, eps=1e-2, atol=1e-2)


# --- planted mistakes ----------------------------------------------------------------------------------------
# The rule of an operation is made wrong by a factor.  With PyTorch's tolerances one of a thousandth passes, there as
# here; ``strict`` finds one of a millionth.

OPERATIONS = {"Exp": lambda x: x.exp(), "Mul": lambda x: x * x, "Sum": lambda x: x.sum(), "Tanh": lambda x: x.tanh(),
              "Matmul": lambda x: x @ x, "Log": lambda x: x.log()}  # fmt: skip


@pytest.mark.parametrize("factor", [-1, 1.01, 1.001, 1 + 1e-6])
@pytest.mark.parametrize("name", ["Exp", "Sum", "Tanh", "Log"])
def test_planted_in_backward(name: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    node = primitive.table[name].node
    right = node.pulls[0]
    plant(monkeypatch, node, [lambda xp, g, s, p: right(xp, g, s, p) * factor])
    x = vec(torch, 0.7, 1.9)
    f = OPERATIONS[name]
    assert gradcheck(f, x, raise_exception=False) is (abs(factor - 1) <= 0.001)
    assert gradcheck(f, x, raise_exception=False, fast_mode=True) is (abs(factor - 1) <= 0.001)
    assert not gradcheck(f, x, raise_exception=False, strict=True)
    assert not gradcheck(f, x, raise_exception=False, strict=True, fast_mode=True)


@pytest.mark.parametrize("factor", [-1, 1.01, 1.001, 1 + 1e-6])
@pytest.mark.parametrize("name", ["Exp", "Mul", "Tanh", "Log"])
def test_planted_in_forward(name: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    prim = primitive.table[name]
    right = type(prim).jvp
    monkeypatch.setattr(type(prim), "jvp", lambda self, *args: right(self, *args) * factor)
    if name == "Mul":  # between two tensors there is a variant of it, of the same class
        assert type(prim.variants[0]) is type(prim)
    x, options = vec(torch, 0.7, 1.9), {"raise_exception": False, "check_backward_ad": False, "check_forward_ad": True}
    f = OPERATIONS[name]
    assert gradcheck(f, x, **options) is (abs(factor - 1) <= 0.001)
    assert not gradcheck(f, x, strict=True, **options)


def real(prim: Primitive) -> bool:
    """Whether its first sample leads from real numbers to real numbers, by a rule."""
    case = next(cases(prim))
    arrays = [
        case.prim(*[torch.from_numpy(a) if i in case.arrays else a for i, a in enumerate(case.args)], **case.params)
    ]
    return bool(case.moving) and not any(a.is_complex() for a in arrays + case.xs())


SAMPLES = {p.name: next(cases(p)) for p in primitives() if p.differentiable and not p.variadic and real(p)}


@pytest.mark.parametrize("name", SAMPLES)
def test_strict_on_every_operation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rules pass in both modes; a reverse rule that is slightly wrong does not."""
    case = SAMPLES[name]
    node, xs = case.prim.node, [torch.from_numpy(np.array(case.args[i])).requires_grad_() for i in case.moving]
    options: dict[str, Any] = {"strict": True, "raise_exception": False}

    def f(*xs: torch.Tensor) -> torch.Tensor:
        return case(*xs)

    assert gradcheck(f, xs, strict=True, check_forward_ad=True)
    slopes = torch.autograd.grad(f(*xs).sum(), xs, allow_unused=True)
    if not any(g is not None and g.abs().sum() > 1e-3 for g in slopes):
        return  # what is 0 is not made wrong by a factor
    right = node.pulls
    for fast, error in ((False, 1e-6), (True, 1e-5)):  # one number for all slopes may happen to be small
        plant(monkeypatch, node, [slightly_wrong(pull, error) for pull in right])
        if (whole := case.prim.whole) is not None:  # one rule for all arguments
            monkeypatch.setattr(case.prim, "whole", each_slightly_wrong(whole, error))
        assert not gradcheck(f, xs, fast_mode=fast, **options)


def slightly_wrong(pull: Any, error: float) -> Any:
    return lambda xp, g, s, p: pull(xp, g, s, p) * (1 + error)


def test_as_strict_as_pytorch() -> None:
    """The same factors are found, and the same pass, with PyTorch's tolerances."""
    peer = pytest.importorskip("torch")
    for factor in (1 + 2e-3, 1 - 2e-3, 1 + 9e-4, 1 - 9e-4, 0.0, 1 + 1e-6):
        verdicts = []
        for library in (torch, peer):

            def backward(ctx: Any, g: Any, factor: float = factor) -> Any:
                return g * 2 * factor

            f = function(library, backward)
            verdicts.append([library.autograd.gradcheck(f, vec(library, 1.0, -3.0), raise_exception=False, fast_mode=fast)
                             for fast in (False, True)])  # fmt: skip
        assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("x", [1e-8, 1e-3, 1.0, 30.0, 1e4, 1e8])
@pytest.mark.parametrize(
    "f", [torch.log, torch.sqrt, torch.sin, lambda x: x**3, lambda x: x.exp() if x < 100 else 1 / x]
)
def test_strict_at_all_magnitudes(f: Any, x: float) -> None:
    """No false alarms, from where a step of the usual size would leave the domain to where it would vanish."""
    assert gradcheck(f, torch.tensor(x, dtype=torch.float64, requires_grad=True), strict=True)


def test_strict_near_a_kink() -> None:
    """The larger of its steps, a thousandth, crosses relu's kink; the smaller, which it takes near 0, does not."""
    assert gradcheck(torch.relu, torch.tensor(1e-4, dtype=torch.float64, requires_grad=True), strict=True)


def test_strict_asks_for_no_more_than_it_knows() -> None:
    """The kink is as near, but not at 0: the extrapolated difference is unsure, and the usual tolerance holds."""

    def f(x: Any) -> Any:
        return torch.relu(x - 1) ** 2

    assert gradcheck(f, torch.tensor(1 + 1e-4, dtype=torch.float64, requires_grad=True), strict=True)


def test_integers_may_jump() -> None:
    """An output that is no floating number has no derivative to be compared, also where differences see a step."""
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: x.long(), x)
    with pytest.raises(GradcheckError, match=r"^Numerical gradient for function expected to be zero$"):
        gradcheck(lambda x: x.long().double(), x)


def each_slightly_wrong(whole: Any, error: float) -> Any:
    return lambda xp, g, s, p: [None if c is None else c * (1 + error) for c in whole(xp, g, s, p)]
