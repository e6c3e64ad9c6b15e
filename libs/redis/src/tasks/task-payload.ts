/**
 * What stands in a queue. Without encryption plain JSON, which people and tools can read; with it nothing but the codec's
 * bytes. Dates, maps and the like come out as what they were.
 */
import { decodeJson, encodeJson, type Codec } from '../codec/index.js';
import { InvalidTaskError } from './tasks.errors.js';

export interface TaskPayloadParts {
  /** Undefined to keep it readable. */
  readonly codec: Codec | undefined;
  readonly namespace: string;
  readonly queue: string;
}

const SEALED = 'sealed';
const SENDER = 'trace';

export class TaskPayload {
  readonly #parts: TaskPayloadParts;

  constructor(parts: TaskPayloadParts) {
    this.#parts = parts;
  }

  /** What JSON can carry. A task without data has no envelope, and so nothing that tells where it came from. */
  async encode(name: string, data: unknown, traceparent?: string): Promise<unknown> {
    const { codec } = this.#parts;
    if (data === undefined) return null;
    const sender = traceparent === undefined ? {} : { [SENDER]: traceparent };
    try {
      if (codec === undefined) return { data: JSON.parse(encodeJson(data)) as unknown, ...sender };
      return { [SEALED]: (await codec.encode(data, this.#context(name))).toString('base64'), ...sender };
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
    if (typeof stored !== 'object' || stored === null) return undefined;
    const { codec } = this.#parts;
    const sealed: unknown = Reflect.get(stored, SEALED);
    if (typeof sealed !== 'string') return decodeJson(JSON.stringify(Reflect.get(stored, 'data')));
    const decoded = await codec?.decode(Buffer.from(sealed, 'base64'), this.#context(name));
    if (decoded?.ok === true) return decoded.value;
    throw new InvalidTaskError(`the data of a task '${name.slice(0, 50)}' can not be read`, {
      hint: 'this process may lack the key it was sealed with',
    });
  }

  #context(name: string): { namespace: string; key: string } {
    const { namespace, queue } = this.#parts;
    return { namespace, key: `task\n${queue}\n${name}` };
  }
}
