/** Starts the parts of a topology at once; when one fails, the others are stopped before the error goes on. */
interface Stoppable {
  stop(): Promise<void>;
}

export async function stopTogether(parts: readonly Stoppable[]): Promise<void> {
  const results = await Promise.allSettled(parts.map((part) => part.stop()));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

export async function startTogether<T extends Stoppable>(starts: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(starts);
  const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return started;
  await stopTogether(started);
  throw failed.reason;
}

/** `start()` over parts that run already: when it fails they are stopped. */
export async function orStop<T>(parts: readonly Stoppable[], start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await stopTogether(parts);
    throw error;
  }
}
