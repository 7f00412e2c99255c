// Charts, drawn as SVG: histograms of images, lines of rows.

// Okabe & Ito (2008) without the yellow, which a light page swallows; after seven rows the dashes change.
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7a55"];
const dashes = ["", "7 4", "2 3", "10 3 2 3"];

function style(row) {
  const index = data.shown.indexOf(row);
  if (index < 0) return {stroke: "#8b9096", "stroke-dasharray": "1 4"};
  return {stroke: colours[index % colours.length], "stroke-dasharray": dashes[Math.floor(index / colours.length) % 4]};
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function chart(width, height, title) {
  return drawn("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title});
}

const ticks = (low, high) => {
  const step = high - low > 1.2 ? 0.5 : 0.2, found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9; tick += step) found.push(tick);
  return found;
};

// Distributions

function drawDistribution() {
  const score = byId("distribution-score").value, threshold = byId("distribution-threshold").value;
  byId("distribution-at").hidden = score === "auc";
  const {low, rows} = data.distributions[score === "auc" ? score : `${threshold}.${score}`];
  const width = byId("distribution").clientWidth || 1000, narrow = width < 600;
  const line = 46, left = narrow ? 110 : 170, right = narrow ? 20 : 150;
  const height = 14 + line * data.rows.length + 26;
  const x = (value) => left + (width - left - right) * (value - low) / (1 - low);
  const svg = chart(width, height, "Histograms of the scores of single images, one for each row");
  for (const tick of ticks(low, 1)) {
    svg.append(drawn("line", {class: "axis", x1: x(tick), x2: x(tick), y1: 8, y2: height - 24}));
    svg.append(drawn("text", {x: x(tick), y: height - 8, "text-anchor": "middle"}, number(tick, 1)));
  }
  data.rows.forEach((row, index) => drawHistogram(svg, row, rows[row], {x, low, top: 14 + line * index, line, width, narrow}));
  byId("distribution").replaceChildren(svg);
}

function drawHistogram(svg, row, found, {x, low, top, line, width, narrow}) {
  const base = top + line - 8;
  svg.append(drawn("text", {class: "name", x: 10, y: base - 2}, fit(row, narrow ? 14 : 20)));
  if (!found) {
    svg.append(drawn("text", {x: x(low) + 6, y: base - 2}, `${dash} undefined for all images`));
    return;
  }
  const {counts, mean, median} = found, most = Math.max(...counts), size = (1 - low) / counts.length;
  counts.forEach((count, bin) => {
    if (!count) return;
    const tall = (line - 14) * count / most, from = low + bin * size;
    const bar = drawn("rect", {class: "bin", x: x(from) + 0.5, y: base - tall, width: x(from + size) - x(from) - 1, height: tall});
    bar.append(drawn("title", {}, `${row}: ${count} images from ${number(from, 2)} to ${number(from + size, 2)}`));
    svg.append(bar);
  });
  const images = counts.reduce((sum, count) => sum + count, 0);
  svg.append(drawn("line", {class: "axis", x1: x(low), x2: x(1), y1: base, y2: base}));
  svg.append(drawn("line", {class: "mean", x1: x(mean), x2: x(mean), y1: top + 4, y2: base}));
  svg.append(drawn("title", {}, "Bars count images; the upright line is the mean"));
  if (narrow) return;
  svg.append(drawn("text", {x: width - 140, y: base - 16}, `mean ${number(mean, 2)}`));
  svg.append(drawn("text", {x: width - 140, y: base - 2}, `median ${number(median, 2)}, n ${images}`));
}

const fit = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

// Lines

function lines(title, xs, labels, series, {low, high, below, at, width}) {
  const height = Math.round(Math.min(400, Math.max(240, 0.55 * width))), left = 44, right = 14, top = 12, bottom = 42;
  const x = (place) => left + (width - left - right) * place, y = (value) => top + (height - top - bottom) * (high - value) / (high - low);
  const svg = chart(width, height, title);
  for (const tick of ticks(low, high)) {
    svg.append(drawn("line", {class: "axis", x1: left, x2: width - right, y1: y(tick), y2: y(tick)}));
    svg.append(drawn("text", {x: left - 8, y: y(tick) + 4, "text-anchor": "end"}, number(tick, 1)));
  }
  for (const [place, label] of labels) svg.append(drawn("text", {x: x(place), y: height - 24, "text-anchor": "middle"}, label));
  svg.append(drawn("text", {x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle"}, below));
  for (const [row, values, marked] of series) {
    let path = "";
    values.forEach((value, index) => {
      if (value === null) return;
      path += `${path && values[index - 1] !== null ? "L" : "M"}${x(xs[index]).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    const group = drawn("g", {"data-row": row});
    group.append(drawn("path", {class: "curve", d: path, ...style(row)}, drawn("title", {}, row)));
    if (marked) values.forEach((value, index) => {
      if (value === null) return;
      const dot = drawn("circle", {cx: x(xs[index]), cy: y(value), r: 3.5, fill: style(row).stroke});
      dot.append(drawn("title", {}, `${row}: ${number(value)} ${marked[index]}`));
      group.append(dot);
    });
    svg.append(group);
  }
  if (at !== undefined) svg.append(drawn("line", {class: "at", x1: x(at), x2: x(at), y1: top, y2: height - bottom}));
  return svg;
}

const lowest = (series) => Math.min(0, ...series.flatMap(([, values]) => values.filter((value) => value !== null))) < -0.01 ? -0.5 : 0;
const switchedOff = new Set();

function key(holder, entries, redraw) {
  holder.replaceChildren(...entries.map(([row, value]) => {
    const sample = drawn("svg", {viewBox: "0 0 32 10", "aria-hidden": "true"});
    sample.append(drawn("line", {x1: 1, x2: 31, y1: 5, y2: 5, "stroke-width": 3, ...style(row)}));
    const button = element("button", {type: "button", "aria-pressed": String(!switchedOff.has(row)), title: "show or hide"}, sample, row);
    if (value !== undefined) button.append(element("b", {}, value));
    button.addEventListener("click", () => {
      switchedOff.has(row) ? switchedOff.delete(row) : switchedOff.add(row);
      redraw();
      [...holder.children].find((other) => other.dataset.row === row)?.focus();
    });
    button.dataset.row = row;
    for (const [event, on] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
      button.addEventListener(event, () => emphasize(row, on));
    }
    return button;
  }));
}

function emphasize(row, on) {
  for (const group of document.querySelectorAll("#curve g, #degraded g")) group.classList.toggle("dim", on && group.dataset.row !== row);
}

const rowOf = ({method, crf}) => crf === "none" ? method : `${method}+crf`;

function drawCurves() {
  const score = byId("curve-score").value, average = byId("curve-average").value, at = Number(byId("curve-threshold").value);
  const {thresholds, rows} = data.curves;
  const all = rows.map((row) => [rowOf(row), row[average] ? row[average][score] : thresholds.map(() => null)]);
  const series = all.filter(([row]) => !switchedOff.has(row));
  byId("curve-at").textContent = number(thresholds[at]);
  byId("curve").replaceChildren(lines("Score against threshold, one line for each row", thresholds,
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((place) => [place, number(place, 1)]), series,
    {low: lowest(all), high: 1, below: "threshold", at: thresholds[at], width: byId("curve").clientWidth || 800}));
  key(byId("curve-key"), all.map(([row, values]) => [row, number(values[at])]), redrawLines);
}

function drawDegraded() {
  if (!data.degradations) return;
  const score = byId("degraded-score").value, {kinds, undegraded, degraded} = data.degradations;
  const value = (row) => row.scores.find((entry) => entry.threshold === "best-per-image" && entry.average === "images" && entry.polarity === "given")[score];
  const across = byId("degraded").clientWidth || 1000, count = Object.keys(kinds).length;
  const columns = Math.max(1, Math.min(count, Math.floor((across + 13) / (320 + 13))));
  const width = (across - 13 * (columns - 1)) / columns;
  byId("degraded").replaceChildren(...Object.entries(kinds).map(([kind, {title}]) => {
    const falling = kind === "jpeg" || kind === "resize";
    const points = degraded.filter((point) => point.kind === kind).sort((a, b) => (falling ? -1 : 1) * (a.strength - b.strength));
    const stages = [undegraded, ...points.map((point) => point.rows)];
    const places = stages.map((_, index) => 0.03 + 0.94 * index / (stages.length - 1));
    const series = undegraded.map((row, index) => [rowOf(row), stages.map((rows) => value(rows[index])), stages.map((rows) => `(${rows[index].images} images)`)]);
    const labels = ["none", ...points.map((point) => String(point.strength))].map((label, index) => [places[index], label]);
    return lines(`Score against ${title}`, places, labels, series.filter(([row]) => !switchedOff.has(row)),
      {low: lowest(series), high: 1, below: title, width});
  }));
  key(byId("degraded-key"), undegraded.map((row) => [rowOf(row)]), redrawLines);
}

function redrawLines() {
  drawCurves();
  drawDegraded();
}

for (const id of ["distribution-score", "distribution-threshold"]) byId(id).addEventListener("change", drawDistribution);
for (const id of ["curve-score", "curve-average"]) byId(id).addEventListener("change", drawCurves);
byId("curve-threshold").addEventListener("input", drawCurves);
byId("degraded-score").addEventListener("change", drawDegraded);
function redraw() {
  drawDistribution();
  redrawLines();
}

addEventListener("resize", redraw);
redraw();
