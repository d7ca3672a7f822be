// Opens the index over many archives in Chromium, follows its first link, and prints what it saw as JSON:
// `node index.mjs CHROMIUM INDEX FOLDER`. It only observes; what must hold is said in tests/suite/batch.rs.
import { join } from "node:path";
import { open } from "./open.mjs";

const [executablePath, index, folder] = process.argv.slice(2);
const { browser, page, seen, violations } = await open(executablePath, index, folder);
seen.violations = [];
for (const scheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme: scheme });
  seen.violations.push(...(await violations(scheme)));
  await page.screenshot({ path: join(folder, `index-${scheme}.png`), fullPage: true });
}
await page.setViewportSize({ width: 360, height: 740 });
seen.violations.push(...(await violations("narrow")));
seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await page.keyboard.press("Tab");
await page.keyboard.press("Tab");
seen.focused = await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200));
await page.keyboard.press("Enter");
await page.waitForSelector("#filters:not([hidden])");
seen.followed = await page.title();
seen.ran = await page.evaluate(() => window.didRun === true);
await browser.close();
console.log(JSON.stringify(seen));
