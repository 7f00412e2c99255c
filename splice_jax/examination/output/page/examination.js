"use strict";
// Paints the chosen row's map over the photograph: what is marked at any threshold, or the map in colours.

const byId = (id) => document.getElementById(id);
const rows = [...document.querySelectorAll("figure.row")];
const state = { row: null, show: "called", threshold: null, opacity: 55, hatch: true };
const TINT = [255, 0, 170];
const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
const decoded = new Map();

function heat(value) {
  const place = (value / 255) * (HEAT.length - 1), below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below].map((channel, at) => channel + (place - below) * (HEAT[below + 1][at] - channel));
}

// The pixels of an image element: width, height and RGBA.
function pixels(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// A row's map, and where its own mask is, decoded once.
async function decode(number) {
  if (!decoded.has(number)) {
    const [map, tint] = [".map", ".tint"].map((name) => rows[number].querySelector(name));
    await Promise.all([map.decode(), tint.decode()]);
    decoded.set(number, { map: pixels(map), own: pixels(tint) });
  }
  return decoded.get(number);
}

async function paint() {
  const canvas = byId("painted"), chosen = state.row;
  canvas.hidden = chosen === null;
  byId("hatched").hidden = true;
  for (const id of ["threshold", "own", "opacity"]) byId(id).disabled = chosen === null;
  if (chosen === null) return tell("");
  const { map, own } = await decode(chosen);
  if (chosen !== state.row) return;
  const painted = new ImageData(map.width, map.height), marked = fill(painted.data, map.data, own.data);
  canvas.width = map.width;
  canvas.height = map.height;
  canvas.getContext("2d").putImageData(painted, 0, 0);
  canvas.style.opacity = state.opacity / 100;
  showHatching(rows[chosen].querySelector(".hatching"));
  say(chosen, marked / (map.width * map.height));
}

// Fills RGBA and returns how many pixels are marked.
function fill(target, map, own) {
  let marked = 0;
  for (let at = 0; at < map.length; at += 4) {
    const called = state.threshold === null ? own[at + 3] > 0 : map[at] >= state.threshold;
    marked += called;
    const colour = state.show === "map" ? heat(map[at]) : TINT;
    [target[at], target[at + 1], target[at + 2]] = colour;
    target[at + 3] = state.show === "map" || called ? 255 : 0;
  }
  return marked;
}

function showHatching(hatching) {
  const image = byId("hatched");
  image.hidden = !(state.hatch && hatching);
  if (!image.hidden && image.src !== hatching.src) image.src = hatching.src;
}

function say(number, share) {
  const { row: name, marked } = rows[number].dataset;
  if (state.threshold === null) {
    byId("threshold-at").textContent = "its own";
    tell(`${name} marks ${marked} of the photograph.`);
  } else {
    byId("threshold-at").textContent = (state.threshold / 255).toFixed(3);
    tell(`At this threshold, ${name} would mark ${(100 * share).toFixed(1)} % of the photograph.`);
  }
}

function tell(text) {
  byId("marked").textContent = text;
  byId("painted").setAttribute("aria-label", text || "Nothing is marked");
}

function change(changes) {
  Object.assign(state, changes);
  byId("opacity-at").textContent = `${state.opacity} %`;
  return paint();
}

// Where a row's own mask is a threshold of its map, the slider starts there.
function choose(value) {
  const row = value === "" ? null : Number(value);
  const own = row === null ? "" : rows[row].dataset.threshold;
  if (own) byId("threshold").value = Math.round(255 * Number(own));
  return change({ row, threshold: null });
}

byId("row").addEventListener("change", (event) => choose(event.target.value));
byId("opacity").addEventListener("input", (event) => change({ opacity: Number(event.target.value) }));
byId("threshold").addEventListener("input", (event) => change({ threshold: Number(event.target.value) }));
byId("hatch").addEventListener("change", (event) => change({ hatch: event.target.checked }));
byId("own").addEventListener("click", () => choose(byId("row").value));
for (const input of document.querySelectorAll("[name=show]"))
  input.addEventListener("change", () => change({ show: input.value }));
document.body.classList.add("program");
choose(byId("row").value);
