/** Runs one row against one subject: servers up, steady load on, fault in, fault out, and everything counted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { AdminReplyError, seededRandom, type RedisProcess } from '../topology/index.js';
import { makeReport, type FaultReport } from './fault-report.js';
import type { FaultRow, FaultRun, RunSettings, Stage } from './fault-row.js';
import { LoopPulse } from './loop-pulse.js';
import { leaks } from './planted-secrets.js';
import { READ_KEYS, SteadyLoad, valueOf } from './steady-load.js';
import { makeSubject, type Subject, type SubjectKind } from './subject.js';

const WARM_MS: readonly [number, number] = [150, 500];
/** Longer than any client needs to say that it could not connect. */
const OPEN_MS = 1_500;
const CLOSE_MS = 3_000;

/** Read on every server that holds keys of its own; without a shebang a script may look at all of them. */
const READ_TRACES = `
local found = {}
for _, key in ipairs(redis.call('KEYS', 'count:*')) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('GET', key)
end
for _, key in ipairs(redis.call('KEYS', 'wrote:*')) do
  found[#found + 1] = key
  found[#found + 1] = '1'
end
return found`;

let unhandled = 0;
process.on('unhandledRejection', () => {
  unhandled += 1;
});

/** Runs the row and takes everything down again. */
export async function runFault(
  row: FaultRow,
  kind: SubjectKind,
  settings: RunSettings,
): Promise<FaultReport> {
  const stage = await row.prepare(settings);
  try {
    await writeKeys(stage.servers);
    await row.beforeOpen?.(stage);
    return await watch(row, stage, { kind, settings });
  } finally {
    await stage.stop();
  }
}

async function watch(
  row: FaultRow,
  stage: Stage,
  { kind, settings }: { kind: SubjectKind; settings: RunSettings },
): Promise<FaultReport> {
  const subject = makeSubject(kind, stage.target);
  const pulse = new LoopPulse();
  const random = seededRandom(settings.seed);
  const load = new SteadyLoad(subject, { random, mayMiss: row.mayLose === true });
  const facts: Record<string, number> = {};
  const times = { injectedAt: 0, healthyFrom: 0 };
  const unhandledBefore = unhandled;
  const run = makeRun({ subject, load, facts, settings, random, times });
  try {
    await Promise.race([subject.open().catch(() => undefined), sleep(OPEN_MS)]);
    await play(row, stage, { run, load, times });
    load.stop();
    await load.settled();
    const said = subject.says();
    const traces = stage.servers.length === 0 ? undefined : await readTraces(stage.servers);
    return makeReport(row, kind, {
      records: load.records,
      pulse,
      ...times,
      traces,
      unhandled: unhandled - unhandledBefore,
      leaks: [...load.errors, ...said].filter(leaks).length,
      facts,
    });
  } finally {
    load.stop();
    pulse.stop();
    await Promise.race([subject.close().catch(() => undefined), sleep(CLOSE_MS)]);
  }
}

interface Times {
  injectedAt: number;
  healthyFrom: number;
}

async function play(
  row: FaultRow,
  stage: Stage,
  { run, load, times }: { run: FaultRun; load: SteadyLoad; times: Times },
): Promise<void> {
  load.start();
  await run.wait(run.ms(...WARM_MS));
  times.injectedAt = performance.now();
  await row.inject(stage, run);
  await run.wait(run.ms(...row.fault));
  run.subject.says();
  if (row.heal === undefined) {
    if (times.healthyFrom === 0) times.healthyFrom = times.injectedAt;
  } else {
    await row.heal(stage, run);
    if (times.healthyFrom === 0) times.healthyFrom = performance.now();
  }
  await run.wait(run.ms(...row.after));
}

function makeRun(parts: {
  subject: Subject;
  load: SteadyLoad;
  facts: Record<string, number>;
  settings: RunSettings;
  random: () => number;
  times: Times;
}): FaultRun {
  const { subject, load, facts, settings, random, times } = parts;
  return {
    ...settings,
    subject,
    random,
    wait: async (ms) => {
      await sleep(ms);
    },
    ms: (short, long) => (settings.long ? long : short),
    issue: (what, call) => load.issue(what, call),
    increment: () => load.increment(),
    markRecovery: () => {
      times.healthyFrom = performance.now();
    },
    failedReads: () =>
      load.records.filter(({ what, outcome }) => what === 'get' && outcome === 'failed').length,
    clientSays: (reason) =>
      inspect(subject.says(), { depth: 8 }).includes(reason) ||
      load.errors.some((error) => error instanceof Error && error.message.includes(reason)),
    stopLoad: () => load.stop(),
    resumeLoad: () => load.start(),
    fact: (name, value) => {
      facts[name] = value;
    },
  };
}

/** Writes the keys that are read, each where it belongs. */
async function writeKeys(servers: readonly RedisProcess[]): Promise<void> {
  for (const key of READ_KEYS) {
    const value = JSON.stringify(valueOf(key));
    const [first] = servers;
    await first?.admin('SET', key, value).catch(async (error: unknown) => {
      const port = error instanceof AdminReplyError ? /^MOVED \d+ \S+:(\d+)/u.exec(error.message)?.[1] : '';
      const owner = servers.find((server) => server.port === Number(port));
      if (owner === undefined) throw error;
      await owner.admin('SET', key, value);
    });
  }
}

async function readTraces(servers: readonly RedisProcess[]): Promise<ReadonlyMap<string, number>> {
  const traces = new Map<string, number>();
  for (const server of servers.filter(({ alive }) => alive)) {
    const { role } = await server.info('replication');
    if (role !== 'master') continue;
    const reply = await server.admin('EVAL', READ_TRACES, 0);
    const flat = Array.isArray(reply) ? reply.map(String) : [];
    for (let i = 0; i + 1 < flat.length; i += 2) traces.set(flat[i] ?? '', Number(flat[i + 1]));
  }
  return traces;
}
