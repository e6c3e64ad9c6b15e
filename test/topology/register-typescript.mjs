/** For a child process that goes on with `await import('./some.ts')`. */
import { register } from 'node:module';

export function registerTypescript() {
  register('./typescript-hooks.mjs', import.meta.url);
}
