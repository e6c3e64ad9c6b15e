/** Starts the demo, says where to look, and leaves cleanly on Ctrl-C. */
import 'reflect-metadata';
import { ConsoleLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { isRedisModuleError, RedisAdapter } from '@anbar/nestjs-redis';
import { AppModule } from './app.module.js';

const DEFAULT_PORT = 3000;

/** Nest logs what ends the boot with its stack; here it is told once, at the end of this file. */
class DemoLogger extends ConsoleLogger {
  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...rest);
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { abortOnError: false, logger: new DemoLogger() });
  const leave = (): void => {
    app.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGINT', leave);
  process.once('SIGTERM', leave);

  await app.listen(Number(process.env['PORT'] ?? DEFAULT_PORT), '127.0.0.1');
  const url = await app.getUrl();
  const { topology, nodes } = app.get(RedisAdapter).status();
  console.log(`
Anbar demo: ${url}
Runs on:    ${topology === 'embedded' ? 'the embedded default (no server)' : `${topology} at ${nodes.map(({ node }) => node).join(', ')}`}

Try:
  curl ${url}/products                the first call is slow, the second is not
  curl -X PUT ${url}/products/1/price -H 'content-type: application/json' -d '{"priceCents":995}'
  curl ${url}/health/redis            what the module knows of Redis

Ctrl-C ends it.`);
}

main().catch((error: unknown) => {
  // A wrong setting is told as one; a stack trace would only hide it.
  console.error(isRedisModuleError(error) ? `${error.name}: ${error.message}` : error);
  process.exit(1);
});
