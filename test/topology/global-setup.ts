/**
 * vitest's globalSetup for real servers: opens the broker for shared topologies, and at the end of the run stops them and
 * fails the run when any server process, port or temporary folder of any test file is left.
 */
import type { TestProject } from 'vitest/node';
import { TopologyBroker } from './broker.js';
import { isPortFree } from './free-port.js';
import { closeRunFolder, leftovers, openRunFolder } from './server-folders.js';
import { until } from './until.js';

let broker: TopologyBroker | undefined;
let folder = '';

export async function setup(project: TestProject): Promise<void> {
  folder = openRunFolder();
  broker = await TopologyBroker.open();
  project.provide('topologyBroker', broker.port);
}

export async function teardown(): Promise<void> {
  const addresses = (await broker?.close()) ?? [];
  let left: string[] = [];
  const clean = async () => {
    const busy = await Promise.all(
      addresses.map(async ({ port }) => ((await isPortFree(port)) ? [] : [`port ${port}`])),
    );
    left = [...(await leftovers(folder)), ...busy.flat()];
    return left.length === 0;
  };
  // The watchers of workers that just ended need a moment.
  await until(clean, { what: 'the servers of the tests to be gone', timeout: 5000 }).catch(
    (cause: unknown) => {
      // vitest prints what a teardown throws, and exits with 0 all the same.
      process.exitCode = 1;
      throw new Error(`The tests left servers behind: ${left.join(', ')}`, { cause });
    },
  );
  await closeRunFolder();
}
