/**
 * What happens is published on `node:diagnostics_channel` and nobody here knows who listens: metrics, logs,
 * stats and the console subscribe and can each be removed by deleting one folder. Publishing to a channel
 * without subscribers costs one property read.
 */
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';

/** One shape for all events; never a value, never a whole key. */
export interface TelemetryEvent {
  /** `'<capability>.<what>'`, for example `'connection.ready'`. */
  readonly name: string;
  /** The configured name of the client, cache or limit it is about. */
  readonly subject: string;
  readonly durationMs?: number;
  readonly outcome?: string;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

export interface TelemetryChannel {
  /** True when somebody listens: build the event only then. */
  readonly active: boolean;
  publish(event: TelemetryEvent): void;
}

export const TELEMETRY_PREFIX = 'anbar:';

/** The channel of one capability, `anbar:<capability>`. */
export function telemetryChannel(capability: string): TelemetryChannel {
  const inner = channel(`${TELEMETRY_PREFIX}${capability}`);
  return {
    get active() {
      return inner.hasSubscribers;
    },
    publish(event) {
      inner.publish(event);
    },
  };
}

/** Listens to one capability; the returned function stops listening. */
export function onTelemetry(capability: string, listener: (event: TelemetryEvent) => void): () => void {
  const name = `${TELEMETRY_PREFIX}${capability}`;
  const receive = (message: unknown): void => listener(message as TelemetryEvent);
  subscribe(name, receive);
  return () => {
    unsubscribe(name, receive);
  };
}
