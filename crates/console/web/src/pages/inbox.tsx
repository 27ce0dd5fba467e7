// What people write to us, newest first; and an answer to whoever wrote within the last 24 hours. Each look is recorded,
// so nothing is asked again by itself.
import { Button, Group, Modal, NativeSelect, Stack, Table, Textarea } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type InboundMessage, requestName } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { LIVE, useCampaigns, useMay, useNumbers } from '../queries.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { LongTable } from '../ui/long.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Name, Notice, Page, Phone, ProblemNotice, State, Time } from '../ui/parts.tsx';
import { SendState } from '../ui/trial.tsx';
import { useFailureReason, useSkipReason } from '../ui/words.tsx';

const LONGEST = 4096;
/** Nothing more of these is waited for here. */
const GONE = new Set(['delivered', 'read', 'failed', 'skipped']);
/** On its way to a phone: how often it is asked whether it has come there, ms. */
const ON_ITS_WAY = 5_000;

const isOpen = ({ window }: InboundMessage): boolean => window.open && window.until != null && Date.parse(window.until) > Date.now();

export function Inbox() {
  const { t } = useTranslation();
  const sees = useMay('read_messages');
  const [campaign, setCampaign] = useState('');
  const [number, setNumber] = useState('');
  const [answered, setAnswered] = useState<InboundMessage | null>(null);
  const campaigns = useCampaigns(50).data ?? [];
  const numbers = useNumbers().data ?? [];
  const pages = useInfiniteQuery({
    queryKey: ['inbound', campaign, number],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/messages/inbound', { params: { query: { limit: 100, ...(campaign && { campaign }), ...(number && { number }), ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchOnWindowFocus: false,
    enabled: sees,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const named = new Map(numbers.map(({ phone_number_id, verified_name, display }) => [phone_number_id, `${verified_name} · \u2066${display}\u2069`]));
  return (
    <Page title={t('nav.inbox')} sub={t('inbox.sub')} acts={sees && <><AsOf at={pages.dataUpdatedAt} /><Button variant="default" size="xs" loading={pages.isRefetching} onClick={() => void pages.refetch()}>{t('inbox.again')}</Button></>}>
      {!sees ? <Notice tone="warn"><p>{t('doubt.notYours')}</p></Notice> : (
        <div className="stack">
          <Group gap="sm" align="flex-end" wrap="wrap">
            <NativeSelect label={t('inbox.campaign')} value={campaign} onChange={(event) => setCampaign(event.currentTarget.value)} style={{ flex: '1 1 220px', maxInlineSize: 360 }}
              data={[{ value: '', label: t('inbox.all') }, ...campaigns.map(({ id, name }) => ({ value: String(id), label: name }))]} />
            <NativeSelect label={t('inbox.number')} value={number} onChange={(event) => setNumber(event.currentTarget.value)} style={{ flex: '1 1 220px', maxInlineSize: 360 }}
              data={[{ value: '', label: t('inbox.all') }, ...[...named].map(([value, label]) => ({ value, label }))]} />
          </Group>
          <Awaited asked={pages}>{() => (
            <Card flush>
              {rows.length === 0 ? <Empty icon="message" title={t('inbox.none')}>{t('inbox.noneWhat')}</Empty> : (
                <LongTable label={t('nav.inbox')} rows={rows} keyOf={({ id }) => id}
                  heads={<><Table.Th>{t('inbox.said')}</Table.Th><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('inbox.at')}</Table.Th><Table.Th>{t('inbox.window')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></>}
                  cells={(row) => <Message message={row} number={named.get(row.number ?? '')} reply={() => setAnswered(row)} />}
                  more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
              )}
            </Card>
          )}</Awaited>
        </div>
      )}
      {answered && <Reply key={answered.id} to={answered} close={() => setAnswered(null)} />}
    </Page>
  );
}

/** Who wrote: their number, or the id behind which they hide it. */
function From({ message: { from, name } }: { message: InboundMessage }) {
  return <>{from?.startsWith('+') ? <Phone number={from} /> : from ? <Ident>{from}</Ident> : <span className="dim">—</span>}{name && <div className="tiny dim"><Name>{name}</Name></div>}</>;
}

function Said({ message: { text, kind } }: { message: InboundMessage }) {
  const { t } = useTranslation();
  if (text) return <blockquote className="quote" dir="auto" style={{ whiteSpace: 'pre-line' }}>{text}</blockquote>;
  return <span className="dim">{t(`inbox.kind.${kind}`, { defaultValue: t('inbox.kind.other') })}</span>;
}

function Message({ message, number, reply }: { message: InboundMessage; number: string | undefined; reply: () => void }) {
  const { t } = useTranslation();
  const { campaign_id, campaign, inferred, from, at, kind } = message;
  return (
    <>
      <Table.Td style={{ minInlineSize: 220, maxInlineSize: 460 }}>
        <Said message={message} />
        {kind === 'button' && <div className="tiny dim">{t('reviews.how.button')}</div>}
        {campaign_id != null && <div className="tiny dim"><Link to="/campaigns/$campaign" params={{ campaign: String(campaign_id) }}><Name>{campaign}</Name></Link>{inferred && <> · {t('inbox.inferred')}</>}</div>}
      </Table.Td>
      <Table.Td><From message={message} /></Table.Td>
      <Table.Td className="small"><Time at={at} />{number && <div className="tiny dim">{number}</div>}</Table.Td>
      <Table.Td className="small"><Window message={message} /></Table.Td>
      <Table.Td><div className="acts-cell">{isOpen(message) && <Button size="xs" onClick={reply} aria-label={`${t('inbox.reply')}: ${from ?? ''}`} leftSection={<Icon name="reply" size={15} />}>{t('inbox.reply')}</Button>}</div></Table.Td>
    </>
  );
}

/** Whether the person may be answered, and for how long. */
function Window({ message }: { message: InboundMessage }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [, look] = useState(0);
  const open = isOpen(message);
  // What is left of it is said anew each minute.
  useEffect(() => {
    if (!open) return undefined;
    const minute = setInterval(() => look((times) => times + 1), 60_000);
    return () => clearInterval(minute);
  }, [open]);
  const { until } = message.window;
  if (until == null) return <span className="dim">—</span>;
  return (
    <>
      <State tone={open ? 'good' : 'calm'} icon={open ? 'clock' : 'stop'}>{t(open ? 'inbox.open' : 'inbox.closed')}</State>
      <div className="tiny dim">{t(open ? 'inbox.closes' : 'inbox.closedAt', { when: format.relative(until) })}</div>
    </>
  );
}

function Reply({ to, close }: { to: InboundMessage; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState('');
  const [key] = useState(() => `reply-${to.id}-${requestName().slice(0, 8)}`);
  const [sent, setSent] = useState(false);
  const left = LONGEST - [...text.trim()].length;
  const ask = () => answer(api.POST('/api/v1/messages/reply', { body: { key, to: to.from ?? '', number: to.number ?? '', text: text.trim(), answers: to.wamid } }));
  const state = useQuery({ queryKey: ['reply', key], queryFn: () => answer(api.GET('/api/v1/messages/reply/{key}', { params: { path: { key } } })), enabled: sent, refetchOnWindowFocus: false, refetchInterval: ({ state: { data } }) => (data && GONE.has(data.state) ? false : data?.state === 'sent' ? ON_ITS_WAY : LIVE) });
  const send = useAct(async () => {
    await ask();
    setSent(true);
  });
  const wanting = text.trim() === '' || left < 0;
  return (
    <Modal opened onClose={close} title={t('inbox.replyTitle')} closeButtonProps={{ 'aria-label': t('act.close') }} size="lg">
      <form onSubmit={(event) => { event.preventDefault(); if (!wanting && !sent) void send.act(); }}>
        <Stack gap="md">
          <div>
            <p className="strong" style={{ marginBlockStart: 0 }}><From message={to} /></p>
            <Said message={to} />
            <p className="small dim" style={{ marginBlockEnd: 0 }}>{to.window.until != null && t('inbox.closes', { when: format.relative(to.window.until) })}</p>
          </div>
          <Textarea data-autofocus label={t('inbox.text')} description={t('inbox.textHint')} autosize minRows={3} maxRows={10} dir="auto" styles={{ input: { unicodeBidi: 'plaintext', textAlign: 'start' } }} value={text} readOnly={sent} required
            error={left < 0 ? t('inbox.tooLong', { count: -left }) : undefined} onChange={(event) => setText(event.currentTarget.value)} />
          <ProblemNotice error={send.error} />
          {sent && <Standing asked={state} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={close}>{t(sent ? 'act.close' : 'act.notNow')}</Button>
            {!sent && <Button type="submit" loading={send.busy} disabled={wanting} leftSection={<Icon name="send" size={17} />}>{t('messages.send')}</Button>}
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** How the answer stands. */
function Standing({ asked }: { asked: { data?: { state: string; reason?: string | null; code?: number | null }; error: unknown } }) {
  const { t } = useTranslation();
  const skipped = useSkipReason();
  const failed = useFailureReason();
  const { data } = asked;
  const why = data?.state === 'failed' && data.code != null ? failed(String(data.code)) : data?.state === 'skipped' && data.reason ? skipped(data.reason) : null;
  return (
    <div role="status" aria-live="polite">
      {data && <><SendState state={data.state} />{why && <span className="small"> {why}</span>}</>}
      {!data && <span className="dim">{t('state.loading')}</span>}
      <ProblemNotice error={asked.error} />
    </div>
  );
}
