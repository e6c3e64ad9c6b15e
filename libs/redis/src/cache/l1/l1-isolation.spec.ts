import { types } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createCodec } from '../../codec/index.js';
import { copyOf, freezeDeep, isCopyable } from './l1-isolation.js';

class Money {
  constructor(readonly parts: { cents: number }) {}
}

describe('freezeDeep', () => {
  it('freezes objects, arrays and class instances to their depths, through maps and sets', () => {
    const leaf = { n: 1 };
    const value = {
      list: [{ a: 1 }],
      map: new Map([[{ key: 1 }, leaf]]),
      set: new Set([[1]]),
      money: new Money({ cents: 1 }),
    };
    expect(freezeDeep(value)).toBe('as-is');
    expect(() => value.list.push({ a: 2 })).toThrow(TypeError);
    expect(() => (leaf.n = 2)).toThrow(TypeError);
    expect(() => (value.money.parts.cents = 2)).toThrow(TypeError);
    expect(() => [...value.set][0]?.push(2)).toThrow(TypeError);
    expect(Object.isFrozen([...value.map.keys()][0])).toBe(true);
  });

  it('looks through more than a call has room for arguments', () => {
    const leaf = {};
    const set = new Set<unknown>([leaf]);
    for (let i = 0; i < 1_000_000; i += 1) set.add(i);
    expect(isCopyable({ set })).toBe(true);
    expect(freezeDeep({ set })).toBe('as-is');
    expect(Object.isFrozen(leaf)).toBe(true);
  });

  it.each<[string, object, (value: never) => unknown]>([
    ['Date', new Date(0), (value: Date) => value.setFullYear(1)],
    ['Date', new Date(0), (value: Date) => value.setTime(1)],
    ['Map', new Map([[1, 2]]), (value: Map<number, number>) => value.set(1, 3)],
    ['Map', new Map([[1, 2]]), (value: Map<number, number>) => value.delete(1)],
    ['Set', new Set([1]), (value: Set<number>) => value.add(2)],
    ['Set', new Set([1]), (value: Set<number>) => value.clear()],
  ])('a %s refuses to be changed and stays what it is', (name, value, change) => {
    const before = copyOf(value);
    expect(freezeDeep({ value })).toBe('as-is');
    expect(() => change(value as never)).toThrow("set l1.isolation to 'copy'");
    expect(value).toEqual(before);
    expect(value.constructor.name).toBe(name);
    expect(types.isDate(value) || types.isMap(value) || types.isSet(value)).toBe(true);
  });

  it('what is frozen can be stored again', async () => {
    const codec = createCodec();
    const value = { at: new Date(5), map: new Map([['a', new Set([1])]]) };
    freezeDeep(value);
    const context = { namespace: 'n', key: 'k' };
    const decoded = await codec.decode(await codec.encode(value, context), context);
    expect(decoded).toMatchObject({
      ok: true,
      value: { at: new Date(5), map: new Map([['a', new Set([1])]]) },
    });
  });

  it.each([
    ['bytes', Buffer.from('abc')],
    ['typed arrays', new Float64Array([1])],
    ['URLs', new URL('https://example.org')],
    ['regular expressions', /a/gu],
  ])('%s make the value one that is copied', (_name, part) => {
    expect(freezeDeep({ deep: [part] })).toBe('copy');
    expect(freezeDeep(part)).toBe('copy');
  });

  it.each<[string, unknown]>([
    ['a function', { run: () => 1 }],
    [
      'bytes beside an instance that may hide state',
      { money: new Money({ cents: 1 }), bytes: Buffer.from('a') },
    ],
  ])('%s is unfit', (_name, value) => {
    expect(freezeDeep(value)).toBe('unfit');
  });

  it('takes cycles and great depths', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(freezeDeep(cycle)).toBe('as-is');
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    expect(freezeDeep(deep)).toBe('as-is');
  });
});

describe('copyOf', () => {
  it('copies everything but class instances, frozen or not, and shares nothing', () => {
    const original = {
      text: 'a',
      big: 1n,
      none: null,
      missing: undefined,
      list: [1, { a: 1 }],
      at: new Date(1),
      map: new Map([['k', { v: 1 }]]),
      set: new Set(['s']),
      url: new URL('https://example.org/a?b=1'),
      buffer: Buffer.from('abc'),
      floats: new Float64Array([1.5, NaN]),
      bare: Object.assign(Object.create(null) as object, { x: 1 }),
    };
    expect(isCopyable(original)).toBe(true);
    freezeDeep({ list: original.list, at: original.at, map: original.map });
    const copy = copyOf(original);
    expect(copy).toEqual(original);
    expect(Buffer.isBuffer(copy.buffer)).toBe(true);
    expect(Object.getPrototypeOf(copy.bare)).toBeNull();
    copy.list.push(2);
    copy.at.setTime(2);
    copy.map.clear();
    copy.buffer.fill(0);
    copy.url.hash = 'x';
    copy.floats[0] = 0;
    expect(original.buffer.toString()).toBe('abc');
    expect(original.url.hash).toBe('');
    expect(original.floats[0]).toBe(1.5);
    expect(original.map.size).toBe(1);
  });

  it('keeps cycles, shared parts and a property called __proto__ what they are', () => {
    const shared = { n: 1 };
    const value = JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>;
    Object.assign(value, { one: shared, two: shared, self: value });
    const copy = copyOf(value);
    expect(copy['one']).toBe(copy['two']);
    expect(copy['self']).toBe(copy);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.keys(copy)).toContain('__proto__');
    expect('admin' in copy).toBe(false);
  });

  it.each([
    ['an instance', new Money({ cents: 1 })],
    ['a function', () => 1],
    ['a proxy', new Proxy({}, {})],
  ])('%s is not copyable', (_name, part) => {
    expect(isCopyable([part])).toBe(false);
  });
});
