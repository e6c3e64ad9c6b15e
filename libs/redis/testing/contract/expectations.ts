/** Assertions the contracts share. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { isRedisModuleError, type RedisModuleError } from '../../src/core/index.js';

/**
 * The error a promise rejects with, which has to be one of this package with that code. Told by code and not
 * by class, so that it holds across two installed copies of the package.
 */
export async function rejection(
  work: Promise<unknown> | (() => Promise<unknown>),
  code: string,
): Promise<RedisModuleError> {
  const error = await reason(work);
  assert.ok(isRedisModuleError(error), `rejected with something else: ${inspect(error)}`);
  assert.equal(error.code, code, `rejected with ${inspect(error)}`);
  return error;
}

/** Whatever a promise rejects with; a synchronous throw is none, since callers only look at the promise. */
export async function reason(work: Promise<unknown> | (() => Promise<unknown>)): Promise<unknown> {
  const running = typeof work === 'function' ? work() : work;
  return running.then(
    (value) => assert.fail(`expected a rejection, got ${inspect(value)}`),
    (error: unknown) => error,
  );
}

/** The first word of an error reply: `'WRONGTYPE'`, `'ERR'` … */
export async function replyKind(work: Promise<unknown>): Promise<string> {
  return String(Reflect.get(await rejection(work, 'REDIS_REPLY'), 'kind'));
}

/** Everything an error says in a log: text, `inspect`, JSON and its cause. */
export function everythingSaid(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return [String(error), inspect(error, { depth: 10 }), JSON.stringify(error), inspect(cause)].join('\n');
}

/** Waits for a fact by looking again and again. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) assert.fail(`waited ${timeoutMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** All of an async iterable of batches. */
export async function collect<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
