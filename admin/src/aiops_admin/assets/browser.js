// The page's address, its reload, the remembered theme, and a banner while the connection to the dashboard is lost.

const YEAR = 31536000
const PROBE_MS = 3000

function remember(dark) {
  const secure = location.protocol === "https:" ? "; Secure" : ""
  document.cookie = `aiops_theme=${dark ? "dark" : "light"}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`
}

function banner() {
  const node = document.createElement("div")
  node.className = "lost"
  node.setAttribute("role", "status")
  node.hidden = true
  node.textContent = "The connection to the dashboard was lost. Trying again …"
  return node
}

export function render({model, view}) {
  const tell = (name, value) => model.send_msg({name, value})
  const lost = banner()
  let probe = null

  // A restarted dashboard does not know this page any more: once it answers again, only a reload helps.
  const look = async () => {
    const answer = await fetch("/health/live", {cache: "no-store"}).catch(() => null)
    if (answer?.ok && !lost.hidden) { location.reload() }
  }
  const down = () => {
    lost.hidden = false
    probe ??= setInterval(look, PROBE_MS)
  }
  const up = () => {
    lost.hidden = true
    clearInterval(probe)
    probe = null
  }
  view.model.document.on_event("connection_lost", down)
  view.model.document.on_event("client_reconnected", up)

  model.on("address", () => {
    if (location.search !== model.address) { history.pushState({}, "", location.pathname + model.address) }
  })
  model.on("reloads", () => location.reload())
  model.on("dark", () => remember(model.dark))
  addEventListener("popstate", () => tell("address", location.search))
  document.addEventListener("visibilitychange", () => tell("visible", document.hidden ? "" : "yes"))
  // An answer that arrives before the page is ready would be lost.
  const ready = () => {
    if (!model.themed && matchMedia("(prefers-color-scheme: dark)").matches) { tell("theme", "dark") }
  }
  const {document: page} = view.model
  if (page.is_idle) { ready() } else { page.idle.connect(ready) }
  return lost
}
