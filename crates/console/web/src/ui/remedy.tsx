// Where what stands against a launch is put right: a sentence and the page for it. The server names the flaw in words;
// the kinds are few.
import { useTranslation } from 'react-i18next';

import { LinkButton } from './link.tsx';

const PLACES = {
  template: '/templates', number: '/queue', account: '/accounts', audience: '/lists', time: '/campaigns/new',
} as const;
export type Remedy = keyof typeof PLACES;

/** The kind of what stands against a launch, by the words that its sentence has and no other. */
export function remedyOf(words: string): Remedy | null {
  if (/^Nobody would get the message/.test(words)) return 'audience';
  if (/^The account is stopped|no longer in the account|business numbers is gone/.test(words)) return 'account';
  if (/^The business number .* is paused/s.test(words)) return 'number';
  if (/^The offer end|latest start .* has passed/s.test(words)) return 'time';
  if (/^The template|^The parameters/.test(words)) return 'template';
  return null;
}

export function RemedyFor({ words }: { words: string }) {
  const { t } = useTranslation();
  const kind = remedyOf(words);
  if (kind === null) return null;
  return (
    <p className="remedy">
      <span>{t(`remedy.${kind}`)}</span>
      <LinkButton size="xs" variant="default" to={PLACES[kind]}>{t(`remedy.go.${kind}`)}</LinkButton>
    </p>
  );
}
