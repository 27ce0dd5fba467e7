// The way in: a user's address, password and code; or an API key, for this tab.
import { Button, PasswordInput, Stack, TextInput, Title } from '@mantine/core';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asRefusal, NO_ANSWER, type Refusal } from '../api/client.ts';
import { client } from '../queries.ts';
import { signIn, wasRefused } from '../session.ts';
import { Hoopoe } from '../ui/icons.tsx';
import { Notice, ProblemNotice } from '../ui/parts.tsx';
import { LanguageMenu, Settings } from '../ui/shell.tsx';

/** The frame of every page outside. */
export function Outside({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const { t } = useTranslation();
  useEffect(() => {
    document.title = `${title} · Hudhud`;
  }, [title, t]);
  return (
    <div className="signin">
      <header className="who"><LanguageMenu /><Settings /></header>
      <main>
        <div className="box">
          <Hoopoe size={56} />
          <Title order={1} mt="md">{title}</Title>
          {lead !== undefined && <p className="dim" style={{ marginBlock: '4px 20px' }}>{lead}</p>}
          {children}
        </div>
      </main>
    </div>
  );
}

export function SignIn() {
  const { t } = useTranslation();
  const [byKey, setByKey] = useState(false);
  const [ended] = useState(wasRefused);
  return (
    <Outside title={t('signin.title')} lead={t('signin.lead')}>
      <div className="card">{byKey ? <WithKey ended={ended} /> : <WithPassword ended={ended} />}</div>
      <p className="small" style={{ marginBlock: '16px 0' }}>
        <Button variant="subtle" size="compact-sm" onClick={() => setByKey(!byKey)}>{t(byKey ? 'signin.byPassword' : 'signin.byKey')}</Button>
      </p>
      <p className="small" style={{ marginBlock: '12px 6px' }}>{t(byKey ? 'signin.none' : 'signin.noUser')}</p>
      <code className="cmd" tabIndex={0}>{byKey ? 'hudhud apikey create console --role admin' : 'hudhud user link'}</code>
    </Outside>
  );
}

/** Asked outside the client that ends sessions: here a refusal is an answer. */
function useEntry(ask: () => Promise<Response>, then: () => void) {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  async function enter(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      const answer = await ask().catch(() => null);
      if (answer?.ok) {
        client.clear();
        then();
      } else {
        setRefusal(asRefusal(await answer?.json().catch(() => null), answer?.status ?? 0));
      }
    } finally {
      setBusy(false);
    }
  }
  const wrong = refusal !== null && refusal.problem.status === 401;
  const told = refusal !== null && (refusal.kind === NO_ANSWER || !wrong) ? <ProblemNotice error={refusal} /> : null;
  return { busy, enter, wrong, told, fresh: refusal === null };
}

function WithPassword({ ended }: { ended: boolean }) {
  const { t } = useTranslation();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const { busy, enter, wrong, told, fresh } = useEntry(
    () => fetch('/api/v1/sessions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email, password, code }) }),
    () => signIn(null),
  );
  return (
    <form onSubmit={(event) => void enter(event)}>
      <Stack gap="md">
        {ended && fresh && <Notice tone="warn" live><p>{t('signin.over')}</p></Notice>}
        {wrong && <Notice tone="bad" live><p>{t('signin.wrongThree')}</p></Notice>}
        <TextInput type="email" label={t('signin.email')} value={email} required autoFocus autoComplete="username" spellCheck={false}
          onChange={(event) => setEmail(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />
        <PasswordInput label={t('signin.password')} value={password} required autoComplete="current-password"
          onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} />
        <TextInput label={t('signin.code')} description={t('signin.codeHint')} value={code} required autoComplete="one-time-code" spellCheck={false}
          onChange={(event) => setCode(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />
        {told}
        <Button type="submit" size="md" loading={busy}>{t('signin.enter')}</Button>
      </Stack>
    </form>
  );
}

function WithKey({ ended }: { ended: boolean }) {
  const { t } = useTranslation();
  const [key, setKey] = useState('');
  const { busy, enter, wrong, told, fresh } = useEntry(
    () => fetch('/api/v1/me', { headers: { authorization: `Bearer ${key.trim()}` } }),
    () => signIn(key.trim()),
  );
  return (
    <form onSubmit={(event) => void enter(event)}>
      <Stack gap="md">
        {ended && fresh && <Notice tone="warn" live><p>{t('signin.ended')}</p></Notice>}
        <PasswordInput label={t('signin.key')} description={t('signin.kept')} value={key} required autoFocus autoComplete="off" spellCheck={false}
          placeholder="hudhud_…" onChange={(event) => setKey(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }}
          styles={{ innerInput: { direction: 'ltr' } }}
          error={wrong ? t('signin.wrong') : undefined} />
        {told}
        <Button type="submit" size="md" loading={busy} disabled={key.trim() === ''}>{t('signin.enter')}</Button>
      </Stack>
    </form>
  );
}
