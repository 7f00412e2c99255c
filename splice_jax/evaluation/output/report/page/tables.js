"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const dash = "–";

function number(value, digits = 3) {
  if (value === null || value === undefined) return dash;
  return value.toFixed(digits).replace(/^-(?=[0.]+$)/, "").replace("-", "−");
}

function options(select, names, chosen) {
  for (const name of names) select.append(element("option", {value: name}, name));
  select.value = chosen;
}

// Sorting: by data-value where a cell has one, by its words otherwise; cells without a value stay last.

function valueOf(row, column) {
  const cell = row.cells[column];
  if ("value" in cell.dataset) return Number(cell.dataset.value);
  const words = cell.textContent.trim();
  return words === dash ? null : words;
}

function compare(first, second) {
  if (typeof first === "number" && typeof second === "number") return first - second;
  return String(first).localeCompare(String(second), undefined, {numeric: true});
}

function sortTable(table, head) {
  const body = table.tBodies[0], column = Number(head.dataset.column);
  const lines = [...body.rows].map((row) => ({row, value: valueOf(row, column)}));
  const numeric = lines.some(({value}) => typeof value === "number");
  const before = head.getAttribute("aria-sort");
  const ascending = before ? before === "descending" : !numeric;
  const sign = ascending ? 1 : -1;
  lines.sort((a, b) => (a.value === null) - (b.value === null) || (a.value === null ? 0 : sign * compare(a.value, b.value)));
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...lines.map(({row}) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.querySelectorAll("th[data-column]")) {
    const button = element("button", {type: "button", class: "sort"}, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortTable(table, head));
  }
}

function showConventions() {
  for (const section of document.querySelectorAll(".of-score")) {
    section.hidden = section.dataset.score !== byId("convention-score").value;
  }
}

function showDifferences() {
  const row = byId("difference-row").value, threshold = byId("difference-threshold").value;
  for (const line of document.querySelectorAll("#differences tbody tr")) {
    line.hidden = line.dataset.row !== row || line.dataset.threshold !== threshold;
  }
}

options(byId("difference-row"), data.rows, data.main);
byId("convention-score").addEventListener("change", showConventions);
for (const id of ["difference-row", "difference-threshold"]) byId(id).addEventListener("change", showDifferences);
document.body.classList.add("program");
showConventions();
showDifferences();
