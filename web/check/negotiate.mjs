// A browser's half of perfect negotiation. Messages to the page come in as lines of JSON, and those of the page go out
// as lines of JSON; what is not a message goes to standard error.
//
//   node negotiate.mjs --browser chromium|firefox --seed N [--polite]

import { parseArgs } from 'node:util';
import { createInterface } from 'node:readline';
import { launch } from './browsers.mjs';
import { negotiator } from './negotiator.mjs';

const { values: options } = parseArgs({
  options: {
    browser: { type: 'string', default: 'chromium' },
    seed: { type: 'string', default: '1' },
    polite: { type: 'boolean', default: false },
  },
});

const browser = await launch(options.browser);
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.error(`console: ${message.text()}`));
  page.on('pageerror', (error) => console.error(`page error: ${error.message}`));
  await page.evaluate(negotiator, { seed: Number(options.seed), polite: options.polite });
  console.log(JSON.stringify({ ready: await browser.version() }));

  let open = true;
  const outgoing = (async () => {
    while (open) {
      for (const message of await page.evaluate(() => globalThis.takeMessages())) {
        console.log(JSON.stringify(message));
      }
    }
  })();
  for await (const line of createInterface({ input: process.stdin })) {
    await page.evaluate((message) => globalThis.giveMessage(message), JSON.parse(line));
  }
  open = false;
  await page.evaluate(() => globalThis.endMessages());
  await outgoing;
} finally {
  await browser.close().catch(() => {});
}
process.exit(0);
