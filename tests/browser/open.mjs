// A page in Chromium, and what it does without being asked.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function open(executablePath, file, folder) {
  const seen = { errors: [], requests: [], dialogs: [] };
  const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"];
  // A folder of its own each time: nothing of an earlier run plays a part.
  const browser = await chromium.launchPersistentContext(join(folder, "profile"),
    { executablePath, headless: true, args: flags, viewport: { width: 1280, height: 900 } });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  await page.addInitScript(() => { window.ran = () => { window.didRun = true; }; });
  await page.goto(pathToFileURL(file).href);
  const violations = async (name) => {
    // The policy of the page forbids scripts that it does not know, and this one comes in by the debugger.
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.filter((v) => ["serious", "critical"].includes(v.impact))
      .map((v) => `${name}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`);
  };
  return { browser, page, seen, violations };
}
