/** Elements out of names, attributes and children. Text only ever becomes text nodes: nothing here parses markup. */

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Puts new content into a region without taking the focus, or the open details, from whoever reads it. */
export function put(region, ...content) {
  const active = document.activeElement;
  const focused = region.contains(active) ? active.getAttribute('data-focus') : null;
  const open = new Set([...region.querySelectorAll('details[open]')].map(({ dataset }) => dataset.id));
  const scrolled = [...region.querySelectorAll('.scroll')].map((each) => each.scrollLeft);
  region.replaceChildren(...content.flat(2).filter((each) => each instanceof Node));
  region.querySelectorAll('details').forEach((each) => {
    if (open.has(each.dataset.id)) each.open = true;
  });
  region.querySelectorAll('.scroll').forEach((each, i) => {
    each.scrollLeft = scrolled[i] ?? 0;
  });
  if (focused !== null) {
    const again = [...region.querySelectorAll('[data-focus]')].find(
      (each) => each.getAttribute('data-focus') === focused,
    );
    again?.focus({ preventScroll: true });
  }
}

export function section(title, ...content) {
  return h('section', {}, h('h2', {}, title), ...content);
}

/** Rows of cells; a column is `[title, cell, options]`, where `number` puts it to the right, `text` lets it be long. */
export function table(caption, columns, rows, empty = 'Nothing yet.') {
  if (rows.length === 0) return h('p', { class: 'muted' }, empty);
  const side = ([, , options]) => (options?.number ? 'number' : options?.text ? 'text' : undefined);
  const head = columns.map((column) =>
    h(
      'th',
      { scope: 'col', class: side(column), 'aria-sort': column[2]?.sort, title: column[2]?.title },
      column[0],
    ),
  );
  const body = rows.map((row) => {
    const cells = columns.map((column, i) =>
      h(i === 0 ? 'th' : 'td', { scope: i === 0 ? 'row' : undefined, class: side(column) }, column[1](row)),
    );
    return h('tr', {}, cells);
  });
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', { class: 'hidden' }, caption),
      h('thead', {}, h('tr', {}, head)),
      h('tbody', {}, body),
    ),
  );
}

const MARKS = { good: '●', warn: '▲', bad: '■', idle: '○' };

/** A state in words, with a mark of its own shape, so that no colour has to be seen. */
export function badge(kind, text) {
  return h('span', { class: `badge ${kind}` }, h('span', { 'aria-hidden': 'true' }, MARKS[kind]), ` ${text}`);
}

const HEALTH = {
  up: 'good',
  ready: 'good',
  redis: 'good',
  closed: 'good',
  degraded: 'warn',
  recovering: 'warn',
};
const CALM = { idle: 'idle', off: 'idle', 'half-open': 'warn', loading: 'warn', connecting: 'warn' };

export function stateBadge(state) {
  return badge(HEALTH[state] ?? CALM[state] ?? 'bad', state);
}

export function facts(pairs, kind = '') {
  return h(
    'dl',
    { class: `facts ${kind}` },
    pairs
      .filter(([, value]) => value !== undefined && value !== null && value !== '')
      .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
  );
}

export function failure(error) {
  return h(
    'div',
    { class: 'note bad', role: 'alert' },
    h('strong', {}, error.message),
    error.hint ? ` ${error.hint}` : '',
  );
}
