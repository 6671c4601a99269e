// Starts apalis-board under /board. Its program is made for the root of a host and for pages without a policy; what it
// asks of the browser is set right here, so that it can stay as its makers have built it.

const root = "/board";
const inside = (path) => (path.startsWith("/") && !path.startsWith(`${root}/`) && path !== root ? root + path : path);
const outside = (path) => (path === root ? "/" : path.startsWith(`${root}/`) ? path.slice(root.length) : path);

// Requests go below the root.
const OwnRequest = class extends Request {
  constructor(input, init) {
    super(typeof input === "string" ? inside(input) : input, init);
  }
};
const OwnEventSource = class extends EventSource {
  constructor(url, init) {
    super(inside(url), init);
  }
};
window.Request = OwnRequest;
window.EventSource = OwnEventSource;

// So do links, and the address of each page.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") {
    // As an attribute the policy would forbid it.
    this.style.cssText = value;
  } else {
    setAttribute.call(this, name, name === "href" && this.localName === "a" ? inside(value) : value);
  }
};
for (const name of ["pushState", "replaceState"]) {
  const change = History.prototype[name];
  History.prototype[name] = function (state, title, url) {
    change.call(this, state, title, typeof url === "string" ? inside(url) : url);
  };
}

// Its router is told the path as if it were at the root.
const adapt = (imports) => {
  for (const module of Object.values(imports)) {
    for (const [name, call] of Object.entries(module)) {
      if (name.startsWith("__wbg_pathname_")) {
        module[name] = (into, of) => call(into, { pathname: outside(of.pathname) });
      }
    }
  }
  return imports;
};
for (const name of ["instantiate", "instantiateStreaming"]) {
  const start = WebAssembly[name];
  WebAssembly[name] = (source, imports) => start.call(WebAssembly, source, adapt(imports));
}

const { script, program } = document.documentElement.dataset;
const { default: init } = await import(script);
await init({ module_or_path: program });
