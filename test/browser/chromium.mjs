/** A real browser that is on this machine already: none is fetched, as it would be a hundred megabytes. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
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

/** `CHROMIUM`, or the first of the usual names on the `PATH`. */
export function findChromium() {
  const chosen = process.env.CHROMIUM;
  if (chosen !== undefined) return chosen;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (found === undefined) {
    throw new Error('there is no Chromium on this machine: name one with CHROMIUM=/path/to/chromium');
  }
  return found;
}

export function openChromium() {
  return chromium.launch({ executablePath: findChromium(), args: FLAGS });
}

/**
 * A page that keeps a list of everything that went wrong on it: errors, refused content, requests to other hosts.
 * @returns {Promise<{ page: import('playwright-core').Page, faults: string[] }>}
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isExpected(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== 'data:' && hostname !== '127.0.0.1') faults.push(`request to ${hostname}`);
  });
  await page.exposeFunction('tellViolation', (what) => faults.push(`content security policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      globalThis.tellViolation(`${violatedDirective} ${blockedURI}`);
    });
  });
  return { page, faults };
}

/** The browser writes a line of its own for every answer of 400 and above, and for a server that is away. */
function isExpected(text) {
  return (
    /^Failed to load resource: (?:the server responded with a status of (?:429|503)|net::ERR_)/u.test(text) ||
    /ERR_CONNECTION_REFUSED/u.test(text)
  );
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
