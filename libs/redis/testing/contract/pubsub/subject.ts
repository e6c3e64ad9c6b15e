/** What the contract of pub/sub runs on, and what its cases share. */
import type { RedisClient } from '../../../src/connection/index.js';
import type { Message, MessageStream, PubSub } from '../../../src/pubsub/index.js';
import type { ContractCase } from '../contract.js';

export interface PubSubSubject {
  readonly pubsub: PubSub;
  /** The same store from outside: for what others do to it. */
  readonly client: RedisClient;
  /** First segment of all keys and channels. */
  readonly namespace: string;
}

export type PubSubCase = ContractCase<PubSubSubject>;

/** The next so many messages. */
export async function take<T>(stream: MessageStream<T>, count: number): Promise<Message<T>[]> {
  const taken: Message<T>[] = [];
  while (taken.length < count) {
    const { done, value } = await stream.next();
    if (done === true) throw new Error(`the stream ended after ${taken.length} of ${count} messages`);
    taken.push(value);
  }
  return taken;
}

export async function takeData<T>(stream: MessageStream<T>, count: number): Promise<T[]> {
  return (await take(stream, count)).map(({ data }) => data);
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
