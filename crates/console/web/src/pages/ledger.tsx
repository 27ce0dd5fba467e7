// The record of consent: every entry chained to the one before it, checked here or without Hudhud from an export.
import { Button, Group, Table } from '@mantine/core';
import { type InfiniteData, useInfiniteQuery, type UseInfiniteQueryResult, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { type AfterStop, answer, api, type Disclosure, download, type LedgerCheck } from '../api/client.ts';
import { format, useFormat } from '../format.ts';
import { useMay } from '../queries.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Fact, Ident, Name, Notice, Num, Page, Phone, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';

export function Ledger() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  return (
    <Page title={t('ledger.title')} sub={t('ledger.what')}>
      {!audits ? <Notice tone="warn"><p>{t('ledger.notYours')}</p></Notice> : <div className="stack"><Check /><AfterStops /><Heads /><Copy /><Disclosed /></div>}
    </Page>
  );
}

function Check() {
  const { t } = useTranslation();
  useFormat();
  const [checked, setChecked] = useState<{ result: LedgerCheck; at: number; seconds: number } | null>(null);
  const verify = useAct(async () => {
    const begun = performance.now();
    const result = await answer(api.POST('/api/v1/ledger/verify'));
    setChecked({ result, at: Date.now(), seconds: (performance.now() - begun) / 1000 });
  });
  const result = checked?.result;
  return (
    <Card title={t('ledger.check')} aside={<Button loading={verify.busy} onClick={() => void verify.act()} leftSection={<Icon name="ledger" size={17} />}>{t('ledger.verify')}</Button>}>
      <p className="small dim" style={{ marginBlock: 0 }}>{t('ledger.checkWhat')}</p>
      {!result && <Known />}
      <div aria-live="polite" style={{ marginBlockStart: verify.error || result ? 14 : 0 }}>
        <ProblemNotice error={verify.error} />
        {result && (result.ok
          ? <Notice tone="good"><p className="strong">{t('ledger.whole', { count: result.entries })}</p></Notice>
          : <Notice tone="bad" live><p className="strong">{t('ledger.broken')} <Ident>{result.first_broken ?? '?'}</Ident></p><p>{t('ledger.brokenWhat', { count: result.entries })}</p></Notice>)}
        {checked && result && (
          <div className="facts" style={{ marginBlock: '14px 0' }}>
            <Fact label={t('ledger.entries')} value={<Num>{result.entries}</Num>} note={t('ledger.took', { at: format.clock(checked.at), span: format.number(checked.seconds, { maximumFractionDigits: 1 }) })} />
            <Fact label={t('ledger.evidence')} value={<Num>{result.evidence}</Num>} note={t('ledger.evidenceWhat')} />
            <Fact label={t('ledger.unsealed')} value={<Num>{result.unsealed}</Num>} note={t('ledger.unsealedWhat')} />
          </div>
        )}
        {result?.head && <p className="small" style={{ marginBlockEnd: 0 }}>{t('ledger.head')} <Ident>{result.head}</Ident></p>}
      </div>
    </Card>
  );
}

/** What the check of last night found: nobody need wait for a new one to see that. */
function Known() {
  const { t } = useTranslation();
  const state = useQuery({ queryKey: ['ledger', 'state'], queryFn: () => answer(api.GET('/api/v1/ledger')) }).data;
  if (!state) return null;
  const { checked_at: at, held } = state;
  return (
    <div style={{ marginBlockStart: 14 }}>
      {held == null || !at
        ? <Notice><p>{t('ledger.notChecked', { count: state.entries })}</p></Notice>
        : <Notice tone={held ? 'good' : 'bad'} live={!held}><p className="strong">{t(held ? 'ledger.held' : 'ledger.didNotHold')} <Time at={at} /></p><p className="small">{t('ledger.sealed', { count: state.entries })}</p></Notice>}
    </div>
  );
}

/** Whether anything left after its person had said stop: the promise itself, held against what Meta took. */
function AfterStops() {
  const { t } = useTranslation();
  const [report, setReport] = useState<AfterStop | null>(null);
  const look = useAct(async () => setReport(await answer(api.GET('/api/v1/ledger/sent-after-stop'))));
  return (
    <Card title={t('ledger.after.title')} aside={<Button variant="default" loading={look.busy} onClick={() => void look.act()} leftSection={<Icon name="stop" size={17} />}>{t('ledger.after.look')}</Button>}>
      <p className="small dim" style={{ marginBlock: 0 }}>{t('ledger.after.what')}</p>
      <div aria-live="polite" style={{ marginBlockStart: look.error || report ? 14 : 0 }}>
        <ProblemNotice error={look.error} />
        {report && (report.unexplained > 0
          ? <Notice tone="bad" live><p className="strong">{t('ledger.after.broken', { count: report.unexplained })}</p></Notice>
          : report.after_stop > 0
            ? <Notice tone="warn"><p className="strong">{t('ledger.after.explained', { count: report.after_stop })}</p></Notice>
            : <Notice tone="good"><p className="strong">{t('ledger.after.none', { count: report.campaigns })}</p></Notice>)}
        {report && report.messages.length > 0 && (
          <Scroll label={t('ledger.after.title')}>
            <Table mt="sm">
              <Table.Caption>{t('ledger.after.title')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('doubt.campaign')}</Table.Th><Table.Th>{t('ledger.after.stopped')}</Table.Th><Table.Th>{t('ledger.after.accepted')}</Table.Th><Table.Th className="num">{t('ledger.after.later')}</Table.Th><Table.Th>{t('campaign.why')}</Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>{report.messages.map((row, place) => (
                <Table.Tr key={place}>
                  <Table.Td><Phone number={row.phone} /></Table.Td>
                  <Table.Td><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(row.campaign_id) }}><Name>{row.campaign}</Name></Link></Table.Td>
                  <Table.Td className="small"><Time at={row.stopped_at} withSeconds /></Table.Td>
                  <Table.Td className="small"><Time at={row.accepted_at} withSeconds /></Table.Td>
                  <Table.Td className="num">{t('ledger.after.ms', { ms: row.ms })}</Table.Td>
                  <Table.Td className="small">{t(`person.why.${row.why}`, { defaultValue: row.why })}</Table.Td>
                </Table.Tr>
              ))}</Table.Tbody>
            </Table>
          </Scroll>
        )}
      </div>
    </Card>
  );
}

function Heads() {
  const { t } = useTranslation();
  const pages = useInfiniteQuery({
    queryKey: ['ledger', 'heads'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/ledger/heads', { params: { query: { limit: 30, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const sign = useAct(() => answer(api.POST('/api/v1/ledger/head')));
  return (
    <Card flush title={t('ledger.heads.all')} aside={<Button variant="default" loading={sign.busy} onClick={() => void sign.act()} leftSection={<Icon name="edit" size={17} />}>{t('ledger.sign')}</Button>}>
      <p className="small dim" style={{ margin: 0, padding: '0 var(--pad) 12px' }}>{t('ledger.signedWhat')} {t('ledger.heads.daily')}</p>
      <div style={{ paddingInline: 'var(--pad)' }}><ProblemNotice error={sign.error} /></div>
      <Rows pages={pages} title={t('ledger.heads.all')} none={t('ledger.heads.none')} heads={<><Table.Th>{t('ledger.signedAt')}</Table.Th><Table.Th className="num">{t('ledger.entries')}</Table.Th><Table.Th>{t('ledger.hash')}</Table.Th></>}
        row={(head) => (
        <Table.Tr key={head.entries}>
          <Table.Td className="small" style={{ verticalAlign: 'top' }}><Time at={head.signed_at} withSeconds /></Table.Td>
          <Table.Td className="num" style={{ verticalAlign: 'top' }}><Num>{head.entries}</Num></Table.Td>
          <Table.Td className="small" style={{ minInlineSize: 240 }}>
            <Ident>{head.hash}</Ident>
            <details><summary className="small dim">{t('ledger.signature')}</summary><dl className="pairs tiny"><dt>{t('ledger.signature')}</dt><dd><Ident>{head.signature}</Ident></dd><dt>{t('ledger.key')}</dt><dd><Ident>{head.public_key}</Ident></dd></dl></details>
          </Table.Td>
        </Table.Tr>
        )} />
    </Card>
  );
}

/** A table that is fetched page by page, and what stands there while it is empty. */
function Rows<T>({ pages, title, none, heads, row }: {
  pages: UseInfiniteQueryResult<InfiniteData<{ items: T[] }>>; title: string; none: string; heads: ReactNode; row: (row: T) => ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <Awaited asked={pages} rows={3}>{(data) => {
      const rows = data.pages.flatMap(({ items }) => items);
      if (rows.length === 0) return <p className="dim" style={{ margin: 0, padding: '0 var(--pad) 18px' }}>{none}</p>;
      return (
        <>
          <Scroll label={title}>
            <Table>
              <Table.Caption>{title}</Table.Caption>
              <Table.Thead><Table.Tr>{heads}</Table.Tr></Table.Thead>
              <Table.Tbody>{rows.map(row)}</Table.Tbody>
            </Table>
          </Scroll>
          {pages.hasNextPage && <p style={{ padding: 14, margin: 0 }}><Button variant="default" size="xs" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('act.more')}</Button></p>}
        </>
      );
    }}</Awaited>
  );
}

function Copy() {
  const { t } = useTranslation();
  const save = useAct(() => download('/api/v1/ledger/export', 'ledger.ndjson'));
  return (
    <Card title={t('ledger.export')} aside={<Button variant="default" loading={save.busy} onClick={() => void save.act()} leftSection={<Icon name="download" size={17} />}>{t('ledger.download')}</Button>}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('ledger.exportWhat')}</p>
      <Group><code className="cmd">hudhud ledger verify ledger.ndjson</code></Group>
      <ProblemNotice error={save.error} />
    </Card>
  );
}

/** Who looked at people's data, and who took some out. */
function Disclosed() {
  const { t } = useTranslation();
  const pages = useInfiniteQuery({
    queryKey: ['ledger', 'disclosures'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/ledger/disclosures', { params: { query: { newest: true, limit: 50, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
  });
  return (
    <Card flush title={t('ledger.disclosed.title')}>
      <p className="small dim" style={{ margin: 0, padding: '0 var(--pad) 12px' }}>{t('ledger.disclosed.what')}</p>
      <Rows pages={pages} title={t('ledger.disclosed.title')} none={t('ledger.disclosed.none')} heads={<><Table.Th>{t('audit.at')}</Table.Th><Table.Th>{t('ledger.disclosed.actor')}</Table.Th><Table.Th>{t('ledger.disclosed.did')}</Table.Th><Table.Th>{t('ledger.disclosed.about')}</Table.Th></>}
        row={(row) => (
        <Table.Tr key={row.id}>
          <Table.Td className="small"><Time at={row.at} withSeconds /></Table.Td>
          <Table.Td className="small"><Ident>{row.actor}</Ident></Table.Td>
          <Table.Td>{t(`ledger.disclosure.${row.what}`, { defaultValue: row.what })}</Table.Td>
          <Table.Td className="small dim"><About of={row} /></Table.Td>
        </Table.Tr>
        )} />
    </Card>
  );
}

/** The campaign or the person that a look was about; other detail stands as it is. */
function About({ of: { detail, contact_id } }: { of: Disclosure }) {
  const { t } = useTranslation();
  const campaign = /^campaign (\d+)$/.exec(detail)?.[1];
  if (campaign) return <Link to="/campaigns/$campaign" params={{ campaign }}>{t('doubt.campaign')} <Ident>{campaign}</Ident></Link>;
  if (detail !== '') return <bdi>{detail}</bdi>;
  return contact_id == null ? null : <>{t('ledger.disclosed.person', { id: contact_id })}</>;
}
