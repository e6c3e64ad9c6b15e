/** One call of a route: how long it took, what the cache said of it, what is left of its limits. */

/**
 * @typedef {object} Call
 * @property {number} status 0 when nobody answered
 * @property {number} ms
 * @property {'hit' | 'miss' | 'plain' | 'refused'} kind
 * @property {unknown} data
 * @property {Headers} headers
 */

const listeners = new Set();

/** Told of every call that a visitor has made. */
export function onCall(listener) {
  listeners.add(listener);
}

/** @returns {Promise<Call>} */
export async function call(method, path, options = {}) {
  const { body, headers = {}, quiet = false, credentials = 'same-origin', onText } = options;
  const startedAt = performance.now();
  let made;
  try {
    const response = await fetch(path, {
      method,
      credentials,
      // The copy of the browser is not what is shown here.
      cache: 'no-store',
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const data = onText === undefined ? await dataOf(response) : await readAlong(response, onText);
    made = { status: response.status, data, headers: response.headers };
  } catch (error) {
    made = { status: 0, data: { message: `nobody answers: ${error.message}` }, headers: new Headers() };
  }
  const ms = performance.now() - startedAt;
  const finished = { ...made, ms, kind: kindOf(made) };
  if (!quiet) for (const listener of listeners) listener(finished);
  return finished;
}

/** The line at the foot of a card. */
export function show(place, { status, ms, kind, headers, data }) {
  const parts = [
    element('span', { class: `pill ${kind}` }, status === 0 ? 'no answer' : wordOf(kind, status)),
    element('span', { class: 'ms' }, `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`),
  ];
  const server = headers.get('x-response-time');
  if (server !== null) parts.push(element('span', { title: 'X-Response-Time' }, `server ${server}`));
  const xCache = headers.get('x-cache');
  if (xCache !== null) parts.push(element('span', {}, `X-Cache: ${xCache}`));
  const cacheStatus = headers.get('cache-status');
  if (cacheStatus !== null) parts.push(element('span', {}, `Cache-Status: ${cacheStatus}`));
  if (status === 0 || status >= 400) parts.push(element('span', {}, problemOf(data)));
  place.replaceChildren(...parts);
}

/** `busy` keeps a button from being pressed twice. */
export async function busy(button, work) {
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.disabled = false;
  }
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function one(id) {
  return document.getElementById(id);
}

function wordOf(kind, status) {
  if (kind === 'hit') return status === 304 ? '304 hit' : 'hit';
  if (kind === 'miss') return 'miss';
  return String(status);
}

function kindOf({ status, headers }) {
  if (status === 0 || status >= 400) return 'refused';
  const xCache = headers.get('x-cache');
  if (xCache === 'HIT' || xCache === 'STALE' || status === 304) return 'hit';
  return xCache === null ? 'plain' : 'miss';
}

function problemOf(data) {
  if (typeof data === 'string') return data.slice(0, 160);
  const { detail, message, title, code } = data ?? {};
  return [code, detail ?? message ?? title].filter((part) => part !== undefined).join(': ');
}

async function dataOf(response) {
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  return type.includes('json') && text !== '' ? JSON.parse(text) : text;
}

async function readAlong(response, onText) {
  if (!response.ok) return dataOf(response);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of chunksOf(response.body)) {
    text += decoder.decode(chunk, { stream: true });
    onText(text);
  }
  return text;
}

async function* chunksOf(body) {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
