// The head of the page, searching, and the start of everything.

const FOUND = 30;

function startHead() {
  const run = PICTURE.run;
  const place = [run.account, run.region].filter(Boolean).join(", ");
  byName("place").textContent = place;
  document.title = `Holdfast: backups of ${place || "an account"}, ${minute(run.now)}`;
  byName("made").textContent = `As of ${minute(run.now)} UTC. Plan ${(run.plan_hash || "").slice(0, 12)}, policy file ${(run.policy_sha256 || "").slice(0, 12)}: ${PICTURE.policies.map((policy) => policy.name + (policy.state === "active" ? "" : ` (${policy.state})`)).join(", ")}.`;
  const counts = new Map();
  for (const line of PLAN) counts.set(line.verdict, (counts.get(line.verdict) || 0) + 1);
  for (const [verdict, count] of Object.entries(PICTURE.graph.left_out)) counts.set(verdict, (counts.get(verdict) || 0) + count);
  const findings = CALENDAR.rows.filter((row) => row.outcome === "finding").length;
  const gaps = CALENDAR.rows.filter((row) => row.days.includes("!")).length;
  const sources = (count) => (count === 1 ? "source" : "sources");
  const tile = (kind, count, words) => make("li", { "data-verdict": kind }, make("b", null, figure(count)), words);
  const tiles = ORDER.filter((kind) => counts.get(kind)).map((kind) => tile(kind, counts.get(kind), kind));
  tiles.unshift(tile(findings ? "finding" : "kept", findings, `${sources(findings)} without what was promised`), tile(gaps ? "finding" : "kept", gaps, `${sources(gaps)} with a day missing`));
  byName("tiles").replaceChildren(...tiles);
  const notes = [];
  if (!run.complete) notes.push("Not every list could be read to its end: what it could protect is held.");
  const left = Object.entries(PICTURE.graph.left_out);
  if (left.length) notes.push(`There was no room to draw each backup: ${left.map(([verdict, count]) => `${figure(count)} ${verdict}`).join(", ")} are counted only, the oldest of them.`);
  if (PICTURE.items_left_out) notes.push(`${figure(PICTURE.items_left_out)} lines of the plan are left out.`);
  byName("notes").textContent = notes.join(" ");
  byName("notes").className = notes.length ? "warn" : "";
}

function startEvidence() {
  const rows = (PICTURE.run.evidence || []).map((source) => {
    const unused = (source.not_used_by || []).length ? `declared not in use by ${source.not_used_by.join(", ")}` : "";
    const state = source.error ? `not read to its end: ${source.error}` : source.complete ? "complete" : unused ? "" : "not read";
    return make("tr", null, make("td", null, source.source), make("td", null, source.count === undefined ? "–" : figure(source.count)), make("td", null, minute(source.read_at)), make("td", null, [state, unused].filter(Boolean).join("; ")));
  });
  byName("evidence-table").tBodies[0].replaceChildren(...rows);
}

function showFound() {
  const input = byName("search");
  const { found, count } = search(input.value, FOUND);
  const items = found.map((node) => make("li", null, chooser(idOf(node)), ` ${nameOf(node)} `, badge(verdictOf(node))));
  if (count > found.length) items.push(make("li", null, `and ${figure(count - found.length)} more`));
  if (input.value.trim() && count === 0) items.push(make("li", null, "Nothing on this page has these words."));
  byName("found").replaceChildren(...items);
  return found;
}

function startSearch() {
  const input = byName("search");
  afterTyping(input, showFound);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      const [first] = showFound();
      if (first !== undefined) {
        choose(first, false);
        canvas.focus({ preventScroll: true });
      }
    } else if (event.key === "Escape") {
      input.value = "";
      showFound();
      canvas.focus({ preventScroll: true });
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  const skip = document.querySelector(".skip");
  const go = () => canvas.focus();
  skip.addEventListener("click", go);
  skip.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
}

function startLegend() {
  const marks = [["kept", "● kept by a rule"], ["held", "■ held: something needs it, or a guardrail holds it"], ["retire", "✕ a sweep would retire it"], ["failed", "! failed"], ["none", "no verdict of its own"]];
  byName("graph-legend").replaceChildren(...marks.map(([kind, words]) => {
    const swatch = make("i");
    swatch.style.setProperty("--mark", `var(--${kind})`);
    return make("li", null, swatch, words);
  }), make("li", null, "dashed: shown once more where it is used"), make("li", null, "what is gone already: holdfast lineage ID"));
}

startHead();
startCalendar();
startGraph();
startLegend();
startSearch();
startPlan();
startCurves();
startEvidence();
