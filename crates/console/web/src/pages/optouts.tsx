// Who may not be messaged. A person is looked up first, and the verdict comes first.
import { Button, Group, Modal, SegmentedControl, Stack, Table, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type Verdict } from '../api/client.ts';
import { askAbout } from '../asked.ts';
import { format } from '../format.ts';
import { useCampaigns, useMay, useReviewCount } from '../queries.ts';
import { said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { LongTable } from '../ui/long.tsx';
import { ScopeChoice, useForbidden, useScope, useUsualScope } from '../ui/scope.tsx';
import { Awaited, Card, Empty, Ident, Name, Notice, Page, Phone, ProblemNotice, Time } from '../ui/parts.tsx';
import { useStopSource } from '../ui/words.tsx';

const DAYS = { all: null, today: 0, week: 7, month: 30 } as const;

export function OptOuts() {
  const { t } = useTranslation();
  const sees = useMay('look_at_persons');
  const adds = useMay('opt_out');
  const waiting = useReviewCount().data ?? 0;
  const [adding, setAdding] = useState<string | null>(null);
  const save = useAct(() => download('/api/v1/optouts/export', 'opt-outs.csv'));
  return (
    <Page title={t('nav.optouts')} sub={t('optouts.sub')} acts={
      <>
        {sees && <Button variant="default" loading={save.busy} onClick={() => void save.act()} leftSection={<Icon name="download" size={17} />}>{t('campaign.export')}</Button>}
        {adds && <LinkButton variant="default" to="/opt-outs/import" leftSection={<Icon name="upload" size={17} />}>{t('optouts.file')}</LinkButton>}
        {adds && <Button variant="default" onClick={() => setAdding('')} leftSection={<Icon name="plus" size={18} />}>{t('optouts.add')}</Button>}
        {save.error !== null && <div style={{ flexBasis: '100%' }}><ProblemNotice error={save.error} /></div>}
      </>
    }>
      {!sees ? <Notice tone="warn"><p>{t('doubt.notYours')}</p></Notice> : (
        <>
          {waiting > 0 && <div style={{ marginBlockEnd: 16 }}><Notice tone="warn"><p>{t('reviews.wait', { count: waiting })} <Link to="/reviews">{t('nav.reviews')}</Link></p></Notice></div>}
          <Search add={adds ? setAdding : null} />
          <Everybody />
        </>
      )}
      {adding !== null && <Add person={adding} close={() => setAdding(null)} />}
    </Page>
  );
}

function Search({ add }: { add: ((person: string) => void) | null }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const audits = useMay('audit');
  const evidence = (about: string) => audits && (
    <p style={{ marginBlockStart: 8 }}><Button size="xs" variant="default" leftSection={<Icon name="search" size={15} />} onClick={() => { askAbout(about); void navigate({ to: '/person' }); }}>{t('lifts.evidence')}</Button></p>
  );
  const source = useStopSource();
  const scope = useScope();
  const forbidden = useForbidden();
  const [person, setPerson] = useState('');
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const look = useAct(async () => {
    setVerdict(null);
    setVerdict(await answer(api.POST('/api/v1/optouts/check', { body: { person: person.trim() } })));
  });
  const search = (event: FormEvent) => {
    event.preventDefault();
    void look.act();
  };
  return (
    <Card title={t('optouts.lookUp')}>
      <form onSubmit={search} role="search" style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
        <TextInput data-search label={t('optouts.person')} description={t('optouts.anyForm')} value={person} onChange={(event) => { setPerson(event.currentTarget.value); setVerdict(null); }} inputMode="tel" autoComplete="off"
          styles={{ input: { direction: 'ltr' } }} style={{ flex: '1 1 260px', maxInlineSize: 420 }} leftSection={<Icon name="search" size={17} />} />
        <Button type="submit" loading={look.busy} disabled={person.trim() === ''}>{t('optouts.check')}</Button>
      </form>
      <div style={{ marginBlockStart: look.error || verdict ? 14 : 0 }} aria-live="polite">
        <ProblemNotice error={look.error} />
        {verdict && (verdict.suppressed ? (
          <Notice tone="bad">
            <p className="strong" style={{ fontSize: '1.0625rem' }}>{forbidden(verdict.scope)}</p>
            <p><span className="strong"><Phone number={verdict.phone} /></span></p>
            <dl className="pairs small" style={{ marginBlockStart: 8 }}>
              <dt>{t('optouts.since')}</dt><dd><Time at={verdict.since} withSeconds /></dd>
              <dt>{t('optouts.source')}</dt><dd>{source(verdict.source)}</dd>
              <dt>{t('optouts.scope')}</dt><dd>{scope(verdict.scope)}</dd>
              {verdict.evidence_id != null && <><dt>{t('optouts.evidence')}</dt><dd>{t('optouts.entry')} <Ident>{verdict.evidence_id}</Ident></dd></>}
            </dl>
            {evidence(verdict.phone)}
          </Notice>
        ) : (
          <Notice tone="good">
            <p className="strong" style={{ fontSize: '1.0625rem' }}>{t('optouts.may')}</p>
            <p><span className="strong"><Phone number={verdict.phone} /></span> · {t('optouts.notOnList')}</p>
            {add && <p style={{ marginBlockStart: 8 }}><Button size="xs" variant="default" onClick={() => add(verdict.phone)}>{t('optouts.addThis')}</Button></p>}
            {evidence(verdict.phone)}
          </Notice>
        ))}
      </div>
    </Card>
  );
}

function Everybody() {
  const { t } = useTranslation();
  const source = useStopSource();
  const scope = useScope();
  const campaigns = new Map((useCampaigns(50).data ?? []).map(({ id, name }) => [id, name]));
  const [days, setDays] = useState<keyof typeof DAYS>('all');
  const since = days === 'all' ? null : (() => {
    const now = new Date();
    return new Date(now.getFullYear(), now.getMonth(), now.getDate() - DAYS[days]).toISOString();
  })();
  const pages = useInfiniteQuery({
    queryKey: ['optouts', 'pages', since],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/optouts', { params: { query: { limit: 500, ...(since && { since }), ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 10_000,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <div style={{ marginBlockStart: 16 }}>
      <Awaited asked={pages}>{() => (
        <Card flush title={<>{t('optouts.list')} {rows.length > 0 && <span className="dim small">{format.number(rows.length)}{pages.hasNextPage ? '+' : ''}</span>}</>} aside={
          <SegmentedControl size="xs" value={days} onChange={(value) => setDays(value as keyof typeof DAYS)} aria-label={t('optouts.since')} data={Object.keys(DAYS).map((value) => ({ value, label: t(`optouts.days.${value}`) }))} />
        }>
          {rows.length === 0 ? <Empty icon="stop" title={t(days === 'all' ? 'optouts.none' : 'optouts.noneSince')}>{days === 'all' ? t('optouts.noneWhat') : undefined}</Empty> : (
            <LongTable label={t('optouts.list')} rows={rows} keyOf={({ id }) => id}
              heads={<><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('optouts.since')}</Table.Th><Table.Th>{t('optouts.source')}</Table.Th><Table.Th>{t('optouts.scope')}</Table.Th><Table.Th>{t('optouts.through')}</Table.Th><Table.Th className="num">{t('optouts.evidence')}</Table.Th></>}
              cells={(row) => (
                <>
                  <Table.Td><Phone number={row.phone} /></Table.Td>
                  <Table.Td className="small"><Time at={row.since} /></Table.Td>
                  <Table.Td className="small">{source(row.source)}</Table.Td>
                  <Table.Td className="small">{row.scopes?.map(scope).join(' · ') ?? scope(row.scope)}</Table.Td>
                  <Table.Td className="small">{row.campaign_id == null ? <span className="dim">—</span> : <Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(row.campaign_id) }}><Name>{campaigns.get(row.campaign_id) ?? String(row.campaign_id)}</Name></Link>}</Table.Td>
                  <Table.Td className="num">{row.evidence_id == null ? '—' : <Ident>{row.evidence_id}</Ident>}</Table.Td>
                </>
              )}
              more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
          )}
        </Card>
      )}</Awaited>
    </div>
  );
}

function Add({ person: given, close }: { person: string; close: () => void }) {
  const { t } = useTranslation();
  const [person, setPerson] = useState(given);
  const [reason, setReason] = useState('');
  const usual = useUsualScope();
  const [scope, setScope] = useState<string | null>(null);
  const add = useAct(async () => {
    await answer(api.POST('/api/v1/optouts', { body: { person: person.trim(), reason: reason.trim(), scope: scope ?? usual } }));
    said(t('optouts.added'));
  }, close);
  return (
    <Modal opened onClose={close} title={t('optouts.addTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void add.act(); }}>
        <Stack gap="md">
          <TextInput label={t('optouts.person')} description={t('optouts.anyForm')} required value={person} onChange={(event) => setPerson(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} inputMode="tel" autoComplete="off" />
          <TextInput label={t('reason.label')} description={t('reason.ledger')} required value={reason} maxLength={200} onChange={(event) => setReason(event.currentTarget.value)} />
          <ScopeChoice value={scope ?? usual} change={setScope} />
          <p className="small dim" style={{ margin: 0 }}>{t('optouts.addWhat')}</p>
          <ProblemNotice error={add.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={add.busy} disabled={person.trim() === '' || reason.trim() === ''}>{t('optouts.add')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
