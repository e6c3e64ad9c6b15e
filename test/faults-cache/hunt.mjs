/** `node test/faults-cache/hunt.mjs [--operations 1000000] [--seed n] [--rivals] [--write] …`: see hunt-cli.ts. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runHunts } = await import('./hunt-cli.ts');
process.exitCode = await runHunts(process.argv.slice(2));
