/** Why does this key answer as it does? And, where it is allowed, which keys there are. */
import { badge, facts, failure, h, section, table } from './dom.mjs';
import { number, span } from './format.mjs';
import { ask } from './live.mjs';

const KIND = { fresh: 'good', counter: 'good', hash: 'good', stale: 'warn', doubtful: 'warn' };

function explanation(answer) {
  const {
    state,
    why,
    key,
    tier,
    ageMs,
    ttlMs,
    loadMs,
    shard,
    negative,
    tags,
    lease,
    get,
    getOrSet,
    value,
    cut,
  } = answer;
  return h(
    'div',
    { class: 'panel', 'aria-live': 'polite' },
    h('p', { class: 'figure' }, badge(KIND[state] ?? 'idle', state)),
    h('p', {}, `${why}.`),
    facts([
      ['In Redis', h('code', {}, key)],
      [
        'Found in',
        tier === undefined
          ? undefined
          : tier === 'l1'
            ? 'this process (L1)'
            : tier === 'l2'
              ? 'Redis (L2)'
              : tier,
      ],
      ['Shard', shard],
      ['Age', ageMs === undefined ? undefined : span(ageMs)],
      ['Fresh for', ttlMs === undefined ? undefined : ttlMs > 0 ? span(ttlMs) : `over for ${span(-ttlMs)}`],
      ['Its loader took', loadMs ? span(loadMs) : undefined],
      ['Holds', negative ? 'that there is nothing' : undefined],
      [
        'Being loaded',
        lease === undefined ? undefined : `by ${lease.holder}, for ${span(lease.leftMs)} more`,
      ],
      ['get', get],
      ['getOrSet', getOrSet],
    ]),
    tags.length > 0 &&
      table(
        'Tags',
        [
          ['Tag', ({ tag }) => tag],
          ['', ({ valid }) => (valid ? badge('good', 'valid') : badge('bad', 'invalidated'))],
          ['Clock', ({ clock }) => clock ?? 'lost', { number: true }],
        ],
        tags,
      ),
    value !== undefined && section(cut ? 'Value, its beginning' : 'Value', h('pre', {}, value)),
  );
}

export function keysScreen(region, { live }) {
  const answer = h('div', {});
  const list = h('div', {});
  const cache = h('select', { 'aria-label': 'Cache', name: 'cache' });
  const key = h('input', {
    name: 'key',
    required: true,
    maxlength: 1_024,
    placeholder: 'user:42',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': 'Key',
    'data-search': true,
  });
  const prefix = h('input', {
    placeholder: 'Beginning of keys',
    'aria-label': 'Beginning of the keys to list',
    autocomplete: 'off',
    spellcheck: 'false',
  });

  async function explain(event) {
    event?.preventDefault();
    if (key.value === '') return;
    answer.replaceChildren(h('p', { class: 'muted' }, 'Asking …'));
    try {
      answer.replaceChildren(explanation(await ask('key', { cache: cache.value, key: key.value })));
    } catch (error) {
      answer.replaceChildren(failure(error));
    }
  }

  async function browse(event) {
    event?.preventDefault();
    list.replaceChildren(h('p', { class: 'muted' }, 'Looking …'));
    try {
      const {
        keys: found,
        looked,
        complete,
        before,
        after,
      } = await ask('keys', { cache: cache.value, prefix: prefix.value });
      const choose = (name) => {
        key.value = before + name + after;
        void explain();
        answer.scrollIntoView({ block: 'nearest' });
      };
      list.replaceChildren(
        h(
          'p',
          { class: 'muted' },
          complete
            ? `${number(found.length)} keys.`
            : `${number(found.length)} keys, and there are more: ${number(looked)} names were looked at. A longer beginning finds the others.`,
        ),
        h(
          'ul',
          { class: 'keys' },
          found.map((name) =>
            h('li', {}, h('button', { type: 'button', class: 'link', click: () => choose(name) }, name)),
          ),
        ),
      );
    } catch (error) {
      list.replaceChildren(failure(error));
    }
  }

  region.replaceChildren(
    h('h1', {}, 'Keys'),
    h(
      'p',
      { class: 'muted' },
      'A key as the code writes it, or as it stands in Redis. Asking changes nothing.',
    ),
    h('form', { class: 'form', submit: explain }, cache, key, h('button', {}, 'Why?')),
    answer,
    live.data.may.browseKeys
      ? section(
          'Which keys there are',
          h('form', { class: 'form', submit: browse }, prefix, h('button', {}, 'List')),
          list,
        )
      : h('p', { class: 'muted' }, 'Keys are not listed: the option browseKeys is off.'),
  );

  let filled = '';
  return async () => {
    const { caches } = await ask('caches').catch(() => ({ caches: [] }));
    const names = caches.map(({ id }) => id).toSorted();
    if (names.join() === filled) return;
    filled = names.join();
    const chosen = cache.value || 'cache/default';
    cache.replaceChildren(...names.map((id) => h('option', { value: id }, id.replace(/^cache\//u, ''))));
    if (names.includes(chosen)) cache.value = chosen;
  };
}
