// A function of one variable with its tangent, and below it its derivatives: the slope of the tangent is the height
// of the point on f′. Between the server's points it is interpolated, so that the point follows the finger at once.

import { draw, handle, place } from "./drawing.js";
import { minus, roundStep, shown, ticks, typed } from "./numbers.js";
import { say } from "./words.js";

const LEFT = 46, RIGHT = 14, TOP = 24, BOTTOM = 24, GAP = 32, SHARES = [2, 1, 1], PRIMES = ["", "′", "″"];

export class Plot {
  // `data` is the server's; `moved(text)` is called with the variable's new value.
  constructor(box, data, result, moved) {
    Object.assign(this, { data, result, moved, x: data.low });
    this.step = roundStep(data.high - data.low, 200);
    const { width, height } = box.getBoundingClientRect();
    this.svg = draw(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group" });
    this.svg.setAttribute("aria-label", say("plot says", { x: data.by }));
    this.span = [LEFT, width - RIGHT];
    const room = height - TOP - BOTTOM - GAP * (SHARES.length - 1), all = SHARES.reduce((a, b) => a + b);
    let top = TOP;
    this.panels = SHARES.map((share, k) => {
      const panel = { k, top, bottom: top + (room * share) / all };
      top = panel.bottom + GAP;
      return panel;
    });
    for (const panel of this.panels) this.#frame(panel);
    this.guide = draw(this.svg, "line", { class: "guide", y1: TOP, y2: height - BOTTOM });
    this.tangent = draw(this.svg, "line", { class: "tangent", "clip-path": "url(#clip0)" });
    for (const panel of this.panels) this.#curve(panel);
    this.#marks();
    for (const panel of this.panels) {
      if (panel.k) panel.dot = draw(this.svg, "circle", { class: `dot n${panel.k}`, r: 5 });
      panel.label = draw(this.svg, "text", { class: `name n${panel.k}`, x: LEFT, y: panel.top - 8 });
    }
    this.handle = handle(this.svg, {
      moved: (px) => this.#move(data.low + ((px - LEFT) / (this.span[1] - LEFT)) * (data.high - data.low)),
      stepped: (dx, dy) => this.#move(this.x + (dx + dy) * this.step),
      ended: (end) => this.#move(end ? data.high : data.low),
    });
    this.handle.setAttribute("aria-label", `${say("handle")}: ${data.by}`);
  }

  #move(x) {
    const { low, high } = this.data, kept = Math.min(high, Math.max(low, x));
    const text = typed(Math.round(kept / this.step) * this.step, this.step);
    this.show(Number(text));
    this.moved(text);
  }

  holds() {
    return true;
  }

  // Puts the point at x; `exact` has the value and the derivative there, where they are known.
  show(x, exact = []) {
    this.x = x;
    const found = this.panels.map(({ k }) => (typeof exact[k] === "number" ? exact[k] : this.#at(k, x)));
    const px = this.#across(x), [f, slope] = found;
    for (const name of ["x1", "x2"]) this.guide.setAttribute(name, px);
    const known = f !== null && slope !== null;
    this.tangent.toggleAttribute("hidden", !known);
    if (known) {
      const { low, high } = this.data;
      for (const [n, end] of [low, high].entries()) {
        this.tangent.setAttribute(`x${n + 1}`, this.#across(end));
        const y = this.#up(this.panels[0], f + slope * (end - x));
        this.tangent.setAttribute(`y${n + 1}`, Math.min(1e5, Math.max(-1e5, y)));
      }
    }
    for (const panel of this.panels) {
      const value = found[panel.k];
      panel.label.textContent = `${this.result}${PRIMES[panel.k]} = ${shown(value, 5)}`;
      const y = this.#inside(panel, value);
      if (panel.dot) place(panel.dot, px, y, {});
      else {
        const said = `${this.data.by} = ${shown(x)}, ${this.result} = ${shown(value, 5)}, ${say("tangent", { slope: shown(slope, 5) })}`;
        place(this.handle, px, y, {
          valuemin: this.data.low, valuemax: this.data.high, valuenow: x, valuetext: said, orientation: "horizontal",
        });
      }
    }
  }

  #across(x) {
    return LEFT + ((x - this.data.low) / (this.data.high - this.data.low)) * (this.span[1] - LEFT);
  }

  #up(panel, y) {
    const [low, high] = this.data.limits[panel.k];
    return panel.bottom - ((y - low) / (high - low)) * (panel.bottom - panel.top);
  }

  #inside(panel, y) {
    return y === null ? panel.bottom : Math.min(panel.bottom, Math.max(panel.top, this.#up(panel, y)));
  }

  // The derivative of order k at x: a cubic where the next order is known too (Hermite), else a line.
  #at(k, x) {
    const { low, high, values } = this.data, last = values[k].length - 1, h = (high - low) / last;
    const i = Math.min(last - 1, Math.max(0, Math.floor((x - low) / h))), t = (x - low) / h - i;
    const [a, b] = [values[k][i], values[k][i + 1]];
    if (a === null || b === null) return t === 0 ? a : t === 1 ? b : null;
    const [da, db] = values[k + 1] ? [values[k + 1][i], values[k + 1][i + 1]] : [null, null];
    if (da === null || db === null) return a + (b - a) * t;
    const s = 1 - t;
    return a * s * s * (1 + 2 * t) + b * t * t * (3 - 2 * t) + h * t * s * (da * s - db * t);
  }

  #frame(panel) {
    const { low, high, limits } = this.data, [right, { top, bottom }] = [this.span[1], panel];
    const clip = draw(draw(this.svg, "defs"), "clipPath", { id: `clip${panel.k}` });
    draw(clip, "rect", { x: LEFT, y: top, width: right - LEFT, height: bottom - top });
    for (const x of ticks(low, high, Math.max(3, (right - LEFT) / 90))) {
      const px = this.#across(x);
      draw(this.svg, "line", { class: x === 0 ? "axis" : "grid", x1: px, x2: px, y1: top, y2: bottom });
      if (panel.k === SHARES.length - 1) {
        draw(this.svg, "text", { x: px, y: bottom + 17, "text-anchor": "middle" }, minus(shown(x)));
      }
    }
    for (const y of ticks(...limits[panel.k], (bottom - top) / 32)) {
      const py = this.#up(panel, y);
      draw(this.svg, "line", { class: y === 0 ? "axis" : "grid", x1: LEFT, x2: right, y1: py, y2: py });
      draw(this.svg, "text", { x: LEFT - 7, y: py + 4, "text-anchor": "end" }, minus(shown(y, 4)));
    }
  }

  #curve(panel) {
    const { low, high, values, limits } = this.data, list = values[panel.k], [a, b] = limits[panel.k];
    let path = "", open = false, before = 0;
    for (const [i, y] of list.entries()) {
      const drawn = y !== null && Math.abs(y - (a + b) / 2) < 2 * (b - a);
      if (drawn) {
        const leaps = open && Math.abs(y - before) > 0.8 * (b - a); // no line across a pole
        const x = this.#across(low + ((high - low) * i) / (list.length - 1));
        path += `${open && !leaps ? "L" : "M"}${x.toFixed(2)} ${this.#up(panel, y).toFixed(2)}`;
        before = y;
      }
      open = drawn;
    }
    draw(this.svg, "path", { class: `curve c${panel.k}`, d: path || "M0 0", "clip-path": `url(#clip${panel.k})` });
  }

  #marks() {
    for (const mark of this.data.marks) {
      const y = this.#up(this.panels[0], mark.y);
      if (y < this.panels[0].top || y > this.panels[0].bottom) continue;
      const dot = draw(this.svg, "circle", { class: "mark", cx: this.#across(mark.x), cy: y, r: 4 });
      const where = `${say(mark.kind)}: ${this.data.by} = ${shown(mark.x)}, ${this.result} = ${shown(mark.y)}`;
      draw(dot, "title", {}, where);
    }
  }
}
