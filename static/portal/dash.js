// Dash draws all charts of a page in one place; each belongs into the section that explains it.
// A page is whole without this: what cannot be drawn is said, and the table beneath says the same.

{
  const WAIT_MS = 20_000;
  const slots = new Map([...document.querySelectorAll("[data-chart]")].map((slot) => [`chart-${slot.dataset.chart}`, slot]));
  const root = document.getElementById("react-entry-point");

  // A frame is moved as soon as it exists, while it is still empty. React keeps hold of it and fills it wherever it stands.
  const moveFrames = () => {
    for (const frame of root.querySelectorAll(".chart-frame")) {
      slots.get(frame.id)?.append(frame);
    }
  };
  new MutationObserver(moveFrames).observe(root, { childList: true, subtree: true });

  const lost = () => {
    for (const slot of slots.values()) {
      if (slot.querySelector(".main-svg")) continue;
      slot.classList.add("plot--lost");
      slot.querySelector(".plot__lost").hidden = false;
    }
  };
  setTimeout(lost, WAIT_MS);

  if (window.DashRenderer) {
    new window.DashRenderer();
  } else {
    lost();
  }

  // Choosing a month shows it; without script the button does.
  for (const form of document.querySelectorAll("[data-send-on-change]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
}
