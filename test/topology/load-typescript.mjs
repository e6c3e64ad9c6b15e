/** Node 20 runs no TypeScript: loads a module of this folder through the vite that vitest brings. */
import { createViteServer } from 'vitest/node';

/** @param {string} file such as `./fault-proxy-cli.ts` */
export async function loadTypescript(file) {
  const vite = await createViteServer({
    root: import.meta.dirname,
    configFile: false,
    logLevel: 'error',
    server: { middlewareMode: true, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  const module = await vite.ssrLoadModule(file);
  await vite.close();
  return module;
}
