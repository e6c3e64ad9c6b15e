import { telemetryChannel } from '@anbar/nestjs-redis/core';
import { describe, expect, it } from 'vitest';
import { leaks, OutputWatch, PLANTED_PASSWORD, PLANTED_VALUE } from './planted-secrets.js';

describe('the hunt for planted secrets', () => {
  it.each([
    ['a message', new Error(`login ${PLANTED_PASSWORD} refused`)],
    ['a cause', new Error('refused', { cause: new Error(PLANTED_VALUE) })],
    ['a property', Object.assign(new Error('refused'), { command: { args: ['key', PLANTED_VALUE] } })],
    ['a plain object', { nodes: [{ reason: PLANTED_PASSWORD }] }],
  ])('finds one in %s', (_where, thing) => {
    expect(leaks(thing)).toBe(true);
  });

  it('is silent where there is none', () => {
    expect(leaks(new Error('refused', { cause: { args: ['key'] } }))).toBe(false);
  });

  // Not by printing one: the output of the whole suite is searched for them too.
  it('reads along with what the library publishes', () => {
    const output = new OutputWatch();
    telemetryChannel('connection').publish({ name: 'connection.lost', subject: PLANTED_VALUE });
    output.stop();
    expect(output.hits).toBe(1);
  });
});
