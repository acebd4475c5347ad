// Charts over time, drawn from the table below each: <figure data-chart> with <table>.
// The first column is the time (data-value in seconds since 1970, or a number), the others are
// series; a header's data-unit names the unit, data-kind="limit" draws a line that is dashed.
"use strict";

const COLOURS = ["#123a5c", "#b3261e", "#8a5a00", "#1b6b3a", "#5b3b8c", "#5f6b76"];

function columnsOf(table) {
  const rows = [...table.tBodies[0].rows];
  return [...table.tHead.rows[0].cells].map((head, place) => ({
    head,
    values: rows.map((row) => {
      const raw = row.cells[place].dataset.value;
      return raw === undefined || raw === "" ? null : Number(raw);
    }),
  }));
}

function optionsOf(figure, columns, width) {
  const decimals = figure.closest("[lang]").lang;
  const number = new Intl.NumberFormat(decimals, { maximumSignificantDigits: 4 });
  const zone = figure.dataset.zone;
  return {
    width,
    height: Number(figure.dataset.height || 220),
    tzDate: zone ? (s) => uPlot.tzDate(new Date(s * 1e3), zone) : undefined,
    scales: { x: { time: "times" in figure.dataset } },
    legend: { live: true },
    axes: [
      { values: "times" in figure.dataset ? undefined : (_, ticks) => ticks.map((t) => number.format(t)) },
      { size: 64, values: (_, ticks) => ticks.map((t) => number.format(t)) },
    ],
    series: columns.map(({ head }, place) => place === 0 ? { label: head.textContent.trim() } : {
      label: head.textContent.trim(),
      stroke: COLOURS[(place - 1) % COLOURS.length],
      width: 1.5,
      dash: head.dataset.kind === "limit" ? [6, 4] : undefined,
      points: { show: head.dataset.kind === "points" },
      value: (_, value) => value === null ? "–" : number.format(value),
    }),
  };
}

function draw(figure) {
  const table = figure.querySelector("table");
  if (!table || figure.dataset.drawn || !table.tBodies[0] || table.tBodies[0].rows.length < 2) return;
  figure.dataset.drawn = "yes";
  const place = document.createElement("div");
  place.className = "plot";
  place.setAttribute("aria-hidden", "true");
  figure.prepend(place);
  const columns = columnsOf(table);
  const plot = new uPlot(
    optionsOf(figure, columns, place.clientWidth), columns.map((c) => c.values), place
  );
  new ResizeObserver(() => {
    plot.setSize({ width: place.clientWidth, height: plot.height });
  }).observe(place);
}

function drawAll(root) {
  for (const figure of root.querySelectorAll("figure[data-chart]")) draw(figure);
}
document.addEventListener("DOMContentLoaded", () => drawAll(document));
document.addEventListener("htmx:after:swap", () => drawAll(document));
