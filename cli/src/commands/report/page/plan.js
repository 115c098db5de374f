// The sweep's plan as a table, and everything else that a run would do or has found.

const LINES = 200;
const ORDER = ["failed", "finding", "create", "retire", "held", "deferred", "skipped", "kept"];
const wantedKinds = new Set(ORDER.filter((kind) => kind !== "kept"));
let linesShown = LINES;

const PLAN = (() => {
  const lines = PICTURE.items.map((item) => ({
    verdict: item.action === "create" && item.outcome === "planned" ? "create" : item.outcome,
    id: item.resource, policy: item.policy || "", time: item.slot || item.time || "",
    reasons: (item.reasons || []).map((reason) => ({ code: reason.code, detail: reason.detail || "", path: reason.path || [] })),
  }));
  for (let node = 0; node < NODES.length; node += 1) {
    if (NODES[node][5] === NONE) continue;
    lines.push({ verdict: verdictOf(node), id: idOf(node), policy: policyOf(node), time: timeOf(node), node });
  }
  const rank = (line) => { const at = ORDER.indexOf(line.verdict); return at < 0 ? ORDER.length : at; };
  return lines.sort((a, b) => rank(a) - rank(b));
})();

const reasonsOfLine = (line) => line.reasons || whyOf(line.node);

function planRow(line) {
  const reasons = reasonsOfLine(line).map((reason) => make("div", null, make("b", null, reason.code), reason.detail ? ` ${reason.detail}` : "", pathOf(reason.path)));
  return make("tr", null, make("td", null, badge(line.verdict)), make("td", null, chooser(line.id)), make("td", null, line.policy), make("td", null, minute(line.time)), make("td", null, reasons));
}

function showPlan() {
  const words = byName("plan-filter").value.trim().toLowerCase();
  const fits = (line) => {
    if (!wantedKinds.has(line.verdict)) return false;
    if (!words) return true;
    const reasons = reasonsOfLine(line).map((reason) => `${reason.code} ${reason.detail} ${reason.path.join(" ")}`).join(" ");
    return `${line.id} ${line.policy} ${reasons}`.toLowerCase().includes(words);
  };
  const lines = PLAN.filter(fits);
  byName("plan-table").tBodies[0].replaceChildren(...lines.slice(0, linesShown).map(planRow));
  const more = byName("plan-more");
  more.replaceChildren();
  if (lines.length > linesShown) {
    const next = () => { linesShown += LINES; showPlan(); };
    more.append(`${figure(linesShown)} of ${figure(lines.length)} are shown. `, make("button", { type: "button", onclick: next }, "Show more"));
  } else if (lines.length === 0) more.append("Nothing of what is chosen.");
}

function startPlan() {
  const counts = new Map();
  for (const line of PLAN) counts.set(line.verdict, (counts.get(line.verdict) || 0) + 1);
  const kinds = [...counts.keys()];
  for (const kind of kinds) if (!ORDER.includes(kind)) wantedKinds.add(kind);
  byName("plan-kinds").replaceChildren(...kinds.map((kind) => {
    const button = make("button", { type: "button", "aria-pressed": String(wantedKinds.has(kind)), "data-verdict": kind }, `${kind} ${figure(counts.get(kind))}`);
    button.addEventListener("click", () => {
      if (!wantedKinds.delete(kind)) wantedKinds.add(kind);
      button.setAttribute("aria-pressed", String(wantedKinds.has(kind)));
      linesShown = LINES;
      showPlan();
    });
    return button;
  }));
  afterTyping(byName("plan-filter"), () => { linesShown = LINES; showPlan(); });
  showPlan();
}
