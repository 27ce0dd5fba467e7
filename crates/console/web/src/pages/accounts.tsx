// WhatsApp Business Accounts and their numbers, as Meta last showed them. Secrets go in and are never shown again.
import { Button, Group, Modal, PasswordInput, Stack, Table, TextInput } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { type Account, answer, api, type BusinessNumber } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useAccounts, useLists, useMay, useNumbers } from '../queries.ts';
import { said, useAct } from '../ui/act.tsx';
import { Brand } from '../ui/brand.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { Awaited, Card, Empty, Ident, Name, Notice, Page, Phone, ProblemNotice, Scroll, State, Time } from '../ui/parts.tsx';
import { NewSecret, Rotating } from '../ui/secret.tsx';
import { Quality, Reason } from '../ui/words.tsx';
import { NumberActs } from './board.tsx';

export function Accounts() {
  const { t } = useTranslation();
  const administers = useMay('administer');
  const accounts = useAccounts();
  const numbers = useNumbers(true).data ?? [];
  const [adding, setAdding] = useState(false);
  const add = administers ? <Button onClick={() => setAdding(true)} leftSection={<Icon name="plus" size={18} />}>{t('accounts.add')}</Button> : undefined;
  return (
    <Page title={t('nav.accounts')} acts={(accounts.data?.length ?? 0) > 0 ? add : undefined}>
      <Awaited asked={accounts}>{(data) => (data.length === 0
        ? <Card><Empty icon="account" title={t('accounts.none')} act={add}>{t('accounts.noneWhat')}</Empty></Card>
        : <div className="stack"><Next />{data.map((account) => <One key={account.id} account={account} numbers={numbers.filter((number) => number.account === account.name)} />)}<Told /></div>)}
      </Awaited>
      {adding && <Add close={() => setAdding(false)} />}
    </Page>
  );
}

/** Whoever has just connected their first account is told what comes next. */
function Next() {
  const { t } = useTranslation();
  const imports = useMay('manage_lists');
  const lists = useLists().data;
  if (!imports || lists === undefined || lists.length > 0) return null;
  return <Notice tone="good"><p className="strong">{t('accounts.next')}</p><p>{t('begin.people.what')}</p><p style={{ marginBlockStart: 8 }}><LinkButton to="/lists/import" size="xs">{t('begin.people.act')}</LinkButton></p></Notice>;
}

/** Where Meta is to tell what became of messages, and whether it has. */
function Told() {
  const { t } = useTranslation();
  const sees = useMay('look_at_persons');
  const { copied, copy } = useClipboard({ timeout: 2_000 });
  const last = useQuery({
    queryKey: ['webhooks', 'last'], enabled: sees, refetchInterval: 10_000,
    queryFn: async () => (await answer(api.GET('/api/v1/webhooks', { params: { query: { limit: 1 } } }))).items[0]?.received_at ?? null,
  }).data;
  const address = `${window.location.origin}/webhooks/whatsapp`;
  const isReached = window.location.protocol === 'https:';
  return (
    <Card title={t('accounts.webhook')} aside={sees && last !== undefined && (last === null
      ? <State tone="warn" icon="clock">{t('accounts.unheard')}</State>
      : <State tone="good" icon="check">{t('accounts.heard')} <Time at={last} /></State>)}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('accounts.webhookWhat')}</p>
      <Group gap="sm" wrap="nowrap"><code className="cmd" style={{ flex: 1, minInlineSize: 0 }} tabIndex={0}>{address}</code><Button variant="default" onClick={() => copy(address)} leftSection={<Icon name={copied ? 'check' : 'copy'} size={17} />}>{t(copied ? 'keys.copied' : 'keys.copy')}</Button></Group>
      {!isReached && <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('accounts.webhookLocal')}</p>}
    </Card>
  );
}

function One({ account, numbers }: { account: Account; numbers: BusinessNumber[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const operates = useMay('operate');
  const administers = useMay('administer');
  const [rotating, setRotating] = useState(false);
  const sync = useAct(async () => {
    const report = await answer(api.POST('/api/v1/accounts/{account}/sync', { params: { path: { account: account.name } } }));
    const [read] = report.accounts;
    said(t('accounts.synced', { numbers: format.number(read?.numbers ?? 0), templates: format.number(read?.templates ?? 0) }));
  });
  return (
    <Card flush title={<Name>{account.name}</Name>} aside={
      <Group gap="xs">
        {administers && <Button size="xs" variant="default" onClick={() => setRotating(true)}>{t('accounts.rotate')}</Button>}
        {administers && <NewSecret account={account} />}
        {operates && <Button size="xs" variant={account.synced_at ? 'default' : 'filled'} loading={sync.busy} onClick={() => void sync.act()} leftSection={<Icon name="refresh" size={16} />}>{t('accounts.sync')}</Button>}
      </Group>
    }>
      <div style={{ padding: '0 var(--pad) 14px' }}>
        <dl className="pairs small">
          <dt>{t('accounts.waba')}</dt><dd><Ident>{account.waba_id}</Ident></dd>
          {account.portfolio && <><dt>{t('accounts.portfolio')}</dt><dd><Ident>{account.portfolio}</Ident></dd></>}
          <dt>{t('accounts.read')}</dt><dd>{account.synced_at ? <Time at={account.synced_at} /> : t('accounts.never')}</dd>
        </dl>
        {account.stopped_reason && <div style={{ marginBlockStart: 12 }}><Notice tone="bad"><p className="strong">{t('accounts.stopped')} <Time at={account.stopped_at} /></p><p><Reason words={account.stopped_reason} /></p></Notice></div>}
        <Rotating account={account} may={administers} />
        {sync.error !== null && <div style={{ marginBlockStart: 12 }}><ProblemNotice error={sync.error} /></div>}
      </div>
      {numbers.length === 0 ? <div style={{ padding: '0 var(--pad) 18px' }}><Notice><p>{t('accounts.noNumbers')}</p></Notice></div> : (
        <Scroll label={`${t('accounts.numbers')}: ${account.name}`}>
          <Table>
            <Table.Caption>{t('accounts.numbers')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('board.number')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th>{t('accounts.brand')}</Table.Th><Table.Th>{t('board.quality')}</Table.Th><Table.Th className="num">{t('accounts.rate')}</Table.Th><Table.Th className="num">{t('accounts.limit')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {numbers.map((number) => (
                <Table.Tr key={number.id}>
                  <Table.Td style={{ minInlineSize: 190 }}><div className="strong"><Name>{number.verified_name}</Name></div><div className="small dim"><Phone number={number.display} raw /></div><div className="tiny dim"><Ident>{number.phone_number_id}</Ident></div></Table.Td>
                  <Table.Td style={{ minInlineSize: 130 }}>
                    {number.paused_reason
                      ? <><State tone="warn" icon="pause">{t('laneState.paused')}</State><div className="small dim" style={{ marginBlockStart: 3, maxInlineSize: 240 }}><Reason words={number.paused_reason} /></div></>
                      : <State tone={number.status === 'CONNECTED' ? 'good' : 'warn'} icon={number.status === 'CONNECTED' ? 'check' : 'warning'}>{t(`numberState.${number.status}`, { defaultValue: number.status.toLowerCase() })}</State>}
                  </Table.Td>
                  <Table.Td style={{ maxInlineSize: 180 }}><Brand number={number} /></Table.Td>
                  <Table.Td><Quality quality={number.quality} /></Table.Td>
                  <Table.Td className="num">{number.rate == null ? t('pace.free') : t('pace.perSecond', { pace: format.number(number.rate) })}</Table.Td>
                  <Table.Td className="num">{/^\d+$/.test(number.messaging_limit) ? format.number(Number(number.messaging_limit)) : number.messaging_limit === 'UNLIMITED' ? t('pace.free') : '—'}</Table.Td>
                  <Table.Td><div className="acts-cell wraps"><NumberActs number={number} /></div></Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Scroll>
      )}
      {rotating && <Rotate account={account} close={() => setRotating(false)} />}
    </Card>
  );
}

const EMPTY = { name: '', waba_id: '', portfolio: '', access_token: '', app_secret: '', verify_token: '' };

function Add({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const [values, setValues] = useState(EMPTY);
  const [stored, setStored] = useState(false);
  const add = useAct(async () => {
    const { portfolio, ...rest } = values;
    // Stored once; when only the reading of it fails, the second try is that alone.
    if (!stored) {
      await answer(api.POST('/api/v1/accounts', { body: { ...rest, ...(portfolio.trim() && { portfolio: portfolio.trim() }) } }));
      setStored(true);
    }
    await answer(api.POST('/api/v1/accounts/{account}/sync', { params: { path: { account: values.name.trim() } } }));
    said(t('accounts.added'));
  }, close);
  const field = (name: keyof typeof EMPTY, required = true) => ({
    label: t(`accounts.field.${name}`), description: t(`accounts.hint.${name}`), required, value: values[name], disabled: stored, autoComplete: 'off',
    onChange: (event: { currentTarget: { value: string } }) => { const { value } = event.currentTarget; setValues((before) => ({ ...before, [name]: value })); },
  });
  const shown = { visibilityToggleButtonProps: { 'aria-label': t('signin.show') }, styles: { innerInput: { direction: 'ltr' as const } } };
  const complete = (Object.keys(EMPTY) as (keyof typeof EMPTY)[]).every((name) => name === 'portfolio' || values[name].trim() !== '');
  return (
    <Modal opened onClose={close} size="lg" title={t('accounts.addTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void add.act(); }}>
        <Stack gap="md">
          <p className="small dim" style={{ margin: 0 }}>{t('accounts.where')}</p>
          <TextInput data-autofocus {...field('name')} maxLength={100} />
          <TextInput {...field('waba_id')} inputMode="numeric" styles={{ input: { direction: 'ltr' } }} />
          <TextInput {...field('portfolio', false)} inputMode="numeric" styles={{ input: { direction: 'ltr' } }} />
          <PasswordInput {...field('access_token')} {...shown} />
          <PasswordInput {...field('app_secret')} {...shown} />
          <PasswordInput {...field('verify_token')} {...shown} />
          {stored && add.error !== null && <Notice tone="warn"><p>{t('accounts.storedOnly')}</p></Notice>}
          <ProblemNotice error={add.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t(stored ? 'act.close' : 'act.notNow')}</Button><Button type="submit" loading={add.busy} disabled={!complete}>{t(stored ? 'accounts.sync' : 'accounts.connect')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Rotate({ account, close }: { account: Account; close: () => void }) {
  const { t } = useTranslation();
  const [token, setToken] = useState('');
  const rotate = useAct(async () => {
    const path = { params: { path: { account: account.name } } };
    await answer(api.POST('/api/v1/accounts/{account}/rotate', { ...path, body: { access_token: token.trim() } }));
    await answer(api.POST('/api/v1/accounts/{account}/sync', path));
    said(t('accounts.rotated'));
  }, close);
  return (
    <Modal opened onClose={close} title={t('accounts.rotateTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void rotate.act(); }}>
        <Stack gap="md">
          <PasswordInput data-autofocus label={t('accounts.field.access_token')} description={t('accounts.rotateWhat')} required value={token} autoComplete="off" onChange={(event) => setToken(event.currentTarget.value)}
            visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} styles={{ innerInput: { direction: 'ltr' } }} />
          <ProblemNotice error={rotate.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={rotate.busy} disabled={token.trim() === ''}>{t('accounts.rotate')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
