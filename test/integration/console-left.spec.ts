/** A page of the console that is left before its guard has answered, as happens when a guard waits for what is away. */
import { once } from 'node:events';
import { get, type ClientRequest, type ServerResponse } from 'node:http';
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { expect, it, vi } from 'vitest';
import { RedisConsoleModule } from '@anbar/nestjs-redis';
import { listen } from './console-stream.js';
import { PLATFORMS, serve } from './http-boot.js';

it.each(PLATFORMS)('leaves its place among the streams to others, on %s', async (platform) => {
  let impatient: ClientRequest | undefined;
  let asked = 0;

  @Injectable()
  class Hesitant implements CanActivate {
    async canActivate(context: ExecutionContext): Promise<boolean> {
      if (impatient === undefined) return true;
      const given = context.switchToHttp().getResponse<ServerResponse & { raw?: ServerResponse }>();
      const closed = once(given.raw ?? given, 'close');
      impatient.destroy();
      impatient = undefined;
      await closed;
      asked += 1;
      return true;
    }
  }

  const module = RedisConsoleModule.forRoot({ guards: [Hesitant], maxStreams: 2 });
  const { url } = await serve({ imports: [module] }, { platform });
  const stream = `${url}/redis-console/api/stream`;
  for (let i = 1; i <= 3; i += 1) {
    impatient = get(stream, { agent: false }).once('error', () => undefined);
    await vi.waitFor(() => expect(asked).toBe(i), 5_000);
  }
  const page = await listen(stream);
  expect(page.status).toBe(200);
  page.close();
});
