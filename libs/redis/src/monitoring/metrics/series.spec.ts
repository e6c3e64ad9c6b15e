import { describe, expect, it } from 'vitest';
import { KeptCells } from './kept-cells.js';
import { LabelGuard } from './label-guard.js';
import { OPEN, type MetricDefinition } from './metric.js';
import { CellTable, histogramMaker, makeCell } from './series.js';

function definition(labels: MetricDefinition['labels'], asMet?: readonly string[]): MetricDefinition {
  const about = { name: 'thing_total', type: 'counter', group: 'cache', help: 'Things.', labels } as const;
  return asMet === undefined ? about : { ...about, asMet };
}

function open(limit = 64): { guard: LabelGuard; overflows: string[] } {
  const overflows: string[] = [];
  return { guard: new LabelGuard(limit, (label) => void overflows.push(label)), overflows };
}

describe('cells', () => {
  it('of closed labels are there from the beginning, those beside an open one with its first value', () => {
    const { guard } = open();
    const closed = new CellTable(definition({ a: ['x', 'y'], b: ['1', '2'] }), guard, makeCell);
    expect([...closed.cells].map(({ labels }) => labels)).toEqual([
      { a: 'x', b: '1' },
      { a: 'x', b: '2' },
      { a: 'y', b: '1' },
      { a: 'y', b: '2' },
    ]);
    const beside = new CellTable(definition({ cache: OPEN, b: ['1', '2'] }), guard, makeCell);
    expect([...beside.cells]).toEqual([]);
    beside.at({ cache: 'books', b: '2' }).value += 3;
    expect([...beside.cells].map(({ labels, value }) => [labels['b'], value])).toEqual([
      ['1', 0],
      ['2', 3],
    ]);
    const met = new CellTable(definition({ cache: OPEN, b: ['1', '2'] }, ['b']), guard, makeCell);
    met.at({ cache: 'books', b: '2' });
    expect([...met.cells]).toHaveLength(1);
  });

  it('are the same for the same labels, and values that contain each other are kept apart', () => {
    const { guard } = open();
    const table = new CellTable(definition({ cache: OPEN, client: OPEN }), guard, makeCell);
    expect(table.at({ cache: 'a', client: 'b' })).toBe(table.at({ client: 'b', cache: 'a' }));
    expect(table.at({ cache: 'ab', client: 'c' })).not.toBe(table.at({ cache: 'a', client: 'bc' }));
  });

  it('that are kept are found again, and names without end are not kept', () => {
    let made = 0;
    const kept = new KeptCells((first, second) => ({ id: (made += 1), name: first + second }));
    expect(kept.at('a', 'b')).toBe(kept.at('a', 'b'));
    for (let i = 0; i < 2_000; i += 1) kept.at('client', `made-up-${i}`);
    expect(kept.at('client', 'made-up-5')).toBe(kept.at('client', 'made-up-5'));
    const last = kept.at('client', 'made-up-1999');
    expect(kept.at('client', 'made-up-1998')).not.toBe(last);
    expect(kept.at('client', 'made-up-1999')).not.toBe(last);
  });

  it('that are kept are never those of another row', () => {
    const kept = new KeptCells((first, second) => ({ name: `${first} ${second}` }));
    const asked = ['a x', 'a y', 'b x', 'b y', 'a x', 'b x', 'b x', 'a y', 'c x', 'a x'];
    for (let round = 0; round < 2; round += 1) {
      const names = asked.map((both) => kept.at(both.slice(0, 1), both.slice(2)).name);
      expect(names).toEqual(asked);
    }
  });
});

it('a histogram puts a value on a bound below it, and what is over all bounds into none', () => {
  const cell = histogramMaker([1, 2, 5])({});
  for (const value of [0, 1, 1.5, 2, 2.000_1, 5, 9]) cell.observe(value);
  expect(cell.buckets).toEqual([2, 2, 2, 1]);
  expect(cell.count).toBe(7);
  expect(cell.sum).toBeCloseTo(20.5);
});

describe('the guard', () => {
  it('lets so many values through for each label, and those it has let through for ever', () => {
    const { guard, overflows } = open(2);
    expect(['a', 'b', 'c', 'a', 'other'].map((value) => guard.admit('cache', value))).toEqual([
      'a',
      'b',
      'other',
      'a',
      'other',
    ]);
    expect(guard.admit('client', 'c')).toBe('c');
    expect(overflows).toEqual(['cache']);
  });

  it('takes nothing as long as a text', () => {
    const { guard, overflows } = open();
    expect(guard.admit('task', 'x'.repeat(500))).toBe('other');
    expect(overflows).toEqual(['task']);
  });
});
