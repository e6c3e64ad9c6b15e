/** Where the messages of one listener come from. */
import type { RawMessage } from './message.js';

export interface Source {
  /** Begins to listen; settles when everything sent from then on will be seen. */
  start(): Promise<void>;
  /** The next message, or `undefined` when the listening is over. Asked by one at a time. */
  take(): Promise<RawMessage | undefined>;
  /** It was handled. */
  ack(message: RawMessage): Promise<void>;
  /** It was not handled, and is not being handled. */
  release(message: RawMessage): void;
  /** It can not be read, and never will be. */
  discard(message: RawMessage): Promise<void>;
  /** `take` answers `undefined` from now on. What was taken may still be acknowledged until `close` settles. */
  stop(): void;
  close(): Promise<void>;
  /** Messages dropped because the listener was too slow. */
  readonly dropped: number;
}
