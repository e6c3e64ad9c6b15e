/** One process of the group. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runChild } = await import('./child-cli.ts');
runChild();
