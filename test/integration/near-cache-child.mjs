/** One process with a near cache: Node 20 runs no TypeScript, so vite loads it, with vitest's package names. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const vite = await createViteServer({
  root: fileURLToPath(new URL('../../', import.meta.url)),
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { runChild } = await vite.ssrLoadModule('./test/integration/near-cache-child.ts');
await vite.close();
runChild();
