// What a row calls otherwise than the baseline, as small pictures that Python has put into the page.
const SHOTS = ["Fixed", "Broken", "Wrong by both"];
function drawPictures(m, all) {
  const told = DATA.pictures, title = DATA.baseline ? `Pictures: fixed and broken against ${DATA.baseline}` : "Pictures";
  if (told.why) return section("pictures", title, empty(`${told.why} The data are read when the page is made: dalib report ${DATA.suite} --store results/runs --data-root DIR. In Python, for one model: dalib.predict(model, folder).`));
  const places = told.places.filter(p => STATE.tasks.includes(p.task)), rank = new Map(someRows(all, all.length).map((r, i) => [r.row, i]));
  if (!places.length) return section("pictures", title, empty("The picked tasks have none."));
  const last = p => (rank.has(p.row) ? rank.get(p.row) : all.length) + (DATA.rows[p.row].reference ? all.length + 1 : 0);
  const place = places.find(p => p.row === STATE.shotRow && p.task === STATE.shotTask) || places.find(p => p.row === STATE.shotRow) || [...places].sort((a, b) => last(a) - last(b) || a.task - b.task)[0];
  const label = DATA.rows[place.row].label, total = place.counts.reduce((s, n) => s + n, 0);
  const rows = [...new Set(places.map(p => p.row))], tasks = places.filter(p => p.row === place.row).map(p => p.task);
  const set = (row, task) => { STATE.shotRow = row; STATE.shotTask = task; draw("pictures"); };
  const pick = h("div", {cls: "pick"}, choice("Row", rows.map(r => [r, DATA.rows[r].label]), place.row, v => set(+v, place.task)), choice("Task", tasks.map(t => [t, DATA.tasks[t].name]), place.task, v => set(place.row, +v)));
  const word = (who, called, truth) => h("span", {cls: called === truth ? "right" : "worse"}, `${who}: ${called}${called === truth ? "\u00a0✓" : "\u00a0✗"}`);
  const groups = SHOTS.map((name, k) => {
    const shots = place.pictures.filter(p => p[0] === k);
    return [h("h3", {}, name, h("span", {cls: "count"}, ` ${place.counts[k]} of ${place.n} test pictures${shots.length && shots.length < place.counts[k] ? `, ${shots.length} shown` : ""}`)),
      shots.length ? h("ul", {cls: "shots"}, shots.map(([, n, truth, base, mine]) => h("li", {}, h("img", {src: told.pool[n], alt: `a picture of ${truth}`, loading: "lazy"}), h("strong", {}, truth), h("br"), word(DATA.baseline, base, truth), h("br"), word(label, mine, truth))))
        : place.counts[k] ? note("None of them fits into the page; pick fewer rows and tasks in the suite, or give dalib report --pictures a larger number.") : null];
  });
  const left = told.left_out && told.left_out.n ? ` ${told.left_out.n} pairs of row and task have none: ${told.left_out.why}` : "";
  return section("pictures", title, pick, groups, note(`Seed ${place.seed}, at the end of training; ${place.n - total} of ${place.n} are right by both. Shown first: one of each class, and what most rows have in common. ${told.pool.length} pictures in all.${left}`));
}
