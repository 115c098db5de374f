// Where everything stands: a band for each machine, in it a column for each kind. A long list is
// folded into one row until somebody unfolds it, so that an account of any size has few rows.

const COLUMNS = ["instance", "volume", "snapshot", "image", "user"];
const COLUMN_TITLES = ["Instances", "Volumes", "Snapshots", "AMIs", "Used by"];
const FOLDED = 4;
const ROW = 22;
const GAP = 14;

const unfolded = new Set();
let allUnfolded = false;

/** For each node the one that its band is named after; for what only uses something, NONE. */
const BAND_OF = (() => {
  const band = new Int32Array(NODES.length).fill(NONE - 1);
  const first = (node, kind) => {
    const pair = NEEDS[node].find(([, how]) => how === kind);
    return pair ? pair[0] : NONE;
  };
  const find = (node, depth) => {
    if (band[node] !== NONE - 1) return band[node];
    band[node] = node;
    const kind = kindOf(node);
    let above = NONE;
    if (kind === "volume") above = first(node, "attached-to");
    if (kind === "snapshot") above = first(node, "snapshot-of");
    if (kind === "image") {
      above = first(node, "image-of");
      if (above === NONE) above = first(node, "backed-by");
    }
    if (kind === "user") band[node] = NONE;
    // An instance of which nothing is drawn but what it was launched from only uses that.
    else if (kind === "instance" && NEEDED[node].length === 0 && NEEDS[node].length > 0) band[node] = NONE;
    else if (above !== NONE && depth < 8) band[node] = find(above, depth + 1);
    return band[node];
  };
  for (let node = 0; node < NODES.length; node += 1) find(node, 0);
  return band;
})();

const newestFirst = (a, b) => timeOf(b) - timeOf(a) || (idOf(a) < idOf(b) ? -1 : 1);

function foldLabel(kind, nodes) {
  const counts = new Map();
  for (const node of nodes) counts.set(verdictOf(node), (counts.get(verdictOf(node)) || 0) + 1);
  const notable = ["failed", "retire", "held"].filter((word) => counts.get(word));
  const words = notable.map((word) => `${counts.get(word)} ${word}`);
  return `${nodes.length} ${kind}${words.length ? `: ${words.join(", ")}` : ""}`;
}

/** The bands with their rows and lines, from what is unfolded now. */
function layOut() {
  const bands = new Map();
  const bandOf = (root) => {
    let band = bands.get(root);
    if (!band) bands.set(root, (band = { root, columns: [[], [], [], [], []], users: new Set(), lines: [] }));
    return band;
  };
  for (let node = 0; node < NODES.length; node += 1) {
    if (BAND_OF[node] === NONE) continue;
    bandOf(BAND_OF[node]).columns[COLUMNS.indexOf(kindOf(node))].push(node);
  }
  // What depends on something of another band is shown beside it once more, as its user.
  for (let node = 0; node < NODES.length; node += 1) {
    for (const [to] of NEEDS[node]) {
      let target = BAND_OF[to];
      if (target === NONE) {
        // What uses a user stands where that stands.
        for (const [on] of NEEDS[to]) {
          if (BAND_OF[on] !== NONE && BAND_OF[node] !== BAND_OF[on]) bandOf(BAND_OF[on]).users.add(node);
        }
      } else if (target !== BAND_OF[node]) bandOf(target).users.add(node);
    }
  }
  const weight = (band) => Math.min(...band.columns.flat().map((node) => ({ failed: 0, held: 1, retire: 1 })[verdictOf(node)] ?? 2), 3);
  const ordered = [...bands.values()].map((band) => ({ band, weight: weight(band) })).sort((a, b) => a.weight - b.weight || (idOf(a.band.root) < idOf(b.band.root) ? -1 : 1));
  const places = new Map();
  const cells = [];
  let top = ROW + GAP;
  for (const { band } of ordered) {
    band.top = top;
    band.cells = [];
    top += fill(band, places) * ROW + GAP;
    band.bottom = top - GAP;
    connect(band, places);
    cells.push(...band.cells);
  }
  return { bands: ordered.map(({ band }) => band), cells, height: top, places };
}

function fill(band, places) {
  const rows = [0, 0, 0, 0, 0];
  const put = (column, cell) => {
    cell.column = column;
    cell.y = band.top + rows[column] * ROW;
    cell.place = band.cells.length;
    cell.band = band;
    rows[column] += 1;
    band.cells.push(cell);
  };
  const putNode = (column, node) => {
    const cell = { node };
    put(column, cell);
    places.set(node, cell);
  };
  const putList = (column, nodes, key, kind) => {
    if (nodes.length <= FOLDED || allUnfolded || unfolded.has(key)) {
      for (const node of nodes) putNode(column, node);
      return;
    }
    const cell = { fold: true, nodes, key, label: foldLabel(kind, nodes) };
    put(column, cell);
    for (const node of nodes) places.set(node, cell);
  };
  const [instances, volumes, snapshots, images] = band.columns;
  for (const node of instances) putNode(0, node);
  const ofVolume = new Map();
  for (const node of snapshots) {
    const pair = NEEDS[node].find(([, kind]) => kind === "snapshot-of");
    const volume = pair ? pair[0] : NONE;
    if (!ofVolume.has(volume)) ofVolume.set(volume, []);
    ofVolume.get(volume).push(node);
  }
  const volumeOrder = [...volumes].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  for (const volume of [...volumeOrder, ...[...ofVolume.keys()].filter((volume) => !volumes.includes(volume))]) {
    const start = Math.max(rows[1], rows[2]);
    rows[1] = start;
    rows[2] = start;
    if (volume !== NONE && volumes.includes(volume)) putNode(1, volume);
    putList(2, (ofVolume.get(volume) || []).sort(newestFirst), `s${volume}/${band.root}`, "snapshots");
  }
  putList(3, [...images].sort(newestFirst), `a${band.root}`, "AMIs");
  band.aliases = new Map();
  const users = [...band.users];
  if (users.length > FOLDED * 3 && !allUnfolded && !unfolded.has(`u${band.root}`)) {
    const cell = { fold: true, nodes: users, key: `u${band.root}`, label: `${users.length} users` };
    put(4, cell);
    for (const node of users) band.aliases.set(node, cell);
  } else {
    for (const node of users) {
      const cell = { node, alias: true };
      put(4, cell);
      band.aliases.set(node, cell);
      if (BAND_OF[node] === NONE && !places.has(node)) places.set(node, cell);
    }
  }
  return Math.max(...rows, 1);
}

/** The lines within a band, each once. */
function connect(band, places) {
  const known = new Set();
  const line = (from, to) => {
    if (!from || !to || from === to || from.band !== band || to.band !== band) return;
    const key = from.place * 1e6 + to.place;
    if (known.has(key)) return;
    known.add(key);
    band.lines.push([to, from]);
  };
  for (const column of band.columns) {
    for (const node of column) {
      for (const [to] of NEEDS[node]) line(places.get(node), places.get(to));
    }
  }
  for (const [node, cell] of band.aliases) {
    for (const [to] of NEEDS[node]) {
      line(cell, BAND_OF[to] === NONE || BAND_OF[to] !== band.root ? band.aliases.get(to) : places.get(to));
    }
  }
}
