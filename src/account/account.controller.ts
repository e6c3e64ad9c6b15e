/** Sessions: one login for all processes, the list of a reader's devices, and the way out of all of them at once. */
import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  NotFoundException,
  Param,
  Post,
  Session,
  UnauthorizedException,
} from '@nestjs/common';
import { SessionService, type HttpSession } from '@anbar/nestjs-redis/session';
import { RequestBody } from '../request-body.js';
import { ReaderDirectory } from './reader-directory.js';

interface Basket {
  basket: readonly string[];
}

interface Account {
  readonly reader: string | null;
  readonly basket: readonly string[];
}

interface DeviceLine {
  readonly handle: string;
  readonly agent: string;
  readonly here: boolean;
  readonly since: string;
  readonly lastUsed: string;
  readonly expires: string;
}

const BASKET_HOLDS = 20;

@Controller('account')
export class AccountController {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(ReaderDirectory) private readonly readers: ReaderDirectory,
  ) {}

  @Get()
  account(@Session() session: HttpSession<Basket>): Account {
    return { reader: session.user ?? null, basket: session.data.basket ?? [] };
  }

  @Post('login')
  @HttpCode(200)
  async login(
    @Session() session: HttpSession<Basket>,
    @Body() given: unknown,
    @Headers('user-agent') agent?: string,
  ): Promise<Account> {
    const body = new RequestBody(given);
    const reader = await this.readers.byPassword(
      body.text('reader', { most: 40 }),
      body.text('password', { most: 200 }),
    );
    if (reader === undefined) throw new UnauthorizedException('no such reader, or not their password');
    const device = body.text('device', { most: 80, otherwise: agent?.slice(0, 80) || 'unknown' });
    await session.login(reader, { device: { agent: device } });
    return this.account(session);
  }

  /** Kept in the session: also for visitors, who get one with the first thing they put in. */
  @Post('basket')
  fill(@Session() session: HttpSession<Basket>, @Body() body: unknown): Account {
    const title = new RequestBody(body).text('title', { most: 100 });
    session.data.basket = [...(session.data.basket ?? []), title].slice(-BASKET_HOLDS);
    return this.account(session);
  }

  @Get('devices')
  async devices(@Session() session: HttpSession<Basket>): Promise<DeviceLine[]> {
    const found = await this.sessions.listByUser(loggedIn(session));
    return found.map(({ handle, device, createdAt, lastUsedAt, expiresAt }) => ({
      handle,
      agent: String(device?.['agent'] ?? 'unknown'),
      here: handle === session.current?.handle,
      since: new Date(createdAt).toISOString(),
      lastUsed: new Date(lastUsedAt).toISOString(),
      expires: new Date(expiresAt).toISOString(),
    }));
  }

  @Delete('devices/:handle')
  async revoke(
    @Session() session: HttpSession<Basket>,
    @Param('handle') handle: string,
  ): Promise<{ ended: number }> {
    if (!(await this.sessions.revoke(loggedIn(session), handle)))
      throw new NotFoundException('no such device');
    return { ended: 1 };
  }

  @Post('logout')
  @HttpCode(200)
  async logout(@Session() session: HttpSession<Basket>): Promise<{ ended: number }> {
    const ended = session.current === undefined ? 0 : 1;
    await session.logout();
    return { ended };
  }

  /** Counts for the next request of every process. */
  @Post('logout-everywhere')
  @HttpCode(200)
  async logoutEverywhere(@Session() session: HttpSession<Basket>): Promise<{ ended: number }> {
    const ended = await this.sessions.destroyAllOfUser(loggedIn(session));
    await session.logout();
    return { ended };
  }
}

function loggedIn(session: HttpSession<Basket>): string {
  if (session.user === undefined) throw new UnauthorizedException('log in first');
  return session.user;
}
