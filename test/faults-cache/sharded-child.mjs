/** One process of the sharded hunt. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runShardedChild } = await import('./sharded-hunt.ts');
runShardedChild();
