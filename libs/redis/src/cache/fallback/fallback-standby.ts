/** A cache with a fallback put together: Redis under watch, what stands in for it, and the switch between them. */
import { createCodec } from '../../codec/index.js';
import type { RedisClient } from '../../connection/index.js';
import { systemClock } from '../../core/index.js';
import type { CacheSurroundings } from '../cache-engine.js';
import type { CacheKeys } from '../cache.keys.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import { GuardedClient, WatchedClient } from './fallback-clients.js';
import { Journal } from './fallback-journal.js';
import { StandbyMirror } from './fallback-mirror.js';
import { LoaderFailures } from './fallback-loaders.js';
import { FALLBACK_DEFAULTS } from './fallback.options.js';
import { replay, type ReplayParts } from './fallback-replay.js';
import { standbyTiers } from './fallback-store.js';
import { FallbackSwitch } from './fallback-switch.js';

export interface FallbackSurroundings extends CacheSurroundings {
  /** An embedded client of its own, which stands in while `client` is away; without one nothing does. */
  readonly standby?: RedisClient | undefined;
  /** `disconnect()` closes the standby too. @default true */
  readonly ownsStandby?: boolean | undefined;
  /** Changes remembered while Redis is away. @default 10_000 */
  readonly journal?: number | undefined;
}

/** The pair that stands behind all caches of a namespace. */
export interface Pair {
  readonly primary: CacheService;
  readonly standby: CacheService;
  readonly failures: LoaderFailures;
  readonly guarded: GuardedClient;
  readonly journal: Journal;
  readonly power: FallbackSwitch;
  /** Increments of which nobody knows whether Redis has counted them. */
  readonly uncertain: { count: number };
}

export interface PairPlan {
  readonly options: CacheOptions;
  readonly keys: CacheKeys;
  /** Of the caches in use. */
  readonly names: () => readonly string[];
}

export function openPair(surroundings: FallbackSurroundings, client: RedisClient, plan: PairPlan): Pair {
  const { options, keys } = plan;
  const { codec, clock = systemClock } = surroundings;
  const mirror = new StandbyMirror({
    standby: client,
    codec: createCodec(options.codec ?? codec, clock),
    clock,
    prefixes: keys.tracked,
    clockKey: keys.clock,
  });
  const guarded = new GuardedClient(client, keys.clock);
  const watched: WatchedClient = new WatchedClient(surroundings.client, {
    mirror,
    onFailure: (error) => power.failed(error),
  });
  const primary = new CacheService({ ...surroundings, client: watched, isPart: true }, forPrimary(options));
  const standby = openStandin(surroundings, guarded, options);
  const journal = new Journal(surroundings.journal ?? FALLBACK_DEFAULTS.journal);
  const uncertain = { count: 0 };
  const power: FallbackSwitch = openSwitch(surroundings, {
    journal,
    keys,
    mirror,
    guarded,
    client: surroundings.client,
    clock,
    names: plan.names,
    primary: (name) => cacheOf(primary, name),
    standby: (name) => cacheOf(standby, name),
    onDropped: () => void (uncertain.count += 1),
  });
  return { primary, standby, failures: new LoaderFailures(), guarded, journal, power, uncertain };
}

/** Every failure of Redis has to be seen, or nobody would know that something is to stand in for it. */
export function forPrimary(options: CacheOptions): CacheOptions {
  return { ...options, strict: true, onWriteError: 'reject' };
}

export function forStandby(options: CacheOptions): CacheOptions {
  return { ...options, strict: false, onWriteError: 'reject' };
}

function openStandin(
  { namespace, codec, clock, random, ownsStandby }: FallbackSurroundings,
  client: RedisClient,
  options: CacheOptions,
): CacheService {
  return new CacheService(
    {
      client,
      namespace,
      codec,
      clock,
      random,
      tiers: standbyTiers,
      ownsClient: ownsStandby ?? true,
      isPart: true,
    },
    forStandby(options),
  );
}

function openSwitch(
  { client, random }: FallbackSurroundings,
  parts: ReplayParts & { readonly mirror: StandbyMirror; readonly guarded: GuardedClient },
): FallbackSwitch {
  const { journal, mirror, guarded, clock, keys } = parts;
  return new FallbackSwitch({
    name: client.name,
    client,
    probeKey: keys.clock,
    clock,
    random,
    isSettled: () => journal.size === 0,
    isShort: () => journal.short,
    replay: () => replay(parts),
    begin: () => {
      mirror.pause();
      guarded.takeCharge();
    },
    end: async () => {
      await guarded.stepDown();
      mirror.resume();
    },
  });
}

/** The caches themselves have made those with a name. */
function cacheOf(from: CacheService, name: string): CacheService {
  return name === from.name ? from : from.namespace(name);
}
