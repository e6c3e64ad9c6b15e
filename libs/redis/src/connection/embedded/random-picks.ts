/** Random members, as SPOP, SRANDMEMBER, HRANDFIELD and ZRANDMEMBER take them. */

/** Up to `count` different ones, in random order. */
export function pickDistinct<T>(items: readonly T[], count: number): T[] {
  const pool = [...items];
  const wanted = Math.min(count, pool.length);
  for (let i = 0; i < wanted; i += 1) {
    const other = i + randomBelow(pool.length - i);
    const [left, right] = [pool[i], pool[other]];
    if (left === undefined || right === undefined) break;
    pool[i] = right;
    pool[other] = left;
  }
  return pool.slice(0, wanted);
}

/** Exactly `count`, each drawn from all; none when there are none. */
export function pickWithRepeats<T>(items: readonly T[], count: number): T[] {
  const picked: T[] = [];
  while (picked.length < count) {
    const item = items[randomBelow(items.length)];
    if (item === undefined) break;
    picked.push(item);
  }
  return picked;
}

function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}
