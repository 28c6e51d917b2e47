"use strict";
// Show one channel of all samples, or all channels side by side.
for (const choice of document.querySelectorAll(".choices input")) {
  choice.addEventListener("change", () => {
    const rows = choice.closest("section").querySelector(".view-rows");
    rows.dataset.view = choice.value;
    for (const figure of rows.querySelectorAll("figure")) figure.classList.toggle("selected", figure.dataset.plane === choice.value);
  });
}
// Embedding map: tooltip with image at the pointer; a click pins it beside the map; the legend highlights classes.
const map = document.querySelector("svg.map");
if (map) {
  const pinned = document.querySelector(".map-pinned"), sheet = pinned.querySelector(".map-picture");
  const columns = Number(sheet.dataset.columns), rows = Number(sheet.dataset.rows);
  const small = document.createElement("div");
  small.className = "map-tip";
  small.hidden = true;
  const picture = document.createElement("span"), text = document.createElement("bdi");
  picture.className = "map-picture";
  picture.style.backgroundImage = sheet.style.backgroundImage;
  picture.style.backgroundSize = sheet.style.backgroundSize;
  small.append(picture, text);
  document.body.append(small);
  const share = (index, count) => (count > 1 ? (100 * index) / (count - 1) : 0);
  const draw = (target, dot) => {
    const cell = Number(dot.dataset.cell);
    target.style.backgroundPosition = `${share(cell % columns, columns)}% ${share(Math.floor(cell / columns), rows)}%`;
  };
  map.addEventListener("pointerover", (event) => {
    const dot = event.target.closest("circle");
    small.hidden = !dot || event.pointerType === "touch";
    if (!dot) return;
    draw(picture, dot);
    text.textContent = dot.dataset.text;
  });
  map.addEventListener("pointermove", (event) => { if (!small.hidden) positionNear(small, event); }); // of script.js
  map.addEventListener("pointerleave", () => { small.hidden = true; });
  addEventListener("scroll", () => { small.hidden = true; }, { passive: true });
  map.addEventListener("click", (event) => {
    const dot = event.target.closest("circle");
    map.querySelector(".here")?.classList.remove("here");
    pinned.hidden = !dot;
    if (!dot) return;
    dot.classList.add("here");
    draw(sheet, dot);
    sheet.setAttribute("aria-label", dot.dataset.id);
    pinned.querySelector(".map-text").textContent = dot.dataset.text;
    pinned.querySelector(".map-id").textContent = dot.dataset.id;
  });
  const buttons = [...document.querySelectorAll(".map-legend button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      const lit = buttons.filter((item) => item.getAttribute("aria-pressed") === "true").map((item) => item.dataset.color);
      map.classList.toggle("picked", lit.length > 0);
      for (const dot of map.querySelectorAll("circle")) dot.classList.toggle("lit", lit.some((name) => dot.classList.contains(name)));
    });
  }
}
