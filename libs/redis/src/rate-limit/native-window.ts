/**
 * The fixed window by `INCREX`, which servers have from Redis 8.8 and Valkey 9.2 on: it counts within a bound and sets
 * the expiry only where there is none, so one command does what the script does for a single limit. What it can not
 * say or do is left to the script, which reads and writes the same counter.
 *
 * `INCREX key BYINT cost UBOUND limit PX window ENX` replies with the count and with what was added to it; over the
 * bound it adds nothing, and leaves the count and the expiry alone. How long is left it does not reply.
 */
import { RedisReplyError, replyItems, type CallOptions, type RedisClient } from '../connection/index.js';
import type { AskedLimit, Question } from './ask.js';
import type { TakeState } from './take.scripts.js';

type Offer = 'unknown' | 'asked' | 'there' | 'absent';

export class NativeWindow {
  readonly #client: RedisClient;
  readonly #options: CallOptions;
  readonly #stop: () => void;
  #offer: Offer = 'unknown';

  constructor(client: RedisClient, options: CallOptions = {}) {
    this.#client = client;
    this.#options = options;
    if (client.topology === 'embedded') this.#offer = 'absent';
    // Behind a new connection another server may stand.
    this.#stop = client.on('ready', () => {
      if (client.topology !== 'embedded') this.#offer = 'unknown';
    });
  }

  /** Several limits are charged together or not at all, and that takes a script. */
  isFor({ limits }: Question): boolean {
    const [asked] = limits;
    return (
      asked?.limit.code === 'f' && limits.length === 1 && this.#offer !== 'absent' && isPlainWindow(asked)
    );
  }

  /** Undefined where the script has to say. */
  async take({ limits: [asked] }: Question): Promise<TakeState | undefined> {
    if (asked === undefined) return undefined;
    if (this.#offer === 'unknown') void this.#look();
    if (this.#offer !== 'there') return undefined;
    const { key, cost, limit } = asked;
    const [counted, left] = await this.#client.pipeline(
      [
        { name: 'INCREX', args: [key, 'BYINT', cost, 'UBOUND', limit.capacity, 'PX', limit.unit, 'ENX'] },
        { name: 'PTTL', args: [key] },
      ],
      this.#options,
    );
    if (counted === undefined || left === undefined) return undefined;
    if (!counted.ok) return this.#refused(counted.error);
    if (!left.ok) throw left.error;
    const [count = 0, added = 0] = replyItems(counted.value).map(Number);
    return stateOf(asked, { count, added, leftMs: Number(left.value) });
  }

  close(): void {
    this.#stop();
  }

  async #look(): Promise<void> {
    this.#offer = 'asked';
    try {
      const [info] = replyItems(await this.#client.command('COMMAND', ['INFO', 'INCREX'], this.#options));
      this.#offer = Array.isArray(info) ? 'there' : 'absent';
    } catch (error) {
      // Who may not ask what there is gets along without it; who was not answered asks again.
      this.#offer = error instanceof RedisReplyError ? 'absent' : 'unknown';
    }
  }

  /** What stands there may be no number, and a server that took over may not know the command. */
  #refused(error: Error): undefined {
    if (!(error instanceof RedisReplyError)) throw error;
    if (/unknown command|NOPERM|no permissions/iu.test(error.message)) this.#offer = 'absent';
    return undefined;
  }
}

/** A penalty and a shadow need more than a count, and what costs nothing must not begin a window. */
function isPlainWindow({ limit, cost }: AskedLimit): boolean {
  return !limit.shadow && limit.penaltyMs === 0 && cost > 0 && cost <= limit.capacity;
}

interface Counted {
  readonly count: number;
  readonly added: number;
  readonly leftMs: number;
}

function stateOf({ limit, cost }: AskedLimit, { count, added, leftMs }: Counted): TakeState | undefined {
  // Denied by a counter that never ends, or by one that has ended since: both count for nothing.
  if (added === 0 && leftMs <= 0) return undefined;
  const rest = Math.max(0, leftMs) * 1_000;
  return {
    verdict: added === 0 ? 'denied' : 'passed',
    remaining: Math.max(0, limit.capacity - count),
    wait: rest,
    reset: rest,
    charge: added === 0 ? 0 : cost,
  };
}
