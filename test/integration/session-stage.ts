/** A shop with sessions, and its answers one by one: whoever asks decides which of them the browser hears of, and when. */
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Controller, Get, Header, Inject, Param, Post, Query, Session, StreamableFile } from '@nestjs/common';
import { RedisAdapter } from '@anbar/nestjs-redis';
import { SessionService, type HttpSession } from '@anbar/nestjs-redis/session';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { CORNERS, type Place, type Platform } from './http-boot.js';
import { serveSessions } from './session-boot.js';

/** Each platform in each place. */
export const EVERYWHERE = CORNERS.map(({ platform, place }) => [platform, place] as const);

interface Visit {
  cart: string[];
}

@Controller()
export class Shop {
  /** What `file` read from last. */
  static opened: Readable | undefined;

  constructor(@Inject(SessionService) private readonly sessions: SessionService<Visit>) {}

  @Get('look')
  look(@Session() session: HttpSession<Visit>): unknown {
    return { user: session.user ?? null, cart: session.data.cart ?? [] };
  }

  /** Puts something in, after a while and for a while. */
  @Post('put/:what')
  async put(
    @Session() session: HttpSession<Visit>,
    @Param('what') what: string,
    @Query('pause') wait = '0',
  ): Promise<unknown> {
    await pause(Number(wait));
    session.data.cart = [...(session.data.cart ?? []), what];
    return { cart: session.data.cart };
  }

  @Post('login/:user')
  async login(@Session() session: HttpSession<Visit>, @Param('user') user: string): Promise<unknown> {
    const { data } = session;
    await session.login(user);
    // What the handler has in its hands is what is stored.
    data.cart = [...(data.cart ?? []), 'greeting'];
    return { user: session.user };
  }

  @Post('regenerate')
  async regenerate(@Session() session: HttpSession<Visit>): Promise<void> {
    await session.regenerate();
  }

  @Post('logout')
  async logout(@Session() session: HttpSession<Visit>): Promise<void> {
    await session.logout();
  }

  @Post('fill')
  fill(@Session() session: HttpSession<Visit>): void {
    Reflect.set(session.data, 'callback', () => 'no data');
  }

  /** An answer of its own kind, with something in the session that can not be stored. */
  @Get('file')
  @Header('content-encoding', 'gzip')
  @Header('etag', '"of-the-file"')
  file(@Session() session: HttpSession<Visit>): StreamableFile {
    Reflect.set(session.data, 'callback', () => 'no data');
    Shop.opened = Readable.from([gzipSync('the file')]);
    return new StreamableFile(Shop.opened);
  }

  @Get('devices/:user')
  async devices(@Param('user') user: string): Promise<number> {
    return (await this.sessions.listByUser(user)).length;
  }
}

interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly etag: string | null;
  /** What the browser is told to keep: undefined for nothing, `''` to forget what it has. */
  readonly cookie: string | undefined;
}

export interface Stage {
  readonly adapter: RedisAdapter;
  readonly sessions: SessionService;
  ask(cookie: string | undefined, method: 'GET' | 'POST', path: string): Promise<Answered>;
}

export async function openShop(
  platform: Platform,
  place: Place,
  options?: RedisModuleOptions,
): Promise<Stage> {
  // None of this is about time, and the machine may be busy.
  const patient = { timeout: '5s', ...options } as const;
  const { app, url } = await serveSessions([Shop], { platform, place, options: patient });
  return {
    adapter: app.get(RedisAdapter),
    sessions: app.get(SessionService),
    async ask(cookie, method, path) {
      const answer = await fetch(`${url}/${path}`, {
        method,
        headers: cookie === undefined ? {} : { cookie: `sid=${cookie}` },
        signal: AbortSignal.timeout(8_000),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        body: /^[[{\d]/u.test(text) ? (JSON.parse(text) as unknown) : text,
        etag: answer.headers.get('etag'),
        cookie: /^sid=([^;]*);/u.exec(answer.headers.get('set-cookie') ?? '')?.[1],
      };
    },
  };
}
