/** What is told of a call, once it is over. It is built for every call while somebody listens, so it is cheap. */
import type { TelemetryEvent } from '../core/index.js';
import { causeOf, commandOf, type FinishedCall } from './finished-call.js';

interface CallAttributes extends Readonly<Record<string, string | number>> {
  readonly command: string;
  readonly attempts: number;
}

export class CallEvent implements TelemetryEvent {
  readonly name: string;
  readonly subject: string;
  readonly durationMs: number;
  readonly outcome: string;
  readonly attributes: CallAttributes;

  constructor(what: 'command' | 'retry', client: string, call: FinishedCall, outcome: string) {
    this.name = what === 'command' ? 'connection.command' : 'connection.retry';
    this.subject = client;
    this.durationMs = call.answeredAt - call.startedAt;
    this.outcome = outcome;
    const { attempt, error } = call;
    const command = commandOf(call);
    this.attributes =
      error === undefined
        ? { command, attempts: attempt }
        : { command, attempts: attempt, error: causeOf(error) };
  }
}
