/**
 * A contract as data: cases over a subject, and nothing about how tests are run. The same cases run on every
 * implementation of a port, with vitest, jest or node:test, because `describe`, `it` and `after` are handed in.
 */
import { randomBytes } from 'node:crypto';

export interface ContractTools<Subject> {
  /** A key of this case alone. Put a `{tag}` into the name where keys have to share a slot. */
  readonly key: (name: string) => string;
  /** Another subject on the same store, for cases that close it; disposed of after the case. */
  readonly another: () => Promise<Subject>;
  /** Empties the server's script cache, where there is one. */
  readonly flushScripts: () => Promise<void>;
}

export interface ContractCase<Subject> {
  readonly name: string;
  run(subject: Subject, tools: ContractTools<Subject>): Promise<void>;
}

export interface Contract<Subject> {
  readonly name: string;
  readonly cases: readonly ContractCase<Subject>[];
}

/** One implementation of the port: what a contract runs on. */
export interface ContractTarget<Subject> {
  /** Shown in titles: `'embedded'`, `'cluster'` … */
  readonly name: string;
  create(): Promise<Subject>;
  dispose?(subject: Subject): Promise<void>;
  /** Put before every key and channel, for users of a server who may touch nothing else. @default '' */
  readonly prefix?: string;
  /** `SCRIPT FLUSH` on every server of the target. */
  flushScripts?(): Promise<void>;
  /** Told the outcome of each case. */
  onResult?(result: ContractResult): void;
}

export interface ContractResult {
  readonly contract: string;
  readonly target: string;
  readonly case: string;
  readonly ok: boolean;
}

/** vitest and jest: `{ describe, it, after: afterAll }`; node:test: `{ describe, it, after }`. */
export interface ContractRunner {
  describe(title: string, body: () => void): unknown;
  it(title: string, body: () => Promise<void>): unknown;
  after(body: () => Promise<void>): unknown;
}

/**
 * Registers every case of a contract for one target.
 * ```ts
 * runContract(redisClientContract, { name: 'mine', create: () => createMine() }, { describe, it, after: afterAll });
 * ```
 */
export function runContract<Subject>(
  contract: Contract<Subject>,
  target: ContractTarget<Subject>,
  runner: ContractRunner,
): void {
  const run = new ContractRun(contract.name, target);
  runner.describe(`${contract.name} · ${target.name}`, () => {
    runner.after(() => run.end());
    for (const each of contract.cases) runner.it(each.name, () => run.perform(each));
  });
}

/** One contract on one target: all cases share a subject, made when the first of them starts. */
class ContractRun<Subject> {
  readonly #contract: string;
  readonly #target: ContractTarget<Subject>;
  #subject: Promise<Subject> | undefined;

  constructor(contract: string, target: ContractTarget<Subject>) {
    this.#contract = contract;
    this.#target = target;
  }

  async perform(each: ContractCase<Subject>): Promise<void> {
    const more: Subject[] = [];
    let ok = false;
    try {
      this.#subject ??= this.#target.create();
      await each.run(await this.#subject, this.#tools(more));
      ok = true;
    } finally {
      for (const subject of more) await this.#target.dispose?.(subject);
      this.#target.onResult?.({ contract: this.#contract, target: this.#target.name, case: each.name, ok });
    }
  }

  async end(): Promise<void> {
    const subject = await this.#subject;
    if (subject !== undefined) await this.#target.dispose?.(subject);
  }

  #tools(more: Subject[]): ContractTools<Subject> {
    const target = this.#target;
    const prefix = `${target.prefix ?? ''}contract:${randomBytes(6).toString('hex')}:`;
    return {
      key: (name) => `${prefix}${name}`,
      another: async () => {
        const subject = await target.create();
        more.push(subject);
        return subject;
      },
      flushScripts: async () => target.flushScripts?.(),
    };
  }
}
