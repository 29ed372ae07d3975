// Tests the pages in a real browser: a report from a file without a network, and the live page
// during a run; narrow and wide, light and dark, with the pointer and with keys. Prints "ok - …"
// and "not ok - …", and at the end "N passed, N failed".
//   node tests/browser/test.mjs HANDGRAD CHROMIUM FOLDER [SCREENSHOTS]
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [handgrad, chromium, folder, shots] = process.argv.slice(2);
const { chromium: browserType } = createRequire(path.resolve(folder) + "/")("playwright-core");
const work = fs.mkdtempSync(path.join(folder, "work-"));
let passed = 0,
  failed = 0;
function check(name, good, detail) {
  console.log(
    (good ? "ok - " : "not ok - ") +
      name +
      (good || detail === undefined ? "" : ": " + JSON.stringify(detail))
  );
  if (good) passed++;
  else failed++;
}
const run = (...args) =>
  execFileSync(handgrad, args, {
    cwd: work,
    encoding: "utf8",
    env: { ...process.env, OMP_WAIT_POLICY: "passive" }
  });

// --- runs ---
let text = "";
for (let i = 0; i < 3000; i++)
  text += `line ${i}: the ${i % 3 ? "weight" : "bias"} of ${String.fromCharCode(97 + (i % 26))}\n`;
fs.writeFileSync(path.join(work, "text.txt"), text);
run("tokenize", "text.txt", "-o", "data", "--tokenizer", "char");
fs.writeFileSync(
  path.join(work, "small.ini"),
  `[model]
n_layer = 2
n_head = 2
n_embd = 32
block_size = 32
[data]
dir = data
[optim]
lr = 3e-3
warmup = 10
clip = 0.7
[train]
batch_size = 8
steps = 200
eval_every = 40
eval_tokens = 2048
checkpoint_every = 0
log_tensors = 10
`
);
run("train", "small.ini", "--out", "one");
run("train", "small.ini", "--out", "two", "--set", "optim.lr=1e-3", "--set", "train.seed=2");
const hostile =
  "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>";
fs.appendFileSync(
  path.join(work, "two/samples.jsonl"),
  JSON.stringify({ step: 200, text: hostile }) + "\n"
);
run("report", "one", "-o", "one.html");
for (let i = 0; i < 5; i++) fs.writeFileSync(path.join(work, `part${i}.txt`), text.slice(i * 9000, i * 9000 + 9000));
run("tokenize", ...[0, 1, 2, 3, 4].map(i => `part${i}.txt`), "-o", "parts", "--tokenizer", "char");
run("train", "small.ini", "--out", "five", "--set", "data.dir=parts");
run("report", "five", "-o", "five-report.html");
fs.writeFileSync(
  path.join(work, "five/metrics.jsonl"),
  fs
    .readFileSync(path.join(work, "five/metrics.jsonl"), "utf8")
    .replace(/("step": 120,.*"loss": )[0-9.]+/, "$13482201021")
);
run("report", "five", "-o", "outlier.html");
run("report", "one", "two", "-o", "both.html");
run("report", "two", "-o", "two.html");

// A run of 100,000 steps with one spike.
fs.mkdirSync(path.join(work, "long"));
let lines = [];
for (let i = 1; i <= 100000; i++)
  lines.push(
    JSON.stringify({
      step: i,
      tokens: i * 1024,
      loss: i === 50001 ? 9.25 : 1.5 + 3 * Math.exp(-i / 8000) + 0.1 * Math.sin(i * i),
      lr: 1e-3,
      grad_norm: 1 + Math.sin(i),
      tokens_per_s: 2e4,
      mfu: 0.5
    })
  );
fs.writeFileSync(path.join(work, "long/metrics.jsonl"), lines.join("\n") + "\n");
run("report", "long", "-o", "long.html");

// Numbers that no run should have, and files that handgrad would not write.
fs.mkdirSync(path.join(work, "odd"));
fs.writeFileSync(
  path.join(work, "odd/metrics.jsonl"),
  '{"step": 1, "tokens": 0, "loss": 1e308, "lr": 0, "grad_norm": 1e-320, "tokens_per_s": 0}\n' +
    '{"step": 2, "tokens": -5, "loss": null, "lr": -1, "grad_norm": 1e999, "tokens_per_s": -1, ' +
    '"mfu": 1e300, "val_loss": 1e999, "skipped": "loss"}\n' +
    '{"step": 9e15, "tokens": 1e300, "loss": -1e308, "lr": 1e-300, "grad_norm": 0, ' +
    '"tokens_per_s": 1e300, "val_loss": -1e300}\n' +
    '{"step": 9e15, "loss": 1}\n{"step": -1e300, "loss": 2}\n'
);
fs.writeFileSync(
  path.join(work, "odd/starts.jsonl"),
  '{"step": 0}\n{"step": 1, "time": "x", "parameters": [], ' +
    '"data": {"sources": 5, "dir": {}}, "machine": {"cpu": null, "memory": "9"}}\n'
);
fs.writeFileSync(
  path.join(work, "odd/tensors.jsonl"),
  '{"step": 1, "tensors": {"__proto__": {"weight": 1e308, "grad": 0, "update": -1}, ' +
    '"</script>": {"weight": null}}}\n'
);
fs.writeFileSync(
  path.join(work, "odd/config.ini"),
  "[optim]\nclip = nan\n[__proto__]\nx = <img src=x onerror='window.hacked = 1'>\n"
);
run("report", "odd", "-o", "odd.html");

// --- the browser ---
const browser = await browserType.launch({ executablePath: chromium, args: ["--no-sandbox"] });
const errors = [];
async function open(url, { width = 1600, height = 1000, dark = false, offline = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    offline
  });
  const page = await context.newPage();
  page.on("console", m => {
    if (m.type() === "error" || m.type() === "warning") errors.push(m.text());
  });
  page.on("pageerror", e => errors.push(e.message));
  page.on("request", r => {
    if (!/^(file|data|blob):/.test(r.url()) && !r.url().startsWith("http://127.0.0.1:"))
      errors.push("asks for " + r.url());
  });
  await page.goto(url);
  await page.waitForSelector("#charts .plot canvas");
  return page;
}
const file = name => "file://" + path.resolve(work, name);
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

// The number of pixels drawn on a canvas.
const ink = (page, selector) =>
  page.evaluate(s => {
    let n = 0;
    for (const c of document.querySelectorAll(s)) {
      if (!c.width || !c.height) continue;
      const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      for (let i = 3; i < p.length; i += 4) n += p[i] > 0;
    }
    return n;
  }, selector);

// --- a report ---
for (const width of [400, 1600])
  for (const dark of [false, true]) {
    const page = await open(file("one.html"), { width, dark, offline: true }),
      where = `${width} pixels, ${dark ? "dark" : "light"}`;
    check(`report, ${where}: nothing is wider than the page`, await fits(page));
    for (let i = 0; i < 5; i++)
      check(
        `report, ${where}: chart ${i + 1} is drawn`,
        (await ink(page, `#charts figure:nth-child(${i + 1}) canvas`)) > 300
      );
    check(
      `report, ${where}: the tensors' picture is drawn`,
      (await ink(page, "#heat canvas")) > 3000
    );
    // contrast of 4.5 to 1, required by WCAG 2 for text
    const faint = await page.evaluate(() => {
      const light = c => {
        const [r, g, b] = c
          .match(/[\d.]+/g)
          .map(v => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = e => {
        for (; e; e = e.parentElement) {
          const c = getComputedStyle(e).backgroundColor;
          if (c !== "rgba(0, 0, 0, 0)") return c;
        }
        return "rgb(255, 255, 255)";
      };
      return [
        ...document.querySelectorAll(
          "h1, h2, h3, dt, dd, small, label, th, td, figcaption span, .dygraph-axis-label, " +
            ".axis-name, pre, footer p, .status"
        )
      ]
        .filter(e => e.offsetParent && e.textContent.trim())
        .map(e => {
          const a = light(getComputedStyle(e).color),
            b = light(ground(e));
          return [e.tagName + "." + e.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        })
        .filter(([, ratio]) => ratio < 4.5);
    });
    check(`report, ${where}: text has enough contrast`, faint.length === 0, faint.slice(0, 3));
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("body *")]
        .filter(
          e =>
            e.offsetParent &&
            [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
            parseFloat(getComputedStyle(e).fontSize) < 11
        )
        .map(e => e.tagName)
    );
    check(`report, ${where}: no text is tiny`, small.length === 0, small);
    if (shots)
      await page.screenshot({
        path: path.join(shots, `report-${width}-${dark ? "dark" : "light"}.png`),
        fullPage: true
      });
    await page.context().close();
  }
// what a report shows of the data, the model and an outlier
{
  const page = await open(file("outlier.html"), { offline: true });
  check(
    "many sources are one row with a list",
    /^5 files, /.test(await page.textContent("#facts details ul >> xpath=../summary")) &&
      (await page.locator("#facts details li").count()) === 5
  );
  check(
    "vocab_size 0 is shown as the tokenizer's",
    /vocab_size\s*\d+ \(the tokenizer's\)/.test(await page.textContent("#facts"))
  );
  const [low, high] = await page.evaluate(() => charts[0].graph.yAxisRange());
  check("one outlier does not flatten the loss", high < 10 && low > 0, [low, high]);
  check(
    "… it is announced",
    await page.evaluate(() => charts[0].above.count === 1 && charts[0].above.most > 1e6)
  );
  check("the page is named after the run", (await page.title()).startsWith("five"));
  await page.context().close();
  const other = await open(file("five-report.html"), { offline: true });
  check(
    "a report shows attention, without later tokens",
    await other.evaluate(() => {
      const maps = [...document.querySelectorAll("#lens-maps canvas")];
      return (
        maps.length === 4 &&
        maps.every(c => {
          const n = c.width,
            p = c.getContext("2d").getImageData(0, 0, n, n).data;
          for (let q = 0; q < n; q++)
            for (let k = q + 1; k < n; k++) if (p[4 * (q * n + k) + 3]) return false;
          return n > 5 && p[3] === 255;
        })
      );
    })
  );
  await other.locator("#lens-maps button").first().click();
  check("… and enlarges it", await other.isVisible("#lens-large canvas"));
  await other.context().close();
}

{
  const page = await open(file("one.html"));
  const metrics = fs
      .readFileSync(path.join(work, "one/metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map(JSON.parse),
    last = metrics.at(-1);
  const tiles = await page.textContent("#tiles");
  check(
    "the best validation loss equals the run's",
    tiles.includes(Math.min(...metrics.map(m => m.val_loss ?? Infinity)).toFixed(4)),
    tiles
  );
  check("the last training loss equals the run's", tiles.includes(last.loss.toFixed(4)));
  check("the status is finished", (await page.textContent("#status")) === "finished");
  const clipped = metrics.filter(m => 0.7 / (m.grad_norm + 1e-6) < 1).length / metrics.length;
  const note = await page.textContent("#charts figure:nth-child(2) .note");
  check(
    "the share of clipped steps equals that of the metrics",
    Math.abs(parseFloat(note) / 100 - clipped) < 0.006,
    [note, clipped]
  );
  for (const fact of ["n_embd", "training tokens", "processor", "Evaluations", "text.txt"])
    check(`facts contain ${fact}`, (await page.textContent("#facts")).includes(fact));

  // keys: Tab reaches every control and chart; keys move the cursor of a chart and zoom
  const reached = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(
      await page.evaluate(
        () =>
          document.activeElement.id ||
          document.activeElement.querySelector("h3")?.textContent ||
          document.activeElement.tagName
      )
    );
  }
  for (const name of [
    "smoothing",
    "axis",
    "log-x",
    "log-y",
    "Loss",
    "Gradient norm",
    "tensor-kind",
    "sample-step"
  ])
    check(`Tab reaches ${name}`, reached.has(name), [...reached]);
  const chart = page.locator("#charts figure").first();
  await chart.focus();
  await page.keyboard.press("Home");
  check(
    "Home shows the first step",
    (await chart.locator(".read").textContent()).startsWith("step 1"),
    await chart.locator(".read").textContent()
  );
  check(
    "… in every chart",
    (await page.locator("#charts figure").nth(1).locator(".read").textContent()).startsWith(
      "step 1"
    )
  );
  for (let i = 0; i < 50; i++) await page.keyboard.press("ArrowRight");
  check(
    "→ moves the cursor",
    /^step (99|100|101)/.test(await chart.locator(".read").textContent()),
    await chart.locator(".read").textContent()
  );
  await page.keyboard.press("+");
  const range = await page.evaluate(() => view.range);
  check(
    "+ zooms around the cursor",
    range && Math.abs(range[1] - range[0] - 99.5) < 2 && range[0] > 45 && range[1] < 155,
    range
  );
  check(
    "… all charts",
    await page.evaluate(() =>
      charts
        .filter(c => c.graph)
        .every(c => Math.abs(c.graph.xAxisRange()[0] - view.range[0]) < 1e-6)
    )
  );
  await page.keyboard.press("0");
  check("0 resets the zoom", (await page.evaluate(() => view.range)) === null);
  await page.locator("#sample-step").focus();
  const before = await page.textContent("#sample");
  await page.keyboard.press("Home");
  const samples = fs
    .readFileSync(path.join(work, "one/samples.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map(JSON.parse);
  check(
    "Home shows the first sample",
    (await page.textContent("#sample")) === samples[0].text && before === samples.at(-1).text
  );

  // the pointer
  await page.evaluate(() => scrollTo(0, 0)); // the sample is further down
  const box = await chart.locator(".plot").boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 100, { steps: 5 });
  await page.mouse.up();
  check(
    "dragging zooms",
    await page.evaluate(
      () =>
        view.range &&
        view.range[1] - view.range[0] < 100 &&
        charts[1].graph.xAxisRange()[1] === view.range[1]
    )
  );
  await page.click("#reset");
  check(
    "'Show all' resets the zoom",
    (await page.evaluate(() => view.range)) === null && (await page.isDisabled("#reset"))
  );
  const drawn = () =>
    page.evaluate(() => charts[0].graph.rawData_.map(r => r.at(-2)).filter(v => v !== null));
  await page.fill("#smoothing", "0");
  check(
    "smoothing 0 draws the raw losses",
    (await page.evaluate(() => charts[0].lines[0].line[9])) ===
      Number(metrics[9].loss.toPrecision(7)),
    [await page.evaluate(() => charts[0].lines[0].line[9]), metrics[9].loss]
  );
  await page.fill("#smoothing", "100");
  const rough = a => a.slice(1).reduce((s, v, i) => s + Math.abs(v - a[i]), 0);
  check(
    "smoothing 100 draws a smoother line",
    rough(await page.evaluate(() => charts[0].lines[0].line.slice(50))) <
      0.5 * rough(metrics.slice(50).map(m => m.loss)),
    (await drawn()).length
  );
  await page.check("#log-y");
  check(
    "the loss axis can be logarithmic",
    await page.evaluate(() => charts[0].graph.getOption("logscale"))
  );
  await page.check("#log-x");
  await page.selectOption("#axis", "tokens");
  check(
    "the x axis can show tokens",
    (await page.evaluate(() => charts[0].extent()[1])) === last.tokens
  );
  await page.selectOption("#axis", "seconds");
  check("the x axis can show time", (await page.evaluate(() => charts[0].extent()[1])) > 0);
  await page.selectOption("#tensor-kind", "ratio");
  check("tensors can show update ÷ weight", /^Update/.test(await page.textContent("#heat h3")));
  await page.focus("#heat canvas");
  for (let i = 0; i < 30; i++) await page.keyboard.press("ArrowDown");
  check(
    "keys select a tensor",
    (await page.inputValue("#tensor-group")) === "ln_f.weight",
    await page.inputValue("#tensor-group")
  );
  await page.context().close();
}
{
  const page = await open(file("both.html"));
  check("several runs share the charts", (await page.evaluate(() => charts[0].lines.length)) === 4);
  check(
    "differing settings are marked",
    (await page.textContent("#facts .differs")).includes("0.001")
  );
  await page.locator("#runs input").nth(1).uncheck();
  check("a run can be hidden", (await page.evaluate(() => charts[0].lines.length)) === 2);
  await page.context().close();
  const other = await open(file("two.html"));
  check(
    "a hostile sample is shown as text",
    (await other.textContent("#sample")) === hostile && !(await other.evaluate(() => window.hacked))
  );
  await other.context().close();
  const odd = await open(file("odd.html"));
  await odd.check("#log-x");
  await odd.check("#log-y");
  await odd.selectOption("#axis", "tokens");
  await odd.fill("#smoothing", "100");
  check(
    "unusual numbers and strings break nothing",
    errors.length === 0 &&
      !(await odd.evaluate(() => window.hacked)) &&
      (await odd.textContent("#facts")).includes("Machine"),
    errors
  );
  await odd.context().close();
}
{
  const times = [];
  let page;
  for (let i = 0; i < 5; i++) {
    if (page) await page.context().close();
    page = await open(file("long.html"));
    times.push(
      await page.evaluate(() => performance.getEntriesByType("navigation")[0].loadEventEnd)
    );
  }
  times.sort((a, b) => a - b);
  check(
    `100,000 steps open in under a second (${times.map(Math.round).join(", ")} ms)`,
    times[0] < 1000,
    times
  ); // the fastest: other processes only add time
  check(
    "a single spike is drawn",
    await page.evaluate(() =>
      charts[0].graph.rawData_.some(r =>
        r.slice(1).some(v => v && (Array.isArray(v) ? v[0] : v) === 9.25)
      )
    )
  );
  const zoom = await page.evaluate(() => {
    const t = [];
    for (let i = 0; i < 9; i++) {
      const s = performance.now();
      window.zoom([20000 + i * 2000, 70000]);
      t.push(performance.now() - s);
    }
    return t.sort((a, b) => a - b)[4];
  });
  check(`… and zoom in ${zoom.toFixed(0)} ms`, zoom < 100, zoom);
  await page.context().close();
}

// --- the live page ---
fs.writeFileSync(
  path.join(work, "slow.ini"),
  fs
    .readFileSync(path.join(work, "small.ini"), "utf8")
    .replace("steps = 200", "steps = 1000000")
    .replace("eval_every = 40", "eval_every = 100")
);
const training = spawn(handgrad, ["train", "slow.ini", "--out", "live"], {
  cwd: work,
  stdio: "ignore",
  env: { ...process.env, OMP_WAIT_POLICY: "passive" }
});
while (!fs.existsSync(path.join(work, "live/metrics.jsonl")))
  await new Promise(r => setTimeout(r, 50));
const server = spawn(handgrad, ["serve", "live", "--port", "0"], { cwd: work });
let url = "";
for await (const chunk of server.stdout) {
  url += chunk;
  if (url.includes("\n")) break;
}
url = url.split(" ")[0];
{
  const pages = await Promise.all([0, 1, 2].map(() => open(url)));
  const page = pages[0],
    step = p => p.evaluate(() => runs[0].data.last.step);
  const first = await step(page);
  await page.waitForFunction(
    s => runs[0].data.last.step > s + 20 && runs[0].data.samples.list.length > 0,
    first,
    { timeout: 60000 }
  );
  check("the live page follows the run", (await step(page)) > first + 20);
  check(
    "… shows its state",
    (await page.textContent("#status")).startsWith("live, step"),
    await page.textContent("#status")
  );
  const follows = p =>
    p
      .waitForFunction(s => runs[0].data.last.step > s, first, { timeout: 30000 })
      .then(
        () => true,
        () => false
      );
  check("… for every viewer", (await Promise.all(pages.map(follows))).every(Boolean));
  check(
    "… its charts grow",
    (await page.evaluate(() => charts[0].graph.xAxisExtremes()[1])) > first
  );
  check(
    "… and its tables equal those of a new page",
    await (async () => {
      const fresh = await open(url),
        n = Math.min(await step(page), await step(fresh));
      const head = p =>
        p.evaluate(
          k =>
            JSON.stringify(runs[0].data.steps.x.slice(0, k)) +
            JSON.stringify(runs[0].data.steps.columns.loss.mean.slice(0, k)),
          n - 1
        );
      const same = (await head(page)) === (await head(fresh));
      await fresh.context().close();
      return same;
    })()
  );
  if (shots) await page.screenshot({ path: path.join(shots, "live.png") });
  training.kill("SIGINT");
  await once(training, "exit");
  check("no error or warning so far", errors.length === 0, errors);
  server.kill("SIGINT");
  await once(server, "exit");
  await page.waitForFunction(
    () => document.getElementById("status").className.includes("lost"),
    null,
    { timeout: 20000 }
  );
  check(
    "a page without its server shows the lost connection and keeps its charts",
    (await ink(page, "#charts canvas")) > 1000
  );
  for (const p of pages) await p.context().close();
  errors.length = 0; // of requests without a server
}
// --- the lens and generated text ---
const tokens = 17,
  prefix = "line 7: the weight of h\n".slice(0, tokens),
  lensServer = spawn(handgrad, ["serve", "one", "--port", "0"], { cwd: work });
let lensUrl = "";
for await (const chunk of lensServer.stdout) {
  lensUrl += chunk;
  if (lensUrl.includes("\n")) break;
}
lensUrl = lensUrl.split(" ")[0];
// The reference is `handgrad grad` on the same tokens, read by h5dump. Its loss is the mean over
// positions, so its gradient of wpe.weight at a position, to which one embedded token contributes,
// is the mean of the gradients of the single losses.
const dump = name =>
  execFileSync("h5dump", ["-d", "/" + name, "-m", "%.17g", "-y", "-w", "1", "ids.h5"], {
    cwd: work,
    encoding: "utf8",
    maxBuffer: 1 << 26
  })
    .replace(/^[\s\S]*DATA \{/, "")
    .match(/-?[\d.]+(e[-+]\d+)?|nan|inf/g)
    .map(Number);
const ids = JSON.parse(run("tokens", "data/tokenizer.h5", prefix, "--json")).ids;
fs.writeFileSync(path.join(work, "ids.txt"), ids.join(" ") + "\n");
run("grad", "one/best.h5", "--ids", "ids.txt", "-o", "ids.h5");
const far = (a, b) =>
  a.length === b.length ? a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0) : Infinity;
{
  const page = await open(lensUrl);
  await page.selectOption("#lens-checkpoint", "best.h5");
  await page.fill("#lens-text", prefix);
  await page.locator("#lens-text").press("Control+Enter");
  await page.waitForFunction(
    n =>
      lens.inspection?.tokens.length === n &&
      /exactly zero/.test(document.getElementById("lens-zero").textContent),
    tokens
  );
  const T = tokens - 1,
    seen = await page.evaluate(async () => {
      const { parameters, inspection, layers } = lens,
        T = inspection.tokens.length,
        gradients = [];
      for (let position = 0; position < T - 1; position++)
        gradients.push(
          await (await ask("/lens/gradient", { ...parameters, position, vectors: 1 })).json()
        );
      return {
        ids: inspection.tokens.map(t => t.id),
        depths: inspection.depths,
        gradients,
        layers: layers.map(w => [...w])
      };
    });
  check(
    "lens: the tokens equal the tokenizer's",
    JSON.stringify(seen.ids) === JSON.stringify(ids),
    seen.ids
  );
  const V = dump("logits").length / T,
    logits = dump("logits"),
    last = seen.depths.at(-1).positions;
  const softmax = t => {
    const z = logits.slice(t * V, t * V + V),
      m = Math.max(...z),
      e = z.map(v => Math.exp(v - m)),
      s = e.reduce((a, b) => a + b);
    return e.map(v => v / s);
  };
  check(
    "lens: each loss equals the forward's",
    far(
      last.slice(0, T).map(p => p.loss),
      [...Array(T).keys()].map(t => -Math.log(softmax(t)[ids[t + 1]]))
    ) < 1e-5
  );
  check(
    "lens: the mean loss equals grad's",
    Math.abs(last.slice(0, T).reduce((a, p) => a + p.loss, 0) / T - dump("loss")[0]) < 1e-5,
    dump("loss")
  );
  check(
    "lens: the predictions equal the forward's",
    last.slice(0, T).every((p, t) => {
      const q = softmax(t),
        best = [...q].sort((a, b) => b - a);
      return p.top.every(
        (g, k) => Math.abs(g.p - q[g.id]) < 1e-5 && Math.abs(g.p - best[k]) < 1e-5
      );
    })
  );
  const C = seen.gradients[0].vectors[0].length,
    mean = Array(T * C).fill(0);
  for (const g of seen.gradients)
    g.vectors.slice(0, T).forEach((v, i) =>
      v.forEach((x, c) => {
        mean[i * C + c] += x / T;
      })
    );
  const wpe = dump("grads/wpe.weight").slice(0, T * C),
    size = Math.max(...wpe.map(Math.abs));
  check("lens: the gradients equal grad's", far(mean, wpe) < 1e-5 * size, [far(mean, wpe), size]);
  check(
    "lens: later tokens have no gradient",
    seen.gradients.every((g, t) => g.norms.every((n, i) => (i > t ? n === 0 : n > 0)))
  );
  check(
    "lens: weights sum to one and are exactly zero for later tokens",
    seen.layers.every(
      w =>
        w.every((x, i) => i % tokens <= Math.floor(i / tokens) % tokens || x === 0) &&
        [...Array(w.length / tokens).keys()].every(
          r => Math.abs(w.slice(r * tokens, (r + 1) * tokens).reduce((a, b) => a + b) - 1) < 1e-5
        )
    )
  );
  check(
    "lens: … and left blank there",
    await page.evaluate(
      n =>
        [...document.querySelectorAll("#lens-maps canvas")].length === 4 &&
        [...document.querySelectorAll("#lens-maps canvas")].every(c => {
          const p = c.getContext("2d").getImageData(0, 0, n, n).data;
          for (let q = 0; q < n; q++)
            for (let k = 0; k < n; k++) if ((p[4 * (q * n + k) + 3] === 0) !== k > q) return false;
          return true;
        }),
      tokens
    )
  );
  await page.locator("#lens-tokens button").nth(5).click();
  await page.waitForFunction(() => document.querySelectorAll("#lens-gradient tr").length > 6);
  check(
    "lens: a click shows the gradient of a loss",
    (await page.locator("#lens-gradient tr.later").allTextContents()).every(t =>
      t.endsWith("exactly 0")
    ) && (await page.locator("#lens-gradient tr.later").count()) === tokens - 6
  );
  await page.keyboard.press("ArrowRight");
  check("lens: arrow keys select a token", (await page.evaluate(() => lens.position)) === 6);
  await page.locator("#lens-maps button").nth(1).press("Enter");
  await page.locator("#lens-large canvas").focus();
  for (const key of ["ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
  check(
    "lens: arrow keys move over a map",
    (await page.textContent("#lens-read")).endsWith("exactly 0, later"),
    await page.textContent("#lens-read")
  );
  if (shots)
    await page.locator("#lens").screenshot({ path: path.join(shots, "lens-1600-light.png") });

  // generated text is streamed and equals that of the command
  const options = { tokens: 60, temperature: 0.7, top_k: 5, top_p: 0.9, seed: 3 };
  for (const [name, value] of Object.entries(options))
    await page.fill("#write-" + name, String(value));
  await page.fill("#write-prompt", "line 1");
  await page.click("#write-go");
  await page.waitForFunction(
    () =>
      document.getElementById("write-go").textContent === "Generate" &&
      document.getElementById("written").textContent.length > 20
  );
  const written = run(
    "sample",
    "one/best.h5",
    "--prompt",
    "line 1",
    "--tokens",
    "60",
    "--temperature",
    "0.7",
    "--top-k",
    "5",
    "--top-p",
    "0.9",
    "--seed",
    "3"
  );
  check(
    "the page generates the text of `handgrad sample`",
    (await page.textContent("#written")).trim() === written.trim(),
    [await page.textContent("#written"), written]
  );
  await page.fill("#write-tokens", "10000");
  await page.click("#write-go");
  await page.waitForFunction(() => document.getElementById("written").textContent.length > 100);
  check("… as a stream", (await page.textContent("#write-go")) === "Stop");
  await page.click("#write-go");
  await page.waitForFunction(() => document.getElementById("write-go").textContent === "Generate");
  check("… and stops on request", (await page.textContent("#written")).length < 9000);
  check("lens: no error or warning", errors.length === 0, errors);
  errors.length = 0;
  await page.fill("#lens-text", "line ".repeat(20));
  await page.locator("#lens-text").press("Control+Enter");
  await page.waitForFunction(() =>
    /^the last 32 of 100 tokens/.test(document.getElementById("lens-note").textContent)
  );
  check("lens: of a text that is too long, the end is read", await page.isVisible("#lens-result"));
  const before = (await page.locator("#write-prompt").boundingBox()).height;
  await page.fill("#write-prompt", "one\ntwo\nthree\nfour");
  check(
    "the prompt grows with its text",
    (await page.locator("#write-prompt").boundingBox()).height > before + 40
  );
  const bars = await page.evaluate(() =>
    [...document.querySelectorAll("#lens-next td.bar")].every(td => {
      const range = document.createRange();
      range.selectNode(td.firstChild);
      return range.getBoundingClientRect().right <= td.querySelector("i").getBoundingClientRect().left;
    })
  );
  check("lens: no number lies under a bar", bars);
  await page.context().close();
  for (const [width, dark] of [
    [400, false],
    [400, true],
    [1600, true]
  ]) {
    const other = await open(lensUrl, { width, dark });
    await other.waitForFunction(() => lens.inspection);
    check(
      `lens, ${width} pixels: it opens in the middle`,
      await other.evaluate(() => lens.position === (lens.inspection.tokens.length - 1) >> 1)
    );
    await other.fill("#lens-text", prefix);
    await other.locator("#lens-text").press("Control+Enter");
    await other.waitForFunction(
      n =>
        lens.inspection?.tokens.length === n &&
        /exactly zero/.test(document.getElementById("lens-zero").textContent),
      tokens
    );
    await other.locator("#lens-maps button").nth(1).click();
    const [map, large] = [
      await other.locator("#lens-maps button").nth(1).boundingBox(),
      await other.locator("#lens-large").boundingBox()
    ];
    check(
      `lens, ${width} pixels: the enlarged map opens next to the map`,
      width > 900 ? large.x > map.x : Math.abs(large.y - (map.y + map.height)) < 40,
      [map, large]
    );
    check(
      `lens, ${width} pixels, ${dark ? "dark" : "light"}: nothing is wider than the page`,
      await fits(other)
    );
    if (shots)
      await other
        .locator("#lens")
        .screenshot({ path: path.join(shots, `lens-${width}-${dark ? "dark" : "light"}.png`) });
    await other.context().close();
  }
}
lensServer.kill("SIGINT");
await once(lensServer, "exit");
await browser.close();
fs.rmSync(work, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
