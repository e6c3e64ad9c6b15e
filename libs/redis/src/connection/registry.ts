/** The connections of one module, by name. Two modules in one process have two of these and share nothing. */
import { RedisModuleError } from '../core/index.js';
import type { ResolvedConnection } from './connection.options.js';
import { createAdapter, type ClientSurroundings } from './create-client.js';
import type { NativeRedis } from './native-client.js';
import type { RedisAdapter } from './redis-adapter.js';

export const DEFAULT_CONNECTION = 'default';

export class UnknownConnectionError extends RedisModuleError {
  readonly code = 'UNKNOWN_CONNECTION';
}

export class ConnectionRegistry {
  readonly #adapters = new Map<string, RedisAdapter<NativeRedis>>();
  readonly #connections: readonly ResolvedConnection[];

  constructor(connections: readonly ResolvedConnection[], surroundings: ClientSurroundings = {}) {
    this.#connections = connections;
    for (const connection of connections) {
      this.#adapters.set(connection.name, createAdapter(connection, surroundings));
    }
  }

  get names(): readonly string[] {
    return [...this.#adapters.keys()];
  }

  get(name = DEFAULT_CONNECTION): RedisAdapter<NativeRedis> {
    const adapter = this.#adapters.get(name);
    if (adapter !== undefined) return adapter;
    throw new UnknownConnectionError(`there is no connection '${name}', only: ${this.names.join(', ')}`, {
      hint: `add it to the options: connections: { ${name}: { url: 'redis://...' } }`,
    });
  }

  /** Waits until every connection serves; rejects when one does not in time, though it goes on trying. */
  async connect(): Promise<void> {
    await Promise.all(this.#connections.map(({ name }) => this.get(name).connect()));
  }

  /**
   * For the boot of an application: waits for the `'required'` connections only. The `'lazy'` ones are made in
   * the background, and calls made meanwhile wait for them within their deadline.
   */
  async open(): Promise<void> {
    await Promise.all(
      this.#connections.map(async ({ name, connect }) => {
        const connecting = this.get(name).connect();
        if (connect === 'required') await connecting;
        else connecting.catch(() => undefined);
      }),
    );
  }

  async disconnect(): Promise<void> {
    await Promise.all([...this.#adapters.values()].map((adapter) => adapter.disconnect()));
  }
}
