// The source form: show only what a choice needs, and set all streams at once. Everything works without it.
(() => {
  "use strict";

  const schedule = () => {
    const kind = document.getElementById("id_schedule_kind");
    if (!kind) return;
    for (const row of document.querySelectorAll("[data-row-for]")) {
      row.hidden = !row.dataset.rowFor.split(" ").includes(kind.value);
    }
  };

  const stream = (row) => {
    const read = row.querySelector("[data-read]");
    row.classList.toggle("is-off", Boolean(read) && !read.checked);
    const mode = row.querySelector("select[name$='-sync_mode']");
    const cursor = row.querySelector("[data-cursor]");
    if (mode && cursor) cursor.style.visibility = mode.value === "incremental" ? "" : "hidden";
    const promise = row.querySelector("[data-promise]");
    const custom = row.querySelector("[data-custom]");
    if (promise && custom) custom.hidden = promise.value !== "custom";
  };

  // "setting_auth=bearer basic": this row counts only while that choice has one of these values.
  const onlyFor = () => {
    for (const row of document.querySelectorAll("[data-row-only-for]")) {
      const [name, values] = row.dataset.rowOnlyFor.split("=");
      const choice = document.getElementsByName(name)[0];
      row.hidden = Boolean(choice) && !values.split(" ").includes(choice.value);
    }
  };

  const refresh = () => {
    schedule();
    onlyFor();
    document.querySelectorAll("[data-stream]").forEach(stream);
  };

  document.addEventListener("DOMContentLoaded", refresh);
  document.addEventListener("htmx:afterSettle", refresh);

  document.addEventListener("change", (event) => {
    if (event.target.id === "id_schedule_kind") schedule();
    if (event.target.matches("select")) onlyFor();
    const row = event.target.closest("[data-stream]");
    if (row) stream(row);
    if (event.target.matches("[data-all-promises]") && event.target.value !== "-") {
      for (const promise of document.querySelectorAll("[data-promise]")) promise.value = event.target.value;
      refresh();
    }
  });

  document.addEventListener("click", (event) => {
    const tick = event.target.closest("[data-tick]");
    if (!tick) return;
    for (const read of document.querySelectorAll("[data-read]")) read.checked = tick.dataset.tick === "all";
    refresh();
  });
})();
