/** Work on many things at once, but not on so many that one caller fills the connection and nobody else gets through. */

const AT_ONCE = 250;

/** Results in the order of the items. Up to 250 leave together. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Result | Promise<Result>,
): Promise<Result[]> {
  if (items.length <= AT_ONCE) return Promise.all(items.map(work));
  const results: Result[] = [];
  for (const batch of batchesOf(items, AT_ONCE)) {
    const at = results.length;
    results.push(...(await Promise.all(batch.map((item, i) => work(item, at + i)))));
  }
  return results;
}

/** Up to `size` each, in their order. */
export function batchesOf<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
  if (items.length <= size) return [items];
  const batches: (readonly Item[])[] = [];
  for (let at = 0; at < items.length; at += size) batches.push(items.slice(at, at + size));
  return batches;
}
