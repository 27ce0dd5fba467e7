// What a person chose for this browser: language, region of numbers and dates, digits, theme, keyboard shortcuts.
// public/before-paint.js reads the same entry.
import { useSyncExternalStore } from 'react';

export const LANGUAGES = ['en', 'ar', 'es'] as const;
export type Language = (typeof LANGUAGES)[number];
export type Theme = 'auto' | 'light' | 'dark';

export interface Preferences {
  language: Language;
  /** ISO 3166 alpha-2; decides how numbers and dates are written. */
  region: string;
  digits: 'latn' | 'arab';
  theme: Theme;
  shortcuts: boolean;
}

const PLACE = 'hudhud.preferences';

function wished(): Preferences {
  const tags = navigator.languages ?? ['en'];
  const tag = tags.find((each) => (LANGUAGES as readonly string[]).includes(each.slice(0, 2))) ?? 'en-GB';
  const language = (LANGUAGES as readonly string[]).includes(tag.slice(0, 2)) ? (tag.slice(0, 2) as Language) : 'en';
  return { language, region: regionOf(tag) ?? USUAL_REGION[language], digits: 'latn', theme: 'auto', shortcuts: true };
}

export const USUAL_REGION: Record<Language, string> = { en: 'GB', ar: 'EG', es: 'ES' };

function regionOf(tag: string): string | undefined {
  try {
    return new Intl.Locale(tag).region;
  } catch {
    return undefined;
  }
}

function read(): Preferences {
  try {
    return { ...wished(), ...(JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Partial<Preferences>) };
  } catch {
    return wished();
  }
}

let current = read();
const listeners = new Set<() => void>();

export function preferences(): Preferences {
  return current;
}

export function prefer(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(PLACE, JSON.stringify(current));
  } catch {
    // Without storage the choice holds until the page is loaded again.
  }
  for (const listener of listeners) listener();
}

export function onPreference(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(onPreference, preferences);
}
