import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClassRegistry } from './class-registry.js';
import { UnreadableValueError, UnserializableValueError } from './codec.errors.js';
import { nestsDeeperThan } from './json-decode.js';
import { swapped } from './json-tags.js';
import { createJsonSerializer, decodeJson, encodeJson } from './json.js';

class Money {
  constructor(
    readonly amount: bigint,
    readonly currency: string,
  ) {}
}

const classes = new ClassRegistry().registerClass('Money', Money, {
  toJSON: (money) => [money.amount, money.currency],
  fromJSON: (data) => {
    const [amount, currency] = data as [bigint, string];
    return new Money(amount, currency);
  },
});
const withMoney = createJsonSerializer({ classes });

const PLAIN: readonly unknown[] = [
  5,
  'abc',
  '',
  null,
  true,
  0,
  1e21,
  [],
  {},
  { a: [1, { b: null }] },
  'a\u2028"\\\ud800',
];

const TYPED: readonly (readonly [string, unknown])[] = [
  ['Date', new Date('2026-11-20T10:00:00.123Z')],
  ['far Date', new Date(8.64e15)],
  ['Map', new Map<unknown, unknown>([[{ k: 1 }, new Set([1, 'x'])]])],
  ['empty Map', new Map()],
  ['Set', new Set([undefined, null, 0])],
  ['bigint', -(2n ** 200n)],
  ['Buffer', Buffer.from([0, 255, 7])],
  ['empty Buffer', Buffer.alloc(0)],
  ['Uint8Array', new Uint8Array([1, 2, 3])],
  ['Uint8ClampedArray', new Uint8ClampedArray([1, 2, 3])],
  ['Int8Array', new Int8Array([-1, 2])],
  ['Uint16Array', new Uint16Array([1, 65_535])],
  ['Int16Array', new Int16Array([-2])],
  ['Uint32Array', new Uint32Array([4_294_967_295])],
  ['Int32Array', new Int32Array([-4])],
  ['Float32Array', new Float32Array([1.5, Number.NaN])],
  ['Float64Array', new Float64Array([Math.PI, -0])],
  ['BigUint64Array', new BigUint64Array([2n ** 64n - 1n])],
  ['BigInt64Array', new BigInt64Array([-1n])],
  ['ArrayBuffer', new Uint8Array([9, 8]).buffer],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
  ['undefined in an array', [undefined, 1]],
  ['an object that looks like a tag', { '$:Date': 'x' }],
  ['an object that looks like an escaped tag', { '$:$:Date': { '$:Map': [1] } }],
  ['an object with a tag among its keys', { '$:Date': 'x', a: 1 }],
  ['an instance of a registered class', new Money(12n, 'EUR')],
];

/** As a depth of brackets: `[[…]]`. */
function nested(depth: number): unknown {
  let value: unknown[] = [];
  for (let level = 1; level < depth; level += 1) value = [value];
  return value;
}

function fastest(run: () => void): number {
  const times = Array.from({ length: 5 }, () => {
    const begun = performance.now();
    run();
    return performance.now() - begun;
  });
  return Math.min(...times);
}

describe('encodeJson and decodeJson', () => {
  it.each(PLAIN.map((value) => [JSON.stringify(value), value]))(
    'keeps plain data as plain JSON: %s',
    (text, value) => {
      expect(encodeJson(value)).toBe(text);
      expect(decodeJson(encodeJson(value))).toStrictEqual(value);
    },
  );

  it.each(TYPED)('keeps %s', (_name, value) => {
    expect(withMoney.parse(withMoney.stringify(value))).toStrictEqual(value);
    expect(withMoney.parse(withMoney.stringify({ deep: [value] }))).toStrictEqual({ deep: [value] });
  });

  it('keeps a URL and an invalid date', () => {
    const read = decodeJson(encodeJson([new URL('https://a.example/b?c=d#e'), new Date(Number.NaN)]));
    expect(read).toMatchObject([{ href: 'https://a.example/b?c=d#e' }, {}]);
    expect(String((read as unknown[])[1])).toBe('Invalid Date');
  });

  it('writes tags that can be read in Redis', () => {
    expect(encodeJson({ at: new Date(0) })).toBe('{"at":{"$:Date":"1970-01-01T00:00:00.000Z"}}');
    expect(encodeJson(new Map([['a', 1n]]))).toBe('{"$:Map":[["a",{"$:bigint":"1"}]]}');
  });

  it('drops undefined properties, as JSON does, and keeps undefined in lists', () => {
    expect(encodeJson({ a: undefined, b: 1 })).toBe('{"b":1}');
    expect(encodeJson({ a: undefined, '$:Date': 'x' })).toBe('{"$:$:Date":"x"}');
    expect(encodeJson([undefined])).toBe('[{"$:undefined":null}]');
  });

  it('honours toJSON of unregistered instances and reads others by their properties', () => {
    class Point {
      constructor(readonly x = 1) {}
    }
    class Decimal {
      toJSON(): unknown {
        return new Map([['d', '1.5']]);
      }
    }
    class Own {
      readonly own = [1n];
      toJSON(): unknown {
        return this;
      }
    }
    const read = decodeJson(encodeJson([new Point(), new Decimal(), new Own(), Object(7)]));
    expect(read).toStrictEqual([{ x: 1 }, new Map([['d', '1.5']]), { own: [1n] }, 7]);
  });

  it('round-trips everything, by property', () => {
    const leaf = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.boolean(),
      fc.constantFrom(null, undefined, -0, '$:', '$:Date'),
      fc.bigInt(),
      fc.date({ noInvalidDate: true }),
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc.float64Array({ maxLength: 5 }),
      fc.bigInt64Array({ maxLength: 5 }),
      fc.tuple(fc.bigInt(), fc.string()).map(([amount, currency]) => new Money(amount, currency)),
    );
    const key = fc.oneof(
      fc.string(),
      fc.constantFrom('$:Date', '$:$:Map', '$:', '__proto__', 'constructor', 'toString'),
    );
    const { node } = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('node'), { maxLength: 4 }),
        fc.array(fc.tuple(key, tie('node')), { maxLength: 4 }).map(withoutUndefined),
        fc.array(fc.tuple(tie('node'), tie('node')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
        fc.array(tie('node'), { maxLength: 3 }).map((items) => new Set(items)),
      ),
    }));
    fc.assert(
      fc.property(node, (value) => {
        fc.pre(value !== undefined);
        const text = withMoney.stringify(value);
        return (
          isDeepStrictEqual(withMoney.parse(text), value) &&
          withMoney.stringify(withMoney.parse(text)) === text
        );
      }),
      { numRuns: 3_000 },
    );
  });
});

function withoutUndefined(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

describe('what can not be stored', () => {
  class Half extends Uint16Array {
    // What a Float16Array answers, where there is one.
    override get [Symbol.toStringTag](): 'Uint16Array' {
      return 'Float16Array' as 'Uint16Array';
    }
  }
  const cycle: Record<string, unknown> = {};
  cycle['self'] = [cycle];

  it.each<readonly [string, unknown, RegExp]>([
    ['a function', () => 1, /a function .* at \$\.user\["a b"\]\[1\]/u],
    ['a symbol', Symbol('s3cret'), /a symbol/u],
    ['a RegExp', /s3cret/u, /a RegExp/u],
    ['a Promise', Promise.resolve('s3cret'), /a Promise/u],
    ['an Error', new Error('s3cret'), /a Error/u],
    ['a WeakMap', new WeakMap(), /weak collection/u],
    ['a DataView', new DataView(new ArrayBuffer(1)), /a DataView/u],
    ['an unknown collection', new URLSearchParams('a=s3cret'), /collection of an unknown class/u],
    ['a typed array of a later Node', new Half(1), /typed array of an unknown type/u],
    ['a cycle', cycle, /a cycle .* at \$\.user\["a b"\]\[1\]\.self\[0\]/u],
    ['a bigint of many digits', 10n ** 4_097n, /more than 4096 digits/u],
    [
      'a toJSON that throws',
      {
        toJSON() {
          throw new Error('s3cret');
        },
      },
      /toJSON\(\) threw/u,
    ],
  ])('refuses %s and names the place, not the value', (_name, value, message) => {
    const store = (): string => encodeJson({ user: { 'a b': [new Date(0), value] } });
    expect(store).toThrow(UnserializableValueError);
    expect(store).toThrow(message);
    expect(store).not.toThrow(/s3cret/u);
  });

  it('refuses undefined at the top', () => {
    expect(() => encodeJson(undefined)).toThrow(/a miss is undefined|undefined can not be stored/u);
  });

  it('bounds depth the same way for plain and for tagged values, and for the reader', () => {
    expect(decodeJson(encodeJson(nested(100)))).toStrictEqual(nested(100));
    expect(() => encodeJson(nested(101))).toThrow(/deeper than 100 levels/u);
    let sets: unknown = 1n;
    for (let level = 0; level < 49; level += 1) sets = new Set([sets]);
    expect(decodeJson(encodeJson(sets))).toStrictEqual(sets);
    expect(() => encodeJson(new Set([sets]))).toThrow(/deeper than 100 levels/u);
    let maps: unknown = 1;
    for (let level = 0; level < 33; level += 1) maps = new Map([[1, maps]]);
    expect(decodeJson(encodeJson(maps))).toStrictEqual(maps);
    expect(() => encodeJson([[maps]])).toThrow(/deeper than 100 levels/u);
  });

  it('bounds size in bytes', () => {
    expect(encodeJson({ ['x'.repeat(2_000_000)]: undefined })).toBe('{}');
    expect(encodeJson('x'.repeat(1_048_574))).toHaveLength(1_048_576);
    expect(() => encodeJson('x'.repeat(1_048_575))).toThrow(/more than 1048576 bytes/u);
    expect(() => encodeJson('é'.repeat(600_000))).toThrow(/more than 1048576 bytes/u);
    expect(() => encodeJson(new Uint8Array(2_000_000))).toThrow(/more than 1048576 bytes/u);
  });

  it('ends early on a value that holds the same part again and again', () => {
    for (const leaf of [1, 1n]) {
      let shared: unknown = [leaf];
      for (let level = 0; level < 90; level += 1) shared = [shared, shared];
      expect(() => encodeJson(shared)).toThrow(/more than 1048576 bytes/u);
    }
  });
});

describe('what can not be read', () => {
  it.each([
    ['no JSON', '{s3cret'],
    ['an unknown tag', '{"$:RegExp":"s3cret"}'],
    ['an unknown class', '{"$:class":["s3cret",1]}'],
    ['a class without data', '{"$:class":["Money"]}'],
    ['data its class refuses', '{"$:class":["Money","s3cret"]}'.replace('"s3cret"', 'null')],
    ['a Date that is none', '{"$:Date":"s3cret"}'],
    ['a bigint that is none', '{"$:bigint":"0x12"}'],
    ['a bigint without end', `{"$:bigint":"${'9'.repeat(5_000)}"}`],
    ['a number that is none', '{"$:number":"toString"}'],
    ['a Map that is none', '{"$:Map":[[1]]}'],
    ['a Set that is none', '{"$:Set":{"length":1}}'],
    ['bytes that are not base64', '{"$:Buffer":"s3cret!"}'],
    ['bytes that do not fill the last element', '{"$:Float64Array":"AAAA"}'],
    ['bytes of an inherited name', '{"$:hasOwnProperty":"AAAA"}'],
    ['a URL that is none', '{"$:URL":"s3cret"}'],
  ])('refuses %s and does not quote it', (_name, text) => {
    const read = (): unknown => withMoney.parse(`[${text}]`);
    expect(read).toThrow(UnreadableValueError);
    expect(read).not.toThrow(/s3cret/u);
  });

  it('refuses text over the limits', () => {
    expect(() => decodeJson(`"${'x'.repeat(1_048_575)}"`)).toThrow(/longer than 1048576 bytes/u);
    expect(() => decodeJson(`${'['.repeat(101)}${']'.repeat(101)}`)).toThrow(/deeper than 100 levels/u);
  });

  it('refuses depth bombs in less than 10 ms', () => {
    const bombs = [
      '['.repeat(1_000_000),
      '{"a":'.repeat(200_000),
      `${'"]"'.repeat(3)}${'[{"":'.repeat(100_000)}`,
      `{"$:Map":[[1,${'{"$:Set":['.repeat(90_000)}`,
    ];
    for (const bomb of bombs) {
      expect(fastest(() => expect(() => decodeJson(bomb)).toThrow(/deeper than/u))).toBeLessThan(10);
    }
  });

  it('bounds what a text full of the longest bigints costs', () => {
    const digits = '9'.repeat(4_096);
    const bomb = `[${Array.from({ length: 250 }, () => `{"$:bigint":"${digits}"}`).join(',')}]`;
    expect(bomb.length).toBeGreaterThan(1_000_000);
    expect(fastest(() => decodeJson(bomb))).toBeLessThan(30);
  });

  it('counts brackets outside strings only', () => {
    const brackets = JSON.stringify({ text: `${'['.repeat(300)}\\"${'{'.repeat(300)}`, list: [[1]] });
    expect(nestsDeeperThan(brackets, 100)).toBe(false);
    expect(decodeJson(brackets)).toStrictEqual(JSON.parse(brackets));
    const hidden = `[${JSON.stringify(']'.repeat(300))},${'['.repeat(101)}`;
    expect(nestsDeeperThan(hidden, 100)).toBe(true);
  });

  it('agrees with a reader that counts one character at a time, by property', () => {
    const texts = fc.string({ unit: fc.constantFrom('[', ']', '{', '}', '"', '\\', 'a'), maxLength: 60 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 4 }), (text, limit) => {
        let depth = 0;
        let deepest = 0;
        let quoted = false;
        for (let at = 0; at < text.length; at += 1) {
          const sign = text[at] ?? '';
          if (quoted && sign === '\\') at += 1;
          else if (sign === '"') quoted = !quoted;
          else if (!quoted && '[{'.includes(sign)) deepest = Math.max(deepest, (depth += 1));
          else if (!quoted && ']}'.includes(sign)) depth -= 1;
        }
        // Text of unequal brackets is no JSON, and may be left to the parser when it is short.
        const long = text.length >= 2 * (limit + 1);
        return nestsDeeperThan(text, limit) === (long && deepest > limit);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('__proto__', () => {
  const hostile =
    '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"at":{"$:Date":null}}';

  it('is an own property like any other and reaches no prototype', () => {
    for (const text of [hostile, '{"__proto__":{"admin":true}}', '{"__proto__":{"$:Set":[1]},"a":1}']) {
      const read = decodeJson(text) as object;
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      expect(Object.hasOwn(read, '__proto__')).toBe(true);
      expect(Reflect.get({}, 'admin')).toBeUndefined();
      expect(encodeJson(read)).toBe(text);
    }
  });

  it('is refused both ways on demand, in less than 10 ms', () => {
    const strict = createJsonSerializer({ protoKeys: 'refuse' });
    const wide = `[${'{"a":1},'.repeat(100_000)}{"\\u005f_proto__":1}]`;
    for (const text of [
      hostile,
      '{"a":[{"__proto__":1}]}',
      '{"\\u005f_proto__":1}',
      '{"__pr\\u006fto__":1}',
    ]) {
      expect(fastest(() => expect(() => strict.parse(text)).toThrow(UnreadableValueError))).toBeLessThan(10);
    }
    expect(() => strict.parse(wide)).toThrow(UnreadableValueError);
    expect(() => strict.stringify(decodeJson(hostile))).toThrow(/__proto__ can not be stored/u);
    expect(() => strict.stringify(decodeJson('{"__proto__":1}'))).toThrow(/__proto__ can not be stored/u);
    expect(strict.parse('{"text":"__proto__"}')).toStrictEqual({ text: '__proto__' });
  });
});

describe('ClassRegistry', () => {
  it('refuses names and classes that can not be told apart', () => {
    const money = { toJSON: () => 1, fromJSON: () => new Money(1n, 'EUR') };
    expect(() => new ClassRegistry().registerClass('a b', Money, money)).toThrow(/not a usable name/u);
    expect(() =>
      new ClassRegistry().registerClass('Object', Object, { toJSON: () => 1, fromJSON: () => ({}) }),
    ).toThrow(/class of its own/u);
    const registry = new ClassRegistry().registerClass('Money', Money, money);
    expect(() =>
      registry.registerClass('Money', Date, { toJSON: () => 1, fromJSON: () => new Date() }),
    ).toThrow(/registered already/u);
    expect(() => registry.registerClass('Other', Money, money)).toThrow(/registered already/u);
  });

  it('does not take a subclass for its parent', () => {
    class Tip extends Money {}
    expect(withMoney.parse(withMoney.stringify(new Tip(1n, 'EUR')))).toStrictEqual({
      amount: 1n,
      currency: 'EUR',
    });
  });
});

describe('options and bytes', () => {
  it('refuses limits that mean nothing, with the value', () => {
    expect(() => createJsonSerializer({ maxDepth: 0 })).toThrow(/maxDepth: 0/u);
    expect(() => createJsonSerializer({ maxBytes: 1.5 })).toThrow(/maxBytes: 1.5/u);
  });

  it('swaps elements on a big-endian machine only', () => {
    const bytes = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(swapped(bytes, 4, false)).toBe(bytes);
    expect([...swapped(bytes, 2, true)]).toStrictEqual([2, 1, 4, 3, 6, 5, 8, 7]);
    expect([...swapped(bytes, 4, true)]).toStrictEqual([4, 3, 2, 1, 8, 7, 6, 5]);
    expect([...swapped(bytes, 8, true)]).toStrictEqual([8, 7, 6, 5, 4, 3, 2, 1]);
    expect([...bytes]).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
