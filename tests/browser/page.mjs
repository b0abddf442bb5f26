// Opens a report page in Chromium and prints what it found as JSON: node page.mjs PACKAGES PAGE SCENARIO [QUERY]...
// PACKAGES is the folder that scripts/browser-for prints.
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, file, scenario, ...queries] = process.argv.slice(2);
const require = createRequire(`${packages}/packages.js`);
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Continuous integration runs as root, where Chromium's sandbox does not start.
const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"];
const executablePath = process.env.PATH.split(delimiter).map((folder) => join(folder, "chromium")).find(existsSync);
const browser = await puppeteer.launch({ executablePath, args, pipe: true });

const emulate = (page, scheme) => page.emulateMediaFeatures([
  { name: "prefers-color-scheme", value: scheme },
  { name: "prefers-reduced-motion", value: "reduce" },
]);

// A page, and everything that it does and should not do.
async function open({ width = 1280, height = 900, scheme = "light" } = {}) {
  const page = await browser.newPage();
  const seen = { messages: [], requests: [], dialogs: [], failed: [] };
  page.on("console", (message) => seen.messages.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.messages.push(`error: ${error.message}`));
  page.on("dialog", async (dialog) => {
    seen.dialogs.push(dialog.message());
    await dialog.dismiss();
  });
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("requestfailed", (request) => seen.failed.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.setViewport({ width, height });
  await emulate(page, scheme);
  await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
  return { page, seen };
}

const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

// What axe-core finds in light and dark, the width of the page, and everything that is the same for all pages.
async function audit() {
  const { page, seen } = await open();
  const found = seen;
  await page.evaluate(axe);
  for (const scheme of ["light", "dark"]) {
    await emulate(page, scheme);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    found[scheme] = grave.map(({ id, nodes }) => `${id}: ${nodes[0].html}: ${nodes[0].failureSummary}`);
  }
  for (const width of [360, 800, 1280]) {
    await page.setViewport({ width, height: 740 });
    await settled(page);
    found[`overflow${width}`] = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth - clientWidth;
    });
  }
  await page.evaluate(() => Promise.all([...document.querySelectorAll("#strip img")].map((img) => {
    img.loading = "eager";
    return img.decode();
  })));
  Object.assign(found, await page.evaluate(() => ({
    title: document.title,
    heading: document.querySelector("h1").textContent,
    headings: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => `${h.tagName} ${h.textContent}`),
    text: document.body.innerText,
    lines: [...document.querySelectorAll("#lines li")].map((li) => li.textContent.trim()),
    elements: [...new Set([...document.querySelectorAll("body *")].map((e) => e.localName))].sort(),
    handlers: [...document.querySelectorAll("*")].flatMap((e) => e.getAttributeNames().filter((name) => name.startsWith("on") || name === "style")),
    links: [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")).filter((href) => !href.startsWith("#")),
    pictures: [...document.querySelectorAll("#strip img")].map((img) => [img.complete, img.naturalWidth]),
    canary: globalThis.canary ?? null,
  })));
  return found;
}

// What is selected, shown in the card, and focused.
const state = (page) => page.evaluate(() => {
  const card = document.querySelector("#card"), player = document.querySelector("#player");
  const box = card.getBoundingClientRect();
  return {
    frame: document.querySelector("#strip .on")?.id ?? null,
    line: document.querySelector("#lines .on")?.id ?? null,
    current: document.querySelectorAll("[aria-current=true]").length,
    focus: document.activeElement?.getAttribute("href") ?? document.activeElement?.id ?? null,
    hash: location.hash,
    card: card.hidden ? null : { text: card.innerText, picture: !card.querySelector("img").hidden, left: box.left, top: box.top, right: box.right, bottom: box.bottom },
    described: document.querySelector("[aria-describedby=card]")?.getAttribute("href") ?? null,
    stage: document.querySelector("#stage")?.hidden === false ? document.querySelector("#stage figcaption").textContent : null,
    time: player ? player.currentTime : null,
    count: document.querySelector("#count")?.textContent ?? null,
    shown: document.querySelectorAll("#lines li:not([hidden])").length,
    highlighted: [...CSS.highlights.get("found") ?? []].map(({ startContainer, startOffset, endOffset }) => startContainer.data.slice(startOffset, endOffset)),
    now: document.querySelector("#now")?.getAttribute("x1") ?? null,
  };
});

// The links of the summary by mouse and by keyboard; the search; the keys of the lists; the way back.
async function evidence() {
  const steps = {};
  const { page, seen } = await open();
  const note = async (name) => {
    await settled(page);
    steps[name] = await state(page);
  };
  await note("opened");
  const cites = await page.$$(".cite");
  steps.cites = await page.$$eval(".cite", (links) => links.map((a) => [a.textContent, a.getAttribute("href")]));
  await cites[0].hover();
  await page.waitForSelector("#card:not([hidden])");
  await note("hovered");
  await page.keyboard.press("Escape");
  await note("escaped");
  await cites[0].click();
  await note("clicked");
  await page.keyboard.press("Escape");
  await note("back");
  await page.mouse.move(2, 2);
  // By keyboard: Tab until the second citation has the focus.
  await page.evaluate(() => document.activeElement.blur());
  for (let n = 0; n < 200; n += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement === document.querySelectorAll(".cite")[1])) break;
  }
  await note("focused");
  await page.keyboard.press("Enter");
  await note("entered");
  await page.keyboard.press("ArrowDown");
  await note("down");
  await page.keyboard.press("Enter");
  await note("chosen");
  await page.goBack();
  await note("history");
  await page.keyboard.press("/");
  await page.keyboard.type("the");
  await note("searched");
  await page.keyboard.press("Enter");
  await note("found");
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await note("cleared");
  const strip = await page.$("#strip li:last-child a");
  if (strip) {
    await strip.click();
    await note("last");
    await page.keyboard.press("ArrowLeft");
    await note("left");
  }
  const overview = await (await page.$("#overview")).boundingBox();
  await page.mouse.click(overview.x + overview.width * 0.5, overview.y + 10);
  await note("overview");
  await page.close();
  return { steps, ...seen };
}

// Searches for each of the queries in turn.
async function search() {
  const { page, seen } = await open();
  const results = [];
  for (const query of queries) {
    await page.keyboard.press("/");
    await page.keyboard.type(query);
    await settled(page);
    results.push(await state(page));
    // The key "/" leads to the search from outside of it only.
    await page.evaluate(() => document.activeElement.blur());
  }
  await page.close();
  return { results, ...seen };
}

// Plays the linked recording.
async function play() {
  const { page, seen } = await open();
  await page.waitForFunction(() => document.querySelector("#player").readyState > 0, { timeout: 20000 });
  const before = await state(page);
  await (await page.$$(".cite"))[1].click();
  await page.waitForFunction(() => !document.querySelector("#player").seeking);
  const sought = await state(page);
  await page.evaluate(() => {
    const player = document.querySelector("#player");
    player.muted = true;
    player.playbackRate = 8;
    player.currentTime = 0;
    return player.play();
  });
  await page.waitForFunction(() => document.querySelector("#player").ended, { timeout: 60000 });
  await settled(page);
  const ended = await state(page);
  const source = await page.$eval("#player", (player) => player.getAttribute("src"));
  await page.close();
  return { before, sought, ended, source, ...seen };
}

// Pictures of the page for people: WHERE-light.png and so on.
async function shots() {
  const where = process.env.WHERE;
  for (const [name, view] of [["light", {}], ["dark", { scheme: "dark" }], ["phone", { width: 360, height: 740 }]]) {
    const { page } = await open(view);
    if (process.env.HOVER) {
      await (await page.$$(".cite"))[Number(process.env.HOVER)].hover();
      await page.waitForSelector("#card:not([hidden])");
    }
    await page.screenshot({ path: `${where}-${name}.png` });
    await page.screenshot({ path: `${where}-${name}-full.png`, fullPage: true });
    await page.close();
  }
  const { page } = await open({ width: 794, height: 1123 });
  await page.emulateMediaType("print");
  await page.screenshot({ path: `${where}-print.png`, fullPage: true });
  return {};
}

const scenarios = { audit, evidence, search, play, shots };
try {
  console.log(JSON.stringify(await scenarios[scenario](), null, 1));
} finally {
  await browser.close();
}
