// Builds elements from a tree of plain data. Text only ever becomes a text node; elements and attributes are listed.

const TAGS = new Set([
  "a", "article", "aside", "b", "button", "caption", "code", "dd", "details", "dialog", "div", "dl", "dt", "em", "fieldset",
  "form", "h1", "h2", "h3", "h4", "header", "footer", "input", "label", "legend", "li", "nav", "ol", "option", "p", "pre",
  "section", "select", "small", "span", "strong", "summary", "table", "tbody", "td", "textarea", "th", "thead", "time", "tr",
  "ul",
])
const ATTRIBUTES = new Set([
  "action", "autocomplete", "checked", "class", "colspan", "datetime", "dir", "disabled", "download", "for", "hidden", "href",
  "id", "lang", "max", "maxlength", "method", "min", "name", "open", "placeholder", "rel", "required", "role", "rows", "scope",
  "selected", "spellcheck", "start", "step", "tabindex", "target", "title", "type", "value",
])
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]

function attribute(name, value) {
  if (!ATTRIBUTES.has(name) && !/^(aria|data)-[a-z-]+$/.test(name)) { return null }
  if (name !== "href" && name !== "action") { return value }
  const address = URL.parse ? URL.parse(value, document.baseURI) : new URL(value, document.baseURI)
  return address && /^https?:$/.test(address.protocol) ? value : null
}

function relative(seconds, words) {
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) { return words.format(Math.trunc(seconds / length), unit) }
  }
  return words.format(0, "second")
}

function tell(node) {
  const time = new Date(node.getAttribute("datetime"))
  if (isNaN(time)) { return }
  const exact = new Intl.DateTimeFormat([], {dateStyle: "medium", timeStyle: "medium"}).format(time)
  if (node.dataset.show === "date") {
    node.textContent = new Intl.DateTimeFormat([], {dateStyle: "medium"}).format(time)
    node.title = exact
    return
  }
  if (node.dataset.show === "exact") {
    node.textContent = exact
    return
  }
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", {numeric: "auto"})
  node.textContent = relative(Math.min(0, (time - Date.now()) / 1000), words)
  node.title = exact
}

function make(spec) {
  const node = document.createElement(TAGS.has(spec.t) ? spec.t : "span")
  node.viewKey = spec.k
  return node
}

// A bar's place and length, in percent.
function stretch(node) {
  for (const name of ["from", "span"]) {
    node.style.setProperty(`--${name}`, `${Math.min(100, Math.max(0, Number(node.dataset[name]) || 0))}%`)
  }
}

function fits(node, spec) {
  return node.nodeType === 1 && node.viewKey === spec.k && node.localName === spec.t
}

function fill(node, spec) {
  for (const {name} of Array.from(node.attributes)) {
    // Whether a dialog or a passage is open is the reader's doing.
    if (!(name in spec.a) && name !== "open" && name !== "style") { node.removeAttribute(name) }
  }
  for (const [name, raw] of Object.entries(spec.a)) {
    const value = attribute(name, raw)
    if (value !== null && node.getAttribute(name) !== value) { node.setAttribute(name, value) }
  }
  if (spec.a["data-span"]) { stretch(node) }
  if (spec.t === "time" && spec.a["data-show"]) { tell(node) } else { patch(node, spec.c) }
  if (spec.t === "dialog") { queueMicrotask(() => { if (node.isConnected && !node.open) { node.showModal() } }) }
}

function patch(parent, specs) {
  const keyed = new Map(Array.from(parent.childNodes).filter(n => n.viewKey).map(n => [n.viewKey, n]))
  specs.forEach((spec, index) => {
    const here = parent.childNodes[index]
    if (typeof spec === "string") {
      if (here?.nodeType === 3) {
        if (here.data !== spec) { here.data = spec }
      } else { parent.insertBefore(document.createTextNode(spec), here ?? null) }
      return
    }
    const same = spec.k ? keyed.get(spec.k) : here
    const node = same && fits(same, spec) ? same : make(spec)
    if (node !== here) { parent.insertBefore(node, here ?? null) }
    fill(node, spec)
  })
  while (parent.childNodes.length > specs.length) { drop(parent.lastChild) }
}

function drop(node) {
  // Closing gives the focus back to whatever opened it.
  if (node.localName === "dialog") { node.close() }
  node.remove()
}

function copy(button) {
  const done = () => {
    const before = button.textContent
    button.textContent = "Copied"
    setTimeout(() => { button.textContent = before }, 1500)
  }
  navigator.clipboard?.writeText(button.dataset.copy).then(done)
}

export function render({model}) {
  const root = document.createElement("div")
  root.className = "view"
  const act = (action, value) => model.send_msg({action, value: value ?? ""})
  const draw = () => patch(root, [model.tree])

  root.addEventListener("click", event => {
    if (event.target.localName === "dialog") { act(event.target.dataset.close); return }
    // A form acts when it is submitted, never by a click on what it holds.
    const source = event.target.closest("a, button, [data-copy], form, [data-action]")
    if (source?.localName === "form") { return }
    if (!source || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) { return }
    if (source.dataset.copy) { copy(source) }
    if (source.dataset.action) {
      event.preventDefault()
      act(source.dataset.action, source.dataset.value)
    }
  })
  root.addEventListener("submit", event => {
    const form = event.target
    if (!form.dataset.action) { return }
    event.preventDefault()
    act(form.dataset.action, JSON.stringify(Object.fromEntries(new FormData(form, event.submitter))))
  })
  root.addEventListener("cancel", event => {
    event.preventDefault()
    act(event.target.dataset.close)
  }, true)

  model.on("tree", draw)
  draw()
  const clock = setInterval(() => {
    root.querySelectorAll("time[data-show=relative]").forEach(tell)
  }, 1000)
  model.on("remove", () => clearInterval(clock))
  return root
}
