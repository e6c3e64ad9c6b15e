/** Taking, renewing, losing and releasing. */
import assert from 'node:assert/strict';
import type { HeldLock } from '../../../src/lock/index.js';
import { eventually, reason, rejection } from '../expectations.js';
import { gate, pause, rawKey, type LockCase } from './subject.js';

const NOW = { wait: '0s' } as const;

export const holding: readonly LockCase[] = [
  {
    name: 'what runs under a lock runs alone, also against other services',
    async run(subject, tools) {
      const services = [subject.locks, (await tools.another()).locks, (await tools.another()).locks];
      const key = tools.key('alone');
      let inside = 0;
      let most = 0;
      let runs = 0;
      const work = async (): Promise<void> => {
        inside += 1;
        most = Math.max(most, inside);
        await pause(1);
        runs += 1;
        inside -= 1;
      };
      await Promise.all(
        services.flatMap((locks) => Array.from({ length: 6 }, () => locks.run(key, { wait: '20s' }, work))),
      );
      assert.deepEqual({ most, runs }, { most: 1, runs: 18 });
    },
  },
  {
    name: 'it answers what the work answers, and passes on what it throws',
    async run({ locks }, { key }) {
      assert.equal(await locks.run(key('a'), () => 42), 42);
      const own = new TypeError('of the work');
      assert.equal(
        await reason(
          locks.run(key('a'), () => {
            throw own;
          }),
        ),
        own,
      );
      // And the lock is free again.
      assert.equal(await locks.run(key('a'), NOW, () => 'again'), 'again');
    },
  },
  {
    name: 'a lock that is held is busy for whoever does not wait, and another key is not',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('busy');
      await subject.locks.run(key, async () => {
        await rejection(
          other.run(key, NOW, () => assert.fail('it ran')),
          'LOCK_BUSY',
        );
        assert.equal(await other.run(tools.key('other'), NOW, () => 'free'), 'free');
      });
    },
  },
  {
    name: 'fencing numbers grow, also when the lock ran out or its record is gone',
    async run(subject, tools) {
      const { locks, client } = subject;
      const other = (await tools.another()).locks;
      const key = tools.key('fence');
      const fences: number[] = [];
      const note = async (by: typeof locks): Promise<void> => {
        fences.push(await by.run(key, ({ fence }) => fence));
      };
      await note(locks);
      await note(other);
      const lost = await locks.acquire(key, { ttl: '100ms', renew: false });
      fences.push(lost.fence);
      await eventually('the expiry', async () => {
        const left = await client.command<number>('EXISTS', [rawKey(subject, 'lock', key)]);
        return left === 0;
      });
      await note(other);
      await client.command('DEL', [rawKey(subject, 'lock-fence', key)]);
      await note(locks);
      assert.deepEqual(
        fences,
        fences.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(fences).size, fences.length);
      assert.ok(fences.every(Number.isSafeInteger));
    },
  },
  {
    name: 'a holder that works longer than the ttl keeps the lock',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('renewed');
      await subject.locks.run(key, { ttl: '300ms' }, async ({ signal, remainingMs }) => {
        assert.ok(remainingMs <= 300 && remainingMs > 0);
        await pause(500);
        await rejection(
          other.run(key, NOW, () => assert.fail('it ran')),
          'LOCK_BUSY',
        );
        assert.equal(signal.aborted, false);
      });
      assert.equal(await other.run(key, NOW, () => 'free'), 'free');
    },
  },
  {
    name: 'without renewal the signal is aborted when the ttl is over, and the run tells of it',
    async run({ locks }, { key }) {
      const startedAt = performance.now();
      let heardAfter = 0;
      let before: HeldLock | undefined;
      const run = locks.run(key('short'), { ttl: '150ms', renew: false }, async (lock) => {
        before = lock;
        lock.assertHeld();
        await new Promise<void>((resolve) => {
          lock.signal.addEventListener('abort', () => resolve(), { once: true });
        });
        heardAfter = performance.now() - startedAt;
        assert.throws(() => lock.assertHeld(), { code: 'LOCK_LOST' });
        assert.throws(() => lock.signal.throwIfAborted(), { code: 'LOCK_LOST' });
        return 'done all the same';
      });
      await rejection(run, 'LOCK_LOST');
      assert.ok(heardAfter > 100 && heardAfter < 1_000, `aborted after ${heardAfter} ms`);
      assert.equal(before?.remainingMs, 0);
    },
  },
  {
    name: 'what the work throws is not replaced by the loss of the lock',
    async run(subject, { key }) {
      const own = new Error('of the work');
      const outcome = await reason(
        subject.locks.run(key('lost'), async () => {
          await subject.client.command('DEL', [rawKey(subject, 'lock', key('lost'))]);
          throw own;
        }),
      );
      assert.equal(outcome, own);
    },
  },
  {
    name: 'a lock that was taken away is noticed at the renewal, and its release leaves the new holder alone',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('stolen');
      const finish = gate();
      const mine = subject.locks.run(key, { ttl: '300ms' }, async ({ signal }) => {
        await subject.client.command('DEL', [rawKey(subject, 'lock', key)]);
        const theirs = await other.acquire(key, NOW);
        await eventually('the loss', () => signal.aborted);
        finish.open();
        return theirs;
      });
      await finish.opened;
      await rejection(mine, 'LOCK_LOST');
      await rejection(
        subject.locks.run(key, NOW, () => assert.fail('it ran')),
        'LOCK_BUSY',
      );
    },
  },
  {
    name: 'a release leaves alone what somebody else holds by now',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('taken over');
      const mine = await subject.locks.acquire(key);
      await subject.client.command('DEL', [rawKey(subject, 'lock', key)]);
      const theirs = await other.acquire(key, NOW);
      assert.equal(await mine.release(), false);
      await rejection(
        subject.locks.run(key, NOW, () => assert.fail('it ran')),
        'LOCK_BUSY',
      );
      assert.equal(await theirs.release(), true);
    },
  },
  {
    name: 'acquire holds until release; a second release, and one that comes too late, say so',
    async run(subject, tools) {
      const { locks } = subject;
      const key = tools.key('by hand');
      const lock = await locks.acquire(key);
      await rejection(locks.acquire(key, NOW), 'LOCK_BUSY');
      assert.equal(await lock.release(), true);
      assert.equal(await lock.release(), false);
      assert.throws(() => lock.assertHeld(), { code: 'LOCK_LOST' });
      const short = await locks.acquire(key, { ttl: '100ms', renew: false });
      await pause(150);
      assert.equal(await short.release(), false);
      assert.deepEqual(locks.stats(), { held: 0, waiting: 0 });
    },
  },
  {
    name: 'work that asks for its own lock is refused, or joins it when that is wanted',
    async run({ locks }, { key }) {
      const [a, b] = [key('outer'), key('inner')];
      await locks.run(a, async ({ fence }) => {
        await locks.run(b, async () => {
          await rejection(
            locks.run(a, () => assert.fail('it ran')),
            'LOCK_REENTRY',
          );
          await rejection(locks.acquire(a), 'LOCK_REENTRY');
          assert.equal(await locks.run(a, { reentry: 'join' }, (lock) => lock.fence), fence);
        });
      });
      // What was started inside and outlives the lock is not inside any more.
      const late = await locks.run(a, () => Promise.resolve({ go: () => locks.run(a, NOW, () => 'free') }));
      assert.equal(await late.go(), 'free');
    },
  },
  {
    name: 'every key of a lock has an expiry',
    async run(subject, tools) {
      const { locks, client } = subject;
      const key = tools.key('expiring');
      const lock = await locks.acquire(key, { order: 'fifo' });
      const waiter = (await tools.another()).locks.run(key, { order: 'fifo' }, () => undefined);
      const queue = rawKey(subject, 'lock-queue', key);
      await eventually('the waiter', async () => (await client.command<number>('ZCARD', [queue])) === 1);
      const families = ['lock', 'lock-fence', 'lock-queue'] as const;
      for (const family of families) {
        const left = await client.command<number>('PTTL', [rawKey(subject, family, key)]);
        assert.ok(left > 0, `${family} has ${left}`);
      }
      await lock.release();
      await waiter;
      assert.ok((await client.command<number>('PTTL', [rawKey(subject, 'lock-turn', key)])) > 0);
      assert.equal(await client.command<number>('EXISTS', [queue]), 0);
    },
  },
  {
    name: 'keys from data are escaped, and one that names nothing is refused',
    async run({ locks }, { key }) {
      await locks.run([key('list'), 'a:b', 7], async () => {
        await rejection(
          locks.run([key('list'), 'a:b', 7], () => undefined),
          'LOCK_REENTRY',
        );
        assert.equal(await locks.run([key('list'), 'a', 'b', 7], NOW, () => 'another'), 'another');
      });
      const broken = ['user', undefined] as unknown as string[];
      await rejection(
        locks.run(broken, () => undefined),
        'INVALID_LOCK_KEY',
      );
      await rejection(
        locks.run('', () => undefined),
        'INVALID_LOCK_KEY',
      );
    },
  },
];
