// The gallery. Pictures stand behind this program as base64; one is decoded when its card comes near the screen, drawn
// on the card's canvas and forgotten, and the canvas is emptied when the card has gone.

const views = ["image", "map", "errors", "mask"];
const state = {view: "errors", row: data.main, called: "best", order: data.images.map((_, index) => index), open: null};

// Rises evenly in lightness, so it reads in grey as well.
const heatStops = [[4, 5, 22], [66, 15, 108], [148, 38, 103], [220, 80, 58], [252, 165, 10], [252, 255, 190]];
const heat = Array.from({length: 256}, (_, level) => {
  const place = level / 255 * (heatStops.length - 1), below = Math.min(Math.floor(place), heatStops.length - 2);
  return heatStops[below].map((value, channel) => value + (place - below) * (heatStops[below + 1][channel] - value));
});
const FALSE_POSITIVE = [230, 159, 0], MISS = [86, 180, 233];
const CALLED = {best: 85, half: 170};

// Pictures

async function block(index) {
  if (!byId(`picture-${index}`) && document.readyState === "loading") {
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, {once: true}));
  }
  return JSON.parse(byId(`picture-${index}`).textContent);
}

function bitmap(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes]), {colorSpaceConversion: "none"});
}

async function pixels(base64, width, height) {
  const picture = await bitmap(base64);
  const canvas = new OffscreenCanvas(width ?? picture.width, height ?? picture.height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function heatMap(map) {
  const shown = await pixels(map);
  for (let at = 0; at < shown.data.length; at += 4) {
    const [red, green, blue] = heat[shown.data[at]];
    shown.data[at] = red;
    shown.data[at + 1] = green;
    shown.data[at + 2] = blue;
  }
  return shown;
}

async function errors({image, mask, rows}, row, called) {
  const guess = await pixels(rows[row][1]);
  const truth = await pixels(mask), shown = await pixels(image, guess.width, guess.height);
  for (let at = 0; at < shown.data.length; at += 4) {
    const [red, green, blue] = shown.data.subarray(at, at + 3);
    const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
    const spliced = truth.data[at] > 127, level = Math.round(guess.data[at] / CALLED.best);
    const marked = Boolean(level & (CALLED[called] / CALLED.best));
    if (spliced && marked) continue;
    const tint = spliced ? MISS : FALSE_POSITIVE;
    for (let channel = 0; channel < 3; channel += 1) {
      shown.data[at + channel] = spliced || marked ? 0.3 * grey + 0.7 * tint[channel] : 0.45 * grey + 30;
    }
  }
  return shown;
}

const whyNot = (index, row) => data.images[index].rows[row].undefined;
const turns = new WeakMap();

// Draws on a canvas unless something else is to be drawn there meanwhile; says whether it did.
async function paint(canvas, index, view, row, called) {
  const turn = {};
  turns.set(canvas, turn);
  const found = await block(index);
  let shown;
  if (view === "map") shown = await heatMap(found.rows[row][0]);
  else if (view === "errors") shown = await errors(found, row, called);
  else shown = await bitmap(found[view]);
  if (turns.get(canvas) !== turn) return false;
  canvas.width = shown.width;
  canvas.height = shown.height;
  const context = canvas.getContext("2d");
  if (shown instanceof ImageData) context.putImageData(shown, 0, 0);
  else {
    context.drawImage(shown, 0, 0);
    shown.close();
  }
  return true;
}

function clear(canvas) {
  turns.delete(canvas);
  canvas.width = canvas.height = 0;
}

const needsRow = (view) => view === "map" || view === "errors";

// Cards

const cards = data.images.map((image, index) => {
  const canvas = element("canvas", {"aria-hidden": "true"}), reason = element("span", {class: "reason"});
  const name = element("span", {class: "name"}), numbers = element("span", {class: "numbers"});
  const button = element("button", {type: "button", class: "card", tabindex: "-1"}, element("span", {class: "frame"}, canvas, reason), name, numbers);
  const item = element("li", {}, button);
  item.dataset.index = index;
  button.addEventListener("click", () => openViewer(index));
  button.addEventListener("focus", () => rove(index));
  return {item, button, canvas, reason, name, numbers};
});

const near = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    const index = Number(target.dataset.index);
    if (isIntersecting) {
      near.add(index);
      show(index);
    } else if (near.delete(index)) {
      clear(cards[index].canvas);
      target.classList.remove("drawn");
    }
  }
}, {rootMargin: "300px 0px"});

async function show(index) {
  const {canvas, reason, item} = cards[index], why = needsRow(state.view) ? whyNot(index, state.row) : undefined;
  reason.textContent = why ? `${dash} ${why}` : "";
  if (why) clear(canvas);
  else if (!await paint(canvas, index, state.view, state.row, state.called)) return;
  if (near.has(index)) item.classList.add("drawn");
  else clear(canvas);
}

function describe(index, rank) {
  const {name, numbers} = cards[index], entry = data.images[index].rows[state.row];
  name.textContent = `${rank + 1}. ${data.images[index].name}`;
  const [f1, mcc] = entry[state.called] ?? [];
  numbers.textContent = entry.undefined ? `${dash} undefined` : `F1 ${number(f1)} · MCC ${number(mcc)}`;
}

function sortKey(index) {
  const [kind, place] = byId("sort").value.split("."), image = data.images[index];
  const entry = image.rows[byId("sort-row").value];
  if (kind === "name") return image.name;
  if ("undefined" in entry) return null;
  return kind === "auc" ? entry.auc : entry[kind][Number(place)];
}

function sortCards() {
  const names = byId("sort").value === "name", turned = byId("turn").dataset.turned === "true";
  const sign = names !== turned ? 1 : -1;
  const keys = data.images.map((_, index) => sortKey(index));
  state.order.sort((a, b) => (keys[a] === null) - (keys[b] === null) || (keys[a] === null ? 0 : sign * compare(keys[a], keys[b])) || a - b);
  byId("turn").textContent = names ? (turned ? "Z to A" : "A to Z") : (turned ? "worst first" : "best first");
  byId("sort-of").hidden = names;
  byId("cards").append(...state.order.map((index) => cards[index].item));
  state.order.forEach((index, rank) => describe(index, rank));
  filterCards();
}

function filterCards() {
  const wanted = byId("find").value.trim().toLowerCase();
  for (const [index, {item}] of cards.entries()) item.hidden = !data.images[index].name.toLowerCase().includes(wanted);
  byId("none").hidden = shownOrder().length > 0;
  if (shownOrder().length) rove(shownOrder()[0]);
}

const shownOrder = () => state.order.filter((index) => !cards[index].item.hidden);

// One card at a time can be reached by Tab, the arrows move between them.
function rove(index) {
  for (const {button} of cards) if (button.tabIndex === 0) button.tabIndex = -1;
  cards[index].button.tabIndex = 0;
}

function step(key, index) {
  const order = shownOrder(), at = order.indexOf(index);
  const top = cards[order[0]].item.offsetTop;
  const columns = Math.max(1, order.findIndex((other) => cards[other].item.offsetTop > top));
  const moves = {ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: order.length - 1};
  return key in moves ? order[moves[key]] : undefined;
}

byId("cards").addEventListener("keydown", (event) => {
  const item = event.target.closest("li");
  if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = step(event.key, Number(item.dataset.index));
  if (next !== undefined) cards[next].button.focus();
  else if (!chooseByDigit(event.key)) return;
  event.preventDefault();
});

function chooseByDigit(key) {
  const view = views[Number(key) - 1];
  if (view) change({view});
  return Boolean(view);
}

// What is shown

function swatch(colour, words) {
  const mark = element("i");
  mark.style.background = colour;
  return element("span", {}, mark, words);
}

const rgb = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;

function legend() {
  const gradient = swatch(`linear-gradient(90deg, ${heatStops.map(rgb).join(", ")})`, "probability of being spliced, 0 to 1");
  gradient.firstChild.classList.add("heat");
  const marks = {
    image: [element("span", {}, "the image as it is")],
    map: [gradient],
    errors: [
      swatch(rgb(FALSE_POSITIVE), "false positive: called spliced, is not"),
      swatch(rgb(MISS), "miss: is spliced, not found"),
      element("span", {}, "in its own colours: rightly found; grey: rightly left"),
    ],
    mask: [swatch("#fff", "spliced"), swatch("#000", "authentic")],
  };
  for (const holder of document.querySelectorAll(".legend")) {
    holder.replaceChildren(...marks[state.view].map((mark) => mark.cloneNode(true)));
  }
}

function change(changes) {
  Object.assign(state, changes);
  for (const radio of document.querySelectorAll('[name="view"], [name="viewer-view"]')) radio.checked = radio.value === state.view;
  byId("row").value = state.row;
  byId("called").value = state.called;
  legend();
  state.order.forEach((index, rank) => describe(index, rank));
  for (const index of near) show(index);
  if (state.open !== null) showViewer();
}

// One image alone

function openViewer(index) {
  state.open = index;
  byId("viewer").showModal();
  showViewer();
  byId("stage").focus();
}

function showViewer() {
  const index = state.open, image = data.images[index], order = shownOrder();
  byId("viewer-name").textContent = image.name;
  byId("place").textContent = `${order.indexOf(index) + 1} of ${order.length}`;
  byId("viewer-facts").textContent = `${image.width} × ${image.height} pixels. Row: ${state.row}. ${calledAt(image.rows[state.row])}`;
  const why = needsRow(state.view) ? whyNot(index, state.row) : undefined;
  byId("reason").textContent = why ? `${dash} ${why}` : "";
  paint(byId("below"), index, "image");
  if (why) clear(byId("above"));
  else paint(byId("above"), index, state.view, state.row, state.called);
  byId("viewer-rows").replaceChildren(...data.shown.map((row) => viewerRow(image, row)));
}

function calledAt(entry) {
  if ("undefined" in entry) return `Undefined: ${entry.undefined}.`;
  if (state.called === "half") return "Errors at threshold 0.5.";
  if (entry.threshold === null) return "Best is to call nothing spliced.";
  return entry.threshold === 0 ? "Best is to call everything spliced." : `Errors at threshold ${Number(entry.threshold.toPrecision(3))}.`;
}

function viewerRow(image, row) {
  const entry = image.rows[row], choose = element("button", {type: "button"}, row);
  choose.addEventListener("click", () => {
    change({row});
    [...byId("viewer-rows").rows][data.shown.indexOf(row)].querySelector("button").focus();
  });
  const values = entry.undefined ? [null, null, null, null] : [entry.best[0], entry.best[1], entry.half[0], entry.auc];
  const line = element("tr", {"aria-current": String(row === state.row)}, element("th", {scope: "row"}, choose), ...values.map((value) => element("td", {}, number(value))));
  if (entry.undefined) line.title = entry.undefined;
  return line;
}

function move(by) {
  const order = shownOrder(), next = order[order.indexOf(state.open) + by];
  if (next === undefined) return;
  state.open = next;
  showViewer();
}

function moveRow(by) {
  const row = data.shown[data.shown.indexOf(state.row) + by];
  if (row) change({row});
}

byId("viewer").addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const takesArrows = event.target.matches("input, select");
  const does = {ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => moveRow(-1), ArrowDown: () => moveRow(1)};
  if (event.key in does && !takesArrows) does[event.key]();
  else if (!chooseByDigit(event.key)) return;
  event.preventDefault();
});

byId("viewer").addEventListener("close", () => {
  const last = cards[state.open];
  state.open = null;
  for (const id of ["below", "above"]) clear(byId(id));
  last.item.scrollIntoView({block: "nearest"});
  last.button.focus({preventScroll: true});
});

byId("viewer").addEventListener("click", (event) => {
  if (event.target === byId("viewer")) byId("viewer").close();
});
byId("close").addEventListener("click", () => byId("viewer").close());
byId("previous").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("mix").addEventListener("input", () => { byId("above").style.opacity = byId("mix").value / 100; });

options(byId("row"), data.shown, data.main);
options(byId("sort-row"), data.rows, data.main);
byId("side").textContent = data.longest_side;
for (const radio of document.querySelectorAll('[name="view"], [name="viewer-view"]')) radio.addEventListener("change", () => change({view: radio.value}));
byId("row").addEventListener("change", () => change({row: byId("row").value}));
byId("called").addEventListener("change", () => change({called: byId("called").value}));
byId("sort").addEventListener("change", sortCards);
byId("sort-row").addEventListener("change", sortCards);
byId("turn").addEventListener("click", () => {
  byId("turn").dataset.turned = byId("turn").dataset.turned !== "true";
  sortCards();
});
byId("find").addEventListener("input", filterCards);
change({});
sortCards();
for (const {item} of cards) observer.observe(item);
