"use strict";
// The page: files go to /predict, one image a request (the server brings them together), and become cards.

const AT_ONCE = 4;          // requests in flight
const BARS = 6;             // classes that are shown before the rest is folded away
const PAUSES = [500, 1000, 2000, 4000, 8000];
const $ = (id) => document.getElementById(id);
const state = { facts: null, token: sessionStorage.getItem("holotype-token"), entries: [], queue: [], busy: 0 };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

async function ask(path, options = {}) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  return fetch(path, { ...options, headers });
}

async function wordsOf(response) {
  try {
    const { error } = await response.json();
    const allowed = error.allowed.length ? ` Allowed: ${error.allowed.join(", ")}.` : "";
    return `${sentence(error.what)}${allowed}${error.remedy ? ` ${sentence(error.remedy)}` : ""}`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");
const percent = (value) => (value > 0 && value < 0.001 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`);

// Server information

async function begin() {
  if ($("unlock") && !state.token) {
    $("about").textContent = "";
    $("token").focus();
    return;
  }
  const response = await ask("classes");
  if (response.status === 401) {
    $("about").textContent = "";
    if (state.token) $("refused").textContent = "This token is wrong.";
    state.token = null;
    $("unlock").hidden = false;
    $("token").focus();
    return;
  }
  if (!response.ok) { $("about").textContent = await wordsOf(response); return; }
  if (state.token) sessionStorage.setItem("holotype-token", state.token);
  const facts = state.facts = await response.json();
  state.names = facts.pattern ? facts.pattern.split(" | ").map((text) => pattern(text, facts.channels)) : [];
  if ($("unlock")) $("unlock").hidden = true;
  document.title = $("run").textContent = facts.run;
  const labels = facts.kind === "multilabel" ? "any number of labels per image" : "one label per image";
  const classes = `${facts.classes.length.toLocaleString("en")} ${facts.classes.length === 1 ? "class" : "classes"}`;
  $("about").textContent = `Predicts ${classes}, ${labels}. Images are sent to this server only.`;
  $("form").textContent = facts.pattern ? sentence(facts.files) : `${sentence(facts.files)} ${facts.endings.join(" ")}`;
  $("files").accept = facts.endings.join(",");
  $("ask").hidden = false;
  const version = await (await ask("version")).json();
  $("version").textContent = `Holotype ${version.holotype} · models ${version.digests.networks}`;
}

function pattern(text, channels) {
  const escaped = (part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const source = text.split(/(\{[^}]*\})/).map((part) => {
    if (part === "{channel}") return `(?:${channels.map(escaped).join("|")})`;
    return part.startsWith("{") ? "([^/]+)" : escaped(part);
  });
  return { expression: new RegExp(`^${source.join("")}$`), depth: text.split("/").length };
}

// Files in

function take(files) {
  const images = new Map();
  for (const [file, path] of files) {
    let key = `${state.entries.length} ${images.size} ${path}`;
    const parts = path.split("/");
    for (const name of state.names) {
      const match = parts.slice(-name.depth).join("/").match(name.expression);
      if (!match) continue;
      key = `image ${parts.slice(0, -name.depth).join("/")}/${match.slice(1).join("_")}`;
      break;
    }
    if (!images.has(key)) images.set(key, []);
    images.get(key).push([file, path]);
  }
  for (const group of images.values()) {
    const entry = { files: group, card: make("article", { class: "card waiting" }), result: null };
    entry.card.append(make("p", {}, `${group[0][1]} waits …`));
    state.entries.push(entry);
    state.queue.push(entry);
    $("results").append(entry.card);
  }
  work();
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file, file.name]);
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      files.push([file, entry.fullPath.replace(/^\//, "")]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const child of some) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  const folders = entries.some((entry) => entry.isDirectory);
  const endings = new Set(state.facts.endings);
  return folders ? files.filter(([, path]) => endings.has(path.slice(path.lastIndexOf(".")).toLowerCase())) : files;
}

function form(entry) {
  const data = new FormData();
  for (const [file, path] of entry.files) data.append("images", file, path);
  return data;
}

function work() {
  tell();
  while (state.busy < AT_ONCE && state.queue.length) {
    const entry = state.queue.shift();
    state.busy += 1;
    predict(entry).catch((error) => fail(entry, `The server cannot be reached: ${error.message}`)).finally(() => {
      state.busy -= 1;
      work();
    });
  }
}

async function predict(entry) {
  for (const pause of [...PAUSES, 0]) {
    const response = await ask("predict?picture=true&nearest=3", { method: "POST", body: form(entry) });
    if (response.ok) {
      entry.result = (await response.json()).predictions[0];
      show(entry);
      return;
    }
    if (![429, 503].includes(response.status) || !pause) { fail(entry, await wordsOf(response)); return; }
    await new Promise((done) => setTimeout(done, pause));
  }
}

function tell() {
  const done = state.entries.filter((entry) => entry.result || entry.failed).length;
  const failed = state.entries.filter((entry) => entry.failed).length;
  const odd = state.entries.filter((entry) => entry.result?.out_of_distribution.unusual).length;
  const all = state.entries.length;
  const parts = [done < all ? `${done} of ${all} images done` : `${all} ${all === 1 ? "image" : "images"} done`];
  if (odd) parts.push(`${odd} out of distribution (unlike the training images)`);
  if (failed) parts.push(`${failed} with errors`);
  $("status").textContent = all ? parts.join(", ") : "";
  $("save").hidden = done === failed;
  $("clear").hidden = !all;
}

// Cards

function fail(entry, words) {
  entry.failed = words;
  entry.card.className = "card failed";
  entry.card.replaceChildren(make("div", { class: "head" }, make("h2", {}, entry.files[0][1])), make("p", { role: "alert" }, words));
}

function show(entry) {
  const result = entry.result;
  const { width, height, channels, depth } = result.image;
  const shape = `${width}×${height}, ${channels} ${channels === 1 ? "channel" : "channels"}, ${depth}`;
  entry.card.className = "card";
  entry.card.replaceChildren(
    make("div", { class: "head" }, make("h2", {}, result.id), make("p", { class: "note" }, shape)),
    look(entry),
    make("div", { class: "facts" }, labelList(result), warning(result), bars(result), labelSet(result), nearest(result)),
  );
}

function picture(source, words, width) {
  return make("img", { src: source, alt: words, class: width < 160 ? "small" : "" });
}

function look(entry) {
  const result = entry.result;
  const frame = make("div", { class: "picture" }, picture(result.picture, `The image ${result.id}`, result.image.width));
  const choice = make("select", { "aria-label": `Class of the heat map of ${result.id}` },
    ...Object.keys(result.probabilities).map((name) => make("option", { value: name }, name)));
  choice.value = Object.keys(result.probabilities).find((name) => result.labels.includes(name)) ?? choice.options[0].value;
  const button = make("button", { type: "button", class: "quiet", "aria-pressed": "false" }, "Heat map");
  const note = make("p", { class: "note", role: "status" });
  const cache = new Map();
  const change = async () => {
    frame.querySelector(".heat")?.remove();
    if (button.getAttribute("aria-pressed") !== "true") return;
    const name = choice.value;
    note.textContent = "";
    if (!cache.has(name)) {
      const response = await ask(`explain?class=${encodeURIComponent(name)}`, { method: "POST", body: form(entry) });
      if (!response.ok) { note.textContent = await wordsOf(response); return; }
      cache.set(name, URL.createObjectURL(await response.blob()));
    }
    if (choice.value !== name || button.getAttribute("aria-pressed") !== "true") return;
    frame.querySelector(".heat")?.remove();
    const heat = picture(cache.get(name), `Heat map of ${name}`, 1000);
    heat.classList.add("heat");
    frame.append(heat);
  };
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    change();
  });
  choice.addEventListener("change", change);
  return make("div", {}, frame, make("div", { class: "look" }, choice, button), note);
}

function labelList(result) {
  const labels = result.labels.length
    ? make("ul", { class: "labels" }, ...result.labels.map((name) => make("li", {}, name)))
    : make("p", { class: "note" }, "No class is above its threshold.");
  const sure = result.answer ? make("p", { class: "note" }, `Certain at the rank ${result.rank}: ${result.answer}`) : null;
  const parts = [make("h3", {}, result.labels.length === 1 ? "Label" : "Labels"), labels];
  return make("div", {}, ...parts, sure);
}

function warning(result) {
  const reasons = result.out_of_distribution.reasons.map((reason) => make("li", {}, sentence(reason.message)));
  if (result.abstain) reasons.push(make("li", {}, "The probabilities are too close to decide; a person should check the image."));
  if (!reasons.length) return null;
  const words = result.out_of_distribution.unusual ? "Out of distribution: the image is unlike the training images, so the prediction is not reliable." : "Uncertain.";
  return make("div", { class: "warning" }, make("b", {}, words), make("ul", {}, ...reasons));
}

function bars(result) {
  const rows = Object.entries(result.probabilities).map(([name, value]) => {
    const line = make("i");
    line.style.width = `${100 * value}%`;
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, line);
    const threshold = result.thresholds?.[name] ?? null;
    const selected = result.labels.includes(name);
    let words = `${name}: ${percent(value)}${selected ? ", predicted" : ""}`;
    if (threshold !== null) {
      const mark = make("u");
      mark.style.left = `${100 * threshold}%`;
      bar.append(mark);
      words += `, threshold ${percent(threshold)}`;
    }
    return make("li", { class: selected ? "selected" : "", title: words }, make("span", {}, name), bar,
      make("span", { class: "number" }, percent(value)));
  });
  const visible = Math.max(BARS, result.labels.length);
  const list = (some) => make("ul", { class: "bars" }, ...some);
  const title = result.thresholds ? "Probabilities (the mark is the threshold of the class)" : "Probabilities";
  const rest = rows.slice(visible);
  const more = rest.length ? make("details", {}, make("summary", {}, `${rest.length} more`), list(rest)) : null;
  return make("div", {}, make("h3", {}, title), list(rows.slice(0, visible)), more);
}

function labelSet(result) {
  if (!result.label_set) return null;
  const names = result.label_set.map((name) => make("li", {}, name));
  return make("div", {}, make("h3", {}, "Prediction set"), make("p", { class: "note" }, "Labels that cannot be ruled out at the calibrated confidence."), make("ul", { class: "labels soft" }, ...names));
}

function nearest(result) {
  if (!result.nearest?.length) return null;
  const figures = result.nearest.map((near) => {
    const frame = make("div", { class: "picture" });
    if (near.picture) {
      ask(near.picture).then(async (response) => {
        if (response.ok) frame.append(picture(URL.createObjectURL(await response.blob()), `Training image ${near.id}`, result.image.width));
      });
    }
    return make("figure", {}, frame, make("figcaption", {}, make("b", {}, near.labels.join(", ") || "no label"),
      `${near.id} · similarity ${near.similarity.toFixed(2)}`));
  });
  return make("div", {}, make("h3", {}, "Most similar training images"), make("div", { class: "nearest" }, ...figures));
}

// Results out

function table() {
  const cell = (value) => {
    const text = String(value ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const classes = state.facts.classes.length <= 200 ? state.facts.classes : [];
  const head = ["id", "files", "labels", "label_set", "abstain", "unusual", "why", "nearest", "error", ...classes.map((name) => `p(${name})`)];
  const rows = state.entries.map(({ result, failed, files }) => {
    const names = files.map(([, path]) => path).join(" ");
    if (!result) return [names, names, "", "", "", "", "", "", failed ?? "", ...classes.map(() => "")];
    const odd = result.out_of_distribution;
    return [result.id, result.files.join(" "), result.labels.join("|"), result.label_set?.join("|"), result.abstain, odd.unusual,
      odd.reasons.map((reason) => reason.message).join("; "), result.nearest?.map((near) => near.id).join("|"), "",
      ...classes.map((name) => result.probabilities[name])];
  });
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

$("save").addEventListener("click", () => {
  const link = make("a", { href: URL.createObjectURL(new Blob([table()], { type: "text/csv" })), download: `${state.facts.run}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
$("clear").addEventListener("click", () => {
  state.entries = [];
  state.queue = [];
  $("results").replaceChildren();
  tell();
  $("files").focus();
});
$("files").addEventListener("change", (event) => {
  take([...event.target.files].map((file) => [file, file.webkitRelativePath || file.name]));
  event.target.value = "";
});
$("unlock")?.addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value;
  begin();
});
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (state.facts) take(await dropped(event.dataTransfer));
});
begin().catch((error) => { $("about").textContent = `The server cannot be reached: ${error.message}`; });
