"""Modules as functions of their parameters, on chainrule and on PyTorch where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from both import T, refused

__all__ = ["T"]

pytestmark = pytest.mark.usefixtures("own_generator")


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def tied(T: Any) -> Any:
    """A model with a shared parameter, a buffer that each call replaces, and a tensor that is neither."""

    class Tied(T.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = T.nn.Linear(2, 2), T.nn.Linear(2, 2)
            self.second.weight = self.first.weight
            self.register_buffer("calls", T.zeros(()))
            self.shift = T.ones(2)

        def forward(self, x: Any, scale: float = 1.0) -> Any:
            self.calls = self.calls + 1
            return self.second(self.first(x)) * scale + self.shift

    return Tied()


def state(T: Any, **more: Any) -> dict[str, Any]:
    zero = T.zeros(2)
    return {"first.weight": T.full((2, 2), 2.0), "first.bias": zero, "second.bias": zero, **more}


def test_other_tensors_for_one_call(T: Any) -> None:
    model = tied(T)
    before = {name: (t, t.detach().clone()) for name, t in model.named_parameters()}
    out = T.func.functional_call(model, state(T), (T.ones(2),), {"scale": 10.0})
    close(out, T.full((2,), 161.0))
    for name, t in model.named_parameters():
        assert t is before[name][0]
        close(t, before[name][1])
    assert model.second.weight is model.first.weight
    assert model.calls.item() == 0 + 1  # not named, so the module's own


def test_what_forward_replaces_is_in_the_dictionary(T: Any) -> None:
    model, given = tied(T), state(T, calls=T.tensor(4.0), shift=T.tensor([0.0, 1.0]))
    close(T.func.functional_call(model, given, T.ones(2)), T.tensor([16.0, 17.0]))
    assert given["calls"].item() == 5 and model.calls.item() == 0
    close(model.shift, T.ones(2))


def test_shared_parameters(T: Any) -> None:
    model, twice = tied(T), T.full((2, 2), 1.0)
    with pytest.raises(
        ValueError, match=r"^functional_call got multiple values for keys \['first.weight', 'second.weigh"
    ):
        T.func.functional_call(model, state(T, **{"second.weight": twice}), T.ones(2))
    untied = T.func.functional_call(model, state(T, **{"second.weight": twice}), T.ones(2), tie_weights=False)
    close(untied, T.full((2,), 9.0))
    by_the_other_name = {"second.weight": twice, "first.bias": T.zeros(2), "second.bias": T.zeros(2)}
    close(T.func.functional_call(model, by_the_other_name, T.ones(2), strict=False), T.full((2,), 5.0))


def test_names(T: Any) -> None:
    model, w = T.nn.Linear(2, 1), T.ones(1, 2)
    call = T.func.functional_call
    with refused(RuntimeError, "Error(s) in reparametrizing for Linear:\n\tUnexpected key(s): 'w'.\n\tMissing key(s): "
                               "'bias', 'weight'."):  # fmt: skip
        call(model, {"w": w}, T.ones(2), strict=True)
    with refused(
        ValueError, "['weight'] appeared in multiple dictionaries; behavior of functional call is ambiguous", False
    ):
        call(model, ({"weight": w}, {"weight": w}), T.ones(2))
    with refused(ValueError, "Expected all elements of parameter_and_buffer_dicts to be dictionaries"):
        call(model, ({"weight": w}, 3), T.ones(2))
    with refused(ValueError, "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
                             "<class 'int'>"):  # fmt: skip
        call(model, 3, T.ones(2))
    with refused(TypeError, "attribute `in_features`: 2 is not an instance of torch.Tensor"):
        call(model, {"in_features": w}, T.ones(2))
    with refused(TypeError, "3 is not an instance of torch.Tensor"):
        call(model, {"weight": w, "bias": 3}, T.ones(2))
    with refused(AttributeError, "Linear has no attribute `inner`", False):
        call(model, {"inner.weight": w}, T.ones(2))
    assert call(model, {"new": w}, T.ones(2)).shape == (1,) and not hasattr(model, "new")
    assert all(isinstance(p, T.nn.Parameter) for p in (model.weight, model.bias))


def test_per_sample_gradients(T: Any) -> None:
    model = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.Linear(4, 1))
    xs, ys = T.linspace(-1, 1, 15).reshape(5, 3), T.linspace(0, 1, 5).reshape(5, 1)

    def loss(params: Any, x: Any, y: Any) -> Any:
        return (T.func.functional_call(model, params, (x,)) - y).square().sum()

    params = {name: p.detach() for name, p in model.named_parameters()}
    each = T.func.vmap(T.func.grad(loss), in_dims=(None, 0, 0))(params, xs, ys)
    for i in range(5):
        model.zero_grad()
        loss(dict(model.named_parameters()), xs[i], ys[i]).backward()
        for name, p in model.named_parameters():
            close(each[name][i], p.grad)


def test_an_ensemble(T: Any) -> None:
    models = [T.nn.Sequential(T.nn.Linear(3, 4), T.nn.ReLU(), T.nn.Linear(4, 2)) for _ in range(3)]
    params, buffers = T.func.stack_module_state(models)
    assert buffers == {} and all(p.requires_grad and p.is_leaf for p in params.values())
    assert tuple(params["2.weight"].shape) == (3, 2, 4)
    x = T.linspace(-1, 1, 6).reshape(2, 3)

    def one(p: Any, b: Any, x: Any) -> Any:
        return T.func.functional_call(models[0], (p, b), x)

    out = T.func.vmap(one, in_dims=(0, 0, None))(params, buffers, x)
    close(out, T.stack([m(x) for m in models]))
    out.square().sum().backward()
    models[1](x).square().sum().backward()
    close(params["0.weight"].grad[1], models[1][0].weight.grad)


def test_models_that_do_not_stack(T: Any) -> None:
    a, b, other = T.nn.Linear(1, 1), T.nn.Linear(1, 1), T.nn.Sequential()
    with refused(RuntimeError, "stack_module_state: Expected at least one model, got 0."):
        T.func.stack_module_state([])
    with refused(RuntimeError, "stack_module_state: Expected all models to be of the same class."):
        T.func.stack_module_state([a, other])
    with refused(RuntimeError, "stack_module_state: Expected all models to have the same training/eval mode.", False):
        T.func.stack_module_state([a, T.nn.Linear(1, 1).eval()])
    b.bias.requires_grad_(False)
    with refused(RuntimeError, "Expected bias from each model to have the same .requires_grad"):
        T.func.stack_module_state([a, b])


def test_batch_norms_without_running_statistics(T: Any) -> None:
    T.manual_seed(0)
    net = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Sequential(T.nn.BatchNorm1d(3)), T.nn.BatchNorm2d(1))
    assert T.func.replace_all_batch_norm_modules_(net) is net
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias"]
    assert not net[2].track_running_stats
    net = net[:2]
    params, batches = dict(net.named_parameters()), T.randn(4, 5, 2)

    def loss(params: Any, x: Any) -> Any:
        return T.func.functional_call(net, params, (x,)).sigmoid().square().sum()

    together = T.vmap(T.func.grad(loss), in_dims=(None, 0))(params, batches)
    for i, x in enumerate(batches):
        for name, g in T.func.grad(loss)(params, x).items():
            assert T.allclose(together[name][i], g, atol=1e-6)
