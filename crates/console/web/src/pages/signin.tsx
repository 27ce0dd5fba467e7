// The way in. An API key for now; see src/session.ts.
import { Button, PasswordInput, Stack, Title } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asRefusal, NO_ANSWER, type Refusal } from '../api/client.ts';
import { client } from '../queries.ts';
import { signIn, wasRefused } from '../session.ts';
import { Hoopoe } from '../ui/icons.tsx';
import { Notice, ProblemNotice } from '../ui/parts.tsx';
import { LanguageMenu, Settings } from '../ui/shell.tsx';

export function SignIn() {
  const { t } = useTranslation();
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [ended] = useState(wasRefused);
  useEffect(() => {
    document.title = `${t('signin.title')} · Hudhud`;
  }, [t]);

  // Tried before it is kept, and outside the client that ends sessions: here a refusal is an answer.
  async function enter(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      const answer = await fetch('/api/v1/me', { headers: { authorization: `Bearer ${key.trim()}` } }).catch(() => null);
      if (answer?.ok) {
        client.clear();
        signIn(key.trim());
      } else {
        setRefusal(asRefusal(await answer?.json().catch(() => null), answer?.status ?? 0));
      }
    } finally {
      setBusy(false);
    }
  }

  const wrong = refusal !== null && refusal.problem.status === 401;
  return (
    <div className="signin">
      <header className="who"><LanguageMenu /><Settings /></header>
      <main>
        <div className="box">
          <Hoopoe size={56} />
          <Title order={1} mt="md">{t('signin.title')}</Title>
          <p className="dim" style={{ marginBlock: '4px 20px' }}>{t('signin.lead')}</p>
          <div className="card">
            <form onSubmit={(event) => void enter(event)}>
              <Stack gap="md">
                {ended && refusal === null && <Notice tone="warn" live><p>{t('signin.ended')}</p></Notice>}
                <PasswordInput label={t('signin.key')} description={t('signin.kept')} value={key} required autoFocus autoComplete="off" spellCheck={false}
                  placeholder="hudhud_…" onChange={(event) => setKey(event.currentTarget.value)}
                  visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }}
                  styles={{ innerInput: { direction: 'ltr' } }}
                  error={wrong ? t('signin.wrong') : undefined} />
                {refusal !== null && (refusal.kind === NO_ANSWER || !wrong) && <ProblemNotice error={refusal} />}
                <Button type="submit" size="md" loading={busy} disabled={key.trim() === ''}>{t('signin.enter')}</Button>
              </Stack>
            </form>
          </div>
          <p className="small" style={{ marginBlock: '20px 6px' }}>{t('signin.none')}</p>
          <code className="cmd" tabIndex={0}>hudhud apikey create console --role admin</code>
        </div>
      </main>
    </div>
  );
}
