/** Stands for a language model: slow, a word at a time, and it says of itself that it is none. */
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

const FIRST_WORD_MS = 400;
const WORD_MS = 45;

@Injectable()
export class FakeModel {
  #asked = 0;

  /** How often it had to think since the start. */
  get asked(): number {
    return this.#asked;
  }

  async *answer(prompt: string, signal: AbortSignal): AsyncGenerator<string> {
    this.#asked += 1;
    await pause(FIRST_WORD_MS, undefined, { signal });
    for (const word of text(prompt).split(/(?<= )/u)) {
      yield word;
      await pause(WORD_MS, undefined, { signal });
    }
  }
}

function text(prompt: string): string {
  const words = prompt.split(/\s+/u).filter((word) => word !== '').length;
  return (
    'I am a fake model: no language model runs in this demo, and I know nothing. ' +
    `You asked in ${words} ${words === 1 ? 'word' : 'words'}: "${prompt}". ` +
    'I took my time to say so, as a real one would; ask again and the answer comes from the cache at once.'
  );
}
