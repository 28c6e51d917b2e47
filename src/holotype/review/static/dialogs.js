// The dialogs: classes found by typing, a note, the keys.

import { make, named, visible } from "./panels.js";

const SHOWN = 60;
const $ = (id) => document.getElementById(id);

/** Ask for labels; gives the chosen names, or null. */
export function askForLabels(classes, many, before, about) {
  const [dialog, find, list] = [$("relabel"), $("relabel-find"), $("relabel-list")];
  const selected = new Set(many ? before : []);
  let matches = [];
  let at = 0;
  find.value = "";
  $("relabel-about").replaceChildren(...about);
  $("relabel-save").hidden = !many;
  list.classList.toggle("many", many);
  list.setAttribute("aria-multiselectable", String(many));

  const folded = classes.map((name) => visible(name).toLocaleLowerCase());
  const search = () => {
    const query = find.value.trim().toLocaleLowerCase();
    const starts = [];
    const holds = [];
    for (const [number, name] of folded.entries()) {
      const start = query ? name.indexOf(query) : 0;
      if (start === 0) starts.push(number);
      else if (start > 0) holds.push(number);
    }
    const all = [...starts, ...holds];
    matches = all.slice(0, SHOWN);
    at = 0;
    $("relabel-more").textContent = all.length > SHOWN ? `and ${all.length - SHOWN} more: type to find them` : all.length ? "" : "No matching class.";
    draw();
  };
  const draw = () => {
    list.replaceChildren(...matches.map((number, index) => make("li", {
      role: "option", id: `option-${index}`, "aria-selected": many ? String(selected.has(classes[number])) : String(index === at),
      class: index === at ? "active" : "", onclick: () => { at = index; pick(); }, onmousedown: (event) => event.preventDefault(),
    }, named(classes[number]), before.includes(classes[number]) ? make("small", {}, " current label") : null)));
    if (matches.length) find.setAttribute("aria-activedescendant", `option-${at}`);
    else find.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
    $("relabel-chosen").replaceChildren(...(many ? [selected.size ? "Labels: " : "No label", ...[...selected].map((name) => named(name, { class: "chip" }))] : []));
  };
  return new Promise((answer) => {
    const finish = (names) => {
      dialog.close();
      controller.abort();
      answer(names);
    };
    pick = () => {
      if (!matches.length) return;
      const name = classes[matches[at]];
      if (!many) { finish([name]); return; }
      if (selected.has(name)) selected.delete(name);
      else selected.add(name);
      find.select();
      draw();
    };
    const save = () => finish(classes.filter((name) => selected.has(name)));
    const controller = new AbortController();
    const { signal } = controller;
    find.addEventListener("input", search, { signal });
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); finish(null); }, { signal });
    $("relabel-cancel").addEventListener("click", () => finish(null), { signal });
    $("relabel-save").addEventListener("click", save, { signal });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && many) { event.preventDefault(); save(); return; }
      if (event.target !== find) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        at = matches.length ? (at + (event.key === "ArrowDown" ? 1 : matches.length - 1)) % matches.length : 0;
        draw();
      } else if (event.key === "Enter" && !event.repeat) { event.preventDefault(); pick(); }
    }, { signal });
    search();
    dialog.showModal();
    find.focus();
  });
}

let pick = () => {};

/** Ask for a note; gives its text, or null. */
export function askForNote(text) {
  const [dialog, field] = [$("write-note"), $("note-text")];
  field.value = text;
  return new Promise((answer) => {
    const controller = new AbortController();
    const { signal } = controller;
    const finish = (result) => { dialog.close(); controller.abort(); answer(result); };
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); finish(null); }, { signal });
    $("note-cancel").addEventListener("click", () => finish(null), { signal });
    $("note-save").addEventListener("click", () => finish(field.value.toWellFormed()), { signal });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); finish(field.value.toWellFormed()); }
    }, { signal });
    dialog.showModal();
    field.focus();
  });
}

/** Show the keys; single keys may be turned off, for those whose software types on its own. */
export function showKeys() {
  $("keys").showModal();
}

export function keysAreOn() {
  return $("keys-on").checked;
}

export function prepareKeys() {
  const box = $("keys-on");
  box.checked = localStorage.getItem("holotype-keys") !== "off";
  box.addEventListener("change", () => localStorage.setItem("holotype-keys", box.checked ? "on" : "off"));
  $("keys-close").addEventListener("click", () => $("keys").close());
}
