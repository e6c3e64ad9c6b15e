/**
 * Hears of every change below some prefixes, wherever in the topology it is made: one tracking connection per
 * server that may be asked for keys. One of them missing makes the whole `lost`, because a value read from
 * that server could change unnoticed. Simple, and safe with slots on the move.
 */
import { safeMessage, telemetryChannel, type Clock } from '../core/index.js';
import type { ResolvedConnection } from './connection.options.js';
import { subscriberProfile, targetOf } from './driver-options.js';
import type { ClientEvents, TrackOptions, Tracking, TrackingState } from './redis-client.js';
import type { LinkTarget } from './router.js';
import { TrackingLink } from './tracking-link.js';
import { withoutCovered } from './tracking-prefixes.js';

export interface TrackerContext {
  readonly connection: ResolvedConnection;
  readonly clock: Clock;
  readonly random: () => number;
  /** Every server to be watched; `undefined` while that is not known. */
  targets(): readonly LinkTarget[] | undefined;
  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void;
  /** The owner has closed it. */
  onClosed(tracker: Tracker): void;
}

/** Why there is no tracking then; and nothing else would do in its place. */
export const READS_FROM_REPLICAS = 'replicas answer with a past that no announcement of the primary ends';

const telemetry = telemetryChannel('connection');

export class Tracker implements Tracking {
  readonly #context: TrackerContext;
  readonly #options: TrackOptions;
  readonly #prefixes: readonly string[];
  readonly #links = new Map<string, TrackingLink>();
  /** Nodes whose data connection was lost: the one that comes back may be another server of the same name. */
  readonly #interrupted = new Set<string>();
  readonly #stops: readonly (() => void)[];
  #state: TrackingState = 'lost';
  #reason = 'not connected yet';
  #closed = false;

  constructor(context: TrackerContext, options: TrackOptions) {
    this.#context = context;
    this.#options = options;
    this.#prefixes = withoutCovered(options.prefixes);
    this.#stops = [
      context.on('ready', ({ node }) => this.#onReady(node)),
      context.on('lost', ({ node }) => void this.#interrupted.add(node)),
      context.on('topology', ({ reason }) => this.#onTopology(reason)),
    ];
    // Later, so that nothing is reported from within `track()`.
    queueMicrotask(() => this.#begin());
  }

  get state(): TrackingState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  /** A data connection has found a server it did not expect. */
  recycle(reason: string): void {
    for (const link of this.#links.values()) link.recycle(reason);
  }

  /** Ends because the client ends, and says so; `close` is for the owner, who knows. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#release();
    this.#setState('lost', reason);
  }

  close(): Promise<void> {
    if (!this.#closed) this.#release();
    this.#context.onClosed(this);
    this.#state = 'lost';
    this.#reason = 'closed';
    return Promise.resolve();
  }

  #release(): void {
    this.#closed = true;
    for (const stop of this.#stops) stop();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #begin(): void {
    if (this.#closed) return;
    if (this.#context.connection.readFrom === 'primary') this.#sync();
    else this.#setState('refused', READS_FROM_REPLICAS);
  }

  #onReady(node: string): void {
    if (this.#interrupted.delete(node)) this.#links.get(node)?.recycle('the data connection was made anew');
    this.#sync();
  }

  /** Values learnt under the old order may have changed while nobody listened at the right place. */
  #onTopology(reason: string): void {
    if (this.#state === 'tracking') this.#setState('lost', reason);
    this.#sync();
  }

  #sync(): void {
    if (this.#closed || this.#context.connection.readFrom !== 'primary') return;
    const targets = this.#context.targets() ?? [];
    const wanted = new Set(targets.map(({ node }) => node));
    for (const [node, link] of this.#links) {
      if (wanted.has(node)) continue;
      this.#links.delete(node);
      link.close();
    }
    for (const target of targets) if (!this.#links.has(target.node)) this.#open(target);
    this.#judge();
  }

  #open(target: LinkTarget): void {
    const { connection, clock, random } = this.#context;
    const link = new TrackingLink({
      node: target.node,
      role: target.role,
      prefixes: this.#prefixes,
      driver: async () => {
        const found = targetOf(connection, await target.locate());
        return subscriberProfile({ ...found, connectionName: `${found.connectionName}:tracking` });
      },
      connectTimeoutMs: connection.connectTimeoutMs,
      heartbeatMs: connection.heartbeatMs,
      onInvalidate: (keys) => this.#announce(keys),
      onChange: () => this.#judge(),
      clock,
      random,
    });
    this.#links.set(target.node, link);
    link.start();
  }

  #judge(): void {
    const links = [...this.#links.values()];
    const missing =
      links.find(({ state }) => state === 'refused') ?? links.find(({ state }) => state === 'lost');
    if (missing !== undefined) this.#setState(missing.state, `${missing.node}: ${missing.reason}`);
    else if (links.length === 0) this.#setState('lost', 'the servers are not known yet');
    else this.#setState('tracking', `${links.length} connected`);
  }

  #announce(keys: readonly string[] | 'all'): void {
    try {
      this.#options.onInvalidate(keys);
    } catch (error) {
      // Thrown into the parser of the driver it would end the connection.
      this.#publish('handler-error', error instanceof Error ? error.name : 'unknown');
    }
  }

  #setState(state: TrackingState, reason: string): void {
    this.#reason = safeMessage(reason);
    if (state === this.#state) return;
    this.#state = state;
    this.#publish(state, this.#reason);
    try {
      this.#options.onState(state, this.#reason);
    } catch (error) {
      this.#publish('handler-error', error instanceof Error ? error.name : 'unknown');
    }
  }

  #publish(outcome: string, reason: string): void {
    if (!telemetry.active) return;
    const subject = this.#context.connection.name;
    telemetry.publish({ name: 'connection.tracking', subject, outcome, attributes: { reason } });
  }
}
