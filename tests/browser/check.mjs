// Opens a report in Chromium as a reader would, and prints what it saw as JSON: `node check.mjs CHROMIUM REPORT FOLDER`.
// It only observes; what must hold is said in tests/suite/html.rs.
import { join } from "node:path";
import { open } from "./open.mjs";

const [executablePath, report, folder] = process.argv.slice(2);
const { browser, page, seen, violations } = await open(executablePath, report, folder);
const count = () => page.locator("#count").textContent();
const cells = (column) => page.locator(`#table > tbody > tr:not(.opened) > :nth-child(${column + 1})`).allTextContents();
await page.waitForSelector("#filters:not([hidden])");
seen.all = await count();
seen.summary = await page.locator("#summary").innerText();

// By mouse.
seen.classes = await page.locator("#f-class option").evaluateAll((options) => options.map((o) => o.value));
const wanted = seen.classes[1];
await page.selectOption("#f-class", wanted);
seen.filtered = { wanted, count: await count(), titles: [...new Set(await cells(1))] };
await page.locator("#filters button[type=reset]").click();
await page.waitForFunction((all) => document.getElementById("count").textContent === all, seen.all);
await page.locator("#table thead th button").nth(4).click();
seen.ascending = await cells(4);
await page.locator("#table thead th button").nth(4).click();
seen.descending = await cells(4);
await page.locator("button.open").first().click();
await page.waitForSelector("article.card");
await page.locator("article.card .cite").first().click();
seen.cited = await page.locator("article.card details[open]").count();
seen.mouse_card = await page.locator("article.card").innerText();
await page.locator("button.open").first().click();
seen.closed = (await page.locator("article.card").count()) === 0;

// By keyboard alone.
await page.evaluate(() => document.activeElement.blur());
const tab_to = async (what) => {
  for (let n = 0; n < 80; n += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((what) => document.activeElement.matches(what), what)) return true;
  }
  return false;
};
seen.tabbed_to_search = await tab_to("#f-text");
// Characters that cannot be typed are shown by their numbers.
const id = (await cells(5)).find((text) => text !== "" && !text.includes("\\"));
await page.keyboard.type(id);
seen.searched = { id, count: await count(), found: await cells(5) };
seen.tabbed_to_head = await tab_to("#table thead th button");
await page.keyboard.press("Enter");
seen.sorted_by_key = await page.locator("#table thead th").first().getAttribute("aria-sort");
seen.tabbed_to_row = await tab_to("button.open");
await page.keyboard.press("Enter");
await page.waitForSelector("article.card");
seen.expanded = await page.evaluate(() => document.activeElement.getAttribute("aria-expanded"));
seen.key_card = await page.locator("article.card").innerText();
await page.locator("#filters button[type=reset]").click();
await page.waitForFunction((all) => document.getElementById("count").textContent === all, seen.all);

// A card of each class, everything in it opened.
for (const name of seen.classes.slice(1)) {
  await page.selectOption("#f-class", name);
  await page.locator("button.open").first().click();
  await page.waitForSelector("article.card");
  await page.locator("details").evaluateAll((all) => all.forEach((details) => { details.open = true; }));
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    (seen.violations ??= []).push(...(await violations(`${name}, ${scheme}`)));
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.locator("article.card").first().screenshot({ path: join(folder, `card-${name}.png`) });
}
await page.selectOption("#f-class", "");
for (const scheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme: scheme });
  seen.violations.push(...(await violations(`table, ${scheme}`)));
  await page.screenshot({ path: join(folder, `page-${scheme}.png`), fullPage: true });
}
await page.emulateMedia({ colorScheme: "light" });
await page.setViewportSize({ width: 360, height: 740 });
seen.violations.push(...(await violations("narrow")));
seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await page.screenshot({ path: join(folder, "narrow.png") });
await page.setViewportSize({ width: 1280, height: 900 });

// In print, with a card open.
await page.locator("button.open").first().click();
await page.waitForSelector("article.card");
await page.emulateMedia({ media: "print" });
for (const format of ["A4", "Letter"]) await page.pdf({ path: join(folder, `${format}.pdf`), format });
seen.ran = await page.evaluate(() => window.didRun === true);
await browser.close();
console.log(JSON.stringify(seen));
