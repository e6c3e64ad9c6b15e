/** Figures of limits, HTTP answers, sessions, locks, messages and tasks that are told of as they happen. */
import { onTelemetry, type TelemetryEvent } from '../../core/index.js';
import type { LabelsOf } from './catalogue.js';
import { KeptCells } from './kept-cells.js';
import { OTHER } from './label-guard.js';
import type { Meter, MetricSource } from './metric-source.js';

const DECISIONS = ['allowed', 'denied', 'shadow_denied', 'failed_open', 'failed_closed'] as const;
const ANSWERS = ['l1', 'l2', 'fallback', 'stale', 'negative', 'collapsed'] as const;
const CACHE_STATUS = ['hit', 'stale', 'miss', 'bypass', 'none'] as const;
const OPERATIONS = [
  'create',
  'load',
  'save',
  'touch',
  'rotate',
  'destroy',
  'list',
  'revoke',
  'revoke_all',
] as const;

type SessionOutcome = LabelsOf<'session_operations_total'>['outcome'];
type LockOutcome = LabelsOf<'lock_acquisitions_total'>['outcome'];
type Problem = LabelsOf<'pubsub_problems_total'>['problem'];

const SESSION_OUTCOMES: Readonly<Record<string, SessionOutcome>> = {
  ok: 'ok',
  session_gone: 'gone',
  session_conflict: 'conflict',
  too_many_sessions: 'too_many',
  invalid_session_data: 'invalid',
};

/** By the name of the error; whoever gives up hands in an error of his own. */
const LOCK_OUTCOMES: Readonly<Record<string, LockOutcome>> = {
  taken: 'taken',
  LockBusyError: 'busy',
  LockUnavailableError: 'unavailable',
  AbortError: 'aborted',
  TimeoutError: 'aborted',
};

const PROBLEMS: Readonly<Record<string, Problem>> = {
  'pubsub.dropped': 'dropped',
  'pubsub.unreadable': 'unreadable',
  'pubsub.dead-letter': 'dead_letter',
  'pubsub.gap': 'gap',
  'pubsub.listener-failed': 'listener_failed',
  'pubsub.handler-error': 'listener_failed',
  'pubsub.lost': 'connection_lost',
};

const REFUSED = 'refused:';

function oneOf<const Values extends readonly string[]>(
  values: Values,
  value: string | undefined,
): Values[number] | undefined {
  return values.find((each) => each === value);
}

export function rateLimitSource(): MetricSource {
  return {
    group: 'ratelimit',
    listen(meter) {
      const counts = new KeptCells((limit, decision) =>
        meter.counter('ratelimit_decisions_total', {
          limit,
          decision: oneOf(DECISIONS, decision) ?? 'failed_closed',
        }),
      );
      const durations = new KeptCells((limit) =>
        meter.histogram('ratelimit_check_duration_seconds', { limit }),
      );
      const stops = [
        onTelemetry('rate-limit', ({ subject, outcome = '', durationMs = 0 }) => {
          counts.at(subject, outcome).value += 1;
          durations.at(subject, '').observe(durationMs / 1_000);
        }),
        onTelemetry('rate-limit-changes', ({ name, outcome }) => {
          if (name !== 'rate-limit.store') return;
          meter.count('ratelimit_store_changes_total', { to: outcome === 'back' ? 'back' : 'lost' });
        }),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

export function httpSource(): MetricSource {
  return {
    group: 'http',
    listen(meter) {
      const answers = new KeptCells((route, outcome) =>
        meter.counter('http_cache_answers_total', { route, outcome: oneOf(ANSWERS, outcome) ?? OTHER }),
      );
      return onTelemetry('http-cache', (event) => {
        const { name, subject, outcome = '' } = event;
        if (name === 'http-cache.request') timeRequest(meter, event);
        else if (outcome.startsWith(REFUSED)) {
          meter.count('http_cache_answers_total', { route: subject, outcome: 'refused' });
          meter.count('http_cache_refusals_total', { reason: outcome.slice(REFUSED.length) });
        } else if (name === 'http-cache.answer') answers.at(subject, outcome).value += 1;
      });
    },
  };
}

function timeRequest(meter: Meter, { outcome = 'none', durationMs = 0 }: TelemetryEvent): void {
  const status = oneOf(CACHE_STATUS, outcome.toLowerCase()) ?? OTHER;
  meter.observe('http_request_duration_seconds', { cache_status: status }, durationMs / 1_000);
}

export function sessionSource(): MetricSource {
  return {
    group: 'session',
    listen: (meter) =>
      onTelemetry('session', ({ name, outcome = '', durationMs = 0 }) => {
        const op = oneOf(OPERATIONS, name.slice('session.'.length).replace('-', '_'));
        if (op === undefined) return;
        const came = SESSION_OUTCOMES[outcome] ?? 'unavailable';
        meter.count('session_operations_total', { op, outcome: came });
        meter.observe('session_operation_duration_seconds', { op }, durationMs / 1_000);
      }),
  };
}

export function lockSource(): MetricSource {
  return {
    group: 'lock',
    listen: (meter) => onTelemetry('lock', (event) => countLock(meter, event)),
  };
}

function countLock(meter: Meter, { name, outcome = '', durationMs = 0 }: TelemetryEvent): void {
  switch (name) {
    case 'lock.acquire': {
      const came = LOCK_OUTCOMES[outcome] ?? 'error';
      meter.count('lock_acquisitions_total', { outcome: came });
      meter.observe('lock_wait_seconds', { outcome: came }, durationMs / 1_000);
      break;
    }
    case 'lock.release':
      meter.count('lock_releases_total', {
        outcome: outcome === 'released' || outcome === 'lost' ? outcome : 'error',
      });
      break;
    case 'lock.lost':
      meter.count('lock_losses_total', {});
      break;
    case 'lock.renew-failed':
      meter.count('lock_renewal_failures_total', {});
      break;
    default:
      break;
  }
}

export function pubsubSource(): MetricSource {
  return {
    group: 'pubsub',
    listen: (meter) =>
      onTelemetry('pubsub', ({ name }) => {
        const problem = PROBLEMS[name];
        if (problem !== undefined) meter.count('pubsub_problems_total', { problem });
      }),
  };
}

export function taskSource(): MetricSource {
  return {
    group: 'tasks',
    listen: (meter) =>
      onTelemetry('tasks', ({ name, subject: task, outcome, durationMs = 0 }) => {
        if (name !== 'tasks.done') return;
        meter.count('tasks_done_total', { task, outcome: outcome === 'ok' ? 'ok' : 'error' });
        meter.observe('task_duration_seconds', { task }, durationMs / 1_000);
      }),
  };
}
