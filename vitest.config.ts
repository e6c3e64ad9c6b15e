import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const FILES = ['libs/redis/**/*.spec.ts', 'src/**/*.spec.ts', 'test/**/*.spec.ts'];

/** These look at what all of a process share, or leave something in it: who listens, what is loaded, how full it is. */
const ALONE = [
  'libs/redis/src/cache/hot-path.spec.ts',
  'libs/redis/src/connection/driver.spec.ts',
  'libs/redis/src/core/spans.spec.ts',
  'libs/redis/src/core/telemetry.spec.ts',
  'libs/redis/src/rate-limit/bounded-memory.spec.ts',
  'test/docs/examples.spec.ts',
  'test/integration/logs.spec.ts',
  'test/integration/metrics*.spec.ts',
  'test/integration/near-cache-insight.spec.ts',
  'test/integration/rate-limit-memory.spec.ts',
  'test/integration/tasks.spec.ts',
  'test/integration/traces.spec.ts',
];

/** These judge how long things take while something fails, and have the machine for themselves. */
const TIMED = ['test/faults/faults*.spec.ts', 'test/faults-cleanup/cleanup-foreground.spec.ts'];
const NOWHERE = ['**/node_modules/**', '**/dist/**'];

const library = (path: string) => fileURLToPath(new URL(`./libs/redis/${path}`, import.meta.url));

const shared = {
  testTimeout: 20_000,
  hookTimeout: 60_000,
  // Most tests wait for servers, so a machine of two cores has room for three files at once: a fifth less time than two.
  maxWorkers: 3,
  // A figure of time or memory, taken while a neighbour had the machine, is taken again, and so is a wait that ran out
  // meanwhile, and a reason that the reset of the connection overtook on its way. A wrong value never is.
  retry: { count: 2, condition: /to be (?:less|greater) than|Waited \d+ ms in vain|"says why":0/ },
};

const resolve = {
  alias: [
    { find: /^@anbar\/nestjs-redis\/testing$/, replacement: library('testing/index.ts') },
    { find: /^@anbar\/nestjs-redis\/([a-z-]+)$/, replacement: library('src/$1/index.ts') },
    { find: /^@anbar\/nestjs-redis$/, replacement: library('src/index.ts') },
  ],
};

const together = {
  ...shared,
  name: 'together',
  include: FILES,
  exclude: [...NOWHERE, ...ALONE, ...TIMED],
  // One worker takes file after file: to load Nest and the driver anew for each would be a third of the time.
  isolate: false,
};
const timed = {
  ...shared,
  name: 'timed',
  include: TIMED,
  exclude: NOWHERE,
  maxWorkers: 1,
  sequence: { groupOrder: 1 },
};

export default defineConfig({
  test: {
    maxWorkers: shared.maxWorkers,
    globalSetup: ['./test/topology/global-setup.ts'],
    projects: [
      { resolve, test: together },
      { resolve, test: { ...shared, name: 'alone', include: ALONE, exclude: NOWHERE } },
      { resolve, test: timed },
    ],
  },
});
