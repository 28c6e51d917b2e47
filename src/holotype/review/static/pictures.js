// Pictures: numbers from the server, at the file's own depth, made into colours here, so that every change is instant.

const MAX_TILES = 48;
const tiles = new Map();
const drawn = new Set();

/** How pictures are looked at; one for the whole page, so that what is compared is drawn alike. */
export const look = { low: 1, high: 99.8, gamma: 1, off: new Set() };

/** Draw everything anew that is on the page, once a frame. */
let scheduled = false;
export function redraw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const picture of drawn) {
      if (picture.canvas.isConnected) picture.draw();
      else drawn.delete(picture);
    }
  });
}

/** A part of an image by its row in the run's table; asked for once. */
export function tile(row, side = 1024, region = null) {
  const part = region ? `&left=${region.left}&top=${region.top}&width=${region.width}&height=${region.height}` : "";
  const address = `/pixels/${row}?side=${side}${part}`;
  if (!tiles.has(address)) {
    tiles.set(address, fetched(address));
    if (tiles.size > MAX_TILES) tiles.delete(tiles.keys().next().value);
  }
  return tiles.get(address);
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    tiles.delete(address);
    throw new Error((await answer.json()).error);
  }
  const facts = JSON.parse(answer.headers.get("X-Picture"));
  const content = await answer.arrayBuffer();
  const values = facts.bytes === 1 ? new Uint8Array(content) : new Uint16Array(content);
  return { facts, values, sums: null };
}

/** How many pixels of each channel have at most each value. */
function cumulated(tile) {
  if (tile.sums) return tile.sums;
  const { channels, rows, columns, bytes, joint_contrast: joint } = tile.facts;
  const size = bytes === 1 ? 256 : 65536;
  const counts = Array.from({ length: channels }, () => new Uint32Array(size));
  for (let channel = 0; channel < channels; channel += 1) {
    const channelCounts = counts[joint ? 0 : channel];
    const end = (channel + 1) * rows * columns;
    for (let at = channel * rows * columns; at < end; at += 1) channelCounts[tile.values[at]] += 1;
  }
  for (const channelCounts of counts) for (let at = 1; at < size; at += 1) channelCounts[at] += channelCounts[at - 1];
  if (joint) counts.fill(counts[0]);
  tile.sums = counts;
  return counts;
}

/** The values between which a channel is stretched. */
function ends(sums) {
  const total = sums[sums.length - 1];
  const at = (share) => {
    const target = Math.max(1, Math.ceil((share / 100) * total));
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] >= target) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const [low, high] = [at(look.low), at(look.high)];
  return high > low ? [low, high] : [at(0), at(100)]; // nearly everything is one value: show what is not
}

/** A tile as a canvas of its own size; `reference` is what it is stretched by. */
function composed(tile, reference) {
  const { channels, rows, columns, colors } = tile.facts;
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const sums = cumulated(reference);
  const count = rows * columns;
  const sum = [0, 1, 2].map(() => new Uint16Array(count));
  for (let channel = 0; channel < channels; channel += 1) {
    if (!look.off.has(channel)) add(tile.values.subarray(channel * count, (channel + 1) * count), sums[channel], colors[channel], sum);
  }
  const [red, green, blue] = sum;
  const pixels = image.data;
  for (let at = 0, to = 0; at < count; at += 1, to += 4) {
    pixels[to] = red[at];
    pixels[to + 1] = green[at];
    pixels[to + 2] = blue[at];
    pixels[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A channel in its colour on top of the others: one tight pass a colour that it has a part in. */
function add(values, counts, color, sum) {
  const [low, high] = ends(counts);
  const share = new Float32Array(counts.length);
  if (high > low) {
    share.fill(255, high);
    for (let value = low + 1; value < high; value += 1) share[value] = 255 * ((value - low) / (high - low)) ** (1 / look.gamma);
  }
  for (const [part, into] of sum.entries()) {
    if (!color[part]) continue;
    const table = new Uint8Array(share.length);
    for (let value = low; value < table.length; value += 1) table[value] = color[part] * share[value] + 0.5;
    for (let at = 0; at < values.length; at += 1) into[at] += table[values[at]];
  }
}

/** A small picture that only shows. */
export class Thumbnail {
  constructor(canvas, row, side = 256) {
    this.canvas = canvas;
    tile(row, side).then((loaded) => { this.tile = loaded; drawn.add(this); this.draw(); }, (error) => {
      canvas.replaceWith(Object.assign(document.createElement("p"), { className: "trouble", textContent: error.message }));
    });
  }

  draw() {
    const { rows, columns } = this.tile.facts;
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.canvas.classList.toggle("pixelated", Math.min(rows, columns) < 128);
    this.canvas.getContext("2d").drawImage(composed(this.tile, this.tile), 0, 0);
  }
}

/** A picture that is zoomed and moved. */
export class Viewer {
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    this.pointers = new Map();
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), this.position(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, this.position(event));
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.dragged(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("dblclick", (event) => this.zoom(2, this.position(event)));
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (!(event.key in steps) || !this.tile) return;
      event.preventDefault();
      event.stopPropagation();
      this.move(...steps[event.key]);
    });
    new ResizeObserver(() => { if (this.tile) { if (this.fitted) this.fit(); else this.draw(); } }).observe(canvas);
  }

  async show(row) {
    this.row = row;
    this.tile = null;
    this.detail = null;
    const loaded = await tile(row);
    if (this.row !== row) return;
    this.tile = loaded;
    this.image = null;
    drawn.add(this);
    this.fit();
  }

  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  dragged(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.tile) return;
    const now = this.position(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const [x, y] = others[0][1];
      const [far, near] = [now, before].map(([left, top]) => Math.hypot(left - x, top - y));
      this.zoom(far / Math.max(near, 1), [(x + now[0]) / 2, (y + now[1]) / 2]);
    } else this.move(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
  }

  move(across, down) {
    this.left += across;
    this.top += down;
    this.fitted = false;
    this.draw();
    this.sharpen();
  }

  zoom(factor, [x, y] = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    if (!this.tile) return;
    const scale = Math.min(Math.max(this.scale * factor, this.least / 2), 40);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
    this.sharpen();
  }

  /** `scale` is of the picture's own pixels. */
  fit() {
    const { width, height } = this.tile.facts;
    const [room, tall] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.scale = Math.min(room / width, tall / height);
    this.least = this.scale;
    this.left = (room - width * this.scale) / 2;
    this.top = (tall - height * this.scale) / 2;
    this.fitted = true;
    this.detail = null;
    this.draw();
  }

  /** Of a picture too large to be sent whole, what is in view is asked for again, closer. */
  sharpen() {
    clearTimeout(this.waiting);
    const { step, width, height } = this.tile.facts;
    if (step === 1 || this.scale * step < 1.5) return;
    this.waiting = setTimeout(async () => {
      const left = Math.max(0, Math.floor(-this.left / this.scale));
      const top = Math.max(0, Math.floor(-this.top / this.scale));
      const region = {
        left, top, width: Math.min(width - left, Math.ceil(this.canvas.clientWidth / this.scale) + 1),
        height: Math.min(height - top, Math.ceil(this.canvas.clientHeight / this.scale) + 1),
      };
      if (left >= width || top >= height || region.width < 1 || region.height < 1) return;
      const row = this.row;
      try {
        const detail = await tile(row, 1024, region);
        if (this.row !== row) return;
        this.detail = { tile: detail, look: "" };
        this.draw();
      } catch { /* the coarse picture stays */ }
    }, 160);
  }

  draw() {
    if (!this.tile) return;
    const ratio = devicePixelRatio || 1;
    const [room, tall] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = Math.round(room * ratio);
    this.canvas.height = Math.round(tall * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const key = JSON.stringify([look.low, look.high, look.gamma, [...look.off].sort()]);
    if (!this.image || this.key !== key) this.image = composed(this.tile, this.tile);
    this.key = key;
    const { width, height, step } = this.tile.facts;
    context.imageSmoothingEnabled = this.scale * step < 3 && Math.min(width, height) >= 128;
    context.drawImage(this.image, this.left, this.top, width * this.scale, height * this.scale);
    if (this.detail && this.scale * step >= 1.5) {
      if (this.detail.key !== key) this.detail.image = composed(this.detail.tile, this.tile);
      this.detail.key = key;
      const { region } = this.detail.tile.facts;
      context.drawImage(this.detail.image, this.left + region.left * this.scale, this.top + region.top * this.scale,
        region.width * this.scale, region.height * this.scale);
    }
    this.tell(this);
  }
}
