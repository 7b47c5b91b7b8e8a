// The runs behind a number, in a dialog; the address names them, so that a run can be linked.
function commandOf(record, task, seed) {
  const t = DATA.tasks[task];
  return DATA.settings[record.setting].command.replace("--source SOURCE_DOMAIN", () => `--source ${t.source}`).replace("--target TARGET_DOMAIN", () => `--target ${t.target}`) + ` --seed ${seed}`;
}
function openRuns(row, task) {
  const box = document.getElementById("runs"), m = by(STATE.metric), groups = DATA.runs.map((g, i) => [g, i]).filter(([g]) => g[0] === row && (task === null || g[1] === task));
  const close = h("button", {type: "button", onclick: () => box.close()}, "Close");
  const picks = DATA.picks[STATE.rule === "oracle" ? `oracle ${m.name}` : STATE.rule];
  box.replaceChildren(h("div", {cls: "bar-top"}, h("h2", {}, `${DATA.rows[row].label}${task === null ? "" : `, ${DATA.tasks[task].name}`}`), close),
    ...groups.flatMap(([[, t, seed, records], i]) => records.map((k, draw) => runPart(k < 0 ? null : DATA.records[k], t, seed, draw, picks[i], m, task !== null && draw === 0))));
  history.replaceState(null, "", `#run=${row}${task === null ? "" : `/${task}`}`);
  if (!box.open) box.showModal();
}
function runPart(record, task, seed, draw, pick, m, open) {
  const title = `${DATA.tasks[task].name}, seed ${seed}${draw ? `, draw ${draw} of the search` : ""}`;
  if (!record) return h("p", {}, `${title}: no record yet`);
  const chosen = Math.floor(pick / DRAW) === draw && pick >= 0 ? pick % DRAW : -1, at = DATA.metrics.indexOf(m), last = record.candidates[record.candidates.length - 1];
  const said = record.error ? `failed: ${record.error.type}` : last ? `${shown(m, chosen >= 0 ? record.candidates[chosen][1][at] ?? NaN : last[1][at] ?? NaN)}${chosen >= 0 ? ` by ${STATE.rule}` : " at the end"}` : "";
  const box = h("details", {open}, h("summary", {}, title, h("span", {cls: "count"}, ` ${said}`)));
  const fill = () => {
    if (box.children.length > 1) return;
    const setting = DATA.settings[record.setting];
    box.append(h("h3", {}, "Run it again"), h("pre", {}, commandOf(record, task, seed)), h("button", {type: "button", onclick: e => { const b = e.target, text = commandOf(record, task, seed); (navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject()).then(() => { b.textContent = "Copied"; }, () => { b.textContent = "Select the text and copy it"; }); }}, "Copy"));
    if (record.error) box.append(h("h3", {}, "Failed"), h("pre", {}, `${record.error.type}: ${record.error.message}\n\n${record.error.traceback || ""}`));
    for (const w of record.warnings || []) box.append(h("p", {cls: "worse"}, w));
    if (record.candidates.length) {
      const metrics = DATA.metrics.map((x, j) => [x, j]).filter(([, j]) => record.candidates.some(c => c[1][j] !== null)), scores = DATA.scores.map((x, j) => [x, j]).filter(([, j]) => record.candidates.some(c => c[2][j] !== null));
      box.append(h("h3", {}, "Evaluation points"), h("div", {cls: "frame"}, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "step"), record.candidates.map((c, n) => h("th", {cls: n === chosen ? "best" : ""}, c[0] + (n === chosen ? " ✓" : ""))))),
        h("tbody", {}, metrics.map(([x, j]) => h("tr", {}, h("th", {scope: "row"}, x.name), record.candidates.map((c, n) => h("td", {cls: n === chosen ? "open" : ""}, shown(x, c[1][j] ?? NaN))))), scores.map(([x, j]) => h("tr", {}, h("th", {scope: "row", cls: "dim"}, `score: ${x}`), record.candidates.map(c => h("td", {cls: "dim"}, c[2][j] === null ? "–" : short(c[2][j])))))))));
    }
    if (record.curve && record.curve.step.length > 1) {
      const terms = Object.keys(record.curve).filter(k => k !== "step"), positive = terms.every(k => record.curve[k].every(v => v > 0));
      box.append(h("h3", {}, "Loss terms"), lineChart(terms.map(k => ({name: k, points: record.curve.step.map((x, i) => [x, record.curve[k][i]]).filter(p => Number.isFinite(p[1]) && p[1] !== null)})), "step", positive ? "loss, logarithmic" : "loss", {logY: positive, height: 240}));
    }
    if (record.classes) box.append(h("h3", {}, "Classes, lowest recall first"), h("div", {cls: "frame"}, h("table", {}, h("thead", {}, h("tr", {}, ["class", "rows", "recall", "precision"].map(x => h("th", {}, x)))), h("tbody", {}, record.classes.map((c, k) => [c, k]).filter(([c]) => c).sort((a, b) => a[0][0] - b[0][0]).map(([c, k]) => h("tr", {}, h("th", {scope: "row"}, DATA.classes[k]), h("td", {}, c[2]), h("td", {}, c[0] < 0 ? "–" : (c[0] / 100).toFixed(1)), h("td", {}, c[1] < 0 ? "–" : (c[1] / 100).toFixed(1))))))));
    const facts = {...Object.fromEntries(Object.entries(record.seconds).map(([k, v]) => [`seconds, ${k}`, v])), ...Object.fromEntries(Object.entries(setting.counts).map(([k, v]) => [`rows or numbers, ${k}`, v])), ...setting.provenance, "record": record.key + "…"};
    box.append(h("h3", {}, "Facts"), h("dl", {}, Object.entries(facts).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, typeof v === "object" ? JSON.stringify(v) : String(v))])));
  };
  box.addEventListener("toggle", () => { if (box.open) fill(); });
  if (open) fill();
  return box;
}
