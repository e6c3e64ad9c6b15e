/** One process with a near cache. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runChild } = await import('./near-cache-child.ts');
runChild();
