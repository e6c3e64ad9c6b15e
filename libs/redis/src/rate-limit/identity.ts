/** Who is counted: the subject of a rule for one call. */
import { createHash } from 'node:crypto';
import type { Key } from '../connection/index.js';
import type { RateLimitCall } from './rate-limit-call.js';
import type { LimitBy, RateLimitIdentify, RateLimitRule } from './rate-limit.rules.js';

type Name = string | number | undefined;

export class Identity {
  readonly #identify: RateLimitIdentify;

  constructor(identify: RateLimitIdentify = {}) {
    this.#identify = identify;
  }

  /** Undefined when the rule does not count those it finds nobody for. */
  async subjectOf(
    { by = 'ip', anonymous = 'ip' }: RateLimitRule,
    call: RateLimitCall,
  ): Promise<Key | undefined> {
    if (by === 'ip') return ['ip', call.ip];
    const found = typeof by === 'function' ? await by(call) : this.#named(by, call);
    if (found !== undefined && found !== null && found !== '') return found;
    return anonymous === 'skip' ? undefined : ['ip', call.ip];
  }

  #named(by: Exclude<LimitBy, 'ip' | ((...args: never) => unknown)>, call: RateLimitCall): Key | undefined {
    const { user = userOf, apiKey = apiKeyOf, tenant = tenantOf } = this.#identify;
    const name = { user, apiKey, tenant }[by](call);
    if (!isName(name)) return undefined;
    // A key is a secret, and what stands in Redis is read by others.
    return by === 'apiKey' ? ['key', digestOf(String(name))] : [by, name];
  }
}

function userOf({ user }: RateLimitCall): Name {
  return isName(user) ? user : firstName(user, ['id', 'sub', 'userId']);
}

function tenantOf({ user, request }: RateLimitCall): Name {
  return (
    firstName(user, ['tenantId']) ?? firstName(request, ['tenantId']) ?? firstName(request['tenant'], ['id'])
  );
}

function apiKeyOf(call: RateLimitCall): Name {
  return call.header('x-api-key');
}

function firstName(owner: unknown, fields: readonly string[]): Name {
  if (typeof owner !== 'object' || owner === null) return undefined;
  return fields.map((field): unknown => Reflect.get(owner, field)).find(isName);
}

function isName(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || (typeof value === 'number' && Number.isFinite(value));
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url').slice(0, 32);
}
