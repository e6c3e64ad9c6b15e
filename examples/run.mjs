/** `node examples/run.mjs minimal`: runs an example from this repository; PORT and REDIS_URL are read as usual. */
import { existsSync } from 'node:fs';
import { registerTypescript } from '../test/topology/register-typescript.mjs';

const [name = ''] = process.argv.slice(2);
const found = ['main', 'after']
  .map((file) => new URL(`./${name}/${file}.ts`, import.meta.url))
  .find((file) => existsSync(file));
if (found === undefined) throw new Error(`there is no example '${name}'; examples/README.md lists them`);
registerTypescript();
await import(found.href);
