/** One module under watch: its figures as Prometheus would see them, and which of them have moved. */
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { METRICS, registerMetrics } from '@anbar/nestjs-redis/monitoring';

export interface Watched {
  readonly redis: Redis;
  readonly registry: Registry;
  readonly scrape: () => Promise<Figures>;
}

export class Figures {
  readonly text: string;
  readonly #lines: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.text = text;
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    this.#lines = new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** Of one line, by name without the prefix and by labels in any order. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const found = [...this.#lines].filter(([line]) => {
      const [, head = '', rest = ''] = /^([^{]*)(?:\{(.*)\})?$/u.exec(line) ?? [];
      if (head !== `anbar_${name}`) return false;
      return wanted.every((each) => rest.split(/,(?=\w+=")/u).includes(each));
    });
    if (found.length > 1 && wanted.length > 0)
      throw new Error(`${name}: ${found.length} lines have these labels`);
    return found[0]?.[1];
  }

  /** Names, without the prefix, of metrics that have a line other than 0. */
  get moved(): ReadonlySet<string> {
    const alive = [...this.#lines]
      .filter(([, value]) => value !== 0)
      .map(([line]) => line.split('{')[0] ?? '');
    return new Set(
      METRICS.map(({ name }) => name as string).filter((name) =>
        alive.some(
          (line) =>
            line.replace(/_(?:bucket|sum|count)$/u, '') === `anbar_${name}` || line === `anbar_${name}`,
        ),
      ),
    );
  }

  get series(): number {
    return this.#lines.size;
  }
}

let count = 0;

export async function watch(options: RedisModuleOptions, connect = true): Promise<Watched> {
  count += 1;
  const namespace = `metrics-${process.pid}-${Date.now().toString(36)}-${count}`;
  const redis = createRedis({ namespace, ...options }, {});
  onTestFinished(() => redis.disconnect());
  const registry = new Registry();
  registerMetrics(registry, redis.metrics);
  if (connect) await redis.connect();
  return { redis, registry, scrape: async () => new Figures(await registry.metrics()) };
}
