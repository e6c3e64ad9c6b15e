/** What the console shows, out of the capabilities of one configuration; and its messages, by pub/sub. */
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { CacheKeys, SlotTable, type CacheContract, type Explanation } from './cache/index.js';
import { configRows } from './console-config.js';
import type {
  CacheRef,
  ConsoleSource,
  Fact,
  FleetLine,
  Happening,
  KeyList,
  KeyReading,
  ShardRemoval,
} from './console/index.js';
import type { Engines } from './engines.js';

const CHANNEL = 'anbar.console';
const SLOTS = 16_384;
/** Names of whatever kind that one question looks at. */
const MOST_LOOKED = 20_000;
const SHOWN = { depth: 8, maxArrayLength: 200, maxStringLength: 4_096, breakLength: 100 } as const;

export function wireConsole(engines: Engines): ConsoleSource {
  const { config, sharded, stats } = engines;
  return {
    namespace: config.namespace,
    production: config.production,
    stats,
    fleet: fleetOf(engines),
    onHappening: (listener) => follow(engines, listener),
    explain: async (ref, key) => {
      const explanation = await cacheOf(engines, ref).explain(keyOf(engines, ref, key));
      return toReading(explanation);
    },
    value: async (ref, key) => {
      const value = await cacheOf(engines, ref).get(keyOf(engines, ref, key));
      return value === undefined ? undefined : inspect(value, SHOWN);
    },
    keys: (ref, prefix, most) => listKeys(engines, ref, { prefix, most }),
    shardOf: (key) => sharded.shardFor(key),
    removal: (id) => removalOf(engines, id),
    config: () => configRows(config),
    versions: () => versionsOf(engines),
  };
}

/** One that is there already: the console has looked it up among the stats. */
function cacheOf({ cache, fallback, sharded }: Engines, { kind, name }: CacheRef): CacheContract {
  const caches: ReadonlyMap<string, CacheContract> = { cache, fallback, sharded }[kind].caches;
  return caches.get(name) ?? cache;
}

/** A name as it stands in Redis is taken apart again, or its escapes would be escaped. */
function keyOf({ config }: Engines, { name }: CacheRef, key: string): string | string[] {
  const family = `${new CacheKeys(config.namespace, name).valuePrefix}{`;
  if (!key.startsWith(family) || !key.endsWith('}')) return key;
  return key.slice(family.length, -1).split(':').map(unescaped);
}

function unescaped(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function toReading(explanation: Explanation & { readonly shard?: string }): KeyReading {
  const { key, state, why, tier, ageMs, ttlMs, loadMs, negative, shard, tags, lease } = explanation;
  return { key, state, why, tier, ageMs, ttlMs, loadMs, negative, shard, tags, lease };
}

async function listKeys(
  { config, adapter }: Engines,
  { kind, name }: CacheRef,
  { prefix, most }: { prefix: string; most: number },
): Promise<KeyList | undefined> {
  if (kind === 'sharded') return undefined;
  const names = new CacheKeys(config.namespace, name);
  const { match, holds } = names.valuesUnder(prefix === '' ? undefined : prefix);
  const before = `${names.valuePrefix}{`;
  const keys: string[] = [];
  let looked = 0;
  for await (const batch of adapter.port.scan({ match, count: 1_000 })) {
    looked += batch.length;
    keys.push(...batch.filter(holds).map((key) => key.slice(before.length, -1)));
    if (keys.length > most || looked >= MOST_LOOKED) break;
  }
  const complete = keys.length <= most && looked < MOST_LOOKED;
  return { before, after: '}', keys: keys.slice(0, most).toSorted(), looked, complete };
}

/** Slots of the others stay where they are, so what moves is what it has. */
function removalOf({ sharded }: Engines, id: string): ShardRemoval | undefined {
  const { shards } = sharded.status();
  const gone = shards[id];
  const shares = Object.entries(shards).map(([each, { weight }]) => ({ id: each, weight }));
  const staying = shares.filter((share) => share.id !== id && share.weight > 0);
  if (gone === undefined || staying.length === 0) return undefined;
  const after = SlotTable.of(shares.filter(({ weight }) => weight > 0))
    .with(staying)
    .counts();
  return {
    without: id,
    moved: gone.slots / SLOTS,
    shares: staying.map((share) => ({
      id: share.id,
      before: (shards[share.id]?.slots ?? 0) / SLOTS,
      after: (after.get(share.id) ?? 0) / SLOTS,
    })),
  };
}

/** What telemetry does not tell, or tells on the channel of every hit, which nobody here listens to. */
function follow(
  { registry, fallback, sharded }: Engines,
  listener: (happening: Happening) => void,
): () => void {
  const stops = registry.names.flatMap((name) => {
    const { port } = registry.get(name);
    return [
      port.on('breaker', ({ node, kind, from, to }) =>
        listener({ kind: 'breaker', subject: name, text: `${node}, ${kind}: ${from} → ${to}` }),
      ),
      port.on('topology', ({ reason }) => listener({ kind: 'topology', subject: name, text: reason })),
    ];
  });
  stops.push(
    fallback.onStateChange(({ from, to, reason }) =>
      listener({ kind: 'fallback', subject: 'fallback', text: `${from} → ${to}: ${reason}` }),
    ),
    sharded.onChange((event) => {
      const { name, ...facts } = event;
      const subject = 'shard' in event ? event.shard : 'shards';
      const told = Object.entries(facts).map(([fact, value]) => `${fact} ${String(value)}`);
      listener({ kind: 'shards', subject, text: [name, ...told].join(', ') });
    }),
  );
  return () => stops.forEach((stop) => stop());
}

/** To whoever listens now: an answer that comes later answers nobody. */
function fleetOf({ pubsub, adapter }: Engines): FleetLine {
  return {
    async send(text) {
      const { receivers } = await pubsub.publish<string>(CHANNEL, text, { mode: 'pubsub' });
      // A node of a cluster counts those that are connected to it, and not the others.
      return adapter.port.topology === 'cluster' ? undefined : receivers;
    },
    listen(receive) {
      const stream = pubsub.listen<unknown>(CHANNEL, { mode: 'pubsub' }, true);
      const pump = async (): Promise<void> => {
        for await (const { data } of stream) if (typeof data === 'string') receive(data);
      };
      // What ends it is the end of pub/sub, or a mode that this server does not know: then others are missing.
      pump().catch(() => undefined);
      return () => void stream.return();
    },
  };
}

async function versionsOf({ adapter }: Engines): Promise<readonly Fact[]> {
  const { platform, arch, versions } = process;
  return [
    { name: '@anbar/nestjs-redis', value: versionOf('@anbar/nestjs-redis') },
    { name: 'Redis', value: await serverVersion(adapter) },
    { name: 'ioredis', value: versionOf('ioredis') },
    { name: '@nestjs/core', value: versionOf('@nestjs/core') },
    { name: 'Node', value: versions.node },
    { name: 'platform', value: `${platform} ${arch}` },
  ];
}

async function serverVersion({ port }: Engines['adapter']): Promise<string> {
  try {
    const info = await port.command<string>('INFO', ['server']);
    const [, version = 'not told'] = /^(?:redis|valkey)_version:(\S+)/mu.exec(info) ?? [];
    return port.topology === 'embedded' ? `embedded, as ${version}` : version;
  } catch {
    return 'not known, as it does not answer';
  }
}

function versionOf(name: string): string {
  try {
    const manifest: unknown = createRequire(import.meta.url)(`${name}/package.json`);
    return String(Reflect.get(Object(manifest), 'version'));
  } catch {
    return 'not known';
  }
}
