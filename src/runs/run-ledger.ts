/** Which runs there are and how far they have come. Whatever changes a run evicts what was answered about it. */
import { Inject, Injectable } from '@nestjs/common';
import { CacheEvict } from '@anbar/nestjs-redis';
import { ShopDatabase } from '../storage/shop-database.js';
import { toPrintRun, type PrintRun, type RunState } from './print-run.js';

export function runTag(runId: string): string {
  return `run:${runId}`;
}

@Injectable()
export class RunLedger {
  readonly #database: ShopDatabase;

  constructor(@Inject(ShopDatabase) database: ShopDatabase) {
    this.#database = database;
  }

  async find(runId: string): Promise<PrintRun | undefined> {
    return (await this.#database.ask('SELECT * FROM runs WHERE id = ?', [runId])).map(toPrintRun)[0];
  }

  unfinished(): PrintRun[] {
    return this.#database.peek("SELECT * FROM runs WHERE state <> 'done' ORDER BY rowid").map(toPrintRun);
  }

  async enter(runId: string, title: string, copies: number): Promise<PrintRun> {
    return this.#database.change(({ run, rows }) => {
      run("INSERT INTO runs VALUES (?, ?, ?, 'queued', 0)", [runId, title, copies]);
      return toPrintRun(rows('SELECT * FROM runs WHERE id = ?', [runId])[0] ?? {});
    });
  }

  /** An eviction that fails does not stop the press: what is answered meanwhile is 30 seconds old at most. */
  @CacheEvict({ tags: (runId: string) => [runTag(runId)], onError: 'warn' })
  async record(runId: string, printed: number, state: RunState): Promise<void> {
    await this.#database.change(({ run }) => {
      run('UPDATE runs SET printed = ?, state = ? WHERE id = ?', [printed, state, runId]);
    });
  }
}
