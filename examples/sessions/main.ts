/** A login that all servers share, a list of devices, and "log out everywhere else". */
import 'reflect-metadata';
import {
  Controller,
  Get,
  Inject,
  Module,
  Param,
  Post,
  Session,
  type MiddlewareConsumer,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RedisModule } from '@anbar/nestjs-redis';
import { SessionMiddleware, SessionService, type HttpSession } from '@anbar/nestjs-redis/session';

@Controller()
class AccountController {
  constructor(@Inject(SessionService) private readonly sessions: SessionService) {}

  @Post('login/:user')
  async login(@Session() session: HttpSession, @Param('user') user: string): Promise<void> {
    await session.login(user); // after the password was checked
  }

  @Get('me')
  async me(@Session() session: HttpSession): Promise<{ user: string | null; devices: number }> {
    const { user } = session;
    if (user === undefined) return { user: null, devices: 0 };
    return { user, devices: (await this.sessions.listByUser(user)).length };
  }

  @Post('logout-elsewhere')
  async elsewhere(@Session() session: HttpSession): Promise<{ ended: number }> {
    return { ended: await session.logoutElsewhere() };
  }
}

@Module({ imports: [RedisModule.forRoot({ session: { idle: '1h' } })], controllers: [AccountController] })
class AppModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SessionMiddleware).forRoutes(AccountController);
  }
}

export const app = await NestFactory.create(AppModule);
await app.listen(process.env['PORT'] ?? 3000);
