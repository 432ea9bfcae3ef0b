"""Pictures of graphs: what they show is in the graph, and nothing lies on anything else."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import chainrule as torch
from chainrule import nn
from chainrule.explain.layout import GAP_X, arrange

pytest.importorskip("sympy")
from chainrule.explain import Picture, explain, graph

SVG = "{http://www.w3.org/2000/svg}"


class Residual(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(n, n), nn.Linear(n, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(torch.tanh(self.a(x)))


def tangle(n: int) -> torch.Tensor:
    draw = random.Random(1)
    pool = [torch.tensor(i / 7, requires_grad=True) for i in range(1, 6)]
    for i in range(n):
        a, b = draw.sample(pool[-12:], 2) if len(pool) > 12 else draw.sample(pool, 2)
        pool.append(torch.sin(a) + b if i % 3 else a * b)
    return sum(pool[-4:], torch.tensor(0.0))


def apart(picture: Picture) -> None:
    boxes = list(zip(picture.layout.places, picture.sizes, strict=True))
    for ((x, y), (w, h)), ((u, v), (a, b)) in itertools.combinations(boxes, 2):
        assert abs(x - u) >= (w + a) / 2 or abs(y - v) >= (h + b) / 2


def downwards(picture: Picture) -> None:
    assert picture.layout.ways
    for way in picture.layout.ways:
        assert all(y < v for (_, y), (_, v) in itertools.pairwise(way))
    assert all(e.start < e.end for e in picture.content.edges)


def test_a_small_graph() -> None:
    def f(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        s = x * w
        return torch.sin(s) * s

    picture = graph(f, 2.0, 0.5)
    titles = [b.lines[0] for b in picture.content.boxes]
    assert titles == ["x", "w", "s = w*x", "t1 = sin(s)", "y = s*t1"]
    root = ET.fromstring(picture.svg())
    shown = [t.text for t in root.iter(f"{SVG}text")]
    assert {"x", "2", "s = w*x", "0.8415"} <= set(shown)
    labels = [t.text for t in root.iter(f"{SVG}text") if t.attrib.get("class") == "cr-g"]
    assert sorted(labels) == sorted(["0.6909", "2.764", "0.5403", "0.8415", "1"])
    assert "http" not in picture.svg().replace("http://www.w3.org/2000/svg", "")
    apart(picture)
    downwards(picture)


def test_gradients_and_values_may_be_left_out() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    picture = graph(x * x * 3, gradients=False, values=False)
    assert all(len(b.lines) == 1 for b in picture.content.boxes)
    assert "cr-g" not in re.sub(r"<style>.*?</style>", "", picture.svg(), flags=re.DOTALL)
    assert "label" not in picture.dot().replace("[label=", "", 3)


def test_modules_are_collapsed(own_generator: object) -> None:
    net = nn.Sequential(nn.Linear(4, 8), *[Residual(8) for _ in range(30)], nn.Linear(8, 1))
    loss = (net(torch.ones(5, 4)) ** 2).mean()
    picture = graph(loss)
    titles = [b.lines[0] for b in picture.content.boxes]
    assert "net.7" in titles
    assert len(titles) == 33  # with the batch
    drawn = [i for b in picture.content.boxes for i in b.items]
    steps = explain(loss).tape.steps
    assert sorted(i.label for i in drawn if i.kind == "step") == sorted(s.label for s in steps)
    apart(picture)
    downwards(picture)


def test_two_hundred_nodes_without_modules() -> None:
    y = tangle(200)
    for collapse in (False, True):
        picture = graph(y, collapse=collapse)
        apart(picture)
        downwards(picture)
        drawn = [i for b in picture.content.boxes for i in b.items if not i.leaf]
        assert len(drawn) == len({id(i) for i in drawn}) >= 200
        assert (len(picture.content.boxes) < 200) is collapse
        assert len(ET.fromstring(picture.svg()).findall(f".//{SVG}rect")) == len(picture.content.boxes)


def test_places_on_a_layer_do_not_overlap_whatever_the_wishes() -> None:
    draw = random.Random(3)
    for _ in range(20):
        n = draw.randint(2, 25)
        edges = sorted({(a, b) for b in range(1, n) for a in draw.sample(range(b), min(b, draw.randint(1, 3)))})
        sizes = [(draw.uniform(10, 120), draw.uniform(10, 50)) for _ in range(n)]
        found = arrange(sizes, edges)
        for i, j in itertools.combinations(range(n), 2):
            (x, y), (u, v) = found.places[i], found.places[j]
            if y == v:
                assert abs(x - u) >= (sizes[i][0] + sizes[j][0]) / 2 + GAP_X - 1e-6


def test_dot_and_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    held = {'a"b': torch.tensor(2.0, requires_grad=True)}
    picture = graph(torch.exp(held['a"b']))
    assert r"held['a\"b']" in picture.dot()
    assert ET.fromstring(picture.svg()) is not None
    assert picture.save(tmp_path / "g.svg").read_text(encoding="utf-8") == picture.svg()
    assert picture.save(tmp_path / "g.dot").read_text(encoding="utf-8") == picture.dot()
    assert picture.save(tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


def test_several_outputs_and_constants_have_their_place() -> None:
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, _ = x.sort()
    weights = torch.tensor([1.0, 10.0, 100.0])
    picture = graph((values * weights).sum())
    titles = [b.lines[0] for b in picture.content.boxes]
    assert "weights" in titles
    downwards(picture)


def test_a_deep_network_in_full_goes_straight_down() -> None:
    """What is on its way keeps its place, and parameters make room: no drift, whatever the depth."""
    x, y = torch.ones(1, 3), torch.ones(1, 3)
    for _ in range(30):
        y = torch.tanh(torch.addmm(torch.ones(3, requires_grad=True), y, torch.ones(3, 3, requires_grad=True)) + x)
    picture = graph(y.sum(), collapse=False)
    assert len(picture.content.boxes) > 120
    assert picture.layout.width < 1200  # of three or four boxes beside each other; it was ten times as wide


def test_labels_do_not_cover_each_other() -> None:
    a = [torch.tensor(float(i + 1), requires_grad=True) for i in range(4)]
    for _ in range(5):
        a = [torch.sin(a[i] * a[(i + 1) % 4]) for i in range(4)]
    labels = graph(sum(a), collapse=False)._labels()
    assert len(labels) > 40
    close = [
        (s, t) for i, (s, x, y) in enumerate(labels) for t, u, v in labels[:i] if abs(x - u) < 12 and abs(y - v) < 8
    ]
    assert len(close) <= 1


def test_minus_zero_reads_zero() -> None:
    x = torch.tensor(0.0, requires_grad=True)
    assert "-0" not in graph(-x * 1.0).dot()


def test_too_many_boxes_are_refused_and_text_is_not() -> None:
    x = y = torch.tensor(1.0, requires_grad=True)
    for _ in range(1100):
        y = y * x
    picture = graph(y, collapse=False)
    with pytest.raises(ValueError, match="at most 1000 are drawn"):
        picture.svg()
    assert picture.dot().count("->") > 1000
