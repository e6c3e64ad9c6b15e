/** One server. */
import type { Address } from './connection.options.js';
import { ConnectionPool } from './connection-pool.js';
import type { Failure } from './failure.js';
import type { Admission, Link } from './link.js';
import type { Request } from './request.js';
import { createLink, fixedTarget, type LinkTarget, type Router, type RouterContext } from './router.js';

export class StandaloneRouter implements Router {
  readonly topology = 'standalone';
  readonly #pool: ConnectionPool;
  readonly #address: Address;

  constructor(context: RouterContext) {
    const [address] = context.connection.addresses;
    if (address === undefined) throw new RangeError('a standalone connection needs an address');
    this.#address = address;
    const target = fixedTarget(address, 'any');
    this.#pool = new ConnectionPool(context.connection.pool.size, () => createLink(context, target));
  }

  get ready(): boolean {
    return this.#pool.ready;
  }

  start(): void {
    this.#pool.start();
  }

  close(): void {
    this.#pool.close();
  }

  admit(request: Request): Admission {
    return this.#pool.admit(request);
  }

  onFailure(request: Request, failure: Failure): void {
    // A name may have come to stand for another server: look it up anew.
    const { carrier } = request;
    if (failure.kind === 'readonly')
      this.#pool.links.find((link) => link === carrier)?.recycleForWrites(failure.message);
  }

  onTimeout(): void {
    // The link itself watches for silence; there is nowhere else to look.
  }

  links(): readonly Link[] {
    return this.#pool.links;
  }

  primaries(): readonly Link[] {
    return [this.#pool.pick()];
  }

  locateSubscriber(): Promise<Address> {
    return Promise.resolve(this.#address);
  }

  trackingTargets(): readonly LinkTarget[] {
    return [fixedTarget(this.#address, 'any')];
  }
}
