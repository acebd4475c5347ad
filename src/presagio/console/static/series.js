// Draws <figure data-series='{"x": […], "lines": […], "marks": […]}'>; the table in it stays.
"use strict";

const INK = { line: "#0b5394", band: "#0b5394", limit: "#a11a12", points: "#a11a12" };
const MARKS = { failure: "#a11a12", repair: "#1b6b3a", alarm: "#7a4b00" };

function seriesOf(line, number) {
  const shown = {
    label: line.label,
    scale: "y",
    spanGaps: false,
    value: (_, value) => (value === null || value === undefined ? "–" : number.format(value)),
  };
  if (line.kind === "limit") return { ...shown, stroke: INK.limit, width: 1.5, dash: [7, 5], points: { show: false } };
  if (line.kind === "points") {
    return { ...shown, stroke: INK.points, paths: () => null, points: { show: true, size: 6, fill: INK.points } };
  }
  return { ...shown, stroke: INK.line, width: line.kind === "line" ? 1.5 : 1 };
}

// A vertical line for each mark, with a letter, so that colour is not all that tells them apart.
function drawMarks(marks) {
  return (plot) => {
    const context = plot.ctx;
    const { left, top, width, height } = plot.bbox;
    const dense = devicePixelRatio || 1;
    context.save();
    context.font = `${12 * dense}px sans-serif`;
    // Where the last label of each line of labels ends: one that would run into it goes below.
    const ends = [];
    for (const mark of [...marks].sort((one, other) => one.x - other.x)) {
      const x = plot.valToPos(mark.x, "x", true);
      if (x < left || x > left + width) continue;
      context.strokeStyle = context.fillStyle = MARKS[mark.kind] || "#4d5a67";
      context.lineWidth = dense * 1.5;
      context.setLineDash(mark.kind === "alarm" ? [2 * dense, 3 * dense] : []);
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, top + height);
      context.stroke();
      context.setLineDash([]);
      const room = context.measureText(mark.label).width + 6 * dense;
      context.textAlign = x + room > left + width ? "right" : "left";
      const begin = context.textAlign === "left" ? x : x - room;
      let line = ends.findIndex((end) => end <= begin);
      if (line < 0) line = ends.length;
      ends[line] = begin + room;
      context.fillText(mark.label, x + (context.textAlign === "left" ? 4 : -4) * dense, top + (12 + 14 * line) * dense);
    }
    context.restore();
  };
}

function bandsOf(lines) {
  const bands = [];
  lines.forEach((line, place) => {
    if (line.kind === "high" && lines[place - 1] && lines[place - 1].kind === "low") {
      bands.push({ series: [place + 1, place], fill: "rgba(11, 83, 148, .18)" });
    }
  });
  return bands;
}

function drawSeries(figure) {
  if (figure.dataset.drawn) return;
  const data = JSON.parse(figure.dataset.series);
  if (data.x.length < 2) return;
  figure.dataset.drawn = "yes";
  const number = new Intl.NumberFormat(figure.lang || "en", { maximumSignificantDigits: 5 });
  const place = document.createElement("div");
  place.className = "plot";
  place.setAttribute("aria-hidden", "true");
  figure.querySelector("[data-plot]").append(place);
  const ticks = (_, found) => found.map((value) => number.format(value));
  // As the page writes times: the day first, and 24 hours.
  const clock = new Intl.DateTimeFormat(figure.lang === "es" ? "es" : "en-GB", {
    timeZone: data.zone, dateStyle: "medium", timeStyle: "short",
  });
  const plot = new uPlot({
    width: place.clientWidth,
    height: 220,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), data.zone),
    scales: {
      x: { time: data.dates },
      y: data.range ? { range: (_, low, high) => [Math.min(low ?? data.range[0], data.range[0]), Math.max(high ?? data.range[1], data.range[1])] } : {},
    },
    cursor: { drag: { x: true, y: false } },
    axes: [
      data.dates
        ? { values: [
            [31536000, "{YYYY}", null, null, null, null, null, null, 1],
            [2419200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
            [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
            [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
            [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          ] }
        : { values: ticks },
      { size: 66, values: ticks },
    ],
    series: [
      { label: figure.dataset.time, value: (_, x) => (x === null ? "–" : data.dates ? clock.format(new Date(x * 1e3)) : number.format(x)) },
      ...data.lines.map((line) => seriesOf(line, number)),
    ],
    bands: bandsOf(data.lines),
    hooks: {
      draw: [drawMarks(data.marks)],
      // Where nothing is pointed at, the legend has the newest values.
      setLegend: [(shown) => { if (shown.legend.idx == null) shown.setLegend({ idx: data.x.length - 1 }, false); }],
    },
  }, [data.x, ...data.lines.map((line) => line.values)], place);
  plot.setLegend({ idx: data.x.length - 1 }, false);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 220 })).observe(place);
}

function drawEverySeries() {
  for (const figure of document.querySelectorAll("figure[data-series]")) drawSeries(figure);
}
document.addEventListener("DOMContentLoaded", drawEverySeries);
document.addEventListener("htmx:after:swap", drawEverySeries);
