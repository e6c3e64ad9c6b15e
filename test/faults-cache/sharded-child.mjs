/** One process of the sharded hunt: Node 20 runs no TypeScript, so vite loads it, with vitest's package names. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const root = fileURLToPath(new URL('../../', import.meta.url));

const vite = await createViteServer({
  root,
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { runShardedChild } = await vite.ssrLoadModule('./test/faults-cache/sharded-hunt.ts');
await vite.close();
runShardedChild();
