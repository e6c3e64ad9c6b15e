/** Calls that are over, for those who count them all: they are handed the call itself, and nothing is made for them. */
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
let listeners: readonly CallListener[] = [];

/** The returned function stops listening. */
export function onCalls(listener: CallListener): () => void {
  listeners = [...listeners, listener];
  return () => remove(listener);
}

export function isHeard(): boolean {
  return listeners.length > 0;
}

export function tellFinished(client: string, call: FinishedCall): void {
  for (const listener of listeners) {
    try {
      listener.finished(client, call);
    } catch (error) {
      dismiss(listener, error);
    }
  }
}

export function tellRetried(client: string): void {
  for (const listener of listeners) {
    try {
      listener.retried(client);
    } catch (error) {
      dismiss(listener, error);
    }
  }
}

function remove(listener: CallListener): void {
  listeners = listeners.filter((each) => each !== listener);
}

/** Whoever can not count may not keep a caller from the answer; that would be said for every call, so it is said once. */
function dismiss(listener: CallListener, error: unknown): void {
  remove(listener);
  process.emitWarning(`a listener of onCalls threw and is told no more: ${String(error)}`);
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
    const word = this.#known.get(name) ?? this.#learn(name);
    this.#lastName = name;
    this.#lastWord = word;
    return word;
  }

  #learn(name: string): string {
    const word = this.#make(name);
    if (this.#known.size < MOST_WORDS) this.#known.set(name, word);
    return word;
  }
}

const COMMANDS = new Words((name) => name.toLowerCase());
const SCRIPTS = new Words((name) => `lua:${name}`);

/** `get`, or `lua:cache.fill`. */
export function commandOf({ name = '', script }: { name?: string; script?: string | undefined }): string {
  return script === undefined ? COMMANDS.of(name) : SCRIPTS.of(script);
}

/** The first word of what Redis has answered, a stable code, or a name: never a text. */
export function causeOf(error: Error): string {
  if (error instanceof RedisReplyError) return error.kind;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' ? code : error.name;
}
