/** Where keys are, whether the shares are as they should be, and what would move. */
import { bar } from './charts.mjs';
import { badge, failure, h, put, section, stateBadge, table } from './dom.mjs';
import { number, percent } from './format.mjs';
import { ask } from './live.mjs';

const SLOTS = 16_384;

function sharesTable({ shards }) {
  const rows = Object.entries(shards).map(([id, shard]) => ({ id, ...shard }));
  const weights = rows.reduce((sum, { weight }) => sum + weight, 0);
  const reads = rows.reduce((sum, { figures }) => sum + (figures?.reads ?? 0), 0);
  const expected = ({ weight }) => (weights === 0 ? 0 : weight / weights);
  const read = ({ figures }) => (reads === 0 ? null : (figures?.reads ?? 0) / reads);
  return table(
    'Shards',
    [
      ['Shard', ({ id }) => h('strong', {}, id)],
      ['Reached', ({ health }) => stateBadge(health)],
      ['Agreed', ({ state }) => stateBadge(state)],
      ['Weight', ({ weight }) => number(weight), { number: true }],
      ['Expected', (row) => percent(expected(row)), { number: true }],
      ['Slots', ({ slots }) => percent(slots / SLOTS), { number: true }],
      ['', (row) => bar(row.slots / SLOTS, 'l2', expected(row))],
      ['Reads', (row) => percent(read(row)), { number: true }],
      ['', (row) => bar(read(row), 'l1', expected(row))],
      ['Hit rate', ({ figures }) => (figures?.reads ? percent(figures.hitRate) : '–'), { number: true }],
      ['Address', ({ address }) => address],
    ],
    rows,
    'No shard is known to this process yet.',
  );
}

export function shardsScreen(region) {
  const output = h('div', { class: 'stack' });
  const where = h('p', { 'aria-live': 'polite' });
  const what = h('div', { 'aria-live': 'polite' });
  const key = h('input', {
    required: true,
    maxlength: 1_024,
    placeholder: 'user:42',
    'aria-label': 'Key',
    autocomplete: 'off',
    spellcheck: 'false',
    'data-search': true,
  });
  const shard = h('select', { 'aria-label': 'Shard to take out' });
  let ids = '';

  async function locate(event) {
    event.preventDefault();
    try {
      const answer = await ask('shards', { key: key.value });
      where.replaceChildren(
        answer.shard === null
          ? badge('warn', 'this process knows of no shard for it')
          : badge('good', `${key.value} is on shard ${answer.shard}`),
      );
    } catch (error) {
      where.replaceChildren(failure(error));
    }
  }

  async function simulate(event) {
    event.preventDefault();
    try {
      const { removal } = await ask('shards', { without: shard.value });
      if (removal === null) {
        what.replaceChildren(h('p', { class: 'note warn' }, 'It is the only one: there is nowhere to go.'));
        return;
      }
      what.replaceChildren(
        h(
          'p',
          {},
          h('strong', {}, percent(removal.moved)),
          ` of the keys would move, all of them from ${removal.without}. Nothing moves between the others.`,
        ),
        table(
          'Shares without it',
          [
            ['Shard', ({ id }) => id],
            ['Now', ({ before }) => percent(before), { number: true }],
            ['Then', ({ after }) => percent(after), { number: true }],
            ['', ({ before, after }) => bar(after, 'l2', before)],
          ],
          removal.shares,
        ),
      );
    } catch (error) {
      what.replaceChildren(failure(error));
    }
  }

  region.replaceChildren(
    h('h1', {}, 'Shards'),
    output,
    section(
      'Where does this key go?',
      h('form', { class: 'form', submit: locate }, key, h('button', {}, 'Locate')),
      where,
    ),
    section(
      'What if one were taken out?',
      h('p', { class: 'muted' }, 'Reckoned only: nothing is changed.'),
      h('form', { class: 'form', submit: simulate }, shard, h('button', {}, 'Reckon')),
      what,
    ),
  );

  return async () => {
    try {
      const answer = await ask('shards');
      const { current, epoch, move } = answer;
      put(
        output,
        !current &&
          h(
            'p',
            { class: 'note warn' },
            'This process does not know the topology, or may not act by what it knows: sharded caches answer by their fail policy. One that was never used is not asked.',
          ),
        epoch !== null &&
          h(
            'p',
            { class: 'muted' },
            `Topology ${epoch}. The mark on a bar is the share its weight gives it.`,
          ),
        move &&
          h(
            'p',
            { class: 'note warn' },
            `A move is under way: ${Object.entries(move)
              .map(([name, value]) => `${name} ${value}`)
              .join(', ')}`,
          ),
        section('Shares', sharesTable(answer)),
      );
      const known = Object.keys(answer.shards);
      if (known.join() !== ids) {
        ids = known.join();
        shard.replaceChildren(...known.map((id) => h('option', { value: id }, id)));
      }
    } catch (error) {
      put(output, failure(error));
    }
  };
}
