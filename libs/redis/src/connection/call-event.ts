/** What is told of a call, once it is over. It is built for every call while somebody listens, so it is cheap. */
import type { TelemetryEvent } from '../core/index.js';
import { RedisReplyError } from './connection.errors.js';
import type { Request } from './request.js';

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

  constructor(what: 'command' | 'retry', client: string, request: Request, outcome: string) {
    this.name = what === 'command' ? 'connection.command' : 'connection.retry';
    this.subject = client;
    this.durationMs = request.answeredAt - request.startedAt;
    this.outcome = outcome;
    const { attempt, script, error } = request;
    const command = script === undefined ? wordOf(request.name, WORDS) : wordOf(script, SCRIPTS);
    this.attributes =
      error === undefined
        ? { command, attempts: attempt }
        : { command, attempts: attempt, error: failureOf(error) };
  }
}

const WORDS = new Map<string, string>();
const SCRIPTS = new Map<string, string>();
const MOST_WORDS = 500;

/** `get`, or `lua:cache.fill`; made once for each there is, since a new text would have to be hashed every time. */
function wordOf(name: string, words: Map<string, string>): string {
  const known = words.get(name);
  if (known !== undefined) return known;
  const word = words === SCRIPTS ? `lua:${name}` : name.toLowerCase();
  if (words.size < MOST_WORDS) words.set(name, word);
  return word;
}

/** The first word of what Redis has answered, a stable code, or a name: never a text. */
function failureOf(error: Error): string {
  if (error instanceof RedisReplyError) return error.kind;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' ? code : error.name;
}
