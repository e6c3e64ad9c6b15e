/** What an application notices of a clean-up: how long its own reads take, with it and without it, in turns. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '@anbar/nestjs-redis';

export interface ForegroundOptions {
  readonly rounds: number;
  /** Each round has one of them without a clean-up and one with it. */
  readonly sliceMs: number;
  readonly concurrency: number;
}

export interface ForegroundFigures {
  /** Milliseconds over all slices. */
  readonly without: { readonly p50: number; readonly p99: number; readonly reads: number };
  readonly beside: { readonly p50: number; readonly p99: number; readonly reads: number };
  /** Of the p99 over all slices. */
  readonly ratio: number;
  /** The middle half of the ratios within each round: how much the machine had other things to do. */
  readonly spread: readonly [low: number, high: number];
  /** Keys of the namespace that were met meanwhile, and runs that came to their end. */
  readonly scanned: number;
  readonly runs: number;
}

const THINK_MS = 1;

/** Reads by `read`, while the clean-up of `redis` runs again and again in every other slice. */
export async function measureForeground(
  redis: Redis,
  read: (i: number) => Promise<unknown>,
  { rounds, sliceMs, concurrency }: ForegroundOptions,
): Promise<ForegroundFigures> {
  const [without, beside]: [number[][], number[][]] = [[], []];
  const counts = { scanned: 0, runs: 0 };
  await slice(read, sliceMs, concurrency);
  for (let round = 0; round < rounds; round += 1) {
    const alone = async (): Promise<void> => void without.push(await slice(read, sliceMs, concurrency));
    const together = async (): Promise<void> => {
      const stop = keepCleaning(redis, counts);
      beside.push(await slice(read, sliceMs, concurrency));
      await stop();
    };
    for (const each of round % 2 === 0 ? [alone, together] : [together, alone]) await each();
  }
  const ratios = beside.map((slow, i) => quantile(slow, 0.99) / quantile(without[i] ?? [], 0.99));
  return {
    without: figures(without.flat()),
    beside: figures(beside.flat()),
    ratio: quantile(beside.flat(), 0.99) / quantile(without.flat(), 0.99),
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    ...counts,
  };
}

function keepCleaning(redis: Redis, counts: { scanned: number; runs: number }): () => Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const cleaning = (async () => {
    while (!signal.aborted) {
      const report = await redis.cleanup.run({ signal });
      counts.scanned += report.scanned;
      if (report.outcome === 'ok') counts.runs += 1;
    }
  })();
  return async () => {
    controller.abort();
    await cleaning;
  };
}

/** Milliseconds of each read. */
async function slice(
  read: (i: number) => Promise<unknown>,
  ms: number,
  concurrency: number,
): Promise<number[]> {
  const took: number[] = [];
  const end = performance.now() + ms;
  const worker = async (first: number): Promise<void> => {
    for (let i = first; performance.now() < end; i += 1) {
      const from = performance.now();
      await read(i);
      took.push(performance.now() - from);
      await sleep(THINK_MS);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, i) => worker(i * 7_919)));
  return took;
}

function figures(took: readonly number[]): { p50: number; p99: number; reads: number } {
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), reads: took.length };
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
