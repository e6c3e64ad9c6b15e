import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, it } from 'vitest';
import { onTelemetry, telemetryChannel, type TelemetryEvent } from './telemetry.js';

const event: TelemetryEvent = { name: 'sample.done', subject: 'default', durationMs: 1, outcome: 'ok' };

it('is active only while somebody listens', () => {
  const telemetry = telemetryChannel('sample-active');
  expect(telemetry.active).toBe(false);
  const stop = onTelemetry('sample-active', () => undefined);
  const stopOther = onTelemetry('sample-active', () => undefined);
  stop();
  expect(telemetry.active).toBe(true);
  stopOther();
  expect(telemetry.active).toBe(false);
});

it('hands events to all who listen to the capability, and to nobody else', () => {
  const heard: [string, TelemetryEvent][] = [];
  const stops = ['sample', 'sample', 'sample-other'].map((capability) =>
    onTelemetry(capability, (each) => heard.push([capability, each])),
  );
  telemetryChannel('sample').publish(event);
  expect(heard).toEqual([
    ['sample', event],
    ['sample', event],
  ]);
  stops.forEach((stop) => stop());
  telemetryChannel('sample').publish(event);
  expect(heard).toHaveLength(2);
});

it('is a plain diagnostics channel, so that others may listen without this package', () => {
  const heard: unknown[] = [];
  const listener = (message: unknown): void => void heard.push(message);
  subscribe('anbar:sample-plain', listener);
  telemetryChannel('sample-plain').publish(event);
  unsubscribe('anbar:sample-plain', listener);
  expect(heard).toEqual([event]);
});
