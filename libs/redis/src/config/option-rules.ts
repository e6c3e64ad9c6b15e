/**
 * The options as classes that class-validator knows: one per block, one line per option. `implements
 * Record<keyof …>` makes an option that is added to the types and forgotten here a compile error.
 */
import { IsDefined, ValidateBy } from 'class-validator';
import type { L1Options, LoadTimeoutOptions } from '../cache/index.js';
import type { ConnectionOptions, EmbeddedOptions, PoolOptions, TlsOptions } from '../connection/index.js';
import type { HealthOptions } from '../monitoring/index.js';
import type { CacheModuleOptions, RedisModuleOptions } from '../redis.options.js';
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
}

class HealthRules implements Rules<HealthOptions> {
  @Must(rule.positiveDuration) timeout: unknown;
  @Must(rule.duration) cacheFor: unknown;
  @Must(rule.positiveDuration) slow: unknown;
  @Must(rule.oneOf('read', 'write')) probe: unknown;
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

export class ModuleRules extends ConnectionRules implements Rules<RedisModuleOptions> {
  @Must(rule.namespace) namespace: unknown;
  @Must(block) connections: unknown;
  @Must(block) cache: unknown;
  /** What is in it is judged by the codec itself, which knows key material from text. */
  @Must(block) codec: unknown;
  @Must(block) health: unknown;
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
  loadTimeout: LoadTimeoutRules,
  health: HealthRules,
};
