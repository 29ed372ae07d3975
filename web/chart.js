// chart.js: line charts over steps, drawn by dygraphs, with smoothing, the extremes of bucketed
// rows, keyboard control, and a cursor and a zoom that all charts share. A series is {x, mean, low,
// high, weight}; weight is the number of rows per bucket, low and high are null if it is 1.
"use strict";

const charts = [];
const view = { range: null, logX: false, axis: "step", smoothing: 0 }; // of all charts

function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
function color(i) { return css("--c" + i % 8); }
function fade(hex, alpha) { return hex + Math.round(alpha * 255).toString(16).padStart(2, "0"); }

function element(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (name === "style") Object.assign(e.style, value);
    else if (value !== null && value !== undefined) e.setAttribute(name, value);
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}

// Three significant digits: 1234567 → "1.23M".
function short(v) {
  if (v === null || v === undefined || !isFinite(v)) return "–";
  const a = Math.abs(v);
  if (a === 0) return "0";
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (a >= size) return trim((v / size).toPrecision(3)) + unit;
  return a < 1e-3 ? v.toExponential(1).replace(/\.0e/, "e").replace("e-", "e−") : trim(v.toPrecision(3));
}
function trim(s) { return s.includes(".") && !s.includes("e") ? s.replace(/\.?0+$/, "") : s; }
function whole(v) { return Math.round(v).toLocaleString("en"); }
function duration(s) {
  if (!isFinite(s)) return "–";
  const pad = n => String(Math.floor(n)).padStart(2, "0");
  if (s < 60) return (s < 10 ? trim(s.toFixed(1)) : Math.round(s)) + " s";
  if (s < 3600) return Math.floor(s / 60) + ":" + pad(s % 60) + " min";
  return Math.floor(s / 3600) + ":" + pad(s % 3600 / 60) + " h";
}

// Exponential moving average over `span` rows, with bias correction at the start.
function smooth(series, span) {
  if (!span) return series.mean;
  const out = new Array(series.mean.length);
  let sum = 0, weight = 0;
  const decay = Math.exp(-series.weight / span);
  for (let i = 0; i < out.length; i++) {
    const v = series.mean[i];
    if (v === null || !isFinite(v)) { out[i] = null; continue; }
    sum = decay * sum + (1 - decay) * v;
    weight = decay * weight + (1 - decay);
    out[i] = sum / weight;
  }
  return out;
}

function lowerBound(x, v) {
  let a = 0, b = x.length;
  while (a < b) { const m = (a + b) >> 1; if (x[m] < v) a = m + 1; else b = m; }
  return a;
}
function nearest(x, v) {
  const i = lowerBound(x, v);
  return i === 0 ? 0 : i === x.length || v - x[i - 1] < x[i] - v ? i - 1 : i;
}

// Reduces a range of a series to `buckets` columns of pixels: the minimum and maximum of the series
// and the last value of the line in each.
function reduce(series, line, range, buckets) {
  const [from, to] = range ? [Math.max(0, lowerBound(series.x, range[0]) - 1), Math.min(series.x.length, lowerBound(series.x, range[1]) + 2)] : [0, series.x.length];
  const step = Math.max(1, Math.ceil((to - from) / buckets)), raw = [], lines = [];
  for (let i = from; i < to; i += step) {
    let low = Infinity, high = -Infinity, y = null;
    for (let j = i; j < Math.min(to, i + step); j++) {
      const a = series.low ? series.low[j] : series.mean[j], b = series.high ? series.high[j] : series.mean[j];
      if (a !== null && a < low) low = a;
      if (b !== null && b > high) high = b;
      if (line[j] !== null) y = line[j];
    }
    const x = series.x[i], next = i + step < to ? series.x[i + step] : x + 1;
    if (low <= high) {
      raw.push([x, low]);
      if (high !== low) raw.push([x + (next - x) / 2, high]);
    }
    if (y !== null) lines.push([x, y]);
  }
  return { raw, lines };
}

// The range of y of lines without values that would flatten the others, as plot.c has it: above the
// 98th percentile by more than eight times its distance from the 2nd, and not in the first
// twentieth. null if there are none.
function outliers(lines, [from, to]) {
  const begin = from + (to - from) / 20, values = [];
  let first = -Infinity;
  for (const { series } of lines)
    series.x.forEach((x, i) => {
      const y = (series.high || series.mean)[i];
      if (y === null || x < from || x > to) return;
      values.push(y);
      if (x <= begin && y > first) first = y;
    });
  values.sort((a, b) => a - b);
  const n = values.length, low = values[Math.floor(n / 50)], high = values[n - 1 - Math.floor(n / 50)], most = values[n - 1];
  if (!(high > low && most > Math.max(high + 8 * (high - low), first))) return null;
  const top = Math.max(high + (high - low) / 10, first);
  return { low: values[0] - (top - values[0]) / 50, top: top + (top - values[0]) / 20, most, count: n - values.findIndex(v => v > top) };
}

// options: robust (outliers do not flatten the curve), title, format (of values), wide, logY, zero (y starts there), limit() (a horizontal line
// {y, name}) and note(range). source() returns [{name, series, color, smooth: bool, points: bool,
// dash: bool}] for each drawing.
class Chart {
  constructor(parent, options, source) {
    this.options = options;
    this.source = source;
    this.read = element("span", { class: "read" });
    this.note = element("span", { class: "note" });
    this.plot = element("div", { class: "plot" });
    this.axisName = element("p", { class: "axis-name" });
    this.figure = element("figure", { class: "chart" + (options.wide ? " wide" : ""), tabindex: "0", role: "group" },
      element("figcaption", {}, element("h3", {}, options.title), this.note, this.read), this.plot, this.axisName);
    this.figure.addEventListener("keydown", e => this.key(e));
    this.figure.addEventListener("blur", () => select(null));
    parent.append(this.figure);
    this.cursor = null;
    charts.push(this);
    new ResizeObserver(() => this.graph && this.draw()).observe(this.plot);
  }

  extent() {
    let a = Infinity, b = -Infinity;
    for (const s of this.source()) if (s.series.x.length) { a = Math.min(a, s.series.x[0]); b = Math.max(b, s.series.x.at(-1)); }
    return a <= b ? [a, b] : null;
  }

  rows() {
    this.lines = this.source();
    this.above = this.options.robust && !this.options.logY && this.extent() ? outliers(this.lines, view.range || this.extent()) : null;
    const within = s => this.above ? { ...s, mean: s.mean.map(v => v > this.above.top ? null : v) } : s; // an outlier would distort the average
    const buckets = Math.max(100, Math.floor(this.plot.clientWidth || 600)), columns = [], points = [];
    for (const s of this.lines) {
      s.line = s.smooth ? smooth(within(s.series), view.smoothing) : s.series.mean;
      const { raw, lines } = reduce(s.series, s.line, view.range, buckets);
      const both = s.smooth && view.smoothing > 0;
      columns.push({ style: { color: both ? fade(s.color, .28) : s.color, strokeWidth: both ? 1 : s.points ? 2 : 1.5, drawPoints: !!s.points && raw.length < 60, pointSize: 2.5, strokePattern: s.dash ? [5, 3] : null } });
      for (const [x, y] of s.points || !s.smooth ? lines : raw) points.push([x, columns.length, y]);
      if (both) {
        columns.push({ style: { color: s.color, strokeWidth: 2, drawPoints: false } });
        for (const [x, y] of lines) points.push([x, columns.length, y]);
      }
    }
    const usable = points.filter(p => !(view.logX && p[0] <= 0) && !(this.options.logY && p[2] <= 0)).sort((a, b) => a[0] - b[0]);
    const rows = [];
    for (const [x, k, y] of usable) {
      let row = rows.at(-1);
      if (!row || row[0] !== x || row[k] !== null) rows.push(row = [x, ...columns.map(() => null)]);
      row[k] = y;
    }
    return { rows, columns };
  }

  draw() {
    const { rows, columns } = this.rows();
    this.figure.hidden = !rows.length;
    if (!rows.length) { this.forget(); return; }
    const options = this.dygraphOptions(columns);
    this.xs = rows.map(r => r[0]);
    if (this.graph) this.graph.updateOptions({ file: rows, ...options });
    else this.graph = new Dygraph(this.plot, rows, { ...options, interactionModel: matchMedia("(pointer: coarse)").matches ? {} : Dygraph.defaultInteractionModel });
    this.axisName.textContent = { step: "steps", tokens: "tokens", seconds: "training time" }[view.axis];
    this.note.textContent = this.options.note ? this.options.note(view.range) : "";
    this.tell(null);
  }

  forget() {
    if (this.graph) this.graph.destroy();
    this.graph = null;
  }

  dygraphOptions(columns) {
    const labels = ["x", ...columns.map((_, i) => "s" + i)], format = this.options.format || short;
    const extent = view.range || this.extent() || [0, 1], pad = view.logX ? 0 : (extent[1] - extent[0]) * .01 || 1;
    return {
      labels, series: Object.fromEntries(columns.map((c, i) => ["s" + i, c.style])),
      legend: "never", connectSeparatedPoints: true, highlightCircleSize: 3, digitsAfterDecimal: 4, xRangePad: 0, yRangePad: 6,
      logscale: !!this.options.logY, dateWindow: view.range || [Math.max(extent[0] - pad, view.logX ? Math.max(extent[0], 1e-9) : -Infinity), extent[1] + pad],
      gridLineColor: css("--grid"), axisLineColor: css("--line"), axisLabelFontSize: 12, rightGap: 8,
      axes: {
        x: { drawGrid: false, logscale: view.logX, axisLabelFormatter: v => view.axis === "seconds" ? duration(v) : short(v), pixelsPerLabel: 80, axisLabelWidth: 70 },
        y: { axisLabelFormatter: v => format(v), axisLabelWidth: 52, pixelsPerLabel: 34, includeZero: !!this.options.zero && !this.options.logY, valueRange: this.above ? [this.above.low, this.above.top] : null },
      },
      underlayCallback: (context, area, graph) => this.limit(context, area, graph),
      highlightCallback: (event, x) => select(x, this), unhighlightCallback: () => select(null, this),
      zoomCallback: (a, b) => zoom([a, b]), drawCallback: null,
    };
  }

  limit(context, area, graph) {
    if (this.above) {
      context.save();
      context.fillStyle = css("--warn");
      context.font = "12px sans-serif"; context.textAlign = "right"; context.textBaseline = "top";
      context.fillText("↑ " + whole(this.above.count) + (this.above.count > 1 ? " points" : " point") + " above, up to " + short(this.above.most), area.x + area.w - 4, area.y + 2);
      context.restore();
    }
    const limit = this.options.limit && this.options.limit();
    if (!limit) return;
    const y = graph.toDomYCoord(limit.y);
    if (!(y > area.y && y < area.y + area.h)) return;
    context.save();
    context.strokeStyle = context.fillStyle = css("--soft");
    context.setLineDash([4, 4]);
    context.beginPath(); context.moveTo(area.x, y); context.lineTo(area.x + area.w, y); context.stroke();
    context.font = "11px sans-serif"; context.textAlign = "right";
    context.fillText(limit.name, area.x + area.w - 4, y - 4);
    context.restore();
  }

  // Shows the values at x; null: the last ones.
  tell(x) {
    const format = this.options.format || short, parts = [];
    if (x !== null) parts.push(element("span", {}, atX(x)));
    for (const s of this.lines || []) {
      if (!s.series.x.length || (this.lines.length > 8 && x === null)) continue;
      const i = x === null ? s.series.x.length - 1 : nearest(s.series.x, x);
      parts.push(element("span", {}, element("i", { class: "swatch" + (s.dash ? " dots" : ""), style: { borderColor: s.color } }), s.name + " ", element("b", {}, format(s.line[i]))));
    }
    this.read.replaceChildren(...parts);
    this.figure.setAttribute("aria-label", this.options.title + ": " + this.read.textContent);
  }

  select(x) {
    if (!this.graph) return;
    if (x === null) this.graph.clearSelection(); else this.graph.setSelection(nearest(this.xs, x));
    this.tell(x);
  }

  key(e) {
    if (!this.graph || e.ctrlKey || e.altKey || e.metaKey || e.target !== this.figure) return;
    const [a, b] = view.range || this.extent() || [0, 1], width = b - a, at = this.cursor === null ? b : this.cursor;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (move) select(this.cursor = Math.min(b, Math.max(a, at + move * width * (e.shiftKey ? .1 : .01))));
    else if (e.key === "Home") select(this.cursor = a);
    else if (e.key === "End") select(this.cursor = b);
    else if (e.key === "+" || e.key === "=") zoom([at - width / 4, at + width / 4]);
    else if (e.key === "-") zoom([at - width, at + width]);
    else if (e.key === "0" || e.key === "Escape") zoom(null);
    else return;
    e.preventDefault();
  }
}

function atX(x) { return view.axis === "seconds" ? duration(x) : view.axis + " " + (view.axis === "tokens" ? short(x) : whole(x)); }

let selecting = false;
function select(x, from) {
  if (selecting) return;
  selecting = true;
  for (const c of charts) if (c === from) c.tell(x); else c.select(x);
  if (x === null) for (const c of charts) c.cursor = null;
  selecting = false;
}

// Sets the range of x of all charts; null or a range that covers all data resets it.
function zoom(range) {
  const all = charts.map(c => c.extent()).filter(Boolean), first = Math.min(...all.map(e => e[0])), last = Math.max(...all.map(e => e[1]));
  view.range = range && (range[0] > first || range[1] < last) ? [Math.max(range[0], first), Math.min(range[1], last)] : null;
  if (view.range && !(view.range[0] < view.range[1])) view.range = null;
  const reset = document.getElementById("reset");
  if (reset) reset.disabled = !view.range;
  drawCharts();
}

function drawCharts() { for (const c of charts) c.draw(); }
