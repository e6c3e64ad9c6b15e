/**
 * Fair timing on a machine that is not ours alone: the contestants take turns in short slices, many rounds, and
 * the ratio is formed round by round, so that a slow minute hits them all alike. CPU time per operation stands
 * beside the rate, because it depends less on who else is running.
 */

/** Runs one contestant at the given concurrency for `ms`; returns operations, seconds and CPU microseconds. */
async function slice(operation, concurrency, ms) {
  const startedAt = performance.now();
  const end = startedAt + ms;
  const cpu = process.cpuUsage();
  let done = 0;
  let failed = 0;
  const worker = async (seed) => {
    for (let i = seed; performance.now() < end; i += 1) {
      try {
        await operation(i);
        done += 1;
      } catch {
        failed += 1;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index * 7919)));
  const used = process.cpuUsage(cpu);
  return { done, failed, seconds: (performance.now() - startedAt) / 1000, cpu: used.user + used.system };
}

/**
 * @param {Record<string, (i: number) => Promise<unknown>>} contestants
 * @param {{ concurrency: number, rounds?: number, ms?: number }} options
 * @returns per contestant: median rate (k/s), CPU µs per operation, failures; and `ratio(a, b)`, the median of the
 *   ratios of their rates within each round
 */
export async function compare(contestants, { concurrency, rounds = 9, ms = 250 }) {
  const names = Object.keys(contestants);
  const rates = new Map(names.map((name) => [name, []]));
  const totals = new Map(names.map((name) => [name, { done: 0, failed: 0, cpu: 0 }]));
  for (let round = -1; round < rounds; round += 1) {
    // Whoever comes first in a round pays for the garbage of the last one: take turns in that too.
    const order = names.map((_, index) => names[(index + Math.max(round, 0)) % names.length]);
    for (const name of order) {
      const result = await slice(contestants[name], concurrency, ms);
      if (round < 0) continue;
      rates.get(name).push(result.done / result.seconds);
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
      failed: total.failed,
    };
  });
  return {
    results,
    ratio: (a, b) => median(rates.get(a).map((rate, round) => rate / rates.get(b)[round])),
    cpuRatio: (a, b) => {
      const cost = (name) => totals.get(name).cpu / totals.get(name).done;
      return cost(b) / cost(a);
    },
  };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
