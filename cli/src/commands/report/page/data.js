// The data, and what follows from it at once: neighbours, and who is who.

const PICTURE = JSON.parse(byName("data").textContent);
const TEXTS = PICTURE.words.texts;
const NODES = PICTURE.graph.nodes;
const NONE = -1;

const text = (place) => (place === NONE ? "" : TEXTS[place]);
const idOf = (node) => TEXTS[NODES[node][0]];
const kindOf = (node) => TEXTS[NODES[node][1]];
const stateOf = (node) => text(NODES[node][2]);
const timeOf = (node) => NODES[node][3];
const policyOf = (node) => text(NODES[node][4]);
const verdictOf = (node) => text(NODES[node][5]);
const nameOf = (node) => text(PICTURE.graph.names[node] ?? NONE);

/** The reasons of a list: code, words, path. */
function reasonsOf(list) {
  if (list === NONE) return [];
  return PICTURE.words.lists[list].map((place) => {
    const [code, words, path] = PICTURE.words.reasons[place];
    return { code: text(code), detail: text(words), path: path.map(text) };
  });
}
const whyOf = (node) => reasonsOf(NODES[node][6]);
const besideOf = (node) => reasonsOf(NODES[node][7]);

const PLACES = new Map();
for (let node = 0; node < NODES.length; node += 1) PLACES.set(idOf(node), node);

/** What each node depends on, and what depends on it, as pairs of node and kind. */
const NEEDS = NODES.map(() => []);
const NEEDED = NODES.map(() => []);
{
  const edges = PICTURE.graph.edges;
  for (let at = 0; at < edges.length; at += 3) {
    const [from, to, kind] = [edges[at], edges[at + 1], TEXTS[edges[at + 2]]];
    NEEDS[from].push([to, kind]);
    NEEDED[to].push([from, kind]);
  }
}

/** Nodes whose identifier, name or policy has these words, and how many there are. */
function search(words, most) {
  const wanted = words.trim().toLowerCase();
  const found = [];
  let count = 0;
  if (wanted === "") return { found, count };
  for (let node = 0; node < NODES.length; node += 1) {
    const known = `${idOf(node)} ${nameOf(node)} ${policyOf(node)}`.toLowerCase();
    if (!known.includes(wanted)) continue;
    count += 1;
    if (found.length < most) found.push(node);
  }
  return { found, count };
}
