/**
 * The options as classes that class-validator knows: one per block, one line per option. `implements
 * Record<keyof …>` makes an option that is added to the types and forgotten here a compile error.
 */
import { IsDefined, ValidateBy } from 'class-validator';
import type { FallbackOptions, L1Options, LoadTimeoutOptions, ShardOptions } from '../cache/index.js';
import type { ConnectionOptions, EmbeddedOptions, PoolOptions, TlsOptions } from '../connection/index.js';
import type { LockOptions } from '../lock/index.js';
import type { PubSubOptions } from '../pubsub/index.js';
import type { TaskOptions } from '../tasks/index.js';
import type { SessionCookieOptions, SessionOptions } from '../session/index.js';
import type { HttpCacheOptions } from '../http-cache/index.js';
import type { CleanupOptions } from '../cleanup/index.js';
import type { HealthOptions, MetricsOptions } from '../monitoring/index.js';
import type { CacheModuleOptions, RedisModuleOptions } from '../redis.options.js';
import type { DenialMemoryOptions, RateLimitOptions } from '../rate-limit/index.js';
import type { BreakerOptions, RetryOptions } from '../resilience/index.js';
import * as rule from './rule.js';

type Rules<Options> = Record<keyof Options, unknown>;

/** The name of our one constraint; the other that can turn up is class-validator's `isDefined`. */
export const RULE = 'rule';

/** One rule as a decorator of class-validator; its hint travels as the context of the constraint. */
function Must(wanted: rule.Rule): PropertyDecorator {
  return ValidateBy(
    {
      name: RULE,
      validator: {
        validate: (value: unknown) => wanted.holds(value),
        defaultMessage: (subject) => rule.problemWith(wanted, subject?.value),
      },
    },
    { context: { hint: wanted.hint } },
  );
}

function Required(hint: string): PropertyDecorator {
  return IsDefined({ message: 'is missing', context: { hint } });
}

export function isBlock(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const NODES_HINT = "a list such as ['10.0.0.1:6379', '10.0.0.2:6379']";

// Blocks and lists count as secret: a text in their place may be a key or a URL with a password.
const block: rule.Rule = { holds: isBlock, wanted: 'an object with options', secret: true };
const blockOrFalse: rule.Rule = {
  holds: (value) => value === false || isBlock(value),
  wanted: 'an object with options, or false',
  secret: true,
};
const blockOrBoolean: rule.Rule = {
  holds: (value) => typeof value === 'boolean' || isBlock(value),
  wanted: 'true, false or an object with options',
  secret: true,
};
const list: rule.Rule = {
  holds: (value) => Array.isArray(value) && value.length > 0,
  wanted: 'a list with at least one address',
  hint: NODES_HINT,
  secret: true,
};
/** Key material: Node takes texts, bytes and lists of them; it is never shown. */
const material: rule.Rule = {
  holds: (value) =>
    rule.text.holds(value) ||
    value instanceof Uint8Array ||
    (Array.isArray(value) && value.length > 0 && value.every((each) => isMaterial(each))),
  wanted: 'PEM text or bytes',
  secret: true,
};

/** `true` is refused: it would let every client choose its own address. */
const proxies: rule.Rule = {
  holds: (value) =>
    value === false || rule.whole.holds(value) || rule.text.holds(value) || Array.isArray(value),
  wanted: "false, a number of proxies, or their addresses ('private', ['10.0.0.0/8'])",
};
const headersMode: rule.Rule = {
  holds: (value) => value === false || ['draft', 'legacy', 'both'].some((mode) => mode === value),
  wanted: "'draft', 'legacy', 'both' or false",
};
const rules: rule.Rule = { holds: Array.isArray, wanted: 'a list of rules' };

function isMaterial(value: unknown): boolean {
  return isBlock(value) || rule.text.holds(value);
}

class PoolRules implements Rules<PoolOptions> {
  @Must(rule.count) size: unknown;
  @Must(rule.count) maxInFlight: unknown;
  @Must(rule.whole) maxWaiting: unknown;
}

class RetryRules implements Rules<RetryOptions> {
  @Must(rule.count) attempts: unknown;
  @Must(rule.share) budget: unknown;
  @Must(rule.duration) baseDelay: unknown;
  @Must(rule.duration) maxDelay: unknown;
}

class BreakerRules implements Rules<BreakerOptions> {
  @Must(rule.positiveShare) failureRate: unknown;
  @Must(rule.count) minimumCalls: unknown;
  @Must(rule.positiveDuration) window: unknown;
  @Must(rule.count) consecutiveFailures: unknown;
  @Must(rule.duration) slowCall: unknown;
  @Must(rule.positiveShare) slowRate: unknown;
  @Must(rule.positiveDuration) openFor: unknown;
  @Must(rule.positiveDuration) maxOpenFor: unknown;
  @Must(rule.count) probes: unknown;
}

class EmbeddedRules implements Rules<EmbeddedOptions> {
  @Must(rule.count) maxEntries: unknown;
  @Must(rule.count) maxBytes: unknown;
}

class TlsRules implements Rules<TlsOptions> {
  @Must(material) ca: unknown;
  @Must(material) cert: unknown;
  @Must(material) key: unknown;
  @Must({ ...rule.text, secret: true }) passphrase: unknown;
  @Must(rule.host) servername: unknown;
  @Must(rule.boolean) rejectUnauthorized: unknown;
  @Must(rule.oneOf('TLSv1.3', 'TLSv1.2', 'TLSv1.1', 'TLSv1')) minVersion: unknown;
  @Must(rule.text) ciphers: unknown;
}

class ClusterRules implements Rules<NonNullable<ConnectionOptions['cluster']>> {
  @Required(NODES_HINT) @Must(list) nodes: unknown;
}

class SentinelRules implements Rules<NonNullable<ConnectionOptions['sentinel']>> {
  @Required("the name the sentinels know the primary by, often 'mymaster'") @Must(rule.text) name: unknown;
  @Required(NODES_HINT) @Must(list) nodes: unknown;
  @Must(rule.text) username: unknown;
  @Must(rule.password) password: unknown;
  @Must(blockOrBoolean) tls: unknown;
}

class L1Rules implements Rules<L1Options> {
  @Must(rule.count) maxEntries: unknown;
  @Must(rule.count) maxBytes: unknown;
  @Must(rule.positiveDuration) ttl: unknown;
  @Must(rule.oneOf('frozen', 'copy', 'shared')) isolation: unknown;
  @Must(rule.oneOf('auto', 'tracking', 'bus')) sync: unknown;
  @Must(rule.positiveDuration) busTtl: unknown;
}

class FallbackRules implements Rules<FallbackOptions> {
  @Must(rule.count) maxEntries: unknown;
  @Must(rule.count) maxBytes: unknown;
  @Must(rule.whole) journal: unknown;
}

class LoadTimeoutRules implements Rules<LoadTimeoutOptions> {
  @Must(rule.positiveDuration) soft: unknown;
  @Must(rule.ttl) hard: unknown;
}

class CacheRules implements Rules<CacheModuleOptions> {
  @Must(rule.ttl) ttl: unknown;
  @Must(rule.duration) stale: unknown;
  @Must(rule.duration) staleOnError: unknown;
  @Must(rule.positiveDuration) retryAfter: unknown;
  @Must(rule.positiveDuration) negativeTtl: unknown;
  @Must(rule.share) jitter: unknown;
  @Must(rule.boolean) earlyRefresh: unknown;
  @Must(block) loadTimeout: unknown;
  @Must(rule.count) maxLoads: unknown;
  @Must(rule.positiveDuration) lease: unknown;
  @Must(rule.boolean) strict: unknown;
  @Must(rule.oneOf('reject', 'ignore')) onWriteError: unknown;
  @Must(rule.whole) schema: unknown;
  @Must(blockOrFalse) l1: unknown;
  @Must(rule.boolean) log: unknown;
}

class HttpCacheRules implements Rules<HttpCacheOptions> {
  @Must({ holds: (value) => typeof value === 'function', wanted: 'a function' }) principal: unknown;
  @Must(block) credentials: unknown;
  @Must(rule.oneOf('ignore', 'honour')) requestDirectives: unknown;
  @Must(rule.count) maxBytes: unknown;
}

class SessionCookieRules implements Rules<SessionCookieOptions> {
  @Must(rule.text) name: unknown;
  @Must({ holds: (value) => typeof value === 'boolean' || value === 'auto', wanted: "true, false or 'auto'" })
  secure: unknown;
  @Must(rule.oneOf('lax', 'strict', 'none')) sameSite: unknown;
  @Must(rule.text) path: unknown;
  @Must(rule.text) domain: unknown;
  @Must(rule.boolean) transient: unknown;
}

class LockRules implements Rules<LockOptions> {
  @Must(rule.positiveDuration) ttl: unknown;
  @Must({
    holds: (value) => value === 'forever' || rule.duration.holds(value),
    wanted: "a duration, or 'forever'",
    hint: rule.duration.hint,
  })
  wait: unknown;
  @Must(rule.oneOf('any', 'fifo')) order: unknown;
  @Must(rule.boolean) renew: unknown;
  @Must(rule.oneOf('refuse', 'join')) reentry: unknown;
}

class PubSubRules implements Rules<Omit<PubSubOptions, 'codec'>> {
  @Must(rule.oneOf('pubsub', 'sharded', 'stream', 'group')) mode: unknown;
  @Must(rule.count) maxLength: unknown;
  @Must(rule.positiveDuration) retention: unknown;
  @Must(block) channels: unknown;
  @Must(rule.count) buffer: unknown;
  @Must(rule.count) bufferBytes: unknown;
  @Must(rule.oneOf('dropOldest', 'dropNewest', 'error')) overflow: unknown;
  @Must(rule.positiveDuration) redeliverAfter: unknown;
  @Must(rule.count) maxDeliveries: unknown;
}

class SessionRules implements Rules<SessionOptions> {
  @Must(rule.positiveDuration) idle: unknown;
  @Must(rule.ttl) absolute: unknown;
  @Must({
    holds: (value) => value === 'unlimited' || rule.count.holds(value),
    wanted: "a whole number from 1, or 'unlimited'",
  })
  maxPerUser: unknown;
  @Must(rule.oneOf('evict', 'refuse')) onTooMany: unknown;
  @Must(rule.oneOf('merge', 'refuse')) conflict: unknown;
  @Must(rule.positiveDuration) rotationGrace: unknown;
  @Must(block) cookie: unknown;
}

class TaskRules implements Rules<TaskOptions> {
  @Must({
    holds: (value) => typeof value === 'string' && /^[\w.-]{1,100}$/u.test(value),
    wanted: 'a name of letters, digits, - _ and .',
  })
  queue: unknown;
  @Must(rule.count) concurrency: unknown;
  @Must(rule.count) attempts: unknown;
  @Must({
    holds: (value) => rule.duration.holds(value) || isBlock(value),
    wanted: 'a duration, or { delay, type }',
  })
  backoff: unknown;
  @Must(rule.count) keepCompleted: unknown;
  @Must(rule.count) keepFailed: unknown;
  @Must(rule.positiveDuration) lease: unknown;
  @Must(rule.duration) drain: unknown;
}

class CleanupRules implements Rules<CleanupOptions> {
  @Must(rule.positiveDuration) every: unknown;
  @Must(rule.count) budgetPerSecond: unknown;
  @Must(rule.positiveDuration) maxLatency: unknown;
  @Must(rule.boolean) dryRun: unknown;
  @Must(rule.positiveDuration) progressEvery: unknown;
}

class HealthRules implements Rules<HealthOptions> {
  @Must(rule.positiveDuration) timeout: unknown;
  @Must(rule.duration) cacheFor: unknown;
  @Must(rule.positiveDuration) slow: unknown;
  @Must(rule.oneOf('read', 'write')) probe: unknown;
}

class MetricsRules implements Rules<MetricsOptions> {
  @Must(rule.text) prefix: unknown;
  @Must(block) groups: unknown;
  @Must(rule.count) labelLimit: unknown;
  @Must(rule.positiveDuration) timeout: unknown;
}

class DenialRules implements Rules<DenialMemoryOptions> {
  @Must(rule.count) maxEntries: unknown;
  @Must(rule.duration) longest: unknown;
}

class RateLimitRules implements Rules<RateLimitOptions> {
  @Must(rule.oneOf('local', 'open', 'closed')) onStoreError: unknown;
  @Must(rule.count) replicas: unknown;
  @Must(rule.positiveDuration) timeout: unknown;
  @Must(blockOrFalse) denials: unknown;
  @Must(proxies) trustProxy: unknown;
  @Must(rule.whole) ipv6Prefix: unknown;
  @Must(headersMode) headers: unknown;
  /** What is in these three is judged by the limiter itself: rules hold functions. */
  @Must(block) identify: unknown;
  @Must(rules) limits: unknown;
  @Must(block) endpoints: unknown;
}

export class ConnectionRules implements Rules<ConnectionOptions> {
  /** Its form is judged where it is taken apart; here only that it is a text. */
  @Must({ ...rule.text, secret: true }) url: unknown;
  @Must(rule.host) host: unknown;
  @Must(rule.port) port: unknown;
  @Must(rule.text) username: unknown;
  @Must(rule.password) password: unknown;
  @Must(rule.database) db: unknown;
  @Must(blockOrBoolean) tls: unknown;
  @Must(rule.topology) topology: unknown;
  @Must(block) cluster: unknown;
  @Must(block) sentinel: unknown;
  @Must(rule.readFrom) readFrom: unknown;
  @Must(rule.connect) connect: unknown;
  @Must(rule.positiveDuration) timeout: unknown;
  @Must(rule.positiveDuration) connectTimeout: unknown;
  @Must(block) pool: unknown;
  @Must(blockOrFalse) retry: unknown;
  @Must(blockOrFalse) breaker: unknown;
  @Must(rule.positiveDuration) heartbeat: unknown;
  @Must(rule.boolean) integrity: unknown;
  @Must(rule.boolean) coalesce: unknown;
  @Must(rule.ttl) defaultTtl: unknown;
  @Must(block) embedded: unknown;
}

export class ShardRules extends ConnectionRules implements Rules<ShardOptions> {
  @Must(rule.weight) weight: unknown;
}

export class ModuleRules extends ConnectionRules implements Rules<RedisModuleOptions> {
  @Must(rule.namespace) namespace: unknown;
  @Must(block) connections: unknown;
  @Must(block) shards: unknown;
  @Must(rule.positiveDuration) shardLease: unknown;
  @Must(block) cache: unknown;
  /** What is in these two is judged by the cache itself: one has names of its own, the other functions. */
  @Must(block) caches: unknown;
  @Must(block) contexts: unknown;
  @Must(block) httpCache: unknown;
  @Must(block) fallback: unknown;
  /** What is in it is judged by the codec itself, which knows key material from text. */
  @Must(block) codec: unknown;
  @Must(block) rateLimit: unknown;
  @Must(block) session: unknown;
  @Must(block) tasks: unknown;
  @Must(block) lock: unknown;
  @Must(block) pubsub: unknown;
  @Must(block) health: unknown;
  @Must(rule.boolean) tracing: unknown;
  @Must(rule.boolean) logFields: unknown;
  @Must(blockOrFalse) cleanup: unknown;
  @Must(blockOrFalse) metrics: unknown;
}

export type RulesClass = new () => object;

/** An option of this name holds a block of its own, wherever it stands. */
export const BLOCKS: Readonly<Record<string, RulesClass>> = {
  pool: PoolRules,
  retry: RetryRules,
  breaker: BreakerRules,
  embedded: EmbeddedRules,
  tls: TlsRules,
  cluster: ClusterRules,
  sentinel: SentinelRules,
  cache: CacheRules,
  l1: L1Rules,
  fallback: FallbackRules,
  loadTimeout: LoadTimeoutRules,
  rateLimit: RateLimitRules,
  denials: DenialRules,
  session: SessionRules,
  tasks: TaskRules,
  lock: LockRules,
  pubsub: PubSubRules,
  cookie: SessionCookieRules,
  health: HealthRules,
  cleanup: CleanupRules,
  metrics: MetricsRules,
  httpCache: HttpCacheRules,
};
