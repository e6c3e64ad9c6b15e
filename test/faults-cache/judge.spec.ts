/** The judge itself, by histories in which the verdict is known. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../topology/index.js';
import { Judge } from './judge.js';
import { OPERATIONS, type Seen } from './orders.js';

type Told = readonly (readonly [key: number, at: number, version: number])[];

const MS = 1_000;
const GET = OPERATIONS.indexOf('get');

function seen(
  through: number,
  told: { reads?: Told; acknowledged?: Told; stalls?: readonly number[] },
): Seen {
  const flat = (rows: Told = []): Float64Array => Float64Array.from(rows.flatMap((row) => [...row, GET]));
  return {
    kind: 'seen',
    through,
    operations: 0,
    errors: 0,
    wrong: 0,
    errorTexts: [],
    reads: flat(told.reads),
    acknowledged: flat(told.acknowledged),
    stalls: Float64Array.from(told.stalls ?? []),
  };
}

/** One writer, then one reader, told in whole. */
function judged(told: { acknowledged: Told; reads: Told; stalls?: readonly number[] }, toleranceMs = 0) {
  const judge = new Judge(2, toleranceMs);
  judge.hear(0, seen(Infinity, { acknowledged: told.acknowledged }));
  judge.hear(1, seen(Infinity, { reads: told.reads, stalls: told.stalls ?? [] }));
  return judge.verdict();
}

describe('without tolerance', () => {
  it.each<[string, Told, number]>([
    ['what is new enough', [[1, 20, 5]], 0],
    ['what is newer', [[1, 20, 6]], 0],
    ['a miss', [[1, 20, -1]], 0],
    ['another key', [[2, 20, 4]], 0],
    ['the old value, asked for before the acknowledgement', [[1, 10, 4]], 0],
    ['the old value, asked for a microsecond after it', [[1, 11, 4]], 1],
    ['the old value twice', [[1, 11, 4], [1, 900, 0]], 2], // prettier-ignore
  ])('%s', (_what, reads, violations) => {
    expect(judged({ acknowledged: [[1, 10, 5]], reads })).toMatchObject({ violations, unjudged: 0 });
  });

  it('no stall excuses anything', () => {
    const told = { acknowledged: [[1, 10, 5]], reads: [[1, 900, 4]], stalls: [10, 900] } as const;
    expect(judged(told)).toMatchObject({ violations: 1, lateByStall: 0 });
  });

  it('tells the earliest acknowledgement that was broken', () => {
    const acknowledged: Told = [
      [1, 1 * MS, 1],
      [1, 2 * MS, 2],
      [1, 3 * MS, 3],
    ];
    const { cases } = judged({ acknowledged, reads: [[1, 10 * MS, 1]] });
    expect(cases).toMatchObject([
      { key: 1, answered: 1, owed: 2, lagMs: 8, reader: 1, writer: 0, by: 'get' },
    ]);
  });
});

describe('with a tolerance of 50 ms', () => {
  const acknowledged: Told = [[1, 0, 5]];

  it.each<[string, Parameters<typeof judged>[0], object]>([
    ['in time', { acknowledged, reads: [[1, 50 * MS, 4]] }, { stale: 1, violations: 0 }],
    ['too late', { acknowledged, reads: [[1, 51 * MS, 4]] }, { stale: 1, stale50: 1, violations: 1 }],
    [
      'too late, but not without the time the reader stood still',
      { acknowledged, reads: [[1, 90 * MS, 4]], stalls: [10 * MS, 60 * MS] },
      { violations: 0, lateByStall: 1, worstMs: 90 },
    ],
    [
      'too late, whatever it stood still at other times',
      { acknowledged, reads: [[1, 90 * MS, 4]], stalls: [80 * MS, 200 * MS] },
      { violations: 1, lateByStall: 0 },
    ],
  ])('%s', (_what, told, expected) => {
    expect(judged(told, 50)).toMatchObject(expected);
  });

  it('none for the process that was told itself', () => {
    const judge = new Judge(1, 50);
    judge.hear(0, seen(Infinity, { acknowledged, reads: [[1, 1, 4]], stalls: [0, 100 * MS] }));
    expect(judge.verdict()).toMatchObject({ violations: 1, lateByStall: 0 });
  });
});

it('waits for every process before it judges, and takes what is told late', () => {
  const judge = new Judge(2);
  judge.hear(1, seen(100, { reads: [[1, 50, 4], [1, 150, 4]] })); // prettier-ignore
  expect(judge.verdict()).toMatchObject({ hits: 0 });
  judge.hear(0, seen(120, { acknowledged: [[1, 40, 5]] }));
  expect(judge.verdict()).toMatchObject({ hits: 1, violations: 1 });
  // A read that took long: it began before all that has been judged.
  judge.hear(1, seen(200, { reads: [[1, 30, 4], [1, 45, 4]] })); // prettier-ignore
  expect(judge.verdict()).toMatchObject({ hits: 3, violations: 2 });
  judge.hear(0, seen(Infinity, {}));
  judge.hear(1, seen(Infinity, {}));
  expect(judge.verdict()).toMatchObject({ hits: 4, violations: 3 });
});

it('forgets long histories and says which reads it can no longer judge', () => {
  const judge = new Judge(2);
  const history = Array.from({ length: 20_000 }, (_, i) => [1, i * 10, i] as const);
  judge.hear(0, seen(Infinity, { acknowledged: history }));
  const reads: Told = [
    [1, 200_001, 19_999],
    [1, 200_001, 3],
    [1, 41, 3],
    [1, 31, 3],
  ];
  judge.hear(1, seen(Infinity, { reads }));
  expect(judge.verdict()).toMatchObject({ hits: 4, violations: 1, unjudged: 2 });
});

it('judges piece by piece what it judges as a whole', () => {
  const seed = 20_261_121;
  const random = seededRandom(seed);
  const processes = 3;
  let version = 0;
  const events = Array.from({ length: 3_000 }, (_, at) => {
    const process = Math.floor(random() * processes);
    if (random() < 0.2) return { process, at, acknowledged: [[1, at, (version += 1)]] as Told };
    return { process, at, reads: [[1, at, Math.max(0, version - Math.floor(random() * 3))]] as Told };
  });
  const whole = new Judge(processes, 1);
  const pieces = new Judge(processes, 1);
  for (let process = 0; process < processes; process += 1) {
    const own = events.filter((event) => event.process === process);
    whole.hear(
      process,
      seen(Infinity, {
        reads: own.flatMap(({ reads }) => reads ?? []),
        acknowledged: own.flatMap(({ acknowledged }) => acknowledged ?? []),
      }),
    );
  }
  for (const { process, at, ...told } of events) pieces.hear(process, seen(at, told));
  for (let process = 0; process < processes; process += 1) pieces.hear(process, seen(Infinity, {}));
  const { cases: _cases, ...expected } = whole.verdict();
  expect(expected.violations, `seed ${seed}`).toBeGreaterThan(100);
  expect(pieces.verdict(), `seed ${seed}`).toMatchObject(expected);
});
