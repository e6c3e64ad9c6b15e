/**
 * One load for one key in the whole fleet. In this process all callers of a key share a flight; between
 * processes a lease says who loads, and the others wait for its end. See docs/cache.md for the protocol.
 */
import { abortReason, type Timer } from '../../core/index.js';
import { CacheClosedError, RecursiveLoadError } from '../cache.errors.js';
import { lifetimeOf } from '../call.options.js';
import { Flight, type Answer, type LoadRequest } from './flight.js';
import { reviveFailure } from './load-failure.js';
import { isInsideLoad, isLeasedAround, isLoadingAround, outsideLoads } from './loader-run.js';
import { KEYS_AT_ONCE, LoadPace } from './load-pace.js';
import { leaseMsOf, OwnLoads, type OwnLoadsParts } from './own-loads.js';
import type { LoadSharing } from '../l1/l1-sharing.js';
import type { Reader } from '../reader.js';
import type { Grant } from '../store.js';
import { Tokens } from './tokens.js';
import { freshness } from '../validity.js';
import type { WakeCalls } from './wake-calls.js';

export interface LoadsParts extends OwnLoadsParts {
  readonly reader: Reader;
  readonly wakes: WakeCalls;
  readonly sharing: LoadSharing;
}

/** So often a flight waits for loads of others that bring nothing, before it loads without a lease. */
const MOST_LOST_WAITS = 2;
/** How often a lease is looked at that nobody can call us about. */
const UNHEARD_MS = 50;
/** Expiry on the server and our timer are not the same clock. */
const AFTER_EXPIRY_MS = 5;

export class Loads {
  readonly #parts: LoadsParts;
  readonly #own: OwnLoads;
  readonly #pace = new LoadPace(KEYS_AT_ONCE);
  readonly #flights = new Map<string, Flight>();
  readonly #running = new Set<Promise<void>>();
  readonly #tokens = new Tokens();
  #state: 'open' | 'draining' | 'closed' = 'open';

  constructor(parts: LoadsParts) {
    this.#parts = parts;
    this.#own = new OwnLoads(parts, this.#pace);
  }

  /** The answer of the load that is under way, or of a new one. */
  join(request: LoadRequest): Promise<Answer> {
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      request.onDecided?.();
      return Promise.reject(refusal);
    }
    const known = this.#flights.get(request.key);
    if (known !== undefined) {
      this.#parts.counters.add('coalesced');
      if (known.busy) request.onDecided?.();
      const answer = known.join(request);
      if (isInsideLoad()) known.haste.make();
      return answer;
    }
    const flight = this.#open(request);
    const answer = flight.join(request);
    this.#start(flight);
    return answer;
  }

  /** Loads in the background, unless somebody does already. */
  refresh(request: LoadRequest): void {
    const fault = this.#faultOf(request);
    if (fault !== undefined) this.#parts.report('load-failed', fault.name);
    if (fault !== undefined || this.#state !== 'open' || this.#flights.has(request.key)) {
      request.onDecided?.();
      return;
    }
    const flight = this.#open(request);
    flight.background = request;
    outsideLoads(() => this.#start(flight));
  }

  /** Lets loads finish for that long, with all that they ask for themselves; who comes from without is refused. */
  async drain(forMs: number): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining';
    let timer: Timer | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = this.#parts.clock.after(forMs, resolve, { keepAlive: true });
    });
    await Promise.race([this.#idle(), patience]);
    timer?.cancel();
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Aborts what is under way. */
  async close(): Promise<void> {
    this.#state = 'closed';
    for (const flight of this.#flights.values()) this.#end(flight);
    await Promise.all(this.#running);
  }

  #refusalOf(request: LoadRequest): Error | undefined {
    if (this.#state === 'closed' || (this.#state === 'draining' && !isInsideLoad())) return closed();
    if (isLoadingAround(this.#own, request.key)) return recursive();
    if (request.signal?.aborted === true) return abortReason(request.signal);
    return this.#faultOf(request);
  }

  /** A tag that names nothing: later it would pass for a failure of Redis. */
  #faultOf({ options }: LoadRequest): Error | undefined {
    try {
      this.#parts.keys.tags(options.tags);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #end(flight: Flight): void {
    flight.background = undefined;
    flight.fail(flight.cut, closed());
    flight.controller?.abandon(closed());
    flight.call?.ring();
  }

  #open(request: LoadRequest): Flight {
    const flight = new Flight(request.key, this.#parts.clock, this.#parts.sharing);
    flight.reachable = !request.unreachable;
    this.#flights.set(request.key, flight);
    return flight;
  }

  #start(flight: Flight): void {
    const running = this.#fly(flight).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #fly(flight: Flight): Promise<void> {
    try {
      while (flight.wanted) await this.#turn(flight);
    } catch (error) {
      // A fault of ours must not leave callers waiting for ever.
      flight.background = undefined;
      flight.fail(flight.cut, error);
    } finally {
      // Nothing is awaited since `wanted` was false, so nobody has joined meanwhile.
      this.#flights.delete(flight.key);
      flight.call?.close();
    }
  }

  async #turn(flight: Flight): Promise<void> {
    if (looksAgain(flight) && (await this.#paced(flight, () => this.#look(flight)))) return;
    const { lead } = flight;
    if (lead === undefined) return;
    if (!flight.reachable || flight.lostWaits > MOST_LOST_WAITS) {
      await this.#own.alone(flight, lead);
      return;
    }
    const token = this.#tokens.next();
    const { cut } = flight;
    let asked: [Grant, number] | undefined;
    try {
      asked = await this.#paced(flight, async () =>
        flight.wanted ? this.#ask(flight, lead, token) : undefined,
      );
    } catch (error) {
      this.#unreachable(flight, cut, error);
      // It may have been granted, and nobody should wait for us then.
      this.#parts.store.release(flight.key, token, { outcome: 'gone' }).catch(() => undefined);
      return;
    }
    // All have left while it waited for its turn.
    if (asked === undefined) return;
    const [grant, clock] = asked;
    if (grant.state !== 'granted') await this.#yieldTo(flight, cut, grant);
    else if (flight.wanted) await this.#own.underLease(flight, { token, clock, request: lead });
    // All have left while it was asked for.
    else await this.#own.giveBack(flight.key, token);
  }

  #paced<T>(flight: Flight, work: () => Promise<T>): Promise<T> {
    return flight.lead?.batched === true ? this.#pace.run(work) : work();
  }

  /** The lease, the clock and the tags' clocks in one round trip. */
  async #ask(flight: Flight, request: LoadRequest, token: string): Promise<[Grant, number]> {
    const { store, fence, settings, keys } = this.#parts;
    const tagKeys = keys.tags(request.options.tags);
    const lifetimeMs = lifetimeOf(request.options);
    const asking = store.acquire(flight.key, {
      token,
      leaseMs: leaseMsOf(request, settings),
      waitedFor: flight.waitedFor,
      despite: flight.despite,
      anyFailure: flight.unfailing,
      waitedMs: flight.waitedMs,
    });
    const reading = fence.now();
    const looking = fence.unregistered(tagKeys, lifetimeMs);
    // All three leave in this tick; when one fails, nobody waits for the others.
    reading.catch(ignore);
    looking.catch(ignore);
    const grant = await asking;
    const clock = await reading;
    const unregistered = await looking;
    if (grant.state === 'granted' && unregistered.length > 0) {
      await fence.register(unregistered, clock, lifetimeMs);
    }
    return [grant, Math.max(clock, fence.seen)];
  }

  #unreachable(flight: Flight, cut: number, error: unknown): void {
    this.#parts.counters.add('failures');
    if (!this.#parts.settings.strict) {
      flight.reachable = false;
      return;
    }
    // Who has joined since asks anew: it is not for this failure to say that there is no Redis for them.
    flight.background = undefined;
    flight.fail(cut, error);
  }

  /** What others have stored since. @returns whether callers were answered with it */
  async #look(flight: Flight): Promise<boolean> {
    const { reader, clock } = this.#parts;
    flight.lookAgain = false;
    const { cut } = flight;
    try {
      const { found, current } = await reader.read(flight.key);
      flight.reachable = true;
      if (found === undefined || !current) return false;
      if (freshness(found.entry, clock.wallNow()) !== 'fresh') return false;
      const outcome = found.entry.negative ? 'negative' : found.tier;
      flight.deliver(cut, { value: found.entry.value, outcome });
      // A refresh ahead of the expiry is about this very entry, unless somebody has stored another one.
      if (flight.background?.stale?.createdAt === found.entry.createdAt) return flight.awaited;
      flight.background = undefined;
      flight.lookAgain = true;
      return true;
    } catch (error) {
      this.#unreachable(flight, cut, error);
      return false;
    }
  }

  // -- others load ------------------------------------------------------------------------------------------

  async #yieldTo(flight: Flight, cut: number, grant: Exclude<Grant, { state: 'granted' }>): Promise<void> {
    // A refresh that somebody else does, or has just failed to do, needs no second one.
    if (grant.state !== 'filled') flight.background = undefined;
    switch (grant.state) {
      case 'held':
        if (isLeasedAround(grant.token)) flight.fail(cut, recursive());
        else await this.#wait(flight, grant.token, grant.leftMs);
        break;
      case 'filled':
        flight.despite = grant.token;
        flight.lookAgain = true;
        break;
      case 'failed':
        flight.waitedFor = undefined;
        flight.fail(cut, reviveFailure(grant.failure));
        break;
      case 'nothing':
        flight.waitedFor = undefined;
        flight.deliver(cut, { value: undefined, outcome: 'loaded' });
        break;
    }
  }

  async #wait(flight: Flight, token: string, leftMs: number): Promise<void> {
    if (!flight.awaited) return;
    const { wakes, keys } = this.#parts;
    if (flight.waitedFor !== undefined && flight.waitedFor !== token) flight.lostWaits += 1;
    flight.waitedFor = token;
    flight.settleOnLoaderOf(undefined);
    flight.call ??= wakes.listen(keys.wake(flight.key));
    const patience = Math.max(1, leftMs + AFTER_EXPIRY_MS);
    await flight.call.wait(flight.call.confirmed ? patience : Math.min(UNHEARD_MS, patience));
    flight.reopen();
  }
}

/** Unless the one who loads next asks for what nobody has stored yet. */
function looksAgain({ lookAgain, lead }: Flight): boolean {
  return lookAgain && lead?.anew !== true;
}

function closed(): CacheClosedError {
  return new CacheClosedError('the cache was disconnected', { hint: 'a closed cache is not opened again' });
}

function recursive(): RecursiveLoadError {
  return new RecursiveLoadError('a loader asked for the key that it is loading', {
    hint: 'let it read the origin, or give the inner value a key of its own',
  });
}

function ignore(): void {
  // Whoever needs it hears of it.
}
