// A strip of days for each source.

const ROWS = 250;
const CALENDAR = PICTURE.calendar;
const DAY = 86400000;
const FIRST_DAY = Date.parse(`${CALENDAR.first}T00:00:00Z`);
const dayName = (day) => new Date(FIRST_DAY + day * DAY).toISOString().slice(0, 10);
let rowsShown = ROWS;

const LEGEND_OF_DAYS = [
  ["one", "a backup of that day exists"],
  ["few", "two to five"],
  ["many", "more"],
  ["missing", "missing: the policy had a slot, its rules would still keep the backup, and there is none"],
  ["making", "being made"],
  ["empty", "none, and none is due"],
];

function classOf(letter) {
  if (letter === "!") return "missing";
  if (letter === "~") return "making";
  const count = letter === "." ? 0 : parseInt(letter, 36);
  return count === 0 ? null : count === 1 ? "one" : count <= 5 ? "few" : "many";
}

function wordsOf(letter) {
  if (letter === "!") return "no backup, and one is missing";
  if (letter === "~") return "a backup is being made";
  if (letter === ".") return "no backup, and none is due";
  const count = parseInt(letter, 36);
  return count === 1 ? "1 backup" : `${count === 35 ? "35 or more" : count} backups`;
}

/** The strip itself: one path for each kind of day. */
function strip(row) {
  const paths = new Map();
  const gap = CALENDAR.days > 200 ? 0 : 0.12;
  for (let day = 0; day < row.days.length; day += 1) {
    const kind = classOf(row.days[day]);
    if (!kind) continue;
    const here = `M${day + gap} 0h${1 - 2 * gap}v10h-${1 - 2 * gap}z`;
    paths.set(kind, (paths.get(kind) || "") + here);
  }
  const svg = drawn("svg", { class: "strip", viewBox: `0 0 ${CALENDAR.days} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const [kind, d] of paths) svg.append(drawn("path", { class: kind, d }));
  return svg;
}

function months() {
  const axis = make("div", { class: "months" });
  let last = "";
  let wide = -1e9;
  for (let day = 0; day < CALENDAR.days; day += 1) {
    const name = dayName(day);
    const label = CALENDAR.days <= 45 ? (day % 7 === 0 ? name.slice(5) : "") : name.slice(0, 7) === last ? "" : name.slice(0, 7);
    last = name.slice(0, 7);
    const least = CALENDAR.days * 0.08;
    if (!label || day - wide < least || day > CALENDAR.days - least) continue;
    wide = day;
    const mark = make("span", null, label);
    mark.style.left = `${(day / CALENDAR.days) * 100}%`;
    axis.append(mark);
  }
  return axis;
}

function sourceRow(row) {
  const have = [...row.days].filter((letter) => classOf(letter) && letter !== "!" && letter !== "~").length;
  const gaps = [...row.days].filter((letter) => letter === "!").length;
  const bad = row.outcome === "finding" || gaps > 0;
  const node = PLACES.get(row.source);
  const name = node === undefined ? "" : nameOf(node);
  const told = `${row.source} ${name}, policy ${row.policy}: ${row.code}. ${have} of ${CALENDAR.days} days have a backup, ${gaps} are missing one.`;
  const picture = strip(row);
  const element = make("div", { class: bad ? "source attention" : "source", role: "listitem", tabindex: "0", "aria-label": told },
    make("div", null, chooser(row.source), make("small", null, [name, row.policy, row.instance && `with ${row.instance}`].filter(Boolean).join(" · "))),
    picture,
    make("div", { class: "state" }, make("b", null, gaps ? `${row.code}, ${gaps} missing` : row.code),
      make("small", null, row.newest ? `newest ${minute(row.newest)}` : row.words, row.rpo ? ` · at most ${row.rpo} old` : "", row.older ? ` · ${row.older} older` : "")));
  let here = row.days.length - 1;
  const tell = (day) => {
    here = Math.max(0, Math.min(row.days.length - 1, day));
    picture.querySelector(".here")?.remove();
    picture.append(drawn("rect", { class: "here", x: here, y: 0, width: 1, height: 10 }));
    byName("coverage-day").textContent = `${row.source} on ${dayName(here)}: ${wordsOf(row.days[here])}`;
  };
  picture.addEventListener("mousemove", (event) => {
    const box = picture.getBoundingClientRect();
    tell(Math.floor(((event.clientX - box.left) / box.width) * row.days.length));
  });
  picture.addEventListener("mouseleave", () => picture.querySelector(".here")?.remove());
  element.addEventListener("blur", () => picture.querySelector(".here")?.remove());
  element.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) tell(here + step);
    else if (event.key === "ArrowDown") element.nextElementSibling?.focus();
    else if (event.key === "ArrowUp") element.previousElementSibling?.focus();
    else if (event.key === "Enter" && event.target === element && node !== undefined) choose(node, true);
    else return;
    event.preventDefault();
  });
  return element;
}

function showCalendar() {
  const wanted = byName("coverage-filter").value.trim().toLowerCase();
  const fits = (row) => {
    const node = PLACES.get(row.source);
    const name = node === undefined ? "" : nameOf(node);
    return `${row.source} ${name} ${row.policy} ${row.code} ${row.instance || ""}`.toLowerCase().includes(wanted);
  };
  const rows = wanted ? CALENDAR.rows.filter(fits) : CALENDAR.rows;
  const axis = make("div", { class: "axis", "aria-hidden": "true" }, make("span", null, "source"), months(), make("span", null, "state"));
  byName("calendar").replaceChildren(axis, ...rows.slice(0, rowsShown).map(sourceRow));
  const more = byName("coverage-more");
  more.replaceChildren();
  if (rows.length > rowsShown) {
    const next = () => { rowsShown += ROWS; showCalendar(); };
    more.append(`${figure(rowsShown)} of ${figure(rows.length)} are shown. `, make("button", { type: "button", onclick: next }, "Show more"));
  } else if (rows.length === 0) more.append("No source.");
  if (CALENDAR.left_out) more.append(` ${figure(CALENDAR.left_out)} more had no room on this page.`);
}

function startCalendar() {
  byName("coverage-lead").textContent = `${figure(CALENDAR.rows.length)} sources over ${CALENDAR.days} days, ${CALENDAR.first} to ${dayName(CALENDAR.days - 1)}, in each policy's time zone. What needs attention stands first.`;
  byName("coverage-legend").replaceChildren(...LEGEND_OF_DAYS.map(([kind, words]) => {
    const swatch = make("i");
    swatch.style.setProperty("--mark", `var(--${kind})`);
    return make("li", null, swatch, words);
  }));
  afterTyping(byName("coverage-filter"), () => { rowsShown = ROWS; showCalendar(); });
  showCalendar();
}
