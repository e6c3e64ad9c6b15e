import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isRedisModuleError, RedisModuleError, safeCause, safeMessage } from './error.js';

class SampleError extends RedisModuleError {
  readonly code = 'SAMPLE';
}

const SECRET = 'planted-secret';

/** As drivers throw them: the whole command hangs on the error, and the server quotes arguments in the text. */
function driverError(): Error {
  const error = new Error(`ERR unknown command 'NOPE', with args beginning with: '${SECRET}' 'x'\r\nmore`);
  error.name = 'ReplyError';
  return Object.assign(error, {
    command: { name: 'nope', args: [SECRET] },
    code: 'EREPLY',
    password: SECRET,
  });
}

const everything = (error: unknown): string =>
  [String(error), inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error)].join('\n');

describe('RedisModuleError', () => {
  it('is an Error with the name of its class, a code, a hint and details', () => {
    const error = new SampleError('it broke', { hint: 'mend it', details: { node: 'a:1', attempts: 2 } });
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('SampleError');
    expect(error.toJSON()).toEqual({
      name: 'SampleError',
      code: 'SAMPLE',
      message: 'it broke',
      hint: 'mend it',
      details: { node: 'a:1', attempts: 2 },
    });
  });

  it('leaves out of its JSON what it does not have', () => {
    const error = new SampleError('it broke');
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'SampleError',
      code: 'SAMPLE',
      message: 'it broke',
    });
    expect(error.details).toEqual({});
  });

  it('shows code, hint, details and cause when it is inspected', () => {
    const cause = new TypeError('deeper');
    const text = inspect(new SampleError('it broke', { hint: 'mend it', details: { node: 'a:1' }, cause }));
    for (const part of [
      'it broke',
      'code: SAMPLE',
      'hint: mend it',
      'node: a:1',
      'cause: TypeError: deeper',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('keeps of a driver error what may be printed, and nothing of the command', () => {
    const error = new SampleError('it broke', { cause: driverError() });
    const said = everything(error) + everything(error.cause);
    expect(said).not.toContain(SECRET);
    expect(error.cause).toMatchObject({ name: 'ReplyError', code: 'EREPLY' });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      cause: "ReplyError: ERR unknown command 'NOPE'",
    });
  });

  it('keeps an error of its own kind as the cause it is', () => {
    const cause = new SampleError('first');
    expect(new SampleError('second', { cause }).cause).toBe(cause);
  });
});

describe('isRedisModuleError', () => {
  it('knows the errors of another copy of the package too', () => {
    const foreign = Object.defineProperty(new Error('x'), Symbol.for('anbar.redis-module-error'), {
      value: true,
    });
    expect([new SampleError('x'), foreign].map(isRedisModuleError)).toEqual([true, true]);
    expect([new Error('x'), null, undefined, 'x', {}].map(isRedisModuleError)).toEqual(Array(5).fill(false));
  });
});

describe('safeCause', () => {
  it('keeps the frames of the stack, so that one still finds the place', () => {
    const safe = safeCause(driverError());
    expect(safe.stack).toContain('error.spec.ts');
    expect(safe.stack).not.toContain(SECRET);
  });

  it.each([
    [null, 'a thrown null'],
    [SECRET, 'a thrown string'],
    [{ password: SECRET }, 'a thrown object'],
    [undefined, 'a thrown undefined'],
  ])('makes an Error of what is none, without quoting it (%#)', (thrown, message) => {
    expect(safeCause(thrown).message).toBe(message);
  });
});

describe('safeMessage', () => {
  it.each([
    ["ERR unknown command 'X', with args beginning with: 'a' 'b'", "ERR unknown command 'X'"],
    ["ERR unknown command 'X' with args beginning with: \n'a'", "ERR unknown command 'X'"],
    ['connect to redis://user:pw@host:6379/0 failed', 'connect to redis://***@host:6379/0 failed'],
    ['rediss://:p%40ss@host and REDIS://x@h', 'rediss://***@host and REDIS://***@h'],
    ['redis://host:6379 is fine', 'redis://host:6379 is fine'],
    ['two\r\n  lines', 'two lines'],
    ['x'.repeat(500), 'x'.repeat(300)],
  ])('%j becomes %j', (message, safe) => {
    expect(safeMessage(message)).toBe(safe);
  });

  it('masks a password that holds an @, a slash or a colon', () => {
    for (const password of ['p@ss', 'p/ss', 'p:ss', 'p@s/s']) {
      expect(safeMessage(`connect redis://user:${password}@host:1`)).toBe('connect redis://***@host:1');
    }
  });
});
