/** Prints, in the background: by a worker of this process, or of any other one that shares the queue. */
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectTaskQueue, Task, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { RunLedger } from './run-ledger.js';

declare module '@anbar/nestjs-redis/tasks' {
  interface TaskTypes {
    'print-run': { readonly runId: string; readonly copies: number };
  }
}

const SHEETS = 5;
const SHEET_MS = 500;

@Injectable()
export class Press implements OnApplicationBootstrap {
  readonly #ledger: RunLedger;
  readonly #tasks: TaskQueue;
  readonly #logger = new Logger('Press');

  constructor(@Inject(RunLedger) ledger: RunLedger, @InjectTaskQueue() tasks: TaskQueue) {
    this.#ledger = ledger;
    this.#tasks = tasks;
  }

  /** A run that a restart has interrupted goes on. Where the queue has kept it, its id makes this a second time nothing. */
  onApplicationBootstrap(): void {
    for (const { runId, copies } of this.#ledger.unfinished()) {
      this.queue(runId, copies).catch((error: unknown) => {
        this.#logger.warn(`the run ${runId} waits for another start: ${String(error)}`);
      });
    }
  }

  async queue(runId: string, copies: number): Promise<void> {
    await this.#tasks.add('print-run', { runId, copies }, { id: `run-${runId}` });
  }

  @Task('print-run')
  async print({ data: { runId, copies }, signal, progress }: RunningTask<{ runId: string; copies: number }>) {
    for (let sheet = 0; sheet < SHEETS; sheet += 1) {
      const printed = Math.floor((copies * sheet) / SHEETS);
      await this.#ledger.record(runId, printed, 'printing');
      await progress(printed);
      await pause(SHEET_MS, undefined, { signal });
    }
    await this.#ledger.record(runId, copies, 'done');
    return { printed: copies };
  }
}
