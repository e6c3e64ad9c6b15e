/** What somebody on call looks at first: does everything answer, how much, how fast, and what happened. */
import { chart, sparkline } from './charts.mjs';
import { badge, facts, failure, h, put, section, stateBadge, table } from './dom.mjs';
import { bytes, millis, number, percent, rate, span, when } from './format.mjs';
import { ask } from './live.mjs';

export const OUTCOMES = [
  ['l1', 'this process'],
  ['l2', 'Redis'],
  ['fallback', 'stand-in'],
  ['stale', 'stale'],
  ['misses', 'missed'],
];

export const BREAKER = ['closed', 'half-open', 'open'];

function card(title, value, { spark, kind, detail } = {}) {
  return h(
    'article',
    { class: 'card' },
    h('h3', {}, title),
    h('p', { class: 'figure' }, value),
    detail && h('p', { class: 'muted' }, detail),
    spark && sparkline(spark, kind),
  );
}

/** The worst there is to say, in one sentence. */
export function verdict({ up, breaker, connections, shards, fallback }) {
  const away = Object.entries(connections).flatMap(([name, { health, nodes }]) =>
    health === 'up'
      ? []
      : [
          `${name}: ${nodes.map(({ node, state, reason }) => `${node} is ${state}${reason ? ` (${reason})` : ''}`).join(', ') || health}`,
        ],
  );
  for (const [id, { state, health }] of Object.entries(shards)) {
    if (state === 'out' || state === 'returning') away.push(`shard ${id} is ${state}`);
    else if (health !== 'up') away.push(`shard ${id} is ${health}`);
  }
  if (up === 0) return ['bad', 'Redis is down.', away.join('; ')];
  if (breaker === 2)
    return ['bad', 'A breaker is open.', 'Calls to its node fail at once until it answers again.'];
  if (up < 1) return ['warn', 'Redis is degraded.', away.join('; ')];
  if (fallback.mode !== 'redis')
    return [
      'warn',
      'Caches are served from this process.',
      `${fallback.mode}, ${fallback.reason}; ${fallback.journal} changes to be told`,
    ];
  if (breaker === 1) return ['warn', 'A breaker is on its way back.', ''];
  return ['good', 'Redis answers.', ''];
}

export function banner(state) {
  const [kind, text, why] = verdict(state);
  return h(
    'div',
    { class: `note ${kind}`, role: 'status', id: 'verdict' },
    badge(kind, ''),
    h('strong', {}, text),
    why && ` ${why}`,
  );
}

export function happenings(incidents, caption = 'What happened, the latest first') {
  return table(
    caption,
    [
      ['When', ({ at }) => when(at)],
      ['What', ({ kind }) => kind],
      ['Where', ({ subject }) => subject],
      ['', ({ text, times }) => (times > 1 ? `${text} (${times} times in a row)` : text), { text: true }],
    ],
    incidents,
    'Nothing has happened since this process began.',
  );
}

/** Charts of one process or of all: `read` gives a series. */
function charts(read, { stepMs, at }) {
  const common = { stepMs, at };
  return h(
    'div',
    { class: 'charts' },
    chart('Reads by where they were answered, per second', {
      ...common,
      stacked: true,
      format: rate,
      lines: OUTCOMES.map(([series, name]) => ({
        name,
        kind: series,
        values: read(series),
        always: series === 'l1',
      })),
    }),
    chart('Hit rate', {
      ...common,
      format: percent,
      top: 1,
      lines: [{ name: 'hits of all reads', kind: 'accent', values: read('hitRate'), always: true }],
    }),
    chart('Commands to Redis, how long they took', {
      ...common,
      format: millis,
      lines: [
        { name: 'half of them (p50)', kind: 'l1', values: read('p50'), always: true },
        { name: '99 of 100 (p99)', kind: 'stale dashed', values: read('p99'), always: true },
      ],
    }),
    chart('Commands and loads, per second', {
      ...common,
      format: rate,
      lines: [
        { name: 'commands', kind: 'l2', values: read('commands'), always: true },
        { name: 'failed', kind: 'misses dashed', values: read('commandErrors') },
        { name: 'loaders run', kind: 'stale', values: read('loads') },
        { name: 'answered by a load under way', kind: 'fallback dashed', values: read('coalesced') },
      ],
    }),
  );
}

function memoryText({ server }) {
  if (!server) return ['–', 'Redis did not tell'];
  const share =
    server.maxBytes > 0
      ? `${percent(server.usedBytes / server.maxBytes)} of ${bytes(server.maxBytes)}`
      : 'without a limit';
  return [bytes(server.usedBytes), `${share}, ${number(server.evictedKeys)} evicted`];
}

function cards(live, points) {
  const { data } = live;
  const { state, process } = data;
  const [used, usedDetail] = memoryText(state);
  return h(
    'div',
    { class: 'cards' },
    card('Reads', rate(live.latest('requests')), { spark: live.series('requests', points) }),
    card('Hit rate', percent(live.latest('hitRate')), {
      spark: live.series('hitRate', points),
      detail: 'of the last 5 s',
    }),
    card('Loads', rate(live.latest('loads')), {
      spark: live.series('loads', points),
      kind: 'stale',
      detail: `${rate(live.latest('coalesced'))} spared`,
    }),
    card('Commands, p99', millis(live.latest('p99')), {
      spark: live.series('p99', points),
      kind: 'stale',
      detail: `p50 ${millis(live.latest('p50'))}`,
    }),
    card('Breaker', stateBadge(BREAKER[state.breaker]), { detail: 'the worst of all nodes' }),
    card('Redis', stateBadge(state.up === 1 ? 'up' : state.up === 0 ? 'down' : 'degraded'), {
      detail:
        state.fallback.mode === 'redis' ? 'and no stand-in is at work' : `stand-in: ${state.fallback.mode}`,
    }),
    card('Memory of Redis', used, {
      detail: usedDetail,
      spark: live.series('redisBytes', points),
      kind: 'l2',
    }),
    card('Memory of the process', bytes(live.latest('heapBytes') ?? process.heapBytes), {
      detail: state.l1
        ? `near cache ${bytes(state.l1.bytes)}, ${number(state.l1.entries)} entries${state.l1.by ? '' : ', not in use'}`
        : 'no near cache',
      spark: live.series('heapBytes', points),
      kind: 'l2',
    }),
  );
}

export function nodesTable(connections) {
  const rows = Object.entries(connections).flatMap(([name, { topology, nodes }]) =>
    nodes.map((node) => ({ name, topology, ...node })),
  );
  return table(
    'Connections',
    [
      ['Connection', ({ name }) => name],
      ['Node', ({ node, topology }) => `${node}${topology === node ? '' : `, ${topology}`}`],
      ['State', ({ state }) => stateBadge(state)],
      ['Role', ({ role }) => role],
      ['Breaker: reads', ({ breaker }) => stateBadge(breaker.reads)],
      ['writes', ({ breaker }) => stateBadge(breaker.writes)],
      ['Heartbeat', ({ latencyMs }) => millis(latencyMs), { number: true }],
      ['In flight', ({ inFlight }) => number(inFlight), { number: true }],
      ['Since', ({ since }) => when(since)],
      ['Why', ({ reason }) => reason ?? ''],
    ],
    rows,
  );
}

function processes({ processes: all, self, missing }) {
  return section(
    `Processes: ${all.length}`,
    missing && h('p', { class: 'note warn' }, missing),
    table(
      'Processes',
      [
        ['Process', ({ process: { host, pid, id } }) => `${host} ${pid}${id === self ? ' (this one)' : ''}`],
        ['Redis', ({ up }) => stateBadge(up === 1 ? 'up' : up === 0 ? 'down' : 'degraded')],
        ['Breaker', ({ breaker }) => stateBadge(BREAKER[breaker] ?? 'open')],
        ['Served by', ({ mode }) => mode],
        ['Reads', ({ requests }) => rate(requests), { number: true }],
        ['Hit rate', ({ hitRate }) => percent(hitRate), { number: true }],
        ['Commands', ({ commands }) => rate(commands), { number: true }],
        ['p99', ({ p99 }) => millis(p99), { number: true }],
        ['Heap', ({ process: { heapBytes } }) => bytes(heapBytes), { number: true }],
        ['Up for', ({ process: { uptimeMs } }) => span(uptimeMs), { number: true }],
      ],
      all,
    ),
  );
}

async function showFleet(region, live) {
  const fleet = await ask('fleet');
  const { series } = fleet;
  const length = series.heapBytes?.length ?? 1;
  // Nobody can tell of the time before the first of them began.
  const from = Math.max(
    0,
    (series.heapBytes ?? []).findIndex((value) => value !== null),
  );
  const read = (name) => (series[name] ?? Array.from({ length }, () => 0)).slice(from);
  put(
    region,
    banner(live.data.state),
    processes(fleet),
    section('All processes together, the last 10 minutes', charts(read, live.data)),
    h('p', { class: 'muted' }, 'Times are those of the slowest process. Everything else adds up.'),
  );
}

export function overviewScreen(region, { live, scope, points }) {
  return async () => {
    if (scope() === 'all') {
      await showFleet(region, live).catch((error) => put(region, failure(error)));
      return;
    }
    const { data } = live;
    put(
      region,
      banner(data.state),
      cards(live, Math.min(points(), 180)),
      charts((name) => live.series(name, points()), data),
      section('Connections', nodesTable(data.state.connections)),
      section('What happened', happenings(data.incidents.slice(0, 20))),
      facts([
        ['Process', `${data.process.host} ${data.process.pid}`],
        ['Up for', span(data.process.uptimeMs + data.at - data.openedAt)],
        ['Last step', when(data.at)],
      ]),
    );
  };
}
