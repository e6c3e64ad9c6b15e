/** One row per cache, the worst first. */
import { sparkline } from './charts.mjs';
import { badge, failure, h, put, section, table } from './dom.mjs';
import { bytes, number, percent } from './format.mjs';
import { ask } from './live.mjs';

const KINDS = { cache: '', fallback: 'with fallback', sharded: 'sharded' };
/** Memory in Redis is weighed by a sample of its keys: not on every step. */
const WEIGH_EVERY = 12;

/** Of the first hundred that were used: of the others nobody has kept what they did when. */
const lately = ({ recent }, what) => recent?.[what] ?? 0;

const SORTS = {
  worst: ['Worst first', () => 0],
  reads: [
    'Most read',
    (one, other) => lately(other, 'requests') - lately(one, 'requests') || other.reads - one.reads,
  ],
  loads: [
    'Most loaded',
    (one, other) => lately(other, 'loads') - lately(one, 'loads') || other.loads - one.loads,
  ],
  name: ['By name', (one, other) => one.name.localeCompare(other.name)],
};

function nameOf({ kind, name }) {
  return [h('strong', {}, name), KINDS[kind] && h('span', { class: 'muted' }, ` ${KINDS[kind]}`)];
}

function rateCell(recent) {
  if (recent === null)
    return h('span', { class: 'muted', title: 'too many caches: only its sums are kept' }, 'not followed');
  const { hitRate, requests } = recent;
  if (requests === 0) return h('span', { class: 'muted' }, 'silent');
  return hitRate < 0.5
    ? badge('bad', percent(hitRate))
    : hitRate < 0.8
      ? badge('warn', percent(hitRate))
      : badge('good', percent(hitRate));
}

function memoryCell(share) {
  if (share === undefined) return '';
  if (share.unknown !== undefined) return h('span', { class: 'muted', title: share.unknown }, 'not known');
  return `${number(share.keys)} · ${bytes(share.bytes)}`;
}

function cacheTable(caches, shares) {
  const count = (title, pick, hint) => [title, (row) => number(pick(row)), { number: true, title: hint }];
  return table(
    'Caches',
    [
      ['Cache', nameOf],
      ['Hit rate, 5 min', ({ recent }) => rateCell(recent)],
      ['10 min', ({ trend }) => (trend.some((each) => each !== null) ? sparkline(trend, 'accent', 1) : '')],
      ['1 h', ({ hour }) => percent(hour?.hitRate), { number: true }],
      count('Reads, 5 min', ({ recent }) => recent?.requests),
      count('Loads', ({ recent }) => recent?.loads, 'of the last 5 minutes'),
      count('Failed', ({ loadFailures }) => loadFailures, 'loads that failed, in all'),
      count('Stale', ({ stale }) => stale, 'answers past their ttl, in all'),
      count('Coalesced', ({ coalesced }) => coalesced, 'calls answered by a load that was under way, in all'),
      count(
        'Refused',
        ({ refusedFills }) => refusedFills,
        'loaded values that were invalidated meanwhile and not stored, in all',
      ),
      count(
        'Bypassed',
        ({ failures }) => failures,
        'calls to Redis that failed and were done without, in all',
      ),
      [
        'Here',
        ({ l1 }) => (l1 ? `${number(l1.entries)} · ${bytes(l1.bytes)}` : ''),
        { title: 'copies in this process' },
      ],
      ['In Redis', ({ id }) => memoryCell(shares[id]), { title: 'keys and their memory, by a sample' }],
    ],
    caches,
    'No cache was asked for yet.',
  );
}

function fleetTable({ caches }) {
  return table(
    'Caches of all processes',
    [
      ['Cache', nameOf],
      [
        'Hit rate, 5 min',
        ({ requests, hits }) => rateCell({ requests, hitRate: requests === 0 ? null : hits / requests }),
      ],
      ['Reads, 5 min', ({ requests }) => number(requests), { number: true }],
      ['Loads, 5 min', ({ loads }) => number(loads), { number: true }],
      ['Reads in all', ({ reads }) => number(reads), { number: true }],
      ['Stale', ({ stale }) => number(stale), { number: true }],
      ['Coalesced', ({ coalesced }) => number(coalesced), { number: true }],
      ['Processes', ({ processes }) => number(processes), { number: true }],
    ],
    caches,
    'No cache was read yet.',
  );
}

export function cachesScreen(region, { scope }) {
  let sort = 'worst';
  let filter = '';
  let shares = {};
  let turn = 0;
  const output = h('div', { class: 'stack' });
  const search = h('input', {
    type: 'search',
    placeholder: 'Name of a cache',
    'aria-label': 'Show caches whose name contains',
    'data-search': true,
    input: () => {
      filter = search.value.toLowerCase();
      void refresh();
    },
  });
  const order = h(
    'select',
    {
      'aria-label': 'Order',
      change: () => {
        sort = order.value;
        void refresh();
      },
    },
    Object.entries(SORTS).map(([value, [name]]) => h('option', { value }, name)),
  );
  region.replaceChildren(h('h1', {}, 'Caches'), h('div', { class: 'form' }, search, order), output);

  async function refresh() {
    try {
      if (scope() === 'all') {
        const fleet = await ask('fleet');
        put(
          output,
          fleet.missing && h('p', { class: 'note warn' }, fleet.missing),
          section('All processes together', fleetTable(fleet)),
        );
        return;
      }
      const answer = await ask('caches', turn % WEIGH_EVERY === 0 ? { memory: '1' } : {});
      turn += 1;
      shares = answer.shares ?? shares;
      const named = answer.caches.filter(({ name }) => name.toLowerCase().includes(filter));
      const [busy, silent] = [
        named.filter(({ reads }) => reads > 0),
        named.filter(({ reads }) => reads === 0),
      ];
      const byOrder = (rows) => rows.toSorted(SORTS[sort][1]);
      put(
        output,
        section('Read so far', cacheTable(byOrder(busy), shares)),
        silent.length > 0 &&
          h(
            'p',
            { class: 'muted' },
            `Never read: ${silent.map(({ name, kind }) => `${name}${KINDS[kind] ? ` (${KINDS[kind]})` : ''}`).join(', ')}.`,
          ),
        answer.l1 &&
          section(
            'Near cache',
            h(
              'p',
              {},
              `${number(answer.l1.entries)} copies, ${bytes(answer.l1.bytes)}, in the memory of this process, shared by its caches. ${number(answer.l1.evictions)} had to make room. `,
              answer.l1.by
                ? `Changes are heard by ${answer.l1.by}.`
                : badge('warn', 'not in use: changes would not be heard'),
            ),
          ),
      );
    } catch (error) {
      put(output, failure(error));
    }
  }
  return refresh;
}
