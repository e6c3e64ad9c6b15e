/** `node test/faults-cache/hunt.mjs [--operations 1000000] [--seed n] [--rivals] [--write] …`: see hunt-cli.ts. */
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
const { runHunts } = await vite.ssrLoadModule('./test/faults-cache/hunt-cli.ts');
await vite.close();
process.exitCode = await runHunts(process.argv.slice(2));
