/**
 * What a cache tells of what it does, on the channel `anbar:cache`. Built only when somebody listens; without
 * listeners it costs one property read. docs/cache.md has the table.
 */
import { telemetryChannel, type Clock, type TelemetryEvent } from '../core/index.js';

export interface EventDetail {
  /** The full key; only its mark is told. */
  readonly key?: string | (() => string) | undefined;
  readonly durationMs?: number | undefined;
  /** What invalidated or failed: `delete`, `tags`, `read`. */
  readonly by?: string | undefined;
}

const channel = telemetryChannel('cache');
/** Invalidations, loads and errors once more, for those who count the rest elsewhere: a hit costs less than being told of. */
const changes = telemetryChannel('cache-changes');

interface Invalidation {
  readonly by: string;
  /** Made for those who look at it, which those who count do not. */
  readonly key?: (() => string) | undefined;
  readonly clock: Clock;
}

export class CacheEvents {
  readonly #subject: string;
  readonly #isPart: boolean;

  /** `isPart`: its invalidations are steps of those of another cache, which tells of the whole. */
  constructor(subject: string, isPart = false) {
    this.#subject = subject;
    this.#isPart = isPart;
  }

  /** Somebody listens to everything, reads and what is saved among it. */
  get active(): boolean {
    return channel.active;
  }

  /** Somebody listens to invalidations, loads and errors. */
  get changesActive(): boolean {
    return channel.active || changes.active;
  }

  /** Tells of an invalidation when it has ended; it begins in the turn of the call, listened to or not. */
  invalidating<T>({ by, key, clock }: Invalidation, work: () => Promise<T>): Promise<T> {
    const working = work();
    if (this.#isPart || !this.changesActive) return working;
    const startedAt = clock.now();
    const tell = (outcome: string): void =>
      this.tell('invalidate', outcome, { by, key, durationMs: clock.now() - startedAt });
    return working.then(
      (result) => {
        tell('ok');
        return result;
      },
      (error: unknown) => {
        tell(codeOf(error));
        throw error;
      },
    );
  }

  /** `act`: `read` (a hit, a miss or stale, by its outcome), `save`, `invalidate`, `load`, `error`. */
  tell(act: string, outcome: string, detail: EventDetail = NO_DETAIL): void {
    const counted = act === 'read' || act === 'save';
    if (!(counted ? channel.active : this.changesActive)) return;
    const event = new CacheEvent(`cache.${act}`, this.#subject, outcome, detail);
    channel.publish(event);
    if (!counted) changes.publish(event);
  }
}

/** What becomes of the whole cache: on both channels, as are loads and invalidations. */
export function tellOfWhole(make: () => TelemetryEvent): void {
  if (!channel.active && !changes.active) return;
  const event = make();
  channel.publish(event);
  changes.publish(event);
}

/** Its attributes are made for whoever reads them. */
class CacheEvent implements TelemetryEvent {
  readonly name: string;
  readonly subject: string;
  readonly outcome: string;
  readonly durationMs: number;
  readonly #detail: EventDetail;

  constructor(name: string, subject: string, outcome: string, detail: EventDetail) {
    this.name = name;
    this.subject = subject;
    this.outcome = outcome;
    this.durationMs = detail.durationMs ?? 0;
    this.#detail = detail;
  }

  get attributes(): Readonly<Record<string, string>> {
    const { key: given, by } = this.#detail;
    const key = typeof given === 'function' ? given() : given;
    if (key === undefined) return by === undefined ? {} : { by };
    return by === undefined ? { key: markOf(key) } : { key: markOf(key), by };
  }
}

const NO_DETAIL: EventDetail = {};

/**
 * A key's mark: the same for the same key, so that lines about it can be put together, and nothing of what
 * stands in it. FNV-1a; it hides, it does not protect.
 */
export function markOf(key: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** The stable code of an error of ours, or its name: never its text, which may quote anything. */
export function codeOf(error: unknown): string {
  const code: unknown = Reflect.get(Object(error), 'code');
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : typeof error;
}
