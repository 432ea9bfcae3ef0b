// Numbers as people read them.

// To some significant digits, without zeros at the end; what is no number is a text already ("nan", "inf").
export function shown(value, digits = 6) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  if (value === 0) return "0";
  const text = value.toPrecision(digits);
  const [head, tail] = text.split("e");
  const short = head.includes(".") ? head.replace(/\.?0+$/, "") : head;
  return tail === undefined ? short : `${short}e${tail.replace("+", "")}`;
}

// As it is typed: to the last digit that a step on the screen can change.
export function typed(value, step) {
  const places = Math.max(0, Math.min(15, -Math.floor(Math.log10(step))));
  return Number(value.toFixed(places)).toString();
}

// A round step such that about `count` of them make the range.
export function roundStep(range, count) {
  const rough = range / count, size = 10 ** Math.floor(Math.log10(rough));
  return size * [1, 2, 5, 10].find((k) => k * size >= rough * 0.999);
}

export function ticks(low, high, count) {
  const step = roundStep(high - low, count), found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found.map((v) => (Math.abs(v) < step * 1e-9 ? 0 : v));
}

// With a sign as wide as a plus, for what is not to be copied.
export const minus = (text) => text.replace(/-/g, "−");
