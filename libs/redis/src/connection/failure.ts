/**
 * Why one attempt failed, and what that means: was the command executed, may it be tried again, does it
 * speak against the node. The one place where replies and network events are judged.
 */
import { safeMessage } from '../core/index.js';
import type { Executed } from './connection.errors.js';

export type FailureKind =
  | 'not-connected'
  | 'closed'
  | 'mismatch'
  | 'moved'
  | 'ask'
  | 'noscript'
  | 'not-now'
  | 'readonly'
  | 'oom'
  | 'auth'
  | 'reply';

export interface Failure {
  readonly kind: FailureKind;
  readonly executed: Executed;
  /** Worth another try at all; whether it is made also depends on `executed`. */
  readonly retryable: boolean;
  /** Counts against the node in its breaker. */
  readonly counts: boolean;
  /** One line, without secrets. */
  readonly message: string;
}

interface Verdict {
  readonly kind: FailureKind;
  readonly retryable: boolean;
  readonly counts: boolean;
}

/** By the first word of the reply. Everything not listed is the caller's fault: not retried, not counted. */
const VERDICTS: ReadonlyMap<string, Verdict> = new Map([
  ['MOVED', { kind: 'moved', retryable: true, counts: false }],
  ['ASK', { kind: 'ask', retryable: true, counts: false }],
  ['NOSCRIPT', { kind: 'noscript', retryable: false, counts: false }],
  ['TRYAGAIN', { kind: 'not-now', retryable: true, counts: false }],
  // A node that says no at once is well: what it lacks is memory, a disk, its primary or the rest of the cluster.
  // Asking costs it nothing, and with its breaker open it would be shunned for seconds after it was mended.
  ['CLUSTERDOWN', { kind: 'not-now', retryable: true, counts: false }],
  ['LOADING', { kind: 'not-now', retryable: true, counts: true }],
  ['BUSY', { kind: 'not-now', retryable: true, counts: true }],
  ['MASTERDOWN', { kind: 'not-now', retryable: true, counts: false }],
  ['NOREPLICAS', { kind: 'not-now', retryable: true, counts: false }],
  ['MISCONF', { kind: 'not-now', retryable: true, counts: false }],
  ['READONLY', { kind: 'readonly', retryable: true, counts: false }],
  ['OOM', { kind: 'oom', retryable: false, counts: false }],
  ['NOAUTH', { kind: 'auth', retryable: false, counts: false }],
  ['WRONGPASS', { kind: 'auth', retryable: false, counts: false }],
]);

const CALLERS_FAULT: Verdict = { kind: 'reply', retryable: false, counts: false };

/** Judges an error reply. A reply means the server refused or failed the command: it is not run again. */
export function failureOfReply(message: string): Failure {
  const word = /^[A-Z]+/u.exec(message)?.[0] ?? '';
  const verdict = message.includes('max number of clients')
    ? { kind: 'not-now' as const, retryable: true, counts: true }
    : (VERDICTS.get(word) ?? CALLERS_FAULT);
  return { ...verdict, executed: 'no', message: safeMessage(message) };
}

/** The command never left: any command may be tried again. */
export function notConnected(reason: string): Failure {
  return { kind: 'not-connected', executed: 'no', retryable: true, counts: false, message: reason };
}

/** The socket went away with the command under way. */
export function connectionClosed(reason: string): Failure {
  return { kind: 'closed', executed: 'unknown', retryable: true, counts: true, message: reason };
}

/** The replies on the socket can no longer be told apart. */
export function replyMismatch(reason: string): Failure {
  return { kind: 'mismatch', executed: 'unknown', retryable: true, counts: true, message: reason };
}

/** `MOVED 3999 127.0.0.1:6381` and `ASK 3999 127.0.0.1:6381`. */
export function redirectTarget(failure: Failure): { slot: number; address: string } | undefined {
  const [, slot, address] = /^(?:MOVED|ASK) (\d+) (\S+)/u.exec(failure.message) ?? [];
  return slot === undefined || address === undefined ? undefined : { slot: Number(slot), address };
}
