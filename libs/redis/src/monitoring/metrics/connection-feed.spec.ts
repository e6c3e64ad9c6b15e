import { expect, it, onTestFinished } from 'vitest';
import { telemetryChannel } from '../../core/index.js';
import { commandSource } from './connection-feed.js';
import { RedisMetrics } from './redis-metrics.js';

const channel = telemetryChannel('connection');

function listen(): RedisMetrics {
  const metrics = new RedisMetrics({ sources: [commandSource([])] });
  onTestFinished(() => metrics.close());
  metrics.start();
  return metrics;
}

function call(attributes: Record<string, string | number>, outcome = 'ok'): void {
  channel.publish({ name: 'connection.command', subject: 'default', durationMs: 2, outcome, attributes });
}

it('shows commands and scripts by name, and nothing else that stands in their place', () => {
  const metrics = listen();
  for (const command of ['get', 'lua:cache.fill', 'GET', 'user:42', 'a b', 'lua:', '../x', 'x'.repeat(90)])
    call({ command, attempts: 1 });
  const shown = [...(metrics.family('command_duration_seconds')?.histograms ?? [])];
  expect(shown.map(({ labels, count }) => [labels['command'], count])).toEqual([
    ['get', 1],
    ['lua:cache.fill', 1],
    ['other', 6],
  ]);
});

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
  const metrics = listen();
  call({ command: 'set', attempts: 1, error: code }, 'error');
  const counted = [...(metrics.family('command_errors_total')?.cells ?? [])].filter(({ value }) => value > 0);
  expect(counted).toEqual([{ labels: { client: 'default', error }, value: 1 }]);
});

it('tells calls that a retry has saved from those it has not', () => {
  const metrics = listen();
  call({ command: 'get', attempts: 1 });
  call({ command: 'get', attempts: 2 });
  call({ command: 'get', attempts: 3, error: 'NOT_CONNECTED' }, 'error');
  channel.publish({ name: 'connection.retry', subject: 'default', outcome: 'closed' });
  const counted = [...(metrics.family('retries_total')?.cells ?? [])];
  expect(counted.map(({ labels, value }) => [labels['outcome'], value])).toEqual([
    ['retried', 1],
    ['recovered', 1],
    ['exhausted', 1],
  ]);
});
