// Languages. Each is a file of its own, fetched when it is chosen; English is what a missing key falls back to in
// development only: a test holds all files to the same keys and each language to its plural forms.
import i18n from 'i18next';
import { initReactI18next } from 'react-i18next';

import { format } from './format.ts';
import { type Language, onPreference, preferences } from './prefs.ts';

const files: Record<Language, () => Promise<{ default: Record<string, unknown> }>> = {
  en: () => import('../locales/en.json'),
  ar: () => import('../locales/ar.json'),
  es: () => import('../locales/es.json'),
};

export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', ar: 'العربية', es: 'Español' };

export function directionOf(language: Language): 'ltr' | 'rtl' {
  return language === 'ar' ? 'rtl' : 'ltr';
}

async function load(language: Language): Promise<void> {
  if (!i18n.hasResourceBundle(language, 'translation')) {
    i18n.addResourceBundle(language, 'translation', (await files[language]()).default);
  }
  if (language === 'ar') await import('./arabic.css');
  const root = document.documentElement;
  root.lang = language;
  root.dir = directionOf(language);
  await i18n.changeLanguage(language);
}

export async function startLanguages(): Promise<void> {
  await i18n.use(initReactI18next).init({
    lng: preferences().language,
    resources: {},
    fallbackLng: false,
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  // `{{count, number}}` and `{{at, time}}` in the files: written as the reader's region and digits want it.
  i18n.services.formatter?.add('number', (value) => format.number(Number(value)));
  i18n.services.formatter?.add('time', (value) => format.time(String(value)));
  await load(preferences().language);
  let shown = preferences().language;
  onPreference(() => {
    const { language } = preferences();
    if (language === shown) return;
    shown = language;
    void load(language);
  });
}

export { i18n };
