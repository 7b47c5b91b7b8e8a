// The page: what is picked, and the sections drawn for it; those below are drawn when the browser has time.
let DATA = JSON.parse(document.getElementById("data").textContent);
const STATE = {metric: DATA.metric, rule: DATA.select, tasks: DATA.tasks.map((_, i) => i), filter: "", sort: {column: "", up: false}, classTask: "all"};
const SECTIONS = {results: ["Results", drawTable], summary: ["Summary", drawSummary], training: ["Over training", drawTraining], cost: ["Against cost", drawCost], validators: ["Validators", drawValidators],
  classes: ["Classes", drawClasses], confusion: ["Confusion", drawConfusion], maps: ["Feature maps", drawMaps], pictures: ["Pictures", drawPictures], troubles: ["Warnings, failures", drawTroubles], settings: ["Settings", drawSettings]};
let waiting = 0;
function rowsNow() { return tabulate(DATA, STATE.metric, STATE.rule, STATE.tasks); }
function draw(only) {
  const m = by(STATE.metric), all = rowsNow(), main = document.getElementById("main");
  const put = id => { const node = SECTIONS[id][1](m, all), old = document.getElementById(id), focus = old && old.contains(document.activeElement) ? [...old.querySelectorAll("button,select,summary")].indexOf(document.activeElement) : -1;
    if (old) old.replaceWith(node); else main.append(node);
    if (focus >= 0) { const same = node.querySelectorAll("button,select,summary")[focus]; if (same) same.focus(); } };
  if (only) { put(only); return; }
  clearTimeout(waiting);
  const ids = Object.keys(SECTIONS);
  put(ids[0]);
  const next = n => { if (n < ids.length) waiting = setTimeout(() => { put(ids[n]); next(n + 1); }, 0); else document.body.dataset.drawn = "yes"; };
  next(1);
}
function picks() {
  const set = change => { change(); draw(); };
  const tasks = h("details", {cls: "tasks"}, h("summary", {}, `Tasks: ${STATE.tasks.length} of ${DATA.tasks.length}`));
  const boxes = DATA.tasks.map((t, i) => h("input", {type: "checkbox", value: i, checked: STATE.tasks.includes(i), onchange: () => { const on = boxes.filter(b => b.checked).map(b => +b.value); if (!on.length) { boxes[i].checked = true; return; } tasks.firstChild.textContent = `Tasks: ${on.length} of ${DATA.tasks.length}`; set(() => { STATE.tasks = on; }); }}));
  const turn = on => () => { boxes.forEach((b, i) => { b.checked = on || !i; }); boxes[0].dispatchEvent(new Event("change")); };
  tasks.append(h("div", {}, h("span", {}, h("button", {type: "button", onclick: turn(true)}, "All"), " ", h("button", {type: "button", onclick: turn(false)}, "First only")), DATA.tasks.map((t, i) => h("label", {}, boxes[i], t.name))));
  const theme = () => { const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; root.dataset.theme = dark ? "light" : "dark"; };
  document.getElementById("picks").replaceChildren(
    h("label", {}, "Filter rows ", h("input", {type: "search", id: "filter", placeholder: "name or algorithm", value: STATE.filter, oninput: e => set(() => { STATE.filter = e.target.value; })})),
    choice("Metric", DATA.metrics.map(x => [x.name, x.name.replace(/_/g, " ")]), STATE.metric, v => set(() => { STATE.metric = v; })),
    choice("Selection", DATA.rules.map(x => [x.name, x.name === "oracle" ? "oracle (target labels)" : x.name.replace(/_/g, " ")]), STATE.rule, v => set(() => { STATE.rule = v; })),
    tasks, h("button", {type: "button", onclick: theme}, "Light / dark"));
}
function start() {
  document.getElementById("sub").textContent = `${DATA.suite}: ${DATA.rows.length} rows × ${DATA.tasks.length} tasks, ${DATA.records.length} records; dataset ${DATA.dataset}; page made ${DATA.made.replace("T", " ").slice(0, 16)}`;
  document.getElementById("nav").replaceChildren(...Object.entries(SECTIONS).map(([id, [name]]) => h("a", {href: `#${id}`}, name)));
  picks(); draw();
}
document.getElementById("picks").addEventListener("submit", e => e.preventDefault());
document.getElementById("runs").addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
document.addEventListener("click", e => { const open = document.querySelector("details.tasks[open]"); if (open && !open.contains(e.target)) open.open = false; });
document.addEventListener("keydown", e => { if (e.key === "/" && !/INPUT|SELECT/.test(document.activeElement.tagName)) { e.preventDefault(); document.getElementById("filter").focus(); } });
start();
const asked = /^#run=(\d+)(?:\/(\d+))?$/.exec(location.hash);
if (asked && DATA.rows[asked[1]] && (asked[2] === undefined || DATA.tasks[asked[2]])) openRuns(+asked[1], asked[2] === undefined ? null : +asked[2]);
if (document.body.dataset.live) {
  let stamp = DATA.stamp;
  const look = async () => {
    try {
      const ask = path => fetch(path + location.search, {cache: "no-store"}).then(a => a.ok ? a.json() : Promise.reject());
      const now = await ask("stamp");
      if (now.stamp !== stamp) { DATA = await ask("data"); stamp = DATA.stamp; STATE.tasks = STATE.tasks.filter(t => DATA.tasks[t]); start(); }
      document.body.dataset.live = "yes";
    } catch { document.body.dataset.live = "gone"; document.getElementById("sub").textContent += document.getElementById("sub").textContent.endsWith("ended.") ? "" : " The server has ended."; return; }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}
