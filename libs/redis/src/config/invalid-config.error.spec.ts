import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { isRedisModuleError } from '../core/index.js';
import { InvalidConfigError } from './invalid-config.error.js';
import { redact } from './masking.js';

const FAULTS = [
  { where: 'REDIS_PORT', problem: "'99999' is not a port" },
  { where: 'options.retry.attempts', problem: '0 is not a whole number from 1', hint: 'give 1 for no retry' },
];

it('lists every fault, numbered, with its hint', () => {
  const error = new InvalidConfigError(FAULTS);
  expect(error.message).toBe(
    [
      '2 faults in the Redis configuration:',
      "  1. REDIS_PORT: '99999' is not a port",
      '  2. options.retry.attempts: 0 is not a whole number from 1',
      '     hint: give 1 for no retry',
    ].join('\n'),
  );
  expect(new InvalidConfigError(FAULTS.slice(0, 1)).message).toMatch(/^1 fault in/u);
});

it('is of the one family of errors, and carries the faults for programs too', () => {
  const error = new InvalidConfigError(FAULTS);
  expect(isRedisModuleError(error)).toBe(true);
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.toJSON()).toMatchObject({ code: 'INVALID_CONFIG', faults: FAULTS });
  expect(inspect(error)).toContain(error.message);
});

it('redacts the longest secret first, and leaves alone what is too short to be searched for', () => {
  const problem = "'tokentoken-1' and 'a' and 'tokentoken'";
  const [fault] = redact([{ where: 'x', problem }], ['a', 'tokentoken', 'tokentoken-1']);
  expect(fault?.problem).toBe("'***' and 'a' and '***'");
});
