// A campaign's message on a phone of the house, before anybody else gets it; and how one message stands.
import { Button, Group, Modal, NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign, type MessageState } from '../api/client.ts';
import * as locale from '../locale.ts';
import { LIVE, useMay } from '../queries.ts';
import { useAct } from './act.tsx';
import { useRules } from './care.tsx';
import { Icon, type IconName } from './icons.tsx';
import { LinkButton } from './link.tsx';
import { Card, Ident, ProblemNotice, State, Time, type Tone } from './parts.tsx';
import { Said } from './said.tsx';
import { useFailureReason, useSkipReason } from './words.tsx';

const SIGNS: Record<string, [Tone, IconName]> = {
  planned: ['calm', 'clock'], submitting: ['accent', 'send'], accepted: ['accent', 'send'], sent: ['accent', 'send'], delivered: ['good', 'check'],
  read: ['good', 'check'], failed: ['bad', 'warning'], skipped: ['warn', 'stop'], in_doubt: ['warn', 'doubt'],
};
/** Nothing more is to come. */
const OVER = new Set(['read', 'failed', 'skipped']);

export function SendState({ state }: { state: string }) {
  const { t } = useTranslation();
  const [tone, icon] = SIGNS[state] ?? ['calm', 'info'];
  return <State tone={tone} icon={icon}>{t(`sendState.${state}`, { defaultValue: state })}</State>;
}

/** One message as it stands, asked again until nothing more is to come. */
export function MessageNow({ first }: { first: MessageState }) {
  const { t } = useTranslation();
  const skipped = useSkipReason();
  const failed = useFailureReason();
  const asked = useQuery({
    queryKey: ['message', first.key], initialData: first,
    queryFn: () => answer(api.GET('/api/v1/messages/{key}', { params: { path: { key: first.key } } })),
    refetchInterval: ({ state }) => (state.data && OVER.has(state.data.state) ? false : LIVE),
  });
  const message = asked.data;
  const { state, reason, code } = message;
  return (
    <div role="status" aria-live="polite">
      <dl className="pairs small">
        <dt>{t('messages.state')}</dt><dd><SendState state={state} /></dd>
        {state === 'failed' && code != null ? <><dt>{t('campaign.why')}</dt><dd>{failed(String(code))} <span className="tiny dim"><Ident>{code}</Ident></span></dd></>
          : reason && <><dt>{t('campaign.why')}</dt><dd>{state === 'skipped' ? skipped(reason) : <Said>{reason}</Said>}</dd></>}
        {message.accepted_at && <><dt>{t('messages.accepted')}</dt><dd><Time at={message.accepted_at} withSeconds /></dd></>}
        {message.delivered_at && <><dt>{t('messages.delivered')}</dt><dd><Time at={message.delivered_at} withSeconds /></dd></>}
        {message.read_at && <><dt>{t('messages.read')}</dt><dd><Time at={message.read_at} withSeconds /></dd></>}
        {message.failed_at && <><dt>{t('messages.failed')}</dt><dd><Time at={message.failed_at} withSeconds /></dd></>}
        <dt>{t('messages.key')}</dt><dd><Ident>{message.key}</Ident></dd>
        {message.wamid && <><dt>{t('messages.wamid')}</dt><dd><Ident>{message.wamid}</Ident></dd></>}
      </dl>
      <ProblemNotice error={asked.error} />
    </div>
  );
}

/** To whom, and what became of it. */
function Trial({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const rules = useRules();
  const own = rules.data?.test_numbers ?? [];
  const [to, setTo] = useState<string | null>(null);
  const [message, setMessage] = useState<MessageState | null>(null);
  const chosen = to ?? own[0] ?? '';
  const send = useAct(async () => {
    setMessage(null);
    setMessage(await answer(api.POST('/api/v1/campaigns/{campaign}/test', { params: { path: { campaign: String(campaign.id) } }, body: { to: chosen } })));
  });
  if (rules.error !== null) return <ProblemNotice error={rules.error} />;
  if (rules.data && own.length === 0) {
    return (
      <p className="remedy" style={{ margin: 0 }}>
        <span>{t(audits ? 'trial.none' : 'trial.noneAsk')}</span>
        {audits && <LinkButton size="xs" variant="default" to="/rules">{t('nav.rules')}</LinkButton>}
      </p>
    );
  }
  return (
    <>
      <form onSubmit={(event) => { event.preventDefault(); void send.act(); }}>
        <Group gap="sm" align="flex-end">
          <NativeSelect style={{ flex: '1 1 200px', maxInlineSize: 320 }} label={t('trial.to')} value={chosen} onChange={(event) => setTo(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }}
            data={own.map((value) => ({ value, label: locale.phone(value) }))} />
          <Button type="submit" variant="default" loading={send.busy} disabled={chosen === ''} leftSection={<Icon name="send" size={17} />}>{t('trial.send')}</Button>
        </Group>
      </form>
      <div style={{ marginBlockStart: message || send.error !== null ? 14 : 0 }}>
        <ProblemNotice error={send.error} />
        {message && <MessageNow key={message.key} first={message} />}
      </div>
    </>
  );
}

export function TrialCard({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  if (!useMay('run_campaigns')) return null;
  return <Card title={t('trial.title')}><p className="small dim" style={{ marginBlockStart: 0 }}>{t('trial.what')}</p><Trial campaign={campaign} /></Card>;
}

export function TrialDialog({ campaign, close }: { campaign: Campaign; close: () => void }) {
  const { t } = useTranslation();
  return <Modal opened onClose={close} title={t('trial.title')} closeButtonProps={{ 'aria-label': t('act.close') }}><p className="small dim" style={{ marginBlockStart: 0 }}>{t('trial.what')}</p><Trial campaign={campaign} /></Modal>;
}
