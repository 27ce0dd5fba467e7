// When a campaign's messages may leave: what a person chooses, as the API takes it, and back into words. Pure.
import type { BlackoutDays } from './blackouts.ts';

/** A rhythm of a campaign that recurs. `own` is a crontab line that a person writes. */
export interface Rhythm {
  kind: 'daily' | 'weekly' | 'monthly' | 'own';
  /** `10:00`. */
  time: string;
  /** Days of the week, Sunday being 0. */
  days: number[];
  /** Day of the month. */
  day: number;
  line: string;
}

export const USUAL_RHYTHM: Rhythm = { kind: 'weekly', time: '10:00', days: [1], day: 1, line: '' };

/** The crontab line of a rhythm, or nothing while it is not complete. */
export function lineOf({ kind, time, days, day, line }: Rhythm): string | null {
  if (kind === 'own') return line.trim().split(/\s+/).length === 5 ? line.trim().replace(/\s+/g, ' ') : null;
  const clock = /^(\d\d):(\d\d)$/.exec(time);
  if (!clock) return null;
  const at = `${Number(clock[2])} ${Number(clock[1])}`;
  if (kind === 'daily') return `${at} * * *`;
  if (kind === 'monthly') return day >= 1 && day <= 31 ? `${at} ${day} * *` : null;
  return days.length === 0 ? null : `${at} * * ${[...days].sort((a, b) => a - b).join(',')}`;
}

const NAMED = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** The rhythm that a crontab line is, where it is one that can be said in a few words. */
export function rhythmOf(line: string): Rhythm {
  const own: Rhythm = { ...USUAL_RHYTHM, kind: 'own', line };
  const [minute = '', hour = '', day = '', month = '', week = '', ...more] = line.trim().split(/\s+/);
  if (more.length > 0 || !/^\d{1,2}$/.test(minute) || !/^\d{1,2}$/.test(hour) || month !== '*') return own;
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
  if (day === '*' && week === '*') return { ...own, kind: 'daily', time };
  if (week === '*' && /^\d{1,2}$/.test(day)) return { ...own, kind: 'monthly', time, day: Number(day) };
  const days = day === '*' ? daysOf(week) : null;
  return days === null ? own : { ...own, kind: 'weekly', time, days };
}

function daysOf(field: string): number[] | null {
  const days = new Set<number>();
  for (const part of field.toLowerCase().split(',')) {
    const ends = part.split('-').map((end) => (NAMED.includes(end) ? NAMED.indexOf(end) : /^[0-7]$/.test(end) ? Number(end) : NaN));
    const [first = NaN, last = first] = ends;
    if (ends.length > 2 || Number.isNaN(first) || Number.isNaN(last) || last < first) return null;
    for (let at = first; at <= last; at += 1) days.add(at % 7);
  }
  return [...days].sort((a, b) => a - b);
}

export const UNITS = ['m', 'h', 'd'] as const;
export type Unit = (typeof UNITS)[number];

export interface Choice {
  when: 'now' | 'later' | 'again';
  /** In the browser's own zone, as a date field has it. */
  at: string;
  rhythm: Rhythm;
  /** Whose clock counts where a person's own is not known. */
  zone: string;
  /** Of a campaign that recurs: by how many per cent its audience may differ before it waits for a person. */
  guard: string | number;
  /** `2h`, or empty: it starts however late. */
  latest: string;
  quiet: boolean;
  from: string;
  to: string;
  /** Days on which nobody is written to, beside those of the house. */
  blackouts: BlackoutDays[];
  /** Gaps between messages drawn at random, where it has a pace of its own. */
  human: boolean;
  over: string | number;
  unit: Unit;
  /** The end of the offer, in the browser's own zone. */
  until: string;
}

/** What the API is told of it. Only what was chosen: an empty field is no choice. */
export function asked(choice: Choice) {
  const starts = choice.when !== 'now';
  const line = choice.when === 'again' ? lineOf(choice.rhythm) : null;
  return {
    ...(choice.when === 'later' && { at: new Date(choice.at).toISOString() }),
    ...(line !== null && { cron: line }),
    ...(line !== null && choice.guard !== '' && { audience_guard: Number(choice.guard) }),
    ...(starts && choice.latest !== '' && { latest_start: choice.latest }),
    ...(choice.quiet && { quiet_hours: `${choice.from}-${choice.to}` }),
    ...(choice.blackouts.length > 0 && { blackouts: choice.blackouts }),
    ...((choice.quiet || line !== null || choice.blackouts.length > 0) && { timezone: choice.zone }),
    ...(choice.over !== '' && { spread: `${choice.over}${choice.unit}` }),
    ...(choice.until !== '' && { stop_at: new Date(choice.until).toISOString() }),
  };
}

export type Flaw = 'at' | 'rhythm' | 'quiet' | 'until';

/** What of it cannot be as it is. `now` is epoch ms. */
export function flaws(choice: Choice, now: number): Flaw[] {
  const at = choice.when === 'later' ? new Date(choice.at).getTime() : now;
  const found: Flaw[] = [];
  if (choice.when === 'later' && !(at > now)) found.push('at');
  if (choice.when === 'again' && lineOf(choice.rhythm) === null) found.push('rhythm');
  if (choice.quiet && (choice.from === '' || choice.to === '' || choice.from === choice.to)) found.push('quiet');
  if (choice.until !== '' && !(new Date(choice.until).getTime() > Math.max(now, Number.isNaN(at) ? now : at))) found.push('until');
  return found;
}
