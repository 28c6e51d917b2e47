// What is shown of a sample or of a set of duplicates. Every name is text, never markup.

import { look, redraw, Thumbnail, Viewer } from "./pictures.js";

const UNSEEN = /[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]/gu;
const SIGNS = { "\n": "↵", "\r": "↵", "\t": "⇥" };

/** A name in which characters that nobody sees, or that turn text around, are written out. */
export const visible = (text) => String(text).replace(UNSEEN, (character) =>
  SIGNS[character] ?? `‹U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);

/** An element with attributes, listeners (`onclick`) and children; a string becomes text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const named = (text, attributes = {}) => make("bdi", attributes, visible(text));
const chips = (labels, mark = "") => labels.length
  ? labels.map((label) => named(label, { class: `chip ${mark}` }))
  : [make("span", { class: "chip none" }, "no label")];
const percent = (share) => (share > 0.995 && share < 1 ? ">99 %" : share > 0 && share < 0.005 ? "<1 %" : `${Math.round(100 * share)} %`);

/** One picture large, with its controls; the sample's other images and its neighbours small. */
export function samplePictures(item, container) {
  const where = make("p", { class: "where soft" });
  const canvas = make("canvas", { class: "viewer", tabindex: "0", role: "img", "aria-label": `Image ${visible(item.images[0])}; plus and minus zoom, arrows move it` });
  const controls = make("div", { class: "controls" });
  const viewer = new Viewer(canvas, ({ tile: current, scale }) => {
    const { width, height, depth, channels } = current.facts;
    where.textContent = `${width}×${height} pixels, ${channels} channel${channels === 1 ? "" : "s"}, ${depth}; ${scale >= 1 ? scale.toFixed(1) : scale.toFixed(2)}×`;
    if (!controls.childElementCount) controls.append(...pictureControls(current.facts, viewer));
  });
  const trouble = make("p", { class: "trouble", hidden: true });
  const show = (number) => {
    viewer.number = number;
    canvas.setAttribute("aria-label", `Image ${visible(item.images[number])}; plus and minus zoom, arrows move it`);
    for (const [other, button] of [...strip.children].entries()) button.setAttribute("aria-pressed", other === number);
    viewer.show(item.rows[number]).catch((error) => { trouble.hidden = false; trouble.textContent = error.message; });
  };
  const strip = make("div", { class: "images", role: "group", "aria-label": "Images of this sample" });
  if (item.rows.length > 1) {
    for (const [number, row] of item.rows.entries()) {
      const small = make("canvas", { class: "thumb", "aria-hidden": "true" });
      new Thumbnail(small, row, 128);
      strip.append(make("button", { type: "button", "aria-label": `Image ${visible(item.images[number])}`, onclick: () => show(number) }, small));
    }
  }
  viewer.next = () => { if (item.rows.length > 1) show((viewer.number + 1) % item.rows.length); };
  container.replaceChildren(make("div", { class: "frame" }, canvas), trouble, where, strip, folded(controls));
  show(0);
  return viewer;
}

/** Controls that stand open where there is room. */
function folded(controls) {
  const details = make("details", { class: "look" }, make("summary", {}, "Channels and contrast"), controls);
  details.open = matchMedia("(min-width: 1001px)").matches;
  return details;
}

/** Channels on and off, contrast, gamma and zoom. */
export function pictureControls(facts, viewer) {
  const channels = make("fieldset", { class: "channels" }, make("legend", {}, "Channels"));
  for (const [number, name] of facts.names.entries()) {
    const swatch = make("i", { class: "swatch" });
    swatch.style.background = `rgb(${facts.colors[number].map((part) => Math.round(255 * part)).join(" ")})`;
    const box = make("input", { type: "checkbox", "data-channel": number, onchange: (event) => {
      if (event.target.checked) look.off.delete(number);
      else look.off.add(number);
      redraw();
    } });
    box.checked = !look.off.has(number);
    channels.append(make("label", { class: "check" }, box, swatch, named(name)));
  }
  const slider = (name, key, least, most, step, words) => {
    const output = make("output", {}, words(look[key]));
    const range = make("input", { type: "range", min: least, max: most, step, value: look[key], "data-look": key, oninput: (event) => {
      look[key] = Number(event.target.value);
      output.textContent = words(look[key]);
      redraw();
    } });
    return make("label", { class: "slider" }, make("span", {}, name), range, output);
  };
  const sliders = make("fieldset", { class: "sliders" }, make("legend", {}, "Contrast"),
    slider("black below", "low", 0, 40, 0.1, (value) => `${value.toFixed(1)} %`),
    slider("white above", "high", 60, 100, 0.05, (value) => `${value.toFixed(1)} %`),
    slider("gamma", "gamma", 0.3, 3, 0.05, (value) => value.toFixed(2)));
  const again = make("button", { type: "button", onclick: () => {
    Object.assign(look, { low: 1, high: 99.8, gamma: 1 });
    look.off.clear();
    const here = again.closest(".controls");
    here.replaceChildren(...pictureControls(facts, viewer));
    here.querySelector(".again").focus();
    redraw();
  }, class: "again" }, "Reset");
  const zoom = viewer ? [
    make("button", { type: "button", "aria-label": "Zoom in", onclick: () => viewer.zoom(1.5) }, "+"),
    make("button", { type: "button", "aria-label": "Zoom out", onclick: () => viewer.zoom(1 / 1.5) }, "−"),
    make("button", { type: "button", onclick: () => viewer.fit() }, "Fit"),
  ] : [];
  return [facts.names.length > 1 ? channels : null, sliders, make("div", { class: "zoom" }, zoom, again)].filter(Boolean);
}

/** Labels, opinion, neighbours and facts of a sample. */
export function sampleFacts(item, container) {
  const parts = [make("h2", {}, named(item.id))];
  if (item.decision) parts.push(decided(item.decision));
  const dropped = item.decision?.action === "drop";
  parts.push(make("dl", { class: "labels" },
    make("div", {}, make("dt", {}, item.labels.length > 1 ? "Labels" : "Label"), make("dd", { class: dropped ? "gone" : "" }, chips(item.labels))),
    String(item.labels) === String(item.table_labels) ? null
      : make("div", {}, make("dt", {}, "Before"), make("dd", { class: "gone" }, chips(item.table_labels))),
    item.suggested ? make("div", {}, make("dt", {}, "Suggested"), make("dd", {}, chips(item.suggested, "suggested"))) : null));
  if (item.predictions.length) {
    parts.push(make("h3", {}, "Predicted probabilities ", make("small", {}, "by models not trained on this sample")));
    parts.push(make("ol", { class: "predictions" }, item.predictions.map(({ name, probability }) => {
      const bar = make("i", { class: `bar ${item.labels.includes(name) ? "has-label" : ""}` });
      bar.style.width = `${100 * probability}%`;
      return make("li", {}, make("span", { class: "name" }, named(name), item.labels.includes(name) ? make("small", {}, " label") : null),
        make("span", { class: "trough" }, bar), make("span", { class: "number" }, percent(probability)));
    })));
  }
  if (item.neighbors.length) {
    parts.push(make("h3", {}, "Most similar ", make("small", {}, "labeled images")));
    parts.push(make("div", { class: "neighbors" }, item.neighbors.map((near) => {
      const canvas = make("canvas", { class: "thumb", role: "img", "aria-label": `Image ${visible(near.id)}` });
      new Thumbnail(canvas, near.row);
      return make("figure", {}, canvas, make("figcaption", {}, chips(near.labels), make("small", {}, named(near.id), ` ${near.similarity.toFixed(2)}`)));
    })));
  }
  if (item.facts.length) {
    parts.push(make("dl", { class: "about" }, item.facts.map(([name, value]) =>
      make("div", {}, make("dt", {}, named(name)), make("dd", {}, named(value))))));
  }
  container.replaceChildren(...parts);
}

/** All images of a set side by side, each of which may be selected. */
export function clusterPictures(item, selected, container, changed) {
  const controls = make("div", { class: "controls" });
  const cards = item.images.map((image, number) => {
    const canvas = make("canvas", { class: "thumb", "aria-hidden": "true" });
    const small = new Thumbnail(canvas, image.row, item.images.length > 6 ? 256 : 512);
    if (!number) {
      const poll = () => { if (small.tile) controls.replaceChildren(...pictureControls(small.tile.facts, null)); else if (canvas.isConnected) setTimeout(poll, 50); };
      setTimeout(poll, 50);
    }
    const button = make("button", {
      type: "button", class: "card", "data-row": image.row, "aria-pressed": selected.has(image.row) ? "true" : "false",
      onclick: () => {
        if (selected.has(image.row)) selected.delete(image.row);
        else selected.add(image.row);
        button.setAttribute("aria-pressed", selected.has(image.row) ? "true" : "false");
        changed();
      },
    }, canvas, make("span", { class: "caption" },
      make("span", { class: "top" }, number < 9 ? make("kbd", {}, String(number + 1)) : null, named(image.id), make("small", {}, ` ${image.role}`)),
      make("span", { class: image.decided === "drop" ? "gone" : "" }, image.role === "test" ? make("small", {}, "test sample") : chips(image.labels)),
      image.decided ? make("small", { class: "verdict" }, `decided: ${image.decided}`) : null,
      make("small", { class: "not-same" }, "not a duplicate")));
    return button;
  });
  container.replaceChildren(make("div", { class: "cards", role: "group", "aria-label": "Images of this set; select those that are not duplicates" }, cards), folded(controls));
}

/** What was found between the images of a set. */
export function clusterFacts(item, container) {
  const names = new Map(item.images.map((image) => [image.row, image.id]));
  const links = [...item.links].sort((first, other) => first[3] - other[3]).slice(0, 12);
  container.replaceChildren(
    make("h2", {}, `${item.images.length} images found to be duplicates`),
    item.decision ? decided(item.decision) : "",
    item.conflict ? make("p", { class: "conflict" }, "Their labels contradict each other.") : "",
    make("p", { class: "soft" }, `${item.words}. Select the images that are not duplicates of the others, then press X. Relabel and drop apply to the selected images, or to the focused one.`),
    make("h3", {}, "Pairs ", make("small", {}, "least similar first")),
    make("ol", { class: "pairs" }, links.map(([row, other, kind, similarity]) =>
      make("li", {}, make("span", {}, named(names.get(row)), " and ", named(names.get(other))),
        make("span", { class: "number" }, kind === "exact" ? "equal" : similarity.toFixed(3))))));
}

function decided(row) {
  const words = { keep: "kept", relabel: "relabeled", drop: "dropped", split: "split" }[row.action] ?? row.action;
  return make("p", { class: "verdict" }, `Decided: ${words}`, row.note ? make("q", {}, visible(row.note)) : null);
}
