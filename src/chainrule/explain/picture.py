"""The picture of a graph: values going down, gradients coming back; as SVG, PNG or .dot text."""

from __future__ import annotations

import functools
import unicodedata
from html import escape
from pathlib import Path
from typing import Any, Final

from ..extras import load
from .boxes import Boxes, boxes
from .explanation import Explanation, explain
from .layout import Layout, arrange

SIZE: Final = 13.0  # of letters
LINE: Final = 17.0
PAD: Final = 9.0
MARGIN: Final = 14.0
_FILL: Final = {"input": "#e3f0e4", "step": "#e8eef7", "result": "#fbe7c6", "group": "#eee8f5"}
_EDGE: Final = {"input": "#4a8f52", "step": "#5a7db0", "result": "#c98a1b", "group": "#7d5fa8"}
_DARK: Final = {"input": "#1f3a24", "step": "#20304a", "result": "#4a3812", "group": "#33284a"}
_GRADIENT: Final = "#b5462f"


class Picture:
    """A picture of a graph.  In a notebook it shows itself; ``save`` writes it, by the file's ending.

    ``svg`` needs nothing else, no Graphviz and no fonts; ``png`` needs matplotlib; ``dot`` is text for Graphviz.  Of more
    than a thousand boxes only ``dot`` is to be had: the others raise ValueError.
    """

    def __init__(self, e: Explanation, *, collapse: bool | None = None, values: bool = True, gradients: bool = True):
        self.content: Boxes = boxes(e.tape, e.locals, collapse, values)
        self.gradients = gradients
        self.title = f"{e.tape.root.name}: {len(e.tape.steps)} steps, {len(e.tape.inputs)} inputs"
        sizes = [(max(map(_width, b.lines)) + 2 * PAD, len(b.lines) * LINE + 2 * PAD - 4) for b in self.content.boxes]
        self.sizes = sizes

    @functools.cached_property
    def layout(self) -> Layout:
        """Where everything goes.  Raises ValueError for more than can be drawn."""
        return arrange(self.sizes, [(x.start, x.end) for x in self.content.edges])

    # --- SVG ---

    @staticmethod
    def style() -> str:
        """The stylesheet of ``svg``, for light and dark."""
        dark = "".join(f".cr-{k} rect{{fill:{c}}}" for k, c in _DARK.items())
        light = "".join(f".cr-{k} rect{{fill:{c};stroke:{_EDGE[k]}}}" for k, c in _FILL.items())
        return (
            f".cr text{{font:{SIZE:g}px system-ui,'Noto Sans',sans-serif;fill:#1c1c1c;text-anchor:middle}}"
            f".cr .cr-t{{font-weight:600}}.cr path{{fill:none;stroke:#8a8f98;stroke-width:1.2}}"
            ".cr marker path{fill:#8a8f98;stroke:none}"
            f".cr .cr-g{{fill:{_GRADIENT};font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px}}{light}"
            f"@media (prefers-color-scheme:dark){{.cr text{{fill:#eee}}.cr .cr-g{{fill:#ff9d85;stroke:#111}}{dark}}}"
        )

    def svg(self, *, style: bool = True) -> str:
        """A complete SVG document; without ``style``, for a page that has the stylesheet already."""
        w, h = self._extent()
        sheet = f"<style>{self.style()}</style>" if style else ""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cr" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" '
            f'height="{h:.0f}" role="img" aria-label="{escape(self.title)}">{sheet}',
            '<defs><marker id="cr-a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<g transform="translate({MARGIN:g} {MARGIN:g})">',
        ]
        parts += [f'<path d="{self._curve(way)}" marker-end="url(#cr-a)"/>' for way in self.layout.ways]
        for k, box in enumerate(self.content.boxes):
            (x, y), (bw, bh) = self.layout.places[k], self.sizes[k]
            tip = f"<title>{escape(box.tip)}</title>" if box.tip else ""
            parts.append(f'<g class="cr-{box.kind}">{tip}<rect x="{x - bw / 2:.1f}" y="{y - bh / 2:.1f}" '
                         f'width="{bw:.1f}" height="{bh:.1f}" rx="6"/>')  # fmt: skip
            for n, line in enumerate(box.lines):
                at = y - bh / 2 + PAD + LINE * n + SIZE - 2
                parts.append(f'<text x="{x:.1f}" y="{at:.1f}"{"" if n else " class=" + _T}>{escape(line)}</text>')
            parts.append("</g>")
        if self.gradients:
            parts += [f'<text class="cr-g" x="{x:.1f}" y="{y:.1f}">{escape(label)}</text>'
                      for label, x, y in self._labels()]  # fmt: skip
        return "\n".join([*parts, "</g></svg>"])

    def _curve(self, way: list[tuple[float, float]]) -> str:
        parts = [f"M{way[0][0]:.1f} {way[0][1]:.1f}"]
        for (x, y), (u, v) in zip(way, way[1:], strict=False):
            bend = (v - y) * 0.45
            parts.append(f"C{x:.1f} {y + bend:.1f} {u:.1f} {v - bend:.1f} {u:.1f} {v:.1f}")
        return "".join(parts)

    def _labels(self) -> list[tuple[str, float, float]]:
        """The gradients, each on its edge, where no other label stands if there is such a place."""
        found: list[tuple[str, float, float]] = []
        for edge, way in zip(self.content.edges, self.layout.ways, strict=True):
            if edge.label:
                spots = [_on_curve(way[0], way[1], t) for t in (0.55, 0.4, 0.7, 0.28)]
                free = [s for s in spots if not any(_near(edge.label, s, other) for other in found[-_LOOK:])]
                x, y = (free or spots)[0]
                found.append((edge.label, x, y))
        return found

    def _extent(self) -> tuple[float, float]:
        right = [x + _width(label) / 2 for label, x, _ in self._labels()]
        return max([self.layout.width, *right]) + 2 * MARGIN, self.layout.height + 2 * MARGIN

    # --- other forms ---

    def dot(self) -> str:
        """The graph in Graphviz's language."""
        lines = ["digraph {", "  rankdir=TB; node [shape=box, style=rounded];"]
        for k, box in enumerate(self.content.boxes):
            lines.append(f"  n{k} [label={_quoted(chr(10).join(box.lines))}];")
        for edge in self.content.edges:
            label = f" [label={_quoted(edge.label)}]" if edge.label and self.gradients else ""
            lines.append(f"  n{edge.start} -> n{edge.end}{label};")
        return "\n".join([*lines, "}"])

    def figure(self) -> Any:
        """The picture as a matplotlib figure."""
        from . import fonts

        fonts.prepare()
        figure_class = load("matplotlib.figure", "explain", "a PNG picture").Figure
        patches = load("matplotlib.patches", "explain", "a PNG picture")
        path = load("matplotlib.path", "explain", "a PNG picture").Path
        w, h = self._extent()
        figure = figure_class(figsize=(w / 96, h / 96), dpi=96)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-MARGIN, w - MARGIN), ylim=(h - MARGIN, -MARGIN))
        axes.axis("off")
        points = SIZE * 0.72
        for way in self.layout.ways:
            (x, y), codes = way[0], [path.MOVETO]
            vertices = [(x, y)]
            for (x, y), (u, v) in zip(way, way[1:], strict=False):
                bend = (v - y) * 0.45
                vertices += [(x, y + bend), (u, v - bend), (u, v)]
                codes += [path.CURVE4] * 3
            arrow = patches.FancyArrowPatch(path=path(vertices, codes), arrowstyle="-|>", mutation_scale=8,
                                            lw=1, color="#8a8f98", zorder=1)  # fmt: skip
            axes.add_patch(arrow)
        for k, box in enumerate(self.content.boxes):
            (x, y), (bw, bh) = self.layout.places[k], self.sizes[k]
            axes.add_patch(patches.FancyBboxPatch(
                (x - bw / 2 + 5, y - bh / 2 + 5), bw - 10, bh - 10, boxstyle="round,pad=5", fc=_FILL[box.kind],
                ec=_EDGE[box.kind], lw=1, zorder=2))  # fmt: skip
            for n, line in enumerate(box.lines):
                at = y - bh / 2 + PAD + LINE * n + SIZE - 2
                axes.text(x, at, _plain(line), ha="center", va="baseline", fontsize=points, zorder=3,
                          weight="normal" if n else "bold")  # fmt: skip
        if self.gradients:
            for label, x, y in self._labels():
                axes.text(x, y, _plain(label), ha="center", va="baseline", fontsize=points * 0.85, color=_GRADIENT, zorder=4,
                          bbox={"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.8})  # fmt: skip
        return figure

    def save(self, file: str | Path) -> Path:
        """Write the picture: ``.svg``, ``.dot`` (or ``.gv``), and ``.png``, ``.pdf`` or what else matplotlib writes."""
        path = Path(file)
        if path.suffix in (".svg", ".dot", ".gv"):
            path.write_text(self.svg() if path.suffix == ".svg" else self.dot(), encoding="utf-8")
        else:
            self.figure().savefig(path)
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"Picture({self.title!r})"


_T: Final = '"cr-t"'


_LOOK: Final = 60  # labels that may be near: edges come in the order of their boxes


def _on_curve(start: tuple[float, float], end: tuple[float, float], t: float) -> tuple[float, float]:
    """A point of an edge's curve, a little lower so that text is centred there."""
    (x, y), (u, v) = start, end
    bend, s = (v - y) * 0.45, 1 - t
    across = x + (u - x) * t * t * (3 - 2 * t)
    return across, s**3 * y + 3 * s * s * t * (y + bend) + 3 * s * t * t * (v - bend) + t**3 * v + 4


def _near(label: str, at: tuple[float, float], other: tuple[str, float, float]) -> bool:
    text, x, y = other
    return abs(at[1] - y) < 12 and abs(at[0] - x) < 0.42 * (_width(label) + _width(text)) + 4


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib reads mathematics between dollars


def _width(text: str) -> float:
    """About how wide a line is."""
    return sum(SIZE if unicodedata.east_asian_width(c) in "WF" else SIZE * 0.6 for c in text)


def graph(what: Any, /, *point: Any, wrt: Any = None, collapse: bool | None = None, values: bool = True,
          gradients: bool = True, **named: Any) -> Picture:  # fmt: skip
    """The picture of a result's graph, or of a function's at a point, with values and gradients.

    Arguments are :func:`explain`'s.  Boxes are inputs, steps and the result, named after the user's variables, and
    edges bear the gradients that flow back along them.  ``collapse`` draws a module, or a chain of steps, as one
    box; None does so where there are more than 40 boxes.

    >>> import chainrule as torch
    >>> from chainrule.explain import graph
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> picture = graph(torch.sin(x) * x)
    >>> picture
    Picture('y: 2 steps, 1 inputs')
    >>> print(picture.dot())
    digraph {
      rankdir=TB; node [shape=box, style=rounded];
      n0 [label="x\\n3\\n∂ = -2.829"];
      n1 [label="t1 = sin(x)\\n0.1411"];
      n2 [label="y = t1*x\\n0.4234"];
      n0 -> n1 [label="-2.97"];
      n1 -> n2 [label="3"];
      n0 -> n2 [label="0.1411"];
    }
    """
    return Picture(explain(what, *point, wrt=wrt, **named), collapse=collapse, values=values, gradients=gradients)
