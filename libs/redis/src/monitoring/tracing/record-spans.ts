/** Begins to record spans where `@opentelemetry/api` is installed, and says nothing where it is not. */
import { MissingPeerError, optionalPeer, recordSpans } from '../../core/index.js';
import { OpenTelemetrySpans } from './open-telemetry.js';

/** One recording of spans, of one module or of one `createRedis`. */
export interface Tracing {
  /** Settles when spans are recorded, or when it is known that they are not. */
  readonly ready: Promise<void>;
  close(): void;
}

export function traceWithOpenTelemetry(): Tracing {
  let closed = false;
  let stop = (): void => undefined;
  const begin = async (): Promise<void> => {
    const api = await loadApi();
    if (api !== undefined && !closed) stop = recordSpans(new OpenTelemetrySpans(api));
  };
  const ready = begin();
  // Whoever opens the connections hears of it; nobody is ended by it before.
  ready.catch(() => undefined);
  return {
    ready,
    close() {
      closed = true;
      stop();
    },
  };
}

async function loadApi(): Promise<typeof import('@opentelemetry/api') | undefined> {
  try {
    return await optionalPeer('@opentelemetry/api', 'tracing', () => import('@opentelemetry/api'));
  } catch (error) {
    if (error instanceof MissingPeerError) return undefined;
    throw error;
  }
}
