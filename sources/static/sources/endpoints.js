// The endpoints of a REST source: add a card, name it as it is typed, take over what a preview suggests.
// Without this there is one empty card, and suggestions are read and typed.
(() => {
  "use strict";

  const section = () => document.querySelector("[data-endpoints]");
  const cards = () => [...section().querySelectorAll("[data-endpoint]")];
  const field = (card, name) => card.querySelector(`[data-endpoint-field="${name}"]`);

  const start = () => {
    if (!section()) return;
    section().querySelector("[data-add-endpoint]").hidden = false;
    // The empty card is for those without script; it waits until it is asked for, unless it is the first.
    if (cards().length > 1) for (const card of cards()) card.hidden = "blank" in card.dataset;
    for (const box of section().querySelectorAll("[data-remove]")) remove(box);
  };

  const add = () => {
    const waiting = cards().find((card) => card.hidden);
    if (waiting) {
      waiting.hidden = false;
      field(waiting, "name").focus();
      return;
    }
    const total = document.getElementById(`id_${section().dataset.endpoints}-TOTAL_FORMS`);
    const template = section().querySelector("[data-endpoint-template]");
    const holder = document.createElement("div");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", total.value);
    total.value = Number(total.value) + 1;
    const card = holder.firstElementChild;
    template.before(card);
    card.querySelector("select").dispatchEvent(new Event("change", { bubbles: true }));
    field(card, "name").focus();
  };

  const remove = (box) => box.closest("[data-endpoint]").classList.toggle("is-gone", box.checked);

  const fill = (button) => {
    const card = cards().find((each) => field(each, "name").value.trim() === button.dataset.of);
    const input = card && field(card, button.dataset.fill);
    if (!input) return;
    const folded = input.closest("details");
    if (folded) folded.open = true;
    input.value = button.dataset.value;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    button.replaceWith("Filled in.");
    input.focus();
  };

  document.addEventListener("DOMContentLoaded", start);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-endpoint]")) add();
    const button = event.target.closest("[data-fill]");
    if (button) fill(button);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-remove]")) remove(event.target);
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset.endpointField !== "name") return;
    const title = event.target.closest("[data-endpoint]").querySelector("legend");
    title.textContent = event.target.value.trim() || "New endpoint";
  });
})();
