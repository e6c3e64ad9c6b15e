/** What the contract of pub/sub runs on, and what its cases share. */
import type { RedisClient } from '../../../src/connection/index.js';
import { PubSub, type Message, type MessageStream } from '../../../src/pubsub/index.js';
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

/** A service whose members die: they neither keep what they owe nor hand it over. */
export function mortal(subject: PubSubSubject): PubSub {
  const run: RedisClient['run'] = (script, ...rest) =>
    script.name === 'pubsub.keep' ? Promise.reject(new Error('dead')) : subject.client.run(script, ...rest);
  return instead(subject, { run });
}

/** A service that loses the answer to its next reading, each time it is told to. */
export function forgetful(subject: PubSubSubject): { readonly pubsub: PubSub; readonly lose: () => void } {
  let losing = false;
  const command: RedisClient['command'] = async (name, ...rest) => {
    const answer = await subject.client.command(name, ...rest);
    if (!losing || name !== 'XREADGROUP') return answer as never;
    losing = false;
    throw new Error('the answer was lost');
  };
  return {
    pubsub: instead(subject, { command }),
    lose: () => {
      losing = true;
    },
  };
}

function instead({ client, namespace }: PubSubSubject, methods: Partial<RedisClient>): PubSub {
  const altered = new Proxy(client, {
    get: (inner, name) => {
      const own: unknown = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(inner, name);
      return typeof value === 'function' ? (value.bind(inner) as unknown) : value;
    },
  });
  return new PubSub({ client: altered, namespace });
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
