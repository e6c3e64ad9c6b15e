/** One process of the fleet: Node 20 runs no TypeScript, so vite loads it, with vitest's package names. */
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
const { runChild } = await vite.ssrLoadModule('./test/faults-limit/child-cli.ts');
await vite.close();
await runChild();
