// Small SVG charts. Every text goes in as text, so no name is ever read as markup.
const NS = "http://www.w3.org/2000/svg";
const PALETTE = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== null && v !== false) node.setAttribute(k === "cls" ? "class" : k, v === true ? "" : v);
  }
  node.append(...children.flat(Infinity).filter(c => c !== null && c !== undefined));
  return node;
}
function s(tag, props = {}, ...children) {
  const node = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(props)) {
    if (k === "fill" || k === "stroke") node.style[k] = v.startsWith("--") ? `var(${v})` : v;
    else node.setAttribute(k, v);
  }
  node.append(...children);
  return node;
}
function frame(width, height, name) {
  return s("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": name});
}
const tip = text => s("title", {}, text);
function words(x, y, text, props = {}) { return s("text", {x, y, ...props}, text); }
function ticks(low, high, most = 6) {
  const span = high - low || 1, raw = span / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(k => k * power).find(k => k >= raw);
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}
function logTicks(low, high) {   // exponents of the axis' ends -> round values
  const span = high - low, every = Math.ceil(span / 8), found = [];
  if (span < 1) return ticks(10 ** low, 10 ** high, 5).filter(v => v > 0);
  for (let k = Math.floor(low); k <= high; k += every) for (const d of span > 5 ? [1] : span > 1.7 ? [1, 3] : [1, 2, 5]) { const v = d * 10 ** k; if (Math.log10(v) >= low && Math.log10(v) <= high) found.push(v); }
  return found;
}
const short = v => (Math.abs(v) >= 1e5 || (v && Math.abs(v) < 1e-3) ? v.toExponential(0) : String(+v.toPrecision(4))).replace("-", "−");
function extent(values, pad = 0.05) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const low = Math.min(...known), high = Math.max(...known), room = (high - low || Math.abs(high) || 1) * pad;
  return [low - room, high + room];
}

// what a chart may take of the screen's width: on a telephone it is drawn narrower, not scrolled
const room = width => Math.max(300, Math.min(width, document.documentElement.clientWidth - 24));

// an axis' name in the middle, or as near to it as keeps it whole
const named = (from, to, y, text, width) => words(Math.min((from + to) / 2, width - 4 - 3.1 * text.length), y, text, {class: "tick", "text-anchor": "middle"});

// dots: [{x, y, name}], the most important first -> where each name stands over no dot and no other name; null: nowhere
function placeNames(dots, width, top, bottom) {
  const taken = dots.map(d => [d.x - 5, d.y - 5, d.x + 5, d.y + 5]), meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
  return dots.map(d => {
    const w = 6.4 * d.name.length;
    for (const [x, y, anchor] of [[8, 4, "start"], [-8, 4, "end"], [0, -8, "middle"], [0, 16, "middle"], [6, -7, "start"], [6, 15, "start"], [-6, -7, "end"], [-6, 15, "end"]]) {
      const left = d.x + x - (anchor === "start" ? 0 : anchor === "end" ? w : w / 2), box = [left, d.y + y - 10, left + w, d.y + y + 3];
      if (left < 0 || left + w > width || box[1] < top || box[3] > bottom || taken.some(b => meets(b, box))) continue;
      taken.push(box);
      return {x: d.x + x, y: d.y + y, anchor};
    }
    return null;
  });
}

// rows: [{name, at, low, high, hollow, colour, hint}]
function dotPlot(rows, axis, {zero = false, width = room(590)} = {}) {
  const left = Math.min(220, 0.42 * width, 16 + 7.2 * Math.max(...rows.map(r => r.name.length), 4)), top = 8, step = 19, right = 14;
  const height = top + step * rows.length + 44, svg = frame(width, height, axis);
  const [low, high] = extent(rows.flatMap(r => [r.at, r.low, r.high]).concat(zero ? [0] : []));
  const x = v => left + (v - low) / (high - low) * (width - left - right), bottom = top + step * rows.length;
  for (const v of ticks(low, high, width < 450 ? 3 : 6)) svg.append(s("line", {x1: x(v), x2: x(v), y1: top, y2: bottom, class: "grid"}), words(x(v), bottom + 15, short(v), {class: "tick", "text-anchor": "middle"}));
  if (zero) svg.append(s("line", {x1: x(0), x2: x(0), y1: top, y2: bottom, class: "axis"}));
  rows.forEach((r, i) => {
    const y = top + step * (i + 0.5), colour = r.colour || "--c0";
    const g = s("g", {}, tip(r.hint || r.name), words(left - 8, y + 4, clip(r.name, Math.min(28, Math.floor(left / 7))), {class: "label", "text-anchor": "end"}));
    if (Number.isFinite(r.low)) g.append(s("line", {x1: x(r.low), x2: x(r.high), y1: y, y2: y, "stroke-width": 2.2, stroke: colour}));
    g.append(s("circle", {cx: x(r.at), cy: y, r: 4.2, "stroke-width": 1.8, stroke: colour, fill: r.hollow ? "--page" : colour}));
    svg.append(g);
  });
  svg.append(named(left, width - right, height - 8, axis, width));
  return h("div", {cls: "chart"}, svg);
}
const clip = (text, n) => text.length > n ? text.slice(0, n - 1) + "…" : text;

function criticalDifference(ranked, cd) {   // ranked: [{name, rank}] best first
  const width = 720, left = 190, right = 190, n = ranked.length, half = Math.ceil(n / 2);
  const last = Math.max(n, Math.ceil(ranked[n - 1].rank)), x = v => left + (v - 1) / (last - 1 || 1) * (width - left - right);
  const groups = cliques(ranked.map(r => r.rank), cd), ends = [], bars = groups.map(([a, b]) => {
    let level = ends.findIndex(e => e + last / 60 < ranked[a].rank);
    if (level < 0) level = ends.length;
    ends[level] = ranked[b].rank;
    return [ranked[a].rank, ranked[b].rank, level];
  });
  const axis = 62, top = axis + 16 + 8 * ends.length, height = top + 19 * half + 6, svg = frame(width, height, "critical-difference diagram");
  const line = (pts, cls = "axis") => s("polyline", {points: pts.map(p => p.join(",")).join(" "), class: cls});
  svg.append(line([[x(1), axis], [x(last), axis]]));
  for (const v of ticks(1, last, 10)) if (v >= 1 && Number.isInteger(v)) svg.append(line([[x(v), axis - 5], [x(v), axis]]), words(x(v), axis - 9, v, {class: "tick", "text-anchor": "middle"}));
  const shown = Math.min(cd, last - 1);
  svg.append(line([[x(1), 24], [x(1 + shown), 24]], "accent"), words(x(1), 16, `CD = ${cd.toFixed(2)}${cd > last - 1 ? ", more than the whole axis" : ""}`, {class: "tick"}));
  ranked.forEach((r, i) => {
    const first = i < half, row = first ? i : n - 1 - i, y = top + 19 * (row + 0.5), edge = first ? left - 6 : width - right + 6;
    svg.append(line([[x(r.rank), axis], [x(r.rank), y], [edge, y]], "thin"),
      words(first ? edge - 4 : edge + 4, y + 4, first ? `${clip(r.name, 20)}  ${r.rank.toFixed(2)}` : `${r.rank.toFixed(2)}  ${clip(r.name, 20)}`, {class: "label", "text-anchor": first ? "end" : "start"}));
  });
  for (const [a, b, level] of bars) svg.append(s("line", {x1: x(a) - 3, x2: x(b) + 3, y1: axis + 9 + 8 * level, y2: axis + 9 + 8 * level, class: "bar"}));
  return h("div", {cls: "chart"}, svg);
}

// lines: [{name, points: [[x, y]], chosen: [[x, y]]}]; logs: axes that are logarithmic
function lineChart(lines, xName, yName, {logY = false, logX = false, dots = false, width = 640, height = 330} = {}) {
  width = room(width);
  const fx = logX ? Math.log10 : v => v, fy = logY ? Math.log10 : v => v, left = 56, bottom = 40, top = 10, right = 14;
  const every = lines.flatMap(l => l.points.concat(l.chosen || [])).map(p => [fx(p[0]), fy(p[1])]);
  const [x0, x1] = extent(every.map(p => p[0])), [y0, y1] = extent(every.map(p => p[1])), svg = frame(width, height, `${yName} by ${xName}`);
  const x = v => left + (fx(v) - x0) / (x1 - x0) * (width - left - right), y = v => height - bottom - (fy(v) - y0) / (y1 - y0) * (height - bottom - top);
  for (const at of (logY ? logTicks : ticks)(y0, y1)) { svg.append(s("line", {x1: left, x2: width - right, y1: y(at), y2: y(at), class: "grid"}), words(left - 6, y(at) + 4, short(at), {class: "tick", "text-anchor": "end"})); }
  for (const at of (logX ? logTicks : ticks)(x0, x1, width < 450 ? 4 : 6)) { svg.append(words(x(at), height - bottom + 16, short(at), {class: "tick", "text-anchor": "middle"})); }
  const places = dots ? placeNames(lines.map(l => ({x: x(l.points[0][0]), y: y(l.points[0][1]), name: clip(l.name, 24)})), width, top, height - bottom) : [];
  lines.forEach((l, i) => {
    const colour = PALETTE[i % PALETTE.length], dash = ["", "6 3", "2 3", "8 3 2 3"][Math.floor(i / PALETTE.length) % 4], g = s("g", {}, tip(l.hint || l.name));
    if (!dots) g.append(s("polyline", {points: l.points.map(p => `${x(p[0])},${y(p[1])}`).join(" "), fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-dasharray": dash}));
    if (dots || l.points.length < 12) for (const p of l.points) g.append(s("circle", {cx: x(p[0]), cy: y(p[1]), r: dots ? 5 : 2.6, fill: colour}));
    for (const p of l.chosen || []) g.append(s("circle", {cx: x(p[0]), cy: y(p[1]), r: 6, fill: "none", stroke: colour, "stroke-width": 2.2}));
    if (places[i]) g.append(words(places[i].x, places[i].y, clip(l.name, 24), {class: "tick name", "text-anchor": places[i].anchor}));
    svg.append(g);
  });
  svg.append(named(left, width - right, height - 6, xName, width), words(-(height - bottom) / 2, 12, yName, {class: "tick", transform: "rotate(-90)", "text-anchor": "middle"}));
  const legend = dots ? null : h("ul", {cls: "legend"}, lines.map((l, i) => h("li", {}, s("svg", {width: 24, height: 10, "aria-hidden": "true"}, s("line", {x1: 0, x2: 24, y1: 5, y2: 5, "stroke-width": 2.4, stroke: PALETTE[i % PALETTE.length], "stroke-dasharray": ["", "6 3", "2 3", "8 3 2 3"][Math.floor(i / PALETTE.length) % 4]})), l.name)));
  return h("div", {cls: "chart"}, svg, legend);
}

// cells: Map("i/j" -> {at in 0 … 1, or -1 … 1 if signed, text}), names down and across
function heatMap(down, across, value, name, {signed = false, size = 17} = {}) {
  const left = Math.min(190, 14 + 6.6 * Math.max(...down.map(d => d.length), 3)), top = Math.min(150, 14 + 6.2 * Math.max(...across.map(d => d.length), 3));
  const svg = frame(left + size * across.length + 14, top + size * down.length + 6, name);
  across.forEach((d, j) => svg.append(words(0, 0, clip(d, 24), {class: "tick", transform: `translate(${left + size * (j + 0.68)},${top - 6}) rotate(-90)`})));
  down.forEach((d, i) => {
    svg.append(words(left - 6, top + size * (i + 0.72), clip(d, 28), {class: "tick", "text-anchor": "end"}));
    across.forEach((_, j) => {
      const found = value(i, j);
      if (!found) return;
      const rect = s("rect", {x: left + size * j, y: top + size * i, width: size - 1, height: size - 1, fill: signed && found.at < 0 ? "--c1" : "--c0", "fill-opacity": Math.min(1, Math.abs(found.at)).toFixed(3)}, tip(found.text));
      svg.append(rect);
    });
  });
  return h("div", {cls: "chart wide"}, svg);
}

function scatter(points, by, classes, name) {
  const size = 300, svg = frame(size, size + 22, name), shade = c => classes <= PALETTE.length ? PALETTE[c] : `hsl(${Math.round(360 * c / Math.max(classes, 1))} 65% 50%)`;
  for (const [px, py, c, side] of points) {
    const x = 8 + px / 1000 * (size - 16), y = size - 8 - py / 1000 * (size - 16), colour = by === "class" ? shade(c) : side ? "--c1" : "--c0";
    svg.append(side ? s("path", {d: `M${x} ${y - 3.4}l3.2 5.8h-6.4z`, fill: colour, "fill-opacity": 0.8}) : s("circle", {cx: x, cy: y, r: 2.8, fill: colour, "fill-opacity": 0.8}));
  }
  svg.append(words(size / 2, size + 15, name, {class: "tick", "text-anchor": "middle"}));
  return svg;
}
