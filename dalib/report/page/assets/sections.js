// One function per section; each returns nodes for the state that is picked.
const by = name => DATA.metrics.find(m => m.name === name);
const factor = m => m.unit === "%" ? 100 : 1;
const minus = text => text.replace(/-/g, "−");
function shown(m, v, like = v) {
  if (!Number.isFinite(v)) return "–";
  if (m.unit === "%") return fixed(100 * v, 1);
  const size = Math.abs(like);
  if (size > 0 && size < 1e-4) return minus(v.toExponential(2));
  return minus(fixed(v, size ? Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))) : 2));
}
function signed(m, v) {
  if (!Number.isFinite(v)) return "–";
  if (m.unit !== "%") return (v >= 0 ? "+" : "") + shown(m, v);
  const round = Number(fixed(100 * v, 1)) + 0;
  return (round >= 0 ? "+" : "−") + Math.abs(round).toFixed(1);
}
function cellText(m, cell) {
  if (!cell.values.size) return cell.failed ? `failed ${cell.failed}/${cell.expected}` : cell.unavailable ? "n/a" : "–";
  const sd = cellStd(cell);
  return shown(m, cellMean(cell)) + (Number.isNaN(sd) ? "" : ` ± ${shown(m, sd, cellMean(cell))}`) + (complete(cell) ? "" : ` (${cell.values.size}/${cell.expected})`);
}
const section = (id, title, ...children) => h("section", {id, "aria-labelledby": `${id}-h`}, h("h2", {id: `${id}-h`}, title), children);
const note = text => h("p", {cls: "note"}, text);
const empty = text => h("p", {cls: "empty"}, text);
const filtered = rows => { const f = STATE.filter.toLowerCase(); return rows.filter(r => !f || r.label.toLowerCase().includes(f) || DATA.rows[r.row].algorithm.toLowerCase().includes(f)); };
function choice(label, values, value, change) {
  return h("label", {}, label, " ", h("select", {onchange: e => change(e.target.value)}, values.map(([v, t]) => h("option", {value: v, selected: String(v) === String(value)}, t))));
}

function columnsOf(m, rows) {
  const tasks = STATE.tasks.map((t, i) => ({head: DATA.tasks[t].short, title: DATA.tasks[t].name, value: r => m.sign * cellMean(r.cells[i]), text: r => cellText(m, r.cells[i]), task: t, cell: i, digits: r => r.cells[i]}));
  const base = DATA.baseline ? [{head: `vs ${DATA.baseline}`, value: r => m.sign * r.gain, text: r => r.label === DATA.baseline ? "baseline" : Number.isNaN(r.gain) ? "–" : signed(m, r.gain) + (m.sign * r.gain < -NOTHING ? " ▼" : "")}] : [];
  return [
    {head: "Algorithm", value: r => r.label, text: r => r.label, title: "row of the suite"}, ...tasks,
    {head: "Average", value: r => m.sign * r.average.mean, text: r => r.done ? shown(m, r.average.mean) + (Number.isNaN(r.average.std) ? "" : ` ± ${shown(m, r.average.std, r.average.mean)}`) : Number.isNaN(r.average.mean) ? "–" : shown(m, r.average.mean) + "*", average: true},
    {head: "Rank", value: r => -r.rank, text: r => Number.isNaN(r.rank) ? "–" : fixed(r.rank, 1)}, ...base,
    {head: "n", value: r => r.cells.reduce((k, c) => k + c.values.size, 0), text: r => { const n = new Set(r.cells.map(c => c.values.size)); return r.done && n.size === 1 ? String([...n][0]) : `${r.cells.reduce((k, c) => k + c.values.size, 0)}/${r.cells.reduce((k, c) => k + c.expected, 0)} runs`; }},
  ];
}
function drawTable(m, all) {
  const columns = columnsOf(m, all), {column, up} = STATE.sort, by = columns.find(c => c.head === column);
  let rows = filtered(all);
  if (by) rows = [...rows].sort((a, b) => {
    const [x, y] = [by.value(a), by.value(b)];
    if (typeof x === "string") return up ? x.localeCompare(y) : y.localeCompare(x);
    return Number.isNaN(x) - Number.isNaN(y) || (up ? x - y : y - x);
  }); else rows = [...rows.filter(r => !r.reference), ...rows.filter(r => r.reference)];
  const ranked = all.filter(r => r.competes), top = c => ranked.length < 2 ? "" : shown(m, Math.max(...ranked.map(r => c.value(r))) * m.sign);
  const best = new Map(columns.filter(c => c.digits || c.average).map(c => [c, top(c)]));
  const isBest = (c, r) => best.has(c) && r.competes && best.get(c) === shown(m, m.sign * c.value(r));
  const head = h("tr", {}, columns.map(c => h("th", {scope: "col", title: c.title, "aria-sort": column === c.head ? (up ? "ascending" : "descending") : "none"},
    h("button", {type: "button", onclick: () => { STATE.sort = column === c.head ? {column: c.head, up: !up} : {column: c.head, up: typeof c.value(all[0] || {}) === "string"}; draw("results"); }}, c.head + (column === c.head ? (up ? " ▲" : " ▼") : "")))));
  const body = rows.map(r => h("tr", {cls: r.reference ? "reference" : ""}, columns.map((c, i) => {
    const cls = [isBest(c, r) ? "best" : "", (c.digits ? !complete(c.digits(r)) : !r.done && i) ? "dim" : "", c.text(r).endsWith("▼") ? "worse" : ""].join(" ").trim();
    const open = i === 0 ? () => openRuns(r.row, null) : c.digits ? () => openRuns(r.row, c.task) : null;
    return i === 0 ? h("th", {scope: "row", cls, title: r.reference ? "uses target labels (reference)" : DATA.rows[r.row].algorithm}, h("button", {type: "button", onclick: open}, c.text(r)))
      : h("td", {cls}, open ? h("button", {type: "button", onclick: open, "aria-label": `${r.label}, ${c.title}: ${c.text(r)}, open its runs`}, c.text(r)) : c.text(r));
  })));
  const broken = DATA.records.filter(r => r.status !== "ok").length, gone = DATA.runs.filter(r => r[3].includes(-1)).length;
  return section("results", "Results", h("div", {cls: "frame"}, h("table", {}, h("caption", {cls: "skip"}, "Results"), h("thead", {}, head), h("tbody", {}, body))),
    note(`${m.words}, mean ± standard deviation over seeds; ${ruleWords(STATE.rule)}. ${rows.length} of ${all.length} rows, ${STATE.tasks.length} of ${DATA.tasks.length} tasks. Rank: mean over tasks among complete rows that use no target labels (the others are in italics). A number opens its runs.` + (broken || gone ? ` ${broken} runs failed, ${gone} are missing.` : "")), note(DATA.caption));
}
const ruleWords = rule => { const words = (DATA.rules.find(r => r.name === rule) || {}).words || rule; return rule === "oracle" ? `oracle: the best point by ${STATE.metric}${STATE.metric.startsWith("target_") ? ", TARGET TEST LABELS" : ""}, an upper bound, not attainable in practice` : words; };

function drawSummary(m, all) {
  const f = factor(m), rows = filtered(all).filter(r => r.done).sort((a, b) => m.sign * (b.average.mean - a.average.mean));
  if (!rows.length) return section("summary", "Summary", empty("No row is complete on the picked tasks."));
  const values = rows.map(r => ({name: r.label, at: f * r.average.mean, low: f * r.interval[0], high: f * r.interval[1], hollow: r.reference, hint: `${r.label}: ${shown(m, r.average.mean)}, 95 % ${shown(m, r.interval[0])} … ${shown(m, r.interval[1])}`}));
  const over = rows.filter(r => Number.isFinite(r.gain)).map(r => { const better = m.sign > 0 ? r.over[0] > NOTHING : r.over[1] < -NOTHING, worse = m.sign > 0 ? r.over[1] < -NOTHING : r.over[0] > NOTHING;
    return {name: r.label, at: f * r.gain, low: f * r.over[0], high: f * r.over[1], hollow: r.reference, colour: better ? "--c2" : worse ? "--c1" : "--dim", hint: `${r.label}: ${signed(m, r.gain)}, 95 % ${signed(m, r.over[0])} … ${signed(m, r.over[1])}`}; });
  const ranked = rows.filter(r => r.competes).map(r => ({name: r.label, rank: r.rank})).sort((a, b) => a.rank - b.rank);
  const cd = DATA.q[ranked.length] / Math.sqrt(STATE.tasks.length);
  return section("summary", "Summary", h("div", {cls: "two"}, h("div", {}, h("h3", {}, "Averages"), dotPlot(values, `${m.words}, 95 % over seeds`)),
    over.length ? h("div", {}, h("h3", {}, `Gains over ${DATA.baseline}`), dotPlot(over, `difference in ${m.steps}, 95 % over seeds`, {zero: true})) : null),
    note("Intervals are over seeds, with these tasks as they are. Green: all of it is an advantage; orange: all of it is a loss (negative transfer); hollow: uses target labels."),
    ranked.length > 1 && !STATE.filter ? [h("h3", {}, "Are the ranks different?"), criticalDifference(ranked, cd), note(`Average ranks over ${STATE.tasks.length} tasks; a bar joins rows that Nemenyi's test at 5 % does not tell apart.` + (STATE.tasks.length < 5 ? " So few tasks tell hardly anything apart." : ""))] : null);
}

const someRows = (all, most) => { const m = by(STATE.metric), base = all.filter(r => r.label === DATA.baseline); return base.concat(filtered(all).filter(r => r.label !== DATA.baseline && Number.isFinite(r.average.mean)).sort((a, b) => m.sign * (b.average.mean - a.average.mean))).slice(0, most); };
function drawTraining(m, all) {
  const at = DATA.metrics.indexOf(m), f = factor(m), picks = DATA.picks[STATE.rule === "oracle" ? `oracle ${m.name}` : STATE.rule];
  const task = STATE.tasks.includes(STATE.trainTask) ? STATE.trainTask : STATE.tasks[0];
  const lines = someRows(all, 8).map(r => {
    const sums = new Map(), chosen = [];
    r.cells[STATE.tasks.indexOf(task)].runs.forEach(i => {
      const record = DATA.records[DATA.runs[i][3][0]];
      if (!record) return;
      record.candidates.forEach((c, n) => { if (c[1][at] !== null) sums.set(c[0], (sums.get(c[0]) || []).concat(f * c[1][at])); if (picks[i] === n && c[1][at] !== null) chosen.push([c[0], f * c[1][at]]); });
    });
    return {name: r.label, points: [...sums].sort((a, b) => a[0] - b[0]).map(([step, v]) => [step, mean(v)]), chosen};
  }).filter(l => l.points.length > 1);
  const pick = h("div", {cls: "pick"}, choice("Task", STATE.tasks.map(t => [t, DATA.tasks[t].name]), task, v => { STATE.trainTask = +v; draw("training"); }));
  return section("training", "Over training", pick, lines.length ? [lineChart(lines, "step", m.words), note(`Mean over seeds at every evaluation point of ${lines.length} rows (the baseline and the best; filter for others). Rings: what ${STATE.rule} selects, one per seed.`)] : empty("No run has more than one evaluation point; train.evaluations = 5 in the suite makes five."));
}
function drawCost(m, all) {
  const dots = someRows(all, Infinity).filter(r => filtered(all).includes(r)).map(r => { const fits = DATA.runs.filter(g => g[0] === r.row && STATE.tasks.includes(g[1])).map(g => DATA.records[g[3][0]]).filter(x => x && x.status === "ok").map(x => x.seconds.fit).filter(Number.isFinite).sort((a, b) => a - b);
    return {name: r.label, points: [[fits.length ? fits[Math.floor(fits.length / 2)] : NaN, factor(m) * r.average.mean]], hint: `${r.label}: ${shown(m, r.average.mean)}, ${fits.length ? short(fits[Math.floor(fits.length / 2)]) : "?"} s`}; }).filter(d => d.points[0].every(Number.isFinite) && d.points[0][0] > 0);
  return section("cost", "Against cost", dots.length ? [lineChart(dots, "seconds of a fit, median", m.words, {logX: true, dots: true, width: 860, height: 420}), note("Wall clock of the machines that ran it, beside whatever else they did. Where names would cover each other, those of the best rows stand: point at a dot for others, or filter rows.")] : empty("No run tells its seconds."));
}
function drawValidators() {
  const metric = Object.keys(DATA.validators)[0];
  if (!metric) return section("validators", "Validators", empty("Runs have one evaluation point each, so there is nothing to choose; set train.evaluations in the suite."));
  const m = by(metric), f = factor(m), lines = DATA.validators[metric];
  return section("validators", "Validators against " + metric.replace(/_/g, " "), h("div", {cls: "two"},
    h("div", {}, h("h3", {}, "What each rule selects"), dotPlot(lines.map(r => ({name: r.rule, at: f * r.accuracy, low: f * (r.low ?? NaN), high: f * (r.high ?? NaN), hollow: r.rule === "oracle", colour: ["oracle", "last"].includes(r.rule) ? "--c1" : "--c0", hint: `${r.rule}: regret ${shown(m, r.regret)}, rank correlation ${r.correlation ?? "–"}`})), `${m.words} of the selected model`)),
    h("div", {}, h("h3", {}, "Rank correlation of score and metric"), dotPlot(lines.filter(r => r.correlation !== null && r.rule !== "oracle").sort((a, b) => b.correlation - a.correlation).map(r => ({name: r.rule, at: r.correlation, low: NaN, high: NaN})), "Spearman's ρ within runs", {zero: true}))),
    note("Over all rows that use no target labels, all tasks and seeds. The oracle reads target test labels; dalib table --validators has every number."));
}

function recalls(row, task) {           // mean over seeds, by class
  const sums = new Map();
  DATA.runs.forEach(([r, t, , records]) => { const found = r === row && t === task && DATA.records[records[0]]; ((found && found.classes) || []).forEach((c, k) => { if (c && c[0] >= 0) sums.set(k, (sums.get(k) || []).concat(c[0] / 1e4)); }); });
  return new Map([...sums].map(([k, v]) => [k, mean(v)]));
}
function drawClasses(m, all) {
  if (!DATA.classes.length) return section("classes", "Classes", empty("The records hold no numbers by class: labels here are no classes."));
  const tasks = STATE.classTask === "all" ? STATE.tasks : [STATE.classTask].filter(t => STATE.tasks.includes(t)).concat(STATE.tasks).slice(0, 1);
  const base = DATA.rows.findIndex(r => r.label === DATA.baseline), rows = filtered(all).filter(r => r.row !== base), before = new Map(tasks.map(t => [t, recalls(base, t)]));
  const gains = rows.map(r => { const by = new Map(); for (const t of tasks) for (const [k, v] of recalls(r.row, t)) if (base < 0 || before.get(t).has(k)) by.set(k, (by.get(k) || []).concat(base < 0 ? v : v - before.get(t).get(k))); return new Map([...by].map(([k, v]) => [k, mean(v)])); });
  const pick = h("div", {cls: "pick"}, choice("Task", [["all", "mean of the picked tasks"], ...STATE.tasks.map(t => [t, DATA.tasks[t].name])], STATE.classTask, v => { STATE.classTask = v === "all" ? v : +v; draw("classes"); }));
  return section("classes", base < 0 ? "Recall by class" : `Gains by class over ${DATA.baseline}`, pick, heatMap(rows.map(r => r.label), DATA.classes, (i, j) => gains[i].has(j) ? {at: gains[i].get(j) * (base < 0 ? 1 : 2.5), text: `${rows[i].label}, ${DATA.classes[j]}: ${base < 0 ? (100 * gains[i].get(j)).toFixed(1) : signed({unit: "%"}, gains[i].get(j)) + " points of recall"}`} : null, "gains by class", {signed: true}),
    note("Recall on the target's test rows at the end of training, mean over seeds; blue: more than the baseline, orange: less, full colour from 40 points on. Point at a field for its number."));
}
function drawConfusion() {
  const places = Object.keys(DATA.confusions).map(k => k.split("/").map(Number)).filter(([, t]) => STATE.tasks.includes(t));
  if (!places.length) return section("confusion", "Confusion", empty(`What is taken for what needs the outputs of the runs, which dalib export leaves out. They lie beside the records of a store: dalib report ${DATA.suite} --store results/runs. In Python: dalib.plots.confusion(fitted, task). Recall and precision by class open with any number of the table.`));
  const [row, task] = places.find(([r, t]) => r === STATE.mapRow && t === STATE.mapTask) || places[0], cells = DATA.confusions[`${row}/${task}`], sums = new Map(), size = Math.max(...cells.map(c => Math.max(c[0], c[1]))) + 1;
  const names = [...Array(size)].map((_, k) => DATA.classes[k] ?? `class ${k}`), found = new Map(cells.map(([i, j, n]) => [`${i}/${j}`, n]));
  for (const [i, , n] of cells) sums.set(i, (sums.get(i) || 0) + n);
  const pick = h("div", {cls: "pick"}, choice("Row", [...new Set(places.map(p => p[0]))].map(r => [r, DATA.rows[r].label]), row, v => { STATE.mapRow = +v; STATE.mapTask = task; draw("confusion"); }), choice("Task", [...new Set(places.map(p => p[1]))].map(t => [t, DATA.tasks[t].name]), task, v => { STATE.mapTask = +v; STATE.mapRow = row; draw("confusion"); }));
  return section("confusion", "Confusion", pick, heatMap(names, names, (i, j) => { const n = found.get(`${i}/${j}`); return n ? {at: n / sums.get(i), text: `${names[i]} called ${names[j]}: ${n} of ${sums.get(i)}`} : null; }, "confusion matrix"), note("True classes down, what they are called across; all seeds together, at the end of training."));
}
function drawMaps() {
  const maps = DATA.maps.filter(x => STATE.tasks.includes(x.task));
  if (!maps.length) return section("maps", "Feature maps", empty(`Maps of z need the features of the runs: keep_features = true in the suite, run with a store (--redo all for runs that are there). In Python, for one model: dalib.plots.features(fitted, task, method="tsne").`));
  const task = maps.some(x => x.task === STATE.zTask) ? STATE.zTask : maps[0].task, colour = STATE.zColour || "domain";
  const pick = h("div", {cls: "pick"}, choice("Task", [...new Set(maps.map(x => x.task))].map(t => [t, DATA.tasks[t].name]), task, v => { STATE.zTask = +v; draw("maps"); }), choice("Colour", [["domain", "by domain"], ["class", "by true class"]], colour, v => { STATE.zColour = v; draw("maps"); }));
  return section("maps", "Feature maps", pick, h("div", {cls: "maps"}, maps.filter(x => x.task === task).map(x => scatter(x.points, colour, DATA.classes.length, `${DATA.rows[x.row].label}, ${x.method === "pca" ? "PCA" : "t-SNE"}`))), note("Circles: held-out source rows; triangles: target. The baseline is before adaptation, the best row after; first seed, at most 250 rows each. Distances between far points of a t-SNE say nothing."));
}
function drawTroubles() {
  const where = new Map();
  DATA.runs.forEach(([row, task, seed, records]) => records.forEach(k => { if (k >= 0 && !where.has(k)) where.set(k, `${DATA.rows[row].label}, ${DATA.tasks[task].name}, seed ${seed}`); }));
  const kinds = new Map(), kind = w => w.replace(/\d+(\.\d+)?/g, "…");   // warnings that differ in numbers only are of one kind
  DATA.records.forEach((r, k) => (r.warnings || []).forEach(w => kinds.set(kind(w), (kinds.get(kind(w)) || []).concat([[w, where.get(k), k]]))));
  const told = all => [...new Set(all.map(a => a[0]))], runs = (all, w) => all.filter(a => a[0] === w).map(a => a[1]).join("; ");
  const broken = DATA.records.map((r, k) => [r, k]).filter(([r]) => r.error);
  return section("troubles", "Warnings and failed runs", kinds.size ? [...kinds].sort((a, b) => b[1].length - a[1].length).map(([name, all]) => { const texts = told(all); return h("details", {}, h("summary", {}, texts.length > 1 ? name : texts[0], h("span", {cls: "count"}, ` in ${new Set(all.map(a => a[2])).size} run${all.length > 1 ? "s" : ""}`)), texts.map(w => h("p", {cls: "note"}, texts.length > 1 ? `${w}: ${runs(all, w)}` : runs(all, w)))); }) : note("No run warned."),
    broken.length ? broken.map(([r, k]) => h("details", {}, h("summary", {}, `${where.get(k)}: ${r.error.type}: ${r.error.message}`), h("pre", {}, r.error.traceback || "no traceback was kept"))) : note("No run failed."));
}
function drawSettings() {
  const f = STATE.filter.toLowerCase();
  return section("settings", "Settings of every row", DATA.rows.filter(r => !f || r.label.toLowerCase().includes(f) || r.algorithm.toLowerCase().includes(f)).map(r => {
    const defaults = new Set(r.defaults || []), box = h("details", {}, h("summary", {}, r.label, h("span", {cls: "count"}, ` ${r.algorithm}, ${r.protocol || "no run yet"}`)));
    box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(h("pre", {}, `dalib run ${DATA.suite} --only ${quoted(r.label)} --redo all`), h("dl", {}, Object.entries(r.settings).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {cls: defaults.has(k) ? "dim" : ""}, typeof v === "string" ? v || "–" : JSON.stringify(v))])), r.varies.length ? note(`Differs between its runs: ${r.varies.join(", ")}; each run's command has it.`) : null, note("Dim: the recipe's default.")); });
    return box;
  }));
}
const quoted = text => /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'"'"'`)}'`;
