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
    const command = script === undefined ? COMMANDS.of(request.name) : SCRIPTS.of(script);
    this.attributes =
      error === undefined
        ? { command, attempts: attempt }
        : { command, attempts: attempt, error: failureOf(error) };
  }
}

const MOST_WORDS = 500;

/** `get`, or `lua:cache.fill`; made once for each there is, since a new text would have to be hashed every time. */
class Words {
  readonly #make: (name: string) => string;
  readonly #known = new Map<string, string>();
  /** Calls of one kind mostly come together. */
  #lastName = '';
  #lastWord = '';

  constructor(make: (name: string) => string) {
    this.#make = make;
  }

  of(name: string): string {
    if (name === this.#lastName) return this.#lastWord;
    const word = this.#known.get(name) ?? this.#make(name);
    if (this.#known.size < MOST_WORDS) this.#known.set(name, word);
    this.#lastName = name;
    this.#lastWord = word;
    return word;
  }
}

const COMMANDS = new Words((name) => name.toLowerCase());
const SCRIPTS = new Words((name) => `lua:${name}`);

/** The first word of what Redis has answered, a stable code, or a name: never a text. */
function failureOf(error: Error): string {
  if (error instanceof RedisReplyError) return error.kind;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' ? code : error.name;
}
