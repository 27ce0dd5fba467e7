// Following a link that opens once: choosing a name, a password and a second factor; or, from the demo, straight in.
import { Button, CopyButton, Group, PasswordInput, Skeleton, Stack, TextInput, Title } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type LinkFor } from '../api/client.ts';
import { client } from '../queries.ts';
import { type AskedLink, signIn } from '../session.ts';
import { useAct } from '../ui/act.tsx';
import { Name, Notice, ProblemNotice } from '../ui/parts.tsx';
import { Outside } from './signin.tsx';

export function Welcome({ link, done }: { link: AskedLink; done: () => void }) {
  const { t } = useTranslation();
  const [found, setFound] = useState<LinkFor | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [codes, setCodes] = useState<string[] | null>(null);

  function enter() {
    // The token opens nothing any more, and need not stand in the history.
    window.history.replaceState({}, '', '/');
    client.clear();
    signIn(null);
    done();
  }

  useEffect(() => {
    let here = true;
    const body = { token: link.token };
    const asked = link.way === 'enter'
      ? answer(api.POST('/api/v1/sessions/enter', { body })).then(() => here && enter())
      : answer(api.POST('/api/v1/sessions/look', { body })).then((seen) => here && setFound(seen));
    asked.catch((refused: unknown) => here && setError(refused));
    return () => { here = false; };
    // Once: a second time the link would open nothing.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  if (error !== null) {
    return (
      <Outside title={t('welcome.shut')}>
        <ProblemNotice error={error} />
        <p className="small" style={{ marginBlockStart: 16 }}><Button variant="default" onClick={() => { window.history.replaceState({}, '', '/'); done(); }}>{t('welcome.toSignIn')}</Button></p>
      </Outside>
    );
  }
  if (codes !== null) return <Codes codes={codes} then={enter} />;
  if (found === null) return <Outside title={t('welcome.opening')}><Skeleton height={180} /></Outside>;
  return <Choose link={link} found={found} then={setCodes} />;
}

function Choose({ link, found, then }: { link: AskedLink; found: LinkFor; then: (codes: string[]) => void }) {
  const { t } = useTranslation();
  const [email, setEmail] = useState('');
  const [name, setName] = useState(found.name ?? '');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const { act, busy, error } = useAct(async () => {
    const body = { token: link.token, email: found.email ?? email, name, password, code };
    then((await answer(api.POST('/api/v1/sessions/welcome', { body }))).recovery_codes);
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    void act();
  }
  const first = found.email == null;
  const lead = first ? t('welcome.first') : <>{t('welcome.you')} <bdi dir="ltr">{found.email}</bdi> · {t(`role.${found.role}`, { defaultValue: found.role })}</>;
  return (
    <Outside title={t('welcome.title')} lead={lead}>
      <form onSubmit={submit}>
        <div className="card">
          <Stack gap="md">
            {first && <TextInput type="email" label={t('signin.email')} value={email} required autoFocus autoComplete="username" onChange={(event) => setEmail(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />}
            <TextInput label={t('welcome.name')} value={name} required maxLength={100} autoFocus={!first} autoComplete="name" onChange={(event) => setName(event.currentTarget.value)} />
            <PasswordInput label={t('signin.password')} description={t('welcome.passwordHint')} value={password} required minLength={12} maxLength={256} autoComplete="new-password"
              onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} />
          </Stack>
        </div>
        <div className="card" style={{ marginBlockStart: 14 }}>
          <Title order={2}>{t('welcome.second')}</Title>
          <p className="small dim" style={{ marginBlock: '4px 14px' }}>{t('welcome.secondWhat')}</p>
          <QrCode qr={found.totp.qr} label={t('welcome.qr')} />
          <p className="small" style={{ marginBlock: '12px 4px' }}>{t('welcome.byHand')}</p>
          <Group gap="sm" wrap="nowrap" align="center">
            <code className="cmd" dir="ltr" tabIndex={0}>{found.totp.secret}</code>
            <CopyButton value={found.totp.secret.replaceAll(' ', '')}>{({ copied, copy }) => <Button size="xs" variant="default" onClick={copy}>{t(copied ? 'keys.copied' : 'keys.copy')}</Button>}</CopyButton>
          </Group>
          <TextInput mt="md" label={t('welcome.code')} value={code} required inputMode="numeric" autoComplete="one-time-code" spellCheck={false} maxLength={12}
            onChange={(event) => setCode(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />
        </div>
        <Stack gap="md" mt="md">
          <ProblemNotice error={error} />
          <Button type="submit" size="md" loading={busy}>{t('welcome.finish')}</Button>
        </Stack>
      </form>
    </Outside>
  );
}

/** Drawn here: dark on light in either theme, which is what cameras read, with four modules of quiet round it. */
export function QrCode({ qr, label }: { qr: LinkFor['totp']['qr']; label: string }) {
  const side = qr.size + 8;
  return (
    <svg role="img" aria-label={label} viewBox={`-4 -4 ${side} ${side}`} width="220" height="220" shapeRendering="crispEdges" style={{ display: 'block', borderRadius: 6 }}>
      <rect x="-4" y="-4" width={side} height={side} fill="#fff" />
      <path d={qr.path} fill="#000" />
    </svg>
  );
}

export function Codes({ codes, then }: { codes: string[]; then: () => void }) {
  const { t } = useTranslation();
  return (
    <Outside title={t('welcome.codes')} lead={t('welcome.codesWhat')}>
      <CodeList codes={codes} />
      <Button mt="lg" size="md" onClick={then}>{t('welcome.kept')}</Button>
    </Outside>
  );
}

export function CodeList({ codes }: { codes: string[] }) {
  const { t } = useTranslation();
  return (
    <div className="card">
      <Notice tone="warn"><p>{t('welcome.once')}</p></Notice>
      <ul className="mono" dir="ltr" aria-label={t('welcome.codes')} style={{ columns: '12em', marginBlock: 14, paddingInlineStart: 20 }}>
        {codes.map((code) => <li key={code}><Name>{code}</Name></li>)}
      </ul>
      <CopyButton value={codes.join('\n')}>{({ copied, copy }) => <Button size="xs" variant="default" onClick={copy}>{t(copied ? 'keys.copied' : 'keys.copy')}</Button>}</CopyButton>
    </div>
  );
}
