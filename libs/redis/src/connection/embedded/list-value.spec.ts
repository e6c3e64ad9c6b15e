/** The ring against a plain array, through sizes that grow and shrink it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes, type Bytes } from './byte-string.js';
import { ListValue } from './list-value.js';

const operation = fc.constantFrom(
  'push-left',
  'push-left',
  'push-right',
  'push-right',
  'pop-left',
  'pop-right',
);

function apply(list: ListValue, model: Bytes[], [name, element]: [string, Bytes]): void {
  if (name === 'push-left') {
    list.push('left', element);
    model.unshift(element);
  } else if (name === 'push-right') {
    list.push('right', element);
    model.push(element);
  } else if (name === 'pop-left') {
    expect(list.pop('left')).toBe(model.shift());
  } else {
    expect(list.pop('right')).toBe(model.pop());
  }
}

describe('a list', () => {
  it('behaves as an array at both ends', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
        const list = new ListValue();
        const model: Bytes[] = [];
        for (const [index, name] of operations.entries()) apply(list, model, [name, asciiBytes(index)]);
        expect(list.slice(0, list.size)).toEqual(model);
        expect(list.at(model.length)).toBeUndefined();
        expect(list.at(-1)).toBeUndefined();
        expect(list.clone().slice(0, list.size)).toEqual(model);
      }),
      { numRuns: 300 },
    );
  });

  it('weighs nothing once it is empty again', () => {
    const list = new ListValue();
    for (let i = 0; i < 100; i += 1) list.push('right', asciiBytes(i));
    while (list.pop('left') !== undefined);
    expect(list.weight).toBe(0);
  });
});
