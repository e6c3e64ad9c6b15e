/** What the console answers to one question: out of what was sampled, or by asking those who know. */
import { safeMessage, withDeadline } from '../core/index.js';
import type { ResolvedConsole } from './console.options.js';
import type { CacheRef, ConsoleSource } from './console.source.js';
import { refuse } from './exchange.js';
import { cachesOf } from './figures.js';
import { STEP_MS, STEPS } from './history.js';
import { withAdvice } from './key-advice.js';
import { cachesView, processView, seriesView, stateView } from './overview.js';
import type { Sampler } from './sampler.js';

export interface AnswersParts {
  /** Of this run of the process. */
  readonly id: string;
  readonly source: ConsoleSource;
  readonly settings: ResolvedConsole;
  readonly sampler: Sampler;
}

export const MOST_INCIDENTS = 50;
const MOST_KEYS = 200;
const LONGEST_KEY = 1_024;
const LONGEST_VALUE = 4_096;
const ASKED_WITHIN_MS = 300;

export class Answers {
  readonly #id: string;
  readonly #source: ConsoleSource;
  readonly #settings: ResolvedConsole;
  readonly #sampler: Sampler;

  constructor({ id, source, settings, sampler }: AnswersParts) {
    this.#id = id;
    this.#source = source;
    this.#settings = settings;
    this.#sampler = sampler;
  }

  snapshot(points: number): object {
    const { history, activity, lastStepAt } = this.#sampler;
    const { title, browseKeys, showValues, fleet } = this.#settings;
    return {
      process: processView(this.#id),
      namespace: this.#source.namespace,
      title: title ?? this.#source.namespace,
      production: this.#source.production,
      may: { browseKeys, showValues, fleet },
      stepMs: STEP_MS,
      step: history.last,
      at: lastStepAt,
      since: `${this.#id}.${history.last}.${activity.lastIncident}`,
      series: seriesView(this.#sampler, points),
      points: history.read('requests', points).length,
      state: stateView(this.#sampler),
      incidents: activity.incidents(MOST_INCIDENTS),
    };
  }

  async key(query: URLSearchParams): Promise<object> {
    const cache = this.#cacheOf(query.get('cache'));
    const key = query.get('key') ?? '';
    if (cache === undefined) return NO_CACHE;
    if (key === '' || key.length > LONGEST_KEY) return NO_KEY;
    const reading = withAdvice(await this.#source.explain(cache, key));
    if (!this.#settings.showValues) return reading;
    const value = await this.#source.value(cache, key);
    if (value === undefined) return reading;
    return { ...reading, value: value.slice(0, LONGEST_VALUE), cut: value.length > LONGEST_VALUE };
  }

  async keys(query: URLSearchParams): Promise<object> {
    if (!this.#settings.browseKeys) {
      return refuse(
        403,
        'KEYS_HIDDEN',
        'names of keys are not listed',
        'RedisConsoleModule.forRoot({ browseKeys: true })',
      );
    }
    const cache = this.#cacheOf(query.get('cache'));
    if (cache === undefined) return NO_CACHE;
    const prefix = (query.get('prefix') ?? '').slice(0, LONGEST_KEY);
    return (await this.#source.keys(cache, prefix, MOST_KEYS)) ?? NO_LIST;
  }

  shards(query: URLSearchParams): object {
    const { shards } = this.#sampler.reading;
    const [key, without] = [query.get('key'), query.get('without')];
    return {
      ...shards,
      ...(key === null || key === ''
        ? {}
        : { key, shard: this.#source.shardOf(key.slice(0, LONGEST_KEY)) ?? null }),
      ...(without === null ? {} : { removal: this.#source.removal(without) ?? null }),
    };
  }

  resilience(): object {
    const { activity, reading } = this.#sampler;
    const { connections, fallback } = reading;
    const { caches: _caches, ...mode } = fallback;
    return {
      connections,
      fallback: mode,
      events: activity.rows('connection', 'l1').filter(({ name }) => name !== 'connection.tracking'),
      slow: activity.slow(),
      incidents: activity.incidents(MOST_INCIDENTS),
      breaker: this.#sampler.history.read('breaker', STEPS),
      up: this.#sampler.history.read('up', STEPS),
    };
  }

  limits(): object {
    const { activity, reading, history } = this.#sampler;
    return {
      total: reading.limiter,
      decisions: activity.rows('rate-limit'),
      denied: history.read('denied', STEPS / 4),
      allowed: history.read('allowed', STEPS / 4),
    };
  }

  async jobs(): Promise<object> {
    const { activity, reading } = this.#sampler;
    const { locks, pubsub, sessions } = reading;
    return {
      queue: await this.#queue(),
      tasks: activity.rows('tasks'),
      locks: { ...locks, events: activity.rows('lock') },
      pubsub: { ...pubsub, events: activity.rows('pubsub') },
      sessions: { ...sessions },
      cleanup: activity.rows('cleanup'),
      runs: activity.incidents(STEPS).filter(({ kind }) => kind.startsWith('cleanup.')),
    };
  }

  /** One that was never used is not asked: that would make a connection for it. */
  async #queue(): Promise<object> {
    const limits = { timeoutMs: ASKED_WITHIN_MS, what: 'the queue' };
    try {
      return await withDeadline(() => this.#source.stats.source.tasks(), limits);
    } catch (error) {
      return { state: 'unknown', reason: error instanceof Error ? safeMessage(error.message) : '' };
    }
  }

  /** Memory in Redis is weighed by a sample of its keys, so only for who asks for it. */
  async caches(query: URLSearchParams): Promise<object> {
    const { l1 } = this.#sampler.reading;
    const answer = { caches: cachesView(this.#sampler), l1 };
    if (query.get('memory') !== '1') return answer;
    const { memory, caches } = await this.#source.stats.report();
    const shares = Object.entries(caches).map(([name, cache]) => [`cache/${name}`, cache.memory] as const);
    return { ...answer, memory, shares: Object.fromEntries(shares) };
  }

  /** One that is there: asking for another name would make it. */
  #cacheOf(id: string | null): CacheRef | undefined {
    return cachesOf(this.#sampler.reading).find((cache) => cache.id === id);
  }
}

const NO_CACHE = refuse(404, 'NO_SUCH_CACHE', 'this process has no such cache', 'write it as cache/default');
const NO_LIST = refuse(
  404,
  'NO_LIST',
  'keys of this cache can not be listed, as they lie on several servers',
);
const NO_KEY = refuse(400, 'NO_KEY', `a key of 1 to ${LONGEST_KEY} characters is wanted`);
