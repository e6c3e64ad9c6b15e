import { expect, it } from 'vitest';
import { LatencyHistogram } from './latency-histogram.js';

it.each([0.001, 0.05, 0.9, 3, 47, 250, 1_900, 30_000])('%d ms is told within a tenth', (ms) => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < 10; i += 1) histogram.add(ms);
  expect(histogram.quantile(0.5) / ms).toBeGreaterThan(0.9);
  expect(histogram.quantile(0.5) / ms).toBeLessThan(1.1);
});

it('tells the rare from the common', () => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < 98; i += 1) histogram.add(1);
  histogram.add(500);
  histogram.add(500);
  expect(Math.round(histogram.quantile(0.5))).toBe(1);
  expect(histogram.quantile(0.99)).toBeGreaterThan(400);
  expect(histogram.total).toBe(100);
});

it('is empty after it was cleared, and what is out of all bounds is at its ends', () => {
  const histogram = new LatencyHistogram();
  histogram.add(-1);
  histogram.add(1e12);
  expect(histogram.quantile(0)).toBeLessThan(0.002);
  expect(histogram.quantile(1)).toBeGreaterThan(30_000);
  histogram.clear();
  expect(histogram.quantile(0.5)).toBeNaN();
  expect(histogram.total).toBe(0);
});
