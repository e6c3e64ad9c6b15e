/** Figures of connections: their state as it is, and what happens on them. */
import {
  causeOf,
  commandOf,
  onCalls,
  type BreakerView,
  type ClientStatus,
  type FinishedCall,
  type RedisClient,
} from '../../connection/index.js';
import { COMMAND_ERRORS } from './catalogue-connection.js';
import { KeptCells } from './kept-cells.js';
import type { Meter, MetricSource } from './metric-source.js';
import { OTHER } from './label-guard.js';
import type { HistogramCell } from './series.js';

type CommandError = (typeof COMMAND_ERRORS)[number];

/** By the code of the error, or by the first word of what Redis has answered. */
const ERRORS: Readonly<Record<string, CommandError>> = {
  COMMAND_TIMEOUT: 'timeout',
  DEADLINE_EXCEEDED: 'timeout',
  OUTCOME_UNKNOWN: 'unknown_outcome',
  NOT_CONNECTED: 'connection',
  CIRCUIT_OPEN: 'circuit_open',
  BACKPRESSURE: 'backpressure',
  CONNECTION_CLOSED: 'closed',
  AbortError: 'aborted',
  TimeoutError: 'aborted',
  READONLY: 'readonly',
  LOADING: 'loading',
  OOM: 'oom',
  NOSCRIPT: 'noscript',
  WRONGTYPE: 'wrongtype',
  CLUSTERDOWN: 'cluster',
  MOVED: 'cluster',
  ASK: 'cluster',
  TRYAGAIN: 'cluster',
  CROSSSLOT: 'cluster',
  NOAUTH: 'auth',
  NOPERM: 'auth',
  WRONGPASS: 'auth',
};

/** A command is a word of Redis, a script has the name its author gave it; nothing else is shown. */
const COMMAND = /^(?:lua:)?[a-z][a-z0-9._-]{0,60}$/u;

export function connectionSource(clients: readonly RedisClient[]): MetricSource {
  return {
    group: 'connection',
    listen(meter) {
      const stops = clients.flatMap((client) => {
        const count = (event: 'ready' | 'lost' | 'topology') => (): void =>
          meter.count('connection_events_total', { client: client.name, event });
        meter.counter('connection_events_total', { client: client.name, event: 'ready' });
        return [
          client.on('ready', count('ready')),
          client.on('lost', count('lost')),
          client.on('topology', count('topology')),
        ];
      });
      return () => stops.forEach((stop) => stop());
    },
    collect(snapshot) {
      for (const client of clients) {
        const { nodes, health } = client.status();
        const label = { client: client.name };
        snapshot.gauge('connection_up', label, health === 'down' ? 0 : 1);
        snapshot.gauge(
          'commands_in_flight',
          label,
          sumOf(nodes, ({ inFlight }) => inFlight),
        );
        const slowest = Math.max(0, ...nodes.map(({ latencyMs }) => latencyMs ?? 0));
        snapshot.gauge('connection_heartbeat_seconds', label, slowest / 1_000);
        for (const { state } of nodes) snapshot.gauge('connection_nodes', { ...label, state }, 1);
      }
    },
  };
}

export function breakerSource(clients: readonly RedisClient[]): MetricSource {
  return {
    group: 'resilience',
    listen(meter) {
      const stops = clients.map((client) => {
        for (const kind of ['reads', 'writes'] as const)
          meter.counter('breaker_transitions_total', { client: client.name, kind, to: 'open' });
        return client.on('breaker', ({ kind, to }) => {
          const state = stateOf(to);
          if (state === 'off') return;
          meter.count('breaker_transitions_total', { client: client.name, kind, to: state });
        });
      });
      return () => stops.forEach((stop) => stop());
    },
    collect(snapshot) {
      for (const client of clients) {
        for (const { breaker } of client.status().nodes) {
          for (const kind of ['reads', 'writes'] as const) {
            const labels = { client: client.name, kind, state: stateOf(breaker[kind]) };
            snapshot.gauge('breaker_nodes', labels, 1);
          }
        }
      }
    },
  };
}

/** Every call is heard of here; so it is one look-up and a few additions. */
export function commandSource(clients: readonly RedisClient[], listen = onCalls): MetricSource {
  return {
    group: 'command',
    listen(meter) {
      const durationsOf = (client: string, command: string): HistogramCell =>
        meter.histogram('command_duration_seconds', {
          client,
          command: COMMAND.test(command) ? command : OTHER,
        });
      const commands = new KeptCells((client, name) => durationsOf(client, commandOf({ name })));
      const scripts = new KeptCells((client, script) => durationsOf(client, commandOf({ script })));
      for (const { name: client } of clients) {
        meter.counter('command_errors_total', { client, error: OTHER });
        meter.counter('retries_total', { client, outcome: 'retried' });
      }
      return listen({
        finished(client, call) {
          const { name, script } = call;
          const durations = script === undefined ? commands.at(client, name) : scripts.at(client, script);
          durations.observe((call.answeredAt - call.startedAt) / 1_000);
          if (call.error !== undefined || call.attempt > 1) countUnusual(meter, client, call);
        },
        retried: (client) => meter.count('retries_total', { client, outcome: 'retried' }),
      });
    },
  };
}

function countUnusual(meter: Meter, client: string, { error, attempt }: FinishedCall): void {
  if (error !== undefined) {
    meter.count('command_errors_total', { client, error: ERRORS[causeOf(error)] ?? OTHER });
  }
  if (attempt > 1)
    meter.count('retries_total', { client, outcome: error === undefined ? 'recovered' : 'exhausted' });
}

function stateOf(view: BreakerView): 'closed' | 'open' | 'half_open' | 'isolated' | 'off' {
  return view === 'half-open' ? 'half_open' : view;
}

function sumOf(nodes: ClientStatus['nodes'], pick: (node: ClientStatus['nodes'][number]) => number): number {
  return nodes.reduce((sum, node) => sum + pick(node), 0);
}
