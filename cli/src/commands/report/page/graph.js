// The graph on a canvas: only what is in sight is drawn.

const canvas = byName("graph-canvas");
const pen = canvas.getContext("2d");
const WIDTH = [190, 190, 215, 215, 200];
const BETWEEN = 50;
const LEFT = WIDTH.map((_, column) => 20 + WIDTH.slice(0, column).reduce((sum, width) => sum + width + BETWEEN, 0));
const WHOLE_WIDTH = LEFT[4] + WIDTH[4] + 20;
const SIGNS = { kept: "●", held: "■", retire: "✕", failed: "!" };

let shown = layOut();
let view = { x: 0, y: 0, scale: 1 };
let chosen = null;
let colours = {};
let waiting = false;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "panel", "line", "text", "soft", "accent", "kept", "held", "retire", "failed", "none", "chosen"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}

function fitCanvas() {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  view.width = box.width;
  view.height = box.height;
  view.ratio = ratio;
}

function paint() {
  const { x, y, scale, width, height, ratio } = view;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colours.ground;
  pen.fillRect(0, 0, width, height);
  pen.setTransform(ratio * scale, 0, 0, ratio * scale, -x * ratio * scale, -y * ratio * scale);
  const [top, bottom] = [y, y + height / scale];
  const near = neighboursOf(chosen);
  const bands = inSight(top, bottom);
  pen.lineWidth = 1 / Math.min(scale, 1);
  for (const band of bands) {
    pen.fillStyle = colours.panel;
    pen.fillRect(8, band.top - 6, WHOLE_WIDTH - 16, band.bottom - band.top + 8);
  }
  for (const strong of [false, true]) {
    pen.strokeStyle = strong ? colours.accent : colours.line;
    pen.beginPath();
    for (const band of bands) {
      for (const [from, to] of band.lines) {
        if (Math.max(from.y, to.y) < top - ROW || Math.min(from.y, to.y) > bottom) continue;
        if ((chosen !== null && (from === chosen || to === chosen)) !== strong) continue;
        curve(from, to);
      }
    }
    pen.stroke();
  }
  pen.textBaseline = "middle";
  pen.font = '12px ui-monospace, "DejaVu Sans Mono", monospace';
  for (const band of bands) {
    for (const cell of band.cells) {
      if (cell.y + ROW >= top && cell.y <= bottom) box(cell, near.has(cell));
    }
  }
  heads();
}

function inSight(top, bottom) {
  let [low, high] = [0, shown.bands.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shown.bands[middle].bottom < top) low = middle + 1;
    else high = middle;
  }
  const found = [];
  for (let at = low; at < shown.bands.length && shown.bands[at].top - 6 <= bottom; at += 1) found.push(shown.bands[at]);
  return found;
}

function curve(from, to) {
  const [a, b] = from.column <= to.column ? [from, to] : [to, from];
  const startX = LEFT[a.column] + WIDTH[a.column];
  const endX = a.column === b.column ? startX : LEFT[b.column];
  const [startY, endY] = [a.y + ROW / 2 - 1, b.y + ROW / 2 - 1];
  const bend = a.column === b.column ? 24 : (endX - startX) / 2;
  pen.moveTo(startX, startY);
  pen.bezierCurveTo(startX + bend, startY, a.column === b.column ? endX + bend : endX - bend, endY, endX, endY);
}

function box(cell, near) {
  const [x, width] = [LEFT[cell.column], WIDTH[cell.column]];
  const verdict = cell.fold ? "" : verdictOf(cell.node);
  const mark = colours[verdict] || colours.none;
  const small = view.scale * ROW < 9;
  // Too small for words: what is told is the verdict's colour alone.
  pen.fillStyle = cell === chosen ? colours.chosen : small && !cell.fold ? mark : colours.ground;
  pen.fillRect(x, cell.y, width, ROW - 3);
  if (small && cell !== chosen && !near) {
    if (cell.fold) shares(cell, x, width, ROW - 3);
    return;
  }
  pen.strokeStyle = cell === chosen || near ? colours.accent : colours.line;
  pen.setLineDash(cell.alias ? [4, 3] : []);
  pen.lineWidth = (cell === chosen ? 2 : 1) / Math.min(view.scale, 1);
  pen.strokeRect(x, cell.y, width, ROW - 3);
  pen.setLineDash([]);
  if (cell.fold) shares(cell, x, width, 3);
  else {
    pen.fillStyle = mark;
    pen.fillRect(x, cell.y, 5, ROW - 3);
  }
  if (small) return;
  pen.fillStyle = cell.fold ? colours.soft : colours.text;
  const sign = SIGNS[verdict] ? `${SIGNS[verdict]} ` : "";
  const label = cell.fold ? `▸ ${cell.label}` : sign + labelOf(cell.node);
  const most = Math.floor((width - 16) / 7.25);
  pen.fillText(label.length > most ? `${label.slice(0, most - 1)}…` : label, x + 10, cell.y + ROW / 2 - 1);
}

/** What people know it by: a name, the time of a backup with the end of its identifier, or that. */
function labelOf(node) {
  const id = idOf(node);
  if (timeOf(node)) return `${minute(timeOf(node))} …${id.slice(-6)}`;
  return nameOf(node) || id;
}

/** From the foot of a fold up: how much of it is kept, held, and goes. */
function shares(cell, x, width, height) {
  if (!cell.shares) {
    const counts = new Map();
    for (const node of cell.nodes) counts.set(verdictOf(node), (counts.get(verdictOf(node)) || 0) + 1);
    cell.shares = ["failed", "retire", "held", "kept", ""].map((word) => [word, (counts.get(word) || 0) / cell.nodes.length]);
  }
  let at = x;
  for (const [word, share] of cell.shares) {
    pen.fillStyle = colours[word] || colours.none;
    pen.fillRect(at, cell.y + ROW - 3 - height, width * share, height);
    at += width * share;
  }
}

function heads() {
  const { ratio, scale, x } = view;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colours.ground;
  pen.fillRect(0, 0, view.width, 22);
  pen.fillStyle = colours.soft;
  pen.font = `600 12px system-ui, "DejaVu Sans", sans-serif`;
  COLUMN_TITLES.forEach((title, column) => {
    pen.fillText(title, (LEFT[column] - x) * scale, 12, (WIDTH[column] + BETWEEN) * scale - 6);
  });
}

function neighboursOf(cell) {
  const near = new Set();
  if (cell === null) return near;
  for (const [from, to] of cell.band.lines) {
    if (from === cell) near.add(to);
    if (to === cell) near.add(from);
  }
  return near;
}

function clampView() {
  const [wide, high] = [view.width / view.scale, view.height / view.scale];
  view.x = wide >= WHOLE_WIDTH ? (WHOLE_WIDTH - wide) / 2 : Math.max(0, Math.min(view.x, WHOLE_WIDTH - wide));
  view.y = Math.max(-30 / view.scale, Math.min(view.y, Math.max(0, shown.height - high)));
}

function zoom(factor, atX, atY) {
  const scale = Math.max(0.03, Math.min(3, view.scale * factor));
  const [dx, dy] = [atX ?? view.width / 2, atY ?? view.height / 2];
  view.x += dx / view.scale - dx / scale;
  view.y += dy / view.scale - dy / scale;
  view.scale = scale;
  clampView();
  redraw();
}

function whole() {
  // Of a long account its first part, no smaller than can be told apart; - goes on from there.
  view.scale = Math.min(1.2, view.width / WHOLE_WIDTH, Math.max(0.25, (view.height - 30) / shown.height));
  view.x = 0;
  view.y = -30 / view.scale;
  clampView();
  redraw();
}

function bringIntoSight(cell) {
  if (view.scale < 0.5) view.scale = Math.min(1, Math.max(0.5, view.width / WHOLE_WIDTH));
  const [wide, high] = [view.width / view.scale, view.height / view.scale];
  if (cell.y < view.y + 30 / view.scale || cell.y + ROW > view.y + high) view.y = cell.y - high / 2;
  const left = LEFT[cell.column];
  if (left < view.x || left + WIDTH[cell.column] > view.x + wide) view.x = left - 20;
  clampView();
}

function pick(cell) {
  chosen = cell;
  if (cell !== null && cell.fold) showFold(cell);
  else showWhy(cell === null ? null : cell.node);
  if (cell !== null) bringIntoSight(cell);
  redraw();
}

/** Chooses a node wherever it stands; a fold around it is unfolded. */
function choose(node, scroll) {
  let cell = shown.places.get(node);
  if (cell && cell.fold) {
    unfolded.add(cell.key);
    shown = layOut();
    cell = shown.places.get(node);
  }
  if (cell) pick(cell);
  else showWhy(node);
  if (scroll) byName("lineage").scrollIntoView({ block: "start" });
}

function unfold(key) {
  const had = unfolded.delete(key);
  if (!had) unfolded.add(key);
  const before = chosen;
  shown = layOut();
  const inside = before && before.fold ? before.nodes[0] : before && before.node;
  const cell = inside === null || inside === undefined ? null : shown.places.get(inside) || before.band.aliases.get(inside);
  pick(cell && shown.cells.includes(cell) ? cell : null);
}

function cellAt(x, y) {
  const [atX, atY] = [x / view.scale + view.x, y / view.scale + view.y];
  const column = LEFT.findIndex((left, at) => atX >= left && atX <= left + WIDTH[at]);
  const band = column < 0 ? null : inSight(atY, atY)[0];
  return band?.cells.find((cell) => cell.column === column && atY >= cell.y && atY < cell.y + ROW) || null;
}

function step(key) {
  if (chosen === null) return pick(shown.cells[0] || null);
  const near = [...neighboursOf(chosen)];
  const beside = (columns) => {
    const found = near.filter((cell) => columns(cell.column - chosen.column));
    return found.sort((a, b) => Math.abs(a.column - chosen.column) - Math.abs(b.column - chosen.column) || a.y - b.y)[0];
  };
  if (key === "ArrowLeft") return pick(beside((by) => by < 0) || chosen);
  if (key === "ArrowRight") return pick(beside((by) => by > 0) || chosen);
  const column = shown.cells.filter((cell) => cell.column === chosen.column).sort((a, b) => a.y - b.y);
  const at = column.indexOf(chosen) + (key === "ArrowDown" ? 1 : -1);
  return pick(column[Math.max(0, Math.min(column.length - 1, at))]);
}

function startGraph() {
  readColours();
  fitCanvas();
  whole();
  paint();
  showWhy(null);
  // At once, not with the next frame: a canvas loses its picture with its size.
  new ResizeObserver(() => { fitCanvas(); clampView(); paint(); }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });
  const paper = (on) => () => {
    if (on) document.documentElement.dataset.paper = "";
    else delete document.documentElement.dataset.paper;
    readColours();
    paint();
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moved && Math.hypot(dx, dy) < 4) return;
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    held = { x: event.clientX, y: event.clientY, moved: true };
    clampView();
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !held.moved) {
      const cell = cellAt(event.offsetX, event.offsetY);
      if (cell && cell.fold && cell === chosen) unfold(cell.key);
      else pick(cell);
    }
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) return zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    view.x += event.deltaX / view.scale;
    view.y += event.deltaY / view.scale;
    clampView();
    redraw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) step(event.key);
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") whole();
    else if (event.key === "Enter" && chosen && chosen.fold) unfold(chosen.key);
    else if (event.key === "Escape") pick(null);
    else return;
    event.preventDefault();
  });
  byName("zoom-in").addEventListener("click", () => zoom(1.3));
  byName("zoom-out").addEventListener("click", () => zoom(1 / 1.3));
  byName("zoom-fit").addEventListener("click", whole);
  byName("unfold").addEventListener("click", () => {
    allUnfolded = !allUnfolded;
    unfolded.clear();
    byName("unfold").setAttribute("aria-pressed", String(allUnfolded));
    shown = layOut();
    chosen = null;
    whole();
    showWhy(null);
  });
}
