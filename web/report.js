// report.js: the page about one or several runs: shows the data embedded in it and, on the live
// page, new data.
"use strict";

const $ = id => document.getElementById(id);
const page = JSON.parse($("data").textContent);
const runs = page.runs.map((data, index) => ({ data, index, hidden: false }));
const several = runs.length > 1;

// Names each run by its folder, with as many parent folders as are needed to distinguish the runs.
function nameRuns() {
  const parts = runs.map(r => r.data.name.split("/").filter(Boolean));
  for (let depth = 1; ; depth++) {
    const names = parts.map(p => p.slice(-depth).join("/") || "/");
    if (new Set(names).size === names.length || parts.every(p => p.length <= depth)) {
      runs.forEach((r, i) => { r.name = names[i]; });
      return;
    }
  }
}
nameRuns();

// --- series from the tables ---

// The x values of a table's rows in the unit of the axis. Tables that have only steps are
// interpolated from the table of steps.
function xs(run, table) {
  if (view.axis === "step") return table.x;
  const { x, columns } = run.data.steps, y = columns[view.axis];
  if (table === run.data.steps) return y;
  return table.x.map(step => {
    const i = Math.min(Math.max(1, lowerBound(x, step)), x.length - 1);
    return x.length < 2 ? y[0] || 0 : y[i - 1] + (y[i] - y[i - 1]) * (step - x[i - 1]) / (x[i] - x[i - 1]);
  });
}

function series(run, table, parts) {
  return { x: xs(run, table), mean: parts.mean, low: parts.low || null, high: parts.high || null, weight: table.width };
}

function shown() { return runs.filter(r => !r.hidden); }
function runColor(run) { return color(several ? run.index : 0); }
function label(run, name) { return several ? run.name : name; }

function lines(name, column) {
  return () => shown().map(run => ({ name: label(run, name), series: series(run, run.data.steps, run.data.steps.columns[column]), color: runColor(run), smooth: column !== "lr" }));
}

function lossLines() {
  const out = [];
  for (const run of shown()) {
    const { steps, evaluations } = run.data;
    out.push({ name: label(run, "train"), series: series(run, steps, steps.columns.loss), color: runColor(run), smooth: true });
    if (evaluations.x.length)
      out.push({ name: several ? "val" : "validation", series: series(run, evaluations, evaluations.columns.val_loss), color: several ? runColor(run) : color(1), points: true, dash: several });
  }
  return out;
}

// The share of steps in a range of x that were clipped or skipped.
function share(run, column, range) {
  const { x, columns } = run.data.steps, at = xs(run, run.data.steps), mean = columns[column].mean;
  let sum = 0, n = 0;
  for (let i = 0; i < x.length; i++)
    if (mean[i] !== null && (!range || (at[i] >= range[0] && at[i] <= range[1]))) { sum += mean[i]; n++; }
  return n ? sum / n : null;
}

const clipOf = run => { const c = parseFloat(((run.data.config || {}).optim || {}).clip); return c > 0 ? c : null; };

function note(list, column, what, range) {
  return list.map(run => {
    const part = share(run, column, range);
    return part === null ? "" : (several ? run.name + ": " : "") + percent(part) + " of steps " + what;
  }).filter(Boolean).join(", ");
}
function clipNote(range) { return note(shown().filter(clipOf), "clipped", "clipped", range); }
function skipNote(range) { return note(shown().filter(run => share(run, "skipped", range)), "skipped", "skipped (weights unchanged)", range); }

function percent(v) { return v === null || v === undefined ? "–" : v > 0 && v < .001 ? "<0.1%" : trim((100 * v).toPrecision(3)) + "%"; }

const lossChart = { title: "Loss", wide: true, robust: true, note: skipNote, logY: false, format: v => v === null ? "–" : trim(v.toPrecision(4)) };
function makeCharts() {
  const parent = $("charts");
  new Chart(parent, lossChart, lossLines);
  new Chart(parent, { title: "Gradient norm", logY: true, note: clipNote, limit: () => { const c = shown().map(clipOf).find(Boolean); return c ? { y: c, name: "clip " + c } : null; } }, lines("norm", "grad_norm"));
  new Chart(parent, { title: "Learning rate", zero: true }, lines("lr", "lr"));
  new Chart(parent, { title: "Tokens per second", zero: true }, lines("tokens/s", "tokens_per_s"));
  new Chart(parent, { title: "MFU (share of peak)", zero: true, format: percent }, lines("MFU", "mfu"));
}

// --- tensors ---

const tensorKinds = { weight: "the weight", grad: "its gradient", update: "its update", ratio: "update ÷ weight" };

function tensorGroups(names) {
  const groups = new Map();
  for (const name of names) {
    const group = name.replace(/^h\.\d+\./, "h.*.");
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(name);
  }
  return groups;
}

function tensorParts(run, kind, name) {
  const { columns } = run.data.tensors;
  if (kind !== "ratio") return columns[kind][name];
  const w = columns.weight[name].mean, u = columns.update[name].mean;
  return { mean: u.map((v, i) => v === null || !w[i] ? null : v / w[i]) };
}

const tensorRun = () => runs[$("tensor-run").value || 0];

// A colour for each layer, from the first (0) to the last (1).
function ramp(t) {
  const stops = matchMedia("(prefers-color-scheme: dark)").matches
    ? [[90, 120, 240], [80, 200, 190], [240, 210, 90]] : [[50, 60, 160], [20, 140, 130], [200, 120, 10]];
  const at = t * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at)), f = at - i;
  return "#" + stops[i].map((v, k) => Math.round(v + (stops[i + 1][k] - v) * f).toString(16).padStart(2, "0")).join("");
}

function tensorLines() {
  const run = tensorRun(), kind = $("tensor-kind").value;
  if (!run || !run.data.tensors.x.length) return [];
  const names = tensorGroups(Object.keys(run.data.tensors.columns.weight)).get($("tensor-group").value) || [];
  return names.map((name, i) => ({
    name: names.length > 1 ? name.replace(/^h\.(\d+)\..*/, "layer $1") : name, color: names.length > 1 ? ramp(i / (names.length - 1)) : color(0),
    series: series(run, run.data.tensors, tensorParts(run, kind, name)),
  }));
}

const tensorChart = { title: "Norm", logY: true };
function makeTensors() {
  fillSelect($("tensor-kind"), Object.entries(tensorKinds));
  runSelect("tensor-run");
  tensorChart.chart = new Chart($("tensor-chart"), tensorChart, tensorLines);
  tensorChart.heat = new Heat($("heat"), name => { $("tensor-group").value = name.replace(/^h\.\d+\./, "h.*."); drawTensors(); });
  for (const id of ["tensor-kind", "tensor-group", "tensor-run"]) $(id).addEventListener("change", drawTensors);
}

function drawTensors() {
  const run = tensorRun(), names = Object.keys(run.data.tensors.columns.weight || {});
  $("tensors").hidden = !runs.some(r => r.data.tensors.x.length);
  if ($("tensors").hidden) return;
  const first = !$("tensor-group").value;
  fillSelect($("tensor-group"), [...tensorGroups(names)].map(([group, list]) => [group, group.replace("h.*.", "") + (list.length > 1 ? ", all layers" : "")]));
  if (first && names.includes("h.0.attn.c_attn.weight")) $("tensor-group").value = "h.*.attn.c_attn.weight";
  const kind = $("tensor-kind").value;
  tensorChart.title = (kind === "ratio" ? "Update ÷ weight" : "Norm of " + tensorKinds[kind]) + ": " + $("tensor-group").selectedOptions[0].textContent;
  tensorChart.chart.figure.querySelector("h3").textContent = tensorChart.title;
  tensorChart.chart.draw();
  drawHeat(run, names);
}

function drawHeat(run, names) {
  const kind = $("tensor-kind").value, rows = names.map(name => ({ name, values: tensorParts(run, kind, name).mean }));
  const title = kind === "ratio" ? "Update ÷ weight of every tensor" : "Norm of " + tensorKinds[kind] + ", every tensor";
  tensorChart.heat.show(title, run.data.tensors.x, rows, tensorGroups(names).get($("tensor-group").value) || []);
}

// --- samples ---

function drawSamples() {
  const run = runs[$("sample-run").value || 0], list = run.data.samples.list, slider = $("sample-step");
  $("samples").hidden = !runs.some(r => r.data.samples.list.length);
  const atEnd = +slider.value >= +slider.max;
  slider.max = Math.max(0, list.length - 1);
  if (atEnd || +slider.value > slider.max) slider.value = slider.max;
  const sample = list[slider.value];
  $("sample").textContent = sample ? sample.text : "";
  const i = sample ? run.data.evaluations.x.indexOf(sample.step) : -1;
  $("sample-label").textContent = sample ? whole(sample.step) + (i >= 0 ? ", validation loss " + run.data.evaluations.columns.val_loss.mean[i].toFixed(4) : "") : "";
}

// --- configuration, data, machine ---

function card(title, body) { return element("article", { class: "card" }, element("h3", {}, title), body); }
function row(name, ...values) { return element("tr", {}, element("th", { scope: "row" }, name), ...values.map(v => element("td", {}, v === undefined || v === null ? "–" : String(v)))); }
// 25.3 GB
function unit(v, name) { return Number.isFinite(v) ? short(v).replace(/[kMGT]?$/, " $&") + name : "–"; }

// What a value of 0 stands for, in the run itself.
function resolved(run, section, key) {
  const value = ((run.data.config || {})[section] || {})[key], data = start(run).data;
  if (key === "vocab_size" && value === "0" && data) return whole(data.vocab_size) + " (the tokenizer's)";
  if (key === "decay_steps" && value === "0") return run.data.config.train.steps + " (all)";
  return value;
}

function configuration() {
  const table = element("table"), sections = new Map();
  for (const run of runs)
    for (const [section, keys] of Object.entries(run.data.config || {})) {
      if (!sections.has(section)) sections.set(section, new Set());
      for (const key of Object.keys(keys)) sections.get(section).add(key);
    }
  if (several) table.append(element("thead", {}, element("tr", {}, element("th", {}, ""), ...runs.map(r => element("th", { scope: "col" }, r.name)))));
  for (const [section, keys] of sections) {
    const body = element("tbody", { class: "section" }, element("tr", {}, element("th", { colspan: runs.length + 1, scope: "rowgroup" }, section)));
    for (const key of keys) {
      const values = runs.map(r => resolved(r, section, key)), line = row(key, ...values);
      if (values.some(v => v !== values[0])) line.className = "differs";
      body.append(line);
    }
    table.append(body);
  }
  const narrow = matchMedia("(max-width: 560px)").matches;
  return element("article", { class: "card" }, element("details", narrow ? {} : { open: "" }, element("summary", {}, element("h3", {}, "Configuration")), table));
}

const start = run => run.data.starts.at(-1) || {};
function date(seconds) { const d = new Date(seconds * 1000); return isNaN(d) ? "–" : d.toISOString().slice(0, 16).replace("T", " ") + " UTC"; }

// A few files by name; of many, their number and size, with a list that opens.
function sourceRows(sources) {
  const text = s => s.path + ", " + unit(s.bytes, "B");
  if (sources.length <= 3) return sources.map(s => row("text", text(s)));
  const list = element("details", {}, element("summary", {}, whole(sources.length) + " files, " + unit(sources.reduce((a, s) => a + s.bytes, 0), "B")),
    element("ul", {}, ...sources.map(s => element("li", {}, text(s)))));
  return [element("tr", {}, element("th", { scope: "row" }, "text"), element("td", {}, list))];
}

function drawFacts() {
  const open = [...$("facts").querySelectorAll("details")].map(d => d.open);
  const facts = $("facts"), cards = [];
  for (const run of runs) {
    const s = start(run), title = several ? ": " + run.name : "", data = s.data, machine = s.machine;
    if (data) {
      const table = element("table", {}, row("folder", data.dir), row("training tokens", whole(data.train_tokens)), row("validation tokens", whole(data.val_tokens)),
        row("tokenizer", data.tokenizer + ", " + whole(data.vocab_size) + " symbols"), row("fingerprint", String(data.fingerprint).slice(0, 16) + "…"));
      table.append(...sourceRows(Array.isArray(data.sources) ? data.sources : []));
      cards.push(card("Data" + title, table));
    }
    if (machine)
      cards.push(card("Machine" + title, element("table", {}, row("processor", machine.cpu), row("cores, threads", machine.cores + ", " + machine.threads), row("memory", unit(machine.memory, "B")),
        row("measured peak", unit(machine.peak_flops, "FLOP/s")), row("matrix products", machine.products), row("compiler", machine.compiler), row("system", machine.system),
        ...run.data.starts.map((x, i) => row(i ? "resumed" : "started", date(x.time) + (x.step ? ", step " + whole(x.step) : ""))))));
    const { x, columns } = run.data.evaluations;
    if (x.length) {
      const table = element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "step"), element("th", { scope: "col" }, "validation loss"))));
      for (let i = 0; i < x.length; i++) table.append(row(whole(x[i]), columns.val_loss.mean[i].toFixed(4)));
      cards.push(card("Evaluations" + title, element("div", { class: "scroll", tabindex: "0" }, table)));
    }
  }
  facts.replaceChildren(configuration(), ...cards);
  open.forEach((o, i) => { const d = facts.querySelectorAll("details")[i]; if (d) d.open = o; }); // as before new data came
}

// --- the header ---

function planned(run) { return parseFloat(((run.data.config || {}).train || {}).steps); }
function finished(run) { return run.data.last.step >= planned(run); }

function tile(name, value, small) { return element("div", {}, element("dt", {}, name), element("dd", {}, value, small ? element("small", {}, small) : null)); }

function drawHead() {
  const names = runs.map(r => r.name).join(", ");
  document.title = names + " – handgrad";
  $("title").textContent = several ? runs.length + " runs" : names;
  const tiles = [];
  if (!several) {
    const { last, best, data } = { ...runs[0].data, data: runs[0].data }, s = start(runs[0]), steps = planned(runs[0]);
    if (best.val_loss !== null) tiles.push(tile("best validation loss", best.val_loss.toFixed(4), "after step " + whole(best.step)));
    if (last.loss !== null) tiles.push(tile("training loss", last.loss.toFixed(4), "in the last step"));
    if (last.step !== null) tiles.push(tile("steps", whole(last.step), isFinite(steps) ? "of " + whole(steps) : ""));
    if (last.tokens !== null) tiles.push(tile("tokens", short(last.tokens), s.data ? trim((last.tokens / s.data.train_tokens).toPrecision(2)) + " epochs" : ""));
    if (last.seconds) tiles.push(tile("training time", duration(last.seconds), short(last.tokens / last.seconds) + " tokens/s"));
    if (s.parameters) tiles.push(tile("parameters", short(s.parameters), data.config && data.config.model ? data.config.model.n_layer + " layers, " + data.config.model.n_embd + " wide" : ""));
  } else
    for (const run of runs) tiles.push(tile(run.name, run.data.best.val_loss !== null ? run.data.best.val_loss.toFixed(4) : run.data.last.loss !== null ? run.data.last.loss.toFixed(4) : "–", run.data.best.val_loss !== null ? "best validation loss, step " + whole(run.data.best.step) : "training loss"));
  $("tiles").replaceChildren(...tiles);
  $("summary").textContent = runs.every(r => r.data.last.step === null) ? "No step has finished yet." : runs.some(r => r.data.bad_lines) ? "Invalid lines that were skipped: " + runs.map(r => r.data.bad_lines).reduce((a, b) => a + b) + "." : "";
}

function status(text, kind) { $("status").textContent = text; $("status").className = "status " + (kind || ""); }
function drawStatus() {
  const done = runs.every(finished), at = runs.map(r => r.data.last.step === null ? "waiting" : "step " + whole(r.data.last.step)).join(", ");
  if (page.live && !done) status("live, " + at, "live");
  else status(done ? "finished" : "stopped after " + at);
}

// --- controls ---

function fillSelect(select, options) {
  const value = select.value;
  select.replaceChildren(...options.map(([v, text]) => element("option", { value: v }, text)));
  if (options.some(o => o[0] === value)) select.value = value;
}
function runSelect(id) {
  fillSelect($(id), runs.map(r => [String(r.index), r.name]));
  $(id + "-label").hidden = !several;
}

function setSmoothing() {
  const rows = Math.max(...runs.map(r => r.data.steps.x.length * r.data.steps.width), 1), value = +$("smoothing").value;
  view.smoothing = value ? Math.max(1, (rows / 10) ** (value / 100)) : 0;
  $("smoothing-value").textContent = value ? "≈ " + short(Math.round(view.smoothing)) + " steps" : "none";
}

function makeControls() {
  $("smoothing").addEventListener("input", () => { setSmoothing(); drawCharts(); });
  $("axis").addEventListener("change", e => { view.axis = e.target.value; zoom(null); });
  $("log-x").addEventListener("change", e => { view.logX = e.target.checked; drawCharts(); });
  $("log-y").addEventListener("change", e => { lossChart.logY = e.target.checked; drawCharts(); });
  $("reset").addEventListener("click", () => zoom(null));
  $("sample-step").addEventListener("input", drawSamples);
  runSelect("sample-run");
  $("sample-run").addEventListener("change", drawSamples);
  if (several)
    for (const run of runs) {
      const box = element("input", { type: "checkbox", checked: "" });
      box.addEventListener("change", () => { run.hidden = !box.checked; drawCharts(); });
      $("runs").append(element("label", {}, box, element("i", { class: "swatch", style: { borderColor: runColor(run) } }), run.name));
    }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

function drawAll() {
  setSmoothing();
  drawHead();
  drawStatus();
  drawCharts();
  drawTensors();
  drawSamples();
  drawFacts();
}

// --- live ---

function splice(to, from, new_) { to.length = from; for (const v of new_) to.push(v); }
function spliceColumns(to, from, new_) {
  for (const [name, part] of Object.entries(new_))
    if (Array.isArray(part)) splice(to[name], from, part); else spliceColumns(to[name], from, part);
}

// Adds the new rows to a table.
function update(table, new_) {
  if (!new_.from) Object.assign(table, new_);
  else if (new_.list) splice(table.list, new_.from, new_.list);
  else { splice(table.x, new_.from, new_.x); spliceColumns(table.columns, new_.from, new_.columns); }
}

const tables = ["steps", "evaluations", "tensors", "samples"];
async function refresh(run) {
  const seen = [run.data.epoch, ...tables.map(t => (run.data[t].list || run.data[t].x).length)].join(".");
  const response = await fetch("data?run=" + run.index + "&seen=" + seen);
  if (!response.ok) throw new Error(await response.text());
  const new_ = await response.json(), before = run.data.last.step;
  for (const t of tables) update(run.data[t], new_[t]);
  for (const [name, value] of Object.entries(new_)) if (!tables.includes(name)) run.data[name] = value;
  return new_.last.step !== before;
}

const often = 2000; // milliseconds; an answer takes the server about three
async function follow() {
  for (let wait = often;;) {
    await new Promise(resolve => setTimeout(resolve, wait));
    if (document.hidden) { wait = often; continue; }
    try {
      const changed = (await Promise.all(runs.map(refresh))).some(Boolean);
      if (changed) drawAll(); else drawStatus();
      wait = changed ? often : Math.min(5000, wait + 500);
    } catch (e) {
      status("connection lost, showing the last data", "lost");
      wait = Math.min(10000, wait * 2);
    }
  }
}

makeCharts();
makeTensors();
makeControls();
drawAll();
if (page.live) follow();
