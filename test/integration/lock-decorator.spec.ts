/** `@Lock` in an application of Nest. */
import { Controller, Get, Inject, Injectable, Module, Scope } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { expect, it } from 'vitest';
import { currentLock, Lock, LockService, RedisModule } from '@anbar/nestjs-redis';
import { boot, bootFailure } from './boot.js';

const embedded = () => RedisModule.forRoot({ topology: 'embedded' });

@Injectable()
class Invoices {
  inside = 0;
  most = 0;
  readonly fences: (number | undefined)[] = [];

  @Lock((id: string) => ['invoice', id], { wait: '5s' })
  async book(id: string, note: string): Promise<string> {
    this.inside += 1;
    this.most = Math.max(this.most, this.inside);
    this.fences.push(currentLock()?.fence);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
    this.inside -= 1;
    return `${id}: ${note}`;
  }

  @Lock('closing', { wait: '0s' })
  async close(): Promise<string> {
    return Promise.resolve(`under ${typeof currentLock()?.fence}`);
  }
}

it('runs a method alone per key made of its arguments, and hands it its lock', async () => {
  const { app } = await boot({ imports: [embedded()], providers: [Invoices] });
  const invoices = app.get(Invoices);
  const answers = await Promise.all(['a', 'b', 'c'].map((note) => invoices.book('42', note)));
  expect(answers).toEqual(['42: a', '42: b', '42: c']);
  expect(invoices.most).toBe(1);
  expect(new Set(invoices.fences).size).toBe(3);
  await Promise.all([invoices.book('1', 'x'), invoices.book('2', 'y')]);
  expect(invoices.most).toBe(2);
  expect(await invoices.close()).toBe('under number');
  expect(currentLock()).toBeUndefined();
});

it('rejects where no key can be made of its arguments, as whatever gives a promise', async () => {
  const { app } = await boot({ imports: [embedded()], providers: [Invoices] });
  const calling = app.get(Invoices).book(undefined as unknown as string, 'x');
  await expect(calling).rejects.toMatchObject({ code: 'INVALID_LOCK_KEY' });
  class Failing {
    @Lock(() => {
      throw new Error('no key');
    })
    async work(): Promise<void> {
      await Promise.resolve();
    }
  }
  const { app: other } = await boot({ imports: [embedded()], providers: [Failing] });
  const outcome = other
    .get(Failing)
    .work()
    .catch((error: unknown) => String(error));
  expect(await outcome).toBe('Error: no key');
});

it('refuses while somebody else has it, and work that waits for itself', async () => {
  const { app } = await boot({ imports: [embedded()], providers: [Invoices] });
  await app.get(LockService).run('closing', async () => {
    // What is begun under the lock is still under it later.
    const other = new Promise((resolve, reject) => {
      setImmediate(() => {
        app.get(Invoices).close().then(resolve, reject);
      });
    });
    await expect(other).rejects.toMatchObject({ code: 'LOCK_REENTRY' });
  });
  const lock = await app.get(LockService).acquire('closing');
  await expect(app.get(Invoices).close()).rejects.toMatchObject({ code: 'LOCK_BUSY' });
  await lock.release();
});

it('works on what is made per request, and on routes', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    @Lock('per-request')
    async work(): Promise<boolean> {
      return Promise.resolve(currentLock() !== undefined);
    }
  }

  @Controller('locked')
  class Routes {
    readonly #work: PerRequest;
    constructor(@Inject(PerRequest) work: PerRequest) {
      this.#work = work;
    }

    @Lock('route')
    @Get()
    async route(): Promise<object> {
      return { route: currentLock() !== undefined, provider: await this.#work.work() };
    }
  }

  @Module({ imports: [embedded()], controllers: [Routes], providers: [PerRequest] })
  class App {}

  const app = await NestFactory.create(App, { logger: false });
  await app.listen(0, '127.0.0.1');
  try {
    const answer = await fetch(`${await app.getUrl()}/locked`);
    expect(await answer.json()).toEqual({ route: true, provider: true });
  } finally {
    await app.close();
  }
});

it('does not boot without the module, and says so of an instance Nest did not make', async () => {
  const error = await bootFailure({ providers: [Invoices] });
  expect(error.message).toContain('LockService');
  await expect(new Invoices().close()).rejects.toMatchObject({ code: 'INVALID_LOCK_OPTIONS' });
});
