// Numbers, times and lengths in the style that the reader chose.
import * as locale from './locale.ts';
import { preferences, usePreferences } from './prefs.ts';

export const format = {
  number: (value: number, options?: Intl.NumberFormatOptions) => locale.number(preferences(), value, options),
  percent: (share: number) => locale.percent(preferences(), share),
  money: (value: number, currency: string) => locale.money(preferences(), value, currency),
  time: (at: string | number, options?: Intl.DateTimeFormatOptions) => locale.time(preferences(), at, options),
  clock: (at: string | number) => locale.time(preferences(), at, { dateStyle: undefined, timeStyle: 'medium' }),
  span: (seconds: number) => locale.span(preferences(), seconds),
  days: (count: number) => locale.number(preferences(), count, { style: 'unit', unit: 'day', unitDisplay: 'long' }),
  relative: (at: string | number) => locale.relative(preferences(), at, Date.now()),
  bytes: (value: number) => locale.bytes(preferences(), value),
};

/** As {@link format}, for a component that must be drawn again when the reader chooses another style. */
export function useFormat(): typeof format {
  usePreferences();
  return format;
}

/** The name of a country in the reader's language. */
export function countryName(code: string): string {
  try {
    return new Intl.DisplayNames([preferences().language], { type: 'region' }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** The name of a language in the reader's language; Meta writes `pt_BR` where BCP 47 has `pt-BR`. */
export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames([preferences().language], { type: 'language' }).of(code.replace('_', '-')) ?? code;
  } catch {
    return code;
  }
}
