import { describe, expect, it, onTestFinished } from 'vitest';
import { telemetryChannel, type TelemetryEvent } from '../core/index.js';
import { Activity } from './activity.js';

function open(): { activity: Activity; tell: (event: TelemetryEvent) => void; pass: (ms: number) => void } {
  let now = 1_000;
  const activity = new Activity(() => now);
  onTestFinished(() => activity.close());
  return {
    activity,
    tell: (event) => telemetryChannel(event.name.split('.')[0] ?? '').publish(event),
    pass: (ms) => {
      now += ms;
    },
  };
}

function command(ms: number, outcome = 'ok'): TelemetryEvent {
  return {
    name: 'connection.command',
    subject: 'default',
    durationMs: ms,
    outcome,
    attributes: { command: 'get', attempts: 1 },
  };
}

describe('commands', () => {
  it('are counted by step, with their times', () => {
    const { activity, tell } = open();
    for (let i = 0; i < 99; i += 1) tell(command(1));
    tell(command(200, 'error'));
    tell({ name: 'connection.retry', subject: 'default', outcome: 'timeout' });
    const step = activity.takeStep();
    expect(step).toMatchObject({ commands: 100, errors: 1, retries: 1 });
    expect(Math.round(step.p50)).toBe(1);
    expect(activity.takeStep()).toMatchObject({ commands: 0, errors: 0, retries: 0 });
  });

  it('the slowest 20 of an hour are kept', () => {
    const { activity, tell, pass } = open();
    for (let ms = 1; ms <= 50; ms += 1) tell(command(ms));
    expect(activity.slow().map(({ ms }) => ms)).toEqual(Array.from({ length: 20 }, (_, i) => 50 - i));
    pass(3_600_001);
    tell(command(60));
    expect(activity.slow().map(({ ms }) => ms)).toEqual([60]);
  });
});

describe('what happened', () => {
  it('is a loss and a return, and not that a process begins', () => {
    const { activity, tell } = open();
    const node = { attributes: { node: '10.0.0.1:6379' }, subject: 'default' };
    tell({ name: 'connection.ready', outcome: 'ok', ...node });
    tell({ name: 'l1.source', subject: 'default', outcome: 'lost' });
    tell({ name: 'l1.source', subject: 'default', outcome: 'tracking' });
    expect(activity.incidents(10)).toEqual([]);
    tell({ name: 'connection.lost', outcome: 'it closed', ...node });
    tell({ name: 'connection.ready', outcome: 'ok', ...node });
    tell({ name: 'connection.ready', outcome: 'ok', ...node });
    tell({ name: 'l1.source', subject: 'default', outcome: 'bus' });
    expect(activity.incidents(10).map(({ kind }) => kind)).toEqual([
      'l1.source',
      'connection.ready',
      'connection.lost',
    ]);
  });

  it('what happens again and again is one line with its count', () => {
    const { activity, tell, pass } = open();
    for (let i = 0; i < 3; i += 1) {
      pass(10);
      tell({ name: 'connection.attempt-failed', subject: 'default', outcome: 'refused' });
    }
    expect(activity.incidents(10)).toEqual([
      {
        id: 3,
        at: 1_030,
        kind: 'connection.attempt-failed',
        subject: 'default',
        text: 'refused',
        times: 3,
      },
    ]);
    expect(activity.incidents(10, 3)).toEqual([]);
  });

  it('names, texts and numbers of rows are bounded', () => {
    const { activity, tell } = open();
    for (let i = 0; i < 500; i += 1) {
      tell({ name: 'tasks.done', subject: `${i}${'x'.repeat(500)}`, outcome: 'ok', durationMs: 2 });
      activity.happened({ kind: 'breaker', subject: 'y'.repeat(500), text: `${i}${'z'.repeat(500)}` });
    }
    expect(activity.rows('tasks')).toHaveLength(300);
    expect(activity.incidents(1_000)).toHaveLength(200);
    expect(Math.max(...activity.rows('tasks').map(({ subject }) => subject.length))).toBe(200);
    expect(
      Math.max(...activity.incidents(1_000).map(({ text, subject }) => text.length + subject.length)),
    ).toBe(400);
  });

  it('nothing is heard after the end', () => {
    const { activity, tell } = open();
    activity.close();
    tell(command(1));
    tell({ name: 'lock.acquire', subject: 'default', outcome: 'taken' });
    expect(activity.takeStep().commands).toBe(0);
    expect(activity.rows('lock')).toEqual([]);
  });
});

it('what no screen shows takes no rows from what one does', () => {
  const { activity, tell } = open();
  for (let i = 0; i < 400; i += 1) {
    tell({ name: 'http-cache.answer', subject: `Shop.route${i}`, outcome: 'l1' });
  }
  tell({ name: 'tasks.done', subject: 'send-invoice', outcome: 'error' });
  expect(activity.rows('tasks')).toEqual([
    expect.objectContaining({ subject: 'send-invoice', outcome: 'error', count: 1 }),
  ]);
});
