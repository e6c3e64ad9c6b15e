/**
 * What is told of a call, once it is over: an event to whoever follows the channel, and the call itself, without a thing
 * being made for it, to those who count them all.
 */
import type { TelemetryEvent } from '../core/index.js';
import { RedisReplyError } from './connection.errors.js';

/** Good only while it is told of. */
export interface FinishedCall {
  /** In upper case. */
  readonly name: string;
  /** The name of the script it ran, if it did. */
  readonly script: string | undefined;
  /** How often it was sent. */
  readonly attempt: number;
  /** Monotonic milliseconds, as below. */
  readonly startedAt: number;
  readonly answeredAt: number;
  /** What it was rejected with. */
  readonly error: Error | undefined;
}

/** Of all connections of this process, by the name of the client. */
export interface CallListener {
  finished(client: string, call: FinishedCall): void;
  /** It is sent again. */
  retried(client: string): void;
}

/** Nearly always one, or none. */
export let callListeners: readonly CallListener[] = [];

/** The returned function stops listening. */
export function onCalls(listener: CallListener): () => void {
  callListeners = [...callListeners, listener];
  return () => {
    callListeners = callListeners.filter((each) => each !== listener);
  };
}

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

const MOST_WORDS = 500;

/** Made once for each there is, since a new text would have to be hashed every time. */
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

/** `get`, or `lua:cache.fill`. */
export function commandOf({ name, script }: FinishedCall): string {
  return script === undefined ? COMMANDS.of(name) : SCRIPTS.of(script);
}

/** The first word of what Redis has answered, a stable code, or a name: never a text. */
export function causeOf(error: Error): string {
  if (error instanceof RedisReplyError) return error.kind;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' ? code : error.name;
}
