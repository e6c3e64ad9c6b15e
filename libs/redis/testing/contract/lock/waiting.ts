/** Waiting for a lock, in any order and in the order of arrival. */
import assert from 'node:assert/strict';
import { eventually, reason, rejection } from '../expectations.js';
import { pause, rawKey, withLateAnswers, type LockCase } from './subject.js';

export const waiting: readonly LockCase[] = [
  {
    name: 'whoever waits is woken by the release, not by a poll',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('woken');
      const lock = await subject.locks.acquire(key);
      let takenAt = 0;
      const waiter = other.run(key, () => {
        takenAt = performance.now();
      });
      await eventually('the waiter', () => other.stats().waiting === 1);
      // Long enough for the subscription to stand.
      await pause(100);
      const releasedAt = performance.now();
      await lock.release();
      await waiter;
      assert.ok(takenAt - releasedAt < 500, `woken after ${takenAt - releasedAt} ms`);
    },
  },
  {
    name: 'a lock whose holder is gone is taken when it has run out',
    async run(subject, tools) {
      const other = (await tools.another()).locks;
      const key = tools.key('left');
      await subject.locks.acquire(key, { ttl: '150ms', renew: false });
      const startedAt = performance.now();
      await other.run(key, () => undefined);
      const waited = performance.now() - startedAt;
      assert.ok(waited < 1_500, `waited ${waited} ms`);
    },
  },
  {
    name: 'who waits in vain is told that it was busy',
    async run({ locks }, { key }) {
      const lock = await locks.acquire(key('vain'));
      for (const order of ['any', 'fifo'] as const) {
        const startedAt = performance.now();
        const waiter = locks.run(key('vain'), { wait: '100ms', order }, () => assert.fail('it ran'));
        const { details } = await rejection(waiter, 'LOCK_BUSY');
        assert.equal(details['waitMs'], 100);
        assert.ok(performance.now() - startedAt >= 95);
      }
      await lock.release();
      assert.equal(locks.stats().waiting, 0);
    },
  },
  {
    name: 'a waiter that is aborted leaves the line, and the others move up',
    async run({ locks }, { key }) {
      const lock = await locks.acquire(key('abort'));
      const controller = new AbortController();
      const why = new Error('no longer wanted');
      const options = { signal: controller.signal, order: 'fifo', wait: 'forever' } as const;
      const gone = reason(locks.run(key('abort'), options, () => assert.fail('it ran')));
      await eventually('the first', () => locks.stats().waiting === 1);
      const next = locks.run(key('abort'), { order: 'fifo' }, () => 'next');
      await eventually('the second', () => locks.stats().waiting === 2);
      controller.abort(why);
      assert.equal(await gone, why);
      await lock.release();
      assert.equal(await next, 'next');
      const early = AbortSignal.abort(why);
      assert.equal(
        await reason(locks.run(key('abort'), { signal: early }, () => assert.fail('it ran'))),
        why,
      );
    },
  },
  {
    name: 'fifo: the lock goes round in the order of arrival, among several services',
    async run(subject, tools) {
      const services = [subject.locks, (await tools.another()).locks, (await tools.another()).locks];
      const key = tools.key('fifo');
      const queue = rawKey(subject, 'lock-queue', key);
      const lock = await subject.locks.acquire(key, { order: 'fifo' });
      const served: number[] = [];
      const waiters: Promise<unknown>[] = [];
      for (let i = 0; i < 8; i += 1) {
        // Two in a row by the same service, then another one.
        const locks = services[Math.floor(i / 2) % services.length] ?? subject.locks;
        waiters.push(locks.run(key, { order: 'fifo', wait: '15s' }, () => void served.push(i)));
        await eventually(
          `waiter ${i}`,
          async () => (await subject.client.command<number>('ZCARD', [queue])) === i + 1,
        );
      }
      await lock.release();
      await Promise.all(waiters);
      assert.deepEqual(
        served,
        Array.from({ length: 8 }, (_, i) => i),
      );
    },
  },
  {
    name: 'fifo: a waiter that died does not stand in the way',
    async run(subject, tools) {
      const key = tools.key('dead');
      const queue = rawKey(subject, 'lock-queue', key);
      const lock = await subject.locks.acquire(key, { order: 'fifo' });
      // Tickets as a process leaves them that is killed while it waits.
      await subject.client.command('ZADD', [queue, 1, 'deadprocess-1', 2, 'deadprocess-2']);
      const waiter = subject.locks.run(key, { order: 'fifo' }, () => 'served');
      await eventually('the waiter', () => subject.locks.stats().waiting === 1);
      await lock.release();
      const startedAt = performance.now();
      assert.equal(await waiter, 'served');
      const waited = performance.now() - startedAt;
      assert.ok(waited < 4_000, `waited ${waited} ms`);
    },
  },
  {
    name: 'fifo: who comes later does not overtake those who wait in its process, nor gets their place',
    async run(subject, tools) {
      const { locks, client } = subject;
      const key = tools.key('overtaking');
      const order = { order: 'fifo', wait: '15s' } as const;
      const held = rawKey(subject, 'lock', key);
      const lock = await locks.acquire(key, order);
      const served: string[] = [];
      const run = (name: string): Promise<unknown> => locks.run(key, order, () => void served.push(name));
      const waiters = [run('first')];
      await eventually('the first', () => locks.stats().waiting === 1);
      // As when it ran out: nobody is told, and who comes next finds it free.
      await client.command('DEL', [held]);
      await rejection(
        locks.run(key, { order: 'fifo', wait: '0s' }, () => assert.fail('it ran')),
        'LOCK_BUSY',
      );
      await Promise.all(waiters);
      assert.deepEqual(served, ['first']);
      await lock.release();
    },
  },
  {
    name: 'fifo: who asks again and again does not keep the lock from those who wait',
    async run({ locks }, { key }) {
      const order = { order: 'fifo', wait: '15s' } as const;
      let turns = 0;
      const over = new AbortController();
      const loop = (async () => {
        while (!over.signal.aborted) {
          await locks.run(key('loop'), order, async () => {
            turns += 1;
            await pause(10);
          });
        }
      })();
      await eventually('a few turns', () => turns > 2);
      let overtaken = 0;
      for (let i = 0; i < 3; i += 1) {
        const before = turns;
        await locks.run(key('loop'), order, () => undefined);
        overtaken = Math.max(overtaken, turns - before);
      }
      over.abort();
      await loop;
      // By the one that had the lock, and by one that may have asked before.
      assert.ok(overtaken <= 2, `overtaken ${overtaken} times`);
    },
  },
  {
    name: 'a waiter gets a lock with a ttl of its own, also one that was asked for by a waiter who has left',
    async run(subject, tools) {
      for (const [order, renew] of [
        ['any', true],
        ['any', false],
        ['fifo', true],
      ] as const) {
        const { locks, asked, holdBack, letGo } = withLateAnswers(subject);
        const key = tools.key(`ttl ${order} ${renew}`);
        const held = await subject.locks.acquire(key);
        const controller = new AbortController();
        const options = { order, ttl: '200ms', signal: controller.signal } as const;
        const gone = reason(locks.run(key, options, () => assert.fail('it ran')));
        await eventually('the first', () => locks.stats().waiting === 1);
        const next = locks.acquire(key, { order, renew, ttl: '30s' });
        await eventually('the second', () => locks.stats().waiting === 2);
        holdBack();
        const before = asked();
        await held.release();
        await eventually('the question', () => asked() > before);
        controller.abort(new Error('no longer wanted'));
        await gone;
        letGo();
        const lock = await next;
        assert.ok(lock.remainingMs > 20_000, `${lock.remainingMs} ms are left`);
        const left = await subject.client.command<number>('PTTL', [rawKey(subject, 'lock', key)]);
        assert.ok(left >= lock.remainingMs, `${left} ms are left on the server`);
        assert.equal(await lock.release(), true);
        await locks.disconnect();
      }
    },
  },
  {
    name: 'closing the service gives back a lock whose answer was on its way, and nothing runs under it',
    async run(subject, tools) {
      const { locks, asked, holdBack, letGo } = withLateAnswers(subject);
      const key = tools.key('late');
      holdBack();
      const run = rejection(
        locks.run(key, { ttl: '30s' }, () => assert.fail('it ran')),
        'LOCK_CLOSED',
      );
      await eventually('the question', () => asked() === 1);
      const closed = locks.disconnect();
      letGo();
      await Promise.all([run, closed]);
      // It was given back before the closing was over, when there was a connection still.
      assert.equal(await subject.locks.run(key, { wait: '0s' }, () => 'free'), 'free');
      assert.deepEqual(locks.stats(), { held: 0, waiting: 0 });
    },
  },
  {
    name: 'closing the service rejects who waits and aborts what overstays, without releasing it',
    async run(subject, tools) {
      const { locks } = await tools.another();
      const key = tools.key('closing');
      const overstaying = locks.run(
        key,
        { ttl: '30s' },
        ({ signal }) =>
          new Promise<string>((resolve) => {
            signal.addEventListener('abort', () => resolve('aborted'), { once: true });
          }),
      );
      await eventually('the holder', () => locks.stats().held === 1);
      const waiter = rejection(
        locks.run(key, () => assert.fail('it ran')),
        'LOCK_CLOSED',
      );
      await eventually('the waiter', () => locks.stats().waiting === 1);
      await locks.disconnect({ drain: '50ms' });
      await waiter;
      await rejection(overstaying, 'LOCK_CLOSED');
      await rejection(
        locks.run(key, () => assert.fail('it ran')),
        'LOCK_CLOSED',
      );
      await rejection(
        subject.locks.run(key, { wait: '0s' }, () => assert.fail('it ran')),
        'LOCK_BUSY',
      );
    },
  },
];
