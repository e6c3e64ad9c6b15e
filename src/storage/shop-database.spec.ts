import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DatabaseFault } from './database-fault.js';
import { ShopDatabase } from './shop-database.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shop-database-'));
  return () => rmSync(folder, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

async function open(place: string): Promise<ShopDatabase> {
  vi.stubEnv('DEMO_DATABASE', place);
  const database = new ShopDatabase();
  await database.onModuleInit();
  return database;
}

const COPIES = 'SELECT copies FROM orders WHERE id = 1';
const ONE_MORE = 'UPDATE orders SET copies = copies + 1 WHERE id = 1';

describe('a database in a file', () => {
  it('is there again after a restart', async () => {
    const place = join(folder, 'deep', 'shop.sqlite');
    await (await open(place)).change(({ run }) => run(ONE_MORE));
    expect((await open(place)).peek(COPIES)).toEqual([{ copies: 4 }]);
    expect(readdirSync(join(folder, 'deep'))).toEqual(['shop.sqlite']);
  });

  it('loses no change of those who share it, and each sees the other’s with the next question', async () => {
    const place = join(folder, 'shop.sqlite');
    const all = await Promise.all([open(place), open(place), open(place)]);
    await Promise.all(
      all.flatMap((database) =>
        Array.from({ length: 20 }, () => database.change(({ run }) => run(ONE_MORE))),
      ),
    );
    for (const database of all) expect(database.peek(COPIES)).toEqual([{ copies: 63 }]);
    expect(await all[0].ask(COPIES)).toEqual([{ copies: 63 }]);
    expect(all[0].queries).toBe(1);
  });

  it('is as it was when a change fails', async () => {
    const place = join(folder, 'shop.sqlite');
    const database = await open(place);
    const failing = database.change(({ run }) => {
      run(ONE_MORE);
      throw new Error('planted');
    });
    await expect(failing).rejects.toThrow('planted');
    expect(database.peek(COPIES)).toEqual([{ copies: 3 }]);
    await database.change(({ run }) => run(ONE_MORE));
    expect((await open(place)).peek(COPIES)).toEqual([{ copies: 4 }]);
  });

  it('goes by the lock of a process that died', async () => {
    const place = join(folder, 'shop.sqlite');
    const database = await open(place);
    writeFileSync(`${place}.lock`, '');
    const long = new Date(Date.now() - 60_000);
    utimesSync(`${place}.lock`, long, long);
    await database.change(({ run }) => run(ONE_MORE));
    expect(database.peek(COPIES)).toEqual([{ copies: 4 }]);
  });

  it.each(['', 'a letter'])('refuses a file that is none (%j), and says what to do', async (text) => {
    const place = join(folder, 'letter');
    writeFileSync(place, text);
    const opening = open(place);
    await expect(opening).rejects.toBeInstanceOf(DatabaseFault);
    await expect(opening).rejects.toThrow(/letter can not be opened .*DEMO_DATABASE=:memory:/u);
  });
});

it('a database in memory leaves no trace and is its own', async () => {
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  const [one, other] = [await open(':memory:'), await open(':memory:')];
  await one.change(({ run }) => run(ONE_MORE));
  expect(other.peek(COPIES)).toEqual([{ copies: 3 }]);
  expect(readdirSync(folder)).toEqual([]);
  vi.restoreAllMocks();
});
