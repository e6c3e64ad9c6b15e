/**
 * Fair timing on a machine that is not ours alone: the contestants take turns in short slices, many rounds, and
 * the ratio is formed round by round, so that a slow minute hits them all alike. CPU time per operation stands
 * beside the rate, because it depends less on who else is running.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/** Answers out of memory come without a turn of the event loop; sockets and timers get one this often. */
const BREATH_MS = 5;

/** Runs one contestant at the given concurrency for `ms`; returns operations, seconds and CPU microseconds. */
export async function slice(operation, { concurrency, ms, stride }) {
  // Nobody pays for the garbage of whoever ran before.
  collectGarbage({ type: 'minor' });
  const startedAt = performance.now();
  const end = startedAt + ms;
  const cpu = process.cpuUsage();
  let breathedAt = startedAt;
  let done = 0;
  let failed = 0;
  const worker = async (seed) => {
    for (let i = seed; performance.now() < end;) {
      try {
        for (const until = i + stride; i < until; i += 1) {
          await operation(i);
          done += 1;
        }
      } catch {
        i += 1;
        failed += 1;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const now = performance.now();
      if (now - breathedAt < BREATH_MS) continue;
      breathedAt = now;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index * 7919)));
  const used = process.cpuUsage(cpu);
  return { done, failed, seconds: (performance.now() - startedAt) / 1000, cpu: used.user + used.system };
}

/**
 * @param {Record<string, ((i: number) => Promise<unknown>) | { slice(options: object): Promise<object> }>} contestants
 *   an operation of this process, or whoever runs one in another and says what `slice` would
 * @param {{ concurrency: number, rounds?: number, ms?: number, stride?: number }} options `stride`: operations
 *   between two looks at the clock, for operations that take less than the look
 * @returns per contestant: median rate (k/s), CPU µs per operation, failures; and `ratio(a, b)`, the median of the
 *   ratios of their rates within each round; `spread(a, b)`, the middle half of them
 */
export async function compare(contestants, { concurrency, rounds = 9, ms = 250, stride = 1 }) {
  const names = Object.keys(contestants);
  const rates = new Map(names.map((name) => [name, []]));
  const costs = new Map(names.map((name) => [name, []]));
  const totals = new Map(names.map((name) => [name, { done: 0, failed: 0, cpu: 0 }]));
  for (let round = -1; round < rounds; round += 1) {
    // Nobody follows the same one in every round.
    for (const name of shuffled(names, round)) {
      const contestant = contestants[name];
      const options = { concurrency, ms, stride };
      const result = await (contestant.slice?.(options) ?? slice(contestant, options));
      if (round < 0) continue;
      rates.get(name).push(result.done / result.seconds);
      costs.get(name).push(result.cpu / result.done);
      const total = totals.get(name);
      total.done += result.done;
      total.failed += result.failed;
      total.cpu += result.cpu;
    }
  }
  const results = names.map((name) => {
    const total = totals.get(name);
    return {
      name,
      rate: median(rates.get(name)) / 1000,
      cpu: total.cpu / total.done,
      quietCpu: quantile(costs.get(name), 0.25),
      failed: total.failed,
    };
  });
  const ratios = (a, b) => rates.get(a).map((rate, round) => rate / rates.get(b)[round]);
  return {
    results,
    ratio: (a, b) => median(ratios(a, b)),
    spread: (a, b) => [quantile(ratios(a, b), 0.25), quantile(ratios(a, b), 0.75)],
    cpuRatio: (a, b) => {
      const cost = (name) => totals.get(name).cpu / totals.get(name).done;
      return cost(b) / cost(a);
    },
    /** The same of what each costs while neighbours are quiet: they can only make it dearer. */
    quietCpuRatio: (a, b) => quantile(costs.get(b), 0.25) / quantile(costs.get(a), 0.25),
    /** As `ratio`, of CPU time per operation, and inverted with it: greater is better. */
    cpuRatioByRound: (a, b) => median(costs.get(a).map((cost, round) => costs.get(b)[round] / cost)),
  };
}

/** The same order in every run. */
function shuffled(names, round) {
  return names.toSorted((a, b) => place(a, round) - place(b, round));
}

function place(name, round) {
  let hash = 0x811c9dc5 ^ Math.imul(round + 2, 0x9e3779b1);
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function median(numbers) {
  return quantile(numbers, 0.5);
}

function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
