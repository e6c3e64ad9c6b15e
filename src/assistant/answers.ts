/**
 * Answers of the model, kept for an hour. One answer is worked out once, for everybody who asks the same meanwhile, in
 * every process; who asked first reads along while it comes, the others get it whole.
 */
import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CacheService, type CacheOutcome } from '@anbar/nestjs-redis';
import { FakeModel } from './fake-model.js';

export interface Answer {
  readonly text: string;
  readonly writtenAt: Date;
}

declare module '@anbar/nestjs-redis/cache' {
  interface CacheTypes {
    answers: Answer;
  }
}

export interface Reading {
  readonly outcome: CacheOutcome;
  readonly words: AsyncIterable<string>;
}

@Injectable()
export class Answers {
  readonly #cache: CacheService<Answer>;
  readonly #model: FakeModel;

  constructor(@Inject(CacheService) cache: CacheService, @Inject(FakeModel) model: FakeModel) {
    this.#cache = cache.namespace('answers', { ttl: '1h' });
    this.#model = model;
  }

  /** Settles with the first word, or with the answer when it is known. */
  async read(prompt: string): Promise<Reading> {
    const live = new LiveWords();
    let outcome: CacheOutcome | undefined;
    const whole = this.#cache.getOrSet(
      keyOf(prompt),
      async ({ signal }) => {
        // Nobody waits for what is loaded again behind the readers.
        const told = outcome === undefined ? live : undefined;
        told?.begin();
        let said = '';
        for await (const word of this.#model.answer(prompt, signal)) {
          said += word;
          told?.say(word);
        }
        return { text: said, writtenAt: new Date() };
      },
      { onOutcome: (known) => (outcome = known) },
    );
    // Who reads along is told of a failure by the words themselves.
    whole.then(
      () => live.end(),
      (error: unknown) => live.fail(error),
    );
    const streaming = await Promise.race([live.begun, whole.then(() => false)]);
    if (streaming) return { outcome: 'loaded', words: live };
    const { text } = await whole;
    return { outcome: outcome ?? 'loaded', words: once(text) };
  }
}

/** Words that are read while they are still being written. */
class LiveWords implements AsyncIterable<string> {
  readonly begun: Promise<boolean>;
  #begin: (begun: true) => void = () => undefined;
  readonly #words: string[] = [];
  #wake: () => void = () => undefined;
  #state: 'open' | 'ended' | { readonly error: unknown } = 'open';

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  begin(): void {
    this.#begin(true);
  }

  say(word: string): void {
    this.#words.push(word);
    this.#wake();
  }

  end(): void {
    this.#state = 'ended';
    this.#wake();
  }

  fail(error: unknown): void {
    this.#state = { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      const word = this.#words.shift();
      if (word !== undefined) yield word;
      else if (this.#state === 'ended') return;
      else if (this.#state === 'open') await this.#next();
      else throw this.#state.error;
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Prompts are long, and may be nobody's business who looks into Redis. */
function keyOf(prompt: string): string[] {
  return [createHash('sha256').update(prompt.normalize()).digest('base64url')];
}

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}
