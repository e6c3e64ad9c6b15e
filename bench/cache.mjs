/**
 * The cache beside bentocache, cacheable, cache-manager, the bare driver and a bare lru-cache, in one run: values
 * of 1 KB, 64 callers at once, everything of ours switched on (fences, tracking, frozen values, checksums).
 *
 * `node bench/cache.mjs` prints the table; `--write` also commits it to docs/evidence/bench-cache.md, `--compare`
 * warns of ratios that are more than a quarter below the committed ones, `--gates` fails when one is not met,
 * `--only=l1-get,set` runs some scenarios, `--rounds=3` is for a quick look.
 */
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { loadRivals } from './cache-field.mjs';
import { GATES, judge, MEMORY_SUBJECTS, regressions, reportOf, SCENARIOS } from './cache-report.mjs';
import { load as loadOfMachine } from './machine.mjs';
import { compare } from './slices.mjs';

const CONCURRENCY = 64;
const EVIDENCE = new URL('../docs/evidence/bench-cache.md', import.meta.url);
/** Operations between two looks at the clock, where an operation takes less than the look. */
const STRIDE_IN_MEMORY = 32;

const LIBRARIES = ['anbar', 'bentocache', 'cacheable', 'cache-manager', 'ioredis', 'lru-cache'];
const CONTESTANT = fileURLToPath(new URL('./cache-contestant.mjs', import.meta.url));

/** One after the other, for each fills a cache. */
async function openField(url) {
  const field = [];
  for (const library of LIBRARIES) {
    const child = fork(CONTESTANT, [library, url]);
    const [ways] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`${library} ended with ${code}`))),
    ]);
    field.push({ child, ways });
  }
  return field;
}

/** Whoever takes part in a scenario, by the name of the way it does. */
function contestantsOf(field, scenario) {
  const all = field.flatMap(({ child, ways }) =>
    (ways[scenario] ?? []).map((who) => [
      who,
      { slice: (options) => told(child, { scenario, who, ...options }) },
    ]),
  );
  return Object.fromEntries(all);
}

async function told(child, question) {
  child.send(question);
  const [answer] = await once(child, 'message');
  return answer;
}

/** One process per contestant, so that none counts what another has left. */
async function measureMemory(url) {
  const run = promisify(execFile);
  const script = new URL('./cache-memory.mjs', import.meta.url).pathname;
  const sizes = [];
  for (const subject of MEMORY_SUBJECTS) {
    const { stdout } = await run(process.execPath, ['--expose-gc', script, subject, url]);
    sizes.push(JSON.parse(stdout));
  }
  return sizes;
}

function option(name) {
  const found = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return found?.slice(name.length + 3);
}

async function main() {
  if ((await loadRivals()) === undefined) {
    console.error('The rivals are not installed; run `npm ci --prefix bench` once and try again.');
    process.exitCode = 2;
    return;
  }
  const only = option('only')?.split(',');
  const rounds = Number(option('rounds') ?? 9);
  const wanted = (name) => only === undefined || only.includes(name);
  const before = loadOfMachine();
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const field = await openField(server.url);
  const runs = new Map();
  for (const name of SCENARIOS) {
    if (!wanted(name)) continue;
    const stride = name.startsWith('l1-') ? STRIDE_IN_MEMORY : 1;
    const contestants = contestantsOf(field, name);
    runs.set(name, await compare(contestants, { concurrency: CONCURRENCY, rounds, stride }));
  }
  for (const { child } of field) child.disconnect();
  const memory = wanted('memory') ? await measureMemory(server.url) : [];
  await server.stop();
  const verdicts = GATES.flatMap((gate) => judge(gate, runs));
  const report = reportOf({
    runs,
    verdicts,
    memory,
    concurrency: CONCURRENCY,
    loads: [before, loadOfMachine()],
  });
  console.log(report);
  if (process.argv.includes('--compare')) {
    for (const line of regressions(verdicts, readFileSync(EVIDENCE, 'utf8'))) console.warn(line);
  }
  if (process.argv.includes('--write')) writeFileSync(EVIDENCE, report);
  if (process.argv.includes('--gates') && verdicts.some(({ met }) => !met)) process.exitCode = 1;
}

await main();
