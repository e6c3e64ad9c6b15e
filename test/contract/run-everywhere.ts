/** Registers a contract for every place and prints, at the end of the file, what was kept where. */
import { afterAll, describe, it } from 'vitest';
import { runContract, type Contract } from '@anbar/nestjs-redis/testing';
import type { Redis } from '@anbar/nestjs-redis';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis } from './places.js';

interface Closable {
  disconnect(): Promise<void>;
}

/** `pick` takes the subject of the contracts out of what the composition root made. */
export function runEverywhere<Subject extends Closable>(
  contracts: readonly Contract<Subject>[],
  pick: (redis: Redis) => Subject,
): void {
  const places = openPlaces();
  const tables = contracts.map((contract) => ({ contract, table: new ContractTable() }));
  afterAll(async () => {
    for (const { table } of tables) table.print();
    await Promise.all(places.map((place) => place.stop()));
  });
  for (const { contract, table } of tables) {
    for (const place of places) {
      const target = {
        name: place.name,
        prefix: place.prefix,
        create: async () => pick(await openRedis(place)),
        dispose: (subject: Subject) => subject.disconnect(),
        flushScripts: () => place.flushScripts(),
        onResult: table.add,
      };
      runContract(contract, target, { describe, it, after: afterAll });
    }
  }
}
