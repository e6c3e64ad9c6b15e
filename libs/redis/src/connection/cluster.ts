/**
 * A Redis Cluster: its own table of slots over one pool per node.
 *
 * ioredis' `Cluster` is not used for calls: it repeats any command on "Connection is closed", a write that
 * was executed included, and settles late while it does so. Here a redirect is followed because the node
 * said the command was not run, and everything else is decided by the one retry layer above.
 */
import { sleep, systemClock, type Timer } from '../core/index.js';
import { parseAddress, formatAddress } from './driver-options.js';
import { routingKey } from './command-table.js';
import type { Address } from './connection.options.js';
import { ConnectionPool } from './connection-pool.js';
import { redirectTarget, type Failure } from './failure.js';
import { keySlot, SLOT_COUNT } from './key-slot.js';
import type { Admission, Link } from './link.js';
import { replyItems, replyText, type Reply } from './reply.js';
import type { Request } from './request.js';
import { createLink, fixedTarget, type LinkTarget, type Router, type RouterContext } from './router.js';

interface Owners {
  readonly primary: ConnectionPool;
  readonly replicas: readonly ConnectionPool[];
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly primary: Address;
  readonly replicas: readonly Address[];
}

/** A pool that serves no slot, and goes when its calls have had their time. */
interface Leaving {
  readonly pool: ConnectionPool;
  readonly timer: Timer;
}

/** With nothing wrong the table is still read this often: slots may move without anybody running into it. */
const REFRESH_MS = 15_000;
/** While something is wrong it is read this often. */
const SEARCH_MS = 150;
const SEARCH_MAX_MS = 600;
const ANSWER_MS = 300;

export class ClusterRouter implements Router {
  readonly topology = 'cluster';
  readonly #context: RouterContext;
  readonly #nodes = new Map<string, ConnectionPool>();
  readonly #replicaNodes = new Map<string, ConnectionPool>();
  readonly #leaving = new Map<string, Leaving>();
  readonly #slots: (Owners | undefined)[] = Array.from({ length: SLOT_COUNT });
  readonly #waiting = new Set<Request>();
  readonly #stop = new AbortController();
  #layout = '';
  #turn = 0;
  #refreshing: Promise<boolean> | undefined;
  #searching = false;

  constructor(context: RouterContext) {
    this.#context = {
      ...context,
      events: {
        ...context.events,
        onLost: (link, reason) => {
          context.events.onLost(link, reason);
          void this.#search();
        },
      },
    };
  }

  get ready(): boolean {
    return this.#layout !== '' && this.primaries().every((link) => link.ready);
  }

  start(): void {
    for (const address of this.#context.connection.addresses) this.#node(address).start();
    void this.#search();
    void this.#refreshForEver();
  }

  close(): void {
    this.#stop.abort(new Error('the client was closed'));
    for (const pool of [...this.#nodes.values(), ...this.#replicaNodes.values()]) pool.close();
    for (const { pool, timer } of this.#leaving.values()) {
      timer.cancel();
      pool.close();
    }
    this.#leaving.clear();
  }

  admit(request: Request): Admission {
    const pool = this.#poolFor(request);
    if (pool !== undefined) return pool.admit(request);
    if (this.#layout !== '') {
      void this.#search();
      return 'unreachable';
    }
    if (this.#waiting.size >= this.#context.connection.pool.maxWaiting) return 'full';
    this.#waiting.add(request);
    return 'admitted';
  }

  onFailure(request: Request, failure: Failure): void {
    if (failure.kind === 'moved' || failure.kind === 'ask') {
      const target = redirectTarget(failure);
      request.target = target?.address;
      request.asking = failure.kind === 'ask';
      if (failure.kind === 'moved') void this.#refresh();
      return;
    }
    request.target = undefined;
    request.asking = false;
    const suspicious = failure.kind === 'readonly' || failure.message.startsWith('CLUSTERDOWN');
    if (suspicious || failure.kind === 'closed') void this.#search();
  }

  onTimeout(request: Request): void {
    this.#waiting.delete(request);
    void this.#search();
  }

  links(): readonly Link[] {
    return [...this.#nodes.values(), ...this.#replicaNodes.values()].flatMap((pool) => pool.links);
  }

  primaries(): readonly Link[] {
    const pools = new Set<ConnectionPool>();
    for (const owners of this.#slots) if (owners !== undefined) pools.add(owners.primary);
    return [...pools].map((pool) => pool.pick());
  }

  locateSubscriber(slot?: number): Promise<Address> {
    if (slot !== undefined) return this.#ownerOf(slot);
    const links = this.primaries().filter((link) => link.ready);
    const link = links[this.#turn++ % Math.max(1, links.length)];
    const address = link === undefined ? this.#context.connection.addresses[0] : parseAddress(link.node);
    return address === undefined ? Promise.reject(new Error('no node is known')) : Promise.resolve(address);
  }

  #ownerOf(slot: number): Promise<Address> {
    const node = this.#slots[slot]?.primary.pick().node;
    const address = node === undefined ? undefined : parseAddress(node);
    return address === undefined
      ? Promise.reject(new Error('no node owns the slot'))
      : Promise.resolve(address);
  }

  /** All that calls may reach, those a redirect has named included: a value read there must be watched there. */
  trackingTargets(): readonly LinkTarget[] | undefined {
    if (this.#layout === '') return undefined;
    const addresses = [...this.#nodes.keys()].map(parseAddress);
    return addresses.flatMap((address) => (address === undefined ? [] : [fixedTarget(address, 'any')]));
  }

  #poolFor(request: Request): ConnectionPool | undefined {
    const { target } = request;
    if (target !== undefined) {
      // It holds for one attempt: the next is routed by the table again.
      request.target = undefined;
      const address = parseAddress(target);
      // An empty host in a redirect means "the one you asked": only its port is news.
      if (address !== undefined) return this.#node(resolveHost(address, request.carrier?.node));
    }
    if (request.slot === -1) {
      const key = routingKey(request.name, request.args);
      if (key === undefined) return this.#anyPrimary();
      request.slot = keySlot(key);
    }
    const owners = this.#slots[request.slot];
    if (owners === undefined) return undefined;
    const { readFrom } = this.#context.connection;
    if (!request.readOnly || readFrom === 'primary') return owners.primary;
    const ready = owners.replicas.filter((pool) => pool.ready);
    const replica = ready[this.#turn++ % Math.max(1, ready.length)];
    return replica ?? (readFrom === 'replica' ? owners.replicas[0] : owners.primary);
  }

  #anyPrimary(): ConnectionPool | undefined {
    const pools = [...this.#nodes.values()];
    const ready = pools.filter((pool) => pool.ready);
    return ready[this.#turn++ % Math.max(1, ready.length)] ?? pools[0];
  }

  #node(address: Address): ConnectionPool {
    return this.#poolAt(this.#nodes, address, false);
  }

  #poolAt(map: Map<string, ConnectionPool>, address: Address, replica: boolean): ConnectionPool {
    const id = formatAddress(address);
    const known = map.get(id);
    if (known !== undefined) return known;
    const back = this.#takeBack(leavingId(id, replica));
    if (back !== undefined) {
      map.set(id, back);
      return back;
    }
    const target = { ...fixedTarget(address, 'any'), readOnlySession: replica };
    const pool = new ConnectionPool(this.#context.connection.pool.size, () =>
      createLink(this.#context, target),
    );
    map.set(id, pool);
    if (!this.#stop.signal.aborted) pool.start();
    return pool;
  }

  // -- learning the topology --------------------------------------------------------------------------------

  async #refreshForEver(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        await this.#pause(REFRESH_MS * (0.8 + Math.random() * 0.4));
        await this.#refresh();
      }
    } catch {
      // Aborted by close().
    }
  }

  /** Reads the table again and again until it is whole and every primary in it answers. */
  async #search(): Promise<void> {
    if (this.#searching) return;
    this.#searching = true;
    let pauseMs = SEARCH_MS;
    try {
      while (!this.#stop.signal.aborted) {
        const learnt = await this.#refresh();
        if (learnt && this.ready) break;
        await this.#pause(this.#layout === '' ? 20 : pauseMs);
        // A fleet that looks for a node which stays away must not become a load of its own.
        pauseMs = Math.min(SEARCH_MAX_MS, pauseMs * 1.15);
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

  #refresh(): Promise<boolean> {
    this.#refreshing ??= this.#learn().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Asks a few nodes at once: the one that is asked alone may be the frozen one. */
  async #learn(): Promise<boolean> {
    if (this.#stop.signal.aborted) return false;
    const links = shuffled(this.links().filter((link) => link.ready)).slice(0, 3);
    if (links.length === 0) {
      for (const address of this.#context.connection.addresses) this.#node(address).start();
      return false;
    }
    const asked = links.map(async (link) => {
      const reply = await link.ask('CLUSTER', ['SLOTS'], ANSWER_MS);
      const ranges = toRanges(reply, link.node);
      if (ranges.length === 0) throw new Error('the cluster owns no slots');
      return ranges;
    });
    const ranges = await Promise.any(asked).catch(() => undefined);
    if (ranges === undefined || this.#stop.signal.aborted) return false;
    this.#adopt(ranges);
    return true;
  }

  #adopt(ranges: readonly Range[]): void {
    const layout = JSON.stringify(ranges);
    if (layout === this.#layout) return;
    const first = this.#layout === '';
    this.#layout = layout;
    const used = new Set<ConnectionPool>();
    this.#slots.fill(undefined);
    for (const range of ranges) {
      const primary = this.#node(range.primary);
      const replicas =
        this.#context.connection.readFrom === 'primary'
          ? []
          : range.replicas.map((address) => this.#poolAt(this.#replicaNodes, address, true));
      for (const pool of [primary, ...replicas]) used.add(pool);
      const owners: Owners = { primary, replicas };
      for (let slot = range.from; slot <= range.to; slot += 1) this.#slots[slot] = owners;
    }
    this.#dropUnused(used);
    this.#releaseWaiting();
    this.#context.onTopology(first ? 'the slots are known' : 'the slots have other owners');
  }

  #dropUnused(used: ReadonlySet<ConnectionPool>): void {
    for (const map of [this.#nodes, this.#replicaNodes]) {
      for (const [id, pool] of map) {
        if (used.has(pool)) continue;
        map.delete(id);
        this.#letGo(leavingId(id, map === this.#replicaNodes), pool);
      }
    }
  }

  /**
   * A node that lives answers what was asked of it, if only by saying where to: cut off, its writes would be in doubt
   * for nothing. And it may be back at once, as nodes differ in their tables until the news has reached them all.
   */
  #letGo(id: string, pool: ConnectionPool): void {
    const close = (): void => {
      this.#leaving.delete(id);
      pool.close('the node owns no slots any more');
    };
    if (!pool.links.some((link) => link.healthy || link.state === 'connecting')) {
      close();
      return;
    }
    const { connection, clock = systemClock } = this.#context;
    this.#leaving.set(id, { pool, timer: clock.after(connection.timeoutMs, close) });
  }

  #takeBack(id: string): ConnectionPool | undefined {
    const leaving = this.#leaving.get(id);
    leaving?.timer.cancel();
    this.#leaving.delete(id);
    return leaving?.pool;
  }

  #releaseWaiting(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const request of waiting) if (!request.settled) this.#context.readmit(request);
  }
}

function leavingId(id: string, replica: boolean): string {
  return replica ? `${id} as a replica` : id;
}

function toRanges(reply: Reply, answeredBy: string): readonly Range[] {
  const ranges: Range[] = [];
  for (const item of replyItems(reply)) {
    const [from, to, ...nodes] = replyItems(item);
    const [primary, ...replicas] = nodes.map((node) => toAddress(node, answeredBy));
    if (primary === undefined) continue;
    ranges.push({
      from: Number(from),
      to: Number(to),
      primary,
      replicas: replicas.filter((address) => address !== undefined),
    });
  }
  return ranges.toSorted((a, b) => a.from - b.from);
}

function toAddress(node: Reply, answeredBy: string): Address | undefined {
  const [host, port] = replyItems(node);
  return port === undefined
    ? undefined
    : resolveHost({ host: replyText(host), port: Number(port) }, answeredBy);
}

function resolveHost(address: Address, answeredBy: string | undefined): Address {
  if (address.host !== '' && address.host !== '?') return address;
  const asked = answeredBy === undefined ? undefined : parseAddress(answeredBy);
  return { host: asked?.host ?? address.host, port: address.port };
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
