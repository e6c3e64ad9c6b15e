import { expect, it, onTestFinished } from 'vitest';
import { RedisReplyError, type CallListener, type FinishedCall } from '../../connection/index.js';
import { commandSource } from './connection-feed.js';
import { RedisMetrics } from './redis-metrics.js';

interface Listening {
  readonly metrics: RedisMetrics;
  readonly call: (call: Partial<FinishedCall>) => void;
  readonly retried: () => void;
}

function listen(): Listening {
  let listener: CallListener | undefined;
  const source = commandSource([], (given) => {
    listener = given;
    return () => (listener = undefined);
  });
  const metrics = new RedisMetrics({ sources: [source] });
  onTestFinished(() => {
    metrics.close();
    expect(listener).toBeUndefined();
  });
  metrics.start();
  const answered = {
    name: 'GET',
    script: undefined,
    attempt: 1,
    startedAt: 1,
    answeredAt: 3,
    error: undefined,
  };
  return {
    metrics,
    call: (call) => listener?.finished('default', { ...answered, ...call }),
    retried: () => listener?.retried('default'),
  };
}

it('shows commands and scripts by name, and nothing else that stands in their place', () => {
  const { metrics, call } = listen();
  for (const name of ['GET', 'user:42', 'a b', '../x', 'X'.repeat(90)]) call({ name });
  for (const script of ['cache.fill', '', 'A B']) call({ name: 'EVALSHA', script });
  const shown = [...(metrics.family('command_duration_seconds')?.histograms ?? [])];
  expect(shown.map(({ labels, count, sum }) => [labels['command'], count, sum])).toEqual([
    ['get', 1, 0.002],
    ['other', 6, 0.012],
    ['lua:cache.fill', 1, 0.002],
  ]);
});

function failure(code: string): Error {
  if (/^[A-Z]+$/u.test(code)) return new RedisReplyError(`${code} and what it says`);
  return code.includes('_')
    ? Object.assign(new Error('x'), { code })
    : Object.assign(new Error('x'), { name: code });
}

it.each([
  ['COMMAND_TIMEOUT', 'timeout'],
  ['OUTCOME_UNKNOWN', 'unknown_outcome'],
  ['NOT_CONNECTED', 'connection'],
  ['CIRCUIT_OPEN', 'circuit_open'],
  ['BACKPRESSURE', 'backpressure'],
  ['AbortError', 'aborted'],
  ['OOM', 'oom'],
  ['CLUSTERDOWN', 'cluster'],
  ['NOPERM', 'auth'],
  ['MADEUP', 'other'],
])('what failed with %s is shown as %s', (code, error) => {
  const { metrics, call } = listen();
  call({ error: failure(code) });
  const counted = [...(metrics.family('command_errors_total')?.cells ?? [])].filter(({ value }) => value > 0);
  expect(counted).toEqual([{ labels: { client: 'default', error }, value: 1 }]);
});

it('tells calls that a retry has saved from those it has not', () => {
  const { metrics, call, retried } = listen();
  call({ attempt: 1 });
  call({ attempt: 2 });
  call({ attempt: 3, error: failure('NOT_CONNECTED') });
  retried();
  const counted = [...(metrics.family('retries_total')?.cells ?? [])];
  expect(counted.map(({ labels, value }) => [labels['outcome'], value])).toEqual([
    ['retried', 1],
    ['recovered', 1],
    ['exhausted', 1],
  ]);
});
