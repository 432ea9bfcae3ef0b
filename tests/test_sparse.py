"""Sparse Jacobians and Hessians: patterns that hold for every value, colourings that tell entries apart, exact entries."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import (
    SparseHessian,
    SparseJacobian,
    grad,
    hessian,
    jacfwd,
    jacrev,
    sparse_hessian,
    sparse_jacobian,
    sparsity,
    vmap,
)
from op_cases import Case, all_cases, variants

sparse = pytest.importorskip("scipy.sparse")

colouring = pytest.importorskip("chainrule.func.colouring")


def vector(n: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(0.3, 1.7, n))


def dense_jacobian(f: Any, xs: tuple[torch.Tensor, ...]) -> np.ndarray[Any, Any]:
    blocks = jacrev(lambda t: f(*t))(xs)
    rows = f(*xs).numel()
    return np.concatenate([b.numpy().reshape(rows, x.numel()) for b, x in zip(blocks, xs, strict=True)], axis=1)


# --- patterns --------------------------------------------------------------------------------------------------

REAL = [
    c for c in all_cases()
    if c.moving and all(c.args[i].dtype.kind == "f" for i in c.moving) and c()._dtype.kind == "f"
]  # fmt: skip


@pytest.mark.parametrize("case", REAL, ids=lambda c: c.name)
def test_pattern_of_every_operation(case: Case) -> None:
    """It holds every entry that is not 0, at any values, and does not depend on the values."""
    f = lambda t: case(*t)
    patterns = []
    for each in variants(case, 3, "pattern"):
        xs = tuple(each.xs())
        pattern = sparsity(f, xs).toarray()
        jacobian = dense_jacobian(lambda *t: case(*t), xs)
        assert pattern.shape == jacobian.shape
        assert not (~pattern & (jacobian != 0)).any()
        patterns.append(pattern)
    assert all((p == patterns[0]).all() for p in patterns)


@pytest.mark.parametrize("case", REAL, ids=lambda c: c.name)
def test_second_pattern_of_every_operation(case: Case) -> None:
    """The gradient is gone through as any function: its pattern holds all second derivatives."""
    xs = tuple(case.xs())
    if sum(x.numel() for x in xs) > 30:
        return
    u = case.weights()
    f = lambda t: (u * case(*t)).sum()
    pattern = sparsity(grad(f), xs).toarray()
    blocks = hessian(f)(xs)
    sizes = [x.numel() for x in xs]
    found = np.block(
        [[b.numpy().reshape(n, m) for b, m in zip(r, sizes, strict=True)] for r, n in zip(blocks, sizes, strict=True)]
    )
    assert not (~pattern & (found != 0)).any()


SHARP: dict[str, tuple[Any, Any, list[list[int]]]] = {
    "elementwise": (lambda x: x.sin() * x + 1, vector(3), np.eye(3)),
    "broadcast": (lambda x: x[:, None] * torch.ones(2), vector(2), [[1, 0], [1, 0], [0, 1], [0, 1]]),
    "outer": (lambda x: x[:, None] * x, vector(2), [[1, 0], [1, 1], [1, 1], [0, 1]]),
    "shift": (lambda x: x[1:] - x[:-1], vector(3), [[1, 1, 0], [0, 1, 1]]),
    "flip": (lambda x: x.flip(0), vector(3), np.eye(3)[::-1]),
    "transpose": (lambda x: x.t(), vector(4).reshape(2, 2), np.eye(4)[[0, 2, 1, 3]]),
    "gathered": (lambda x: x[torch.tensor([2, 0, 2])], vector(3), np.eye(3)[[2, 0, 2]]),
    "concatenated": (lambda x: torch.cat([x[:1], x.detach()[:1], x[1:] ** 2]), vector(2), [[1, 0], [0, 0], [0, 1]]),
    "stacked": (lambda x: torch.stack([x[0], x[1] * x[0]]), vector(2), [[1, 0], [1, 1]]),
    "sum of rows": (lambda x: x.sum(1), vector(4).reshape(2, 2), [[1, 1, 0, 0], [0, 0, 1, 1]]),
    "mean": (lambda x: x.mean(0, keepdim=True), vector(4).reshape(2, 2), [[1, 0, 1, 0], [0, 1, 0, 1]]),
    "maximum of rows": (lambda x: x.amax(1), vector(4).reshape(2, 2), [[1, 1, 0, 0], [0, 0, 1, 1]]),
    "softmax of rows": (lambda x: x.softmax(1), vector(4).reshape(2, 2), np.kron(np.eye(2), np.ones((2, 2)))),
    "cumsum": (lambda x: x.cumsum(1), vector(4).reshape(2, 2), np.kron(np.eye(2), np.ones((2, 2)))),
    "cumprod": (lambda x: x.cumprod(0), vector(4).reshape(2, 2), np.kron(np.ones((2, 2)), np.eye(2))),
    "clamp": (lambda x: x.clamp(0.5, 1.0), vector(3), np.eye(3)),
    "median": (lambda x: x.reshape(2, 2).median(1).values, vector(4), [[1, 1, 0, 0], [0, 0, 1, 1]]),
    "Fourier transforms of rows": (
        lambda x: torch.fft.rfft(x).imag, vector(6).reshape(2, 3), np.kron(np.eye(2), np.ones((2, 3))),
    ),
    "sorted rows": (lambda x: x.sort(1).values, vector(4).reshape(2, 2), np.kron(np.eye(2), np.ones((2, 2)))),
    "both branches": (lambda x: torch.where(x > 1, x, x.flip(0)), vector(2), [[1, 1], [1, 1]]),
    "only the branches": (lambda x: torch.where(x.sum() > 1, x, 2 * x), vector(2), np.eye(2)),
    "steps": (lambda x: x.floor() + x.sign() + (x > 1), vector(2), np.zeros((2, 2))),
    "detached": (lambda x: x.detach() * 2, vector(2), np.zeros((2, 2))),
    "constant": (lambda x: torch.ones(2), vector(2), np.zeros((2, 2))),
    "matrix times vector": (lambda x: torch.ones(2, 2, dtype=torch.float64) @ x[:2], vector(3), [[1, 1, 0]] * 2),
    "product of matrices": (lambda x: x @ x.t()[:, :1], vector(4).reshape(2, 2), [[1, 1, 0, 0], [1, 1, 1, 1]]),
    "dot": (lambda x: x[:2] @ x[1:], vector(3), [[1, 1, 1]]),
    "batches": (lambda x: vmap(lambda a: a[1:] * a[0])(x), vector(6).reshape(2, 3), np.kron(np.eye(2), [[1, 1, 0], [1, 0, 1]])),
    "gradient inside": (lambda x: grad(lambda v: (v[1:] * v[:-1]).sum())(x), vector(3), [[0, 1, 0], [1, 0, 1], [0, 1, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARP)
def test_no_more_than_needed(name: str) -> None:
    f, x, wanted = SHARP[name]
    assert (sparsity(f, x).toarray() == np.asarray(wanted, bool)).all(), sparsity(f, x).toarray().astype(int)


def test_written_in_place() -> None:
    def f(x: Any) -> Any:
        out = torch.zeros(4, dtype=torch.float64)
        out[1] = x[0] * x[2]
        out[2:] = x[:2]
        out[2:] *= x[1]
        return out

    assert sparsity(f, vector(3)).toarray().astype(int).tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 0]]


def test_an_index_that_moves_makes_it_full() -> None:
    f = lambda x: torch.gather(x, 0, x.argmax(0, keepdim=True))
    assert sparsity(f, vector(3)).toarray().all()


@pytest.mark.parametrize(
    "f", [lambda x: x if x[0] > 0 else -x, lambda x: x * x[0].item(), lambda x: x * float(x.sum())]
)
def test_a_branch_on_a_value_is_an_error(f: Any) -> None:
    with pytest.raises(RuntimeError, match="a value was asked"):
        sparsity(f, vector(3))


def test_what_is_not_sparse_is_an_error() -> None:
    with pytest.raises(ValueError, match="not sparse"):
        sparsity(lambda x: x.cumsum(0), vector(1 << 15))


# --- colourings --------------------------------------------------------------------------------------------------


def random_pattern(m: int, n: int, density: float, seed: int) -> Any:
    draw = np.random.default_rng(seed)
    return sparse.csr_array(draw.random((m, n)) < density)


@pytest.mark.parametrize("seed", range(30))
def test_columns_of_a_colour_share_no_row(seed: int) -> None:
    draw = np.random.default_rng(seed)
    pattern = random_pattern(*draw.integers(1, 30, 2), draw.uniform(0, 0.4), seed)
    colours = colouring.columns(pattern)
    for row in pattern.toarray():
        assert len(set(colours[row])) == row.sum()
    assert colouring.count(colours) <= pattern.shape[1]


@pytest.mark.parametrize("seed", range(30))
def test_star_colourings(seed: int) -> None:
    """Neighbours differ, and no path of four vertices has two colours only."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, 16))
    a = random_pattern(n, n, draw.uniform(0.05, 0.4), seed).toarray()
    a = a | a.T
    c = colouring.star(sparse.csr_array(a))
    np.fill_diagonal(a, False)
    for i, j in zip(*np.nonzero(a), strict=True):
        assert c[i] != c[j]
    for i, j in zip(*np.nonzero(a), strict=True):
        for h, k in itertools.product(np.flatnonzero(a[i]), np.flatnonzero(a[j])):
            if len({h, i, j, k}) == 4:
                assert len({c[h], c[i], c[j], c[k]}) > 2


@pytest.mark.parametrize("seed", range(30))
def test_acyclic_colourings(seed: int) -> None:
    """Neighbours differ, and the vertices of any two colours are joined by trees."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, 24))
    a = random_pattern(n, n, draw.uniform(0.05, 0.4), seed).toarray()
    a = a | a.T
    c = colouring.acyclic(sparse.csr_array(a))
    steps = colouring.peeled(sparse.csr_array(a), c)
    np.fill_diagonal(a, False)
    assert all(c[i] != c[j] for i, j in zip(*np.nonzero(a), strict=True))
    for one, two in itertools.combinations(range(colouring.count(c)), 2):
        both = np.flatnonzero((c == one) | (c == two))
        part = a[np.ix_(both, both)]
        trees, _ = sparse.csgraph.connected_components(sparse.csr_array(part))
        assert part.sum() // 2 == len(both) - trees
    assert sum(len(v) for v, _ in steps) == a.sum() // 2


def test_few_colours() -> None:
    band = sparse.diags_array([np.ones(50)] * 5, offsets=[-2, -1, 0, 1, 2], shape=(50, 50))
    assert colouring.count(colouring.columns(sparse.csr_array(band))) == 5
    arrow = np.eye(50, dtype=bool)
    arrow[0] = arrow[:, 0] = True
    assert colouring.count(colouring.star(sparse.csr_array(arrow))) == 2
    assert colouring.count(colouring.columns(sparse.csr_array(arrow))) == 50
    for width in (1, 2, 5):  # of a band on either side
        pattern = sparse.csr_array(sparse.diags_array([np.ones(60)] * (2 * width + 1), offsets=range(-width, width + 1),
                                                      shape=(60, 60)))  # fmt: skip
        assert colouring.count(colouring.star(pattern)) == 2 * width + 1
        assert colouring.count(colouring.acyclic(pattern)) == width + 1


# --- Jacobians ---------------------------------------------------------------------------------------------------


def band(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[:1] ** 2, x[1:-1] * x[2:] - x[:-2].sin(), x[-1:] * x[-2:-1]])


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
def test_entries(mode: str | None) -> None:
    x = vector(20)
    J = SparseJacobian(band, x, mode=mode)
    assert J.sweeps == 3
    for seed in range(3):
        x = vector(20, seed)
        found = J(x)
        assert isinstance(found, sparse.csr_array)
        np.testing.assert_allclose(found.toarray(), jacrev(band)(x).numpy(), rtol=1e-14)
    np.testing.assert_allclose(sparse_jacobian(band, x).toarray(), found.toarray())


def sweeps_of(J: Any, x: Any) -> list[int]:
    """How many directions the batches of one evaluation have."""
    from chainrule.func import sparse as module

    seen: list[int] = []
    original = module.vmap

    def counted(f: Any, **kwargs: Any) -> Any:
        return lambda *seeds: (seen.append(seeds[0].shape[0]), original(f, **kwargs)(*seeds))[1]

    module.vmap = counted
    try:
        J(x)
    finally:
        module.vmap = original
    return seen


def test_as_many_sweeps_as_colours() -> None:
    x = vector(2000)
    assert sweeps_of(SparseJacobian(band, x), x) == [3]
    assert sweeps_of(SparseHessian(lambda x: (x[1:] * x[:-1] ** 2).sum(), x), x) == [3]


def test_the_cheaper_direction() -> None:
    tall = lambda x: torch.cat([x[0] * x, x[1] * x, x**2])  # full columns
    wide = lambda x: x.reshape(2, -1).prod(1)  # full rows
    assert SparseJacobian(tall, vector(10)).mode == "forward"
    J = SparseJacobian(wide, vector(10))
    assert (J.mode, J.sweeps) == ("reverse", 1)
    np.testing.assert_allclose(J(vector(10)).toarray(), jacrev(wide)(vector(10)).numpy())


def test_nests() -> None:
    f = lambda p: {"a": p["x"][1:] * p["y"].sum(), "b": [p["y"] ** 2]}
    p = {"x": vector(3), "y": vector(4, 1).reshape(2, 2)}
    for mode in ("forward", "reverse"):
        found = sparse_jacobian(f, p, mode=mode).toarray()
        want = jacrev(f)(p)
        np.testing.assert_allclose(found[:2, :3], want["a"]["x"].numpy())
        np.testing.assert_allclose(found[:2, 3:], want["a"]["y"].numpy().reshape(2, 4))
        np.testing.assert_allclose(found[2:, 3:], want["b"][0]["y"].numpy().reshape(4, 4))
        assert not found[2:, :3].any()


def test_values_are_tensors_like_any() -> None:
    """They have derivatives, and stand in batches."""
    x = vector(6)
    J = SparseJacobian(band, x)
    rows = np.repeat(np.arange(6), np.diff(J.pattern.indptr))
    pick = lambda m: m[torch.tensor(rows), torch.tensor(J.pattern.indices.astype(np.int64))]
    np.testing.assert_allclose(jacfwd(J.values)(x).numpy(), pick(jacfwd(jacrev(band))(x)).numpy(), rtol=1e-13)
    np.testing.assert_allclose(
        grad(lambda x: J.values(x).sum())(x).numpy(), jacrev(jacrev(band))(x).sum((0, 1)).numpy()
    )
    batch = torch.stack([x, vector(6, 1)])
    np.testing.assert_allclose(vmap(J.values)(batch)[1].numpy(), J.values(batch[1]).numpy())


def test_dtypes_and_chunks() -> None:
    x = vector(9).float()
    J = SparseJacobian(band, x, chunk_size=2)
    assert J(x).dtype == np.float32
    np.testing.assert_allclose(J(x).toarray(), jacrev(band)(x).numpy(), rtol=1e-6)


def test_empty_and_constant() -> None:
    assert sparse_jacobian(lambda x: x[:0], vector(3)).shape == (0, 3)
    assert sparse_jacobian(lambda x: torch.ones(2), vector(3)).nnz == 0
    assert sparse_hessian(lambda x: x.sum(), vector(3)).nnz == 0


def test_a_pattern_of_ones_own() -> None:
    x, a = vector(5), np.diag(np.arange(1.0, 6.0))
    f = lambda x: torch.tensor(a) @ x  # full, as far as the shapes tell
    assert SparseJacobian(f, x).sweeps == 5
    J = SparseJacobian(f, x, pattern=a)
    assert J.sweeps == 1
    np.testing.assert_allclose(J(x).toarray(), a)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SparseJacobian(band, vector(5))(vector(6)), RuntimeError, "prepared for 5 entries, and there are 6"),
        (lambda: SparseJacobian(band, vector(5), mode="up"), ValueError, "mode must be"),
        (lambda: sparsity(band, 3.0), TypeError, "expected a Tensor"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- Hessians ------------------------------------------------------------------------------------------------------


HESSIANS = {
    "rosenbrock": lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
    "arrow": lambda x: (x[0] * x[1:] ** 2).sum() + x[0].exp(),
    "separable": lambda x: (x.sin() * x).sum(),
    "blocks": lambda x: x.reshape(-1, 3).prod(1).sum(),
    "linear": lambda x: 3 * x.sum(),
    "full": lambda x: (x**2).sum().log(),
    "grid": lambda x: (x[4:] * x[:-4]).sum() + (x.reshape(3, 4)[:, 1:] ** 2 * x.reshape(3, 4)[:, :-1]).sum(),
    "branches": lambda x: torch.where(x > 1, x**3, x[0] * x).sum(),
    "relu": lambda x: torch.relu(x[1:] * x[:-1] - 1).square().sum(),
}  # fmt: skip
COLOURS = {"rosenbrock": 3, "arrow": 2, "separable": 1, "blocks": 3, "linear": 0, "full": 12}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessian_entries(name: str) -> None:
    f = HESSIANS[name]
    H = SparseHessian(f, vector(12))
    if name in COLOURS:
        assert H.sweeps == COLOURS[name]
    for seed in range(2):
        x = vector(12, seed)
        found = H(x).toarray()
        np.testing.assert_allclose(found, hessian(f)(x).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_random_hessians(seed: int) -> None:
    """Sums of products of random pairs: every pattern of a graph."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(2, 15))
    pairs = torch.tensor(draw.integers(0, n, (int(draw.integers(1, 2 * n)), 2)))
    f = lambda x: (x[pairs[:, 0]] ** 2 * x[pairs[:, 1]]).sum()
    x = vector(n, seed)
    np.testing.assert_allclose(sparse_hessian(f, x).toarray(), hessian(f)(x).numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", HESSIANS)
def test_hessian_entries_by_acyclic_colours(name: str) -> None:
    H = SparseHessian(HESSIANS[name], vector(12), colouring="acyclic")
    assert H.sweeps <= SparseHessian(HESSIANS[name], vector(12)).sweeps
    for seed in range(2):
        x = vector(12, seed)
        found = H(x).toarray()
        np.testing.assert_allclose(found, hessian(HESSIANS[name])(x).numpy(), rtol=1e-11, atol=1e-10)
    slope = grad(lambda x: (H.values(x) ** 2).sum())(vector(12))
    right = grad(lambda x: (hessian(HESSIANS[name])(x) ** 2).sum())(vector(12))
    np.testing.assert_allclose(slope.numpy(), right.numpy(), rtol=1e-8, atol=1e-7)
    with pytest.raises(ValueError, match="colouring must be"):
        SparseHessian(HESSIANS[name], vector(12), colouring="other")


def test_hessian_of_a_nest() -> None:
    f = lambda p: (p["a"] ** 2 * p["b"][0]).sum()
    p = {"a": vector(3), "b": (vector(3, 1),)}
    found, want = sparse_hessian(f, p).toarray(), hessian(f)(p)
    np.testing.assert_allclose(found[:3, :3], want["a"]["a"].numpy())
    np.testing.assert_allclose(found[:3, 3:], want["a"]["b"][0].numpy())
    np.testing.assert_allclose(found[3:, 3:], want["b"][0]["b"][0].numpy())


def test_large() -> None:
    """A hundred thousand unknowns: three sweeps, and memory in proportion."""
    n = 100_000
    x = vector(n)
    found = sparse_jacobian(band, x)
    assert found.nnz == 3 * (n - 2) + 3
    np.testing.assert_allclose(found[[1234], :].data, [-math.cos(x[1233].item()), x[1235].item(), x[1234].item()])
    H = SparseHessian(HESSIANS["rosenbrock"], x)
    assert H.sweeps == 3
    v = np.random.default_rng(1).standard_normal(n)
    from chainrule.func import jvp

    product = jvp(grad(HESSIANS["rosenbrock"]), (x,), (torch.tensor(v),))[1].numpy()
    np.testing.assert_allclose(H(x) @ v, product, rtol=1e-9, atol=1e-9)
