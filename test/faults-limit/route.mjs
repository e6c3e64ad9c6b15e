/** One process that serves limited routes. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runRoutes } = await import('./route-cli.ts');
await runRoutes();
