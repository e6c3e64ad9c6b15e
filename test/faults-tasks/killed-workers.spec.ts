/**
 * Workers die with kill -9, at random, while there is work: no task is lost, and only those are begun twice that a dead
 * worker had begun. TASKS=10000 for the long run.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, type TestContext } from 'vitest';
import { RedisConfig } from '@anbar/nestjs-redis';
import { createTaskQueue, resolveTasks, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { seededRandom, startStandalone, until } from '../topology/index.js';
import { SETTINGS } from './worker-cli.js';

const TASKS = Number(process.env['TASKS'] ?? 1_000);
const KILLS = Number(process.env['KILLS'] ?? 2);
const SEED = Number(process.env['TASKS_SEED'] ?? 7);
const WORKERS = 2;
const PROGRAM = new URL('./worker.mjs', import.meta.url);

class Crew {
  readonly dead = new Set<number>();
  readonly #alive = new Set<ChildProcess>();
  readonly #args: readonly string[];
  #open = true;

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  /** A worker that is replaced when it dies, by whatever. */
  async hire(): Promise<void> {
    const child = fork(PROGRAM, this.#args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#alive.add(child);
    child.once('exit', () => {
      this.#alive.delete(child);
      if (child.pid !== undefined) this.dead.add(child.pid);
      if (this.#open) void this.hire();
    });
    await once(child, 'message');
  }

  kill(random: () => number): void {
    const all = [...this.#alive].filter((child) => child.exitCode === null);
    all[Math.floor(random() * all.length)]?.kill('SIGKILL');
  }

  async dismiss(): Promise<void> {
    this.#open = false;
    await Promise.all([...this.#alive].map((child) => (child.kill('SIGKILL'), once(child, 'exit'))));
  }
}

interface Line {
  readonly mark: string;
  readonly pid: number;
  readonly id: string;
}

async function linesOf(ledger: string): Promise<Line[]> {
  const text = await readFile(ledger, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [mark = '', pid = '', id = ''] = line.split(' ');
      return { mark, pid: Number(pid), id };
    });
}

/** `lease` is how long a dead worker has a task. */
async function stage(
  { onTestFinished }: TestContext,
  lease: '1s' | '3s',
): Promise<{ queue: TaskQueue; crew: Crew; ledger: string }> {
  const server = await startStandalone();
  const folder = await mkdtemp(join(tmpdir(), 'anbar-tasks-'));
  const ledger = join(folder, 'ledger');
  const { defaultConnection: connection, namespace } = new RedisConfig({ url: server.url }, {});
  const settings = resolveTasks({ ...SETTINGS, queue: 'work' });
  const queue = createTaskQueue({ connection, namespace, settings, timeoutMs: 5_000 });
  const crew = new Crew([server.url, 'work', ledger, lease]);
  onTestFinished(async () => {
    await crew.dismiss();
    await queue.close();
    await server.stop();
    await rm(folder, { recursive: true });
  });
  return { queue, crew, ledger };
}

it.concurrent(
  `of ${TASKS} tasks and ${KILLS} killed workers: lost 0 (seed ${SEED})`,
  async (test) => {
    const random = seededRandom(SEED);
    // A living worker that a busy machine holds up for so long would lose tasks to another.
    const { queue, crew, ledger } = await stage(test, '3s');
    await Promise.all(Array.from({ length: WORKERS }, () => crew.hire()));
    const batch = Math.ceil(TASKS / KILLS);
    for (let at = 0; at < TASKS; at += batch) {
      const size = Math.min(batch, TASKS - at);
      await Promise.all(
        Array.from({ length: size }, (_, i) => queue.add('count', null, { id: `t${at + i}` })),
      );
      await until(async () => (await queue.counts()).active > 0, { what: 'work', every: 1 });
      crew.kill(random);
    }
    await until(async () => (await queue.counts()).completed === TASKS, {
      what: `${TASKS} tasks to be done`,
      timeout: 100_000,
      every: 200,
    });
    const lines = await linesOf(ledger);
    const begun = new Map<string, number[]>();
    for (const { mark, pid, id } of lines)
      if (mark === 'begin') begun.set(id, [...(begun.get(id) ?? []), pid]);
    expect(begun.size).toBe(TASKS);
    const twice = [...begun.values()].filter((pids) => pids.length > 1);
    console.log(`${crew.dead.size} workers killed, ${twice.length} of ${TASKS} tasks begun twice`);
    // Whoever began it before the last one is dead.
    expect(twice.filter((pids) => pids.slice(0, -1).some((pid) => !crew.dead.has(pid)))).toEqual([]);
  },
  120_000,
);

it.concurrent(
  'a task that kills whoever does it is parked after its attempts',
  async (test) => {
    // Nobody else is there to lose a task to.
    const { queue, crew, ledger } = await stage(test, '1s');
    await crew.hire();
    const { id } = await queue.add('poison', null);
    await until(async () => (await queue.find(id))?.state === 'failed', {
      what: 'the poison to be parked',
      timeout: 60_000,
      every: 200,
    });
    // Whoever shared a worker with it has lost attempts, too; whoever comes after it is done.
    const good = await queue.add('count', null);
    await until(async () => (await queue.find(good.id))?.state === 'completed', {
      what: 'the good one',
      timeout: 20_000,
    });
    const begun = (await linesOf(ledger)).filter((line) => line.id === id).length;
    expect(begun).toBeLessThanOrEqual(SETTINGS.attempts);
    expect(begun).toBeGreaterThan(1);
    expect((await queue.failed()).map((task) => task.id)).toEqual([id]);
  },
  90_000,
);
