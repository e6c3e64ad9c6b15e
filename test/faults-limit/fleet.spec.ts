/** Several real processes on one limit: together they get what one would, whatever their clocks say. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Limit } from '@anbar/nestjs-redis';
import { admin, shared } from '../topology/index.js';
import { worstExcess } from '../integration/rate-limit-model.js';
import type { Order, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
const PROCESSES = 3;
const RUN_MS = Number(process.env['RATE_LIMIT_FLEET_MS'] ?? 700);

const fleet: ChildProcess[] = [];

async function hear(child: ChildProcess): Promise<Word> {
  const [word] = (await once(child, 'message')) as [Word];
  return word;
}

beforeAll(async () => {
  for (let i = 0; i < PROCESSES; i += 1)
    fleet.push(fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  await Promise.all(fleet.map(hear));
}, 60_000);

afterAll(() => {
  for (const child of fleet) child.kill('SIGKILL');
});

async function now(port: number): Promise<number> {
  const [seconds, micros] = (await admin(port, 'TIME')) as [string, string];
  return Number(seconds) * 1_000_000 + Number(micros);
}

async function run(subject: string, limit: Limit) {
  const { url, port } = await shared('standalone');
  const begun = await now(port);
  const words = fleet.map(async (child, i) => {
    const order: Order = { url, seed: 7 + i, subject, limit, ms: RUN_MS, callers: 8 };
    child.send(order);
    const word = await hear(child);
    if (word.kind !== 'done') throw new Error('the process said something else');
    return word;
  });
  const done = await Promise.all(words);
  const elapsed = (await now(port)) - begun;
  const allowed = done.reduce((sum, each) => sum + each.allowed + each.times.length, 0);
  return {
    elapsed,
    allowed,
    times: done.flatMap(({ times }) => times),
    denied: done.reduce((n, { denied }) => n + denied, 0),
  };
}

it('gcra: over any window at most burst + ⌈T/interval⌉, counted by all together', async () => {
  const limit: Limit = { limit: 200, window: '1s', burst: 40 };
  const { elapsed, allowed, times, denied } = await run(`fleet:${process.pid}:a`, limit);
  expect(denied).toBeGreaterThan(0);
  expect(allowed).toBeLessThanOrEqual(40 + Math.ceil(elapsed / 5_000));
  // And no less: those who ask without a pause get all there is.
  expect(allowed).toBeGreaterThan(0.6 * (40 + (RUN_MS * 1_000) / 5_000));
  expect(
    worstExcess(
      times.map((at) => ({ at, cost: 1 })),
      40,
      5_000,
    ),
  ).toBeLessThanOrEqual(0);
});

it.each<Limit>([
  { algorithm: 'sliding-window', limit: 100, window: '1d' },
  { algorithm: 'fixed-window', limit: 100, window: '1d' },
])('$algorithm: the limit is that of all together', async (limit) => {
  const { allowed } = await run(`fleet:${process.pid}:${String(limit.algorithm)}`, limit);
  expect(allowed).toBe(100);
});

it('tokens taken ahead exceed the limit by no more than what each process may hold', async () => {
  const limit: Limit = { limit: 1_000, window: '1s', burst: 100, lease: 20 };
  const { elapsed, allowed } = await run(`fleet:${process.pid}:b`, limit);
  expect(allowed).toBeLessThanOrEqual(100 + Math.ceil(elapsed / 1_000) + PROCESSES * 20);
});
