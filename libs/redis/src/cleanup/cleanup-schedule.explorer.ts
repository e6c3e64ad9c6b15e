/** Hands the clean-up to the scheduler of the application, if it has one: `ScheduleModule` of `@nestjs/schedule`. */
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { optionalPeer, RedisModuleError } from '../core/index.js';
import { CleanupService } from './cleanup-service.js';

/** The name under which `SchedulerRegistry` has it. */
export const CLEANUP_INTERVAL = 'redis-cleanup';

/** Looked at so often in the time between two runs: who looks first does it, and processes come and go. */
const LOOKS = 4;

/** A longer interval fires every millisecond: Node keeps it in 31 bits. To look too often does no harm. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What is used of `SchedulerRegistry`. */
interface Registry {
  doesExist(type: 'interval', name: string): boolean;
  addInterval(name: string, interval: NodeJS.Timeout): void;
  deleteInterval(name: string): void;
}

@Injectable()
export class CleanupSchedule implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #cleanup: CleanupService;
  readonly #modules: ModuleRef;
  readonly #logger = new Logger('RedisCleanup');
  #registry: Registry | undefined;

  constructor(@Inject(CleanupService) cleanup: CleanupService, @Inject(ModuleRef) modules: ModuleRef) {
    this.#cleanup = cleanup;
    this.#modules = modules;
  }

  async onApplicationBootstrap(): Promise<void> {
    const { scheduled, everyMs } = this.#cleanup.settings;
    if (!scheduled) return;
    const registry = await this.#findRegistry();
    if (registry === undefined || registry.doesExist('interval', CLEANUP_INTERVAL)) return;
    const interval = setInterval(() => void this.#look(), Math.min(everyMs / LOOKS, LONGEST_TIMER_MS));
    interval.unref();
    registry.addInterval(CLEANUP_INTERVAL, interval);
    this.#registry = registry;
  }

  /** Before connections are closed: a run that is under way stops where it is. */
  async onModuleDestroy(): Promise<void> {
    if (this.#registry?.doesExist('interval', CLEANUP_INTERVAL) === true)
      this.#registry.deleteInterval(CLEANUP_INTERVAL);
    await this.#cleanup.close();
  }

  /** What it came to is told by telemetry, and from there by a line. */
  async #look(): Promise<void> {
    const { dryRun } = this.#cleanup.settings;
    await this.#cleanup.runIfDue({ dryRun }).catch(() => undefined);
  }

  async #findRegistry(): Promise<Registry | undefined> {
    try {
      const schedule = await optionalPeer(
        '@nestjs/schedule',
        'the scheduled clean-up',
        () => import('@nestjs/schedule'),
      );
      return this.#modules.get(schedule.SchedulerRegistry, { strict: false });
    } catch (error) {
      if (this.#cleanup.isEmbedded) return undefined;
      const isMissing = error instanceof RedisModuleError;
      this.#logger.log(
        `the clean-up of keys is not scheduled: ${isMissing ? 'npm install @nestjs/schedule, and ' : ''}` +
          `import ScheduleModule.forRoot(); or say cleanup: false, and call CleanupService.run() yourself`,
      );
      return undefined;
    }
  }
}
