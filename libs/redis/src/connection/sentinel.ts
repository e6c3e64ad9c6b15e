/** A primary with replicas, watched by sentinels. */
import { sleep } from '../core/index.js';
import type { Address } from './connection.options.js';
import { ConnectionPool } from './connection-pool.js';
import { formatAddress, parseAddress } from './driver-options.js';
import type { Failure } from './failure.js';
import type { Admission, Link } from './link.js';
import type { Request } from './request.js';
import { createLink, fixedTarget, type LinkTarget, type Router, type RouterContext } from './router.js';
import { SentinelDirectory } from './sentinel-directory.js';

/** While the primary is unreachable the sentinels are asked this often whether there is another one. */
const SEARCH_MS = 150;
const REPLICAS_MS = 5_000;

export class SentinelRouter implements Router {
  readonly topology = 'sentinel';
  readonly #context: RouterContext;
  readonly #directory: SentinelDirectory;
  readonly #primary: ConnectionPool;
  readonly #replicas = new Map<string, Link>();
  readonly #stop = new AbortController();
  #primaryAddress: string | undefined;
  #searching = false;
  #turn = 0;

  constructor(context: RouterContext) {
    this.#context = context;
    this.#directory = new SentinelDirectory(
      context.connection,
      (reason) => void this.#onAnnouncement(reason),
    );
    const events = {
      ...context.events,
      onLost: (link: Link, reason: string): void => {
        context.events.onLost(link, reason);
        void this.#search();
      },
    };
    this.#primary = new ConnectionPool(context.connection.pool.size, () =>
      createLink(
        context,
        {
          node: context.connection.sentinel?.name ?? 'primary',
          role: 'primary',
          locate: this.#locatePrimary,
        },
        events,
      ),
    );
  }

  get ready(): boolean {
    return (
      this.#primary.ready &&
      (this.#context.connection.readFrom !== 'replica' || this.#readyReplicas().length > 0)
    );
  }

  start(): void {
    this.#directory.start();
    this.#primary.start();
    if (this.#context.connection.readFrom !== 'primary') void this.#keepReplicas();
  }

  close(): void {
    this.#stop.abort(new Error('the client was closed'));
    this.#directory.stop();
    this.#primary.close();
    for (const link of this.#replicas.values()) link.close();
  }

  admit(request: Request): Admission {
    const { readFrom } = this.#context.connection;
    if (!request.readOnly || readFrom === 'primary') return this.#primary.admit(request);
    const replicas = this.#readyReplicas();
    const link = replicas[this.#turn++ % Math.max(1, replicas.length)];
    if (link !== undefined) {
      request.carrier = link;
      return link.admit(request);
    }
    if (readFrom === 'replica') return 'unreachable';
    return this.#primary.admit(request);
  }

  onFailure(_request: Request, failure: Failure): void {
    if (failure.kind !== 'readonly') return;
    for (const link of this.#primary.links) link.recycleForWrites(failure.message);
  }

  onTimeout(): void {
    void this.#search();
  }

  links(): readonly Link[] {
    return [...this.#primary.links, ...this.#replicas.values()];
  }

  primaries(): readonly Link[] {
    return [this.#primary.pick()];
  }

  locateSubscriber(): Promise<Address> {
    return this.#directory.primary();
  }

  trackingTargets(): readonly LinkTarget[] | undefined {
    const address = this.#primaryAddress === undefined ? undefined : parseAddress(this.#primaryAddress);
    return address === undefined ? undefined : [fixedTarget(address, 'primary')];
  }

  readonly #locatePrimary = async (): Promise<Address> => {
    const address = await this.#directory.primary();
    this.#primaryAddress = formatAddress(address);
    return address;
  };

  #readyReplicas(): readonly Link[] {
    return [...this.#replicas.values()].filter((link) => link.ready);
  }

  async #onAnnouncement(reason: string): Promise<void> {
    await this.#adoptPrimary(reason);
    if (this.#context.connection.readFrom !== 'primary') await this.#refreshReplicas();
  }

  /** A frozen primary keeps its socket: what the sentinels say counts, not what TCP says. */
  async #adoptPrimary(reason: string): Promise<boolean> {
    const known = this.#primaryAddress;
    const address = await this.#directory.primary().catch(() => undefined);
    if (address === undefined || this.#stop.signal.aborted || formatAddress(address) === known) return false;
    this.#primaryAddress = formatAddress(address);
    for (const link of this.#primary.links) link.recycle(reason);
    this.#context.onTopology(reason);
    return true;
  }

  async #search(): Promise<void> {
    if (this.#searching) return;
    this.#searching = true;
    try {
      while (!this.#stop.signal.aborted) {
        if (await this.#adoptPrimary('the sentinels name another primary')) break;
        await this.#pause(SEARCH_MS);
        if (this.#primary.links.every((link) => link.healthy)) break;
      }
    } catch {
      // Aborted by close().
    } finally {
      this.#searching = false;
    }
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, { clock: this.#context.clock, signal: this.#stop.signal, keepAlive: false });
  }

  /** Announcements may be missed while a sentinel is away, so the list is also read now and then. */
  async #keepReplicas(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        await this.#refreshReplicas();
        await this.#pause(this.#replicas.size === 0 ? SEARCH_MS : REPLICAS_MS);
      }
    } catch {
      // Aborted by close().
    }
  }

  async #refreshReplicas(): Promise<void> {
    const addresses = await this.#directory.replicas().catch(() => undefined);
    if (addresses === undefined || this.#stop.signal.aborted) return;
    const wanted = new Set(addresses.map(formatAddress));
    for (const [id, link] of this.#replicas) {
      if (wanted.has(id)) continue;
      this.#replicas.delete(id);
      link.close('the sentinels no longer list this replica');
    }
    for (const address of addresses) {
      const id = formatAddress(address);
      if (this.#replicas.has(id)) continue;
      const link = createLink(this.#context, fixedTarget(address, 'replica'));
      this.#replicas.set(id, link);
      link.start();
    }
  }
}
