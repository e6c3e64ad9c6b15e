/**
 * Several links to one server, taken by least load. On one Node process a second connection buys little
 * speed (see docs/connection.md for figures); it buys room: a large reply on one does not hold up the rest.
 */
import type { Link } from './link.js';
import type { Request } from './request.js';
import type { Admission } from './link.js';

export class ConnectionPool {
  readonly links: readonly Link[];

  constructor(size: number, create: (index: number) => Link) {
    this.links = Array.from({ length: size }, (_, index) => create(index));
  }

  get ready(): boolean {
    return this.links.some((link) => link.ready);
  }

  admit(request: Request): Admission {
    const link = this.pick();
    request.carrier = link;
    return link.admit(request);
  }

  /** The ready link with the least to do; without a ready one, the first. */
  pick(): Link {
    const [first] = this.links;
    if (first === undefined) throw new RangeError('a pool has at least one link');
    if (this.links.length === 1) return first;
    let best = first;
    for (const link of this.links) {
      if (link.ready && (!best.ready || link.load < best.load)) best = link;
    }
    return best;
  }

  start(): void {
    for (const link of this.links) link.start();
  }

  close(reason?: string): void {
    for (const link of this.links) link.close(reason);
  }
}
