/**
 * The adapter beside the bare driver: values of 1 KB, parsed on the way in, everything switched on (deadline,
 * breaker, retry budget, order check, merging), against ioredis 6 as it comes and with its auto-pipelining.
 *
 * `npm run bench` prints the table; `npm run bench -- --write` also commits it to docs/evidence/bench-adapter.md.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createRedis } from '@anbar/nestjs-redis';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { machine, today } from './machine.mjs';
import { compare } from './slices.mjs';

/** The very driver the library runs on. */
const { Redis } = createRequire(new URL('../libs/redis/package.json', import.meta.url))('ioredis');

const KEYS = 1_000;
const CONCURRENCIES = [1, 64, 512];

/** What the issue asks for, and by which figure it is judged. */
const GATES = [
  { what: 'get', concurrency: 1, ours: 'anbar get', rival: 'ioredis get', atLeast: 0.9 },
  { what: 'get', concurrency: 64, ours: 'anbar get', rival: 'ioredis auto get', atLeast: 1.5 },
  { what: 'get', concurrency: 512, ours: 'anbar get', rival: 'ioredis auto get', atLeast: 1.5 },
  { what: 'set', concurrency: 1, ours: 'anbar set', rival: 'ioredis auto set', atLeast: 1 },
  { what: 'set', concurrency: 64, ours: 'anbar set', rival: 'ioredis auto set', atLeast: 1 },
  { what: 'set', concurrency: 512, ours: 'anbar set', rival: 'ioredis auto set', atLeast: 1 },
];

/** 1 KB as an application has it: a few fields, one of them a text. */
function book(id) {
  return {
    id,
    title: `Volume ${id}`,
    price: 1295 + id,
    tags: ['print', 'linen', 'letterpress'],
    inStock: id % 3 !== 0,
    description: 'Set by hand, printed slowly, bound in linen. '.repeat(20),
  };
}

function contestants(url) {
  const ours = createRedis({ url, timeout: '5s' }, {});
  const bare = new Redis(url);
  const auto = new Redis(url, { enableAutoPipelining: true });
  const key = (i) => `bench:${i % KEYS}`;
  const value = book(1);
  const gets = {
    'anbar get': (i) => ours.adapter.get(key(i)),
    'ioredis get': async (i) => JSON.parse(await bare.get(key(i))),
    'ioredis auto get': async (i) => JSON.parse(await auto.get(key(i))),
  };
  const sets = {
    'anbar set': (i) => ours.adapter.set(key(i), value, '1h'),
    'ioredis set': (i) => bare.set(key(i), JSON.stringify(value), 'PX', 3_600_000),
    'ioredis auto set': (i) => auto.set(key(i), JSON.stringify(value), 'PX', 3_600_000),
  };
  return {
    gets,
    sets,
    ours,
    async close() {
      bare.disconnect();
      auto.disconnect();
      await ours.disconnect();
    },
  };
}

function rows(concurrency, { results }) {
  return results.map(
    ({ name, rate, cpu, failed }) =>
      `| ${concurrency} | ${name} | ${rate.toFixed(1)} | ${cpu.toFixed(1)} | ${failed} |`,
  );
}

async function main() {
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const field = contestants(server.url);
  const { gets, sets, ours } = field;
  await ours.connect();
  for (let i = 0; i < KEYS; i += 1) await ours.adapter.set(`bench:${i}`, book(i), '1h');

  const table = ['| concurrency | who | k/s | CPU µs per call | failed |', '| --- | --- | --- | --- | --- |'];
  const runs = new Map();
  for (const concurrency of CONCURRENCIES) {
    for (const [what, group] of Object.entries({ get: gets, set: sets })) {
      const run = await compare(group, { concurrency });
      runs.set(`${what}:${concurrency}`, run);
      table.push(...rows(concurrency, run));
    }
  }
  const verdicts = GATES.map(({ what, concurrency, ours: us, rival, atLeast }) => {
    const run = runs.get(`${what}:${concurrency}`);
    const ratio = run.ratio(us, rival);
    const cpu = run.cpuRatio(us, rival);
    const verdict = ratio >= atLeast ? 'yes' : 'no';
    return `| ${us} ÷ ${rival}, ${concurrency} at once | ${ratio.toFixed(2)} | ${cpu.toFixed(2)} | ≥ ${atLeast} | ${verdict} |`;
  });
  const report = [
    '# The adapter beside the bare driver',
    '',
    `${today()} · ${machine()} · \`npm run bench -- --write\``,
    '',
    'Values of 1 KB, serialised and parsed by everybody; ioredis 6 as it comes, and with `enableAutoPipelining`.',
    'Contestants take turns in slices of a quarter of a second; a ratio is the median over the rounds.',
    '',
    '| ratio | of rates | of CPU time | wanted | met |',
    '| --- | --- | --- | --- | --- |',
    ...verdicts,
    '',
    ...table,
    '',
  ].join('\n');
  console.log(report);
  if (process.argv.includes('--write')) {
    writeFileSync(new URL('../docs/evidence/bench-adapter.md', import.meta.url), report);
  }
  await field.close();
  await server.stop();
}

await main();
