/** A process that takes the lock again and again and writes under it. Loaded by child.mjs. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { LockService, type HeldLock } from '@anbar/nestjs-redis/lock';
import type { HoldPlan, HoldReport, Word } from './orders.js';
import { resourceKeys, writeScript } from './resource.js';

function say(word: Word): void {
  if (process.connected) process.send?.(word);
}

const WRITES = 12;

class Holder {
  readonly #redis: Redis;
  readonly #plan: HoldPlan;
  #holds = 0;
  #lost = 0;
  #accepted = 0;
  #refused = 0;
  #wakes = 0;
  #unaware = 0;
  #slowestAbortMs = 0;
  readonly #failures: string[] = [];

  constructor(redis: Redis, plan: HoldPlan) {
    this.#redis = redis;
    this.#plan = plan;
  }

  async work(): Promise<HoldReport> {
    const { key, ttlMs, forMs, order, lockless } = this.#plan;
    const locks = new LockService({ client: this.#redis.adapter.port, namespace: 'hunt' });
    const until = performance.now() + forMs;
    while (performance.now() < until) {
      try {
        if (lockless) await this.#write(unlocked());
        else await locks.run(key, { ttl: `${ttlMs}ms`, wait: '20s', order }, (lock) => this.#write(lock));
      } catch (error) {
        const code: unknown = Reflect.get(Object(error), 'code');
        if (code === 'LOCK_LOST') this.#lost += 1;
        // A process that was stopped finds its deadlines over when it wakes up.
        else if (code !== 'LOCK_UNAVAILABLE' && code !== 'LOCK_BUSY') this.#failures.push(String(error));
      }
    }
    await locks.disconnect();
    return this.report();
  }

  report(): HoldReport {
    return {
      holds: this.#holds,
      lost: this.#lost,
      accepted: this.#accepted,
      refused: this.#refused,
      wakes: this.#wakes,
      unaware: this.#unaware,
      slowestAbortMs: this.#slowestAbortMs,
      failures: this.#failures,
    };
  }

  async #write({ signal, fence }: HeldLock): Promise<void> {
    const by = `${process.pid}/${(this.#holds += 1)}/${randomBytes(3).toString('hex')}`;
    say({ kind: 'holding' });
    for (let i = 0; i < WRITES; i += 1) {
      const before = performance.now();
      await sleep(8);
      const asleep = performance.now() - before;
      if (asleep > this.#plan.ttlMs) this.#wokeUp(signal);
      if (signal.aborted && !this.#plan.heedless) return;
      const keys = resourceKeys(this.#plan.key);
      const taken = await this.#redis.adapter.run(writeScript, keys, { fence, by }, { timeout: '5s' });
      if (taken) this.#accepted += 1;
      else this.#refused += 1;
    }
  }

  #wokeUp(signal: AbortSignal): void {
    const wokeAt = performance.now();
    this.#wakes += 1;
    const heard = (): void => {
      this.#slowestAbortMs = Math.max(this.#slowestAbortMs, performance.now() - wokeAt);
    };
    signal.addEventListener('abort', heard, { once: true });
    if (!signal.aborted) this.#unaware += 1;
  }
}

/** As if everybody held the lock. */
function unlocked(): HeldLock {
  const { signal } = new AbortController();
  const fence = Math.floor(Date.now() / 50);
  return { signal, fence, remainingMs: 1, assertHeld: () => undefined };
}

async function hold(plan: HoldPlan): Promise<void> {
  const redis = createRedis({ url: plan.url, connectTimeout: '10s', timeout: '1s' }, {});
  await redis.connect();
  const report = await new Holder(redis, plan).work();
  await redis.disconnect();
  say({ kind: 'done', report });
}

export function runChild(): void {
  process.on('message', (plan) => void hold(plan as HoldPlan));
  process.on('disconnect', () => process.exit());
  say({ kind: 'ready' });
}
