/** Options of pub/sub: what users write, what the engine works with, and the one way from one to the other. */
import { parsePositiveDuration, type Duration } from '../core/index.js';
import type { CodecOptions } from '../codec/index.js';
import { InvalidPubSubOptionsError } from './pubsub.errors.js';

/**
 * - `pubsub`: to whoever listens at that moment; what is sent while a listener is away is lost, and it is told.
 * - `sharded`: the same, in a cluster by `SPUBLISH`, so that a message goes to one shard only.
 * - `stream`: kept, so that every listener gets every message in order, also after it was away.
 * - `group`: kept, and each message is handled by one listener of the group, at least once.
 */
export type DeliveryMode = 'pubsub' | 'sharded' | 'stream' | 'group';

export type Overflow = 'dropOldest' | 'dropNewest' | 'error';

export interface ChannelOptions {
  /** @default 'pubsub' */
  mode?: DeliveryMode | undefined;
  /** About how many messages a stream keeps. @default 10_000 */
  maxLength?: number | undefined;
  /** How long a stream is kept after its last message. A number counts seconds. @default '7d' */
  retention?: Duration | undefined;
}

export interface PubSubOptions extends ChannelOptions {
  /** For single channels, by name: publisher and listener then can not differ. */
  channels?: Readonly<Record<string, ChannelOptions>> | undefined;
  /** Messages a slow listener may be behind, in the pubsub modes. @default 1_000 */
  buffer?: number | undefined;
  /** The same in bytes. @default 8_388_608 */
  bufferBytes?: number | undefined;
  /** What happens to a listener that is further behind. @default 'dropOldest' */
  overflow?: Overflow | undefined;
  /** What was handed out and not acknowledged that long is handed to another listener of the group. @default '30s' */
  redeliverAfter?: Duration | undefined;
  /** After so many attempts a message becomes a dead letter. @default 5 */
  maxDeliveries?: number | undefined;
  /** How messages become bytes. @default what the module was given */
  codec?: CodecOptions | undefined;
}

export interface ListenOptions extends Omit<PubSubOptions, 'channels' | 'codec'> {
  /** The channel is a glob, such as `'order.*'`; mode `pubsub` only. @default false */
  pattern?: boolean | undefined;
  /** Name of the group; mode `group` only. @default 'default' */
  group?: string | undefined;
  /**
   * Where a listener begins that was not there before: with what is sent from now on, with all that is kept, or
   * after the message of an id. @default 'new', and for groups 'beginning'
   */
  from?: 'new' | 'beginning' | (string & {}) | undefined;
  /** Messages published by this very service are left out. @default false */
  ignoreOwn?: boolean | undefined;
  /** Ends the listening. */
  signal?: AbortSignal | undefined;
  /** Messages were or may have been lost: the connection was away, or a stream was trimmed before it was read. */
  onGap?: ((gap: Gap) => void) | undefined;
}

export interface Gap {
  readonly channel: string;
  /** How many are missing, where that is known. */
  readonly missed: number | undefined;
}

export interface ResolvedChannel {
  readonly mode: DeliveryMode;
  readonly maxLength: number;
  readonly retentionMs: number;
}

export interface ResolvedListen extends ResolvedChannel {
  readonly pattern: boolean;
  readonly group: string;
  readonly from: string;
  readonly buffer: number;
  readonly bufferBytes: number;
  readonly overflow: Overflow;
  readonly redeliverAfterMs: number;
  readonly maxDeliveries: number;
  readonly ignoreOwn: boolean;
}

export const PUBSUB_DEFAULTS = {
  mode: 'pubsub',
  maxLength: 10_000,
  retention: '7d',
  buffer: 1_000,
  bufferBytes: 8_388_608,
  overflow: 'dropOldest',
  redeliverAfter: '30s',
  maxDeliveries: 5,
  group: 'default',
} as const;

const MODES = ['pubsub', 'sharded', 'stream', 'group'] as const;
const OVERFLOWS = ['dropOldest', 'dropNewest', 'error'] as const;
const STREAM_ID = /^\d{1,20}-\d{1,20}$/u;
/** Redis keeps both parts of an id in 64 bits, and refuses to look for what does not fit. */
const HIGHEST_PART = 2n ** 64n - 1n;

export function resolveChannel(options: ChannelOptions = {}): ResolvedChannel {
  return {
    mode: oneOf('mode', options.mode ?? PUBSUB_DEFAULTS.mode, MODES),
    maxLength: whole('maxLength', options.maxLength ?? PUBSUB_DEFAULTS.maxLength),
    retentionMs: parsePositiveDuration(options.retention ?? PUBSUB_DEFAULTS.retention, 'pubsub.retention'),
  };
}

export function resolveListen(options: ListenOptions = {}): ResolvedListen {
  const channel = resolveChannel(options);
  const { mode } = channel;
  const pattern = options.pattern ?? false;
  if (pattern && mode !== 'pubsub') {
    throw new InvalidPubSubOptionsError(`pubsub.pattern: there are no patterns in mode '${mode}'`, {
      hint: "listen to each channel by its name, or use mode 'pubsub'",
    });
  }
  if (options.group !== undefined && mode !== 'group') {
    throw new InvalidPubSubOptionsError(`pubsub.group: there are no groups in mode '${mode}'`, {
      hint: "give mode: 'group' too",
    });
  }
  return {
    ...channel,
    pattern,
    group: options.group ?? PUBSUB_DEFAULTS.group,
    from: fromOf(options.from ?? (mode === 'group' ? 'beginning' : 'new')),
    buffer: whole('buffer', options.buffer ?? PUBSUB_DEFAULTS.buffer),
    bufferBytes: whole('bufferBytes', options.bufferBytes ?? PUBSUB_DEFAULTS.bufferBytes),
    overflow: oneOf('overflow', options.overflow ?? PUBSUB_DEFAULTS.overflow, OVERFLOWS),
    redeliverAfterMs: parsePositiveDuration(
      options.redeliverAfter ?? PUBSUB_DEFAULTS.redeliverAfter,
      'pubsub.redeliverAfter',
    ),
    maxDeliveries: whole('maxDeliveries', options.maxDeliveries ?? PUBSUB_DEFAULTS.maxDeliveries),
    ignoreOwn: options.ignoreOwn ?? false,
  };
}

/** Everything is looked at, so that a fault shows when the service is made and not at the first message. */
export function resolvePubSub(options: PubSubOptions = {}): void {
  const { channels = {}, codec: _, ...rest } = options;
  resolveListen(rest);
  for (const channel of Object.values(channels)) resolveChannel(channel);
}

function fromOf(from: string): string {
  if (from === 'new' || from === 'beginning' || isStreamId(from)) return from;
  throw new InvalidPubSubOptionsError(`pubsub.from: '${from.slice(0, 40)}' is no place in a stream`, {
    hint: "write 'new', 'beginning' or the id of a message",
  });
}

function isStreamId(from: string): boolean {
  return STREAM_ID.test(from) && from.split('-').every((part) => BigInt(part) <= HIGHEST_PART);
}

function whole(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidPubSubOptionsError(`pubsub.${name}: ${String(value)} is not a whole number from 1`);
}

function oneOf<T extends string>(name: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  const known = choices.map((choice) => `'${choice}'`).join(', ');
  throw new InvalidPubSubOptionsError(`pubsub.${name}: '${value.slice(0, 40)}' is none of ${known}`);
}
