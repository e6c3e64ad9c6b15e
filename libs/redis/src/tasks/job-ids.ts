/** Ids of tasks among the keys of BullMQ: what callers ask for may be anything, and is a task or nothing. */
import type { Job, Queue } from 'bullmq';

/** No task has an id with half of a surrogate pair in it, and no address can be made of one. */
const HALF_CHARACTER = /\p{Surrogate}/u;

/** What BullMQ names itself: a number, or the next task of a schedule; and what others add has no colon. */
const NOT_OURS = /^[^~:][^:]*$|^repeat:.*:\d+$/su;

/** BullMQ refuses ids that are numbers or hold a colon. */
export function toJobId(id: string): string {
  return `~${encodeURIComponent(id).replaceAll('~', '%7E')}`;
}

export function fromJobId(id: string | undefined): string {
  return id?.startsWith('~') === true ? decodeURIComponent(id.slice(1)) : (id ?? '');
}

export async function findJob(queue: Queue, id: string): Promise<Job | undefined> {
  if (HALF_CHARACTER.test(id)) return undefined;
  const ours = await queue.getJob(toJobId(id));
  if (ours !== undefined) return ours as Job;
  // The queue keeps what it needs itself under such names too, and would take it for a task.
  if (!NOT_OURS.test(id) || Object.hasOwn(queue.keys, id)) return undefined;
  const found = (await queue.getJob(id)) as Job | undefined;
  return found !== undefined && Number.isFinite(found.timestamp) ? found : undefined;
}
