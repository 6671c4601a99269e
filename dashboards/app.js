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

const live = document.getElementById("live");

if (live?.dataset.live) {
  // The same look for everybody who watches.
  const events = new EventSource(live.dataset.live);
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
