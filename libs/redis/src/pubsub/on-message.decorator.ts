/** `@OnMessage(channel)` on a method of a provider: it is called with each message. */
import { SetMetadata } from '@nestjs/common';
import type { EventOf, Message } from './message.js';
import type { HandlerOptions } from './message-handlers.js';

/** What the explorer reads. */
export interface OnMessageMetadata {
  readonly channel: string;
  readonly options: HandlerOptions;
}

export const ON_MESSAGE = Symbol.for('anbar:on-message');

/**
 * ```ts
 * @OnMessage('order.changed', { mode: 'group', group: 'mail', concurrency: 4 })
 * async onChange({ data }: Message<OrderChanged>) { … }
 * ```
 * A name with `*`, `?` or `[` in it is a pattern in mode `pubsub`, unless `pattern` says otherwise.
 */
export function OnMessage<Channel extends string>(channel: Channel, options: HandlerOptions = {}) {
  return <M extends (message: Message<EventOf<Channel>>) => unknown>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void => {
    const live = options.mode === undefined || options.mode === 'pubsub';
    const pattern = options.pattern ?? (live && /[*?[]/u.test(channel));
    const metadata: OnMessageMetadata = { channel, options: { ...options, pattern } };
    SetMetadata(ON_MESSAGE, metadata)(target, name, descriptor);
  };
}
