/**
 * Loaders that remember what they brought: a value that was loaded for a caller is his, also when what was to become
 * of it afterwards has failed. And what they failed with: a loader may use Redis, too, and its errors are its own.
 */
import type { Key } from '../../connection/index.js';
import type { ManyLoader, ManyValues } from '../loading/batch-loader.js';
import type { Loader } from '../call.options.js';

/** Shared by all loads of a process: whoever joins a load gets the very error that its loader threw. */
export class LoaderFailures {
  readonly #errors = new WeakSet<Error>();

  has(error: unknown): boolean {
    return error instanceof Error && this.#errors.has(error);
  }

  async noting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Error) this.#errors.add(error);
      throw error;
    }
  }
}

export class RecordedLoader<T> {
  done = false;
  value: T | undefined;
  readonly #loader: Loader<T>;
  readonly #failures: LoaderFailures;

  constructor(loader: Loader<T>, failures: LoaderFailures) {
    this.#loader = loader;
    this.#failures = failures;
  }

  readonly load: Loader<T> = async (context) => {
    const value = await this.#failures.noting(async () => this.#loader(context));
    this.value = value;
    this.done = true;
    return value;
  };
}

export class RecordedManyLoader<T> {
  /** By the very keys that were handed in. */
  readonly values = new Map<Key, T | undefined>();
  readonly #loader: ManyLoader<T>;
  readonly #failures: LoaderFailures;

  constructor(loader: ManyLoader<T>, failures: LoaderFailures) {
    this.#loader = loader;
    this.#failures = failures;
  }

  readonly load: ManyLoader<T> = async (missing, context) => {
    const values = await this.#failures.noting(async () => this.#loader(missing, context));
    missing.forEach((key, i) => this.values.set(key, valueAt(values, key, i)));
    return values;
  };
}

function valueAt<T>(values: ManyValues<T>, key: Key, index: number): T | undefined {
  const value = isMap(values) ? values.get(key) : values[index];
  return value as T | undefined;
}

function isMap<T>(values: ManyValues<T>): values is ReadonlyMap<Key, T | null | undefined> {
  return values instanceof Map;
}
