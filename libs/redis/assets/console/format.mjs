/** Figures as people read them. */

export function number(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)} G`;
  if (size >= 1e6) return `${trim(value / 1e6)} M`;
  if (size >= 1e4) return `${trim(value / 1e3)} k`;
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return size >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/\.?0+$/u, '');
}

function trim(value) {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/u, '');
}

export function rate(value) {
  return value === null || value === undefined ? '–' : `${number(value)}/s`;
}

export function percent(share) {
  if (share === null || share === undefined) return '–';
  const points = share * 100;
  return `${points === 100 || points === 0 ? points : points.toFixed(points > 99 || points < 1 ? 2 : 1)} %`;
}

export function bytes(value) {
  if (value === null || value === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value;
  let unit = 0;
  while (size >= 1_024 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size >= 100 ? 0 : 1)} ${units[unit]}`;
}

export function millis(value) {
  if (value === null || value === undefined) return '–';
  if (value < 1) return `${Math.round(value * 1_000)} µs`;
  if (value < 1_000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return span(value);
}

export function span(ms) {
  if (ms === null || ms === undefined) return '–';
  const sign = ms < 0 ? '−' : '';
  const seconds = Math.abs(ms) / 1_000;
  if (seconds < 60) return `${sign}${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3_600) return `${sign}${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172_800)
    return `${sign}${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${sign}${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}

export function clock(at) {
  return at ? new Date(at).toLocaleTimeString([], { hour12: false }) : '–';
}

/** With the day, where it is not today. */
export function when(at) {
  if (!at) return '–';
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock(at) : date.toLocaleString([], { hour12: false });
}
