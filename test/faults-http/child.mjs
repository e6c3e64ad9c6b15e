/** One process that serves. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runChild } = await import('./child-cli.ts');
runChild();
