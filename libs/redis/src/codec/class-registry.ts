/**
 * Which classes may come back to life out of Redis, by name. An explicit instance and no global: what a stored
 * name can construct is exactly what this object lists, and two caches may differ.
 */
import { InvalidCodecOptionsError } from './codec.errors.js';

export interface ClassCodec<T> {
  /** What is stored of an instance: any value the codec can store. */
  toJSON(instance: T): unknown;
  /** Builds the instance again. Throw when the data is not what `toJSON` made: the value is then unreadable. */
  fromJSON(data: unknown): T;
}

export interface RegisteredClass {
  readonly name: string;
  readonly toJSON: (instance: unknown) => unknown;
  readonly fromJSON: (data: unknown) => unknown;
}

const NAME = /^[A-Za-z_][\w.-]{0,63}$/u;

/**
 * @example
 * const classes = new ClassRegistry().registerClass('Money', Money, {
 *   toJSON: (money) => [money.amount, money.currency],
 *   fromJSON: (data) => Money.parse(data),
 * });
 */
export class ClassRegistry {
  readonly #byName = new Map<string, RegisteredClass>();
  readonly #byPrototype = new Map<object, RegisteredClass>();

  /** Names are part of what is stored: keep them when the class is renamed. Subclasses register on their own. */
  registerClass<T extends object>(
    name: string,
    constructor: abstract new (...args: never[]) => T,
    codec: ClassCodec<T>,
  ): this {
    if (!NAME.test(name)) {
      throw new InvalidCodecOptionsError(`registerClass: '${name.slice(0, 80)}' is not a usable name`, {
        hint: 'start with a letter; letters, digits, _ . - after it; 64 characters at most',
      });
    }
    const prototype: unknown = constructor.prototype;
    if (typeof prototype !== 'object' || prototype === null || prototype === Object.prototype) {
      throw new InvalidCodecOptionsError(`registerClass: '${name}' is not given a class of its own`);
    }
    if (this.#byName.has(name) || this.#byPrototype.has(prototype)) {
      throw new InvalidCodecOptionsError(`registerClass: '${name}' or its class is registered already`);
    }
    const entry: RegisteredClass = {
      name,
      // The prototype look-up below is what makes the instance a T.
      toJSON: (instance) => codec.toJSON(instance as T),
      fromJSON: (data) => codec.fromJSON(data),
    };
    this.#byName.set(name, entry);
    this.#byPrototype.set(prototype, entry);
    return this;
  }

  named(name: string): RegisteredClass | undefined {
    return this.#byName.get(name);
  }

  /** The entry of exactly this instance's class. */
  classOf(instance: object): RegisteredClass | undefined {
    if (this.#byPrototype.size === 0) return undefined;
    const prototype: unknown = Object.getPrototypeOf(instance);
    return typeof prototype === 'object' && prototype !== null ? this.#byPrototype.get(prototype) : undefined;
  }
}
