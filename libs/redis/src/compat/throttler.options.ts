/** Options of `ThrottlerModule`, as `@nestjs/throttler` has them; all times in milliseconds. */
import type { ThrottlerStorage, ThrottlerStorageRecord } from './throttler-storage.js';

/** Of the call that is judged, as much as these options may ask; Nest's `ExecutionContext` is one. */
interface ThrottlerContext {
  getClass(): { readonly name: string };
  getHandler(): { readonly name: string };
}

export type Resolvable<T, Context = ThrottlerContext> = T | ((context: Context) => T | Promise<T>);

export type ThrottlerGetTrackerFunction<Context = ThrottlerContext> = (
  request: Record<string, unknown>,
  context: Context,
) => string | Promise<string>;

export type ThrottlerGenerateKeyFunction<Context = ThrottlerContext> = (
  context: Context,
  tracker: string,
  throttlerName: string,
) => string;

/** What may stand at one throttler, and for all of them together. */
interface Shared<Context> {
  /** Who asks with such a `User-Agent` is not counted. */
  ignoreUserAgents?: RegExp[] | undefined;
  skipIf?: ((context: Context) => boolean) | undefined;
  getTracker?: ThrottlerGetTrackerFunction<Context> | undefined;
  generateKey?: ThrottlerGenerateKeyFunction<Context> | undefined;
  /** @default true */
  setHeaders?: boolean | undefined;
}

export interface ThrottlerOptions<Context = ThrottlerContext> extends Shared<Context> {
  /** @default 'default' */
  name?: string | undefined;
  limit: Resolvable<number, Context>;
  ttl: Resolvable<number, Context>;
  /** 0 for not beyond the window. @default the ttl */
  blockDuration?: Resolvable<number, Context> | undefined;
}

/** What `@Throttle` may say of one throttler. */
export type ThrottlerRouteOptions<Context = ThrottlerContext> = Partial<
  Pick<ThrottlerOptions<Context>, 'limit' | 'ttl' | 'blockDuration' | 'getTracker' | 'generateKey'>
>;

export interface ThrottlerLimitDetail extends ThrottlerStorageRecord {
  ttl: number;
  limit: number;
  key: string;
  tracker: string;
}

export interface ThrottlerModuleSettings<Context = ThrottlerContext> extends Shared<Context> {
  throttlers: ThrottlerOptions<Context>[];
  errorMessage?: string | ((context: Context, detail: ThrottlerLimitDetail) => string) | undefined;
  /** @default a `RedisThrottlerStorage` on the default connection of RedisModule */
  storage?: ThrottlerStorage | undefined;
  /** How much of an IPv6 address is one client. @default 64 */
  ipv6SubnetPrefix?: number | undefined;
}

export type ThrottlerModuleOptions<Context = ThrottlerContext> =
  ThrottlerOptions<Context>[] | ThrottlerModuleSettings<Context>;

export function settingsOf<Context>(
  options: ThrottlerModuleOptions<Context>,
): ThrottlerModuleSettings<Context> {
  return Array.isArray(options) ? { throttlers: options } : options;
}

export const seconds = (howMany: number): number => howMany * 1_000;
export const minutes = (howMany: number): number => howMany * 60_000;
export const hours = (howMany: number): number => howMany * 3_600_000;
export const days = (howMany: number): number => howMany * 86_400_000;
export const weeks = (howMany: number): number => howMany * 604_800_000;
