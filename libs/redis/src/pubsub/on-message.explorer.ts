/** Finds the methods with `@OnMessage`, lets them listen once the application stands, and drains them at its end. */
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { MessageHandlers, type Handler } from './message-handlers.js';
import { ON_MESSAGE, type OnMessageMetadata } from './on-message.decorator.js';
import { PubSub } from './pub-sub.js';
import { InvalidPubSubOptionsError } from './pubsub.errors.js';

@Injectable()
export class OnMessageExplorer implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #discovery: DiscoveryService;
  readonly #scanner: MetadataScanner;
  readonly #reflector: Reflector;
  readonly #handlers: MessageHandlers;
  readonly #logger = new Logger('RedisModule');

  constructor(
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
    @Inject(Reflector) reflector: Reflector,
    @Inject(PubSub) pubsub: PubSub,
  ) {
    this.#discovery = discovery;
    this.#scanner = scanner;
    this.#reflector = reflector;
    this.#handlers = new MessageHandlers({
      pubsub,
      onError: ({ name }, error) => {
        const why = error instanceof Error ? error.message : 'it threw something that is no error';
        this.#logger.warn(`${name}: ${why}`);
      },
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all(this.#found().map((handler) => this.#handlers.add(handler)));
  }

  /** Before connections are closed: what is being handled is finished and acknowledged. */
  async onModuleDestroy(): Promise<void> {
    await this.#handlers.close();
  }

  #found(): readonly Handler[] {
    const wrappers = [...this.#discovery.getProviders(), ...this.#discovery.getControllers()];
    const seen = new Set<unknown>();
    return wrappers.flatMap((wrapper) => {
      const owner: unknown = wrapper.instance;
      // One instance may be provided under several tokens.
      if (typeof owner !== 'object' || owner === null || seen.has(owner)) return [];
      seen.add(owner);
      const prototype = Object.getPrototypeOf(owner) as object | null;
      if (prototype === null) return [];
      const methods = this.#scanner.getAllMethodNames(prototype);
      // Of what is made per request there is no instance that could listen.
      if (!wrapper.isDependencyTreeStatic()) {
        this.#refuse(owner, methods);
        return [];
      }
      return methods.flatMap((method) => this.#handlerOf(owner, method));
    });
  }

  #refuse(owner: object, methods: readonly string[]): void {
    for (const { name } of methods.flatMap((method) => this.#handlerOf(owner, method))) {
      throw new InvalidPubSubOptionsError(`${name}: @OnMessage on a provider that is made per request`, {
        hint: 'move the handler into a provider of the default scope',
      });
    }
  }

  #handlerOf(owner: object, method: string): readonly Handler[] {
    const handle: unknown = Reflect.get(owner, method);
    if (typeof handle !== 'function') return [];
    const metadata = this.#reflector.get<OnMessageMetadata | undefined>(ON_MESSAGE, handle);
    if (metadata === undefined) return [];
    return [
      {
        ...metadata,
        name: `${owner.constructor.name}.${method}`,
        handle: (message) => Reflect.apply(handle, owner, [message]) as unknown,
      },
    ];
  }
}
