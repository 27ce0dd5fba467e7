// Messages that may or may not have gone: held, never sent again, settled by a webhook or by a person with a reason.
import { Button, Group, Modal, Radio, Select, Stack, Table, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Doubt } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { LIVE, useCampaigns, useMay, useNumbers } from '../queries.ts';
import { said, useAct } from '../ui/act.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Name, Notice, Page, Phone, ProblemNotice, Time } from '../ui/parts.tsx';
import { LongTable } from '../ui/long.tsx';
import { Reason } from '../ui/words.tsx';

export function InDoubt() {
  const { t } = useTranslation();
  const format = useFormat();
  const navigate = useNavigate();
  const sees = useMay('look_at_persons');
  const operates = useMay('operate');
  const { campaign, number, older } = useSearch({ from: '/in-doubt' });
  const campaigns = useCampaigns(50).data ?? [];
  const numbers = useNumbers().data ?? [];
  const [settling, setSettling] = useState<Doubt | 'all' | null>(null);
  const query = { ...(campaign && { campaign }), ...(number && { number }), ...(older && { older_than: older }) };
  const pages = useInfiniteQuery({
    queryKey: ['doubt', 'pages', query],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/sends/in-doubt', { params: { query: { ...query, limit: 200, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: LIVE * 2,
    enabled: sees,
  });
  const filter = (part: Partial<Record<'campaign' | 'number' | 'older', string | null>>) => {
    const next = { campaign, number, older, ...part };
    void navigate({ to: '/in-doubt', search: Object.fromEntries(Object.entries(next).filter(([, value]) => value)) as typeof query, replace: true });
  };
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const filtered = campaign !== undefined || number !== undefined || older !== undefined;
  const count = `${format.number(rows.length)}${pages.hasNextPage ? '+' : ''}`;
  return (
    <Page title={t('nav.doubt')} sub={t('doubt.sub')} acts={<><AsOf at={pages.dataUpdatedAt} />{operates && rows.length > 0 && <Button onClick={() => setSettling('all')}>{t('doubt.settleAll', { n: count })}</Button>}</>}>
      {!sees ? <Notice tone="warn"><p>{t('doubt.notYours')}</p></Notice> : (
        <>
          <div style={{ display: 'flex', flexWrap: 'wrap', gap: 10, marginBlockEnd: 12 }}>
            <Select aria-label={t('doubt.campaign')} placeholder={t('doubt.anyCampaign')} clearable searchable value={campaign ?? null} onChange={(value) => filter({ campaign: value })} data={campaigns.map(({ id, name }) => ({ value: String(id), label: name }))} style={{ flex: '1 1 200px', maxInlineSize: 280 }} />
            <Select aria-label={t('doubt.number')} placeholder={t('doubt.anyNumber')} clearable value={number ?? null} onChange={(value) => filter({ number: value })} data={numbers.map((each) => ({ value: each.phone_number_id, label: each.verified_name }))} style={{ flex: '1 1 180px', maxInlineSize: 240 }} />
            <Select aria-label={t('doubt.age')} placeholder={t('doubt.anyAge')} clearable value={older ?? null} onChange={(value) => filter({ older: value })} data={['15m', '2h', '1d'].map((value) => ({ value, label: t(`doubt.older.${value}`) }))} style={{ flex: '1 1 160px', maxInlineSize: 220 }} />
          </div>
          <Awaited asked={pages}>{() => (
            <Card flush>
              {rows.length === 0 ? <Empty icon="check" title={t(filtered ? 'campaigns.noMatch' : 'doubt.none')}>{filtered ? undefined : t('doubt.noneWhat')}</Empty> : (
                <LongTable label={t('nav.doubt')} rows={rows} keyOf={({ id }) => id}
                  heads={<><Table.Th>{t('doubt.person')}</Table.Th><Table.Th>{t('doubt.campaign')}</Table.Th><Table.Th>{t('doubt.number')}</Table.Th><Table.Th>{t('doubt.since')}</Table.Th><Table.Th>{t('doubt.why')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></>}
                  cells={(row) => (
                    <>
                      <Table.Td><Phone number={row.phone} /></Table.Td>
                      <Table.Td><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(row.campaign_id) }}><Name>{row.campaign}</Name></Link></Table.Td>
                      <Table.Td className="small"><Name>{numbers.find((each) => each.phone_number_id === row.phone_number_id)?.verified_name ?? row.phone_number_id}</Name></Table.Td>
                      <Table.Td className="small"><Time at={row.since} withSeconds /></Table.Td>
                      <Table.Td className="small" style={{ maxInlineSize: 320 }}><Reason words={row.reason} /></Table.Td>
                      <Table.Td><div className="acts-cell">{operates && <Button size="xs" variant="default" onClick={() => setSettling(row)}>{t('doubt.settle')}</Button>}</div></Table.Td>
                    </>
                  )}
                  more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
              )}
            </Card>
          )}</Awaited>
        </>
      )}
      {settling !== null && <Settle what={settling} filter={query} filtered={filtered} shown={count} close={() => setSettling(null)} />}
    </Page>
  );
}

function Settle({ what, filter, filtered, shown, close }: {
  what: Doubt | 'all'; filter: { campaign?: string; number?: string; older_than?: string }; filtered: boolean; shown: string; close: () => void;
}) {
  const { t } = useTranslation();
  const [outcome, setOutcome] = useState<'sent' | 'not-sent' | null>(null);
  const [reason, setReason] = useState('');
  const settle = useAct(async () => {
    if (outcome === null) return;
    const words = reason.trim();
    if (what === 'all') {
      const { settled } = await answer(api.POST('/api/v1/sends/in-doubt/settle', { body: { as: outcome, reason: words, ...filter, yes: !filtered } }));
      said(t('doubt.settled', { count: settled }));
    } else {
      await answer(api.POST('/api/v1/sends/in-doubt/{send}/settle', { params: { path: { send: what.id } }, body: { as: outcome, reason: words } }));
      said(t('doubt.settled', { count: 1 }));
    }
  }, close);
  return (
    <Modal opened onClose={close} title={what === 'all' ? t('doubt.settleAllTitle', { n: shown }) : t('doubt.settleTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void settle.act(); }}>
        <Stack gap="md">
          {what !== 'all' && <div><Phone number={what.phone} /> · <Name>{what.campaign}</Name> <span className="dim small"><Ident>{what.id}</Ident></span></div>}
          {what === 'all' && <Notice tone="warn"><p>{t(filtered ? 'doubt.theseMatch' : 'doubt.theseAll')}</p></Notice>}
          <Radio.Group value={outcome ?? ''} onChange={(value) => setOutcome(value as 'sent' | 'not-sent')} label={t('doubt.became')} required>
            <div className="choice" style={{ marginBlockStart: 8 }}><Radio value="sent" label={t('doubt.sent')} description={t('doubt.sentWhat')} /></div>
            <div className="choice"><Radio value="not-sent" label={t('doubt.notSent')} description={t('doubt.notSentWhat')} /></div>
          </Radio.Group>
          <TextInput label={t('doubt.how')} description={t('reason.ledger')} required value={reason} maxLength={200} onChange={(event) => setReason(event.currentTarget.value)} />
          <ProblemNotice error={settle.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('doubt.leave')}</Button><Button type="submit" loading={settle.busy} disabled={outcome === null || reason.trim() === ''}>{t('doubt.settle')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
