/** Reads the counters every 5 s and writes down what became of them since. */
import { safeMessage, systemClock, type Clock, type Timer } from '../core/index.js';
import type { OwnFigures, ServerMemory } from '../monitoring/index.js';
import { Activity } from './activity.js';
import type { ConsoleSource } from './console.source.js';
import { breakerOf, cachesOf, changeOf, CHANGES, NOTHING, upOf, type Change } from './figures.js';
import { History, STEP_MS } from './history.js';

/** What a step tells of the process as a whole; the names are those of the API. */
export const SERIES = [
  'requests',
  'l1',
  'l2',
  'fallback',
  'stale',
  'misses',
  'hitRate',
  'loads',
  'loadFailures',
  'coalesced',
  'failures',
  'commands',
  'commandErrors',
  'retries',
  'p50',
  'p99',
  'breaker',
  'up',
  'allowed',
  'denied',
  'published',
  'l1Bytes',
  'redisBytes',
  'heapBytes',
] as const;

export type SeriesName = (typeof SERIES)[number];

const MEASURED: ReadonlySet<string> = new Set<SeriesName>(['p50', 'p99', 'hitRate', 'redisBytes']);
/** Three series each, or none: what further caches do is in the sums only. */
const MOST_CACHES = 100;
const PER_CACHE = ['requests', 'hits', 'loads'] as const;
/** Redis is asked for its memory on each of so many steps. */
const SERVER_EVERY = 3;

/** What happens together is told together. */
const SOON_MS = 100;
const FINE = { up: 1, breaker: 0 };

export interface Step {
  readonly step: number;
  readonly at: number;
}

export class Sampler {
  readonly history = new History(SERIES.length, MEASURED);
  /** Of single caches: apart, or many of them would leave no room for the process as a whole. */
  readonly caches = new History(MOST_CACHES * PER_CACHE.length);
  readonly activity: Activity;
  readonly #source: ConsoleSource;
  readonly #clock: Clock;
  readonly #followed = new Set<string>();
  readonly #listeners = new Set<(step: Step) => void>();
  readonly #stopHappenings: () => void;
  #before: OwnFigures | undefined;
  #beforeAt = 0;
  #server: ServerMemory | undefined;
  #lastStepAt = 0;
  #timer: Timer | undefined;
  #soon: Timer | undefined;
  /** Since the last step. */
  #worst = FINE;
  #looking = false;
  #closed = false;
  #steps = 0;

  constructor(source: ConsoleSource, clock: Clock = systemClock) {
    this.#source = source;
    this.#clock = clock;
    this.activity = new Activity(
      () => clock.wallNow(),
      () => this.#onIncident(),
    );
    this.#stopHappenings = source.onHappening((happening) => this.activity.happened(happening));
  }

  start(): void {
    this.#safely(() => this.step());
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#soon?.cancel();
    this.#stopHappenings();
    this.activity.close();
    this.#listeners.clear();
  }

  /** The counters as they are now. */
  get reading(): OwnFigures {
    return this.#source.stats.source.own();
  }

  get server(): ServerMemory | undefined {
    return this.#server;
  }

  get lastStepAt(): number {
    return this.#lastStepAt;
  }

  onStep(listener: (step: Step) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether `caches` tells what a cache did: not of those that were used only after there was no more room. */
  knows(id: string): boolean {
    return this.#followed.has(id) || this.#followed.size < MOST_CACHES;
  }

  /** One step of the history. */
  step(): void {
    const now = this.#clock.now();
    const reading = this.reading;
    const { history } = this;
    const at = this.#clock.wallNow();
    const step = history.begin(at);
    this.caches.begin(at);
    const seconds = Math.max(0.001, (now - this.#beforeAt) / 1_000);
    const before = this.#before ?? reading;
    this.#writeCaches(reading, before, seconds);
    this.#writeRest(reading, before, seconds);
    this.#before = reading;
    this.#beforeAt = now;
    this.#lastStepAt = at;
    if (this.#steps % SERVER_EVERY === 0) void this.#askServer();
    this.#steps += 1;
    for (const listener of this.#listeners) listener({ step, at });
  }

  /** At the ends of the steps of the wall clock, so that processes count alike. */
  #arm(): void {
    const left = STEP_MS - (this.#clock.wallNow() % STEP_MS);
    this.#timer = this.#clock.after(Math.max(left, STEP_MS / 10), () => {
      if (this.#closed) return;
      this.#safely(() => this.step());
      this.#arm();
    });
  }

  /** Whoever looks is not to wait for the next step to learn of an outage; and one between two steps counts too. */
  #onIncident(): void {
    if (this.#closed || this.history.last === -1) return;
    this.#safely(() => this.#noteWorst(this.reading));
    this.#soon ??= this.#clock.after(SOON_MS, () => {
      this.#soon = undefined;
      const step = { step: this.history.last, at: this.#clock.wallNow() };
      this.#safely(() => this.#listeners.forEach((listener) => listener(step)));
    });
  }

  /** It runs in timers and in other rooms' events: whatever fails here must not end the application it looks at. */
  #safely(look: () => void): void {
    if (this.#looking) return;
    this.#looking = true;
    try {
      look();
    } catch (error) {
      const text = error instanceof Error ? safeMessage(error.message) : 'unknown';
      this.activity.happened({ kind: 'console', subject: 'figures', text });
    } finally {
      this.#looking = false;
    }
  }

  #noteWorst(reading: OwnFigures): void {
    const { up, breaker } = this.#worst;
    this.#worst = { up: Math.min(up, upOf(reading)), breaker: Math.max(breaker, breakerOf(reading)) };
  }

  #writeCaches(reading: OwnFigures, before: OwnFigures, seconds: number): void {
    const { history, caches } = this;
    const sums = { ...NOTHING };
    const known = new Map(cachesOf(before).map(({ id, figures }) => [id, figures]));
    for (const { id, figures } of cachesOf(reading)) {
      const change = changeOf(figures, known.get(id));
      for (const name of CHANGES) sums[name] += change[name];
      if (!this.#follows(id, change)) continue;
      caches.write(`${id}:requests`, change.requests);
      caches.write(`${id}:hits`, change.requests - change.misses);
      caches.write(`${id}:loads`, change.loads);
    }
    for (const name of CHANGES) history.write(name, sums[name] / seconds);
    const hits = sums.requests - sums.misses;
    history.write('hitRate', sums.requests === 0 ? Number.NaN : hits / sums.requests);
  }

  #follows(id: string, { requests, loads }: Change): boolean {
    if (this.#followed.has(id)) return true;
    if (requests + loads === 0 || !this.knows(id)) return false;
    this.#followed.add(id);
    return true;
  }

  #writeRest(reading: OwnFigures, before: OwnFigures, seconds: number): void {
    const { history } = this;
    const { commands, errors, retries, p50, p99 } = this.activity.takeStep();
    const rates: Partial<Record<SeriesName, number>> = {
      commands,
      commandErrors: errors,
      retries,
      allowed: reading.limiter.allowed - before.limiter.allowed,
      denied: reading.limiter.denied - before.limiter.denied,
      published: reading.pubsub.published - before.pubsub.published,
    };
    for (const [name, value] of Object.entries(rates)) history.write(name, value / seconds);
    history.write('p50', p50);
    history.write('p99', p99);
    this.#noteWorst(reading);
    history.write('breaker', this.#worst.breaker);
    history.write('up', this.#worst.up);
    this.#worst = FINE;
    history.write('l1Bytes', reading.l1?.bytes ?? 0);
    history.write('redisBytes', this.#server?.usedBytes ?? Number.NaN);
    history.write('heapBytes', process.memoryUsage().heapUsed);
  }

  async #askServer(): Promise<void> {
    try {
      this.#server = await this.#source.stats.source.server();
    } catch {
      // Redis is away, which is told elsewhere; what it held is not known then.
      this.#server = undefined;
    }
  }
}
