/** The frame of the page: its head, its screens, and what keeps them up to date. */
import { cachesScreen } from './caches.mjs';
import { badge, failure, h } from './dom.mjs';
import { clock } from './format.mjs';
import { keysScreen } from './keys.mjs';
import { Live } from './live.mjs';
import { configScreen, jobsScreen, limitsScreen, resilienceScreen } from './more-screens.mjs';
import { overviewScreen } from './overview.mjs';
import { shardsScreen } from './shards.mjs';

const SCREENS = {
  overview: ['Overview', overviewScreen],
  caches: ['Caches', cachesScreen],
  keys: ['Keys', keysScreen],
  shards: ['Shards', shardsScreen],
  resilience: ['Resilience', resilienceScreen],
  limits: ['Limits', limitsScreen],
  jobs: ['Jobs', jobsScreen],
  config: ['Config', configScreen],
};
const MODES = {
  live: ['good', 'live'],
  asking: ['warn', 'asking every 5 s'],
  lost: ['bad', 'no answer'],
  paused: ['idle', 'paused'],
};
const THEMES = ['auto', 'light', 'dark'];

const live = new Live();
const settings = { scope: 'self', range: '180', theme: 'auto', ...stored() };
const region = document.querySelector('#screen');
let refresh = () => Promise.resolve();
let current = '';
let refreshing = false;

/** Where a browser keeps nothing, the page does without. */
function stored() {
  try {
    return JSON.parse(localStorage.getItem('redis-console') ?? '{}');
  } catch {
    return {};
  }
}

function keep(name, value) {
  settings[name] = value;
  try {
    localStorage.setItem('redis-console', JSON.stringify(settings));
  } catch {
    // The choice holds until the page is closed.
  }
  void update();
}

function choice(name, label, options) {
  const select = h(
    'select',
    { 'aria-label': label, change: () => keep(name, select.value) },
    Object.entries(options).map(([value, text]) => h('option', { value }, text)),
  );
  select.value = settings[name];
  return select;
}

const title = h('strong', {}, 'Redis console');
const environment = h('span', {});
const mode = h('span', { role: 'status', id: 'mode' });
const theme = h('button', {
  type: 'button',
  class: 'quiet',
  click: () => setTheme(THEMES[(THEMES.indexOf(settings.theme) + 1) % THEMES.length]),
});
const scope = choice('scope', 'Whose figures', { self: 'This process', all: 'All processes' });
const range = choice('range', 'How far back', { 180: '15 minutes', 720: '1 hour' });

function setTheme(name) {
  if (name !== settings.theme) keep('theme', name);
  document.documentElement.dataset.theme = name;
  theme.textContent = `Theme: ${name}`;
}

function drawFrame() {
  document
    .querySelector('#top')
    .append(
      h('img', { src: './assets/icon.svg', alt: '', width: 28, height: 28 }),
      title,
      environment,
      h('span', { class: 'gap' }),
      mode,
      scope,
      range,
      theme,
    );
  const links = Object.entries(SCREENS).map(([id, [name]], i) =>
    h('a', { href: `#${id}`, 'data-screen': id, accesskey: i + 1, title: `Key ${i + 1}` }, name),
  );
  document
    .querySelector('#nav')
    .append(...links, h('p', { class: 'muted wide' }, 'Keys: 1–8 screens, / search, t theme'));
  setTheme(settings.theme);
}

function screenOf() {
  const id = location.hash.slice(1);
  return Object.hasOwn(SCREENS, id) ? id : 'overview';
}

function open() {
  if (location.hash === '#screen') {
    region.focus();
    return;
  }
  const id = screenOf();
  if (live.data === undefined || id === current) return;
  current = id;
  document.querySelectorAll('#nav a').forEach((link) => {
    if (link.dataset.screen === id) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  const [name, build] = SCREENS[id];
  document.title = `${name} · ${live.data.title} · Redis console`;
  region.replaceChildren();
  refresh = build(region, { live, scope: () => settings.scope, points: () => Number(settings.range) });
  scope.disabled = !['overview', 'caches'].includes(id);
  range.disabled = id !== 'overview';
  void update();
}

/** Never two at once: one that takes long is not overtaken by itself. */
async function update() {
  if (refreshing || document.hidden) return;
  refreshing = true;
  try {
    await refresh();
  } finally {
    refreshing = false;
  }
}

live.addEventListener('change', () => {
  const [kind, text] = MODES[live.mode];
  mode.replaceChildren(badge(kind, live.mode === 'live' ? `live, ${clock(live.data.at)}` : text));
  if (live.data === undefined) {
    if (live.problem) region.replaceChildren(failure(live.problem));
    return;
  }
  const { data } = live;
  title.textContent = data.title;
  environment.replaceChildren(data.production ? badge('bad', 'production') : '');
  document.body.classList.toggle('lost', live.mode === 'lost');
  if (current === '') open();
  else void update();
});

document.addEventListener('keydown', (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    /^(?:input|select|textarea)$/iu.test(event.target.tagName)
  )
    return;
  const id = Object.keys(SCREENS)[Number(event.key) - 1];
  if (id !== undefined) location.hash = id;
  else if (event.key === 't') theme.click();
  else if (event.key === '/') {
    event.preventDefault();
    document.querySelector('[data-search]')?.focus();
  }
});
addEventListener('hashchange', open);

drawFrame();
await live.start();
