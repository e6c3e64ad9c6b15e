/** Who serves what: the part of a client that differs between standalone, Sentinel and Cluster. */
import { systemClock, type Clock } from '../core/index.js';
import type { Address, ResolvedConnection } from './connection.options.js';
import { commandProfile, formatAddress, targetOf } from './driver-options.js';
import type { Failure } from './failure.js';
import { Link, type Admission, type LinkEvents } from './link.js';
import type { Topology } from './redis-client.js';
import type { Request } from './request.js';

export interface Router {
  readonly topology: Topology;
  start(): void;
  close(): void;
  /** Hands the request to the link that serves it, and notes that link as its carrier. */
  admit(request: Request): Admission;
  /** A failure may say that the picture of the topology is wrong. */
  onFailure(request: Request, failure: Failure): void;
  onTimeout(request: Request): void;
  /** All links, for status. */
  links(): readonly Link[];
  /** The links to every server that holds keys of its own: for SCAN, SCRIPT LOAD and the like. */
  primaries(): readonly Link[];
  /** True when every part that is needed can serve. */
  readonly ready: boolean;
  /** Where a subscriber may connect at this moment; for a shard channel the owner of its slot. */
  locateSubscriber(slot?: number): Promise<Address>;
  /** Every server that may be asked for keys, to be watched for changes; `undefined` while that is not known. */
  trackingTargets(): readonly LinkTarget[] | undefined;
}

export interface RouterContext {
  readonly connection: ResolvedConnection;
  readonly events: LinkEvents;
  /** Who owns what has changed. */
  onTopology(reason: string): void;
  /** Takes a request back that had to wait for the topology to be learnt. */
  readmit(request: Request): void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface LinkTarget {
  readonly node: string;
  readonly role: 'primary' | 'replica' | 'any';
  /** A replica of a cluster serves reads only after `READONLY`. */
  readonly readOnlySession?: boolean;
  locate(): Promise<Address>;
}

/** A link with the settings of the connection. */
export function createLink(context: RouterContext, target: LinkTarget, events = context.events): Link {
  const { connection } = context;
  return new Link({
    node: target.node,
    client: connection.name,
    locate: () => target.locate(),
    driver: async (address) => ({
      ...(await commandProfile(targetOf(connection, address))),
      readOnly: target.readOnlySession === true,
    }),
    role: target.role,
    breaker: connection.breaker,
    timeoutMs: connection.timeoutMs,
    connectTimeoutMs: connection.connectTimeoutMs,
    heartbeatMs: connection.heartbeatMs,
    integrity: connection.integrity,
    coalesce: connection.coalesce,
    maxInFlight: connection.pool.maxInFlight,
    maxWaiting: connection.pool.maxWaiting,
    events,
    clock: context.clock ?? systemClock,
    random: context.random ?? Math.random,
  });
}

/** A link to an address that is known beforehand. */
export function fixedTarget(address: Address, role: LinkTarget['role']): LinkTarget {
  return { node: formatAddress(address), role, locate: () => Promise.resolve(address) };
}
