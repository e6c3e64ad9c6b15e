export type { EventOf, Message, PubSubEvents } from './message.js';
export {
  MessageHandlers,
  type Handler,
  type HandlerOptions,
  type MessageHandlersParts,
} from './message-handlers.js';
export { MessageStream } from './message-stream.js';
export { OnMessage } from './on-message.decorator.js';
export { OnMessageExplorer } from './on-message.explorer.js';
export {
  PubSub,
  type DeadLetter,
  type PublishOptions,
  type PubSubStats,
  type PubSubSurroundings,
  type Receipt,
} from './pub-sub.js';
export { InvalidPubSubOptionsError, PubSubClosedError, PubSubOverflowError } from './pubsub.errors.js';
export {
  PUBSUB_DEFAULTS,
  resolvePubSub,
  type ChannelOptions,
  type DeliveryMode,
  type Gap,
  type ListenOptions,
  type Overflow,
  type PubSubOptions,
} from './pubsub.options.js';
export { appendScript, joinScript, keepScript, reclaimScript } from './pubsub.scripts.js';
