// Pages work without this; with it they are live.

/** Makes `now` what `next` is and leaves alone what is the same, so that focus, scrolling and selection stay. */
function morph(now, next) {
  if (now.nodeName !== next.nodeName || now.id !== next.id) return now.replaceWith(next);
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== next.data) now.data = next.data;
    return;
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  // What somebody has opened stays open.
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  morphChildren(now, next);
}

function morphChildren(now, next) {
  const [before, after] = [[...now.childNodes], [...next.childNodes]];
  before.slice(after.length).forEach((node) => node.remove());
  after.forEach((node, at) => (at < before.length ? morph(before[at], node) : now.append(node)));
}

/** Puts what a page shows now in place of what it showed before, unless somebody is typing or choosing there. */
function replace(place, next) {
  const focused = document.activeElement;
  if (place.contains(focused) && focused.matches("input, select, textarea, button")) return;
  morphChildren(place, next);
}

const parse = (html) => new DOMParser().parseFromString(html, "text/html");

/** A stream that is refused: the session has ended, so the page asks to sign in. */
async function askToSignIn(event) {
  if (event.target.readyState !== EventSource.CLOSED) return;
  const answer = await fetch(location.href);
  if (answer.redirected) location.reload();
}

const live = document.getElementById("live");

/** The HTML at `url`; nothing when it is not to be had just now. */
async function part(url) {
  try {
    const answer = await fetch(url);
    return answer.ok && !answer.redirected ? parse(await answer.text()) : undefined;
  } catch {
    return undefined;
  }
}

/** Calls `look` every so many seconds while the page is seen. */
function every(seconds, look) {
  setInterval(() => document.visibilityState === "visible" && look(), seconds * 1000);
}

for (const place of document.querySelectorAll("[data-refresh]")) {
  every(Number(place.dataset.every), async () => {
    // Numbers that somebody has opened stay open.
    const open = [...place.querySelectorAll("details")].map((it) => it.open);
    const next = await part(place.dataset.refresh);
    if (!next) return;
    [...next.body.querySelectorAll("details")].forEach((it, index) => (it.open = open[index] ?? false));
    replace(place, next.body);
  });
}

const rows = document.querySelector("[data-rows]");

if (rows) {
  // Rows that are there are renewed where they stand. New ones wait for whoever reads, so that nothing moves.
  const button = document.createElement("button");
  button.className = "main new";
  button.hidden = true;
  button.setAttribute("aria-live", "polite");
  rows.closest(".scroll").before(button);
  let waiting = [];
  button.addEventListener("click", () => {
    rows.prepend(...waiting);
    waiting = [];
    button.hidden = true;
    document.getElementById("none").hidden = true;
    rows.querySelector("a")?.focus();
  });
  every(2, async () => {
    const next = await part(rows.dataset.rows);
    if (!next) return;
    const came = [...next.querySelectorAll("tbody tr")];
    waiting = came.filter((row) => !document.getElementById(row.id));
    for (const row of came) {
      const shown = document.getElementById(row.id);
      if (!shown || shown.contains(document.activeElement)) continue;
      const ticked = shown.querySelector("input")?.checked ?? false;
      shown.replaceChildren(...row.childNodes);
      const box = shown.querySelector("input");
      if (box) box.checked = ticked;
    }
    // What lies before the oldest row that is shown belongs to older pages.
    const last = rows.querySelector("tr:last-child");
    if (last) {
      const place = came.findIndex((row) => row.id === last.id);
      if (place >= 0) waiting = waiting.filter((row) => came.indexOf(row) < place);
    }
    button.hidden = waiting.length === 0;
    button.textContent = `Show ${waiting.length} new`;
  });
}

for (const field of document.querySelectorAll("[data-copy]")) {
  field.addEventListener("focus", () => field.select());
  // Pages that do not come by HTTPS, or from this machine, may not write there.
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    said.textContent = "Copied";
  });
  const row = document.createElement("div");
  row.className = "row";
  row.append(button, said);
  field.closest("label").after(row);
}

const selectAll = document.querySelector("[data-select-all]");

if (selectAll) {
  const all = document.getElementById("all");
  const boxes = () => [...document.querySelectorAll('tbody input[type="checkbox"]')];
  const tell = () => {
    const ticked = boxes().filter((box) => box.checked).length;
    document.getElementById("selected").textContent = ticked ? ` ${ticked}` : "";
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
  };
  const tick = (to) => {
    boxes().forEach((box) => (box.checked = to));
    tell();
  };
  all.hidden = false;
  all.addEventListener("change", () => tick(all.checked));
  selectAll.addEventListener("click", (event) => {
    event.preventDefault();
    tick(true);
  });
  document.querySelector("tbody").addEventListener("change", tell);
  tell();
}

if (live?.dataset.live) {
  // The same look for everybody who watches.
  const events = new EventSource(live.dataset.live);
  events.addEventListener("error", askToSignIn);
  const stands = (place) => place.querySelector("[data-state]")?.dataset.state;
  events.addEventListener("look", async (event) => {
    const [next, before] = [parse(event.data).body, stands(live)];
    const changed = stands(next) !== before;
    replace(live, next);
    if (!changed) return;
    // Other things can be done now.
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = parse(await answer.text());
    const actions = document.getElementById("actions");
    const now = page.getElementById("actions");
    if (actions && now) replace(actions, now);
    // Of what is over nothing follows.
    if (!page.getElementById("live")?.dataset.live) events.close();
  });
}

if (live?.dataset.reload) {
  // What changed is on the page itself, with the actions of whoever looks.
  const events = new EventSource(live.dataset.reload);
  let seen = live.dataset.seen;
  events.addEventListener("error", askToSignIn);
  events.addEventListener("job", async (event) => {
    const job = JSON.parse(event.data);
    // The first event tells where the job stands: mostly what the page shows already, which is better left alone.
    const stands = `${job.state}, ${job.attempt} of ${job.max_attempts}`;
    const known = seen === stands;
    seen = undefined;
    if (known) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const next = parse(await answer.text()).getElementById("live");
    // Of a final job nothing follows.
    if (!next?.dataset.reload) events.close();
    if (next) replace(live, next);
  });
}

for (const field of document.querySelectorAll("[data-copy]")) {
  // Browsers give the clipboard to pages by HTTPS and of the same machine alone; elsewhere one copies by hand.
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  });
  field.closest(".card").append(button);
}
