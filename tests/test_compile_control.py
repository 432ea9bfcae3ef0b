"""What programs say to the compiler, under PyTorch's names."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as torch
from chainrule.compiler.watching import Uncompilable

config = torch._dynamo.config


def test_is_compiling() -> None:
    for ask in (torch.compiler.is_compiling, torch.compiler.is_dynamo_compiling, torch._dynamo.is_compiling):
        f = lambda x: x + ask()  # noqa: B023
        assert not f(torch.zeros(1)).item()
        assert torch.compile(f, backend="numpy", fullgraph=True)(torch.zeros(1)).item() == 1
        assert not ask()
    assert not torch.compiler.is_exporting()


def test_disabled_functions_run_as_they_are() -> None:
    calls = []

    @torch.compiler.disable(reason="it counts")
    def counting(x: Any) -> Any:
        calls.append(torch.compiler.is_compiling())
        return inner(x) + x.sum().item()

    inner = torch.compile(lambda x: x * 3, backend="numpy")
    assert counting(torch.ones(2)).tolist() == [5, 5]
    assert not inner.entries, "nor is compiled what it calls"
    whole = torch.compile(lambda x: counting(x) * 2, backend="numpy")
    with pytest.warns(UserWarning, match="not to be compiled: it counts"):
        assert whole(torch.ones(2)).tolist() == [10, 10]
    with pytest.raises(Uncompilable, match="counting, which is not to be compiled"):
        torch.compile(lambda x: counting(x), backend="numpy", fullgraph=True)(torch.ones(2))
    assert not any(calls)
    shallow = torch.compiler.disable(lambda x: inner(x), recursive=False)
    assert shallow(torch.ones(2)).tolist() == [3, 3]
    assert len(inner.entries) == 1


def test_modules_can_be_disabled(own_generator: Any) -> None:
    model = torch.compiler.disable(torch.nn.Linear(2, 2))
    f = torch.compile(lambda x: model(x) * 2, backend="numpy")
    with pytest.warns(UserWarning, match="not to be compiled"):
        f(torch.ones(2))
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]
    with pytest.raises(AssertionError, match="fn must be callable"):
        torch.compiler.disable(3)


def test_graph_break() -> None:
    def f(x: Any) -> Any:
        torch._dynamo.graph_break()
        return x * 2

    assert f(torch.ones(1)).item() == 2
    with pytest.warns(UserWarning, match="it asks not to be compiled"):
        torch.compile(f, backend="numpy")(torch.ones(1))


def test_reset() -> None:
    f = torch.compile(lambda x: x * 2, backend="numpy")
    f(torch.ones(2))
    g = torch.compile(lambda x: x.item(), backend="numpy")
    with pytest.warns(UserWarning, match="runs uncompiled"):
        g(torch.ones(()))
    torch.compiler.reset()
    assert not f.entries
    assert g.eager is None
    assert f(torch.ones(2)).tolist() == [2, 2]
    assert len(f.entries) == 1


def test_stances() -> None:
    f = torch.compile(lambda x: x * 2, backend="numpy")
    x, y = torch.ones(2), torch.ones(3)
    f(x)
    with torch.compiler.set_stance("force_eager"):
        assert f(y).tolist() == [2, 2, 2]
        assert not f.calls
    assert len(f.calls) == 1
    with torch.compiler.set_stance("eager_on_recompile"):
        assert [f(x).tolist(), f(y).tolist()] == [[2, 2], [2, 2, 2]]
    with torch.compiler.set_stance("fail_on_recompile"):
        assert f(x).tolist() == [2, 2]
        with pytest.raises(RuntimeError, match="compiled anew"):
            f(y)
    assert len(f.entries) == 1

    @torch.compiler.set_stance("force_eager")
    def slowly() -> Any:
        return f(y)

    assert slowly().tolist() == [2, 2, 2]
    assert len(f.entries) == 1
    torch.compiler.set_stance("force_eager")
    assert f(y).tolist() == [2, 2, 2]
    torch.compiler.set_stance()
    f(y)
    assert len(f.entries) == 2
    with pytest.raises(RuntimeError, match="invalid torch.compile stance"):
        torch.compiler.set_stance("now")


def test_what_is_accepted() -> None:
    f = torch.compile(lambda x: (x * 2).sum(), backend="numpy")
    for n in (2, 3, 4):
        x = torch.ones(n, 2)
        torch._dynamo.mark_dynamic(x, 0, min=1, max=9)
        torch._dynamo.maybe_mark_dynamic(x, [0, 1])
        torch._dynamo.mark_static(x, -1)
        torch._dynamo.mark_static(x)
        torch._dynamo.mark_static_address(x)
        torch.compiler.cudagraph_mark_step_begin()
        assert f(x).item() == 4 * n
    assert len(f.states) == 1
    for mark in (torch._dynamo.mark_dynamic, torch._dynamo.maybe_mark_dynamic, torch._dynamo.mark_static):
        with pytest.raises(AssertionError, match="Expected index to be int, list, or tuple"):
            mark(torch.ones(2), "x")
    same = lambda x: x
    for accept in (
        torch.compiler.allow_in_graph,
        torch.compiler.assume_constant_result,
        torch.compiler.nested_compile_region,
    ):
        assert accept(same) is same
    assert torch.compiler.nested_compile_region()(same) is same
    assert torch.compiler.list_backends() == torch._dynamo.list_backends()


def test_the_limit_of_states() -> None:
    f = torch.compile(lambda x, n: x * n, backend="numpy")
    with config.patch(recompile_limit=2):
        assert config.cache_size_limit == 2
        f(torch.ones(1), 1)
        with pytest.warns(UserWarning, match="2 different ways"):
            f(torch.ones(1), 2)
    assert config.recompile_limit == 16
    config.suppress_errors = True
    assert config.suppress_errors
    config.suppress_errors = None
    for touch in (lambda: config.missing, lambda: setattr(config, "missing", 1)):
        with pytest.raises(AttributeError, match="missing does not exist"):
            touch()
