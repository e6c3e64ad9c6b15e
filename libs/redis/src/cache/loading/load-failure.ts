/** How the failure of a load travels to other processes: name, message and code, and nothing else. */
import { safeMessage } from '../../core/index.js';

export interface LoadFailure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

export function describeFailure(error: unknown): LoadFailure {
  if (!(error instanceof Error))
    return { name: 'Error', message: `a thrown ${typeof error}`, code: undefined };
  const code: unknown = Reflect.get(error, 'code');
  return {
    name: error.name.slice(0, 100),
    message: safeMessage(error.message),
    code: typeof code === 'string' ? code.slice(0, 100) : undefined,
  };
}

/** What came out of Redis is not trusted to be what went in. */
export function reviveFailure(stored: unknown): Error {
  const error = new Error(textOf(stored, 'message') ?? 'the load this call waited for has failed');
  error.name = textOf(stored, 'name') ?? 'Error';
  const code = textOf(stored, 'code');
  if (code !== undefined) Object.defineProperty(error, 'code', { value: code, enumerable: true });
  return error;
}

function textOf(stored: unknown, field: string): string | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const value: unknown = Reflect.get(stored, field);
  return typeof value === 'string' ? value : undefined;
}
