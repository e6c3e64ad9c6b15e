/** The console of one process: what it has seen, who looks at it, and the answers of its API. */
import { randomBytes } from 'node:crypto';
import { isRedisModuleError, systemClock, type Clock } from '../core/index.js';
import { refusalOf } from './access.js';
import { Answers, MOST_INCIDENTS } from './answers.js';
import { Assets, PAGE } from './assets.js';
import type { ResolvedConsole } from './console.options.js';
import type { ConsoleSource } from './console.source.js';
import { refuse, send, sendEmpty, sendJson, sendRefusal, type Exchange, type Refusal } from './exchange.js';
import { Fleet } from './fleet.js';
import { mergeFleet, ownFleetReport } from './fleet-report.js';
import { STEPS } from './history.js';
import { LiveStream, type LiveEvent } from './live-stream.js';
import { seriesView, stateView } from './overview.js';
import { Sampler, type Step } from './sampler.js';

export interface RedisConsoleParts {
  readonly source: ConsoleSource;
  readonly settings: ResolvedConsole;
  readonly clock?: Clock | undefined;
}

type Ask = (query: URLSearchParams) => unknown;

export class RedisConsole {
  readonly #source: ConsoleSource;
  readonly #settings: ResolvedConsole;
  readonly #sampler: Sampler;
  readonly #live: LiveStream;
  readonly #assets = new Assets();
  readonly #id = randomBytes(6).toString('hex');
  readonly #answers: Readonly<Record<string, Ask>>;
  #fleet: Fleet | undefined;
  #sentStep = -1;
  #sentIncident = 0;

  constructor({ source, settings, clock = systemClock }: RedisConsoleParts) {
    this.#source = source;
    this.#settings = settings;
    this.#sampler = new Sampler(source, clock);
    this.#live = new LiveStream({ most: settings.maxStreams, clock });
    this.#sampler.onStep((step) => this.#tell(step));
    const answers = new Answers({ id: this.#id, source, settings, sampler: this.#sampler });
    this.#answers = {
      snapshot: (query) => answers.snapshot(pointsOf(query)),
      caches: (query) => answers.caches(query),
      key: (query) => answers.key(query),
      keys: (query) => answers.keys(query),
      shards: (query) => answers.shards(query),
      resilience: () => answers.resilience(),
      limits: () => answers.limits(),
      jobs: () => answers.jobs(),
      config: async () => ({ rows: source.config(), versions: await source.versions() }),
      fleet: () => this.#gather(),
    };
  }

  start(): void {
    this.#sampler.start();
    if (!this.#settings.fleet) return;
    const own = (): ReturnType<typeof ownFleetReport> => ownFleetReport(this.#sampler, this.#id);
    this.#fleet = new Fleet({ line: this.#source.fleet, own });
  }

  /** Before the server closes, which waits for open responses. */
  close(): void {
    this.#live.close();
    this.#fleet?.close();
    this.#sampler.close();
  }

  /** Pages that are kept up to date. */
  get streams(): number {
    return this.#live.size;
  }

  page(exchange: Exchange): void {
    if (this.#refused(exchange, true)) return;
    const [path = ''] = exchange.url.split('?');
    // Everything on the page is relative to it, so it has to lie in a folder of its own, whatever its name is.
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name === '') this.#assets.send(exchange, PAGE);
    else sendEmpty(exchange, 302, { location: `./${name}/`, 'cache-control': 'no-store' });
  }

  /** The page at its folder; nothing else lies below it. */
  folder(exchange: Exchange): void {
    const [path = ''] = exchange.url.split('?');
    const name = this.#settings.path.split('/').at(-1) ?? '';
    if (path.endsWith(`/${name}/`)) this.page(exchange);
    else if (!this.#refused(exchange, true)) sendRefusal(exchange, NO_SUCH);
  }

  asset(exchange: Exchange, name: string): void {
    if (this.#refused(exchange, true)) return;
    if (name === PAGE || !this.#assets.send(exchange, name)) sendRefusal(exchange, NO_SUCH);
  }

  async api(exchange: Exchange, name: string): Promise<void> {
    if (this.#refused(exchange, false)) return;
    const query = new URLSearchParams(exchange.url.split('?')[1] ?? '');
    try {
      if (name === 'stream') this.#live.add(exchange, this.#missedSince(exchange, query));
      else await this.#answer(exchange, name, query);
    } catch (error) {
      sendRefusal(exchange, refusalFor(error));
    }
  }

  async #answer(exchange: Exchange, name: string, query: URLSearchParams): Promise<void> {
    const answer = Object.hasOwn(this.#answers, name) ? this.#answers[name] : undefined;
    if (answer === undefined) {
      sendRefusal(exchange, NO_SUCH);
      return;
    }
    const { history, activity } = this.#sampler;
    const etag = `W/"${this.#id}-${history.last}-${activity.lastIncident}-${pointsOf(query)}"`;
    if (name === 'snapshot' && exchange.request.headers['if-none-match'] === etag) {
      sendEmpty(exchange, 304, { etag, 'cache-control': 'no-store' });
      return;
    }
    const body = await answer(query);
    if (isRefusal(body)) sendRefusal(exchange, body);
    else sendJson(exchange, body, name === 'snapshot' ? { etag } : {});
  }

  #refused(exchange: Exchange, navigation: boolean): boolean {
    const refusal = refusalOf(exchange.request, this.#settings, navigation);
    if (refusal === undefined) return false;
    if (navigation && refusal.status === 403) {
      const text = [refusal.message, refusal.hint].filter(Boolean).join('\n');
      send(exchange, { status: 403, type: 'text/plain; charset=utf-8', bytes: text });
    } else sendRefusal(exchange, refusal);
    return true;
  }

  // -- live -------------------------------------------------------------------------------------------------

  #tell({ step }: Step): void {
    const points = this.#sentStep === -1 ? 1 : Math.min(STEPS, step - this.#sentStep);
    this.#live.send(this.#event('step', points, this.#sentIncident));
    this.#sentStep = step;
    this.#sentIncident = this.#sampler.activity.lastIncident;
  }

  #event(name: string, points: number, afterIncident: number): LiveEvent {
    const { history, activity, lastStepAt } = this.#sampler;
    const data = {
      step: history.last,
      at: lastStepAt,
      points,
      series: points === 0 ? {} : seriesView(this.#sampler, points),
      state: stateView(this.#sampler),
      incidents: activity.incidents(MOST_INCIDENTS, afterIncident),
    };
    return { id: `${this.#id}.${history.last}.${activity.lastIncident}`, name, data };
  }

  /** What a page that comes, or comes back, does not have yet; one that was with another process begins anew. */
  #missedSince({ request }: Exchange, query: URLSearchParams): LiveEvent {
    const seen = String(request.headers['last-event-id'] ?? query.get('since') ?? '');
    const [id = '', step, incident] = seen.split('.');
    const missed = this.#sampler.history.last - Number(step);
    if (id !== this.#id || !(missed >= 0 && missed < STEPS)) return this.#event('reset', 0, 0);
    return this.#event('step', missed, Number(incident) || 0);
  }

  async #gather(): Promise<object> {
    if (this.#fleet === undefined) {
      const own = ownFleetReport(this.#sampler, this.#id);
      return {
        ...mergeFleet([own]),
        missing: 'other processes are not asked: fleet is false',
        self: this.#id,
      };
    }
    const { reports, missing } = await this.#fleet.gather();
    return { ...mergeFleet(reports), missing, self: this.#id };
  }
}

const NO_SUCH = refuse(404, 'NO_SUCH', 'there is no such thing here');

function isRefusal(body: unknown): body is Refusal {
  return typeof body === 'object' && body !== null && 'status' in body && 'code' in body && 'message' in body;
}

/** Errors of ours say nothing that must not be read; of others only their kind is told. */
function refusalFor(error: unknown): Refusal {
  if (isRedisModuleError(error)) return refuse(503, error.code, error.message, error.hint);
  return refuse(500, 'FAILED', error instanceof Error ? error.name : 'unknown');
}

function pointsOf(query: URLSearchParams): number {
  const points = Number(query.get('points') ?? STEPS);
  return Number.isInteger(points) && points > 0 ? Math.min(points, STEPS) : STEPS;
}
