// What a campaign is careful about: a few people first, and nobody too often. What a person chooses, as the API takes
// it, and what the API says, back into parts. Pure.

export interface Care {
  /** A few go first, and the others only if it did those no harm. */
  first: boolean;
  size: string | number;
  unit: 'people' | 'percent';
  /** How long after the last of them the others wait, as the API writes lengths. */
  wait: string;
  /** Per cent of the first ones. */
  mostFailed: string | number;
  mostOptedOut: string | number;
  /** Nobody gets more than `messages` marketing messages in `days` days, over all campaigns. */
  capped: boolean;
  messages: string | number;
  days: string | number;
}

/** The thresholds are those that the server has where nothing is said. */
export const USUAL_CARE: Care = { first: false, size: 100, unit: 'people', wait: '30m', mostFailed: 5, mostOptedOut: 2, capped: false, messages: 2, days: 7 };

/** As many people as the server looks through, and the largest share that it takes. */
export const MOST_FIRST = { people: 10_000, percent: 50 };
export const MOST_CAP = { messages: 1_000, days: 366 };

/** What the API is told of it: only what was chosen. */
export function askedCare(care: Care) {
  return {
    ...(care.first && { canary: { size: `${care.size}${care.unit === 'percent' ? '%' : ''}`, wait: care.wait, most_failed: Number(care.mostFailed), most_opted_out: Number(care.mostOptedOut) } }),
    ...(care.capped && { frequency_cap: `${care.messages}/${care.days}d` }),
  };
}

export type CareFlaw = 'size' | 'thresholds' | 'cap';

const isWhole = (value: string | number, most: number): boolean => value !== '' && Number.isInteger(Number(value)) && Number(value) >= 1 && Number(value) <= most;
const isShare = (value: string | number): boolean => value !== '' && Number(value) >= 0 && Number(value) <= 100;

/** What of it cannot be as it is. */
export function careFlaws(care: Care): CareFlaw[] {
  const found: CareFlaw[] = [];
  if (care.first && !isWhole(care.size, MOST_FIRST[care.unit])) found.push('size');
  if (care.first && !(isShare(care.mostFailed) && isShare(care.mostOptedOut))) found.push('thresholds');
  if (care.capped && !isCap(care)) found.push('cap');
  return found;
}

export function isCap({ messages, days }: Pick<Care, 'messages' | 'days'>): boolean {
  return isWhole(messages, MOST_CAP.messages) && isWhole(days, MOST_CAP.days);
}

/** `4/7d` in its parts. */
export function capOf(text: string | null | undefined): { messages: number; days: number } | null {
  const found = /^(\d+)\/(\d+)d$/.exec(text ?? '');
  return found === null ? null : { messages: Number(found[1]), days: Number(found[2]) };
}

/** `100` or `1%` in its parts. */
export function sizeOf(text: string): { people: number } | { share: number } {
  return text.endsWith('%') ? { share: Number(text.slice(0, -1)) / 100 } : { people: Number(text) };
}

/** Why the first ones failed, out of the server's sentence: `7 of its 100 opted out, more than 2 %`. */
export function harmOf(reason: string | null | undefined): { count: number; of: number; what: 'failed' | 'optedOut'; most: number } | null {
  const found = /^The canary failed: (\d+) of its (\d+) (failed|opted out), more than ([\d.]+) %/.exec(reason ?? '');
  if (found === null) return null;
  return { count: Number(found[1]), of: Number(found[2]), what: found[3] === 'failed' ? 'failed' : 'optedOut', most: Number(found[4]) };
}
