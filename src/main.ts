/** Starts the demo, says where to look, and leaves cleanly on Ctrl-C. */
import 'reflect-metadata';
import { ConsoleLogger, type INestApplication } from '@nestjs/common';
import { isRedisModuleError, RedisAdapter } from '@anbar/nestjs-redis';
import { openShop } from './shop.js';
import { DatabaseFault } from './storage/database-fault.js';
import { IN_MEMORY, ShopDatabase } from './storage/shop-database.js';

const DEFAULT_PORT = 3000;
const HIGHEST_PORT = 65_535;
const DEFAULT_HOST = '127.0.0.1';

/** What the person at the terminal has to be told, and no stack. */
class StartFault extends Error {}

/** What Nest says of its own start is sixty lines, in which the ones that say where to click would be lost. */
const OF_NEST = new Set([
  'InstanceLoader',
  'NestApplication',
  'NestFactory',
  'RouterExplorer',
  'RoutesResolver',
  'WebSocketsController',
]);

/** Nest logs what ends the boot with its stack; here it is told once, at the end of this file. */
class DemoLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: unknown[]): void {
    if (!OF_NEST.has(String(rest.at(-1)))) super.log(message, ...rest);
  }

  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...rest);
  }
}

async function main(): Promise<void> {
  const port = portOf(process.env['PORT']);
  const host = process.env['HOST'] ?? DEFAULT_HOST;
  const app = await openShop(new DemoLogger());
  leaveOnSignal(app);
  try {
    await app.listen(port, host);
  } catch (error) {
    await app.close();
    throw occupied(error, host, port);
  }
  welcome(app, await app.getUrl());
}

function portOf(given: string | undefined): number {
  if (given === undefined || given === '') return DEFAULT_PORT;
  const port = Number(given);
  if (Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT) return port;
  throw new StartFault(
    `PORT is '${given.slice(0, 20)}', and no port: give a number from 0 (any that is free) to 65535.`,
  );
}

function occupied(error: unknown, host: string, port: number): unknown {
  const code: unknown = Reflect.get(Object(error), 'code');
  if (code === 'EADDRINUSE')
    return new StartFault(
      `Port ${port} is taken by another program: end that one, or start with PORT=${port + 1} npm start (PORT=0 takes any that is free).`,
    );
  if (code === 'EACCES')
    return new StartFault(`Port ${port} may not be used by you: start with PORT=3000 npm start.`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new StartFault(
      `HOST is '${host.slice(0, 60)}', and no address of this machine: leave it out, or 0.0.0.0.`,
    );
  return error;
}

/** What is under way is finished, which takes as long as a print run; who does not want to wait says so again. */
function leaveOnSignal(app: INestApplication): void {
  let leaving = false;
  const leave = (): void => {
    if (leaving) process.exit(1);
    leaving = true;
    console.log('\nLeaving: what is under way is finished first. Ctrl-C again leaves at once.');
    app.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
}

function welcome(app: INestApplication, url: string): void {
  const { topology, nodes } = app.get(RedisAdapter).status();
  const { place } = app.get(ShopDatabase);
  const where =
    topology === 'embedded'
      ? 'the embedded default (no server)'
      : `${topology} at ${nodes.map(({ node }) => node).join(', ')}`;
  console.log(`
Anbar demo: ${url}        open it in a browser: every feature is on that page
Runs on:    ${where}
Data:       ${place === IN_MEMORY ? 'in memory, gone at the end' : place}

Try:
  curl ${url}/products                the first call is slow, the second is not
  curl -X PUT ${url}/products/1/price -H 'content-type: application/json' -d '{"priceCents":995}'
  curl -i ${url}/books/my -H 'x-api-key: card-ada'
  curl -i ${url}/status/kelidar
  curl -N '${url}/assistant?prompt=Who+are+you'
  curl -N ${url}/orders/live          and meanwhile: curl -X POST ${url}/orders/1/advance
  curl ${url}/health/redis            what the module knows of Redis
  curl ${url}/cache/stats             hits, misses, memory

Ctrl-C ends it.`);
}

main().catch((error: unknown) => {
  // A wrong setting is told as one; a stack trace would only hide it.
  if (error instanceof StartFault || error instanceof DatabaseFault) console.error(error.message);
  else console.error(isRedisModuleError(error) ? `${error.name}: ${error.message}` : error);
  process.exit(1);
});
