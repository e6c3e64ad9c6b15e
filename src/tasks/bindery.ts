/** Binds books in the background. Its thread snaps as often as it is told to, to show what becomes of failing tasks. */
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { PermanentTaskError, Task, type RunningTask } from '@anbar/nestjs-redis/tasks';

export interface Binding {
  readonly title: string;
  /** How many attempts fail before one succeeds. */
  readonly snaps: number;
}

declare module '@anbar/nestjs-redis/tasks' {
  interface TaskTypes {
    bind: Binding;
  }
}

const STEPS = ['folded', 'sewn', 'glued', 'bound'] as const;
const STEP_MS = 250;

@Injectable()
export class Bindery {
  @Task('bind')
  async bind({ data: { title, snaps }, attempt, signal, progress }: RunningTask<Binding>) {
    if (title === 'Unbindable')
      throw new PermanentTaskError('this book can not be bound, however often it is tried');
    for (const [index, step] of STEPS.entries()) {
      await progress({ step, percent: (index / STEPS.length) * 100 });
      await pause(STEP_MS, undefined, { signal });
      if (attempt <= snaps && step === 'sewn') throw new Error(`the thread snapped, attempt ${attempt}`);
    }
    await progress({ step: 'done', percent: 100 });
    return { title, by: process.pid };
  }
}
