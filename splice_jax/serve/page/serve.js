// Uploads photographs one after another, asks for their progress and shows it. What comes from a file is only ever text.

const POLL_EVERY = 400, RETRY_AFTER = 2000, REMEMBERED = "photographs";
const byId = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const known = new Map(); // What is shown, by the id that the server gave.
const uploads = [];
let uploading = false, polling = false;

class Photograph {
  constructor(name) {
    this.name = name;
    this.item = byId("photograph").content.firstElementChild.cloneNode(true);
    this.seen = 0;
    this.over = false;
    for (const each of this.item.querySelectorAll("h3, .name")) each.textContent = name;
    this.find("progress").setAttribute("aria-label", `Progress of ${name}`);
    byId("heading").hidden = false;
    byId("photographs").append(this.item);
  }

  find(selector) {
    return this.item.querySelector(selector);
  }

  state(text) {
    if (this.find(".state").textContent !== text) this.find(".state").textContent = text;
  }

  fail(reason) {
    this.end("failed", `Not examined: ${reason}`);
  }

  end(kind, text) {
    this.over = true;
    this.item.classList.add(kind);
    this.find("progress").hidden = true;
    this.state(text);
    say(`${this.name}: ${text}`);
  }

  update(id, told) {
    for (const row of told.rows) this.add(row);
    this.find("progress").max = told.of;
    this.find("progress").value = this.seen;
    if (told.state === "waiting") this.state(told.ahead ? `Waiting; ${told.ahead} before it` : "Waiting; it is the next");
    if (told.state === "looking") this.look(told.of);
    if (told.state === "failed") this.fail(told.reason);
    if (told.state === "done") this.finish(id, told);
  }

  look(all) {
    if (!this.looking) say(`${this.name} is being examined`);
    this.looking = true;
    this.state(`${this.seen} of ${all} rows have looked`);
  }

  finish(id, told) {
    for (const [selector, address] of [[".open", "html"], [".page", "html?save"], [".document", "json?save"]]) {
      this.find(selector).href = `photographs/${id}.${address}`;
    }
    this.find(".results").hidden = false;
    this.find("details").open = false;
    this.end(["suspicious", "unusual", "ordinary"].includes(told.level) ? told.level : "none", told.headline);
  }

  add(row) {
    const item = document.createElement("li"), name = document.createElement("b");
    name.textContent = row.row;
    if (row.map.startsWith("data:image/png;base64,")) {
      const map = document.createElement("img");
      map.src = row.map;
      map.alt = `Map of ${row.row}`;
      item.append(map);
    }
    item.append(name, `${row.says} (${row.seconds.toFixed(1)} s)`);
    this.find(".rows").append(item);
    this.find("details").hidden = false;
    this.seen += 1;
  }
}

function say(text) {
  byId("said").textContent = text;
}

function take(files) {
  for (const file of files) {
    const photograph = new Photograph(file.name);
    if (file.size > Number(document.body.dataset.bytes)) {
      photograph.fail(`over ${document.body.dataset.megabytes} MB, the most that this page takes`);
    } else {
      photograph.state("Waiting to be sent");
      uploads.push([photograph, file]);
    }
  }
  upload();
}

async function upload() {
  if (uploading) return;
  uploading = true;
  while (uploads.length) await send(...uploads.shift());
  uploading = false;
}

async function send(photograph, file) {
  photograph.state("Being sent");
  try {
    let answer;
    while ((answer = await post(file)).status === 429) {
      photograph.state("Waiting to be sent: the program is busy");
      await pause(RETRY_AFTER);
    }
    if (!answer.ok) return photograph.fail((await answer.text()).trim());
    known.set((await answer.json()).id, photograph);
    remember();
    poll();
  } catch {
    photograph.fail("the program does not answer, or the file cannot be read");
  }
}

function post(file) {
  const headers = { "Content-Type": "application/octet-stream" };
  return fetch(`photographs?name=${encodeURIComponent(file.name.toWellFormed?.() ?? "photograph")}`, { method: "POST", body: file, headers });
}

async function poll() {
  if (polling) return;
  polling = true;
  for (let open; (open = [...known].filter(([, each]) => !each.over)).length; await pause(POLL_EVERY)) {
    try {
      const asked = new URLSearchParams(open.slice(0, 100).map(([id, each]) => ["of", `${id}:${each.seen}`]));
      const told = await (await fetch(`progress?${asked}`)).json();
      for (const [id, each] of open) if (id in told) show(id, each, told[id]);
    } catch {
      for (const [, each] of open) each.fail("the program does not answer; was it stopped?");
    }
  }
  polling = false;
}

function show(id, photograph, told) {
  if (told) return photograph.update(id, told);
  known.delete(id);
  remember();
  photograph.fail("its results were given up in favour of later ones, or the program was started anew");
}

// So that a page that is loaded again shows its photographs again; forgotten with the tab.
function remember() {
  sessionStorage.setItem(REMEMBERED, JSON.stringify([...known].map(([id, each]) => [id, each.name])));
}

function recall() {
  for (const [id, name] of JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "[]")) known.set(id, new Photograph(name));
  poll();
}

byId("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = ""; // The same file may be chosen again.
});
byId("drop").addEventListener("submit", (event) => event.preventDefault());
addEventListener("paste", (event) => take([...event.clipboardData.files]));
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault(); // Or the browser would open what is dropped.
    document.body.classList.add("over");
  });
}
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take([...event.dataTransfer.files]);
});
recall();
