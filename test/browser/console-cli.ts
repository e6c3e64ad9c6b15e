/**
 * The console as a person has it, in Chromium: every screen is opened, hostile names stay text, no policy is broken,
 * and a Redis that is killed is told of within 6 s. `--shots folder` takes pictures, after `--minutes` of traffic.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { startShards, startStandalone, until } from '../topology/index.js';
import { HOSTILE, openShop } from './console-shop.js';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const SCREENS = ['overview', 'caches', 'keys', 'shards', 'resilience', 'limits', 'jobs', 'config'] as const;
const TOLD_WITHIN_MS = 6_000;
/** Time for what is not promised to be quick. */
const PATIENCE = { timeout: 30_000 };

interface Watched {
  readonly page: Page;
  /** What the browser complained of, and dialogs that hostile names would open. */
  readonly complaints: string[];
}

let failures = 0;

function check(what: string, holds: boolean, detail = ''): void {
  if (!holds) failures += 1;
  console.log(`${holds ? 'ok  ' : 'FAIL'}  ${what}${holds || detail === '' ? '' : `: ${detail}`}`);
}

async function watch(context: BrowserContext): Promise<Watched> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('dialog', (dialog) => {
    complaints.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.addInitScript(
    `document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error('policy: ' + violatedDirective + ' ' + blockedURI))`,
  );
  return { page, complaints };
}

async function show(page: Page, screen: string): Promise<void> {
  await page.click(`#nav a[data-screen="${screen}"]`);
  await page.waitForSelector(`#nav a[data-screen="${screen}"][aria-current="page"]`, PATIENCE);
  await page.waitForSelector('main h1, main .cards, main .panel', PATIENCE);
}

async function says(page: Page, text: string): Promise<void> {
  const waiting = page.locator('main', { hasText: text }).waitFor(PATIENCE);
  await waiting.catch(async (cause: unknown) => {
    const [shown, mode] = await Promise.all([page.textContent('main'), page.textContent('#mode')]);
    throw new Error(`'${text}' is not shown, but, ${mode}: ${shown?.slice(0, 300)}`, { cause });
  });
}

async function clickThrough({ page, complaints }: Watched): Promise<void> {
  for (const screen of SCREENS) {
    await show(page, screen);
    await sleep(700);
    const alert = await page.locator('[role=alert]').allTextContents();
    check(`${screen} opens`, alert.length === 0, alert.join());
  }
  check('nothing was complained of on the way', complaints.length === 0, complaints.join(' | '));
}

async function hostileNames(watched: Watched): Promise<void> {
  const { page, complaints } = watched;
  await show(page, 'caches');
  await says(page, HOSTILE.cache);
  await show(page, 'limits');
  await says(page, 'upload');
  await show(page, 'jobs');
  await says(page, HOSTILE.task);
  await show(page, 'keys');
  await page.selectOption('select[name=cache]', 'cache/books', PATIENCE);
  await page.fill('input[name=key]', HOSTILE.key);
  await page.click('main form button');
  await says(page, HOSTILE.value);
  await says(page, HOSTILE.tag);
  check('the title is text', (await page.textContent('#top strong')) === HOSTILE.title);
  const made = await page.locator('main img, main script, main iframe, main b[onmouseover], main a').count();
  check('hostile names are text: no element was made of them', made === 0, String(made));
  check('and nothing of them ran', complaints.length === 0, complaints.join(' | '));
}

async function keysAndShards({ page }: Watched): Promise<void> {
  await show(page, 'keys');
  await page.selectOption('select[name=cache]', 'cache/books', PATIENCE);
  await page.fill('section input', 'book');
  await page.click('section form button');
  await page.waitForSelector('ul.keys li button', PATIENCE);
  await page.click('ul.keys li button');
  await page.waitForSelector('.panel .badge', PATIENCE);
  const state = await page.textContent('.panel .figure');
  check('a key that is listed is explained', /fresh|stale|absent|expired/u.test(state ?? ''), String(state));
  await show(page, 'shards');
  await says(page, 'birch');
  await page.fill('main input', 'user:7');
  await page.click('main form button');
  await says(page, 'user:7 is on shard');
  await page.selectOption('main select', 'birch');
  await page.click('main form:has(select) button');
  await says(page, 'of the keys would move');
  check('shards are shown, and one less is reckoned', true);
}

async function keyboard({ page }: Watched): Promise<void> {
  await page.keyboard.press('Escape');
  await page.click('#top strong');
  await page.keyboard.press('2');
  await page.waitForSelector('#nav a[data-screen="caches"][aria-current]', PATIENCE);
  await page.keyboard.press('/');
  const focused = await page.evaluate<unknown>(`document.activeElement?.getAttribute('type')`);
  check('keys change the screen and find the search', focused === 'search', String(focused));
}

async function fleet({ page }: Watched): Promise<void> {
  await show(page, 'overview');
  await page.selectOption('#top select', 'all');
  await says(page, 'Processes: 2');
  await show(page, 'caches');
  await says(page, 'Processes');
  await page.selectOption('#top select', 'self');
  check('both processes are shown', true);
}

async function outage(
  { page }: Watched,
  redis: { kill(): Promise<void>; restart(): Promise<void> },
): Promise<void> {
  await show(page, 'overview');
  await says(page, 'Redis answers.');
  const killedAt = performance.now();
  await redis.kill();
  await says(page, 'Redis is down.');
  const took = performance.now() - killedAt;
  check(`it says so ${Math.round(took)} ms after Redis was killed`, took < TOLD_WITHIN_MS);
  await show(page, 'resilience');
  await says(page, 'connection.lost');
  await show(page, 'overview');
  await redis.restart();
  await says(page, 'Redis answers.');
  check('and that it is back', true);
}

/** A page nobody looks at costs nothing; one without a stream asks; one whose process is gone says so. */
async function without({ page }: Watched, stop: () => void): Promise<void> {
  const seen = (hidden: boolean): Promise<unknown> =>
    page.evaluate(
      `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
       document.dispatchEvent(new Event('visibilitychange'))`,
    );
  await seen(true);
  await page.locator('#mode', { hasText: 'paused' }).waitFor(PATIENCE);
  await seen(false);
  await page.locator('#mode', { hasText: 'live' }).waitFor(PATIENCE);
  check('it pauses while it is hidden, and goes on after', true);
  stop();
  await page.locator('#mode', { hasText: 'no answer' }).waitFor(PATIENCE);
  check('it says so when the process is gone', true);
}

async function asking(browser: Browser, url: string): Promise<void> {
  const context = await browser.newContext();
  const { page } = await watch(context);
  await page.goto(url);
  await page.locator('#mode', { hasText: 'asking every 5 s' }).waitFor(PATIENCE);
  const first = await page.textContent('main');
  await until(async () => (await page.textContent('main')) !== first, {
    what: 'the next figures',
    timeout: 30_000,
  });
  check('without a stream it asks', true);
  await context.close();
}

/** Something to see where a screen begins empty. */
async function fill(page: Page, screen: string): Promise<void> {
  if (screen === 'keys') {
    await page.selectOption('select[name=cache]', 'cache/books', PATIENCE);
    await page.fill('input[name=key]', HOSTILE.key);
    await page.click('main form button');
    await page.waitForSelector('.panel', PATIENCE);
  }
  if (screen === 'shards') {
    await says(page, 'birch');
    await page.click('main form:has(select) button');
    await says(page, 'of the keys would move');
  }
  await sleep(600);
}

async function pictures(context: BrowserContext, url: string, shot: (name: string) => string): Promise<void> {
  const { page } = await watch(context);
  await page.goto(url);
  await page.waitForSelector('main .cards', PATIENCE);
  for (const screen of SCREENS) {
    await show(page, screen);
    await fill(page, screen);
    await page.screenshot({ path: shot(screen), fullPage: true });
    const wide = await page.evaluate<number>(
      `document.documentElement.scrollWidth - document.documentElement.clientWidth`,
    );
    check(`${shot(screen)} fits`, wide <= 0, `${wide} px too wide`);
  }
  await show(page, 'overview');
  await page.selectOption('#top select', 'all');
  await says(page, 'Processes: 2');
  await page.screenshot({ path: shot('fleet'), fullPage: true });
  await context.close();
}

async function allPictures(browser: Browser, url: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const sizes = [
    { width: 1280, height: 900 },
    { width: 390, height: 844 },
  ];
  for (const viewport of sizes) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ viewport, colorScheme });
      await pictures(context, url, (name) => join(folder, `${name}-${viewport.width}-${colorScheme}.png`));
    }
  }
}

/** For the documentation: no hostile names, and as much as one sees at once. */
async function picture(browser: Browser, url: string, path: string): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1040 }, colorScheme: 'light' });
  const { page } = await watch(context);
  await page.goto(url);
  await page.waitForSelector('main .cards', PATIENCE);
  await sleep(600);
  await page.screenshot({ path });
  await context.close();
}

function option(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
}

/** @returns the exit code */
export async function runConsoleBrowser(args: readonly string[]): Promise<number> {
  const executablePath = process.env['CHROMIUM'] ?? PLACES.find((place) => existsSync(place));
  if (executablePath === undefined) {
    console.log('there is no Chromium here: set CHROMIUM to where it is');
    return 1;
  }
  const redis = await startStandalone({ maxmemory: '64mb' });
  const shards = await startShards(3);
  const urls = { redis: redis.url, shards: shards.urls };
  const shop = await openShop(urls, { title: HOSTILE.title });
  const shots = option(args, '--shots');
  const second = await openShop(urls, { maxStreams: shots === undefined ? 0 : 20 });
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const url = `${shop.url}/redis-console`;
    const watched = await watch(await browser.newContext({ viewport: { width: 1280, height: 900 } }));
    await watched.page.goto(url);
    await until(() => watched.page.url().endsWith('/redis-console/'), { what: 'the redirect to its folder' });
    await watched.page.waitForSelector('main .cards', PATIENCE);
    await says(watched.page, 'Redis answers.');
    await watched.page.locator('#mode', { hasText: 'live' }).waitFor(PATIENCE);
    await sleep(6_000);
    if (shots !== undefined) {
      await sleep(Number(option(args, '--minutes') ?? 3) * 60_000);
      await allPictures(browser, url, shots);
      await picture(browser, `${second.url}/redis-console`, join(shots, 'console.png'));
    }
    await clickThrough(watched);
    await hostileNames(watched);
    await keysAndShards(watched);
    await keyboard(watched);
    await fleet(watched);
    check(
      'until here nothing was complained of',
      watched.complaints.length === 0,
      watched.complaints.join(' | '),
    );
    await outage(watched, {
      kill: () => redis.process.kill(),
      restart: () => redis.process.restart('empty'),
    });
    if (shots === undefined) await asking(browser, `${second.url}/redis-console/`);
    await without(watched, () => void shop.close());
    const policy = watched.complaints.filter((complaint) => complaint.includes('policy'));
    check('no policy was broken in all that', policy.length === 0, policy.join(' | '));
  } catch (error) {
    check('it went through', false, error instanceof Error ? error.message : String(error));
  } finally {
    await browser.close();
    const closed = Promise.all([shop.close(), second.close()]).then(() => true);
    check('both applications end', await Promise.race([closed, sleep(20_000, false)]));
    await Promise.all([redis.stop(), shards.stop()]);
  }
  console.log(failures === 0 ? 'all of it holds' : `${failures} did not hold`);
  return failures === 0 ? 0 : 1;
}
