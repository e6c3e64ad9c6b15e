/** What the cache bench is judged by, how its report reads, and how it is compared with the committed one. */
import { disturbance, machine, today } from './machine.mjs';

/** `ours` has to do at least so many times what the best of `rivals` does. */
export const GATES = [
  {
    scenario: 'l1-get',
    ours: 'anbar',
    rivals: ['bentocache', 'bentocache, no bus', 'cacheable', 'cache-manager'],
    atLeast: 10,
  },
  { scenario: 'l1-getOrSet', ours: 'anbar', rivals: ['bentocache'], atLeast: 10 },
  { scenario: 'l2-get', ours: 'anbar', rivals: ['bentocache'], atLeast: 3 },
  { scenario: 'l2-get', ours: 'anbar', rivals: ['cache-manager'], atLeast: 2 },
  { scenario: 'l2-get', ours: 'anbar', rivals: ['ioredis, auto-pipelined'], atLeast: 1.3 },
  { scenario: 'l2-getOrSet', ours: 'anbar', rivals: ['bentocache'], atLeast: 3 },
  { scenario: 'set', ours: 'anbar', rivals: ['bentocache'], atLeast: 2 },
  { scenario: 'l1-tagged', ours: 'anbar, tagged', rivals: ['anbar, untagged'], atLeast: 1 / 1.15 },
  { scenario: 'l2-tagged', ours: 'anbar, tagged', rivals: ['anbar, untagged'], atLeast: 1 / 1.15 },
  { scenario: 'miss', ours: 'anbar', rivals: ['ioredis GET + SET'], atLeast: 0.4 },
  { scenario: 'miss', ours: 'anbar, no L1', rivals: ['ioredis GET + SET'], atLeast: 0.4 },
];

export const MEMORY_SUBJECTS = ['anbar', 'bentocache', 'cacheable', 'cache-manager', 'bare lru-cache'];

const TITLES = {
  'l1-get': 'hit in memory, `get`',
  'l1-getOrSet': 'hit in memory, `getOrSet`',
  'l1-tagged': 'hit in memory, tagged and not',
  'l2-get': 'hit in Redis, `get`',
  'l2-getOrSet': 'hit in Redis, `getOrSet`',
  'l2-tagged': 'hit in Redis, tagged and not',
  set: '`set`, both tiers',
  miss: 'miss, load and fill: every key is new',
};

/** In the order they are run; what fills the server comes last. */
export const SCENARIOS = Object.keys(TITLES);

/** What `node --cpu-prof` shows; to be looked at again when the code changes. */
const EXPLANATION = [
  '## Where the time goes',
  '',
  'Shares of CPU time of this process, by profile.',
  '',
  '- **Hit in memory:** the key made and looked up (a third), the clocks read for expiry (a fifth), the promise and',
  '  its caller (a fifth). Redis is not asked, and only the promise and three short-lived objects are made.',
  '- **Hit in Redis:** `JSON.parse` a quarter, writing to the socket, the checksum and reading the reply a fifteenth',
  '  each, collecting garbage a twentieth. All callers of a turn share one `MGET`, so they wait together for one answer: on a machine',
  '  whose processors are taken, that wait is what the rate shows.',
  '- **`set`:** serialising and checksum a quarter, writing to the socket a sixth; on the server a script of two',
  '  commands instead of one, since storing has to end the lease of whoever is loading.',
  '- **Miss:** three round trips (read, lease, fill) where an unguarded `GET` and `SET` take two. With a near cache the',
  '  server also announces every fill, and this process reads the announcement.',
  '',
];

/** A ratio this much below the committed one is worth a look. */
const REGRESSION = 0.75;

/** Nothing for a scenario that was not run. */
export function judge({ scenario, ours, rivals, atLeast }, runs) {
  const run = runs.get(scenario);
  if (run === undefined) return [];
  // The best of them is whoever leaves the smallest ratio.
  const [rival] = rivals.toSorted((a, b) => run.ratio(ours, a) - run.ratio(ours, b));
  const ratio = run.ratio(ours, rival);
  return [
    {
      what: `${scenario}: ${ours} ÷ ${rivals.length > 1 ? 'the best of them' : rival}`,
      beside: rival,
      ratio,
      spread: run.spread(ours, rival),
      cpu: run.cpuRatio(ours, rival),
      atLeast,
      met: ratio >= atLeast,
    },
  ];
}

export function reportOf({ runs, verdicts, memory, concurrency, loads: [before, after] }) {
  const lines = [
    '# The cache beside others',
    '',
    `${today()} · ${machine()} · \`node bench/cache.mjs --write\``,
    '',
    `Values of 1 KB, ${concurrency} callers at once. Ours with everything on: fences, tracking, deep-frozen values,`,
    'checksums. bentocache 1.6.1 with memory, Redis and its bus; cacheable 2.5.0 with memory and @keyv/redis;',
    'cache-manager 7.2.9 over keyv, in memory or on @keyv/redis; ioredis 6; lru-cache 11. Each library has a process of',
    'its own; contestants take turns in slices of a quarter of a second. A ratio is the median over the rounds, beside',
    'it the middle half of them.',
    '',
    disturbance(before, after),
    '',
    '| ratio | of rates | middle half | of CPU time | wanted | met |',
    '| --- | --- | --- | --- | --- | --- |',
    ...verdicts.map(
      ({ what, ratio, spread, cpu, atLeast, met }) =>
        `| ${what} | ${ratio.toFixed(2)} | ${spread.map((each) => each.toFixed(2)).join(' – ')} | ${cpu.toFixed(2)} | ≥ ${round(atLeast)} | ${met ? 'yes' : 'no'} |`,
    ),
    '',
  ];
  for (const [name, { results }] of runs) {
    lines.push(
      `## ${TITLES[name]}`,
      '',
      '| who | k/s | CPU µs per call | failed |',
      '| --- | --- | --- | --- |',
    );
    for (const { name: who, rate, cpu, failed } of results)
      lines.push(`| ${who} | ${rate.toFixed(1)} | ${cpu.toFixed(2)} | ${failed} |`);
    lines.push('');
  }
  if (memory.length > 0) lines.push(...memoryTable(memory));
  lines.push(...EXPLANATION);
  return `${lines.join('\n').trimEnd()}\n`;
}

function memoryTable(memory) {
  return [
    '## Memory of one entry in L1',
    '',
    'Growth of `heapUsed + external + arrayBuffers` after a full collection, over 100,000 entries of the same shape',
    'and a process of its own for each.',
    '',
    '| who | bytes per entry |',
    '| --- | --- |',
    ...memory.map(({ subject, perEntry }) => `| ${subject} | ${perEntry} |`),
    '',
  ];
}

/** Warnings, one a ratio. */
export function regressions(verdicts, committed) {
  const before = new Map(
    [...committed.matchAll(/^\| ([^|]+: [^|]+) \| ([\d.]+) \|/gmu)].map(([, what, ratio]) => [
      what,
      Number(ratio),
    ]),
  );
  return verdicts.flatMap(({ what, ratio }) => {
    const was = before.get(what);
    if (was === undefined || ratio >= was * REGRESSION) return [];
    return [`warning: ${what} is ${ratio.toFixed(2)}, and was ${was.toFixed(2)} in the committed run`];
  });
}

function round(number) {
  return Number(number.toFixed(2));
}
