// A sentence of the server's, in the reader's language where it is one that the console knows. Its words are fetched
// after the first page, and until then it is shown as it came.
import { useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';

import { preferences, usePreferences } from '../prefs.ts';
import { reader, translate } from '../sentences.ts';

let book: ReturnType<typeof reader> | null = null;
let asked = false;
const listeners = new Set<() => void>();

function fetchBook(): void {
  if (asked) return;
  asked = true;
  import('../../locales/said.json').then(({ default: sayings }) => {
    book = reader(sayings);
    for (const listener of listeners) listener();
  }, () => { asked = false; });
}

function subscribe(listener: () => void): () => void {
  fetchBook();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Says a sentence of the server's as the reader does, or nothing where it is not known. */
export function useSaying(): (text: string) => string | null {
  const { t, i18n } = useTranslation();
  usePreferences();
  const terms = {
    people: (count: number) => t('count.people', { count }),
    state: (code: string) => ['campaignState', 'importState', 'templateState', 'role'].map((kind) => `${kind}.${code}`).filter((key) => i18n.exists(key)).map((key) => t(key))[0] ?? null,
  };
  const ready = useSyncExternalStore(subscribe, () => book);
  return (text) => (ready === null ? null : translate(ready, preferences(), terms, text));
}

export function Said({ children }: { children: string | null | undefined }) {
  const say = useSaying();
  if (!children) return null;
  const words = say(children);
  if (words !== null) return <span className="break">{capital(words)}</span>;
  return <span lang="en" dir="auto" className="break">{children}</span>;
}

/** Reasons begin small in the books, since they stand behind a colon there; here they are sentences of their own. */
function capital(words: string): string {
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}
