/** What becomes of the calls to the sessions: counted, told to whoever listens, and failures of Redis made one error. */
import {
  isRedisModuleError,
  telemetryChannel,
  type Clock,
  type RedisModuleError,
  type TelemetryChannel,
} from '../core/index.js';
import { SessionUnavailableError } from './session.errors.js';

/** What became of an operation so far. */
export interface SessionCounts {
  readonly ok: number;
  /** The session is gone, was changed meanwhile or can not be read, or the user may have no more. */
  readonly refused: number;
  /** Redis did not answer. */
  readonly unavailable: number;
}

const NOTHING_COUNTED: SessionCounts = { ok: 0, refused: 0, unavailable: 0 };

const OWN = new Set(['SESSION_GONE', 'SESSION_CONFLICT', 'TOO_MANY_SESSIONS', 'INVALID_SESSION_DATA']);

export class SessionCalls {
  readonly #clock: Clock;
  readonly #telemetry: TelemetryChannel = telemetryChannel('session');
  readonly #counts = new Map<string, SessionCounts>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What became of each operation so far, by its name. */
  stats(): Readonly<Record<string, SessionCounts>> {
    return Object.fromEntries(this.#counts);
  }

  /** Whatever keeps the question from being answered comes out as one error; the rest as it is. */
  async guard<T>(op: string, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    let own: RedisModuleError | undefined;
    let outcome = 'ok';
    try {
      return await work();
    } catch (error) {
      own = isOwn(error) ? error : undefined;
      outcome = own?.code.toLowerCase() ?? 'unavailable';
      throw own ?? unavailable(error);
    } finally {
      this.#count(op, outcome);
      if (this.#telemetry.active) {
        const durationMs = this.#clock.now() - startedAt;
        const reason = own?.details['reason'];
        const attributes = typeof reason === 'string' ? { attributes: { reason } } : {};
        const event = { name: `session.${op}`, subject: 'session', durationMs, outcome, ...attributes };
        this.#telemetry.publish(event);
      }
    }
  }

  #count(op: string, outcome: string): void {
    const { ok, refused, unavailable: away } = this.#counts.get(op) ?? NOTHING_COUNTED;
    this.#counts.set(op, {
      ok: ok + (outcome === 'ok' ? 1 : 0),
      refused: refused + (outcome === 'ok' || outcome === 'unavailable' ? 0 : 1),
      unavailable: away + (outcome === 'unavailable' ? 1 : 0),
    });
  }
}

function isOwn(error: unknown): error is RedisModuleError {
  return isRedisModuleError(error) && OWN.has(error.code);
}

function unavailable(cause: unknown): SessionUnavailableError {
  return new SessionUnavailableError('sessions are not available: Redis does not answer', {
    hint: 'answer 503 and let the client try again',
    cause,
  });
}
