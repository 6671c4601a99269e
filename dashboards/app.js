// Pages work without this; with it they are live.

/** Puts what a page shows now in place of what it showed before, unless somebody is typing or choosing there. */
function replace(place, next) {
  const focused = document.activeElement;
  if (place.contains(focused) && focused.matches("input, select, textarea, button")) return;
  const link = place.contains(focused) ? focused.getAttribute("href") : null;
  place.replaceChildren(...next.childNodes);
  if (link) [...place.querySelectorAll("a")].find((it) => it.getAttribute("href") === link)?.focus();
}

const parse = (html) => new DOMParser().parseFromString(html, "text/html");

const live = document.getElementById("live");

if (live?.dataset.live) {
  // The same look for everybody who watches.
  const events = new EventSource(live.dataset.live);
  events.addEventListener("look", (event) => replace(live, parse(event.data).body));
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
