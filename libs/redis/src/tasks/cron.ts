/** When a schedule of five fields is due next, in UTC: minute, hour, day of the month, month, day of the week. */
import { InvalidTaskError } from './tasks.errors.js';

const FIELDS = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day of the month', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12 },
  { name: 'day of the week', from: 0, to: 7 },
] as const;

const PART = /^(?:\*|(?<first>\d{1,2})(?:-(?<last>\d{1,2}))?)(?:\/(?<step>\d{1,2}))?$/u;
const MINUTE_MS = 60_000;
/** 29 February on a given weekday comes every 28 years at the latest, 40 around a century without one. */
const LONGEST_SEARCH_DAYS = 41 * 366;

export interface Cron {
  /** Wall clock milliseconds of the next time after this one. */
  next(after: number): number;
}

export function parseCron(text: string): Cron {
  const parts = text.trim().split(/\s+/u);
  if (parts.length !== FIELDS.length)
    throw invalid(text, `it has ${parts.length} fields, not ${FIELDS.length}`);
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, i) =>
    valuesOf(parts[i] ?? '', field, text),
  );
  if (minutes === undefined || hours === undefined || days === undefined) throw invalid(text, 'it is empty');
  if (months === undefined || weekdays === undefined) throw invalid(text, 'it is empty');
  if (weekdays.has(7)) weekdays.add(0);
  // As cron has it: when both days are given, either of them will do.
  const [anyDay, anyWeekday] = [parts[2]?.startsWith('*') === true, parts[4]?.startsWith('*') === true];
  const isDay = (day: Date): boolean => {
    if (!months.has(day.getUTCMonth() + 1)) return false;
    const [byDay, byWeekday] = [days.has(day.getUTCDate()), weekdays.has(day.getUTCDay())];
    return anyDay || anyWeekday ? byDay && byWeekday : byDay || byWeekday;
  };
  return {
    next(after) {
      const start = Math.floor(after / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
      const day = new Date(start);
      day.setUTCHours(0, 0, 0, 0);
      for (let i = 0; i < LONGEST_SEARCH_DAYS; i += 1) {
        const found = isDay(day) ? firstOf(day.getTime(), start, hours, minutes) : undefined;
        if (found !== undefined) return found;
        day.setUTCDate(day.getUTCDate() + 1);
      }
      throw invalid(text, 'there is no such day');
    },
  };
}

function firstOf(
  day: number,
  start: number,
  hours: ReadonlySet<number>,
  minutes: ReadonlySet<number>,
): number | undefined {
  for (let minute = 0; minute < 1_440; minute += 1) {
    const at = day + minute * MINUTE_MS;
    if (at >= start && hours.has(Math.floor(minute / 60)) && minutes.has(minute % 60)) return at;
  }
  return undefined;
}

function valuesOf(part: string, { name, from, to }: (typeof FIELDS)[number], text: string): Set<number> {
  const values = new Set<number>();
  for (const piece of part.split(',')) {
    const groups = PART.exec(piece)?.groups;
    if (groups === undefined) throw invalid(text, `'${piece}' is no ${name}`);
    const { first, last, step } = groups;
    const begin = first === undefined ? from : Number(first);
    const whole = first === undefined || step !== undefined;
    const end = last === undefined ? (whole ? to : begin) : Number(last);
    const by = step === undefined ? 1 : Number(step);
    if (begin < from || end > to || begin > end || by < 1) throw invalid(text, `'${piece}' is no ${name}`);
    for (let value = begin; value <= end; value += by) values.add(value);
  }
  return values;
}

function invalid(text: string, why: string): InvalidTaskError {
  return new InvalidTaskError(`'${text.slice(0, 60)}' is no schedule: ${why}`, {
    hint: "minute, hour, day, month and weekday in UTC, such as '0 3 * * *' for three in the morning",
  });
}
