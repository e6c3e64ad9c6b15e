/** Resilience, limits, jobs and configuration. */
import { bar, chart, timeline } from './charts.mjs';
import { badge, facts, failure, h, put, section, stateBadge, table } from './dom.mjs';
import { millis, number, percent, rate, when } from './format.mjs';
import { ask } from './live.mjs';
import { BREAKER, happenings, nodesTable } from './overview.mjs';

/** A screen that is an answer of the API and nothing else. */
function screen(name, title, show) {
  return (region, context) => {
    const output = h('div', { class: 'stack' });
    region.replaceChildren(h('h1', {}, title), output);
    return async () => {
      try {
        put(output, ...[show(await ask(name), context)].flat());
      } catch (error) {
        put(output, failure(error));
      }
    };
  };
}

function eventsTable(caption, rows, empty) {
  return table(
    caption,
    [
      ['What', ({ name }) => name],
      ['Of', ({ subject }) => subject],
      ['How it ended', ({ outcome }) => outcome],
      ['Times', ({ count }) => number(count), { number: true }],
      ['Mean time', ({ meanMs }) => millis(meanMs), { number: true }],
      ['Last', ({ lastAt }) => when(lastAt)],
    ],
    rows,
    empty,
  );
}

export const resilienceScreen = screen('resilience', 'Resilience', (answer, { live }) => {
  const { stepMs, at } = live.data;
  const downs = answer.up.map((value) => (value === null ? null : (1 - value) * 2));
  return [
    h(
      'div',
      { class: 'charts' },
      timeline('Breaker', answer.breaker, { names: BREAKER, stepMs, at }),
      timeline('Redis', downs, { names: ['up', 'degraded', 'down'], stepMs, at }),
    ),
    section(
      'Stand-in',
      h(
        'p',
        {},
        stateBadge(answer.fallback.mode === 'redis' ? 'redis' : answer.fallback.mode),
        ` ${answer.fallback.reason}`,
      ),
      facts([
        ['Since', answer.fallback.since ? when(answer.fallback.since) : undefined],
        ['Changes Redis has to be told of', number(answer.fallback.journal)],
      ]),
    ),
    section('Connections', nodesTable(answer.connections)),
    section(
      'Slowest commands of the last hour',
      table(
        'Slowest commands',
        [
          ['When', (row) => when(row.at)],
          ['Command', ({ command }) => h('code', {}, command)],
          ['Connection', ({ client }) => client],
          ['Took', ({ ms }) => millis(ms), { number: true }],
          ['Attempts', ({ attempts }) => number(attempts), { number: true }],
          ['How it ended', ({ outcome }) => (outcome === 'ok' ? badge('good', 'ok') : badge('bad', outcome))],
        ],
        answer.slow,
        'No command was sent since the console looks.',
      ),
    ),
    section('Losses and retries', eventsTable('Losses and retries', answer.events, 'None.')),
    section('What happened', happenings(answer.incidents)),
  ];
});

export const limitsScreen = screen('limits', 'Limits', (answer, { live }) => {
  const { stepMs, at } = live.data;
  const { total, decisions } = answer;
  const byLimit = new Map();
  for (const { name, subject, outcome, count, meanMs, lastAt } of decisions) {
    if (name !== 'rate-limit.decision') continue;
    const row = byLimit.get(subject) ?? {
      subject,
      all: 0,
      allowed: 0,
      denied: 0,
      shadow: 0,
      without: 0,
      lastAt: 0,
      meanMs,
    };
    row.all += count;
    row.lastAt = Math.max(row.lastAt, lastAt);
    if (outcome === 'allowed') row.allowed += count;
    else if (outcome === 'denied') row.denied += count;
    else if (outcome === 'shadow_denied') row.shadow += count;
    else row.without += count;
    byLimit.set(subject, row);
  }
  const rows = [...byLimit.values()].toSorted(
    (one, other) => other.denied / other.all - one.denied / one.all || other.all - one.all,
  );
  const made = Object.entries(total.bySource).filter(([, count]) => count > 0);
  return [
    total.allowedWithoutStore > 0 &&
      h(
        'p',
        { class: 'note warn' },
        `${number(total.allowedWithoutStore)} were let through while Redis was away.`,
      ),
    h(
      'div',
      { class: 'charts' },
      chart('Decisions, per second', {
        stepMs,
        at,
        stacked: true,
        format: rate,
        lines: [
          { name: 'allowed', kind: 'l1', values: answer.allowed, always: true },
          { name: 'denied', kind: 'misses', values: answer.denied, always: true },
        ],
      }),
    ),
    section(
      'Limits, those that deny most first',
      table(
        'Limits',
        [
          ['Limit', ({ subject }) => h('strong', {}, subject)],
          ['Decisions', ({ all }) => number(all), { number: true }],
          ['Allowed', ({ allowed }) => number(allowed), { number: true }],
          ['Denied', ({ denied }) => number(denied), { number: true }],
          ['', ({ denied, all }) => [bar(denied / all, 'misses'), ` ${percent(denied / all)}`]],
          ['Would have denied', ({ shadow }) => number(shadow), { number: true }],
          ['Without Redis', ({ without }) => number(without), { number: true }],
          ['Last', ({ lastAt }) => when(lastAt)],
        ],
        rows,
        'No limit was asked since the console looks.',
      ),
    ),
    section(
      'Who decided',
      facts(
        [
          ['Allowed in all', number(total.allowed)],
          ['Denied in all', number(total.denied)],
          ['Would have been denied', number(total.shadowDenied)],
          ...made.map(([source, count]) => [`by ${source}`, number(count)]),
          ['Places lost', total.placesLost > 0 ? number(total.placesLost) : undefined],
        ],
        'counts',
      ),
    ),
  ];
});

export const jobsScreen = screen(
  'jobs',
  'Jobs',
  ({ queue, tasks, locks, pubsub, sessions, cleanup, runs }) => {
    const { state, reason, ...counts } = queue;
    const told = Object.entries(sessions).map(([operation, outcomes]) => ({ operation, ...outcomes }));
    return [
      section(
        'Tasks',
        state === 'idle' && h('p', { class: 'muted' }, 'This process neither adds nor does tasks.'),
        state === 'unknown' && h('p', { class: 'note warn' }, `The queue did not tell: ${reason}`),
        state === 'in use' &&
          facts(
            Object.entries(counts).map(([name, count]) => [name, number(count)]),
            'counts',
          ),
        eventsTable('Tasks that were done here', tasks, 'None was done here since the console looks.'),
      ),
      section(
        'Clean-up',
        eventsTable('Clean-up', cleanup, 'No run since the console looks.'),
        runs.length > 0 && happenings(runs, 'Runs, the latest first'),
      ),
      section(
        'Locks',
        facts(
          [
            ['held', number(locks.held)],
            ['waiting', number(locks.waiting)],
          ],
          'counts',
        ),
        eventsTable('Locks', locks.events, 'None was asked for since the console looks.'),
      ),
      section(
        'Pub/sub',
        facts([
          ['listeners', number(pubsub.listeners)],
          ['published', number(pubsub.published)],
          ['dropped', number(pubsub.dropped)],
          ['unreadable', number(pubsub.unreadable)],
          ['gaps', number(pubsub.gaps)],
        ]),
        eventsTable('Pub/sub', pubsub.events, 'Nothing out of the ordinary.'),
      ),
      section(
        'Sessions',
        table(
          'Sessions',
          [
            ['Operation', ({ operation }) => operation],
            ['Done', ({ ok }) => number(ok), { number: true }],
            ['Refused', ({ refused }) => number(refused), { number: true }],
            ['Redis away', ({ unavailable }) => number(unavailable), { number: true }],
          ],
          told.filter(({ ok, refused, unavailable }) => ok + refused + unavailable > 0),
          'No session was opened here.',
        ),
      ),
    ];
  },
);

const ORIGINS = { code: 'good', environment: 'warn', default: 'idle' };

export const configScreen = screen('config', 'Configuration', ({ rows, versions }) => {
  const groups = [...new Set(rows.map(({ group }) => group))];
  return [
    section('Versions', facts(versions.map(({ name, value }) => [name, value]))),
    h(
      'p',
      { class: 'muted' },
      'What is in effect, and where it was said. Secrets are masked. Times end in Ms and are milliseconds.',
    ),
    ...groups.map((group) =>
      section(
        group,
        table(
          group,
          [
            ['Option', ({ option }) => h('code', {}, option)],
            ['Value', ({ value }) => value],
            ['Origin', ({ origin }) => badge(ORIGINS[origin], origin)],
          ],
          rows.filter((row) => row.group === group),
        ),
      ),
    ),
  ];
});
