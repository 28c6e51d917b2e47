// Review page: a queue with tabs, one item at a time; a decision is confirmed when it is on the disk.

import { askForLabels, askForNote, keysAreOn, prepareKeys, showKeys } from "./dialogs.js";
import { clusterFacts, clusterPictures, make, named, sampleFacts, samplePictures, visible } from "./panels.js";
import { tile } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const token = document.querySelector("meta[name=holotype-token]").content;
let state = null;
let tab = null; // of state.tabs
let item = null;
let viewer = null;
let note = "";
let busy = false;
const selected = new Set(); // rows of a set of duplicates

async function ask(address, content) {
  const options = content === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json", "X-Holotype-Token": token }, body: JSON.stringify(content),
  };
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error("The server does not respond and nothing is saved. Start `holotype review` again, then reload this page.");
  }
  const result = await answer.json();
  if (!answer.ok) throw new Error(`Not saved: ${result.error}`.replace("Not saved: ", content === undefined ? "" : "Not saved: "));
  return result;
}

/** Run one action at a time: keys pressed while a decision is saved must not decide the next item. */
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    $("trouble").hidden = true;
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  } finally {
    busy = false;
    if (tab) document.body.dataset.at = `${tab.name}/${tab.at}`; // keys now apply to this item
  }
}

const say = (words) => { $("status").textContent = visible(words); };

async function start() {
  prepareKeys();
  state = await ask("/api/state");
  document.title = `Review of ${visible(state.name)} · Holotype`;
  $("run-name").textContent = visible(state.name);
  $("file").replaceChildren("Decisions are saved to ", named(state.file));
  const [, name, number] = location.hash.match(/^#(\w+)\/(\d+)$/) ?? [];
  const requested = state.tabs.find((entry) => entry.name === name);
  tab = requested ?? state.tabs.find((entry) => entry.name === state.tab);
  if (requested && Number(number) < requested.items.length) requested.at = Number(number);
  if (state.warnings.length) say(state.warnings.join("; "));
  await show();
}

/** Show the current item of the tab, or that there is none. */
async function show() {
  history.replaceState(null, "", `#${tab.name}/${tab.at}`);
  selected.clear();
  viewer = null;
  item = tab.items.length ? await ask(`/api/item/${tab.name}/${tab.at}`) : null;
  drawTabs();
  drawCount();
  if (!item) {
    $("pictures").replaceChildren(make("p", { class: "empty" }, { label_errors: "No probable label errors.", clusters: "No duplicates.", uncertain: "No scored samples." }[tab.name]));
    $("facts").replaceChildren();
  } else if (item.kind === "sample") {
    viewer = samplePictures(item, $("pictures"));
    sampleFacts(item, $("facts"));
  } else {
    clusterPictures(item, selected, $("pictures"), drawActions);
    clusterFacts(item, $("facts"));
  }
  drawActions();
  const next = tab.items.findIndex((entry, number) => number > tab.at && !entry.done);
  if (next > 0 && item?.kind === "sample") {
    ask(`/api/item/${tab.name}/${next}`).then((ahead) => tile(ahead.rows[0])).catch(() => {});
  }
}

function drawTabs() {
  const focused = document.activeElement?.getAttribute("role") === "tab";
  $("tabs").replaceChildren(...state.tabs.map((tabEntry) => make("button", {
    type: "button", role: "tab", id: `tab-${tabEntry.name}`, "aria-selected": String(tabEntry === tab), "aria-controls": "panel",
    tabindex: tabEntry === tab ? "0" : "-1", onclick: () => alone(() => { tab = tabEntry; return show(); }),
  }, tabEntry.title, " ", make("small", {}, `${tabEntry.items.filter((entry) => !entry.done).length} open`))));
  $("panel").setAttribute("aria-labelledby", `tab-${tab.name}`);
  if (focused) $(`tab-${tab.name}`).focus();
}

function drawCount() {
  const done = tab.items.filter((entry) => entry.done).length;
  $("bar").max = Math.max(tab.items.length, 1);
  $("bar").value = done;
  $("count").textContent = tab.items.length ? `${tab.at + 1} of ${tab.items.length}, ${done} decided` : "";
  for (const way of ["undo", "redo"]) {
    $(way).disabled = !state[way];
    $(way).title = state[way] ? visible(state[way]) : "";
  }
}

function drawActions() {
  const button = (words, key, act, attributes = {}) => make("button", { type: "button", onclick: () => alone(act), ...attributes }, words, " ", make("kbd", {}, key));
  const about = selected.size ? ` (${selected.size})` : "";
  const parts = !item ? [] : item.kind === "sample"
    ? [button("Keep", "K", keep, { class: "strong" }), button("Relabel", "R", relabel), button("Drop", "D", drop)]
    : [button("Duplicates", "K", keep, { class: "strong" }), button(`Not duplicates${about}`, "X", split, { disabled: !selected.size }),
      button(`Relabel${about}`, "R", relabel), button(`Drop${about}`, "D", drop)];
  if (item) {
    parts.push(button("Back", "B", () => walk(-1), { disabled: tab.at === 0 }), button("Skip", "S", () => walk(1), { disabled: tab.at + 1 >= tab.items.length }));
    parts.push(button(note ? "Note ✓" : "Note", "N", writeNote));
  }
  const label = document.activeElement?.closest("#actions button")?.textContent;
  $("actions").replaceChildren(...parts);
  if (label) [...$("actions").children].find((entry) => entry.textContent === label)?.focus();
}

async function walk(step) {
  const to = tab.at + step;
  if (to < 0 || to >= tab.items.length) { say(step > 0 ? "This is the last item." : "This is the first item."); return; }
  tab.at = to;
  await show();
}

/** Go to the next open item, after the last to the first. */
async function goOn() {
  const open = tab.items.map((entry, number) => [entry, number]).filter(([entry]) => !entry.done).map(([, number]) => number);
  if (!open.length) { say(`${$("status").textContent} All items of this list are decided.`.trim()); await show(); return; }
  tab.at = open.find((number) => number > tab.at) ?? open[0];
  await show();
}

function take(answer) {
  for (const { tab: name, number, done } of answer.changed) state.tabs.find((entry) => entry.name === name).items[number].done = done;
  Object.assign(state, { undo: answer.undo, redo: answer.redo, decisions: answer.decisions, warnings: answer.warnings });
  say(`${answer.words} (${answer.decisions} decision${answer.decisions === 1 ? "" : "s"} in the file)${answer.warnings.length ? `; ${answer.warnings.join("; ")}` : ""}`);
}

async function decide(decisions, stay = false) {
  take(await ask("/api/decide", { decisions: decisions.map((entry) => ({ note, ...entry })) }));
  note = "";
  if (stay) await show();
  else await goOn();
}

const keep = () => decide([{ kind: item.kind, id: item.id, action: "keep" }]);

/** Samples to act on: the shown one; for duplicates the selected ones or the focused one. */
function meant() {
  if (item.kind === "sample") return [{ sample: item.id, labels: item.labels }];
  const focused = Number(document.activeElement?.closest("[data-row]")?.dataset.row ?? -1);
  const rows = selected.size ? selected : new Set([focused]);
  const images = item.images.filter((image) => rows.has(image.row));
  if (!images.length) throw new Error("Select images first.");
  return [...new Map(images.map((image) => [image.sample, image])).values()];
}

async function relabel() {
  const samples = meant();
  const names = await askForLabels(state.classes, state.kind === "multilabel", samples[0].labels, samples.flatMap(({ sample }) => [named(sample), " "]));
  if (!names) return;
  await decide(samples.map(({ sample }) => ({ kind: "sample", id: sample, action: "relabel", after: names })), item.kind === "cluster");
}

const drop = () => decide(meant().map(({ sample }) => ({ kind: "sample", id: sample, action: "drop" })), item.kind === "cluster");

async function split() {
  if (item.kind !== "cluster") return;
  const separated = item.images.filter((image) => selected.has(image.row)).map((image) => image.id);
  await decide([{ kind: "cluster", id: item.id, action: "split", after: separated }]);
}

async function step(direction) {
  const answer = await ask("/api/step", { direction });
  take(answer);
  const change = answer.changed.find((entry) => entry.tab === tab.name) ?? answer.changed[0];
  if (change) {
    tab = state.tabs.find((entry) => entry.name === change.tab);
    tab.at = change.number;
  }
  if (answer.about) await show();
}

async function writeNote() {
  note = await askForNote(note) ?? note;
  drawActions();
}

async function nextTab(step = 1) {
  tab = state.tabs[(state.tabs.indexOf(tab) + step + state.tabs.length) % state.tabs.length];
  await show();
}

function toggle(kind, digit) {
  const control = kind === "channel" ? document.querySelector(`[data-channel="${digit - 1}"]`) : document.querySelectorAll("#pictures .card")[digit - 1];
  control?.click();
}

const KEYS = {
  k: () => item && keep(), r: () => item && relabel(), d: () => item && drop(), x: () => item && split(), n: () => item && writeNote(),
  s: () => walk(1), b: () => walk(-1), arrowright: () => walk(1), arrowleft: () => walk(-1), g: goOn, t: () => nextTab(),
  u: () => step("undo"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
  const on = event.target;
  if (on.matches("textarea, input:not([type=checkbox], [type=range])")) return;
  const key = event.key.toLowerCase();
  if (key.startsWith("arrow")) {
    if (on.matches("[role=tab]") && key !== "arrowup" && key !== "arrowdown") {
      event.preventDefault();
      alone(() => nextTab(key === "arrowright" ? 1 : -1));
    }
    if (on.matches("input, canvas, [role=tab]")) return;
  }
  if (!keysAreOn() && key !== "?") return;
  const digit = event.code.match(/^(?:Digit|Numpad)([1-9])$/)?.[1];
  if (key === "?") showKeys();
  else if (event.shiftKey && key === "u") alone(() => step("redo"));
  else if (digit && (event.shiftKey || item?.kind === "sample")) toggle("channel", Number(digit));
  else if (digit) toggle("card", Number(digit));
  else if (key === "+" || key === "=") viewer?.zoom(1.5);
  else if (key === "-") viewer?.zoom(1 / 1.5);
  else if (key === "0") viewer?.fit();
  else if (key === "i") viewer?.next();
  else if (KEYS[key] && !event.shiftKey) alone(async () => KEYS[key]());
  else return;
  event.preventDefault();
});
$("undo").addEventListener("click", () => alone(() => step("undo")));
$("redo").addEventListener("click", () => alone(() => step("redo")));
$("show-keys").addEventListener("click", showKeys);
alone(start);
