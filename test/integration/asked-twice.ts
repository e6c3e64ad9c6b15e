/** A request and the same again, when the answer to the first has been stored; and where the answers are from. */
import type { Answer, Served } from './http-boot.js';

/** The store is written behind the answer. */
export function stored(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 25));
}

export async function twice(
  shop: Served,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<[Answer, Answer]> {
  const first = await shop.get(path, headers, method);
  await stored();
  return [first, await shop.get(path, headers, method)];
}

/** What their `x-cache` says. */
export function outcomes(answers: readonly Answer[]): (string | null)[] {
  return answers.map(({ headers }) => headers.get('x-cache'));
}
