/** One walk through the keys of one place, on all of its servers, with the rules of those who know them. */
import {
  escapeGlob,
  RedisReplyError,
  type CallOptions,
  type CleanupRule,
  type CleanupVerdict,
  type RedisClient,
  type ScanPage,
} from '../connection/index.js';
import { inBatches, type Duration } from '../core/index.js';
import type { Tallies, Tally } from './cleanup-report.js';
import type { Pace } from './pace.js';

/** A keyspace with keys of this package. */
export interface CleanupHome {
  /** For reports. */
  readonly name: string;
  readonly client: RedisClient;
  /** Rules for one run: they may remember what they meet. */
  rules(): readonly CleanupRule[];
}

export interface SweepParts {
  readonly home: CleanupHome;
  readonly pace: Pace;
  readonly tallies: Tallies;
  readonly signal: AbortSignal;
  readonly dryRun: boolean;
  /** Told after each round trip. */
  onPage(tally: Tally): void;
}

/** A slow server is to be waited for: that is what the pause is for. */
const ROUND_TRIP: Duration = '5s';

interface Candidate {
  readonly name: string;
  readonly rule: CleanupRule;
  readonly leftMs: number;
}

export class Sweep {
  readonly #parts: SweepParts;
  readonly #call: CallOptions;
  #tellsSizes = true;
  /** Of the server that gave the names that are looked at. */
  #tally: Tally | undefined;

  constructor(parts: SweepParts) {
    this.#parts = parts;
    this.#call = { timeout: ROUND_TRIP, signal: parts.signal };
  }

  async run(): Promise<void> {
    const rules = this.#parts.home.rules();
    await this.#pass(rules, true);
    const later = rules.flatMap((rule) => rule.afterwards?.() ?? []);
    if (later.length > 0) await this.#pass(later, false);
  }

  /** In the second pass the same keys are met again, and counted already. */
  async #pass(rules: readonly CleanupRule[], counts: boolean): Promise<void> {
    if (rules.length === 0) return;
    const { home, pace, tallies, signal } = this.#parts;
    const match = `${escapeGlob(commonStart(rules.map(({ prefix }) => prefix)))}*`;
    const count = pace.page;
    const onPage = async ({ node, durationMs }: ScanPage): Promise<void> => {
      this.#tally = tallies.of(home.name, node);
      this.#parts.onPage(this.#tally);
      await pace.step(count, durationMs);
    };
    for await (const names of home.client.scan({ match, count, timeout: ROUND_TRIP, onPage, signal })) {
      const met = names.flatMap((name) => {
        const rule = rules.find(({ prefix, holds }) => name.startsWith(prefix) && holds(name));
        return rule === undefined ? [] : [{ name, rule }];
      });
      if (counts && this.#tally !== undefined) this.#tally.scanned += met.length;
      await this.#settle(await this.#withTimeLeft(met));
    }
  }

  async #withTimeLeft(met: readonly Omit<Candidate, 'leftMs'>[]): Promise<readonly Candidate[]> {
    if (met.length === 0) return [];
    const commands = met.map(({ name }) => ({ name: 'PTTL', args: [name] }));
    const lefts = await this.#parts.home.client.pipeline(commands, this.#call);
    return met.map(({ name, rule }, i) => {
      const left = lefts[i];
      if (left?.ok === false) throw left.error;
      return { name, rule, leftMs: Number(left?.value) };
    });
  }

  async #settle(candidates: readonly Candidate[]): Promise<void> {
    const tally = this.#tally;
    const present = candidates.filter(({ leftMs }) => leftMs !== -2);
    const sizes = await this.#sizesOf(present.filter(({ leftMs }) => leftMs === -1).map(({ name }) => name));
    await inBatches(present, async (candidate) => {
      const verdict = await this.#judge(candidate);
      if (verdict === 'kept' || tally === undefined) return;
      tally.add(verdict, candidate.rule.name);
      if (verdict === 'removed') tally.freedBytes += sizes.get(candidate.name) ?? 0;
    });
  }

  async #judge({ name, rule, leftMs }: Candidate): Promise<CleanupVerdict> {
    const { home, dryRun } = this.#parts;
    try {
      return await rule.judge(name, { client: home.client, leftMs, dryRun, call: this.#call });
    } catch (error) {
      // Somebody else has put something of another kind there: it is not ours to judge.
      if (error instanceof RedisReplyError && error.kind === 'WRONGTYPE') return 'kept';
      throw error;
    }
  }

  /** Not all servers tell, and not everybody may ask: then it is not counted. */
  async #sizesOf(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    if (!this.#tellsSizes || names.length === 0) return sizes;
    const commands = names.map((name) => ({ name: 'MEMORY', args: ['USAGE', name] }));
    const told = await this.#parts.home.client.pipeline(commands, this.#call);
    for (const [i, size] of told.entries()) {
      if (size.ok && typeof size.value === 'number') sizes.set(names[i] ?? '', size.value);
    }
    this.#tellsSizes = told.some(({ ok }) => ok);
    return sizes;
  }
}

/** What all of them begin with. */
function commonStart(texts: readonly string[]): string {
  const [first = '', ...others] = texts;
  let length = first.length;
  for (const text of others) {
    while (!text.startsWith(first.slice(0, length))) length -= 1;
  }
  return first.slice(0, length);
}
