// A function of two variables as a map: shades, level lines, and the gradient at the point, which is dragged.

import { draw, handle, place } from "./drawing.js";
import { minus, roundStep, shown, ticks, typed } from "./numbers.js";
import { say } from "./words.js";

const LEFT = 40, RIGHT = 14, TOP = 46, BOTTOM = 24, LEVELS = 14;

export class LevelMap {
  // `data` is the server's, `names` the two variables; `moved([text, text])` is called with their new values.
  constructor(box, data, names, result, moved) {
    Object.assign(this, { box, data, names, result, moved, at: [...data.low] });
    const room = box.getBoundingClientRect();
    const side = Math.min(room.width - LEFT - RIGHT, room.height - TOP - BOTTOM);
    const left = Math.max(LEFT, (room.width - side) / 2);
    this.frame = { left, top: TOP, side };
    this.svg = draw(box, "svg", { viewBox: `0 0 ${room.width} ${room.height}`, role: "group" });
    this.svg.setAttribute("aria-label", say("map says", { x: names[0], y: names[1] }));
    const clip = draw(draw(this.svg, "defs"), "clipPath", { id: "clip" });
    draw(clip, "rect", { x: left, y: TOP, width: side, height: side });
    this.#shades();
    this.#levels();
    this.#axes();
    this.arrow = draw(this.svg, "path", { class: "arrow" });
    this.label = draw(this.svg, "text", { class: "name n0", x: left, y: 14 });
    this.slope = draw(this.svg, "text", { class: "soft", x: left, y: 33 });
    const step = (k) => roundStep(data.high[k] - data.low[k], 200);
    this.steps = [step(0), step(1)];
    this.handle = handle(this.svg, {
      moved: (px, py) => this.#move(this.#value(0, (px - left) / side), this.#value(1, 1 - (py - TOP) / side)),
      stepped: (dx, dy) => this.#move(this.at[0] + dx * this.steps[0], this.at[1] + dy * this.steps[1]),
      ended: (end) => this.#move(end ? data.high[0] : data.low[0], this.at[1]),
    });
    this.handle.setAttribute("aria-label", `${say("handle")}: ${names.join(", ")}`);
  }

  // Whether a point lies on the map, and not at its very edge.
  holds(point) {
    return point.every((v, k) => {
      const margin = (this.data.high[k] - this.data.low[k]) * 0.02;
      return v >= this.data.low[k] - margin && v <= this.data.high[k] + margin;
    });
  }

  // Puts the point somewhere; with a gradient, its arrow too.
  show(point, value, gradient) {
    this.at = [...point];
    const [x, y] = [this.#across(point[0]), this.#up(point[1])];
    this.arrow.toggleAttribute("hidden", !gradient);
    let slope = "";
    if (gradient?.every((g) => typeof g === "number")) {
      const size = Math.hypot(...gradient) || 1, long = this.frame.side * 0.17;
      const [dx, dy] = [(gradient[0] / size) * long, (-gradient[1] / size) * long];
      const head = (turn) => {
        const [c, s] = [Math.cos(turn) * 0.26, Math.sin(turn) * 0.26];
        return `${(x + dx - dx * c + dy * s).toFixed(1)} ${(y + dy - dy * c - dx * s).toFixed(1)}`;
      };
      const tip = `${(x + dx).toFixed(1)} ${(y + dy).toFixed(1)}`;
      this.arrow.setAttribute("d", Math.hypot(...gradient) ? `M${x} ${y}L${tip}M${head(0.5)}L${tip}L${head(-0.5)}` : "");
      slope = `${say("gradient")} (${gradient.map((g) => shown(g, 5)).join(", ")})`;
      this.label.textContent = `${this.result} = ${shown(value, 5)}`;
      this.slope.textContent = slope;
    }
    const said = `${this.names.map((n, k) => `${n} = ${shown(point[k])}`).join(", ")}; ${slope}`;
    place(this.handle, x, y, { valuemin: this.data.low[0], valuemax: this.data.high[0], valuenow: point[0], valuetext: said });
  }

  #move(u, v) {
    const texts = [u, v].map((x, k) => {
      const kept = Math.min(this.data.high[k], Math.max(this.data.low[k], x));
      return typed(Math.round(kept / this.steps[k]) * this.steps[k], this.steps[k]);
    });
    this.show(texts.map(Number));
    this.moved(texts);
  }

  #value(k, share) {
    return this.data.low[k] + share * (this.data.high[k] - this.data.low[k]);
  }

  #across(u) {
    return this.frame.left + ((u - this.data.low[0]) / (this.data.high[0] - this.data.low[0])) * this.frame.side;
  }

  #up(v) {
    return TOP + (1 - (v - this.data.low[1]) / (this.data.high[1] - this.data.low[1])) * this.frame.side;
  }

  // One pixel for each value, drawn large: the browser shades what lies between.
  #shades() {
    const { size, values, limits: [low, high] } = this.data, { left, side } = this.frame;
    const canvas = document.createElement("canvas"), paint = canvas.getContext("2d");
    canvas.width = canvas.height = side;
    for (const [name, at] of Object.entries({ left, top: TOP, width: side, height: side })) canvas.style[name] = `${at}px`;
    this.box.prepend(canvas);
    const [from, to] = ["color", "backgroundColor"].map((name) => getComputedStyle(canvas)[name].match(/[\d.]+/g).map(Number));
    const small = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const pixels = new ImageData(size, size);
    for (const [i, v] of values.entries()) {
      if (v === null) continue;
      const share = Math.min(1, Math.max(0, (v - low) / (high - low)));
      const place = 4 * ((size - 1 - Math.floor(i / size)) * size + (i % size));
      pixels.data.set([...from.slice(0, 3).map((a, k) => a + (to[k] - a) * share), 255], place);
    }
    small.getContext("2d").putImageData(pixels, 0, 0);
    canvas.style.background = "none";
    paint.imageSmoothingQuality = "high";
    paint.drawImage(small, 0.5, 0.5, size - 1, size - 1, 0, 0, side, side);
  }

  // Level lines by marching squares: in each cell, straight from side to side.
  #levels() {
    const { size, values, limits: [low, high] } = this.data, cell = this.frame.side / (size - 1);
    const step = roundStep(high - low, LEVELS);
    let path = "";
    for (let level = Math.ceil(low / step) * step; level <= high; level += step) {
      for (let row = 0; row + 1 < size; row++) {
        for (let column = 0; column + 1 < size; column++) {
          const i = row * size + column, corners = [i, i + 1, i + size + 1, i + size].map((j) => values[j]);
          if (corners.includes(null)) continue;
          const cuts = [];
          for (let side = 0; side < 4; side++) {
            const [a, b] = [corners[side], corners[(side + 1) % 4]];
            if (a < level !== b < level) {
              const t = (level - a) / (b - a);
              const [x, y] = [[t, 0], [1, t], [1 - t, 1], [0, 1 - t]][side];
              cuts.push(`${(this.frame.left + (column + x) * cell).toFixed(1)} ${(TOP + (size - 1 - row - y) * cell).toFixed(1)}`);
            }
          }
          for (let n = 0; n + 1 < cuts.length; n += 2) path += `M${cuts[n]}L${cuts[n + 1]}`;
        }
      }
    }
    draw(this.svg, "path", { class: "level", d: path || "M0 0", "clip-path": "url(#clip)" });
  }

  #axes() {
    const { left, side } = this.frame, { low, high } = this.data;
    draw(this.svg, "rect", { class: "level axis", x: left, y: TOP, width: side, height: side });
    for (const u of ticks(low[0], high[0], side / 80)) {
      const x = this.#across(u);
      if (x < left + side - 24) draw(this.svg, "text", { x, y: TOP + side + 17, "text-anchor": "middle" }, minus(shown(u)));
    }
    for (const v of ticks(low[1], high[1], side / 60)) {
      const y = this.#up(v);
      if (y > TOP + 20) draw(this.svg, "text", { x: left - 7, y: y + 4, "text-anchor": "end" }, minus(shown(v)));
    }
    draw(this.svg, "text", { class: "name", x: left + side, y: TOP + side + 17, "text-anchor": "end" }, this.names[0]);
    draw(this.svg, "text", { class: "name", x: left - 8, y: TOP + 11, "text-anchor": "end" }, this.names[1]);
  }
}
