// What a user changes of their own: the password, the recovery codes, where they are signed in.
import { Button, Group, PasswordInput, Stack, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api } from '../api/client.ts';
import { useMe } from '../queries.ts';
import { signOut } from '../session.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Awaited, Card, Notice, Page, ProblemNotice, Scroll, State, Time } from '../ui/parts.tsx';
import { CodeList } from './welcome.tsx';

export function You() {
  const { t } = useTranslation();
  const me = useMe().data;
  if (me && !me.actor.startsWith('user:')) return <Page title={t('nav.you')}><Notice><p>{t('you.byKey')}</p></Notice></Page>;
  return (
    <Page title={t('nav.you')} sub={me && <><bdi dir="ltr">{me.actor.slice('user:'.length)}</bdi> · {t(`role.${me.role}`)}</>}>
      <Sessions />
      <NewPassword />
      <RecoveryCodes />
    </Page>
  );
}

function Sessions() {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const sessions = useQuery({ queryKey: ['sessions'], queryFn: async () => (await answer(api.GET('/api/v1/sessions'))).items });
  return (
    <Card title={t('you.sessions')} flush aside={<Button variant="default" size="xs" onClick={() => setAsking(true)}>{t('you.everywhere')}</Button>}>
      <Awaited asked={sessions} rows={2}>{(data) => (
        <Scroll label={t('you.sessions')}>
          <Table>
            <Table.Caption>{t('you.sessions')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('you.browser')}</Table.Th><Table.Th>{t('audit.from')}</Table.Th><Table.Th>{t('you.since')}</Table.Th><Table.Th>{t('you.seen')}</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {data.map((session) => (
                <Table.Tr key={session.id}>
                  <Table.Td className="small"><bdi dir="ltr" className="break">{session.agent || '—'}</bdi>{session.current && <div><State tone="good" icon="check">{t('you.this')}</State></div>}</Table.Td>
                  <Table.Td className="small"><bdi dir="ltr">{session.address}</bdi></Table.Td>
                  <Table.Td className="small"><Time at={session.created_at} /></Table.Td>
                  <Table.Td className="small"><Time at={session.seen_at} /></Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Scroll>
      )}</Awaited>
      <Confirm opened={asking} close={() => setAsking(false)} title={t('you.everywhereTitle')} yes={t('you.everywhere')} no={t('you.stay')} does={() => signOut(true)}>{t('you.everywhereWhat')}</Confirm>
    </Card>
  );
}

function useProof() {
  const { t } = useTranslation();
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const fields = (
    <>
      <PasswordInput label={t('you.present')} value={password} required autoComplete="current-password" onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} />
      <TextInput label={t('signin.code')} description={t('signin.codeHint')} value={code} required autoComplete="one-time-code" spellCheck={false} onChange={(event) => setCode(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />
    </>
  );
  const forget = () => { setPassword(''); setCode(''); };
  return { proof: { password, code }, fields, forget };
}

function NewPassword() {
  const { t } = useTranslation();
  const { proof, fields, forget } = useProof();
  const [fresh, setFresh] = useState('');
  const change = useAct(() => answer(api.POST('/api/v1/me/password', { body: { ...proof, new_password: fresh } })), () => {
    forget();
    setFresh('');
    said(t('you.changed'));
  });
  return (
    <Card title={t('you.password')}>
      <form onSubmit={(event) => { event.preventDefault(); void change.act(); }} style={{ maxInlineSize: 440 }}>
        <Stack gap="md">
          <p className="small dim" style={{ margin: 0 }}>{t('you.passwordWhat')}</p>
          {fields}
          <PasswordInput label={t('you.fresh')} description={t('welcome.passwordHint')} value={fresh} required minLength={12} maxLength={256} autoComplete="new-password" onChange={(event) => setFresh(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} />
          <ProblemNotice error={change.error} />
          <Group><Button type="submit" loading={change.busy}>{t('you.change')}</Button></Group>
        </Stack>
      </form>
    </Card>
  );
}

function RecoveryCodes() {
  const { t } = useTranslation();
  const { proof, fields, forget } = useProof();
  const [codes, setCodes] = useState<string[] | null>(null);
  const renew = useAct(async () => {
    setCodes((await answer(api.POST('/api/v1/me/recovery-codes', { body: proof }))).recovery_codes ?? []);
    forget();
  });
  return (
    <Card title={t('welcome.codes')}>
      {codes !== null ? <CodeList codes={codes} /> : (
        <form onSubmit={(event) => { event.preventDefault(); void renew.act(); }} style={{ maxInlineSize: 440 }}>
          <Stack gap="md">
            <p className="small dim" style={{ margin: 0 }}>{t('you.codesWhat')}</p>
            {fields}
            <ProblemNotice error={renew.error} />
            <Group><Button type="submit" loading={renew.busy}>{t('you.renew')}</Button></Group>
          </Stack>
        </form>
      )}
    </Card>
  );
}
