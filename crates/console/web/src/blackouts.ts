// Days on which nobody is written to: what a person chooses, as the API takes it, and what the API says, back into parts.
// Pure.

/** Days as the API has them: `2026-05-27..2026-05-29`, or without a year for every year: `12-25`. */
export interface BlackoutDays {
  dates: string;
  name?: string | null;
  country?: string | null;
}

/** Days as a form has them: dates with a year, also of those that come back every year. */
export interface Days {
  from: string;
  /** Empty: one day. */
  to: string;
  yearly: boolean;
  name: string;
  /** Empty: for everybody. */
  country: string;
}

export const NO_DAYS: Days = { from: '', to: '', yearly: false, name: '', country: '' };

/** As many as the server takes, and its longest name. */
export const MOST_BLACKOUTS = 200;
export const LONGEST_NAME = 60;
const LONGEST = { once: 366, yearly: 183 };

const DATE = /^\d{4}-\d\d-\d\d$/;

/** What the API is told; nothing while it is not complete or could not be. */
export function askedDays({ from, to, yearly, name, country }: Days): BlackoutDays | null {
  const last = to === '' ? from : to;
  if (!DATE.test(from) || !DATE.test(last) || last < from || name.trim().length > LONGEST_NAME) return null;
  const length = (Date.parse(last) - Date.parse(from)) / 86_400_000 + 1;
  if (!(length <= (yearly ? LONGEST.yearly : LONGEST.once))) return null;
  const cut = (date: string) => (yearly ? date.slice(5) : date);
  return {
    dates: last === from ? cut(from) : `${cut(from)}..${cut(last)}`,
    name: name.trim() === '' ? null : name.trim(),
    country: country === '' ? null : country,
  };
}

/** The first and the last of the days as UTC midnights, and whether they come back every year; nothing for what is no date. */
export function daysOf(dates: string): { from: Date; to: Date; yearly: boolean } | null {
  const found = /^(\d{4}-)?(\d\d-\d\d)(?:\.\.(\d{4}-)?(\d\d-\d\d))?$/.exec(dates);
  if (found === null) return null;
  const [, year, first = '', lastYear, last = first] = found;
  const yearly = year === undefined;
  // A year that has every day, and the one after it for days over its end.
  const from = new Date(`${year ?? '2000-'}${first}T00:00:00Z`);
  const to = new Date(`${lastYear ?? year ?? (last < first ? '2001-' : '2000-')}${last}T00:00:00Z`);
  return Number.isNaN(from.getTime()) || Number.isNaN(to.getTime()) ? null : { from, to, yearly };
}

/** Whether they are over for everybody: a day later it is nowhere on earth still that day. */
export function areOver(dates: string, now: number): boolean {
  const days = daysOf(dates);
  return days !== null && !days.yearly && days.to.getTime() + 2 * 86_400_000 < now;
}
