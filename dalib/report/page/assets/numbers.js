"use strict";
// The numbers of dalib table and dalib table --summary, again for whatever tasks are picked; tests hold both together.
const MISSING = -1, FAILED = -2, DRAW = 1000;
const NOTHING = 1e-10;           // means of equal accuracies differ by rounding
const mean = a => a.reduce((s, v) => s + v, 0) / a.length;
const variance = a => { const m = mean(a); return a.reduce((s, v) => s + (v - m) ** 2, 0) / (a.length - 1); };

// as Python rounds: what lies exactly in the middle goes to the even digit, where toFixed goes up
function fixed(v, n) {
  const exact = Math.abs(v).toFixed(Math.min(100, n + 40)), cut = exact.length - Math.min(100 - n, 40), rest = exact.slice(cut);
  const text = v.toFixed(n);
  if (!/^50*$/.test(rest)) return text;
  const down = exact.slice(0, cut).replace(/\.$/, "");
  return "02468".includes(down[down.length - 1]) ? (v < 0 ? "-" : "") + down : text;
}

function logGamma(x) {
  const g = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.001208650973866179, -5.395239384953e-6];
  let y = x, t = x + 5.5, s = 1.000000000190015;
  t -= (x + 0.5) * Math.log(t);
  for (const c of g) s += c / ++y;
  return -t + Math.log(2.5066282746310005 * s / x);
}

function betaFraction(a, b, x) {
  let c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d);
  let h = d;
  for (let m = 1; m < 500; m++) {
    for (const n of [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 + n * d; c = 1 + n / c;
      d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d); c = Math.abs(c) < 1e-300 ? 1e-300 : c;
      h *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return h;
}

function incompleteBeta(a, b, x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return x < (a + 1) / (a + b + 2) ? front * betaFraction(a, b, x) / a : 1 - front * betaFraction(b, a, 1 - x) / b;
}

// the 97.5 % quantile of Student's t
function studentT(df) {
  let low = 0, high = 1000;
  for (let i = 0; i < 100; i++) {
    const t = (low + high) / 2;
    if (1 - incompleteBeta(df / 2, 0.5, df / (df + t * t)) / 2 < 0.975) low = t; else high = t;
  }
  return (low + high) / 2;
}

// columns: one array of seeds per task; mean ± t(df) se with the tasks fixed (dalib.report.statistics.mean_interval)
function meanInterval(columns) {
  const n = columns[0].length, tasks = columns.length, centre = mean(columns.map(mean));
  if (n < 2) return [NaN, NaN];
  const v = columns.map(variance), total = v.reduce((s, x) => s + x, 0);
  const df = total > 0 ? (n - 1) * total ** 2 / v.reduce((s, x) => s + x * x, 0) : n - 1;
  const half = studentT(df) * Math.sqrt(total / n) / tasks;
  return [centre - half, centre + half];
}

function rankAverage(values) {   // 1 = largest; equal ones share the mean of their ranks
  const order = values.map((v, i) => [Math.round(v * 1e10) / 1e10, i]).sort((a, b) => b[0] - a[0]);
  const ranks = new Array(values.length);
  for (let i = 0; i < order.length;) {
    let j = i;
    while (j < order.length && order[j][0] === order[i][0]) j++;
    for (let k = i; k < j; k++) ranks[order[k][1]] = (i + 1 + j) / 2;
    i = j;
  }
  return ranks;
}

// cells by row and task, of one metric and rule: {values: Map(seed -> value), expected, failed, missing, unavailable, at}
function makeCells(data, metric, rule) {
  const m = data.metrics.findIndex(x => x.name === metric);
  const picks = data.picks[rule === "oracle" ? `oracle ${metric}` : rule] || [];
  const cells = data.rows.map(() => data.tasks.map(() => ({values: new Map(), expected: 0, failed: 0, missing: 0, unavailable: 0, runs: []})));
  data.runs.forEach(([row, task, seed, records], i) => {
    const cell = cells[row][task], pick = picks[i];
    cell.expected++; cell.runs.push(i);
    if (pick === MISSING) cell.missing++;
    else if (pick === FAILED) cell.failed++;
    else {
      const value = pick >= 0 ? data.records[records[Math.floor(pick / DRAW)]].candidates[pick % DRAW][1][m] : null;
      if (value === null || value === undefined) cell.unavailable++; else cell.values.set(seed, value);
    }
  });
  return cells;
}

const complete = cell => cell.expected > 0 && cell.values.size === cell.expected;
const cellMean = cell => cell.values.size ? mean([...cell.values.values()]) : NaN;
const cellStd = cell => cell.values.size > 1 ? Math.sqrt(variance([...cell.values.values()])) : NaN;

function averageOf(cells) {      // over tasks: of a complete row one value per seed, else the mean of what there is
  const seeds = [...cells[0].values.keys()].sort((a, b) => a - b);
  if (cells.every(complete) && cells.every(c => c.values.size === seeds.length && seeds.every(s => c.values.has(s)))) {
    const per = seeds.map(s => mean(cells.map(c => c.values.get(s))));
    return {mean: mean(per), std: per.length > 1 ? Math.sqrt(variance(per)) : NaN, seeds};
  }
  const means = cells.map(cellMean).filter(v => !Number.isNaN(v));
  return {mean: means.length ? mean(means) : NaN, std: NaN, seeds: null};
}

// every row's numbers over the picked tasks
function tabulate(data, metric, rule, tasks) {
  const sign = data.metrics.find(x => x.name === metric).sign, all = makeCells(data, metric, rule);
  const rows = data.rows.map((row, r) => {
    const cells = tasks.map(t => all[r][t]), done = cells.every(complete), average = averageOf(cells);
    const columns = done && average.seeds ? cells.map(c => average.seeds.map(s => c.values.get(s))) : null;
    return {row: r, label: row.label, reference: row.reference, cells, done, average, columns,
      competes: done && !row.reference, interval: columns ? meanInterval(columns) : [NaN, NaN], rank: NaN, gain: NaN, over: [NaN, NaN]};
  });
  const ranked = rows.filter(r => r.competes);
  if (ranked.length) {
    const ranks = tasks.map((_, t) => rankAverage(ranked.map(r => sign * cellMean(r.cells[t]))));
    ranked.forEach((r, i) => { r.rank = mean(ranks.map(x => x[i])); });
  }
  const base = rows.find(r => r.label === data.baseline);
  for (const r of rows) {
    if (!base || r === base || !r.done || !base.done) continue;
    r.gain = r.average.mean - base.average.mean;
    if (r.columns && base.columns && r.columns[0].length === base.columns[0].length)
      r.over = meanInterval(r.columns.map((c, t) => c.map((v, s) => v - base.columns[t][s])));
  }
  return rows;
}

function cliques(ranks, cd) {    // ranks in order; maximal groups less than cd apart, as [first, last]
  const found = []; let reached = 0;
  ranks.forEach((first, start) => {
    const stop = start + ranks.slice(start).filter(r => r - first < cd).length;
    if (stop > Math.max(reached, start + 1)) found.push([start, stop - 1]);
    reached = Math.max(reached, stop);
  });
  return found;
}
if (typeof module !== "undefined") module.exports = {fixed, studentT, meanInterval, rankAverage, tabulate, cliques, cellMean, cellStd};
