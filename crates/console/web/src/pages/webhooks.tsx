// What Meta has told us lately, as it came in; and in full what nobody could read, for whoever looks into it.
import { SegmentedControl, Table } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { answer, api, type WebhookEvent } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { LIVE, useMay } from '../queries.ts';
import type { IconName } from '../ui/icons.tsx';
import { LongTable } from '../ui/long.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Name, Notice, Page, State, Time, type Tone } from '../ui/parts.tsx';
import { Said } from '../ui/said.tsx';

const SIGNS: Record<string, [Tone, IconName]> = { waiting: ['accent', 'clock'], applied: ['good', 'check'], unread: ['bad', 'warning'] };

export function Webhooks() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const sees = useMay('look_at_persons');
  const { unread = false } = useSearch({ from: '/webhooks' });
  const pages = useInfiniteQuery({
    queryKey: ['webhooks', unread],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/webhooks', { params: { query: { limit: 100, unread, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: LIVE * 2,
    enabled: sees,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const last = unread ? null : rows[0];
  return (
    <Page title={t('nav.webhooks')} sub={t('webhooks.sub')} acts={<AsOf at={pages.dataUpdatedAt} />}>
      {!sees ? <Notice tone="warn"><p>{t('doubt.notYours')}</p></Notice> : (
        <>
          <div style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'center', justifyContent: 'space-between', marginBlockEnd: 12 }}>
            <SegmentedControl size="sm" value={unread ? 'unread' : 'all'} aria-label={t('webhooks.which')} onChange={(value) => void navigate({ to: '/webhooks', search: value === 'unread' ? { unread: true } : {}, replace: true })}
              data={[{ value: 'all', label: t('webhooks.all') }, { value: 'unread', label: t('webhooks.unread') }]} />
            {last && <span className="small dim">{t('webhooks.last')} <Ago at={last.received_at} /></span>}
          </div>
          <Awaited asked={pages}>{() => (
            <Card flush>
              {rows.length === 0 ? <Empty icon={unread ? 'check' : 'info'} title={t(unread ? 'webhooks.allRead' : 'webhooks.none')}>{t(unread ? 'webhooks.allReadWhat' : 'webhooks.noneWhat')}</Empty> : (
                <LongTable label={t('nav.webhooks')} rows={rows} keyOf={({ id }) => id}
                  heads={<><Table.Th>{t('webhooks.received')}</Table.Th><Table.Th>{t('templates.account')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th>{t('webhooks.took')}</Table.Th><Table.Th>{t('webhooks.body')}</Table.Th></>}
                  cells={(row) => <Event event={row} />}
                  more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
              )}
            </Card>
          )}</Awaited>
        </>
      )}
    </Page>
  );
}

function Ago({ at }: { at: string }) {
  return <>{useFormat().relative(at)}</>;
}

function Event({ event }: { event: WebhookEvent }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [tone, icon] = SIGNS[event.state] ?? ['calm', 'info'];
  const took = event.applied_at ? (Date.parse(event.applied_at) - Date.parse(event.received_at)) / 1000 : null;
  return (
    <>
      <Table.Td className="small nowrap"><Time at={event.received_at} withSeconds /></Table.Td>
      <Table.Td className="small"><Name>{event.account}</Name></Table.Td>
      <Table.Td><State tone={tone} icon={icon}>{t(`webhooks.state.${event.state}`, { defaultValue: event.state })}</State></Table.Td>
      <Table.Td className="small">{took === null ? '—' : took < 1 ? t('webhooks.atOnce') : format.span(took)}</Table.Td>
      <Table.Td className="small" style={{ minInlineSize: 220 }}>
        {event.error ? <Said>{event.error}</Said> : <span className="dim">{t(event.state === 'waiting' ? 'webhooks.keptYet' : 'webhooks.notKept')}</span>}
        {event.body && <details><summary>{t('webhooks.show')}</summary><pre className="raw" dir="ltr">{event.body}</pre></details>}
        <span className="skip"><Ident>{event.id}</Ident></span>
      </Table.Td>
    </>
  );
}
