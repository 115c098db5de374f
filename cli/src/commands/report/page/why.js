// Why something is kept: its verdict, the reasons with their paths, what needs it.

const NEIGHBOURS = 40;
const SAYS = {
  "snapshot-of": ["is a snapshot of", "has the snapshot"],
  "image-of": ["is an AMI of", "has the AMI"],
  "backed-by": ["is made of", "is part of"],
  "launched-from": ["was launched from", "launched"],
  "attached-to": ["is attached to", "has attached"],
  uses: ["uses", "is used by"],
};

function badge(verdict) {
  return verdict && make("span", { class: "verdict", "data-verdict": verdict }, verdict);
}

/** A button that chooses a resource; text where it is not drawn. */
function chooser(id) {
  const node = PLACES.get(id);
  if (node === undefined) return make("span", { class: "id" }, id);
  return make("button", { type: "button", class: "id", onclick: () => choose(node, true) }, id);
}

function pathOf(path) {
  if (path.length < 2) return null;
  const steps = path.flatMap((id, place) => (place === 0 ? [chooser(id)] : [" ← ", chooser(id)]));
  return make("span", { class: "path" }, steps);
}

function reasonItem(reason) {
  const words = reason.detail ? `: ${reason.detail}` : "";
  return make("li", null, make("b", null, reason.code), words, pathOf(reason.path));
}

function block(title, items) {
  return items.length ? [make("h4", null, title), make("ul", null, items)] : [];
}

function neighbours(pairs, direction) {
  const newest = [...pairs].sort(([a], [b]) => timeOf(b) - timeOf(a));
  const items = newest.slice(0, NEIGHBOURS).map(([node, kind]) => {
    const state = [timeOf(node) && minute(timeOf(node)), stateOf(node)].filter(Boolean).join(", ");
    const words = (SAYS[kind] || [kind, kind])[direction];
    return make("li", null, `${words} `, chooser(idOf(node)), state ? ` (${state})` : "", " ", badge(verdictOf(node)));
  });
  if (pairs.length > NEIGHBOURS) items.push(make("li", null, `and ${figure(pairs.length - NEIGHBOURS)} more`));
  return items;
}

/** Shows a node beside the graph. */
function showWhy(node) {
  const panel = byName("why");
  if (node === null) {
    panel.replaceChildren(make("p", null, "Choose a resource: by a click, with the arrow keys, or by searching."));
    return;
  }
  const [id, kind, verdict] = [idOf(node), kindOf(node), verdictOf(node)];
  const facts = [nameOf(node), kind, stateOf(node), policyOf(node) && `policy ${policyOf(node)}`];
  const parts = [
    make("h3", { class: "id" }, id),
    make("p", null, badge(verdict), verdict ? " " : "", facts.filter(Boolean).join(" · ")),
  ];
  if (timeOf(node)) parts.push(make("p", null, `holds ${minute(timeOf(node))} UTC`));
  parts.push(...block(verdict === "retire" ? "Why it may go" : "Why it stays", whyOf(node).map(reasonItem)));
  parts.push(...block("What needs it beside that", besideOf(node).map(reasonItem)));
  const over = NEEDED[node].filter(([, how]) => how === "backed-by").map(([image]) => image);
  if (!verdict && kind === "snapshot" && over.length) {
    for (const image of over) {
      const reasons = [...whyOf(image), ...besideOf(image)];
      parts.push(make("h4", null, "It stays and goes with its AMI"));
      parts.push(make("p", null, badge(verdictOf(image)), " ", chooser(idOf(image))));
      parts.push(make("ul", null, reasons.map(reasonItem)));
    }
  }
  parts.push(...block("Depends on", neighbours(NEEDS[node], 0)));
  parts.push(...block("On it depend", neighbours(NEEDED[node], 1)));
  panel.replaceChildren(...parts);
  panel.scrollTop = 0;
}

/** Shows what a fold holds. */
function showFold(fold) {
  const counts = new Map();
  for (const node of fold.nodes) {
    const word = verdictOf(node) || "with their AMI";
    counts.set(word, (counts.get(word) || 0) + 1);
  }
  const lines = [...counts].map(([word, count]) => make("li", null, `${figure(count)} ${word}`));
  const first = fold.nodes.slice(0, NEIGHBOURS).map((node) => make("li", null, chooser(idOf(node)), " ", badge(verdictOf(node))));
  byName("why").replaceChildren(
    make("h3", null, fold.label),
    make("ul", null, lines),
    make("p", null, make("button", { type: "button", onclick: () => unfold(fold.key) }, "Unfold")),
    make("h4", null, fold.nodes.length > NEIGHBOURS ? `The newest ${NEIGHBOURS}` : "They are"),
    make("ul", null, first),
  );
}
