// The simulation's curves, how many backups each policy has, day by day, and what they rest on.

const DASHES = ["", "6 3", "2 3", "10 3 2 3", "1 4"];
const INKS = ["--accent", "--kept", "--held", "--retire", "--failed"];

function startCurves() {
  const simulation = PICTURE.simulation;
  byName("simulation-said").textContent = simulation.said;
  const assumed = byName("simulation-assumptions");
  assumed.hidden = simulation.assumptions.length === 0;
  assumed.querySelector("ul").replaceChildren(...simulation.assumptions.map((one) => make("li", null, one)));
  if (!simulation.policies.some((policy) => policy.days.length > 1)) return;
  const [wide, high, left, foot] = [900, 300, 60, 24];
  const days = Math.max(2, ...simulation.policies.map((policy) => policy.days.length));
  const most = Math.max(1, ...simulation.policies.map((policy) => policy.days.reduce((a, b) => Math.max(a, b), 0)));
  const x = (day) => left + (day / (days - 1)) * (wide - left - 10);
  const y = (count) => high - foot - (count / most) * (high - foot - 10);
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `Backups of each policy over ${days} days; at most ${most}` });
  const grid = drawn("g", { stroke: "currentColor", "stroke-opacity": "0.2" });
  svg.append(grid);
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    grid.append(drawn("line", { x1: left, x2: wide - 10, y1: y(most * part), y2: y(most * part) }));
    svg.append(drawn("text", { x: left - 6, y: y(most * part) + 4, "text-anchor": "end" }, figure(Math.round(most * part))));
    svg.append(drawn("text", { x: x((days - 1) * part), y: high - 6, "text-anchor": "middle" }, `day ${Math.round((days - 1) * part)}`));
  }
  const legend = make("ul", { class: "legend" });
  simulation.policies.forEach((policy, at) => {
    const points = policy.days.map((count, day) => `${x(day).toFixed(1)},${y(count).toFixed(1)}`).join(" ");
    const line = drawn("polyline", { points, fill: "none", "stroke-width": 2, "stroke-dasharray": DASHES[Math.floor(at / INKS.length) % DASHES.length] });
    line.style.stroke = `var(${INKS[at % INKS.length]})`;
    line.append(drawn("title", null, policy.name));
    svg.append(line);
    const swatch = make("i");
    swatch.style.setProperty("--mark", `var(${INKS[at % INKS.length]})`);
    legend.append(make("li", null, swatch, `${policy.name}: ${figure(policy.days.at(-1) ?? 0)} at the end`));
  });
  byName("curves").replaceChildren(svg, legend);
}
