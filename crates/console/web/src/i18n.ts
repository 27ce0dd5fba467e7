// Languages. Each is a file of its own, fetched when it is chosen; English is what a missing key falls back to in
// development only: a test holds all files to the same keys and each language to its plural forms.
import i18n from 'i18next';
import { initReactI18next } from 'react-i18next';

import { format } from './format.ts';
import { type Language, onPreference, preferences } from './prefs.ts';

type Words = Promise<{ default: Record<string, unknown> }>;

/** Each file comes in two: the words of the first page, and those of the pages that are fetched later. */
const files: Record<Language, [() => Words, () => Words]> = {
  en: [() => import('../locales/en.json?first'), () => import('../locales/en.json?later')],
  ar: [() => import('../locales/ar.json?first'), () => import('../locales/ar.json?later')],
  es: [() => import('../locales/es.json?first'), () => import('../locales/es.json?later')],
};

export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', ar: 'العربية', es: 'Español' };

export function directionOf(language: Language): 'ltr' | 'rtl' {
  return language === 'ar' ? 'rtl' : 'ltr';
}

/** The words of the pages that are not fetched yet. */
let rest: Promise<void> = Promise.resolve();

/** A page that is fetched when it is first opened, with its words. */
export async function withWords<M>(page: Promise<M>): Promise<M> {
  const [fetched] = await Promise.all([page, rest]);
  return fetched;
}

async function load(language: Language): Promise<void> {
  const [first, later] = files[language];
  if (!i18n.hasResourceBundle(language, 'translation')) i18n.addResourceBundle(language, 'translation', (await first()).default);
  rest = later().then(({ default: words }) => { i18n.addResourceBundle(language, 'translation', words, true); });
  if (language === 'ar') await import('./arabic.css');
  const root = document.documentElement;
  root.lang = language;
  root.dir = directionOf(language);
  // Only the first language is shown before all its words are there.
  if (i18n.resolvedLanguage !== undefined && i18n.language !== language) await rest;
  await i18n.changeLanguage(language);
}

export async function startLanguages(): Promise<void> {
  await i18n.use(initReactI18next).init({
    lng: preferences().language,
    resources: {},
    fallbackLng: false,
    interpolation: { escapeValue: false },
    returnNull: false,
    // Words that come later are shown when they come.
    react: { bindI18nStore: 'added' },
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
