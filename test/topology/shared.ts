/**
 * Topologies that all test files of a run share: `await shared('cluster')`. They live in vitest's main process, are started
 * at the first request and stopped at the end of the run. Whoever shares a server keeps to keys of his own; whoever breaks
 * servers starts some with the `start…` functions instead.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Address } from './sentinel.js';
import type { TlsMaterial } from './standalone.js';

/** What a client needs to connect to each shared topology; plain data, as it crosses a process boundary. */
export interface SharedTopologies {
  readonly standalone: Address & { readonly url: string };
  readonly sentinel: {
    readonly name: string;
    readonly sentinels: readonly Address[];
    readonly servers: readonly Address[];
  };
  readonly cluster: { readonly nodes: readonly Address[] };
  readonly shards: { readonly urls: readonly string[]; readonly nodes: readonly Address[] };
  readonly tls: Address & { readonly url: string; readonly tls: TlsMaterial };
}

export type SharedKind = keyof SharedTopologies;

export type BrokerAnswer = { readonly topology: unknown } | { readonly error: string };

declare module 'vitest' {
  export interface ProvidedContext {
    /** Port of the broker that global-setup.ts opens. */
    readonly topologyBroker: number;
  }
}

async function ask(kind: SharedKind): Promise<unknown> {
  // Loaded late, so that benches and scripts outside vitest can use the rest of this folder.
  const { inject } = await import('vitest');
  const socket = connect({ host: '127.0.0.1', port: inject('topologyBroker') });
  await once(socket, 'connect');
  socket.write(kind);
  const answer = JSON.parse(await text(socket)) as BrokerAnswer;
  if ('error' in answer) throw new Error(`The shared topology "${kind}" did not start: ${answer.error}`);
  return answer.topology;
}

const asked = new Map<SharedKind, Promise<unknown>>();

/** Connection data of a topology shared by the whole run. */
export async function shared<K extends SharedKind>(kind: K): Promise<SharedTopologies[K]> {
  const answer = asked.get(kind) ?? ask(kind);
  asked.set(kind, answer);
  return (await answer) as SharedTopologies[K];
}
