"use strict";
// A link to a folded section opens it.
const unfold = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.querySelector(":scope > details");
  if (!folded) return;
  folded.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", unfold);
unfold();
// Tables sort by the column whose heading is clicked; numbers start with the largest.
for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), table = button.closest("table"), body = table.tBodies[0];
    const column = heading.cellIndex, numeric = heading.classList.contains("n");
    const before = heading.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !numeric;
    const key = (row) => {
      const text = row.cells[column].textContent.trim();
      if (!numeric) return text.toLocaleLowerCase();
      const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-"));
      return Number.isNaN(number) ? -Infinity : number;
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (numeric ? a - b : a.localeCompare(b)) * (ascending ? 1 : -1));
    body.append(...rows.map(([, row]) => row));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  });
}
// Tooltips of chart marks, at once and also on touch; without this script the browser shows the <title> itself.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
const wordsOf = (target) => {
  for (let node = target; node instanceof SVGElement; node = node.parentNode) {
    const title = [...node.children].find((child) => child.localName === "title");
    if (title) { node.dataset.words = title.textContent; title.remove(); }
    if (node.dataset.words) return node.dataset.words;
  }
  return "";
};
document.addEventListener("pointerover", (event) => {
  const words = event.target instanceof SVGElement ? wordsOf(event.target) : "";
  tip.hidden = !words;
  tip.textContent = words;
});
const positionNear = (box, event) => {
  const room = document.documentElement.clientWidth - box.offsetWidth - 8;
  const above = event.clientY - box.offsetHeight - 14;
  box.style.left = `${Math.max(8, Math.min(event.clientX + 12, room))}px`;
  box.style.top = `${above > 4 ? above : event.clientY + 18}px`;
};
document.addEventListener("pointermove", (event) => { if (!tip.hidden) positionNear(tip, event); });
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("details")) details.open = true; });
