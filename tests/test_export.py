"""Exported files: run without chainrule, compiled by a C compiler, and compared with the derivatives that they are of."""

from __future__ import annotations

import ctypes
import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.explain import export, formula

F = torch.nn.functional
COMPILER = shutil.which("gcc") or shutil.which("cc")
WEIGHT = torch.tensor([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]])
CLASSES = torch.tensor([0, 1, 1])


def polynomial(x: Any) -> Any:
    return 5 * x**4 + 3 * x**3 - 7 * x**2 + 9 / x - 5


def wave(x: Any) -> Any:
    return torch.sin(x) * torch.exp(-(x**2)) + torch.tanh(x)


def branches(u: Any, v: Any) -> Any:
    s = u * v
    return (
        torch.where((u > v) & (v > -1), s, torch.relu(v)) + torch.sigmoid(u) ** 1.5 - torch.abs(v) * torch.maximum(u, v)
    )


def named(class_: Any, exp: Any) -> Any:  # names that mean something else in C or Python
    double = torch.exp(class_) * exp
    return double * torch.log1p(exp**2) + double


def special(x: Any, y: Any) -> Any:
    return torch.erf(x) + torch.atan2(y, x) + F.softplus(x) + torch.asinh(y) + torch.remainder(x, 2.0) + F.gelu(y)


def network(x: Any, b: Any) -> Any:
    z = x @ WEIGHT.to(x.dtype)
    a = torch.tanh(z + b)
    return F.cross_entropy(a, CLASSES) + (a**2).mean()


def pieces(v: Any) -> Any:
    d = v[1:] - v[:-1]
    joined = torch.cat([d.flip(0), v[::2] * 2, v[torch.tensor([3, 0, 0])]])
    return d.pow(2).sum() + v.max() + v.norm() + torch.relu(v).mean() + v.std() + (joined * joined).cumsum(0)[2:].sum()


def matrices(a: Any, b: Any) -> Any:
    return (torch.softmax(a @ b.T, -1) * a.sum(1, keepdim=True)).sum() + a.T.reshape(2, 6).prod(1).sum() + (a[0] @ b[1])


def solved(a: Any, b: Any) -> Any:
    spread = a @ a.T + torch.eye(3, dtype=a.dtype)
    factor = torch.linalg.cholesky(spread)
    upper = torch.linalg.cholesky(spread, upper=True)
    whitened = torch.linalg.solve_triangular(factor, b, upper=False)
    unit = torch.linalg.solve_triangular(upper, b, upper=True, unitriangular=True)
    return (
        (b * torch.linalg.solve(spread, b)).sum() + torch.log(factor.diagonal()).sum() + (whitened**2).sum() + unit.sum()
        + torch.cholesky_solve(b, factor).sum() + torch.linalg.inv(spread)[0, 1] + torch.tril(a, -1).sum()
    )  # fmt: skip


def determinants(a: Any) -> Any:
    singular = a[:, :1] @ a[:1]
    return torch.linalg.det(a) + torch.logdet(a @ a.T) + torch.linalg.slogdet(a)[1] + torch.linalg.det(singular + a * 0)


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, tuple[int, ...]]]] = {
    **{f"polynomial {n}": (polynomial, {"derivative": n}, {}) for n in (0, 1, 2, 5)},
    **{f"wave {n}": (wave, {"derivative": n}, {}) for n in (0, 1, 3)},
    "branches": (branches, {"derivative": 0}, {}), "branches gradient": (branches, {}, {}),
    "branches mixed": (branches, {"derivative": ("u", "v")}, {}), "branches hessian": (branches, {"derivative": "hessian"}, {}),
    "names": (named, {}, {}), "special": (special, {}, {}),
    "network value": (network, {"derivative": 0}, {"x": (3, 3), "b": (2,)}),
    "network": (network, {}, {"x": (3, 3), "b": (2,)}),
    "pieces": (pieces, {}, {"v": (5,)}), "pieces value": (pieces, {"derivative": 0}, {"v": (5,)}),
    "pieces hessian": (pieces, {"derivative": "hessian"}, {"v": (4,)}),
    "matrices": (matrices, {}, {"a": (4, 3), "b": (4, 3)}),
    "jacobian": (lambda x, s: torch.stack([x[0] * x[1] * s, torch.sin(x[0]), s**2]), {"derivative": "jacobian"}, {"x": (2,)}),
    "elementwise": (lambda x, s: torch.exp(-x) * s + x, {"derivative": 0}, {"x": (2, 3)}),
    "one entry": (lambda x: (x * x).sum(), {}, {"x": (1,)}),
}  # fmt: skip


ALGEBRA: dict[str, Any] = {  # in Python alone
    "solved": (solved, {}, {"a": (3, 3), "b": (3, 2)}), "solved value": (solved, {"derivative": 0}, {"a": (3, 3), "b": (3, 2)}),
    "solved hessian": (solved, {"derivative": "hessian"}, {"a": (3, 3), "b": (3, 1)}),
    "determinants": (determinants, {}, {"a": (3, 3)}), "determinants value": (determinants, {"derivative": 0}, {"a": (3, 3)}),
}  # fmt: skip


def wanted(f: Callable[..., Any], options: dict[str, Any], point: list[Any]) -> list[Any]:
    """What the file should compute, by ``torch.func``."""
    d, g, args = options.get("derivative", 1), f, [torch.tensor(p, dtype=torch.float64) for p in point]
    names = list(f.__code__.co_varnames[: len(point)])
    numbers = isinstance(d, int) and len(point) == 1 and not np.ndim(point[0])
    every = tuple(range(len(point)))
    if numbers and d:
        d = tuple(names[:1]) * d
    if isinstance(d, tuple):
        for a in d:
            g = torch.func.grad(g, names.index(a))
    elif d:
        kind = {1: torch.func.grad, "jacobian": torch.func.jacrev, "hessian": torch.func.hessian}[d]
        g = kind(g, every)
    found = g(*args)
    return _flat(found)


def _flat(found: Any) -> list[Any]:
    if isinstance(found, tuple):
        return [a for t in found for a in _flat(t)]
    return [found.detach().numpy()]


def points(f: Callable[..., Any], shapes: dict[str, Any]) -> list[list[Any]]:
    rng = np.random.default_rng(7)
    names = f.__code__.co_varnames[: f.__code__.co_argcount]
    return [[rng.normal(size=shapes.get(n, ())).tolist() for n in names] for _ in range(4)]


RUN = "import json, sys, {m} as m; r = [m.{f}(*p) for p in json.load(sys.stdin)]; " + (
    "print(json.dumps([[getattr(v, 'tolist', lambda v=v: v)() for v in (t if isinstance(t, tuple) else (t,))] for t in r]))"
)


@pytest.mark.parametrize("name", [*CASES, *ALGEBRA])
def test_python(name: str, tmp_path: Path) -> None:
    f, options, shapes = (CASES | ALGEBRA)[name]
    source = export(f, **options, **shapes)
    title = re.search(r"^def (\w+)\(", source.split("\n\n\n")[-1], re.M)
    assert title is not None
    assert "chainrule" not in source.partition("\n")[2]  # but for the comment
    if not shapes:
        assert "numpy" not in source
    source.save(tmp_path / "exported.py")
    given = points(f, shapes)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + RUN.format(m="exported", f=title[1])
    done = subprocess.run([sys.executable, "-I", "-W", "error", "-c", program], input=json.dumps(given), capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr + source
    for point, found in zip(given, json.loads(done.stdout), strict=True):
        for a, b in zip(found, wanted(f, options, point), strict=True):
            np.testing.assert_allclose(np.asarray(a, float), b, rtol=1e-10, atol=1e-12, err_msg=source)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize("name", CASES)
def test_c(name: str, tmp_path: Path) -> None:
    f, options, shapes = CASES[name]
    source = export(f, language="c", **options, **shapes)
    head = re.search(r"^(double|void) (\w+)\((.*)\)$", source, re.M)
    assert head is not None
    file, library = source.save(tmp_path / "exported.c"), tmp_path / "exported.so"
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-pedantic", "-shared", "-fPIC"]
    done = subprocess.run([str(COMPILER), *flags, str(file), "-o", str(library), "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + source
    function = getattr(ctypes.CDLL(str(library)), head[2])
    function.restype = ctypes.c_double if head[1] == "double" else None
    for point in points(f, shapes):
        want = wanted(f, options, point)
        outs = [] if head[1] == "double" else [np.empty(w.shape) for w in want]
        given = [np.array(p, float) for p in point]
        args = [a.ctypes.data_as(ctypes.c_void_p) if a.ndim else ctypes.c_double(float(a)) for a in given]
        back = function(*args, *[o.ctypes.data_as(ctypes.c_void_p) for o in outs])
        for a, b in zip(outs or [back], want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=source)


def tree(r: random.Random, depth: int) -> Callable[[Any, Any], Any]:
    """A random function of two numbers."""
    if not depth:
        return r.choice([lambda u, v: u, lambda u, v: v, lambda u, v: u * 0 + 2.5, lambda u, v: 3 * v])
    a, b = tree(r, depth - 1), tree(r, depth - 1)
    return r.choice([
        lambda u, v: a(u, v) + b(u, v), lambda u, v: a(u, v) - b(u, v), lambda u, v: a(u, v) * b(u, v),
        lambda u, v: a(u, v) / (2 + torch.sin(b(u, v))), lambda u, v: -a(u, v), lambda u, v: torch.tanh(a(u, v)),
        lambda u, v: a(u, v) ** 2, lambda u, v: 1 / (1 + a(u, v) ** 2) ** 3, lambda u, v: torch.remainder(a(u, v), 2.0) * b(u, v),
        lambda u, v: b(u, v) * torch.remainder(a(u, v), 3.0), lambda u, v: torch.where(a(u, v) > b(u, v), a(u, v), -b(u, v)),
        lambda u, v: torch.maximum(a(u, v), b(u, v)) - (a(u, v) - b(u, v)), lambda u, v: torch.exp(-abs(a(u, v))),
    ])  # fmt: skip


def random_functions(n: int) -> list[Callable[[Any, Any], Any]]:
    r = random.Random(107)
    return [tree(r, 1 + i % 5) for i in range(n)]


def test_parentheses_of_random_functions_in_python() -> None:
    for number, f in enumerate(random_functions(120)):
        for d in (0, 1):
            source, scope = export(f, derivative=d, name="f"), {}
            exec(source, scope)
            for u, v in ((0.7, -1.3), (-0.4, 0.9)):
                got = scope["f"](u, v)  # type: ignore[operator]
                for a, b in zip(got if d else (got,), wanted(f, {"derivative": d}, [u, v]), strict=True):
                    assert a == pytest.approx(float(b), rel=1e-9, abs=1e-11), f"{number}\n{source}"


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_parentheses_of_random_functions_in_c(tmp_path: Path) -> None:
    functions = random_functions(60)
    helpers, bodies = set(), []
    for i, f in enumerate(functions):
        source = export(f, derivative=0, name=f"f{i}", language="c")
        helpers |= set(re.findall(r"^static double .*$", source, re.M))
        bodies.append(source[re.search(r"^double f\d+\(", source, re.M).start() :])  # type: ignore[union-attr]
    file, library = tmp_path / "all.c", tmp_path / "all.so"
    file.write_text("\n".join(["#include <math.h>", *sorted(helpers), *bodies]), encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-shared", "-fPIC"]
    subprocess.run([str(COMPILER), *flags, str(file), "-o", str(library), "-lm"], check=True, timeout=120)
    loaded = ctypes.CDLL(str(library))
    for i, f in enumerate(functions):
        function = getattr(loaded, f"f{i}")
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * 2
        for u, v in ((0.7, -1.3), (-0.4, 0.9)):
            (want,) = wanted(f, {"derivative": 0}, [u, v])
            assert function(u, v) == pytest.approx(float(want), rel=1e-9, abs=1e-11), bodies[i]


def test_text_is_the_same_each_time() -> None:
    for language in ("python", "c"):
        texts = {export(network, language=language, x=(3, 3), b=(2,)) for _ in range(2)}  # type: ignore[arg-type]
        assert len(texts) == 1


def test_local_variables_keep_their_names() -> None:
    assert "s = u*v" in export(branches, derivative=0)
    assert "const double s = u*v;" in export(branches, derivative=0, language="c")
    assert "z = x @ " in export(network, x=(3, 3), b=(2,))


def test_one_argument_to_differentiate_by_may_be_named_alone() -> None:
    def f(theta: Any, x: Any) -> Any:
        return theta**2 * x

    assert export(f, derivative="theta") == export(f, derivative=("theta",))
    pytest.importorskip("sympy")
    assert str(formula(f, derivative="theta")) == "2*theta*x"


def test_a_name_of_ones_own() -> None:
    assert "def slope(x):" in export(polynomial, name="slope")


def test_constants_are_written_with_all_digits() -> None:
    weight = torch.tensor([0.1, 1 / 3, float("inf")], dtype=torch.float64)
    source = export(lambda x: (x * weight).sum(), x=(3,))
    assert repr(1 / 3) in source and "np.inf" in source
    assert "INFINITY" in export(lambda x: (x * weight).sum(), x=(3,), language="c")


def test_huge_intermediates_are_static_in_c() -> None:
    def f(x: Any) -> Any:
        y = torch.exp(x)
        return (y / y.sum()).sum()

    assert "static double y[40000];" in export(f, derivative=0, x=(40_000,), language="c")
    assert "static double" not in export(f, derivative=0, x=(40,), language="c")


def test_what_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="cannot be written in NumPy"):
        export(lambda a: torch.linalg.eigvalsh(a).sum(), a=(2, 2))
    with pytest.raises(ValueError, match="cannot be written in C"):
        export(determinants, language="c", a=(2, 2))
    with pytest.raises(ValueError, match="one number"):
        export(branches, derivative=2)
    with pytest.raises(ValueError, match="no argument that is a number"):
        export(branches, derivative=("w",))
    with pytest.raises(ValueError, match="no such argument"):
        export(polynomial, y=(2,))
    with pytest.raises(ValueError, match="language"):
        export(polynomial, language="fortran")  # type: ignore[arg-type]
    big = torch.rand(200, 200, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="too many"):
        export(lambda x: (x @ big).sum(), derivative=0, x=(1, 200))
    with pytest.raises(RuntimeError):
        export(lambda x: x if x > 0 else -x)
    with pytest.raises(RuntimeError, match="random"):
        export(lambda x: x * torch.rand((), generator=torch.Generator().manual_seed(0)))


def test_a_kept_default_and_a_constant_function() -> None:
    def f(x: Any, scale: float = 3.0) -> Any:
        return x * x * scale

    assert "3.0*x" in export(f, derivative=0) or "x**2*3.0" in export(f, derivative=0)
    assert math.isclose(float(eval(re.findall(r"return (.*)", export(f, derivative=3))[0])), 0.0)


def test_arguments_by_name_alone() -> None:
    def f(x: Any, *, k: Any, scale: float = 3.0) -> Any:
        z = torch.sin(x)
        return z * k**2 * scale

    scope: dict[str, Any] = {}
    source = export(f)
    assert "z = sin(x)" in source
    exec(source, scope)
    assert scope["f_gradient"](0.5, 2.0) == pytest.approx((12 * math.cos(0.5), 12 * math.sin(0.5)))
    exec(export(f, derivative=("k", "x")), scope)
    assert scope["d2f_dk_dx"](0.5, 2.0) == pytest.approx(12 * math.cos(0.5))


def test_a_module_takes_what_its_forward_takes(own_generator: None) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)
            torch.nn.init.constant_(self.linear.weight, 0.5)
            torch.nn.init.constant_(self.linear.bias, 2.0)

        def forward(self, v: Any, *, s: Any) -> Any:
            return (self.linear(v) * s).sum()

    for derivative, want in ((0, 10.5), (("s",), 3.5)):
        scope: dict[str, Any] = {}
        exec(export(Scaled(), derivative=derivative, name="f", v=(2,)), scope)
        assert scope["f"]([1.0, 2.0], 3.0) == pytest.approx(want)
