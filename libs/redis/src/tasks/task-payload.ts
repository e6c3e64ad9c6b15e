/**
 * What stands in a queue. Without encryption plain JSON, which people and tools can read; with it nothing but the codec's
 * bytes. Dates, maps and the like come out as what they were.
 */
import { decodeJson, encodeJson, type Codec, type CodecContext } from '../codec/index.js';
import { InvalidTaskError } from './tasks.errors.js';

export interface TaskPayloadParts {
  /** Undefined to keep it readable. */
  readonly codec: Codec | undefined;
  readonly namespace: string;
  readonly queue: string;
}

/** What a handler tells while it works, and what it gives in the end. */
export type Outcome = 'progress' | 'result';

const SEALED = 'sealed';
const SEALED_FAILURE = /^\{"sealed":"[\w+/=]+"\}$/u;
const SENDER = 'trace';
const OUTCOME = 'anbar';

export class TaskPayload {
  readonly #parts: TaskPayloadParts;

  constructor(parts: TaskPayloadParts) {
    this.#parts = parts;
  }

  /** What JSON can carry. A task without data has no envelope, and so nothing that tells where it came from. */
  async encode(name: string, data: unknown, traceparent?: string): Promise<unknown> {
    if (data === undefined) return null;
    const sender = traceparent === undefined ? {} : { [SENDER]: traceparent };
    try {
      return { ...(await this.#wrap(data, this.#context('task', name))), ...sender };
    } catch (error) {
      throw new InvalidTaskError(`the data of a task '${name.slice(0, 50)}' can not be stored`, {
        cause: error,
      });
    }
  }

  /** `traceparent` of who added it, when spans were recorded there. */
  senderOf(stored: unknown): string | undefined {
    const sender: unknown = Reflect.get(Object(stored), SENDER);
    return typeof sender === 'string' ? sender : undefined;
  }

  async decode(name: string, stored: unknown): Promise<unknown> {
    return this.#unwrap(stored, name, this.#context('task', name));
  }

  /** As {@link decode}, for those who list tasks: one that can not be read hides no other. */
  async look(name: string, stored: unknown): Promise<unknown> {
    return this.decode(name, stored).catch(() => undefined);
  }

  /** Nothing when it can not be stored: work that is done is not done again for what it says of itself. */
  async encodeOutcome(
    kind: Outcome,
    name: string,
    value: unknown,
  ): Promise<{ readonly stored: unknown } | undefined> {
    if (value === undefined) return { stored: null };
    try {
      return { stored: { [OUTCOME]: kind, ...(await this.#wrap(value, this.#context(kind, name))) } };
    } catch {
      return undefined;
    }
  }

  /** Nothing when it can not be read; earlier versions stored it as it was, without an envelope. */
  async decodeOutcome(kind: Outcome, name: string, stored: unknown): Promise<unknown> {
    if (Reflect.get(Object(stored), OUTCOME) !== kind) return stored ?? undefined;
    return this.#unwrap(stored, name, this.#context(kind, name)).catch(() => undefined);
  }

  /** What it failed of, as it may lie in Redis: a message may quote what the task carries. */
  async encodeFailure(name: string, message: string): Promise<string> {
    const { codec } = this.#parts;
    if (codec === undefined) return message;
    try {
      return JSON.stringify(await this.#wrap(message, this.#context('failure', name)));
    } catch {
      return 'what it failed of can not be stored';
    }
  }

  /** What BullMQ says itself, and what was stored before the encryption, is readable as it is. */
  async decodeFailure(name: string, stored: string | undefined): Promise<string | undefined> {
    if (stored === undefined || !SEALED_FAILURE.test(stored)) return stored || undefined;
    const message = this.#unwrap(JSON.parse(stored), name, this.#context('failure', name));
    return String(await message.catch(() => 'what it failed of can not be read here'));
  }

  /** Nothing is to be read in Redis. */
  get isSealed(): boolean {
    return this.#parts.codec !== undefined;
  }

  async #wrap(value: unknown, context: CodecContext): Promise<object> {
    const { codec } = this.#parts;
    if (codec === undefined) return { data: JSON.parse(encodeJson(value)) as unknown };
    return { [SEALED]: (await codec.encode(value, context)).toString('base64') };
  }

  async #unwrap(stored: unknown, name: string, context: CodecContext): Promise<unknown> {
    if (typeof stored !== 'object' || stored === null) return undefined;
    const sealed: unknown = Reflect.get(stored, SEALED);
    if (typeof sealed !== 'string') {
      // BullMQ makes an empty object of no data.
      const data: unknown = Reflect.get(stored, 'data');
      return data === undefined ? undefined : decodeJson(JSON.stringify(data));
    }
    const decoded = await this.#parts.codec?.decode(Buffer.from(sealed, 'base64'), context);
    if (decoded?.ok === true) return decoded.value;
    throw new InvalidTaskError(`the data of a task '${name.slice(0, 50)}' can not be read`, {
      hint: 'this process may lack the key it was sealed with',
    });
  }

  /** A result can not be put in the place of data, nor that of one name in the place of another's. */
  #context(kind: Outcome | 'task' | 'failure', name: string): CodecContext {
    const { namespace, queue } = this.#parts;
    return { namespace, key: `${kind}\n${queue}\n${name}` };
  }
}
