/** Charts as SVG: lines, stacked areas, sparklines, a time line of states. Each also says in words what it shows. */
import { h, svg } from './dom.mjs';

const WIDTH = 600;
const HEIGHT = 120;

/** The least round number above. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].find((step) => step * power >= value) * power;
}

function path(values, top, base = []) {
  const x = (i) => (values.length < 2 ? WIDTH : (i / (values.length - 1)) * WIDTH);
  const y = (value) => HEIGHT - (Math.min(value, top) / top) * (HEIGHT - 2);
  let line = '';
  let pen = false;
  values.forEach((value, i) => {
    if (value === null || value === undefined) {
      pen = false;
      return;
    }
    const at = `${x(i).toFixed(1)} ${y(value + (base[i] ?? 0)).toFixed(1)}`;
    // A single known point between unknown ones is to be seen as well.
    line += pen ? `L${at}` : `M${at}l.1 0`;
    pen = true;
  });
  return line;
}

function area(values, top, base) {
  const x = (i) => (values.length < 2 ? WIDTH : (i / (values.length - 1)) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - (Math.min(value, top) / top) * (HEIGHT - 2)).toFixed(1);
  const upper = values.map((value, i) => `${x(i)} ${y((value ?? 0) + base[i])}`);
  const lower = values.map((_, i) => `${x(i)} ${y(base[i])}`).toReversed();
  return `M${[...upper, ...lower].join('L')}Z`;
}

export function sparkline(values, kind = 'accent', given) {
  const known = values.filter((value) => value !== null);
  const top = given ?? ceiling(Math.max(0, ...known));
  return svg(
    'svg',
    { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { class: `line ${kind}`, d: path(values, top) }),
  );
}

/**
 * `lines` are `{ name, kind, values }`; `format` makes text of a value; stacked ones add up. Pointing at the chart
 * shows the figures of that moment.
 */
export function chart(title, { lines, format, stepMs, at, stacked = false, top: given, note }) {
  const shown = lines.filter(
    ({ values, always }) => always || values.some((value) => value !== null && value !== 0),
  );
  const drawn = shown.length === 0 ? lines.slice(0, 1) : shown;
  const length = Math.max(1, ...drawn.map(({ values }) => values.length));
  const bases = [];
  let base = Array.from({ length }, () => 0);
  for (const { values } of drawn) {
    bases.push(base);
    if (stacked) base = base.map((sum, i) => sum + (values[i] ?? 0));
  }
  const most = stacked
    ? Math.max(...base)
    : Math.max(0, ...drawn.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const top = given ?? ceiling(most);
  const figures = drawn.map(() => h('b', {}));
  const moment = h('span', { class: 'muted' });
  const cross = svg('line', { class: 'cross', y1: 0, y2: HEIGHT, x1: -9, x2: -9 });
  const tell = (i) => {
    drawn.forEach(({ values }, line) => {
      figures[line].textContent = format(values[i ?? values.length - 1] ?? null);
    });
    moment.textContent =
      i === undefined
        ? 'now'
        : new Date(at - (length - 1 - i) * stepMs).toLocaleTimeString([], { hour12: false });
    const x = i === undefined ? -9 : (i / Math.max(1, length - 1)) * WIDTH;
    cross.setAttribute('x1', x);
    cross.setAttribute('x2', x);
  };
  tell();
  const picture = svg(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `${title}: ${drawn.map(({ name, values }) => `${name} ${format(values.at(-1) ?? null)}`).join(', ')}`,
      pointermove: (event) => {
        const box = picture.getBoundingClientRect();
        const share = (event.clientX - box.left) / box.width;
        tell(Math.max(0, Math.min(length - 1, Math.round(share * (length - 1)))));
      },
      pointerleave: () => tell(),
    },
    [0.5, 1].map((share) =>
      svg('line', {
        class: 'grid',
        x1: 0,
        x2: WIDTH,
        y1: HEIGHT * (1 - share) + 2 * share,
        y2: HEIGHT * (1 - share) + 2 * share,
      }),
    ),
    stacked &&
      drawn.map(({ kind, values }, i) =>
        svg('path', { class: `area ${kind}`, d: area(values, top, bases[i]) }),
      ),
    drawn.map(({ kind, values }, i) =>
      svg('path', { class: `line ${kind}`, d: path(values, top, stacked ? bases[i] : []) }),
    ),
    cross,
  );
  return h(
    'figure',
    { class: 'chart' },
    h('figcaption', {}, h('h3', {}, title), moment),
    h(
      'div',
      { class: 'plot' },
      h(
        'div',
        { class: 'scale', 'aria-hidden': 'true' },
        [top, top / 2, 0].map((value) => h('span', {}, format(value))),
      ),
      picture,
    ),
    h(
      'div',
      { class: 'times', 'aria-hidden': 'true' },
      h('span', {}, `${Math.max(1, Math.round((length * stepMs) / 60_000))} min ago`),
      h('span', {}, 'now'),
    ),
    h(
      'ul',
      { class: 'legend' },
      drawn.map(({ name, kind }, i) => h('li', {}, h('i', { class: kind }), `${name} `, figures[i])),
    ),
    note && h('p', { class: 'muted' }, note),
    summary(title, drawn, format),
  );
}

/** The same for who does not see the picture, or wants to copy it. */
function summary(title, lines, format) {
  const rows = lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
    const ends = known.length === 0 ? [null, null] : [Math.min(...known), Math.max(...known)];
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      [values.at(-1) ?? null, mean, ...ends].map((value) => h('td', { class: 'number' }, format(value))),
    );
  });
  return h(
    'details',
    { 'data-id': title },
    h('summary', { 'data-focus': `figures of ${title}` }, 'In figures'),
    h(
      'div',
      { class: 'scroll' },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ['', 'now', 'mean', 'least', 'most'].map((each) =>
              h('th', { scope: 'col', class: each === '' ? undefined : 'number' }, each),
            ),
          ),
        ),
        h('tbody', {}, rows),
      ),
    ),
  );
}

const LEVELS = [
  { kind: 'good', at: 0 },
  { kind: 'warn', at: 1 },
  { kind: 'bad', at: 2 },
];

/** States over time as one band; `levels` are 0 good, 1 on the way, 2 bad, null unknown. */
export function timeline(title, levels, { names, stepMs, at }) {
  const runs = [];
  levels.forEach((level, i) => {
    const last = runs.at(-1);
    if (last?.level === level) last.to = i + 1;
    else runs.push({ level, from: i, to: i + 1 });
  });
  const scale = WIDTH / Math.max(1, levels.length);
  const clockOf = (i) =>
    new Date(at - (levels.length - i) * stepMs).toLocaleTimeString([], { hour12: false });
  const told = runs.filter(({ level }) => level !== null && level > 0).slice(-8);
  return h(
    'figure',
    { class: 'chart' },
    h(
      'figcaption',
      {},
      h('h3', {}, title),
      h('span', { class: 'muted' }, `now ${names[levels.at(-1) ?? 0]}`),
    ),
    svg(
      'svg',
      {
        class: 'band',
        viewBox: `0 0 ${WIDTH} 20`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': `${title}: now ${names[levels.at(-1) ?? 0]}`,
      },
      runs
        .filter(({ level }) => level !== null)
        .map(({ level, from, to }) => {
          // The worse, the taller: it is to be seen without its colour.
          const { kind, at: rank } = LEVELS.find((each) => each.at >= level) ?? LEVELS[2];
          const height = 8 + rank * 6;
          return svg('rect', {
            class: `fill ${kind}`,
            x: from * scale,
            y: 20 - height,
            width: Math.max(1, (to - from) * scale),
            height,
          });
        }),
    ),
    h(
      'div',
      { class: 'times', 'aria-hidden': 'true' },
      h('span', {}, `${Math.round((levels.length * stepMs) / 60_000)} min ago`),
      h('span', {}, 'now'),
    ),
    told.length === 0
      ? h('p', { class: 'muted' }, `${names[0]} all the time`)
      : h(
          'ul',
          { class: 'plain' },
          told.map(({ level, from, to }) =>
            h(
              'li',
              {},
              `${names[Math.ceil(level)]} from ${clockOf(from)} to ${to === levels.length ? 'now' : clockOf(to)}`,
            ),
          ),
        ),
  );
}

/** A share as a bar; a second one stands behind it as what was expected. */
export function bar(share, kind = 'accent', expected) {
  return svg(
    'svg',
    { class: 'bar', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { class: 'track', width: 100, height: 10 }),
    svg('rect', { class: `fill ${kind}`, width: Math.max(0, Math.min(100, (share ?? 0) * 100)), height: 10 }),
    expected === undefined
      ? null
      : svg('rect', { class: 'mark', x: Math.min(99, expected * 100), width: 1, height: 10 }),
  );
}
