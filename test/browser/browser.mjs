/**
 * `node test/browser/browser.mjs [--shots folder]`: the landing page in a real browser, on the embedded default and on
 * Redis. Every card is used as a visitor uses it; nothing may be refused by the content security policy, nothing thrown,
 * nothing fetched from elsewhere. On Redis: live orders across a restart of Redis and one of the demo.
 *
 * It needs Chromium (CHROMIUM names it, or it is found on the PATH) and the build (`npm run build`).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registerTypescript } from '../topology/register-typescript.mjs';
import { openChromium, openPage } from './chromium.mjs';
import { startDemo } from './demo-server.mjs';

registerTypescript();
const { startStandalone } = await import('../topology/standalone.ts');

const PATIENCE_MS = 30_000;
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const shots = process.argv.includes('--shots')
  ? process.argv[process.argv.indexOf('--shots') + 1]
  : undefined;
const failures = [];

async function check(what, work) {
  const from = performance.now();
  try {
    await work();
    console.log(`ok    ${what} (${Math.round(performance.now() - from)} ms)`);
  } catch (error) {
    failures.push(what);
    console.log(`FAIL  ${what}\n      ${error.message.split('\n').join('\n      ')}`);
  }
}

/** Waits until a card says so. */
function says(page, id, pattern) {
  return page.waitForFunction(
    ([place, source]) => new RegExp(source, 'u').test(document.getElementById(place)?.textContent ?? ''),
    [id, pattern.source],
    { timeout: PATIENCE_MS },
  );
}

async function press(page, selector, id, pattern) {
  await page.click(selector);
  await says(page, id, pattern);
}

const CARDS = {
  'keyboard: every button can be reached, the first stop is the way past the header': async (page) => {
    await page.keyboard.press('Tab');
    const first = await page.evaluate(() => document.activeElement?.textContent);
    if (first !== 'Skip to the features') throw new Error(`the first stop is: ${first}`);
    const unnamed = await page.evaluate(
      () =>
        [...document.querySelectorAll('button, input, select')].filter(
          (each) =>
            each.tabIndex < 0 ||
            (each.textContent.trim() === '' && each.labels?.length === 0 && !each.hasAttribute('aria-label')),
        ).length,
    );
    if (unnamed > 0) throw new Error(`${unnamed} controls have no name, or can not be reached`);
  },
  'catalog: slow, then from the cache, then anew after a change': async (page) => {
    await press(page, '[data-shelf=""]', 'catalog-result', /X-Cache: MISS/u);
    await press(page, '[data-shelf=""]', 'catalog-result', /X-Cache: HIT/u);
    await page.click('#catalog-rows tr:first-child button');
    await says(page, 'catalog-rows', /Letterpress cards\s*paper\s*5\.00/u);
    await says(page, 'catalog-result', /X-Cache: MISS/u);
    await press(page, '[data-shelf="ink"]', 'catalog-rows', /Vermilion pigment/u);
  },
  'assistant: written word by word, then at once': async (page) => {
    await page.click('#assistant-form button');
    await page.waitForSelector('#assistant-answer.writing');
    await says(page, 'assistant-answer', /^I am a fake model:/u);
    const part = (await page.textContent('#assistant-answer')).length;
    await says(page, 'assistant-result', /X-Cache: MISS/u);
    const whole = (await page.textContent('#assistant-answer')).length;
    if (part >= whole) throw new Error('the answer came in one piece');
    await press(page, '#assistant-form button', 'assistant-result', /X-Cache: HIT/u);
  },
  'orders: heard of by event stream and by WebSocket': async (page) => {
    await says(page, 'orders-state', /^live/u);
    await press(page, '#orders-place', 'orders-feed', /placed/u);
    await press(page, '#orders-advance', 'orders-feed', /printed/u);
    await says(page, 'orders-state', /[1-9]\d* by event stream, [1-9]\d* by WebSocket/u);
  },
  'runs: printed, with more answers by the cache than by the database': async (page) => {
    await page.click('#runs-start');
    await says(page, 'runs-label', /done, 500 of 500/u);
    const [, hits] = /(\d+) by the cache/u.exec(await page.textContent('#runs-figures')) ?? [];
    if (!(Number(hits) > 0)) throw new Error('no answer came from the cache');
  },
  'books: each reader their own, evicted on change, 304 for a copy': async (page) => {
    await press(page, '#books-ask', 'books-list', /Analytical Engine/u);
    await press(page, '#books-ask', 'books-result', /X-Cache: HIT/u);
    await press(page, '#books-copy', 'books-result', /304/u);
    await page.fill('#books-title-field', 'Shahnameh');
    await press(page, '#books-form button', 'books-list', /Shahnameh/u);
    await says(page, 'books-result', /X-Cache: MISS/u);
    await page.selectOption('#books-reader', 'grace');
    await says(page, 'books-list', /Manual of Operation/u);
    if (/Shahnameh/u.test(await page.textContent('#books-list'))) throw new Error('a book of another reader');
  },
  'account: login, devices, basket, logout everywhere': async (page) => {
    await page.click('#account-other');
    await says(page, 'account-result', /200/u);
    await press(page, '#account-login', 'account-who', /^ada is logged in/u);
    await says(page, 'account-devices', /This browser/u);
    await press(page, '#account-basket', 'account-who', /1 in the basket/u);
    await press(page, '#account-everywhere', 'account-who', /^Nobody is logged in here/u);
  },
  'limits: five, and then told how long to wait': async (page) => {
    await press(page, '#limits-many', 'limits-result', /RATE_LIMITED/u);
    await says(page, 'limits-left', /0 left, one more in \d+ s/u);
    await page.selectOption('#limits-door', 'grace');
    await press(page, '#limits-once', 'limits-left', /4 left/u);
    await page.click('#limits-passage');
    await page.waitForFunction(() => document.querySelectorAll('#limits-knocks .refused').length >= 2);
  },
  'tasks: bound at the second attempt; failed for good at the third': async (page) => {
    await page.selectOption('#tasks-snaps', '1');
    await page.click('#tasks-add');
    await says(page, 'tasks-label', /^completed, done, attempt 2 of 3/u);
    await page.selectOption('#tasks-snaps', '3');
    await page.click('#tasks-add');
    await says(page, 'tasks-label', /^failed/u);
    await says(page, 'tasks-failed', /the thread snapped/u);
  },
  'operations: figures, health, an explanation': async (page) => {
    await press(page, '#ops-health', 'ops-answer', /"status": "ok"/u);
    await press(page, '#ops-explain', 'ops-answer', /shelf:paper/u);
    await says(page, 'ops-stats', /Hit rate/u);
    await says(page, 'place-hits', /\d+ % of \d+/u);
  },
};

async function visit(browser, place, url) {
  const { page, faults } = await openPage(browser, { viewport: WIDE });
  await page.goto(url);
  for (const [what, work] of Object.entries(CARDS)) await check(`${place}: ${what}`, () => work(page));
  await photograph(browser, page, place);
  await check(`${place}: nothing refused, thrown, or fetched from elsewhere`, () => {
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
  return { page, faults };
}

async function photograph(browser, page, place) {
  for (const { name, viewport, colorScheme } of [
    { name: 'wide', viewport: WIDE, colorScheme: 'light' },
    { name: 'wide-dark', viewport: WIDE, colorScheme: 'dark' },
    { name: 'phone', viewport: PHONE, colorScheme: 'light' },
    { name: 'phone-dark', viewport: PHONE, colorScheme: 'dark' },
  ]) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await check(`${place}: fits a width of ${viewport.width}, ${colorScheme}`, async () => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) throw new Error(`the page is ${width} wide`);
    });
    if (shots !== undefined)
      await page.screenshot({ path: join(shots, `${place}-${name}.png`), fullPage: true });
  }
  await page.setViewportSize(WIDE);
}

/** A page that stays open while what it hears from is restarted. */
async function liveAcrossRestarts(browser, { server, folder }) {
  const env = { REDIS_URL: server.url, DEMO_DATABASE: join(folder, 'shop.sqlite') };
  let demo = await startDemo(env);
  const { port } = demo;
  const beside = await startDemo(env);
  const { page } = await openPage(browser, { viewport: WIDE });
  await page.goto(demo.url);
  const order = async (product) => {
    const answer = await fetch(`${beside.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ product, copies: 1 }),
    });
    return answer.json();
  };
  const hears = (id) => says(page, 'orders-feed', new RegExp(`No ${id},`, 'u'));

  await check('live: an order that another process has taken', async () => {
    await says(page, 'orders-state', /^live/u);
    await hears((await order(1)).id);
  });
  await check('live: goes on after Redis was restarted', async () => {
    await server.process.kill();
    await page.waitForFunction(
      () => document.getElementById('place-redis').classList.contains('away'),
      undefined,
      {
        timeout: PATIENCE_MS,
      },
    );
    await server.process.restart('keepData');
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const placed = await order(2);
      if (placed.announced) {
        await hears(placed.id);
        return;
      }
      if (performance.now() > until) throw new Error('orders are not announced any more');
    }
  });
  await check('live: connects again after the demo was restarted, and is told what it missed', async () => {
    await demo.stop();
    await says(page, 'orders-state', /^connecting again/u);
    const { id } = await order(3);
    demo = await startDemo({ ...env, PORT: String(port) });
    await hears(id);
    await hears((await order(4)).id);
    const events = await page.$$eval('#orders-feed li', (lines) => lines.map((line) => line.dataset.event));
    if (new Set(events).size !== events.length) throw new Error('an event was told twice');
  });
  await page.context().close();
  await Promise.all([demo.stop(), beside.stop()]);
}

const browser = await openChromium();
const server = await startStandalone({ keepData: true });
const folder = mkdtempSync(join(tmpdir(), 'print-shop-browser-'));
try {
  for (const { place, env } of [
    { place: 'embedded', env: {} },
    { place: 'redis', env: { REDIS_URL: server.url } },
  ]) {
    const demo = await startDemo(env);
    const { page } = await visit(browser, place, demo.url);
    await check(`${place}: leaves on Ctrl-C while the page is open`, async () => {
      const code = await demo.stop();
      if (code !== 0) throw new Error(`it ended with ${code}`);
    });
    await page.context().close();
  }
  await liveAcrossRestarts(browser, { server, folder });
} finally {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
console.log(failures.length === 0 ? '\nthe browser is content' : `\n${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
