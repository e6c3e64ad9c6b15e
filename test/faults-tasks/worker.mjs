/** A worker in a process of its own. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runWorker } = await import('./worker-cli.ts');
runWorker(...process.argv.slice(2));
