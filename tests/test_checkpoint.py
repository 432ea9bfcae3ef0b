"""Checkpoints, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import contextlib
import gc
import importlib
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, leaf

__all__ = ["T"]
KINDS = pytest.mark.parametrize("reentrant", [False, True], ids=["plain", "reentrant"])


def module(T: Any) -> Any:
    return importlib.import_module(f"{T.__name__}.utils.checkpoint")


def error(case: Any) -> tuple[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as caught:
            case()
    return type(caught.value).__name__, str(caught.value)


class Counted:
    """A function that counts how often it is run."""

    def __init__(self, f: Any) -> None:
        self.f, self.runs, self.ends = f, 0, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.runs += 1
        result = self.f(*args, **kwargs)
        self.ends += 1
        return result


def waves(x: Any) -> Any:
    y = x.sin()
    return (y * y).exp()


def slope(x: float) -> float:
    return float(np.exp(np.sin(x) ** 2) * 2 * np.sin(x) * np.cos(x))


# --- gradients ------------------------------------------------------------------------------------------------------


@KINDS
def test_the_gradient_is_that_of_the_function(T: Any, reentrant: bool) -> None:
    x, f = leaf(T), Counted(waves)
    y = module(T).checkpoint(f, x * 1, use_reentrant=reentrant)
    assert f.runs == 1
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(1.0), rtol=1e-5)
    assert f.runs == 2


@KINDS
def test_parameters_that_are_not_arguments(T: Any, reentrant: bool) -> None:
    x, w = leaf(T), leaf(T, value=2.0)
    y = module(T).checkpoint(lambda t: (t * w).sin(), x, use_reentrant=reentrant)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos(2), rtol=1e-5)
    np.testing.assert_allclose(w.grad.numpy(), np.cos(2), rtol=1e-5)


@KINDS
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_checkpoints_in_checkpoints(T: Any, reentrant: bool) -> None:
    checkpoint = module(T).checkpoint
    inner, middle = Counted(waves), Counted(lambda t: checkpoint(inner, t.cos(), use_reentrant=reentrant).sin())
    outer = Counted(lambda t: checkpoint(middle, t.cos(), use_reentrant=reentrant).sin())
    x = leaf(T)
    checkpoint(outer, x, use_reentrant=reentrant).sum().backward()
    z = leaf(T)
    waves(z.cos().cos()).sin().sin().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-5)
    assert (outer.runs, middle.runs, inner.runs) == (2, 3, 4)


@KINDS
def test_several_outputs(T: Any, reentrant: bool) -> None:
    x = leaf(T)
    a, b = module(T).checkpoint(lambda t: (t.sin(), t.cos()), x, use_reentrant=reentrant)
    (a * b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(2), rtol=1e-5)


@KINDS
def test_writes_inside(T: Any, reentrant: bool) -> None:
    def f(t: Any) -> Any:
        y = t * 1
        y.sin_()
        z = y * 2
        z[0] = 0.5
        z.exp_()
        return z * t

    x, plain = leaf(T), leaf(T)
    module(T).checkpoint(f, x, use_reentrant=reentrant).sum().backward()
    f(plain).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


def test_any_outputs_and_keywords(T: Any) -> None:
    x = leaf(T)
    f = Counted(lambda t, *, k: (t.sin(), {"cos": t.cos() * k}, 3))
    a, others, n = module(T).checkpoint(f, x, use_reentrant=False, k=2.0)
    (a * others["cos"]).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos(2), rtol=1e-5)
    assert n == 3


def test_autograd_grad_and_inputs(T: Any) -> None:
    x = leaf(T)
    y = module(T).checkpoint(waves, x, use_reentrant=False).sum()
    (g,) = T.autograd.grad(y, x, retain_graph=True)
    y.backward(inputs=[x])
    np.testing.assert_allclose([g.numpy(), x.grad.numpy()], slope(1.0), rtol=1e-5)


def test_second_derivatives(T: Any) -> None:
    x = leaf(T)
    found = []
    for y in (module(T).checkpoint(waves, x, use_reentrant=False), waves(x)):
        (first,) = T.autograd.grad(y.sum(), x, create_graph=True)
        found += [first.detach().numpy(), T.autograd.grad(first.sum(), x)[0].numpy()]
    np.testing.assert_allclose(found[:2], found[2:], rtol=1e-5)


def test_backward_again(T: Any) -> None:
    x, f = leaf(T), Counted(waves)
    y = module(T).checkpoint(f, x, use_reentrant=False).sum()
    for retain in (True, True, False):
        y.backward(retain_graph=retain)
    assert f.runs == 4
    np.testing.assert_allclose(x.grad.numpy(), 3 * slope(1.0), rtol=1e-5)
    assert error(y.backward)[1].startswith("Trying to backward through the graph a second time")


def test_backward_inside(T: Any) -> None:
    def f(t: Any) -> Any:
        y = t.sin()
        z = y.cos()
        (g,) = T.autograd.grad(z.sum(), t, retain_graph=True)
        return g * z

    def g(t: Any) -> Any:
        y = t.sin()
        (g,) = T.autograd.grad(y.cos().sum(), t)
        return g * t.cos()

    for function in (f, g):
        for early in (True, False):
            x, plain = leaf(T), leaf(T)
            module(T).checkpoint(function, x, use_reentrant=False, early_stop=early).sum().backward()
            function(plain).sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)


# --- how often, and how far, it runs --------------------------------------------------------------------------------


def test_it_stops_when_it_has_what_it_needs(T: Any) -> None:
    checkpoint, stop = module(T).checkpoint, module(T).set_checkpoint_early_stop

    def ends(**kwargs: Any) -> int:
        f = Counted(waves)
        checkpoint(f, leaf(T), use_reentrant=False, **kwargs).sum().backward()
        assert f.runs == 2
        return f.ends

    assert (ends(), ends(early_stop=False)) == (1, 2)
    with stop(False):
        assert ends() == 2
    with stop(True):
        assert ends(early_stop=False) == 1
    assert ends() == 1


def test_the_users_handlers_do_not_stop_the_stop() -> None:
    def f(t: Any) -> Any:
        try:
            return waves(t)
        except Exception:
            raise AssertionError from None

    x = leaf(torch)
    module(torch).checkpoint(f, x, use_reentrant=False).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(1.0), rtol=1e-5)


def test_nothing_is_run_again_where_nothing_is_recorded(T: Any) -> None:
    f = Counted(waves)
    with T.no_grad():
        assert not module(T).checkpoint(f, leaf(T), use_reentrant=False).requires_grad
    assert f.runs == 1


def test_groups_of_sweeps_run_it_once(T: Any) -> None:
    x, f = leaf(T), Counted(lambda t: (t.sin(), t.cos().exp()))
    a, b = module(T).checkpoint(f, x, use_reentrant=False)
    with module(T).GraphExecGroup():
        a.sum().backward()
        b.sum().backward()
    assert f.runs == 2
    y = module(T).checkpoint(waves, x, use_reentrant=False).sum()

    def twice() -> None:
        with module(T).GraphExecGroup():
            y.backward(retain_graph=True)
            y.backward()

    text = (
        "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. Performing two"
    )
    assert error(twice)[1].startswith(text)


def test_values_are_not_kept() -> None:
    gc.disable()
    try:
        kept: list[Any] = []

        def f(t: Any) -> Any:
            y = t.exp()
            kept.append(weakref.ref(y))
            return y.sin().sin()

        x = leaf(torch)
        y = module(torch).checkpoint(f, x * 1, use_reentrant=False)
        node = weakref.ref(y._node)
        assert kept[0]() is None
        y.sum().backward()
        assert kept[1]() is None
        del y
        assert node() is None
    finally:
        gc.enable()


# --- random numbers -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_generator")
@KINDS
def test_random_numbers_are_drawn_the_same_again(T: Any, reentrant: bool) -> None:
    draws: list[Any] = []

    def f(t: Any) -> Any:
        r = T.rand(3)
        draws.append(r.tolist())
        return (t * r).sin()

    state = T.get_rng_state()
    try:
        for preserve in (True, False):
            draws.clear()
            x = leaf(T)
            T.manual_seed(0)
            y = module(T).checkpoint(f, x, use_reentrant=reentrant, preserve_rng_state=preserve)
            after = T.rand(1).item()
            y.sum().backward()
            then = T.rand(1).item()
            T.manual_seed(0)
            expected = [T.rand(3).tolist(), T.rand(1).item(), T.rand(1).item()]
            assert draws[0] == expected[0]
            assert after == expected[1]
            assert (draws[1] == draws[0], then == expected[2]) == (preserve, preserve)
    finally:
        T.set_rng_state(state)


# --- contexts -------------------------------------------------------------------------------------------------------


def test_contexts(T: Any) -> None:
    log: list[str] = []

    @contextlib.contextmanager
    def note(name: str) -> Iterator[None]:
        log.append(f"in {name}")
        yield
        log.append(f"out {name}")

    contexts = lambda: (note("forward"), note("again"))
    y = module(T).checkpoint(waves, leaf(T), use_reentrant=False, context_fn=contexts, early_stop=False)
    y.sum().backward()
    assert log == ["in forward", "out forward", "in again", "out again"]


def test_errors_of_the_function_come_through(T: Any) -> None:
    def f(t: Any) -> Any:
        raise KeyError("mine")

    assert error(lambda: module(T).checkpoint(f, leaf(T), use_reentrant=False)) == ("KeyError", "'mine'")
    text = (
        "torch.utils.checkpoint: the forward context provided by context_fn suppressed an exception raised during the "
        "checkpointed forward. This is not supported because checkpoint cannot return a value for a failed forward."
    )
    contexts = lambda: (contextlib.suppress(KeyError), contextlib.nullcontext())
    case = lambda: module(T).checkpoint(f, leaf(T), use_reentrant=False, context_fn=contexts)
    assert error(case) == ("RuntimeError", text)
    assert (leaf(T) * 2).requires_grad


# --- functions that do something else -------------------------------------------------------------------------------


def first_then(first: Any, then: Any) -> Any:
    runs = [then, first]
    return lambda t: runs.pop()(t)


def test_functions_that_save_other_values(T: Any) -> None:
    checkpoint, Error = module(T).checkpoint, module(T).CheckpointError
    assert issubclass(Error, RuntimeError)

    def said(first: Any, then: Any, **kwargs: Any) -> str:
        y = checkpoint(first_then(first, then), leaf(T), use_reentrant=False, **kwargs).sum()
        kind, text = error(y.backward)
        assert kind == "CheckpointError"
        return text

    short, long = lambda t: t.sin().exp(), lambda t: (t.sin() * t.cos()).exp()
    assert said(long, short).startswith(
        "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
        "Number of tensors saved during forward: 5\nNumber of tensors saved during recomputation: 2."
    )
    assert said(short, long, early_stop=False).startswith(
        "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward pass."
    )
    assert said(lambda t: t.sin().exp().sum(), lambda t: t[:2].sin().exp().sum()).startswith(
        "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the "
        "forward pass.\ntensor at position 0:\nsaved metadata: {'shape': torch.Size([3]), 'dtype': torch.float32, "
        "'device': device(type='cpu')}\nrecomputed metadata: {'shape': torch.Size([2]), 'dtype': torch.float32, "
        "'device': device(type='cpu')}\ntensor at position 1:\n"
    )


def test_the_check_may_be_left_out(T: Any) -> None:
    checkpoint = module(T).checkpoint
    f = first_then(lambda t: t.sin(), lambda t: (t * 1).double().sin())
    x = leaf(T)
    checkpoint(f, x, use_reentrant=False, determinism_check="none").sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(1), rtol=1e-5)


def test_debugging_shows_where_each_value_was_saved() -> None:
    def first(t: Any) -> Any:
        y = t.sin()  # saves t
        return y.exp()  # saves its output

    def then(t: Any) -> Any:
        return t.cos()  # saves t, and no more

    def notes(**kwargs: Any) -> list[str]:
        y = module(torch).checkpoint(first_then(first, then), leaf(torch), use_reentrant=False, **kwargs).sum()
        with pytest.raises(module(torch).CheckpointError) as caught:
            y.backward()
        return caught.value.__notes__

    assert "debug=True" in notes()[-1]
    told = notes(debug=True)
    with module(torch).set_checkpoint_debug_enabled(True):
        assert notes() == told
    *_, forward, again = told
    assert forward.startswith("Saved during forward, in order:")
    assert forward.index("# saves t") < forward.index("# saves its output")
    assert again.startswith("Saved during recomputation, in order:")
    assert again.count("File") == again.count("# saves t, and no more") == 1


# --- arguments ------------------------------------------------------------------------------------------------------


def test_say_which_kind(T: Any) -> None:
    with pytest.warns(
        UserWarning, match="torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly"
    ):
        y = module(T).checkpoint(waves, leaf(T))
    assert "CheckpointFunctionBackward" in repr(y)
    with pytest.warns(
        UserWarning, match="checkpoint_sequential: the use_reentrant parameter should be passed explicitly"
    ):
        module(T).checkpoint_sequential([T.sin, T.cos], 2, leaf(T))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "keyword": ({"use_reentrant": True, "k": 1}, "ValueError", "Unexpected keyword arguments: k"),
    "debug": (
        {"use_reentrant": True, "debug": True}, "ValueError",
        "Passing `context_fn` or `debug` is only supported when use_reentrant=False."),
    "debug with contexts": (
        {"use_reentrant": False, "debug": True, "context_fn": lambda: None}, "ValueError",
        "debug=True is incompatible with non-default context_fn"),
    "check": (
        {"use_reentrant": False, "determinism_check": "some"}, "ValueError",
        "determinism_check should be one of ['default', 'none'], but got some"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(T: Any, name: str) -> None:
    kwargs, kind, text = REFUSED[name]
    assert error(lambda: module(T).checkpoint(waves, leaf(T), **kwargs)) == (kind, text)


def test_the_reentrant_kind_has_limits(T: Any) -> None:
    checkpoint = module(T).checkpoint
    text = (
        "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` parameter to "
        ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing "
        "the `inputs` argument."
    )
    x = leaf(T)
    y = checkpoint(waves, x, use_reentrant=True).sum()
    assert error(lambda: T.autograd.grad(y, x, retain_graph=True)) == ("RuntimeError", text)
    assert error(lambda: y.backward(inputs=[x])) == ("RuntimeError", text)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True. Gradients will be None"):
        assert not checkpoint(waves, T.ones(3), use_reentrant=True).requires_grad
    assert checkpoint(lambda t: t * x, T.ones(3), use_reentrant=False).requires_grad
    text = "none of output has requires_grad=True, this checkpoint() is not necessary"
    z = checkpoint(lambda t: t.detach() * 2, x, use_reentrant=True).sum()
    assert error(z.backward) == ("RuntimeError", text)


def test_saved_values_may_be_asked_for_again(T: Any) -> None:
    """PyTorch and we agree that a second look at ctx.saved_tensors in one backward is refused."""

    class F(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            ctx.saved_tensors
            return g * ctx.saved_tensors[0]

    y = module(T).checkpoint(lambda t: F.apply(t.sin()), leaf(T), use_reentrant=False).sum()
    kind, text = error(y.backward)
    assert kind == "CheckpointError"
    assert text.startswith(
        "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once."
    )


# --- sequences ------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequences(T: Any, reentrant: bool, segments: int) -> None:
    functions = [Counted(f) for f in (T.sin, T.cos, T.exp, T.tanh, T.sigmoid)]
    x, plain = leaf(T), leaf(T)
    module(T).checkpoint_sequential(functions, segments, x * 1, use_reentrant=reentrant).sum().backward()
    plain.sin().cos().exp().tanh().sigmoid().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)
    part = len(functions) // segments
    assert [f.runs for f in functions[part * (segments - 1) :]] == [1] * (5 - part * (segments - 1))
    assert functions[0].runs == (1 if segments == 1 else 2)


def test_sequences_of_modules(T: Any) -> None:
    net = T.nn.Sequential(T.nn.Tanh(), T.nn.Sigmoid(), T.nn.Tanh())
    x, plain = leaf(T), leaf(T)
    module(T).checkpoint_sequential(net, 2, x, use_reentrant=False).sum().backward()
    net(plain).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)
    text = "Unexpected keyword arguments: k"
    case = lambda: module(T).checkpoint_sequential(net, 2, x, use_reentrant=False, k=1)
    assert error(case) == ("ValueError", text)


@pytest.mark.usefixtures("own_generator")
def test_a_network_trains_the_same_with_checkpoints() -> None:
    losses = []
    for use in (False, True):
        torch.manual_seed(0)
        net = torch.nn.Sequential(*[torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()) for _ in range(4)])
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x, y = torch.randn(8, 4), torch.randn(8, 4)
        for _ in range(5):
            optimizer.zero_grad()
            out = module(torch).checkpoint_sequential(net, 4, x, use_reentrant=False) if use else net(x)
            loss = ((out - y) ** 2).mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]


# --- results that are kept --------------------------------------------------------------------------------------------


def _selective(T: Any, policy: Any, f: Any, x: Any, **options: Any) -> Any:
    m = module(T)
    return m.checkpoint(
        f, x, use_reentrant=False, context_fn=lambda: m.create_selective_checkpoint_contexts(policy, **options)
    )


def _network(x: Any) -> Any:
    return (x @ x.sin() @ x.t()).sigmoid() * x


def test_a_policy_is_asked_in_the_forward_pass_and_what_it_keeps_is_not_computed_again(T: Any) -> None:
    asked: list[str] = []
    m = module(T)

    def policy(ctx: Any, op: Any, *args: Any, **kwargs: Any) -> Any:
        assert not ctx.is_recompute
        if op == T.ops.aten.mm.default:
            asked.append(op.name())
            assert tuple(ctx.op_output.shape) == (3, 3)
            return m.CheckpointPolicy.MUST_SAVE
        return m.CheckpointPolicy.PREFER_RECOMPUTE

    x, plain = [T.linspace(-1, 1, 9).reshape(3, 3).requires_grad_() for _ in range(2)]
    y = _selective(T, policy, _network, x)
    _network(plain).sum().backward()
    y.sum().backward()
    assert asked == ["aten::mm"] * 2
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("ops", "again"), [([], 2), (["mm"], 0), (["sigmoid"], 2)])
def test_how_much_is_computed_again(monkeypatch: Any, ops: list[str], again: int) -> None:
    from chainrule import recording

    found: list[str] = []
    compute = recording.compute_numpy
    monkeypatch.setattr(
        recording, "compute_numpy", lambda prim, *args: (found.append(prim.label), compute(prim, *args))[1]
    )
    x = torch.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
    y = _selective(torch, [getattr(torch.ops.aten, name).default for name in ops], _network, x)
    assert found.count("MmBackward0") == 2
    y.sum().backward()
    assert found.count("MmBackward0") == 2 + again


def test_true_keeps_and_false_does_not(T: Any) -> None:
    x = T.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
    expected = T.autograd.grad(_network(x).sum(), x)[0]
    for policy in (lambda *_, **__: True, lambda *_, **__: False):
        found = T.autograd.grad(_selective(T, policy, _network, x).sum(), x)[0]
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_what_is_kept_may_not_be_written_to(T: Any) -> None:
    def f(x: Any) -> Any:
        y = x @ x
        z = y.sin()
        y.add_(1)
        return z * 2

    keep, x = [T.ops.aten.mm.default], leaf(T, 2, 2)
    y = _selective(T, keep, f, x)
    assert error(lambda: y.sum().backward()) == (
        "RuntimeError", "Tensor cached during selective activation checkpoint has been mutated"
    )  # fmt: skip


def test_a_second_backward_finds_nothing(T: Any) -> None:
    x = leaf(T, 2, 2)
    y = _selective(T, [T.ops.aten.mm.default], lambda x: (x @ x).sin(), x).sum()
    y.backward(retain_graph=True)
    assert error(y.backward) == (
        "RuntimeError",
        "Trying to backward an extra time. You are only allowed to backward once on any region computed under selective "
        "activation checkpoint.",
    )


def test_other_operations_in_the_second_run(T: Any) -> None:
    runs: list[Any] = []

    def f(x: Any) -> Any:
        runs.append(x)
        return (x @ x).sin().exp() if len(runs) == 1 else (x @ x).cos().exp()

    y = _selective(T, [T.ops.aten.mm.default], f, leaf(T, 2, 2))
    kind, text = error(lambda: y.sum().backward())
    assert (kind, text.partition(" encountered")[0]) == ("RuntimeError", "aten.cos.default")


def test_policies_that_are_none(T: Any) -> None:
    make = module(T).create_selective_checkpoint_contexts
    assert error(lambda: make(3)) == ("TypeError", "policy_fn_or_list must be either a function or a list of ops.")
    kind, text = error(lambda: make([T.ops.aten.mm]))
    assert kind == "ValueError"
    assert text.startswith("Expected op in `op_list` to be an OpOverload but got: aten.mm of type ")
    assert text.endswith("change it to `torch.ops.aten.mm.default`.")
