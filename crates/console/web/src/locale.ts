// How a reader's numbers and dates are written. Pure, so that tests can ask it without a browser.

export interface Style {
  language: string;
  region: string;
  digits: 'latn' | 'arab';
}

/** The BCP 47 tag: the reader's region, always the Gregorian calendar, and Latin digits unless chosen otherwise. */
export function tagOf({ language, region, digits }: Style): string {
  const numbers = language === 'ar' ? digits : 'latn';
  return `${language}-${region}-u-ca-gregory-nu-${numbers}`;
}

export function number(style: Style, value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(tagOf(style), options).format(value);
}

export function percent(style: Style, share: number): string {
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return number(style, share, { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function money(style: Style, value: number, currency: string): string {
  return number(style, value, { style: 'currency', currency, currencyDisplay: 'code' });
}

export function time(style: Style, at: string | number, options: Intl.DateTimeFormatOptions = {}): string {
  const when = new Date(at);
  if (Number.isNaN(when.getTime())) return String(at);
  return new Intl.DateTimeFormat(tagOf(style), { dateStyle: 'medium', timeStyle: 'short', ...options }).format(when);
}

/** A length of time in its two largest units: `2 hr, 5 min`. */
export function span(style: Style, seconds: number): string {
  const units: [Intl.NumberFormatOptions['unit'], number][] = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0 || (unit === 'second' && parts.length === 0)) {
      parts.push(number(style, whole, { style: 'unit', unit: unit as string, unitDisplay: 'short' }));
    }
    if (parts.length === 2 || (parts.length === 1 && unit === 'minute' && seconds >= 600)) break;
  }
  return parts.join(style.language === 'ar' ? ' و' : ' ');
}

/** `3 minutes ago`, `in 2 hours`. */
export function relative(style: Style, at: string | number, now: number): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  const words = new Intl.RelativeTimeFormat(tagOf(style), { numeric: 'auto' });
  if (size < 60) return words.format(Math.round(seconds), 'second');
  if (size < 3_600) return words.format(Math.round(seconds / 60), 'minute');
  if (size < 86_400) return words.format(Math.round(seconds / 3_600), 'hour');
  return words.format(Math.round(seconds / 86_400), 'day');
}

/** The name of a day of the week, Sunday being 0. */
export function weekday(style: Style, day: number, length: 'long' | 'short' = 'long'): string {
  // 4 January 1970 was a Sunday.
  return new Intl.DateTimeFormat(tagOf(style), { weekday: length, timeZone: 'UTC' }).format((3 + day) * 86_400_000);
}

/** Country codes of one and two digits (ITU-T E.164); all others have three. */
const SHORT_CODES = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;

/** A phone number in groups, from its E.164 form: easier to read, and the same in every language. */
export function phone(e164: string): string {
  if (!/^\+?\d{8,15}$/.test(e164)) return e164;
  const digits = e164.replace('+', '');
  const code = SHORT_CODES.exec(digits)?.[0] ?? digits.slice(0, 3);
  const groups = [code];
  let rest = digits.slice(code.length);
  while (rest.length > 4) {
    const size = rest.length === 8 ? 4 : 3;
    groups.push(rest.slice(0, size));
    rest = rest.slice(size);
  }
  return `+${[...groups, rest].join(' ')}`;
}

/** Bytes as people say them. */
export function bytes(style: Style, value: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
  const step = value < 1 ? 0 : Math.min(3, Math.floor(Math.log10(value) / 3));
  const shown = value / 1000 ** step;
  const digits = step > 0 && shown < 10 ? 1 : 0;
  return number(style, shown, { style: 'unit', unit: units[step] as string, unitDisplay: 'short', maximumFractionDigits: digits });
}
