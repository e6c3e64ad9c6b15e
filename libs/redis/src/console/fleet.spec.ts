import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { Fleet } from './fleet.js';
import { FLEET_POINTS, mergeFleet, readFleetReport, type FleetReport } from './fleet-report.js';

function report(id: string, over: Partial<FleetReport> = {}): FleetReport {
  return {
    process: { id, pid: 1, host: `host-${id}`, uptimeMs: 1, heapBytes: 1, node: '20.0.0' },
    step: 100,
    up: 1,
    breaker: 0,
    mode: 'redis',
    series: { requests: [1, 2, 3], misses: [1, 1, 1], p99: [5, 6, 7] },
    caches: [],
    ...over,
  };
}

/** A line between processes in one place; `loses` swallows what is sent. */
class LoopLine {
  readonly listeners = new Set<(text: string) => void>();
  readonly sent: string[] = [];
  loses = false;
  counts = true;
  fails = false;

  send(text: string): Promise<number | undefined> {
    if (this.fails) return Promise.reject(new Error('away'));
    this.sent.push(text);
    const listeners = [...this.listeners];
    if (!this.loses) queueMicrotask(() => listeners.forEach((receive) => receive(text)));
    return Promise.resolve(this.counts ? listeners.length : undefined);
  }

  listen(receive: (text: string) => void): () => void {
    this.listeners.add(receive);
    return () => void this.listeners.delete(receive);
  }
}

function join(line: LoopLine, id: string, clock = new FakeClock()): Fleet {
  const fleet = new Fleet({ line, own: () => report(id), clock });
  onTestFinished(() => fleet.close());
  return fleet;
}

describe('the processes of an application', () => {
  it('all answer one question, and nobody waits longer than for the last', async () => {
    const line = new LoopLine();
    const one = join(line, 'a');
    join(line, 'b');
    join(line, 'c');
    const { reports, missing } = await one.gather();
    expect(reports.map(({ process }) => process.id).toSorted()).toEqual(['a', 'b', 'c']);
    expect(missing).toBeNull();
    const { length } = line.sent;
    await one.gather();
    expect(line.sent).toHaveLength(length);
  });

  it('one that does not answer is missing after half a second, and it is said', async () => {
    const line = new LoopLine();
    const clock = new FakeClock();
    const one = join(line, 'a', clock);
    line.listen(() => undefined);
    const gathering = one.gather();
    await new Promise(setImmediate);
    clock.advance(500);
    const { reports, missing } = await gathering;
    expect(reports).toHaveLength(1);
    expect(missing).toBe('1 of 2 processes did not answer in 500 ms');
  });

  it('without Redis there is this one', async () => {
    const line = new LoopLine();
    line.fails = true;
    const { reports, missing } = await join(line, 'a').gather();
    expect(reports.map(({ process }) => process.id)).toEqual(['a']);
    expect(missing).toMatch(/Redis does not answer/u);
  });

  it('what is no answer is none: strangers may write to the same Redis', async () => {
    const line = new LoopLine();
    const clock = new FakeClock();
    const one = join(line, 'a', clock);
    line.counts = false;
    const gathering = one.gather();
    await new Promise(setImmediate);
    const [question = ''] = line.sent;
    const { id } = JSON.parse(question) as { id: string };
    const hostile = [
      '',
      'null',
      '[]',
      '{"kind":"ask"}',
      '{"kind":1,"id":"x"}',
      `{"kind":"tell","id":"${id}"}`,
    ];
    hostile.push(JSON.stringify({ kind: 'tell', id, report: { process: 'x' } }));
    hostile.push(JSON.stringify({ kind: 'tell', id: 'another', report: report('z') }));
    hostile.push(
      JSON.stringify({
        kind: 'tell',
        id,
        report: {
          process: { id: 'b', pid: '<b>' },
          caches: [{ kind: 'x' }],
          series: { requests: ['1', {}, 2] },
        },
      }),
    );
    for (const text of hostile) for (const receive of line.listeners) receive(text);
    clock.advance(500);
    const { reports } = await gathering;
    expect(reports).toHaveLength(2);
    expect(reports[1]).toMatchObject({
      process: { id: 'b', pid: 0 },
      caches: [],
      series: { requests: [null, null, 2] },
    });
  });

  it('nobody answers after the end', async () => {
    const line = new LoopLine();
    const clock = new FakeClock();
    const one = join(line, 'a', clock);
    join(line, 'b').close();
    const { reports, missing } = await one.gather();
    expect([reports.length, missing]).toEqual([1, null]);
  });
});

describe('together', () => {
  it('rates add up, times are the worst, steps lie on one another', () => {
    const view = mergeFleet([report('a'), report('b', { step: 99, up: 0 })]);
    expect(view.step).toBe(100);
    const requests = view.series.requests ?? [];
    expect(requests).toHaveLength(FLEET_POINTS);
    // b ends a step earlier: 1 2 3 of it lie under . 1 2 of a.
    expect(requests.slice(-4)).toEqual([1, 3, 5, 3]);
    expect(view.series.p99?.slice(-4)).toEqual([5, 6, 7, 7]);
    expect(view.series.hitRate?.slice(-1)).toEqual([0.6667]);
    // Who is in trouble comes first.
    expect(view.processes.map(({ process }) => process.id)).toEqual(['b', 'a']);
  });

  it('caches of one name are one, the worst first', () => {
    const cache = (name: string, hits: number): FleetReport['caches'][number] => ({
      kind: 'cache',
      name,
      requests: 10,
      hits,
      loads: 1,
      reads: 10,
      misses: 10 - hits,
      stale: 0,
      coalesced: 0,
    });
    const view = mergeFleet([
      report('a', { caches: [cache('good', 9), cache('bad', 1)] }),
      report('b', { caches: [cache('bad', 3), cache('constructor', 5)] }),
    ]);
    expect(view.caches.map(({ name, hits, processes }) => [name, hits, processes])).toEqual([
      ['bad', 4, 2],
      ['constructor', 5, 1],
      ['good', 9, 1],
    ]);
  });

  it('a report survives its way, and is cut to size', () => {
    const sent = JSON.parse(JSON.stringify(report('a'))) as unknown;
    expect(readFleetReport(sent)).toEqual(report('a'));
    const long = readFleetReport({
      ...report('x'.repeat(5_000)),
      series: { requests: Array.from({ length: 5_000 }, () => 1), strange: [1] },
      caches: Array.from({ length: 5_000 }, () => ({ kind: 'cache', name: 'y'.repeat(5_000) })),
    });
    expect(long?.process.id).toHaveLength(200);
    expect(long?.series.requests).toHaveLength(FLEET_POINTS);
    expect(Object.keys(long?.series ?? {})).toEqual(['requests']);
    expect(long?.caches).toHaveLength(100);
    expect(long?.caches[0]?.name).toHaveLength(200);
  });
});
