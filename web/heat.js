// heat.js: a heat map of the norms of all tensors over the run, with a row for each tensor. A row
// can be selected with the pointer or the arrow keys.
"use strict";

// Larger values contrast more with the page: darker in light mode, lighter in dark mode.
const heatStops = {
  light: [[252, 243, 190], [160, 214, 164], [52, 156, 172], [40, 84, 158], [44, 18, 84]],
  dark: [[30, 36, 48], [38, 74, 118], [52, 132, 168], [120, 196, 170], [250, 236, 160]],
};
function heatColor(t) {
  const stops = heatStops[matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"];
  const at = Math.min(1, Math.max(0, t)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at));
  return "rgb(" + stops[i].map((v, k) => Math.round(v + (stops[i + 1][k] - v) * (at - i))).join() + ")";
}

class Heat {
  // choose(name) is called when a row is selected.
  constructor(figure, choose) {
    this.figure = figure;
    this.choose = choose;
    this.title = element("h3", {}, "All tensors");
    this.read = element("span", { class: "read" });
    this.canvas = element("canvas", { tabindex: "0", role: "img" });
    this.low = element("span");
    this.high = element("span");
    this.ramp = element("i");
    figure.append(element("figcaption", {}, this.title, this.read), element("div", { class: "heat-body" }, this.canvas),
      element("div", { class: "heat-scale" }, this.low, this.ramp, this.high));
    this.canvas.addEventListener("pointermove", e => this.point(e));
    this.canvas.addEventListener("pointerleave", () => this.tell(null));
    this.canvas.addEventListener("click", e => { const at = this.at(e); if (at) this.choose(this.names[this.row = at.row]); });
    this.canvas.addEventListener("keydown", e => this.key(e));
    new ResizeObserver(() => this.names && this.draw()).observe(figure);
  }

  // rows: [{name, values}] over the steps x; chosen: names of the rows to mark.
  show(title, x, rows, chosen) {
    this.title.textContent = title;
    this.x = x;
    this.names = rows.map(r => r.name);
    this.values = rows.map(r => r.values);
    this.chosen = new Set(chosen);
    const all = this.values.flat().filter(v => v > 0);
    this.range = [Math.log(all.reduce((a, b) => Math.min(a, b), Infinity)), Math.log(all.reduce((a, b) => Math.max(a, b), 0))];
    this.draw();
  }

  draw() {
    const width = this.canvas.parentElement.clientWidth, rows = this.names.length, ratio = devicePixelRatio || 1;
    if (!width || !rows) return;
    this.rowHeight = rows > 80 ? 8 : rows > 40 ? 12 : 16;
    this.label = this.rowHeight < 12 ? 0 : Math.min(170, width * .42);
    const height = rows * this.rowHeight, cells = width - this.label, context = this.canvas.getContext("2d"), n = this.x.length;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.height = height + "px";
    context.scale(ratio, ratio);
    context.font = "11px " + css("--sans");
    context.textBaseline = "middle";
    const [low, high] = this.range;
    for (let row = 0; row < rows; row++) {
      const y = row * this.rowHeight;
      for (let i = 0; i < n; i++) {
        const v = this.values[row][i];
        if (!(v > 0)) continue;
        context.fillStyle = heatColor(high > low ? (Math.log(v) - low) / (high - low) : .5);
        const a = this.label + cells * i / n, b = this.label + cells * (i + 1) / n;
        context.fillRect(a, y, b - a + .5, this.rowHeight - 1);
      }
      if (this.label) {
        context.fillStyle = css(this.chosen.has(this.names[row]) ? "--ink" : "--soft");
        context.fillText(this.names[row].replace(".weight", ""), 8, y + this.rowHeight / 2, this.label - 12);
      }
      if (this.chosen.has(this.names[row])) { context.fillStyle = css("--accent"); context.fillRect(0, y, 3, this.rowHeight - 1); }
    }
    this.low.textContent = short(Math.exp(low));
    this.high.textContent = short(Math.exp(high));
    this.ramp.style.background = "linear-gradient(90deg," + [0, .25, .5, .75, 1].map(heatColor).join() + ")";
    this.canvas.setAttribute("aria-label", this.title.textContent + ": " + rows + " tensors, from " + this.low.textContent + " to " + this.high.textContent + "; arrow keys select a tensor");
  }

  at(e) {
    const box = this.canvas.getBoundingClientRect(), row = Math.floor((e.clientY - box.top) / this.rowHeight);
    const i = Math.floor((e.clientX - box.left - this.label) / (box.width - this.label) * this.x.length);
    return row >= 0 && row < this.names.length ? { row, i: Math.min(this.x.length - 1, Math.max(0, i)) } : null;
  }

  point(e) { this.tell(this.at(e)); }
  tell(at) { this.read.textContent = at ? this.names[at.row] + ", step " + whole(this.x[at.i]) + ": " + short(this.values[at.row][at.i]) : ""; }

  key(e) {
    const move = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    if (!move) return;
    const now = this.chosen.has(this.names[this.row]) ? this.row : this.names.findIndex(n => this.chosen.has(n)); // if all layers are selected, the first
    this.row = Math.min(this.names.length - 1, Math.max(0, now + move));
    this.choose(this.names[this.row]);
    this.tell({ row: this.row, i: this.x.length - 1 });
    e.preventDefault();
  }
}
