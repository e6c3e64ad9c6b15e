/** A worker in a process of its own: Node 20 runs no TypeScript, so vite loads it, with vitest's package names. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const vite = await createViteServer({
  root: fileURLToPath(new URL('../../', import.meta.url)),
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { runWorker } = await vite.ssrLoadModule('./test/faults-tasks/worker-cli.ts');
// It stays open: what the queue needs is loaded when it is first needed. This process never ends by itself.
runWorker(...process.argv.slice(2));
