// Single messages: an order notice, a receipt. Programs ask for them by a key of their own; here is how each stands, and
// one is looked up by its key or sent by hand. What they say and to whom is not shown.
import { Button, Group, NativeSelect, Select, Table, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type BusinessNumber, type ListedMessage, type MessageState, requestName, type Template } from '../api/client.ts';
import { languageName } from '../format.ts';
import { askAgain, useMay, useNumbers, useTemplates } from '../queries.ts';
import { examplesOf } from '../template.ts';
import { Confirm, useAct } from '../ui/act.tsx';
import { Bubble } from '../ui/bubble.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Notice, Page, Phone, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';
import { MessageNow, SendState } from '../ui/trial.tsx';
import { Reason } from '../ui/words.tsx';

export function Messages() {
  const { t } = useTranslation();
  const runs = useMay('run_campaigns');
  const [shown, setShown] = useState<MessageState | null>(null);
  const [sending, setSending] = useState(false);
  const show = (message: MessageState) => {
    setShown(message);
    setSending(false);
  };
  if (!runs) return <Page title={t('nav.messages')}><Notice tone="warn"><p>{t('messages.notYours')}</p></Notice></Page>;
  return (
    <Page title={t('nav.messages')} sub={t('messages.sub')} acts={!sending && <Button onClick={() => setSending(true)} leftSection={<Icon name="plus" size={18} />}>{t('messages.new')}</Button>}>
      <div className="stack">
        {sending && <One sent={(message) => { show(message); void askAgain(); }} close={() => setSending(false)} />}
        <LookUp found={show} />
        {shown && <Card title={<Ident>{shown.key}</Ident>}><MessageNow key={shown.key} first={shown} /></Card>}
        <Sent show={show} />
      </div>
    </Page>
  );
}

/** Every message that was asked for, newest first. */
function Sent({ show }: { show: (message: MessageState) => void }) {
  const { t } = useTranslation();
  const numbers = new Map((useNumbers().data ?? []).map((number) => [number.phone_number_id, number]));
  const pages = useInfiniteQuery({
    queryKey: ['messages', 'pages'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/messages', { params: { query: { limit: 50, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 5_000,
  });
  const rows: ListedMessage[] = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Awaited asked={pages}>{() => (
      <Card flush title={t('messages.all')} aside={<AsOf at={pages.dataUpdatedAt} />}>
        {rows.length === 0 ? <Empty icon="message" title={t('messages.none')}>{t('messages.noneWhat')}</Empty> : (
          <Scroll label={t('messages.all')}>
            <Table>
              <Table.Caption>{t('messages.all')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th>{t('messages.key')}</Table.Th><Table.Th>{t('messages.state')}</Table.Th><Table.Th>{t('messages.template')}</Table.Th><Table.Th>{t('messages.from')}</Table.Th><Table.Th>{t('messages.asked')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>{rows.map((message) => (
                <Table.Tr key={message.id}>
                  <Table.Td><Ident>{message.key}</Ident></Table.Td>
                  <Table.Td><SendState state={message.state} />{message.reason && <div className="small dim"><Reason words={message.reason} /></div>}</Table.Td>
                  <Table.Td className="small"><Ident>{message.template}</Ident> <span className="dim">· {languageName(message.language)}</span></Table.Td>
                  <Table.Td className="small">{numbers.get(message.number)?.verified_name ?? <Ident>{message.number}</Ident>}</Table.Td>
                  <Table.Td className="small"><Time at={message.created_at} /><div className="dim"><Ident>{message.created_by}</Ident></div></Table.Td>
                  <Table.Td><div className="acts-cell"><Button size="xs" variant="default" onClick={() => show(message)} aria-label={`${t('act.look')}: ${message.key}`}>{t('act.look')}</Button></div></Table.Td>
                </Table.Tr>
              ))}</Table.Tbody>
            </Table>
          </Scroll>
        )}
        {pages.hasNextPage && <div style={{ padding: 12, textAlign: 'center' }}><Button variant="default" size="xs" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('act.more')}</Button></div>}
      </Card>
    )}</Awaited>
  );
}

function LookUp({ found }: { found: (message: MessageState) => void }) {
  const { t } = useTranslation();
  const [key, setKey] = useState('');
  const look = useAct(async () => found(await answer(api.GET('/api/v1/messages/{key}', { params: { path: { key: key.trim() } } }))));
  return (
    <Card title={t('messages.lookUp')}>
      <form role="search" onSubmit={(event) => { event.preventDefault(); void look.act(); }} style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
        <TextInput data-search label={t('messages.key')} description={t('messages.keyHint')} value={key} onChange={(event) => setKey(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} autoComplete="off" maxLength={200} style={{ flex: '1 1 260px', maxInlineSize: 520 }} />
        <Button type="submit" variant="default" loading={look.busy} disabled={key.trim() === ''}>{t('act.look')}</Button>
      </form>
      <div style={{ marginBlockStart: look.error === null ? 0 : 12 }}><ProblemNotice error={look.error} /></div>
    </Card>
  );
}

function One({ sent, close }: { sent: (message: MessageState) => void; close: () => void }) {
  const { t } = useTranslation();
  const templates = useTemplates();
  const numbers = useNumbers();
  return (
    <Awaited asked={templates}>{(allTemplates) => (
      <Awaited asked={numbers}>{(allNumbers) => {
        const sendable = allTemplates.filter(({ status, unsupported }) => status === 'APPROVED' && unsupported.length === 0);
        if (sendable.length === 0 || allNumbers.length === 0) return <Card><Empty icon="account" title={t('wizard.noAccount')} act={<LinkButton to="/accounts">{t('nav.accounts')}</LinkButton>}>{t('wizard.noAccountWhat')}</Empty></Card>;
        return <Form templates={sendable} numbers={allNumbers.filter(({ status }) => status !== 'REMOVED')} sent={sent} close={close} />;
      }}</Awaited>
    )}</Awaited>
  );
}

const keyOf = (template: Template): string => `${template.account}\n${template.name}\n${template.language}`;

function Form({ templates, numbers, sent, close }: { templates: Template[]; numbers: BusinessNumber[]; sent: (message: MessageState) => void; close: () => void }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<string | null>(null);
  const [params, setParams] = useState<Record<string, string>>({});
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [key, setKey] = useState(() => `by-hand-${requestName().slice(0, 8)}`);
  const [asking, setAsking] = useState(false);
  const template = templates.find((each) => keyOf(each) === chosen);
  const own = numbers.filter(({ account }) => account === template?.account);
  const number = own.find(({ phone_number_id }) => phone_number_id === from) ?? own[0];
  const complete = template !== undefined && number !== undefined && to.trim() !== '' && key.trim() !== '' && template.parameters.every((name) => (params[name] ?? '').trim() !== '');
  const send = async () => {
    if (template === undefined || number === undefined) return;
    sent(await answer(api.POST('/api/v1/messages', { body: { key: key.trim(), to: to.trim(), number: number.phone_number_id, template: template.name, language: template.language, params } })));
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (complete) setAsking(true);
  };
  return (
    <div className="columns">
      <Card title={t('messages.new')}>
        <form onSubmit={submit}>
          <Select label={t('wizard.template.choose')} required searchable allowDeselect={false} value={chosen} nothingFoundMessage={t('campaigns.noMatch')}
            data={templates.map((each) => ({ value: keyOf(each), label: `${each.name} · ${languageName(each.language)}` }))}
            onChange={(value) => { setChosen(value); setParams({}); }} />
          {template?.parameters.map((name) => (
            <TextInput key={name} mt={8} required label={<>{t('wizard.variable')} <Ident>{name}</Ident></>} value={params[name] ?? ''} dir="auto" onChange={(event) => { const { value } = event.currentTarget; setParams((before) => ({ ...before, [name]: value })); }} />
          ))}
          {template && <NativeSelect mt="md" label={t('campaign.numbers')} value={number?.phone_number_id ?? ''} onChange={(event) => setFrom(event.currentTarget.value)} data={own.map(({ phone_number_id, verified_name, display }) => ({ value: phone_number_id, label: `${verified_name} · \u2066${display}\u2069` }))} />}
          <TextInput mt="md" label={t('messages.to')} description={t('optouts.anyForm')} required value={to} onChange={(event) => setTo(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} inputMode="tel" autoComplete="off" />
          <TextInput mt="md" label={t('messages.key')} description={t('messages.keyOwn')} required value={key} onChange={(event) => setKey(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} autoComplete="off" maxLength={90} />
          <Group justify="flex-end" mt="lg" gap="sm"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" disabled={!complete} leftSection={<Icon name="send" size={17} />}>{t('messages.send')}</Button></Group>
        </form>
        <Confirm opened={asking} close={() => setAsking(false)} title={t('messages.sendTitle')} yes={t('messages.send')} no={t('launch.no')} does={send}>
          <p className="strong" style={{ marginBlockStart: 0 }}><Phone number={to.trim()} /> · <Ident>{template?.name}</Ident></p>
          <p className="small dim" style={{ margin: 0 }}>{t('messages.sendWhat')}</p>
        </Confirm>
      </Card>
      <Card title={t('bubble.title')}>{template ? <Bubble template={template} params={{ ...examplesOf(template.components), ...Object.fromEntries(Object.entries(params).filter(([, text]) => text !== '')) }} columns={{}} /> : <p className="dim" style={{ margin: 0 }}>{t('bubble.choose')}</p>}</Card>
    </div>
  );
}
