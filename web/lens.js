// lens.js: the section of the live page that inspects a model: its predictions, attention,
// gradients and generated text.
"use strict";

const lens = { inspection: null, position: null, layers: [], large: null, query: "", request: 0, writing: null };

// The colours of heatmap.c, by the square root of the weight.
const viridis = [[68, 1, 84], [72, 40, 120], [62, 73, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37]];
function weightColor(w) {
  const at = Math.sqrt(Math.min(Math.max(w, 0), 1)) * (viridis.length - 1), i = Math.min(viridis.length - 2, Math.floor(at));
  return viridis[i].map((v, k) => Math.round(v + (viridis[i + 1][k] - v) * (at - i)));
}

function button(attributes, text, click) {
  const b = element("button", { type: "button", ...attributes }, text);
  b.addEventListener("click", click);
  return b;
}

async function ask(path, parameters) {
  const response = await fetch(path + "?" + new URLSearchParams(parameters));
  if (!response.ok) throw new Error((await response.text()).trim().replace(/^handgrad: /, ""));
  return response;
}

const lensRun = () => $("lens-run").value || "0";
const chosen = () => ({ run: lensRun(), checkpoint: $("lens-checkpoint").value });
const shownToken = t => lens.inspection.tokens[t].shown;
function say(text, bad) { $("lens-status").textContent = text; $("lens-status").classList.toggle("bad", !!bad); }

// --- the form ---

function firstText() {
  const data = runs[lensRun()].data, sample = data.samples.list.at(-1), block = parseInt(((data.config || {}).model || {}).block_size) || 32;
  return sample ? Array.from(sample.text).slice(0, Math.min(40, block)).join("") : "";
}

async function fillCheckpoints() {
  try {
    const { checkpoints } = await (await ask("/lens/checkpoints", { run: lensRun() })).json();
    fillSelect($("lens-checkpoint"), checkpoints.map(name => [name, name]));
    if (!checkpoints.length) say("No checkpoint yet.");
    return checkpoints.length;
  } catch (e) { say(e.message, true); return 0; }
}

function makeLens() {
  const section = $("lens"), text = element("textarea", { id: "lens-text", rows: "2", spellcheck: "false", "aria-label": "Text for the model" });
  const form = element("form", { class: "lens-form" }, element("label", { class: "wide-label" }, "Text", text),
    element("span", { class: "controls-row" }, element("label", { id: "lens-run-label", hidden: "" }, "Run ", element("select", { id: "lens-run" })),
      element("label", {}, "Checkpoint ", element("select", { id: "lens-checkpoint" })), element("button", { type: "submit" }, "Run"), element("span", { id: "lens-status", role: "status" })));
  section.append(element("h2", {}, "Inside the model"), form, element("div", { id: "lens-result", hidden: "" },
    element("div", { id: "lens-tokens", class: "tokens", role: "toolbar", "aria-label": "Tokens; arrow keys select one" }),
    element("p", { id: "lens-note", class: "summary" }),
    element("div", { class: "pair" },
      element("article", { class: "card" }, element("h3", { id: "lens-next-title" }), element("div", { class: "scroll", tabindex: "0" }, element("table", { id: "lens-next" }))),
      element("article", { class: "card" }, element("h3", { id: "lens-gradient-title" }), element("div", { class: "scroll", tabindex: "0" }, element("table", { id: "lens-gradient" })))),
    element("article", { class: "card block" }, element("h3", {}, "Logit lens: the most likely next token after the embedding and after each block"), element("div", { class: "scroll", tabindex: "0" }, element("table", { id: "lens-depths", class: "depths" }))),
    attentionCard("Attention: rows are queries, columns are keys")), makeWriter());
  followWidth();
  form.addEventListener("submit", e => { e.preventDefault(); runModel(); });
  text.addEventListener("keydown", e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); runModel(); } });
  $("lens-checkpoint").addEventListener("change", () => { if (lens.inspection) runModel(); });
  $("lens-checkpoint").addEventListener("focus", fillCheckpoints); // there may be newer ones
  runSelect("lens-run");
  $("lens-run").addEventListener("change", fillCheckpoints);
  $("lens-tokens").addEventListener("keydown", moveToken);
  text.value = firstText();
  grow(text);
  section.hidden = false;
  fillCheckpoints().then(n => { if (n && text.value) runModel(); });
}

async function runModel() {
  const request = ++lens.request, parameters = { ...chosen(), text: $("lens-text").value };
  say("running …");
  try {
    const inspection = await (await ask("/lens", parameters)).json();
    if (request !== lens.request) return;
    Object.assign(lens, { inspection, parameters, layers: [], large: null });
    const last = inspection.tokens.length - 1;
    lens.position = lens.position === null ? last >> 1 : Math.min(lens.position, last);
    $("lens-result").hidden = false;
    $("lens-large").hidden = true;
    say("");
    drawTokens();
    drawDepths();
    choose(lens.position);
    await readAttention(request);
  } catch (e) { if (request === lens.request) { say(e.message, true); $("lens-result").hidden = true; lens.inspection = null; } }
}

// --- tokens and predictions ---

const model = () => lens.inspection.depths.at(-1);
function drawTokens() {
  const { tokens } = lens.inspection, losses = model().positions.map(p => p.loss);
  $("lens-tokens").replaceChildren(...tokens.map((token, t) => {
    const b = button({ class: "token", tabindex: "-1", title: "position " + t + (t && losses[t - 1] !== null ? ", loss " + losses[t - 1].toFixed(3) : "") }, token.shown, () => choose(t));
    if (t && losses[t - 1] !== null) b.style.setProperty("--surprise", Math.min(1, losses[t - 1] / 8));
    return b;
  }));
  $("lens-note").textContent = (lens.inspection.omitted ? "the last " : "") + whole(tokens.length) + (lens.inspection.omitted ? " of " + whole(tokens.length + lens.inspection.omitted) : "") + " tokens, step " + whole(lens.inspection.step) + (model().loss === null ? "" : ", mean loss " + model().loss.toFixed(4) + " nats") +
    ". The darker the edge of a token, the larger its loss. Select a token to see the predictions for the next one.";
}

function moveToken(e) {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -1e9, End: 1e9 }[e.key];
  if (!step) return;
  e.preventDefault();
  choose(Math.max(0, Math.min(lens.inspection.tokens.length - 1, lens.position + step)));
  $("lens-tokens").children[lens.position].focus();
}

function bar(share, text) { return element("td", { class: "bar" }, text, element("i", { style: { width: `calc((100% - 6em) * ${share})` } })); }

function choose(t) {
  lens.position = t;
  [...$("lens-tokens").children].forEach((b, i) => { b.setAttribute("aria-pressed", i === t); b.tabIndex = i === t ? 0 : -1; });
  [...$("lens-depths").querySelectorAll("tbody tr")].forEach((row, i) => row.classList.toggle("differs", i === t));
  const { tokens } = lens.inspection, { loss, top } = model().positions[t], next = tokens[t + 1];
  $("lens-next-title").textContent = "After position " + t + ", “" + tokens[t].shown + "”: " + (next ? "next token “" + next.shown + "”, probability " + percent(Math.exp(-loss)) + ", loss " + loss.toFixed(3) : "the end of the text");
  $("lens-next").replaceChildren(...top.map(g => element("tr", { class: next && g.id === next.id ? "differs" : "" }, element("th", { scope: "row" }, g.shown), bar(g.p, percent(g.p)))));
  drawGradient(t);
}

async function drawGradient(t) {
  const { tokens } = lens.inspection, request = lens.request;
  $("lens-gradient").replaceChildren();
  if (t + 1 >= tokens.length) { $("lens-gradient-title").textContent = "No gradient: the last position has no next token, so no loss"; return; }
  $("lens-gradient-title").textContent = "Gradient of the loss at position " + t + ": its norm at each input embedding";
  try {
    const { norms } = await (await ask("/lens/gradient", { ...lens.parameters, position: t })).json(), most = Math.max(...norms);
    if (request !== lens.request || t !== lens.position) return;
    $("lens-gradient").replaceChildren(...norms.map((norm, i) => element("tr", { class: i > t ? "later" : i === t ? "differs" : "" },
      element("th", { scope: "row" }, i + " " + tokens[i].shown), bar(most ? norm / most : 0, norm === 0 ? "exactly 0" : norm.toExponential(2)))));
  } catch (e) { $("lens-gradient-title").textContent = e.message; }
}

function drawDepths() {
  const { tokens, depths } = lens.inspection;
  const head = element("tr", {}, element("th", { scope: "col" }, "token"), ...depths.map(d => element("th", { scope: "col" }, d.after)));
  const rows = tokens.map((token, t) => {
    const row = element("tr", {}, element("th", { scope: "row" }, t + " " + token.shown), ...depths.map(d => {
      const g = d.positions[t].top[0], [r, gr, b] = weightColor(g.p);
      return element("td", { class: tokens[t + 1] && g.id === tokens[t + 1].id ? "right" : "", title: percent(g.p), style: { borderLeft: `.5em solid rgb(${r}, ${gr}, ${b})` } }, g.shown, element("small", {}, " " + percent(g.p)));
    }));
    row.addEventListener("click", () => choose(t));
    return row;
  });
  const foot = element("tr", {}, element("th", { scope: "row" }, "loss"), ...depths.map(d => element("td", {}, d.loss === null ? "–" : d.loss.toFixed(3))));
  $("lens-depths").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows), element("tfoot", {}, foot));
}

// --- attention ---

function attentionCard(title) {
  return element("article", { class: "card block" }, element("h3", {}, title), element("p", { id: "lens-zero", class: "summary" }),
    element("div", { class: "pair" }, element("div", { id: "lens-maps", class: "maps" }), element("figure", { id: "lens-large", hidden: "" })));
}

function followWidth() {
  new ResizeObserver(() => { if (lens.large && !$("lens-large").hidden) drawLarge(); }).observe($("lens-maps"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (lens.large) drawLarge(); });
}

// In a report: the attention of the last sample, from bytes that are 255 times the square root of
// each weight.
function showSample(attention) {
  const { n_layer, n_head, tokens, step, weights } = attention, bytes = Uint8Array.from(atob(weights), c => c.charCodeAt(0));
  const size = n_head * tokens.length ** 2;
  lens.inspection = attention;
  lens.later = lens.zero = 0;
  $("lens").append(element("h2", {}, "Inside the model"), attentionCard("Attention of the last sample's first " + tokens.length + " tokens, after step " + whole(step) + ": rows are queries, columns are keys"));
  $("lens").hidden = false;
  $("lens-maps").style.setProperty("--heads", n_head);
  for (let layer = 0; layer < n_layer; layer++) drawLayer(layer, Float32Array.from(bytes.subarray(layer * size, (layer + 1) * size), b => (b / 255) ** 2));
  followWidth();
}

async function readAttention(request) {
  const { n_layer, n_head } = lens.inspection, maps = $("lens-maps");
  lens.later = lens.zero = 0;
  maps.replaceChildren();
  maps.style.setProperty("--heads", n_head);
  $("lens-zero").textContent = "";
  for (let layer = 0; layer < n_layer; layer++) {
    const weights = new Float32Array(await (await ask("/lens/attention", { ...lens.parameters, layer })).arrayBuffer());
    if (request !== lens.request) return;
    drawLayer(layer, weights);
  }
}

function drawLayer(layer, weights) {
  const { n_head, tokens } = lens.inspection, T = tokens.length;
  lens.layers[layer] = weights;
  for (let head = 0; head < n_head; head++) {
    const w = weights.subarray(head * T * T, (head + 1) * T * T);
    for (let q = 0; q < T; q++) for (let k = q + 1; k < T; k++) { lens.later++; lens.zero += w[q * T + k] === 0; }
    $("lens-maps").append(mapButton(layer, head, w, T));
  }
  $("lens-zero").textContent = whole(lens.zero) + " of " + whole(lens.later) + " weights of later tokens, in all heads, are exactly zero and left blank. Colours show the square root of the weight. Click a map to enlarge it.";
}

function paint(canvas, w, T) {
  canvas.width = canvas.height = T;
  const context = canvas.getContext("2d"), image = context.createImageData(T, T);
  for (let i = 0; i < T * T; i++)
    if (w[i] !== 0) { const c = weightColor(w[i]); image.data.set([c[0], c[1], c[2], 255], 4 * i); }
  context.putImageData(image, 0, 0);
}

function mapButton(layer, head, w, T) {
  const canvas = element("canvas", {}), name = "layer " + layer + ", head " + head;
  paint(canvas, w, T);
  const b = button({ class: "map", "aria-label": "Enlarge attention of " + name, "aria-pressed": "false" }, canvas, () => enlarge(layer, head, b));
  b.append(element("span", {}, "h." + layer + " head " + head));
  return b;
}

function enlarge(layer, head, b) {
  const figure = $("lens-large"), same = lens.large && lens.large.b === b && !figure.hidden;
  for (const other of $("lens-maps").querySelectorAll("button")) other.setAttribute("aria-pressed", other === b && !same);
  figure.hidden = same;
  if (same) return;
  const T = lens.inspection.tokens.length;
  lens.large = { layer, head, b, T, w: lens.layers[layer].subarray(head * T * T, (head + 1) * T * T), at: null };
  const canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": "Attention of layer " + layer + ", head " + head + "; arrow keys move over its cells" });
  lens.large.canvas = canvas;
  figure.replaceChildren(element("figcaption", {}, "Layer " + layer + ", head " + head + " ", element("output", { id: "lens-read" })), canvas);
  canvas.addEventListener("mousemove", e => cellAt(e));
  canvas.addEventListener("mouseleave", () => { lens.large.at = null; drawLarge(); });
  canvas.addEventListener("keydown", moveCell);
  if (matchMedia("(max-width: 900px)").matches) b.after(figure); // where the map was touched
  else $("lens-maps").after(figure);
  drawLarge();
  figure.scrollIntoView({ block: "nearest" });
}

function drawLarge() {
  const m = lens.large, { canvas, T, w } = m, ratio = devicePixelRatio || 1, context = canvas.getContext("2d");
  const longest = Math.min(10, Math.max(...lens.inspection.tokens.map(t => t.shown.length))), margin = 8 + 7.5 * longest;
  const room = Math.min($("lens-large").clientWidth, 760) - margin - 4;
  m.cell = Math.max(2, Math.min(26, room / T));
  if (m.cell > 4) m.cell = Math.floor(m.cell); // no seams
  m.margin = margin;
  const side = margin + m.cell * T + 2;
  canvas.style.width = canvas.style.height = side + "px";
  canvas.width = canvas.height = Math.ceil(side * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = css("--ink");
  context.font = "12px " + css("--mono");
  context.textBaseline = "middle";
  const every = Math.ceil(13 / m.cell);
  for (let i = 0; i < T; i += every) {
    const text = Array.from(shownToken(i)).slice(0, 10).join(""), middle = margin + m.cell * (i + .5);
    context.textAlign = "right";
    context.fillText(text, margin - 5, middle);
    context.save();
    context.translate(middle, margin - 5);
    if (longest > 1) context.rotate(-Math.PI / 2);
    context.textAlign = longest > 1 ? "left" : "center";
    context.fillText(text, 0, longest > 1 ? 0 : -5);
    context.restore();
  }
  for (let q = 0; q < T; q++)
    for (let k = 0; k < T; k++)
      if (w[q * T + k] !== 0) {
        context.fillStyle = "rgb(" + weightColor(w[q * T + k]).join() + ")";
        context.fillRect(margin + k * m.cell, margin + q * m.cell, m.cell + .3, m.cell + .3);
      }
  context.strokeStyle = css("--line");
  context.strokeRect(margin - .5, margin - .5, m.cell * T + 1, m.cell * T + 1);
  if (!m.at) { $("lens-read").textContent = ""; return; }
  const [q, k] = m.at, weight = w[q * T + k];
  context.strokeStyle = css("--accent");
  context.lineWidth = 2;
  context.strokeRect(margin + k * m.cell, margin + q * m.cell, m.cell, m.cell);
  $("lens-read").textContent = "query " + q + " “" + shownToken(q) + "”, key " + k + " “" + shownToken(k) + "”: " + (weight === 0 ? (k > q ? "exactly 0, later" : "0") : weight.toPrecision(4));
}

function cellAt(e) {
  const m = lens.large, box = m.canvas.getBoundingClientRect(), of = v => Math.floor((v - m.margin) / m.cell), q = of(e.clientY - box.top), k = of(e.clientX - box.left);
  m.at = q >= 0 && k >= 0 && q < m.T && k < m.T ? [q, k] : null;
  drawLarge();
}

function moveCell(e) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key], m = lens.large;
  if (!step) return;
  e.preventDefault();
  const at = m.at || [0, 0], clamp = v => Math.max(0, Math.min(m.T - 1, v));
  m.at = m.at ? [clamp(at[0] + step[0]), clamp(at[1] + step[1])] : at;
  drawLarge();
}

// --- generated text ---

function field(id, name, value, attributes) { return element("label", {}, name + " ", element("input", { id: "write-" + id, type: "number", value, ...attributes })); }

// A text field as high as its text.
function grow(field) {
  const fit = () => { field.style.height = "auto"; field.style.height = field.scrollHeight + 2 + "px"; };
  field.addEventListener("input", fit);
  requestAnimationFrame(fit);
}

function makeWriter() {
  const form = element("form", { class: "lens-form" }, element("label", { class: "wide-label" }, "Prompt", element("textarea", { id: "write-prompt", rows: "1", spellcheck: "false" })),
    element("span", { class: "controls-row" }, field("tokens", "Tokens", 300, { min: 1, max: 10000 }), field("temperature", "Temperature", .8, { min: 0, max: 10, step: "any" }),
      field("top_k", "Top-k", 200, { min: 0 }), field("top_p", "Top-p", 1, { min: 0, max: 1, step: "any" }), field("seed", "Seed", 1337, { min: 0 }),
      element("button", { id: "write-go", type: "submit" }, "Generate"), element("span", { id: "write-status", role: "status" })));
  grow(form.querySelector("textarea"));
  form.addEventListener("submit", e => { e.preventDefault(); lens.writing ? lens.writing.abort() : write(); });
  return element("div", { class: "writer" }, element("h3", {}, "Generate text"), form, element("pre", { id: "written", class: "sample", tabindex: "0", hidden: "" }));
}

async function write() {
  const parameters = { ...chosen(), prompt: $("write-prompt").value }, out = $("written"), abort = new AbortController();
  for (const name of ["tokens", "temperature", "top_k", "top_p", "seed"]) parameters[name] = $("write-" + name).value;
  lens.writing = abort;
  $("write-go").textContent = "Stop";
  $("write-status").textContent = "";
  out.hidden = false;
  out.replaceChildren(element("span", { class: "prompt" }, parameters.prompt));
  try {
    const response = await fetch("/lens/generate?" + new URLSearchParams(parameters), { signal: abort.signal });
    if (!response.ok) throw new Error((await response.text()).trim().replace(/^handgrad: /, ""));
    const reader = response.body.getReader(), decoder = new TextDecoder();
    for (let part; !(part = await reader.read()).done;) {
      out.append(decoder.decode(part.value, { stream: true }));
      out.scrollTop = out.scrollHeight;
    }
  } catch (e) { if (e.name !== "AbortError") $("write-status").textContent = e.message; }
  lens.writing = null;
  $("write-go").textContent = "Generate";
}

if (page.live) makeLens();
else if (page.attention) showSample(page.attention);
