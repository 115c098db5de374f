// The pages of `holdfast report`, as `cargo test --test report` leaves them, in a browser.
//
// What stands on them is what that test seeds: see tests/end-to-end/tests/report.rs.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const pages = process.env.REPORT_PAGES;
const shots = process.env.REPORT_SHOTS;
const executablePath = process.env.CHROMIUM;
assert.ok(pages && shots && executablePath, "run it by `make test-report`");
mkdirSync(shots, { recursive: true });

const DATABASE = "vol-0000000000000000c";
const EMPTY = "vol-0000000000000000d";
const MACHINE = "i-0000000000000000a";
const USER = "i-0000000000000000b";

let browser;
before(async () => {
  // Debian's Chromium runs as root in a container only without its sandbox.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  browser = await chromium.launch({ executablePath, args });
});
after(() => browser?.close());

/** Opens a page; fails the test on any error that it tells and on any request but its own. */
async function open(t, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 950 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  const url = pathToFileURL(path.join(pages, name)).href;
  page.on("request", (request) => request.url() !== url && wrong.push(`asks for ${request.url()}`));
  await page.goto(url);
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

/** How many colours stand on the canvas: a blank one has a single one. */
const colours = (page) => page.evaluate(() => {
  const canvas = document.getElementById("graph-canvas");
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return seen.size;
});

const shot = (page, name, whole = true) => page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: whole });

test("a source without a backup stands first, and a missing day is told to keyboard and pointer", async (t) => {
  const page = await open(t, "page.html");
  const rows = page.locator("#calendar .source");
  assert.match(await rows.nth(0).innerText(), new RegExp(EMPTY));
  const database = page.locator(`#calendar .source:has-text("${DATABASE}")`);
  assert.match(await database.getAttribute("aria-label"), /38 of 41 days have a backup, 2 are missing one/);
  await database.focus();
  // From today back to four days ago, on which none was made.
  for (let day = 0; day < 4; day += 1) await page.keyboard.press("ArrowLeft");
  assert.equal(await page.locator("#coverage-day").innerText(), `${DATABASE} on 2026-02-26: no backup, and one is missing`);
  const box = await database.locator("svg").boundingBox();
  await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2);
  assert.equal(await page.locator("#coverage-day").innerText(), `${DATABASE} on 2026-03-02: 1 backup`);
});

test("searching leads to a resource, and choosing it shows who holds it with the path", async (t) => {
  const page = await open(t, "page.html");
  await page.keyboard.press("/");
  await page.keyboard.type("legacy");
  await page.locator("#found button").first().click();
  const why = page.locator("#why");
  assert.match(await why.innerText(), new RegExp(USER));
  // From the machine to the AMI that it was launched from, and to the snapshot behind that.
  await why.getByRole("button", { name: /^ami-/ }).first().click();
  const told = await why.innerText();
  assert.match(told, /held/);
  assert.match(told, /used-by-instance/);
  assert.match(told, new RegExp(`ami-[0-9a-f]+ ← ${USER}`));
  await why.getByRole("button", { name: /^snap-/ }).first().click();
  const backing = await why.innerText();
  assert.match(backing, /It stays and goes with its AMI/i);
  assert.match(backing, new RegExp(USER));
  await shot(page, "light");
});

test("the graph keeps its picture and its size when the window changes", async (t) => {
  const page = await open(t, "page.html");
  const height = async () => (await page.locator("#graph-canvas").boundingBox()).height;
  const before = await height();
  assert.ok((await colours(page)) > 5);
  await page.setViewportSize({ width: 1100, height: 1400 });
  assert.equal(await height(), before);
  assert.ok((await colours(page)) > 5);
});

test("a click on the canvas chooses what is drawn there", async (t) => {
  const page = await open(t, "page.html");
  await page.locator("#search").fill(MACHINE);
  await page.locator("#found button").first().click();
  assert.equal(await page.locator("#why h3").innerText(), MACHINE);
  await page.locator("#graph-canvas").focus();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#why h3").count(), 0);
  // The machine stays in sight where it was: its column is the first one.
  const box = await page.locator("#graph-canvas").boundingBox();
  let name = "";
  for (let y = 30; y < box.height && name !== MACHINE; y += 8) {
    await page.mouse.click(box.x + 80, box.y + y);
    const heads = page.locator("#why h3");
    name = (await heads.count()) ? await heads.innerText() : "";
  }
  assert.equal(name, MACHINE);
});

test("the graph is walked by the keyboard alone", async (t) => {
  const page = await open(t, "page.html");
  await page.keyboard.press("/");
  await page.keyboard.type(MACHINE);
  await page.keyboard.press("Enter");
  const head = page.locator("#why h3");
  assert.equal(await head.innerText(), MACHINE);
  await page.keyboard.press("ArrowRight");
  assert.match(await head.innerText(), /^vol-0000000000000000[ab]$/);
  await page.keyboard.press("ArrowRight");
  assert.match(await head.innerText(), /6 snapshots/);
  await page.keyboard.press("Enter");
  assert.match(await head.innerText(), /^snap-/);
  const first = await head.innerText();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await head.innerText(), first);
  await page.keyboard.press("0");
  await page.keyboard.press("+");
  await page.keyboard.press("Escape");
  assert.match(await page.locator("#why").innerText(), /Choose a resource/);
});

test("a tag that would end a script is text", async (t) => {
  const page = await open(t, "page.html");
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await page.locator("#search").fill(DATABASE);
  await page.locator("#found button").first().click();
  assert.match(await page.locator("#why").innerText(), /<\/script><script>window\.hacked = 1<\/script><!--/);
});

test("the plan tells what goes, what is held and, when asked, what a rule keeps", async (t) => {
  const page = await open(t, "page.html");
  const lines = page.locator("#plan-table tbody tr");
  assert.equal(await lines.filter({ hasText: "used-by-instance" }).count(), 1);
  const before = await lines.count();
  const kept = page.locator('#plan-kinds button[data-verdict="kept"]');
  assert.equal(await kept.getAttribute("aria-pressed"), "false");
  await kept.click();
  const count = Number((await kept.innerText()).split(" ")[1]);
  assert.equal(await lines.count(), before + count);
  await page.locator("#plan-filter").fill("retain.weekly");
  await page.waitForFunction((all) => document.querySelectorAll("#plan-table tbody tr").length < all, before);
  for (const line of await lines.allInnerTexts()) assert.match(line, /retain\.weekly/);
});

test("it is readable in the dark and on paper", async (t) => {
  const page = await open(t, "page.html", { colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await ground(), "rgb(20, 23, 28)");
  await page.locator("#search").fill("web-1");
  await page.locator("#found button").first().click();
  await shot(page, "dark");
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await ground(), "rgb(255, 255, 255)");
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await shot(page, "print");
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
});

test("on a narrow screen nothing is wider than the screen", async (t) => {
  const page = await open(t, "page.html", { viewport: { width: 420, height: 800 } });
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= seen, `${wide} > ${seen}`);
  await shot(page, "narrow");
});

test("five thousand snapshots, all unfolded, are drawn without stalling", async (t) => {
  const page = await open(t, "large.html");
  await shot(page, "large");
  const took = await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const canvas = document.getElementById("graph-canvas");
    await frame();
    const begun = performance.now();
    document.getElementById("unfold").click();
    await frame();
    await frame();
    const unfolded = performance.now() - begun;
    let longest = 0;
    for (let turn = 0; turn < 40; turn += 1) {
      const before = performance.now();
      const zoom = turn % 4 === 3;
      canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: zoom ? -60 : 400, ctrlKey: zoom, bubbles: true, cancelable: true }));
      await frame();
      await frame();
      longest = Math.max(longest, performance.now() - before);
    }
    return { unfolded, longest };
  });
  t.diagnostic(`unfolded in ${took.unfolded.toFixed(0)} ms, the longest frame ${took.longest.toFixed(0)} ms`);
  assert.ok(took.unfolded < 2000, `unfolding took ${took.unfolded} ms`);
  assert.ok(took.longest < 500, `a frame took ${took.longest} ms`);
  assert.ok((await colours(page)) > 5);
  await page.locator("#lineage").scrollIntoViewIfNeeded();
  await page.locator("#search").fill("data-050");
  await page.locator("#found button").first().click();
  await shot(page, "unfolded", false);
  // A curve for each policy, and in words what it was simulated from.
  assert.equal(await page.locator("#simulation polyline").count(), 2);
  assert.match(await page.locator("#simulation-said").textContent(), /for 365 days/);
  const assumed = page.locator("#simulation-assumptions");
  await assumed.locator("summary").press("Enter");
  assert.ok(await assumed.locator("li", { hasText: "every call succeeds" }).isVisible());
  await page.locator("#simulation").scrollIntoViewIfNeeded();
  await shot(page, "curves", false);
});
