/** Announces changes of keys inside the process: at once, so nobody ever sees a value that is out of date. */
import { telemetryChannel } from '../../core/index.js';
import type { TrackOptions, Tracking, TrackingState } from '../redis-client.js';
import { withoutCovered } from '../tracking-prefixes.js';
import { bytesToText, toBytes, type Bytes } from './byte-string.js';
import type { Keyspace } from './keyspace.js';

const telemetry = telemetryChannel('connection');

interface Listener {
  readonly prefixes: readonly Bytes[];
  readonly options: TrackOptions;
}

export class EmbeddedTracking {
  readonly #name: string;
  readonly #keyspace: Keyspace;
  readonly #listeners = new Set<Listener>();
  #closed = false;

  constructor(name: string, keyspace: Keyspace) {
    this.#name = name;
    this.#keyspace = keyspace;
  }

  track(options: TrackOptions): Tracking {
    const listener = { prefixes: withoutCovered(options.prefixes).map(toBytes), options };
    if (!this.#closed) this.#listeners.add(listener);
    this.#hook();
    const stateNow = (): TrackingState => (this.#listeners.has(listener) ? 'tracking' : 'lost');
    return {
      get state() {
        return stateNow();
      },
      get reason() {
        return stateNow() === 'tracking' ? 'embedded' : 'closed';
      },
      close: () => {
        this.#listeners.delete(listener);
        this.#hook();
        return Promise.resolve();
      },
    };
  }

  closeAll(): void {
    this.#closed = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#hook();
    for (const { options } of listeners) this.#safely(() => options.onState('lost', 'the client was closed'));
  }

  /** Without a listener a write pays for nothing. */
  #hook(): void {
    this.#keyspace.onChange = this.#listeners.size === 0 ? undefined : this.#announce;
  }

  readonly #announce = (key: Bytes): void => {
    for (const { prefixes, options } of this.#listeners) {
      if (prefixes.some((prefix) => key.startsWith(prefix))) {
        this.#safely(() => options.onInvalidate([bytesToText(key)]));
      }
    }
  };

  /** A listener's fault must not fail the command that made the change. */
  #safely(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!telemetry.active) return;
      const outcome = error instanceof Error ? error.name : 'unknown';
      telemetry.publish({ name: 'connection.handler-error', subject: this.#name, outcome });
    }
  }
}
