import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const library = (path: string) => fileURLToPath(new URL(`./libs/redis/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@anbar\/nestjs-redis\/testing$/, replacement: library('testing/index.ts') },
      { find: /^@anbar\/nestjs-redis\/([a-z-]+)$/, replacement: library('src/$1/index.ts') },
      { find: /^@anbar\/nestjs-redis$/, replacement: library('src/index.ts') },
    ],
  },
  test: {
    include: ['libs/redis/**/*.spec.ts', 'src/**/*.spec.ts', 'test/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    globalSetup: ['./test/topology/global-setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Most tests wait for servers, so a machine of two cores has room for two files at once.
    maxWorkers: 2,
    // A figure of time or memory, taken while a neighbour had the machine, is taken again, and so is a wait that ran out
    // meanwhile, and a reason that the reset of the connection overtook on its way. A wrong value never is.
    retry: { count: 2, condition: /to be (?:less|greater) than|Waited \d+ ms in vain|"says why":0/ },
  },
});
