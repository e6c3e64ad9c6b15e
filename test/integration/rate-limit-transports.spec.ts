/** The same guard on GraphQL, WebSocket and messages. */
import 'reflect-metadata';
import { once, type EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import {
  Controller,
  Injectable,
  Module,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Mutation, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { MessagePattern, Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { expect, it, onTestFinished } from 'vitest';
import { RateLimit, RedisModule } from '@anbar/nestjs-redis';

/** The client of the adapter's own package, which comes without types. */
interface Socket extends EventEmitter {
  send(text: string): void;
  close(): void;
}
const { WebSocket } = createRequire(import.meta.url)('ws') as { WebSocket: new (url: string) => Socket };

@Injectable()
class Believer implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { req } = context.getArgByIndex<{ req: { headers: Record<string, string>; user?: unknown } }>(2);
    if (req.headers['x-user'] !== undefined) req.user = { id: req.headers['x-user'] };
    return true;
  }
}

let logins = 0;

@Resolver()
class Books {
  @Query(() => String)
  @RateLimit({ limit: 2, window: '1d' })
  book(): string {
    return 'Kelidar';
  }

  @Query(() => String)
  @UseGuards(Believer)
  @RateLimit({ limit: 1, window: '1d', by: 'user' })
  mine(): string {
    return 'mine';
  }

  @Mutation(() => String)
  @RateLimit({ name: 'login', limit: 3, window: '1d' })
  login(): string {
    logins += 1;
    return 'in';
  }
}

@WebSocketGateway()
class Chat implements OnGatewayConnection<Socket> {
  /** Nest 12 sends a denial itself; that of Nest 11 would end here, as docs/rate-limit.md says. */
  handleConnection(client: Socket): void {
    client.on('exception', (data: unknown) => client.send(JSON.stringify({ event: 'exception', data })));
  }

  @SubscribeMessage('say')
  @RateLimit({ limit: 2, window: '1d' })
  say(): object {
    return { event: 'said', data: 'ok' };
  }

  @SubscribeMessage('mine')
  @RateLimit({ limit: 1, window: '1d', by: 'user' })
  mine(): object {
    return { event: 'said', data: 'mine' };
  }
}

@Controller()
class Sums {
  @MessagePattern('sum')
  @RateLimit({ limit: 2, window: '1d' })
  sum(numbers: readonly number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
}

const QUIET = { logger: false, abortOnError: false } as const;
const redis = () => RedisModule.forRoot({ topology: 'embedded' });

async function listen(app: INestApplication): Promise<number> {
  const server = (await app.listen(0, '127.0.0.1')) as Server;
  onTestFinished(() => app.close());
  return (server.address() as AddressInfo).port;
}

it('GraphQL: fields are limited one by one, aliases too, and the response tells', async () => {
  @Module({
    imports: [
      redis(),
      GraphQLModule.forRoot<MercuriusDriverConfig>({
        driver: MercuriusDriver,
        autoSchemaFile: true,
        context: (req, reply) => ({ req, reply }),
      }),
    ],
    providers: [Books],
  })
  class App {}
  const port = await listen(await NestFactory.create(App, new FastifyAdapter(), QUIET));
  const ask = async (query: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query }),
    });
    return { headers: response.headers, body: (await response.json()) as Answer };
  };
  interface Answer {
    readonly data: Readonly<Record<string, unknown>> | null;
    readonly errors?: readonly { readonly message: string }[];
  }

  expect((await ask('{ book }')).body.data).toEqual({ book: 'Kelidar' });
  expect((await ask('{ book }')).body.data).toEqual({ book: 'Kelidar' });
  const denied = await ask('{ book }');
  expect(denied.headers.get('retry-after')).toBe('43200');
  expect(denied.body.errors?.[0]?.message).toMatch(/The limit 'Books.book' is used up/u);

  const many = await ask(`mutation { ${Array.from({ length: 5 }, (_, i) => `a${i}: login`).join(' ')} }`);
  // What is not null fails as a whole with its first field that does.
  expect(many.body.errors?.[0]?.message).toMatch(/The limit 'login' is used up/u);
  expect(logins).toBe(3);

  expect((await ask('{ mine }', { 'x-user': 'ada' })).body.errors).toBeUndefined();
  expect((await ask('{ mine }', { 'x-user': 'bob' })).body.errors).toBeUndefined();
  expect((await ask('{ mine }', { 'x-user': 'ada' })).body.errors).toHaveLength(1);
});

it('WebSocket: messages are limited by the address of the socket, by user where there is one', async () => {
  @Module({ imports: [redis()], providers: [Chat] })
  class App {}
  const app = await NestFactory.create(App, new FastifyAdapter(), QUIET);
  app.useWebSocketAdapter(new WsAdapter(app));
  const port = await listen(app);
  const say = async (socket: Socket, event: string) => {
    socket.send(JSON.stringify({ event, data: {} }));
    const [data] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(data.toString()) as { event: string; data: unknown };
  };
  const open = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(socket, 'open');
    onTestFinished(() => socket.close());
    return socket;
  };
  const [one, two] = [await open(), await open()];
  expect(await say(one, 'say')).toEqual({ event: 'said', data: 'ok' });
  expect(await say(two, 'say')).toEqual({ event: 'said', data: 'ok' });
  expect(await say(two, 'say')).toEqual({
    event: 'exception',
    data: expect.objectContaining({ status: 429, 'violated-policies': ['Chat.say'] }) as unknown,
  });
  expect(await say(one, 'mine')).toEqual({ event: 'said', data: 'mine' });
  expect(await say(one, 'mine')).toMatchObject({ event: 'exception' });
});

it('messages: a denial reaches the caller as the problem it is', async () => {
  @Module({ imports: [redis()], controllers: [Sums] })
  class App {}
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(App, {
    ...QUIET,
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: 0 },
  });
  await app.listen();
  onTestFinished(() => app.close());
  const server = app.unwrap<{ address(): AddressInfo }>();
  const { port } = server.address();
  const { ClientProxyFactory } = await import('@nestjs/microservices');
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
  });
  onTestFinished(() => void client.close());
  const { firstValueFrom } = await import('rxjs');
  const sum = () => firstValueFrom(client.send<number>('sum', [1, 2]));
  expect([await sum(), await sum()]).toEqual([3, 3]);
  await expect(sum()).rejects.toMatchObject({
    status: 429,
    code: 'RATE_LIMITED',
    'violated-policies': ['Sums.sum'],
  });
});
