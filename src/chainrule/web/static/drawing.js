// What the plot and the map share: elements of SVG, and a point that is dragged or moved by keys.

export function draw(parent, tag, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

// A handle on `svg`. `moved(x, y)` gets a place in the drawing, `stepped(dx, dy)` whole steps of the arrow keys,
// and `ended(side)` Home or End.
export function handle(svg, { moved, stepped, ended }) {
  const group = draw(svg, "g", { class: "handle", tabindex: 0, role: "slider" });
  draw(group, "circle", { class: "reach", r: 22 });
  draw(group, "circle", { class: "ring", r: 10.5 });
  draw(group, "circle", { r: 7.5 });
  let dragged = false;
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    moved(event.clientX - box.left, event.clientY - box.top);
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragged = true;
    svg.setPointerCapture(event.pointerId);
    group.focus({ preventScroll: true, focusVisible: false });
    if (event.pointerType !== "touch") follow(event); // a finger may be about to scroll the page
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => dragged && follow(event));
  svg.addEventListener("pointerup", (event) => {
    if (dragged) follow(event);
    dragged = false;
  });
  svg.addEventListener("pointercancel", () => (dragged = false));
  group.addEventListener("keydown", (event) => {
    const wide = event.shiftKey || event.key.startsWith("Page") ? 10 : 1;
    const key = { PageUp: "ArrowUp", PageDown: "ArrowDown" }[event.key] ?? event.key;
    if (KEYS[key]) stepped(KEYS[key][0] * wide, KEYS[key][1] * wide);
    else if (key === "Home" || key === "End") ended(key === "End");
    else return;
    event.preventDefault();
  });
  return group;
}

export function place(group, x, y, words) {
  group.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)})`);
  for (const [name, value] of Object.entries(words)) group.setAttribute(`aria-${name}`, value);
}
