/** `ThrottlerGuard` as `@nestjs/throttler` has it, to be used as it is or extended. */
import { createHash } from 'node:crypto';
import {
  HttpException,
  HttpStatus,
  Inject,
  Injectable,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { networkOf, parseIp } from '../rate-limit/index.js';
import { CompatError } from './compat.errors.js';
import type { ThrottlerStorage } from './throttler-storage.js';
import { THROTTLER, THROTTLER_OPTIONS, THROTTLER_STORAGE } from './throttler.decorator.js';
import {
  settingsOf,
  type Resolvable,
  type ThrottlerGenerateKeyFunction,
  type ThrottlerGetTrackerFunction,
  type ThrottlerLimitDetail,
  type ThrottlerModuleOptions,
  type ThrottlerModuleSettings,
  type ThrottlerOptions,
} from './throttler.options.js';

const MESSAGE = 'ThrottlerException: Too Many Requests';
const IPV6_PREFIX = 64;

export class ThrottlerException extends HttpException {
  constructor(message: string = MESSAGE) {
    super(message, HttpStatus.TOO_MANY_REQUESTS);
  }
}

type Request = Record<string, unknown>;

/** What sets a header, of Express and of Fastify. */
interface Response {
  header?(name: string, value: unknown): unknown;
  setHeader?(name: string, value: unknown): unknown;
}

/** One request before one throttler. */
export interface ThrottlerRequest {
  context: ExecutionContext;
  limit: number;
  ttl: number;
  throttler: ThrottlerOptions<ExecutionContext>;
  blockDuration: number;
  getTracker: ThrottlerGetTrackerFunction<ExecutionContext>;
  generateKey: ThrottlerGenerateKeyFunction<ExecutionContext>;
}

@Injectable()
export class ThrottlerGuard implements CanActivate {
  protected headerPrefix = 'X-RateLimit';
  protected readonly options: ThrottlerModuleOptions<ExecutionContext>;
  protected readonly storageService: ThrottlerStorage;
  protected readonly reflector: Reflector;
  readonly #settings: ThrottlerModuleSettings<ExecutionContext>;

  constructor(
    @Inject(THROTTLER_OPTIONS) options: ThrottlerModuleOptions<ExecutionContext>,
    @Inject(THROTTLER_STORAGE) storageService: ThrottlerStorage,
    @Inject(Reflector) reflector: Reflector,
  ) {
    this.options = options;
    this.storageService = storageService;
    this.reflector = reflector;
    this.#settings = settingsOf(options);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (await this.shouldSkip(context)) return true;
    for (const throttler of inOrder(this.#settings.throttlers)) {
      const request = await this.#requestOf(context, throttler);
      if (request !== undefined && !(await this.handleRequest(request))) return false;
    }
    return true;
  }

  protected shouldSkip(_context: ExecutionContext): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** @throws ThrottlerException */
  protected async handleRequest(request: ThrottlerRequest): Promise<boolean> {
    const { context, limit, ttl, throttler, blockDuration, getTracker, generateKey } = request;
    const { req, res } = this.getRequestResponse(context);
    if (this.#ignores(throttler, req)) return true;
    const { name = 'default' } = throttler;
    const tracker = await getTracker(req, context);
    const key = generateKey(context, tracker, name);
    const record = await this.storageService.increment(key, ttl, limit, blockDuration, name);
    const headers = throttler.setHeaders ?? this.#settings.setHeaders ?? true;
    const set = (header: string, value: number): void => {
      if (headers) setHeader(res, header, value);
    };
    const suffix = name === 'default' ? '' : `-${name}`;
    if (record.isBlocked) {
      set(`Retry-After${suffix}`, record.timeToBlockExpire);
      // The one with a name is of no use to any client.
      set('Retry-After', record.timeToBlockExpire);
      await this.throwThrottlingException(context, { ...record, limit, ttl, key, tracker });
    }
    set(`${this.headerPrefix}-Limit${suffix}`, limit);
    set(`${this.headerPrefix}-Remaining${suffix}`, Math.max(0, limit - record.totalHits));
    set(`${this.headerPrefix}-Reset${suffix}`, record.timeToExpire);
    return true;
  }

  /** Who asks: the address, of IPv6 the network. */
  protected getTracker(request: Request): Promise<string> {
    const address = typeof request['ip'] === 'string' ? request['ip'] : '';
    const ip = parseIp(address);
    const { ipv6SubnetPrefix = IPV6_PREFIX } = this.#settings;
    return Promise.resolve(ip === undefined ? address : networkOf(ip, ipv6SubnetPrefix));
  }

  protected getRequestResponse(context: ExecutionContext): { req: Request; res: Response } {
    const http = context.switchToHttp();
    return { req: http.getRequest<Request>(), res: http.getResponse<Response>() };
  }

  protected generateKey(context: ExecutionContext, suffix: string, name: string): string {
    const text = `${context.getClass().name}-${context.getHandler().name}-${name}-${suffix}`;
    return createHash('sha256').update(text).digest('hex');
  }

  protected async throwThrottlingException(
    context: ExecutionContext,
    detail: ThrottlerLimitDetail,
  ): Promise<void> {
    throw new ThrottlerException(await this.getErrorMessage(context, detail));
  }

  protected getErrorMessage(context: ExecutionContext, detail: ThrottlerLimitDetail): Promise<string> {
    const { errorMessage } = this.#settings;
    const text = typeof errorMessage === 'function' ? errorMessage(context, detail) : errorMessage;
    return Promise.resolve(text === undefined || text === '' ? MESSAGE : text);
  }

  async #requestOf(
    context: ExecutionContext,
    throttler: ThrottlerOptions<ExecutionContext>,
  ): Promise<ThrottlerRequest | undefined> {
    const { name = 'default' } = throttler;
    const said = <T>(what: keyof typeof THROTTLER): T | undefined =>
      this.reflector.getAllAndOverride<T | undefined>(THROTTLER[what] + name, [
        context.getHandler(),
        context.getClass(),
      ]);
    const skipIf = throttler.skipIf ?? this.#settings.skipIf;
    if (said<boolean>('skip') === true || skipIf?.(context) === true) return undefined;
    const number = async (what: 'limit' | 'ttl' | 'blockDuration', otherwise?: number): Promise<number> => {
      const given = said<Resolvable<number, ExecutionContext>>(what) ?? throttler[what];
      return numberOf(typeof given === 'function' ? await given(context) : (given ?? otherwise), what, name);
    };
    const ttl = await number('ttl');
    return {
      context,
      throttler,
      ttl,
      limit: await number('limit'),
      blockDuration: await number('blockDuration', ttl),
      getTracker:
        said<ThrottlerGetTrackerFunction<ExecutionContext>>('getTracker') ??
        throttler.getTracker ??
        this.#settings.getTracker ??
        ((request) => this.getTracker(request)),
      generateKey:
        said<ThrottlerGenerateKeyFunction<ExecutionContext>>('generateKey') ??
        throttler.generateKey ??
        this.#settings.generateKey ??
        ((...call) => this.generateKey(...call)),
    };
  }

  #ignores(throttler: ThrottlerOptions<ExecutionContext>, request: Request): boolean {
    const patterns = throttler.ignoreUserAgents ?? this.#settings.ignoreUserAgents ?? [];
    const agent: unknown = Reflect.get(Object(request['headers']), 'user-agent');
    return typeof agent === 'string' && patterns.some((pattern) => agent.search(pattern) !== -1);
  }
}

/** The shortest window first; the list is the caller's, and stays as it is. */
function inOrder(
  throttlers: readonly ThrottlerOptions<ExecutionContext>[],
): readonly ThrottlerOptions<ExecutionContext>[] {
  const length = ({ ttl }: ThrottlerOptions<ExecutionContext>): number =>
    typeof ttl === 'function' ? Infinity : ttl;
  return throttlers.toSorted((a, b) => (length(a) < length(b) ? -1 : 1));
}

function numberOf(value: unknown, what: string, throttler: string): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && !Number.isNaN(number)) return number;
  throw new CompatError(`throttler '${throttler}': ${what} is a ${typeof value} and no number`);
}

function setHeader(response: Response, name: string, value: number): void {
  if (typeof response.header === 'function') response.header(name, value);
  else response.setHeader?.(name, value);
}
