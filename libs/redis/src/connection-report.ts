/** Says what the application runs on, and then one line per change: never one per call. */
import type { RedisConfig } from './config/index.js';
import type { ConnectionRegistry, ResolvedConnection } from './connection/index.js';
import type { LineLogger } from './monitoring/index.js';

export type ReportLogger = Pick<LineLogger, 'log' | 'warn'>;

/** Logs the boot line of each connection, then its losses and returns; the function stops it. */
export function reportConnections(
  config: RedisConfig,
  registry: ConnectionRegistry,
  logger: ReportLogger,
): () => void {
  for (const warning of config.warnings) logger.warn(warning);
  const connections = [config.defaultConnection, ...config.connections.values()];
  const stops = connections.flatMap((connection) => {
    const { name, topology } = connection;
    logger.log(bootLine(connection, config.source), { event: 'connection', connection: name, topology });
    return connection.topology === 'embedded' ? [] : [followChanges(connection, registry, logger)];
  });
  return () => stops.forEach((stop) => stop());
}

function bootLine(connection: ResolvedConnection, source: string): string {
  const { name, topology, addresses } = connection;
  if (topology === 'embedded') {
    return (
      `'${name}' runs embedded: data lives in this process only, is gone at exit, and is bounded to ` +
      `${connection.embedded.maxEntries} entries. Set REDIS_URL to use a server.`
    );
  }
  const places = addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
  const from = name === 'default' ? ` (from ${source})` : '';
  return `'${name}' uses ${topology} Redis at ${places}${from}`;
}

function followChanges(
  connection: ResolvedConnection,
  registry: ConnectionRegistry,
  logger: ReportLogger,
): () => void {
  const { name } = connection;
  const client = registry.get(name).port;
  const lost = new Set<string>();
  const stops = [
    client.on('lost', ({ node, reason }) => {
      if (lost.has(node)) return;
      lost.add(node);
      const fields = { event: 'connection.lost', connection: name, node, reason };
      logger.warn(`'${name}' lost ${node}: ${reason}. It is tried again until it answers.`, fields);
    }),
    client.on('ready', ({ node }) => {
      if (!lost.delete(node)) return;
      const fields = { event: 'connection.ready', connection: name, node };
      logger.log(`'${name}' is connected to ${node} again`, fields);
    }),
    client.on('topology', ({ reason }) => {
      const fields = { event: 'connection.topology', connection: name, reason };
      logger.log(`'${name}' follows a change of topology: ${reason}`, fields);
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
