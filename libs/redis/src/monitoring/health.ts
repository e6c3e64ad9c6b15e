/**
 * Whether Redis serves, asked over the connections that are open anyway and with a deadline of its own, so that a
 * probe neither costs a connection nor hangs with the server it asks about.
 */
import type { BreakerView, NodeState, NodeStatus, RedisClient, Topology } from '../connection/index.js';
import { systemClock, type Clock } from '../core/index.js';
import { resolveHealth, type HealthSettings } from './health.options.js';

/** `degraded`: it serves, but not as it should, and somebody ought to look. */
export type HealthState = 'up' | 'degraded' | 'down';

export interface NodeHealth {
  readonly node: string;
  readonly role: NodeStatus['role'];
  readonly state: NodeState;
  readonly reads: BreakerView;
  readonly writes: BreakerView;
  readonly reason: string | null;
}

export interface ConnectionHealth {
  readonly state: HealthState;
  readonly topology: Topology;
  /** Of this probe; null when it was not answered. */
  readonly latencyMs: number | null;
  /** Why it is not `up`, as one line without secrets. */
  readonly reason: string | null;
  readonly nodes: readonly NodeHealth[];
}

/** What a capability tells of itself: a fallback that serves in place of Redis, a shard that is away. */
export interface PartHealth {
  readonly state: HealthState;
  readonly reason: string | null;
  readonly details?: Readonly<Record<string, string | number | boolean | null>> | undefined;
}

/** Asks a server as those of the connections are asked; settles within `health.timeout`. */
export type HealthProbe = (client: RedisClient) => Promise<ConnectionHealth>;

export interface HealthPart {
  readonly name: string;
  /** Everybody waits for it: what it asks for has to settle as soon as `probe` does. */
  health(probe: HealthProbe): PartHealth | Promise<PartHealth>;
}

export interface HealthReport {
  /** The worst of all. */
  readonly state: HealthState;
  readonly connections: Readonly<Record<string, ConnectionHealth>>;
  readonly parts: Readonly<Record<string, PartHealth>>;
  /** Wall clock milliseconds. */
  readonly checkedAt: number;
}

export interface HealthMonitorParts {
  readonly clients: readonly RedisClient[];
  /** First segment of the key that the write probe sets. */
  readonly namespace: string;
  readonly parts?: readonly HealthPart[] | undefined;
  readonly clock?: Clock | undefined;
  readonly settings?: HealthSettings | undefined;
}

/** The write probe's key is gone after this, should nobody ask again. */
const PROBE_KEY_MS = 10_000;

const RANK: Readonly<Record<HealthState, number>> = { up: 0, degraded: 1, down: 2 };

export class HealthMonitor {
  readonly #parts: HealthMonitorParts;
  readonly #clock: Clock;
  readonly #settings: HealthSettings;
  #asking: Promise<HealthReport> | undefined;
  #last: { readonly report: HealthReport; readonly at: number } | undefined;
  readonly #stops: readonly (() => void)[];

  constructor(parts: HealthMonitorParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#settings = parts.settings ?? resolveHealth();
    // What a client has noticed by itself makes the last answer old.
    const forget = (): void => {
      this.#last = undefined;
    };
    this.#stops = parts.clients.flatMap((client) => [
      client.on('ready', forget),
      client.on('lost', forget),
      client.on('topology', forget),
      client.on('breaker', forget),
    ]);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** Never rejects; the answer is at most `cacheFor` old and takes at most `timeout`. */
  check(): Promise<HealthReport> {
    const { cacheMs } = this.#settings;
    if (this.#last !== undefined && this.#clock.now() - this.#last.at < cacheMs) {
      return Promise.resolve(this.#last.report);
    }
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<HealthReport> {
    const { clients, parts = [] } = this.#parts;
    const [asked, told] = await Promise.all([
      Promise.all(clients.map(async (client) => [client.name, await this.#probe(client)] as const)),
      Promise.all(parts.map(async (part) => [part.name, await this.#hear(part)] as const)),
    ]);
    const states = [...asked, ...told].map(([, { state }]) => state);
    const report: HealthReport = {
      state: worstOf(states),
      connections: Object.fromEntries(asked),
      parts: Object.fromEntries(told),
      checkedAt: this.#clock.wallNow(),
    };
    this.#last = { report, at: this.#clock.now() };
    return report;
  }

  /** A part that fails to tell is itself what is wrong; the others are still to be heard. */
  async #hear(part: HealthPart): Promise<PartHealth> {
    try {
      return await part.health((client) => this.#probe(client));
    } catch (error) {
      return { state: 'degraded', reason: `can not tell: ${textOf(error)}` };
    }
  }

  async #probe(client: RedisClient): Promise<ConnectionHealth> {
    const startedAt = this.#clock.now();
    const failure = await this.#failureOf(client);
    const latencyMs = Math.round((this.#clock.now() - startedAt) * 100) / 100;
    const status = client.status();
    const nodes = status.nodes.map(toNodeHealth);
    const found = { topology: client.topology, nodes };
    if (failure?.reads !== undefined) {
      return { ...found, state: 'down', latencyMs: null, reason: failure.reads };
    }
    const reasons = [
      ...(failure === undefined ? [] : [`writes are refused: ${failure.writes}`]),
      ...(latencyMs > this.#settings.slowMs ? [`slow: answered in ${Math.round(latencyMs)} ms`] : []),
      ...nodes.flatMap(troubleOf),
    ];
    const state = reasons.length > 0 || status.health !== 'up' ? 'degraded' : 'up';
    return { ...found, state, latencyMs, reason: reasons.length === 0 ? null : reasons.join('; ') };
  }

  async #failureOf(client: RedisClient): Promise<Failure | undefined> {
    const { timeoutMs, probe } = this.#settings;
    const timeout = timeoutMs / 1_000;
    const key = `${this.#parts.namespace}:v1:health`;
    const [read, write] = await Promise.allSettled([
      client.command('PING', [], { timeout }),
      probe === 'write' ? client.command('SET', [key, 1, 'PX', PROBE_KEY_MS], { timeout }) : undefined,
    ]);
    if (read.status === 'rejected') return { reads: textOf(read.reason) };
    return write.status === 'rejected' ? { writes: textOf(write.reason) } : undefined;
  }
}

type Failure =
  { readonly reads: string; readonly writes?: never } | { readonly reads?: never; readonly writes: string };

function worstOf(states: readonly HealthState[]): HealthState {
  return states.reduce<HealthState>((worst, state) => (RANK[state] > RANK[worst] ? state : worst), 'up');
}

function toNodeHealth({ node, role, state, breaker, reason }: NodeStatus): NodeHealth {
  return { node, role, state, reads: breaker.reads, writes: breaker.writes, reason };
}

function troubleOf({ node, state, reads, writes, reason }: NodeHealth): string[] {
  // Half-open is the way back: the probe was one of the calls that are let through, and it was answered.
  const breakers = [reads, writes].filter((view) => view === 'open' || view === 'isolated');
  if (state !== 'ready') return [`${node} is ${state}${reason === null ? '' : `: ${reason}`}`];
  return breakers.length === 0 ? [] : [`breaker of ${node} is ${breakers.join(' and ')}`];
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : `a thrown ${typeof error}`;
}
