/** `npm run faults [-- --short] [-- --rows 1,6,14]`: see faults-cli.ts. */
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const root = fileURLToPath(new URL('../../', import.meta.url));

// Node 20 runs no TypeScript: vite does, with the package names that vitest.config.ts maps to the sources.
const vite = await createViteServer({
  root,
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { runFaults } = await vite.ssrLoadModule('./test/faults/faults-cli.ts');
await vite.close();
process.exitCode = await runFaults(process.argv.slice(2));
