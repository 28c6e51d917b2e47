"use strict";
// A click on a class opens its curves; the table works without this script.
(() => {
  const data = document.getElementById("class-curves");
  const table = document.querySelector("#classes table");
  if (!data || !table || typeof vegaEmbed !== "function") return;
  let read = null;
  const all = () => (read ??= JSON.parse(data.textContent));
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const EDGE = 7;
  const odds = (share) => Math.max(-EDGE, Math.min(EDGE, Math.log(share / (1 - share))));
  const probability = { field: "t", type: "quantitative", title: "probability", scale: { domain: [-EDGE, EDGE], nice: false },
    axis: { values: [-6.907, -4.595, -2.197, 0, 2.197, 4.595, 6.907], labelOverlap: true, grid: false,
      labelExpr: "format(1 / (1 + exp(-datum.value)), '.3~p')" } };
  const share = (field, title) => ({ field, type: "quantitative", title, scale: { domain: [0, 1] }, axis: { tickCount: 5, format: "%" } });
  const look = () => ({
    background: null, font: getComputedStyle(document.body).fontFamily, view: { stroke: null },
    axis: { labelColor: ink("soft"), titleColor: ink("soft"), gridColor: ink("line"), domainColor: ink("line"), tickColor: ink("line"),
      labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" },
    legend: { labelColor: ink("ink"), title: null, orient: "top", labelFontSize: 12, symbolStrokeWidth: 2.5, symbolSize: 260, padding: 0 },
  });
  const chart = (description, values, layer) => ({
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", description, width: "container", height: 200,
    autosize: { type: "fit", contains: "padding" }, data: { values }, layer, config: look(),
  });
  const hint = (pairs) => pairs.map(([field, title, format]) => ({ field, title, type: "quantitative", format }));
  const thresholdMark = (entry) => entry.threshold === null ? [] : [{
    data: { values: [{ t: odds(entry.threshold), threshold: entry.threshold }] },
    mark: { type: "rule", color: ink("ink"), strokeWidth: 1.5 },
    encoding: { x: probability, tooltip: hint([["threshold", "threshold of this run", ".3f"]]) },
  }];
  const rankingChart = (entry, rows) => {
    const had = entry.yes.reduce((a, b) => a + b, 0), rest = entry.no.reduce((a, b) => a + b, 0);
    const words = hint([["recall", "recall", ".3f"], ["precision", "precision", ".3f"], ["threshold", "threshold", ".3f"]]);
    const base = { x: share("recall", "recall"), y: share("precision", "precision") };
    const decided = entry.decided === null ? [] : [{
      data: { values: [{ precision: entry.decided[0], recall: entry.decided[1] }] },
      mark: { type: "point", shape: "diamond", filled: true, size: 150, color: ink("wrong"), stroke: ink("panel"), opacity: 1 },
      encoding: { ...base, tooltip: hint([["recall", "recall of this run", ".3f"], ["precision", "precision of this run", ".3f"]]) },
    }];
    return chart(`Precision against recall of ${entry.name}`, rows, [
      { data: { values: [{ precision: had / (had + rest) }] }, mark: { type: "rule", color: ink("soft"), strokeDash: [4, 3] },
        encoding: { y: base.y, tooltip: hint([["precision", "share of all samples", ".3f"]]) } },
      { mark: { type: "line", color: ink("accent"), strokeWidth: 2 }, encoding: { ...base, order: { field: "rank" } } },
      { mark: { type: "point", filled: true, size: 90, opacity: 0 }, encoding: { ...base, tooltip: words } }, ...decided,
    ]);
  };
  const thresholdChart = (entry, rows) => chart(`Precision, recall and F1 of ${entry.name} at every threshold`, rows, [
    { transform: [{ fold: ["precision", "recall", "F1"], as: ["what", "value"] }], mark: { type: "line", strokeWidth: 2 },
      encoding: { x: probability, y: share("value", "share"), tooltip: hint([["threshold", "threshold", ".3f"], ["value", "value", ".3f"]]),
        color: { field: "what", type: "nominal", scale: { domain: ["F1", "precision", "recall"], range: [ink("accent"), ink("wrong"), ink("line-2")] } },
        strokeDash: { field: "what", type: "nominal", scale: { domain: ["F1", "precision", "recall"], range: [[1, 0], [6, 3], [2, 2]] } } } },
    ...thresholdMark(entry),
  ]);
  const scoreChart = (entry, edges) => {
    const bars = [["with the class", entry.yes], ["without", entry.no]].flatMap(([what, counts]) => {
      const sum = counts.reduce((a, b) => a + b, 0) || 1;
      return counts.map((count, bin) => ({ what, count, part: count / sum, t: edges[bin], end: edges[bin + 1] }));
    }).filter((bar) => bar.count);
    return chart(`Scores of samples with and without ${entry.name}`, bars, [
      { mark: { type: "bar", opacity: 0.62, binSpacing: 0.5 },
        encoding: { x: probability, x2: { field: "end" }, y2: { datum: 0 }, tooltip: [{ field: "what", title: "samples" }, { field: "count", title: "number" }],
          y: { field: "part", type: "quantitative", stack: null, title: "share of each", scale: { type: "sqrt", nice: false, zero: true }, axis: { format: "%", tickCount: 4 } },
          color: { field: "what", type: "nominal", scale: { domain: ["with the class", "without"], range: [ink("accent"), ink("wrong")] } } } },
      ...thresholdMark(entry),
    ]);
  };
  const chartsOf = (entry) => {
    const rows = entry.t.map((t, rank) => {
      const precision = entry.p[rank] / 1000, recall = entry.r[rank] / 1000;
      return { rank, t: t / 100, threshold: 1 / (1 + Math.exp(-t / 100)), precision, recall, F1: precision + recall ? (2 * precision * recall) / (precision + recall) : 0 };
    });
    return [
      ["Precision-recall curve", "Precision against recall at every threshold; further up and to the right is better. Diamond: the decisions of this run. Dashed line: guessing.", rankingChart(entry, rows)],
      ["Scores by threshold", `Precision, recall and F1 for every possible threshold${entry.threshold === null ? "" : "; the vertical line is the threshold of this run"}.`, thresholdChart(entry, rows)],
      ["Score distribution", "Probabilities of samples with and without the class; less overlap is better. Heights on a square-root scale.", scoreChart(entry, all().edges)],
    ];
  };
  const element = (tag, words, kind) => Object.assign(document.createElement(tag), { textContent: words ?? "", className: kind ?? "" });
  const open = new Map();
  const draw = async (row) => {
    const { container, views, entry } = open.get(row);
    for (const view of views.splice(0)) view.finalize();
    container.replaceChildren();
    for (const [name, reading, spec] of chartsOf(entry)) {
      const figure = element("figure", "", "panel"), caption = element("figcaption", name), room = element("div", "", "vega-room");
      figure.append(caption, room, element("p", reading, "note"));
      container.append(figure);
      views.push(await vegaEmbed(room, spec, { ast: true, actions: false, renderer: "svg", defaultStyle: false }));
    }
  };
  const close = (row) => {
    const { panel, views, button } = open.get(row);
    for (const view of views) view.finalize();
    panel.remove();
    button.setAttribute("aria-expanded", "false");
    open.delete(row);
  };
  const show = (row, button, entry) => {
    const panel = element("tr", "", "class-panel"), cell = element("td"), inside = element("div", "", "class-room"), container = element("div", "", "curves");
    cell.colSpan = row.cells.length;
    const words = element("p", "", "note");
    words.append(element("b", entry.name), `: average precision ${entry.area.toFixed(3)}` + (entry.threshold === null ? "." : `, threshold ${entry.threshold.toFixed(3)}.`));
    inside.append(words, container);
    cell.append(inside);
    panel.append(cell);
    row.after(panel);
    button.setAttribute("aria-expanded", "true");
    open.set(row, { panel, container, views: [], button, entry });
    return draw(row);
  };
  for (const row of table.tBodies[0].rows) {
    const name = row.cells[0].querySelector("bdi");
    if (!name || row.dataset.class === undefined || row.classList.contains("faint")) continue;
    const button = element("button", "", "opens");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    name.replaceWith(button);
    button.append(name);
    button.addEventListener("click", () => {
      const entry = all().classes[row.dataset.class];
      if (open.has(row)) close(row);
      else if (entry) show(row, button, entry);
    });
  }
  table.tHead.addEventListener("click", () => { for (const row of [...open.keys()]) close(row); }, true);  // before it is sorted
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const row of open.keys()) draw(row); });
})();
