/** Stages that several rows use. */
import {
  startFaultProxy,
  startStandalone,
  type FaultProxy,
  type Standalone,
  type StandaloneOptions,
} from '../topology/index.js';
import type { RunSettings, Stage } from './fault-row.js';
import { PLANTED_PASSWORD } from './planted-secrets.js';
import type { Target } from './subject.js';

export interface ServerStage extends Stage {
  readonly server: Standalone;
}

export interface ProxyStage extends ServerStage {
  readonly proxy: FaultProxy;
}

/** One server with a password, reached directly. */
export async function serverStage(options: StandaloneOptions = {}): Promise<ServerStage> {
  const server = await startStandalone({ password: PLANTED_PASSWORD, ...options });
  return {
    server,
    target: targetOf(server, server.port),
    servers: [server.process],
    stop: () => server.stop(),
  };
}

/** One server with a password behind the fault proxy. */
export async function proxyStage(
  { seed }: RunSettings,
  options: StandaloneOptions = {},
): Promise<ProxyStage> {
  const server = await startStandalone({ password: PLANTED_PASSWORD, ...options });
  const proxy = await startFaultProxy({ to: server, seed });
  return {
    server,
    proxy,
    target: targetOf(server, proxy.port),
    servers: [server.process],
    stop: async () => {
      await proxy.stop();
      await server.stop();
    },
  };
}

function targetOf({ host, username, password, tls }: Standalone, port: number): Target {
  return {
    kind: 'standalone',
    host,
    port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: { ca: tls.ca } }),
  };
}
