// The page: reads the question from the form and the address, asks the server, and shows what it answers.

import { LevelMap } from "./map.js";
import { shown } from "./numbers.js";
import { Plot } from "./plot.js";
import { languages, say, sayAll } from "./words.js";

const EXAMPLES = [
  ["x**2*sin(x)", { x: "2" }], ["exp(-x^2)*sin(3*x)", { x: "pi/4" }], ["u**3 + v**2 + 4*u*v", { u: "3", v: "4" }],
  ["sin(u)*cos(v)", { u: "1", v: "0.5" }], ["abs(x - 1)", { x: "1" }], ["log(x)/x", { x: "e" }],
];
const MARKS = 6; // extrema and inflections told in words
const PAUSE = 250; // milliseconds after a key before the question is asked

const $ = (id) => document.getElementById(id);
const values = (pairs) => Object.assign(Object.create(null), pairs); // a variable may be called "constructor"
const question = { formula: EXAMPLES[0][0], at: values(EXAMPLES[0][1]), by: null, range: null, brief: false };
let answer = null, drawn = null, asking = false, again = false, timer = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// --- the address: everything that makes the page what it is

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (languages.includes(given.get("lang"))) document.documentElement.lang = given.get("lang");
  if (!given.has("formula")) return;
  question.formula = given.get("formula");
  question.at = values(Object.fromEntries(given.getAll("at").map((pair) => [...pair.split(/=(.*)/s), ""].slice(0, 2))));
  question.by = given.get("by");
  const ends = given.getAll("range").map(Number);
  question.range = ends.length === 2 && ends.every(Number.isFinite) ? ends : null;
}

function writeAddress() {
  const parts = [["formula", question.formula]];
  for (const { name, text } of answer?.point ?? []) parts.push(["at", `${name}=${text}`]);
  if (question.by) parts.push(["by", question.by]);
  if (question.range) parts.push(...question.range.map((end) => ["range", end]));
  parts.push(["lang", document.documentElement.lang]);
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

// --- asking: one question at a time, and after it the newest

async function ask() {
  if (asking) return void (again = true);
  asking = true;
  document.body.classList.add("busy");
  const asked = JSON.stringify({ ...question, lang: document.documentElement.lang });
  let found;
  try {
    const response = await fetch("/answer", {
      method: "POST", headers: { "content-type": "application/json" }, body: asked, signal: AbortSignal.timeout(60000),
    });
    found = response.ok ? await response.json() : { failed: response.status === 503 ? "busy" : "mistake" };
  } catch {
    found = { failed: "connection" };
  }
  asking = false;
  if (again) {
    again = false;
    if (asked !== JSON.stringify({ ...question, lang: document.documentElement.lang })) {
      if (!found.error) show(found, false);
      return void ask();
    }
  }
  document.body.classList.remove("busy");
  show(found, true);
}

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

// --- showing

function show(found, last) {
  const stale = Boolean(found.error) || !found.result;
  showError(found);
  if (found.point) showFields(found.point);
  $("results").classList.toggle("stale", stale);
  $("results").setAttribute("aria-busy", String(!last));
  $("results").hidden = !answer && stale;
  if (stale) return;
  if (found.failed === "time" && found.plot !== undefined) question.brief = true; // of this function no formulas again
  answer = found;
  if (outside()) {
    question.range = null;
    return void ask();
  }
  showAnswer();
  showPlot();
  showProofs();
  showSteps();
  showGraph();
  for (const [id, ...parts] of [["proofs", "evidence"], ["steps", "steps"], ["graph", "graph", "no_graph_because"]]) {
    $(id).closest("section").hidden = !parts.some((part) => answer[part]?.length);
  }
  letScroll();
  if (last) {
    writeAddress();
    announce();
  }
}

function showError({ error, failed, result }) {
  const field = error && error.field !== "formula" ? $(`at-${error.field}`) : null;
  for (const input of document.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  $("caret").replaceChildren();
  const hint = $("hint");
  hint.classList.toggle("bad", Boolean(error || (failed && !result)));
  if (error) {
    (field ?? $("formula")).setAttribute("aria-invalid", "true");
    const empty = !question.formula.trim();
    const message = error.code ? say(error.code) : empty ? say("empty") : error.message;
    hint.textContent = field ? say("value of", { x: error.field, message: error.message }) : message;
    if (!field && error.column && !empty) point(error.column);
  } else {
    hint.textContent = failed && !result ? say(`failed ${failed}`) : say("hint");
  }
}

// A caret under a column of the formula: a copy of what stands before it is as wide as that.
function point(column) {
  const before = element("span"), mark = element("b");
  before.textContent = question.formula.slice(0, column - 1);
  mark.textContent = "^";
  $("caret").append(before, mark);
  $("caret").scrollLeft = $("formula").scrollLeft;
}

function showFields(point) {
  const names = point.map((p) => p.name);
  if (String(names) !== String([...$("values").children].map((e) => e.dataset.name))) {
    $("values").replaceChildren(...point.map(({ name }) => {
      const input = element("input", { id: `at-${name}`, type: "text", inputmode: "text", maxlength: 200, autocomplete: "off",
                                       autocapitalize: "off", spellcheck: "false", "aria-describedby": "hint" });
      input.addEventListener("input", () => setValue(name, input.value));
      input.addEventListener("keydown", (event) => nudge(event, input, name));
      return element("label", { "data-name": name }, `${name} =`, input);
    }));
  }
  for (const { name, text } of point) {
    const input = $(`at-${name}`);
    question.at[name] ??= text;
    if (document.activeElement !== input && input.value !== question.at[name]) input.value = question.at[name];
  }
}

function setValue(name, text) {
  question.at[name] = text;
  askSoon();
}

// The arrow keys change a number by a tenth, with Shift by one.
function nudge(event, input, name) {
  const way = { ArrowUp: 1, ArrowDown: -1 }[event.key], value = Number(input.value);
  if (!way || input.value.trim() === "" || !Number.isFinite(value)) return;
  event.preventDefault();
  input.value = String(Number((value + way * (event.shiftKey ? 1 : 0.1)).toPrecision(12)));
  setValue(name, input.value);
}

const where = () => answer.point.map(({ name, value }) => `${name} = ${shown(value)}`).join(", ");

function showAnswer() {
  const { name, value } = answer.result;
  const line = (left, number) => {
    const made = element("div", { class: "number" }, `${left} = `);
    made.append(element("b", {}, shown(number, 12)));
    return made;
  };
  const numbers = [line(name, value), ...answer.derivatives.map((d) => line(`d${name}/d${d.by}`, d.value))];
  numbers[0].append(` ${say("at", { where: where() })}`);
  const formulas = (answer.mathml ?? []).map((text) => element("div", { class: "formula" }, markup(text)));
  $("mathematics").replaceChildren(...numbers.flatMap((n, k) => (formulas[k] ? [formulas[k], n] : [n])));
  const failed = answer.failed ?? (question.brief ? "time" : null);
  const notes = [failed && say(`failed ${failed}`), answer.no_formula_because];
  $("note").textContent = notes.filter(Boolean).join(" ");
  $("note").hidden = !$("note").textContent;
  $("surprises").replaceChildren(...(answer.surprises ?? []).map(({ text }) => element("li", {}, text)));
}

// MathML from the server, as elements; nothing else that might be in it.
function markup(text) {
  const math = new DOMParser().parseFromString(text, "text/html").querySelector("math");
  for (const e of math.querySelectorAll("*")) if (e.namespaceURI !== math.namespaceURI) e.remove();
  math.setAttribute("display", "block");
  return document.adoptNode(math);
}

const folded = new Map(); // proofs by name: whether the user has opened or closed them
function showProofs() {
  const focused = [...$("proofs").children].findIndex((e) => e.contains(document.activeElement));
  const ways = ["reverse", "forward", "finite_difference", "sympy"];
  $("proofs").replaceChildren(...(answer.evidence ?? []).map((proof) => {
    const kind = { agrees: "", rounding: "", differs: "bad" }[proof.verdict] ?? "warn";
    const head = element("tr", {}, ...["way", "value", "off"].map((key, n) => element("th", n ? { scope: "col", class: "n" } : { scope: "col" }, say(key))));
    const rows = ways.map((way) => {
      const value = proof[way], off = distance(proof.reverse, value);
      return element("tr", {}, element("th", { scope: "row" }, say(way)), element("td", { class: "n" }, shown(value, 10)),
                     element("td", { class: "n off" }, way === "reverse" || off === null ? say("none") : shown(off, 1)));
    });
    const open = folded.get(proof.name) ?? answer.evidence.length < 3;
    const made = element("details", { class: "proof", ...(open && { open: "" }) },
      element("summary", {}, proof.name, element("span", { class: "short" }, `= ${shown(proof.reverse)}`),
              element("span", { class: `verdict ${kind}` }, say(proof.verdict))),
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
    made.addEventListener("toggle", () => folded.set(proof.name, made.open));
    return made;
  }));
  if (focused >= 0) $("proofs").children[focused]?.firstChild.focus({ preventScroll: true });
}

function distance(a, b) {
  if (typeof a !== "number" || typeof b !== "number") return null;
  return a === b ? 0 : Math.abs(a - b) / (a && b ? Math.max(Math.abs(a), Math.abs(b)) : 1); // relative, if to anything
}

function showSteps() {
  const keys = ["step", "value", "local", "arrives", "leaves"], heads = keys.map((key) => say(key));
  const head = element("tr", {}, ...heads.map((text, n) => element("th", n === 1 || n === 3 ? { scope: "col", class: "n" } : { scope: "col" }, text)));
  const lines = (texts) => element("div", { class: "lines" }, ...texts.map((text) => element("code", {}, text)));
  const body = (answer.steps ?? []).flatMap((step) => {
    const local = step.leaves.filter((to) => to.local_derivative ?? to.local_value !== null).map((to) => {
      const parts = [to.local_derivative, to.local_value === null ? null : shown(to.local_value)].filter((p) => p !== null);
      return `d${step.name}/d${to.to} = ${[...new Set(parts)].join(" = ")}`;
    });
    const cells = [lines([step.step]), shown(step.value), lines(local), shown(step.arrives),
                   lines(step.leaves.map((to) => `${to.to}: ${shown(to.gradient)}`))];
    const row = cells.map((cell, n) => element("td", { "data-head": heads[n], ...(n === 0 && { class: "first" }), ...((n === 1 || n === 3) && { class: "n" }) }, cell));
    const said = step.says.startsWith(step.step) ? step.says.slice(step.step.length + 1).trim() : step.says;
    return [element("tr", {}, ...row), element("tr", { class: "says" }, element("td", { colspan: 5 }, said))];
  });
  $("steps").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  $("steps-hint").textContent = say("steps hint", { y: answer.result.name });
  const sums = (answer.derivatives ?? []).filter((d) => d.gathered?.length).map((d) =>
    say("gathered", { x: d.by, parts: d.gathered.map((g) => shown(g)).join(" + "), total: shown(d.value) }));
  if (answer.more_steps) sums.unshift(say("more", { n: answer.more_steps }));
  $("gathered").textContent = sums.join("\n");
}

function showGraph() {
  const svg = answer.graph && new DOMParser().parseFromString(answer.graph, "image/svg+xml").documentElement;
  const drawn = svg?.localName === "svg";
  $("graph").replaceChildren(drawn ? document.adoptNode(svg) : answer.no_graph_because ?? "");
  document.querySelector(".graph").style.setProperty("--wide", `${drawn ? svg.getAttribute("width") : 0}px`);
}

// What can be scrolled can be focused, so that the arrow keys scroll it.
function letScroll() {
  for (const e of document.querySelectorAll(".scroll, #mathematics .formula")) {
    if (e.scrollWidth > e.clientWidth) e.tabIndex = 0;
    else e.removeAttribute("tabindex");
  }
}

// --- the plot

function showPlot(sameFunction) {
  const { plot, point, result } = answer, names = point.map((p) => p.name), values = point.map((p) => p.value);
  const two = Boolean(plot?.map), slopes = answer.derivatives.map((d) => d.value);
  const others = point.filter((p) => p.name !== plot?.by).map((p) => p.value);
  const key = JSON.stringify([answer.formula, document.documentElement.lang, ...(two ? [] : [plot?.by, plot?.low, plot?.high, others])]);
  showViews(names, plot);
  const marks = (plot?.marks ?? []).map((m) => say("mark", { kind: say(m.kind), x: `${plot.by}\u00a0=\u00a0${shown(m.x)}` }));
  $("marks").textContent = marks.slice(0, MARKS).join(say("comma")) + (marks.length > MARKS ? " …" : "");
  if ($("plot").clientWidth < 120) return; // no room yet: there will be a redraw when there is
  if (plot && (drawn?.key !== key || !drawn.picture.holds(values))) drawPlot(plot, key, two, names);
  if (!plot) {
    drawn = null;
    $("plot").replaceChildren(element("p", { class: "nothing" }, answer.failed ? "" : say("no plot")));
  } else if (point.every(({ name, text }) => question.at[name] === text)) { // else the point is farther already
    if (two) drawn.picture.show(values, result.value, slopes);
    else drawn.picture.show(values[names.indexOf(plot.by)], [result.value, slopes[names.indexOf(plot.by)]]);
  }
}

function drawPlot(plot, key, two, names) {
  const box = $("plot");
  box.replaceChildren();
  box.classList.toggle("two", two);
  const moved = (changes) => {
    for (const [name, text] of changes) {
      question.at[name] = text;
      $(`at-${name}`).value = text;
    }
    if (!two) question.range = [plot.low, plot.high];
    ask();
  };
  const { name } = answer.result;
  const picture = two ? new LevelMap(box, plot.map, names, name, (texts) => moved(names.map((n, k) => [n, texts[k]])))
    : new Plot(box, plot, name, (text) => moved([[plot.by, text]]));
  drawn = { key, picture };
}

function showViews(names, plot) {
  const choices = names.length < 2 ? [] : [...(names.length === 2 ? [null] : []), ...names];
  const chosen = plot?.map ? null : plot?.by, views = $("views");
  const words = choices.map((by) => (by === null ? say("map") : say("along", { x: by })));
  if (String(words) !== String([...views.children].map((e) => e.textContent))) { // else they keep the focus
    views.replaceChildren(...choices.map((by, n) => {
      const made = element("button", { type: "button" }, words[n]);
      made.addEventListener("click", () => {
        Object.assign(question, { by, range: null });
        ask();
      });
      return made;
    }));
  }
  for (const [n, by] of choices.entries()) views.children[n].setAttribute("aria-pressed", String(by === chosen));
  document.querySelector(".zoom").hidden = !plot?.values;
}

function zoom(factor) {
  if (!answer?.plot?.values) return;
  const { by, low, high } = answer.plot, x = answer.point.find((p) => p.name === by).value;
  const ends = [x - (x - low) * factor, x + (high - x) * factor];
  if (!(ends[1] - ends[0] > 1e-9 * Math.abs(x)) || !Number.isFinite(ends[1] - ends[0])) return;
  question.range = factor === 1 ? null : ends;
  ask();
}

// Whether the chosen range does not reach the point, which has been typed, or is none.
function outside() {
  const { plot, point } = answer, x = point.find((p) => p.name === plot?.by)?.value;
  return question.range !== null && (plot === null || (plot?.values && (x < plot.low || x > plot.high)));
}

// --- telling those who do not see it

let telling = 0;
function announce() {
  clearTimeout(telling);
  telling = setTimeout(() => {
    const { name, value } = answer.result;
    const derivatives = answer.derivatives.map((d) => `d${name}/d${d.by} = ${shown(d.value, 8)}`).join(", ");
    $("status").textContent = say("says", { y: name, value: shown(value, 8), derivatives });
  }, 600);
}

// --- what the user does

function setLanguage(language) {
  document.documentElement.lang = language;
  sayAll();
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

function start() {
  readAddress();
  setLanguage(document.documentElement.lang);
  $("formula").value = question.formula;
  $("hint").textContent = say("hint");
  ask();
}

$("formula").addEventListener("input", () => {
  Object.assign(question, { formula: $("formula").value, by: null, range: null, brief: false });
  askSoon();
});
$("formula").addEventListener("scroll", () => ($("caret").scrollLeft = $("formula").scrollLeft));
$("question").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  ask();
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    setLanguage(button.dataset.language);
    ask();
  });
}
for (const [formula, at] of EXAMPLES) {
  const made = element("button", { type: "button" }, formula);
  made.addEventListener("click", () => {
    Object.assign(question, { formula, at: values(at), by: null, range: null, brief: false });
    $("formula").value = formula;
    ask();
  });
  $("examples").append(made);
}
$("closer").addEventListener("click", () => zoom(0.5));
$("farther").addEventListener("click", () => zoom(2));
$("around").addEventListener("click", () => zoom(1));
$("share").addEventListener("click", async () => {
  writeAddress();
  try {
    await navigator.clipboard.writeText(location.href);
    $("share").textContent = say("shared");
  } catch {
    $("share").textContent = say("share by hand");
  }
  setTimeout(() => ($("share").textContent = say("share")), 2000);
});
function redraw() {
  if (!answer?.result) return;
  drawn = null;
  showPlot();
  letScroll();
}
let width = 0;
new ResizeObserver(([entry]) => {
  const changed = Math.abs(entry.contentRect.width - width) > 1;
  width = entry.contentRect.width;
  if (changed) redraw();
}).observe($("plot"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("hashchange", start);
start();
