/** Who may read the stats: who knows the token, or, where there is none, whoever sits at this very machine. */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ForbiddenException,
  UnauthorizedException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';

/** As much of a request as is looked at, the same on Express and on Fastify. */
interface Incoming {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined;
}

interface Outgoing {
  /** Express. */
  setHeader?(name: string, value: string): unknown;
  /** Fastify. */
  header?(name: string, value: string): unknown;
}

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})$/u;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/iu;

/** Somebody stands in front, so that the address of the socket is theirs and not the client's. */
const SIGNS_OF_A_PROXY = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/**
 * Only from this machine. The name that was asked for has to be one of this machine as well: a page in a browser
 * here may have a name of its own resolve to 127.0.0.1.
 */
export class LoopbackGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers, socket } = context.switchToHttp().getRequest<Incoming>();
    const host = headers['host'];
    const isLocal =
      LOOPBACK.test(socket?.remoteAddress ?? '') &&
      typeof host === 'string' &&
      LOOPBACK_HOST.test(host) &&
      SIGNS_OF_A_PROXY.every((name) => headers[name] === undefined);
    if (isLocal) return true;
    throw new ForbiddenException('stats are told to this machine only');
  }
}

/** `Authorization: Bearer <token>`, compared in a time that tells nothing. */
export class TokenGuard implements CanActivate {
  readonly #expected: Buffer;

  constructor(token: string) {
    this.#expected = digestOf(token);
  }

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { headers } = http.getRequest<Incoming>();
    const given = headers['authorization'];
    const [, token] = /^Bearer +(\S+)$/iu.exec(typeof given === 'string' ? given : '') ?? [];
    if (token !== undefined && timingSafeEqual(digestOf(token), this.#expected)) return true;
    const response = http.getResponse<Outgoing>();
    if (response.header === undefined) response.setHeader?.('www-authenticate', 'Bearer');
    else response.header('www-authenticate', 'Bearer');
    throw new UnauthorizedException();
  }
}

/** Of one length, whatever was sent. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
