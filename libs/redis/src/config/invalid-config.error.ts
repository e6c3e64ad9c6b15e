/** Everything that is wrong with a configuration, in one error: nobody should meet the second fault after a redeploy. */
import { inspect } from 'node:util';
import { RedisModuleError } from '../core/index.js';

/** One thing that is wrong. Never carries a secret: see masking.ts. */
export interface Fault {
  /** The variable or option: `'REDIS_PORT'`, `'options.retry.attempts'`. */
  readonly where: string;
  readonly problem: string;
  /** What to write instead. */
  readonly hint?: string | undefined;
}

export class InvalidConfigError extends RedisModuleError {
  readonly code = 'INVALID_CONFIG';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(listed(faults), { details: { faults: faults.length } });
    this.faults = faults;
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), faults: this.faults };
  }

  /** The message already lists every fault, so the base class' lines of details would only repeat it. */
  override [inspect.custom](): string {
    return `${this.stack ?? `${this.name}: ${this.message}`}\n  code: ${this.code}`;
  }
}

function listed(faults: readonly Fault[]): string {
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  const lines = faults.map(({ where, problem, hint }, index) => {
    const help = hint === undefined ? '' : `\n     hint: ${hint}`;
    return `  ${index + 1}. ${where}: ${problem}${help}`;
  });
  return `${count} in the Redis configuration:\n${lines.join('\n')}`;
}
