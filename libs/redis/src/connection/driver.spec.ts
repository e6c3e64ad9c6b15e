/** What loading the driver leaves behind in the process. */
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { expect, it } from 'vitest';

/** V8's own word for it; the flag is set for this process alone, which is that of this file. */
function stringsAreFast(): unknown {
  setFlagsFromString('--allow-natives-syntax');
  return runInThisContext('%HasFastProperties(String.prototype)');
}

it('methods of strings are as fast once the driver is loaded as they were before', async () => {
  expect(stringsAreFast()).toBe(true);
  await import('ioredis');
  expect(stringsAreFast(), 'the driver does no harm any more: then there is nothing to mend').toBe(false);
  await import('./driver.js');
  expect(stringsAreFast()).toBe(true);
});

it('and remain so, whoever extends them later', async () => {
  await import('./driver.js');
  class Verbatim extends String {}
  expect(new Verbatim('text')).toHaveLength(4);
  expect(stringsAreFast()).toBe(true);
});
