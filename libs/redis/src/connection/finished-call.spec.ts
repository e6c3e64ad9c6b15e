import { once } from 'node:events';
import { expect, it } from 'vitest';
import { onCalls, isHeard, tellFinished, tellRetried, type FinishedCall } from './finished-call.js';

const CALL: FinishedCall = {
  name: 'GET',
  script: undefined,
  attempt: 1,
  startedAt: 1,
  answeredAt: 2,
  error: undefined,
};

it('all listeners hear of calls and retries, as long as they listen', () => {
  const heard: string[] = [];
  const stops = ['one', 'other'].map((who) =>
    onCalls({
      finished: (client, { name }) => heard.push(`${who}: ${client} ${name}`),
      retried: (client) => heard.push(`${who}: ${client} again`),
    }),
  );
  tellFinished('default', CALL);
  stops[0]?.();
  tellRetried('default');
  stops[1]?.();
  tellFinished('default', CALL);
  expect(heard).toEqual(['one: default GET', 'other: default GET', 'other: default again']);
  expect(isHeard()).toBe(false);
});

it.each(['finished', 'retried'] as const)(
  'one that throws at %s keeps nobody from the answer, and is told no more',
  async (what) => {
    let heard = 0;
    const fail = (): never => {
      throw new Error('full');
    };
    const calm = { finished: () => undefined, retried: () => undefined };
    onCalls({ ...calm, [what]: fail });
    const stop = onCalls({ ...calm, [what]: () => (heard += 1) });
    const warned = once(process, 'warning');
    const tell = (): void => (what === 'finished' ? tellFinished('default', CALL) : tellRetried('default'));
    tell();
    tell();
    expect(heard).toBe(2);
    expect(String(await warned)).toMatch(/told no more: Error: full/u);
    stop();
    expect(isHeard()).toBe(false);
  },
);
