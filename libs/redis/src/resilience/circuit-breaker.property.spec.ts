/**
 * The breaker against a model written the slow and obvious way: it keeps every call and every change of
 * state there has been and works everything out anew from those lists. Random outcomes, durations, pauses,
 * jumps of the wall clock, answers that come late and probes that never answer.
 *
 * A failure prints its seed: `FC_SEED=<seed> npx vitest run <this file>` runs it again.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { CircuitBreaker, type BreakerState } from './circuit-breaker.js';
import type { ResolvedBreaker } from './circuit-breaker.options.js';

const SEED = process.env['FC_SEED'];
const RUNS = { numRuns: 1_000, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };

type Verdict = 'ok' | 'slow' | 'failed' | 'ignored';

interface Call {
  readonly era: number;
  readonly startedAt: number;
  end: { readonly at: number; readonly verdict: Verdict } | undefined;
}

interface Era {
  readonly state: BreakerState;
  readonly since: number;
  /** Only of open ones. */
  readonly until: number;
}

class Model {
  readonly #calls: Call[] = [];
  /** In the order they ended; several may have ended in the same millisecond. */
  readonly #ended: Call[] = [];
  readonly #eras: Era[] = [{ state: 'closed', since: 0, until: 0 }];

  constructor(
    private readonly options: ResolvedBreaker,
    private readonly random: number,
  ) {}

  get era(): Era {
    return this.#eras.at(-1) ?? { state: 'closed', since: 0, until: 0 };
  }

  get states(): readonly BreakerState[] {
    return this.#eras.map((era) => era.state);
  }

  begin(now: number): Call | undefined {
    if (this.era.state === 'open' && now >= this.era.until) this.#enter('half-open', now);
    const { state } = this.era;
    if (state === 'open' || state === 'isolated') return undefined;
    if (state === 'half-open' && this.#probesUnderWay(now) >= this.options.probes) return undefined;
    const call: Call = { era: this.#eras.length, startedAt: now, end: undefined };
    this.#calls.push(call);
    return call;
  }

  end(call: Call, verdict: Verdict, now: number): void {
    const inTime = this.era.state === 'closed' || now - call.startedAt < this.options.maxOpenForMs;
    call.end = { at: now, verdict: inTime ? verdict : 'ignored' };
    this.#ended.push(call);
    if (call.era !== this.#eras.length || call.end.verdict === 'ignored') return;
    if (this.era.state === 'closed' && this.#shouldOpen(now)) this.open(now);
    else if (this.era.state === 'half-open') this.#judgeProbes(now);
  }

  open(now: number): void {
    const lastClosed = this.states.lastIndexOf('closed');
    const openings = this.states.slice(lastClosed).filter((state) => state === 'open').length;
    const full = Math.min(this.options.maxOpenForMs, this.options.openForMs * 2 ** openings);
    this.#enter('open', now, now + full / 2 + (this.random * full) / 2);
  }

  trip(now: number): void {
    if (this.era.state === 'closed' || this.era.state === 'half-open') this.open(now);
  }

  ready(now: number): void {
    if (this.era.state === 'open') this.#enter('half-open', now);
  }

  isolate(now: number): void {
    if (this.era.state !== 'isolated') this.#enter('isolated', now);
  }

  restore(now: number): void {
    if (this.era.state === 'isolated') this.#enter('closed', now);
  }

  #enter(state: BreakerState, since: number, until = 0): void {
    this.#eras.push({ state, since, until });
  }

  #ofThisEra(): Call[] {
    return this.#calls.filter((call) => call.era === this.#eras.length);
  }

  #probesUnderWay(now: number): number {
    const { maxOpenForMs } = this.options;
    return this.#ofThisEra().filter((call) => !call.end && now - call.startedAt < maxOpenForMs).length;
  }

  #judgeProbes(now: number): void {
    const verdicts = this.#ofThisEra().map((call) => call.end?.verdict);
    if (verdicts.includes('failed') || verdicts.includes('slow')) this.open(now);
    else if (count(verdicts, 'ok') >= Math.min(this.options.probes, this.options.consecutiveFailures))
      this.#enter('closed', now);
  }

  #shouldOpen(now: number): boolean {
    const tenthNow = this.#tenth(now);
    const ended = this.#ended
      .filter((call) => call.era === this.#eras.length)
      .flatMap(({ end }) => (end === undefined || end.verdict === 'ignored' ? [] : [end]));
    const recent = ended.filter((end) => this.#tenth(end.at) > tenthNow - 10).map((end) => end.verdict);
    if (this.#streakOf(ended) >= this.options.consecutiveFailures) return true;
    if (recent.length < this.options.minimumCalls) return false;
    if (count(recent, 'failed') / recent.length >= this.options.failureRate) return true;
    return count(recent, 'slow') / recent.length >= this.options.slowRate;
  }

  /** Failures at the end of the list, each less than a window after the one before it. */
  #streakOf(ended: readonly { at: number; verdict: Verdict }[]): number {
    let streak = 0;
    let later: number | undefined;
    for (const end of ended.toReversed()) {
      if (end.verdict !== 'failed') break;
      if (later !== undefined && this.#tenth(later) - this.#tenth(end.at) >= 10) break;
      later = end.at;
      streak += 1;
    }
    return streak;
  }

  #tenth(time: number): number {
    return Math.floor(time / (this.options.windowMs / 10));
  }
}

function count(verdicts: readonly (Verdict | undefined)[], wanted: Verdict): number {
  return verdicts.filter((verdict) => verdict === wanted).length;
}

/** One step of a random history. `which` picks among the calls that have not been answered yet. */
type Step =
  | { readonly do: 'begin' | 'trip' | 'ready' | 'isolate' | 'restore' }
  | { readonly do: 'end'; readonly which: number; readonly verdict: Verdict }
  | { readonly do: 'call'; readonly verdict: Verdict }
  | { readonly do: 'wait' | 'jumpWall'; readonly ms: number };

const verdict = fc.constantFrom<Verdict>('ok', 'ok', 'ok', 'failed', 'failed', 'slow', 'ignored');

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ do: 'begin' }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('call' as const), verdict }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      // Mostly the oldest call, now and then one in the middle; some are never picked: they never answer.
      which: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(50) }),
      verdict,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.nat(5), fc.nat(60), fc.nat(400), fc.nat(5_000)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('jumpWall' as const),
      ms: fc.integer({ min: -3_600_000, max: 3_600_000 }),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: 'trip' }, { do: 'ready' }, { do: 'restore' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'isolate' }) },
);

const SLOW_MS = 50;

const options: fc.Arbitrary<ResolvedBreaker> = fc.record({
  failureRate: fc.constantFrom(0.25, 0.5, 0.8, 1),
  minimumCalls: fc.integer({ min: 1, max: 8 }),
  windowMs: fc.constantFrom(100, 1_000, 10_000),
  consecutiveFailures: fc.integer({ min: 1, max: 6 }),
  slowCallMs: fc.constantFrom(SLOW_MS, Number.POSITIVE_INFINITY),
  slowRate: fc.constantFrom(0.3, 0.6, 1),
  openForMs: fc.constantFrom(20, 100),
  maxOpenForMs: fc.constantFrom(100, 300, 2_000),
  probes: fc.integer({ min: 1, max: 4 }),
});

const EVERY_CHANGE = [
  'closed > open',
  'open > half-open',
  'half-open > open',
  'half-open > closed',
  'closed > isolated',
  'open > isolated',
  'half-open > isolated',
  'isolated > closed',
];

interface Pending {
  readonly permit: number;
  readonly call: Call;
}

/** Both sides of one history, taken one step at a time. */
class Pair {
  readonly clock = new FakeClock();
  readonly states: BreakerState[] = ['closed'];
  readonly model: Model;
  readonly breaker: CircuitBreaker;
  readonly #pending: Pending[] = [];
  readonly #slowCallMs: number;

  constructor(resolved: ResolvedBreaker, random: number) {
    this.#slowCallMs = resolved.slowCallMs;
    this.model = new Model(resolved, random);
    this.breaker = new CircuitBreaker(resolved, {
      clock: this.clock,
      random: () => random,
      onChange: ({ to }) => this.states.push(to),
    });
  }

  take(next: Step): void {
    const now = this.clock.now();
    if (next.do === 'call') this.#call(next.verdict, now);
    else if (next.do === 'wait') this.clock.advance(next.ms);
    else if (next.do === 'jumpWall') this.clock.jumpWall(next.ms);
    else if (next.do === 'begin') this.#begin(now);
    else if (next.do === 'end') this.#end(next.which, next.verdict);
    else this.#command(next.do, now);
    this.#compare();
  }

  #call(outcome: Verdict, now: number): void {
    const before = this.#pending.length;
    this.#begin(now);
    if (this.#pending.length > before) this.#end(before, outcome);
  }

  #begin(now: number): void {
    const permit = this.breaker.acquire();
    const call = this.model.begin(now);
    expect(permit >= 0, 'let through').toBe(call !== undefined);
    if (call !== undefined) this.#pending.push({ permit, call });
  }

  #end(which: number, outcome: Verdict): void {
    const [picked] = this.#pending.splice(which % Math.max(1, this.#pending.length), 1);
    if (picked === undefined) return;
    const slowCounts = Number.isFinite(this.#slowCallMs);
    this.model.end(picked.call, outcome === 'slow' && !slowCounts ? 'ok' : outcome, this.clock.now());
    if (outcome === 'ignored') this.breaker.ignore(picked.permit);
    else if (outcome === 'failed') this.breaker.failure(picked.permit);
    else this.breaker.success(picked.permit, outcome === 'slow' ? SLOW_MS + 1 : SLOW_MS);
  }

  #command(what: 'trip' | 'ready' | 'isolate' | 'restore', now: number): void {
    this.model[what](now);
    if (what === 'trip') this.breaker.trip('the socket was closed');
    else if (what === 'ready') this.breaker.halfOpen();
    else this.breaker[what]();
  }

  #compare(): void {
    const { era } = this.model;
    expect(this.breaker.state).toBe(era.state);
    expect(this.breaker.opensUntil).toBe(era.state === 'open' ? era.until : undefined);
    expect(this.states).toEqual(this.model.states);
  }
}

it('does what the model does, whatever happens', () => {
  const history = fc.array(step, { minLength: 20, maxLength: 120 });
  // Eighths, so that both sides come to the same number in whatever order they add.
  const random = fc.nat(7).map((eighths) => eighths / 8);
  const changes = new Map<string, number>();
  fc.assert(
    fc.property(options, random, history, (resolved, part, steps) => {
      const pair = new Pair(
        { ...resolved, maxOpenForMs: Math.max(resolved.openForMs, resolved.maxOpenForMs) },
        part,
      );
      for (const next of steps) pair.take(next);
      for (const [index, to] of pair.states.entries()) {
        const change = `${pair.states[index - 1] ?? 'start'} > ${to}`;
        changes.set(change, (changes.get(change) ?? 0) + 1);
      }
    }),
    RUNS,
  );
  // Histories in which little happens would prove little: each change there is has to have been seen often.
  for (const change of EVERY_CHANGE) expect(changes.get(change), change).toBeGreaterThan(RUNS.numRuns / 20);
}, 60_000);
