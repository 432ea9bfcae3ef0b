"""nn without PyTorch: fixed numbers, what is registered where, containers, functions."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import nn
from parameters import Net, numbers

pytestmark = pytest.mark.usefixtures("own_generator")


# --- the seed's numbers, as PyTorch 2.13 prints them --------------------------------------------------------


def test_the_weights_of_seed_0() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    assert repr(layer.weight) == (
        "Parameter containing:\ntensor([[-0.0043,  0.3097, -0.4752],\n        [-0.4249, -0.2224,  0.1548]], "
        "requires_grad=True)"
    )
    assert repr(layer.bias) == "Parameter containing:\ntensor([-0.0114,  0.4578], requires_grad=True)"


def test_a_linear_regression_logs_pytorchs_losses() -> None:
    torch.manual_seed(0)
    x = torch.rand(100, 1) * 10
    y = 2 * x + 1 + torch.randn(100, 1)
    model, criterion = nn.Linear(1, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    log = []
    for epoch in range(100):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % 20 == 19:
            log.append(f"{loss.item():.4f}")
    assert log == ["1.2245", "1.1433", "1.0773", "1.0237", "0.9801"]
    assert repr(model.weight) == "Parameter containing:\ntensor([[2.0589]], requires_grad=True)"


# --- parameters and attributes ------------------------------------------------------------------------------


def test_a_parameter_shares_the_memory_of_its_tensor() -> None:
    data = torch.zeros(2)
    p = nn.Parameter(data)
    data += 1
    assert numbers(p) == [1.0, 1.0]
    assert p.requires_grad
    assert isinstance(p, torch.Tensor)
    assert type(p.data) is torch.Tensor
    assert type(p.detach()) is torch.Tensor
    assert type(p * 1) is torch.Tensor


def test_a_write_to_the_tensor_under_a_parameter_is_seen_by_backward() -> None:
    data = torch.ones(2)
    loss = (nn.Parameter(data) ** 2).sum()
    data += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_parameter_wants_its_gradient_inside_no_grad_too() -> None:
    with torch.no_grad():
        assert nn.Parameter(torch.ones(1)).requires_grad
    assert not nn.Parameter(torch.ones(1), requires_grad=False).requires_grad


def test_copies_of_a_parameter() -> None:
    p = nn.Parameter(torch.tensor([1.0, 2.0]))
    p.sum().backward()
    for q in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(q) is nn.Parameter
        assert q.requires_grad
        assert q.grad is None
        assert numbers(q) == [1.0, 2.0]
        with torch.no_grad():
            q.mul_(5)
    assert numbers(p) == [1.0, 2.0]
    shared = copy.deepcopy([p, p])
    assert shared[0] is shared[1]


def test_a_buffer_is_a_tensor_that_is_registered() -> None:
    net = nn.Module()
    net.kept, net.fleeting = nn.Buffer(torch.ones(1)), nn.Buffer(torch.zeros(1), persistent=False)
    assert [n for n, _ in net.named_buffers()] == ["kept", "fleeting"]
    assert list(net.state_dict()) == ["kept"]
    assert isinstance(net.kept, nn.Buffer)
    assert not isinstance(torch.ones(1), nn.Buffer)


def test_names_move_between_the_kinds() -> None:
    net = nn.Module()
    net.x = 3
    net.x = nn.Parameter(torch.ones(1))
    assert "x" not in net.__dict__
    assert [n for n, _ in net.named_parameters()] == ["x"]
    with pytest.raises(TypeError, match="as parameter 'x'"):
        net.x = nn.Linear(1, 1)
    del net.x
    net.x = nn.Linear(1, 1)
    assert [n for n, _ in net.named_children()] == ["x"]
    net.x = nn.Parameter(torch.ones(1))
    assert not list(net.children())
    net.x = None
    assert net.x is None
    assert net._parameters == {"x": None}
    del net.x
    assert not hasattr(net, "x")
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'x'"):
        del net.x


def test_plain_tensors_are_not_parameters() -> None:
    net = nn.Module()
    net.x = torch.ones(1)
    assert not list(net.parameters())
    assert not list(net.buffers())


def test_forgetting_super_init_is_explained() -> None:
    class Careless(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    class Lazy(nn.Module):
        def __init__(self) -> None:
            self.number = 3

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call") as e:
        Careless()
    assert "super().__init__()" in e.value.__notes__[0]
    with pytest.raises(AttributeError, match=r"no attribute '_parameters'\nCall super"):
        list(Lazy().parameters())


def test_walks_find_each_thing_once_and_in_order() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias"]
    assert [n for n, _ in net.named_modules()] == ["", "first"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "first", "again"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert list(net.state_dict()) == ["scale", "seen", "first.weight", "first.bias", "again.weight", "again.bias"]


def test_tied_parameters_are_found_once_but_saved_under_both_names() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == len(net.state_dict()) == 4
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight


def test_a_deep_tree_needs_no_recursion_to_walk() -> None:
    net: Any = nn.Linear(1, 1)
    for _ in range(3000):
        outer = nn.Module()
        outer.inner = net
        net = outer
    assert len(list(net.parameters())) == 2


def test_apply_goes_children_first() -> None:
    seen: list[str] = []
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


def test_modes_and_conversions_keep_the_parameters_themselves() -> None:
    net = Net()
    before = list(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    assert net.train(False) is net
    assert not net.first.training
    net.double()
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {str(p.dtype) for p in net.parameters()} == {"torch.float64"}
    assert {str(p.grad.dtype) for p in net.parameters() if p.grad is not None} == {"torch.float64"}
    assert str(net.seen.dtype) == "torch.int64"
    assert str(net.to(torch.ones(1)).scale.dtype) == "torch.float32"
    with pytest.raises(AssertionError, match="chainrule computes on the CPU"):
        net.cuda()


def test_zero_grad() -> None:
    net = nn.Linear(1, 1)
    net(torch.ones(1, 1)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is not None
    assert numbers(net.weight.grad) == [[0.0]]
    net.zero_grad()
    assert net.weight.grad is None


# --- containers ---------------------------------------------------------------------------------------------


def test_sequential_is_a_list_of_steps() -> None:
    net = nn.Sequential(OrderedDict(one=nn.Linear(1, 2), two=nn.ReLU()))
    assert net.one is net[0] is net[-2]
    assert [n for n, _ in net[:1].named_children()] == ["one"]
    assert net.pop(0)
    net.append(nn.Tanh()).insert(0, nn.Identity()).extend([nn.Sigmoid()])
    assert [type(m).__name__ for m in net] == ["Identity", "ReLU", "Tanh", "Sigmoid"]
    assert list(net._modules) == ["0", "1", "2", "3"]
    del net[1:3]
    net[0] = nn.Softplus()
    assert [type(m).__name__ for m in net * 2 + net] == ["Softplus", "Sigmoid"] * 3
    assert len(net) == 2
    net *= 3
    net += net
    assert len(net) == 12


def test_lists_and_dictionaries_of_modules() -> None:
    layers = nn.ModuleList(nn.Linear(1, i) for i in (1, 2))
    layers += [nn.Linear(1, 3)]
    assert [m.out_features for m in layers[1:]] == [2, 3]
    assert len(list((layers + layers).parameters())) == 6
    table = nn.ModuleDict([("a", nn.ReLU())])
    table["b"] = nn.Tanh()
    table.update({"a": nn.Sigmoid()})
    assert [(k, type(m).__name__) for k, m in table.items()] == [("a", "Sigmoid"), ("b", "Tanh")]
    assert "a" in table
    del table["a"]
    assert list(table) == ["b"]
    assert type(table.pop("b")).__name__ == "Tanh"
    assert len(table) == 0


def test_lists_and_dictionaries_of_parameters() -> None:
    held = nn.ParameterList([torch.ones(1), 5, nn.Parameter(torch.zeros(2))])
    held[0] = torch.zeros(3)
    held.append("x")
    assert [type(v).__name__ for v in held] == ["Parameter", "int", "Parameter", "str"]
    assert len(list(held.parameters())) == 2
    assert len(held[1:]) == 3
    table = nn.ParameterDict({"b": torch.ones(1), "a": 5})
    assert list(table.keys()) == ["a", "b"]
    assert [n for n, _ in table.named_parameters()] == ["b"]
    del table["b"]
    assert "b" not in table
    with pytest.raises(KeyError):
        table["b"]


def test_long_texts() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(1, 1))

        def extra_repr(self) -> str:
            return "one=1\ntwo=2"

    assert repr(nn.ModuleList([Block(), Block(), nn.ReLU()])) == (
        "ModuleList(\n  (0-1): 2 x Block(\n    one=1\n    two=2\n    (inner): Sequential(\n"
        "      (0): Linear(in_features=1, out_features=1, bias=True)\n    )\n  )\n  (2): ReLU()\n)"
    )


# --- functions ----------------------------------------------------------------------------------------------


def test_losses() -> None:
    x, y = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(nn.MSELoss()(x, y)) == pytest.approx((0 + 4 + 9 + 16) / 4)
    assert float(nn.MSELoss(reduction="sum")(x, y)) == 29
    assert float(nn.L1Loss()(x, y)) == pytest.approx((0 + 2 + 3 + 4) / 4)
    classes = torch.tensor([0, 1])
    expected = np.mean([np.log(1 + np.e), np.log(1 + np.exp(-2))])
    assert float(nn.CrossEntropyLoss()(x, classes)) == pytest.approx(expected)
    assert float(nn.NLLLoss()(nn.LogSoftmax(dim=1)(x), classes)) == pytest.approx(expected)
    probabilities = torch.tensor([0.25, 0.5])
    assert float(nn.BCELoss()(probabilities, torch.tensor([1.0, 0.0]))) == pytest.approx((np.log(4) + np.log(2)) / 2)
    logits = torch.log(probabilities / (1 - probabilities))
    assert float(nn.BCEWithLogitsLoss()(logits, torch.tensor([1.0, 0.0]))) == pytest.approx((np.log(4) + np.log(2)) / 2)
    with pytest.warns(UserWarning, match="reduction='sum' instead"):
        assert nn.MSELoss(size_average=False).reduction == "sum"


def test_a_layer_says_what_shapes_it_takes() -> None:
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(4x3 and 2x5\)"):
        nn.Linear(2, 5)(torch.ones(4, 3))


def test_initial_values() -> None:
    x = torch.empty(2, 3)
    assert nn.init.eye_(x) is x
    assert numbers(x) == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert numbers(nn.init.ones_(x)) == [[1.0] * 3] * 2
    assert numbers(nn.init.zeros_(x)) == [[0.0] * 3] * 2
    leaf = nn.Parameter(torch.empty(1000, 4))
    nn.init.xavier_uniform_(leaf)
    assert leaf.abs().max().item() <= (6 / 1004) ** 0.5
    assert leaf.is_leaf
    nn.init.kaiming_normal_(leaf, nonlinearity="relu")
    assert leaf.std().item() == pytest.approx((2 / 4) ** 0.5, rel=0.05)
    own = torch.Generator().manual_seed(1)
    first = numbers(nn.init.uniform_(torch.empty(3), generator=own))
    assert numbers(nn.init.uniform_(torch.empty(3), generator=own.manual_seed(1))) == first
    assert nn.init.calculate_gain("leaky_relu", 1) == 1


def test_the_functions_of_a_parameter_under_a_transform() -> None:
    layer = nn.Linear(2, 1)
    rows = torch.randn(5, 2)
    mapped = torch.vmap(layer)(rows)
    assert np.allclose(mapped.detach().numpy(), layer(rows).detach().numpy(), atol=1e-6)
