// What htmx alone does not do for the regions that refresh themselves. Every page works without it.

// A refresh tells the server what the reader has unfolded, so that it stays unfolded.
document.addEventListener("htmx:configRequest", ({ target, detail }) => {
  if (!target.matches("[data-live]")) return;
  for (const details of target.querySelectorAll("details[data-open][open]")) {
    detail.formData.append("open", details.dataset.open);
  }
});

// Nobody looks: nothing is asked. The next tick after the reader comes back brings the news.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches("[data-live]")) event.preventDefault();
});

// The session has ended: the answer is the log-in page, which belongs into the whole window.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  const asked = new URL(pathInfo.requestPath, location.href).pathname;
  if (xhr.responseURL && new URL(xhr.responseURL).pathname !== asked) {
    event.preventDefault();
    location.reload();
  }
});

// Silence is worse than bad news: say when the portal itself does not answer.
const connection = document.getElementById("connection");
const lost = () => { connection.hidden = false; };
document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:timeout", lost);
document.addEventListener("htmx:responseError", lost);
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) connection.hidden = true;
});

// A screen reader hears a change of state, not every refresh.
const announcement = () => document.querySelector("[data-announce]")?.dataset.announce ?? "";
const announcer = document.getElementById("announcer");
let announced = announcement();
document.addEventListener("htmx:afterSettle", () => {
  const now = announcement();
  if (now !== announced) announcer.textContent = announced = now;
});

// Menus close when the reader goes elsewhere.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", ({ target }) => {
  for (const menu of menus()) if (!menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
