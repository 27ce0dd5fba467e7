// What people wrote that may mean stop, for a person to read. Until somebody does, they get nothing more: in doubt, the
// reader of a message is right.
import { Button, Table } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Review } from '../api/client.ts';
import { useCampaigns, useMay } from '../queries.ts';
import { Confirm, said } from '../ui/act.tsx';
import { LongTable } from '../ui/long.tsx';
import { AsOf, Awaited, Card, Empty, Name, Notice, Page, Phone, State, Time } from '../ui/parts.tsx';

export function Reviews() {
  const { t } = useTranslation();
  const sees = useMay('read_messages');
  const stops = sees;
  const audits = sees;
  const campaigns = new Map((useCampaigns(50).data ?? []).map(({ id, name }) => [id, name]));
  const [ruling, setRuling] = useState<{ review: Review; as: 'confirm' | 'dismiss' } | null>(null);
  const pages = useInfiniteQuery({
    queryKey: ['reviews', 'pages'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/optouts/reviews', { params: { query: { limit: 200, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 5_000,
    enabled: sees,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Page title={t('nav.reviews')} sub={t('reviews.sub')} acts={<AsOf at={pages.dataUpdatedAt} />}>
      {!sees ? <Notice tone="warn"><p>{t('doubt.notYours')}</p></Notice> : (
        <Awaited asked={pages}>{() => (
          <Card flush>
            {rows.length === 0 ? <Empty icon="check" title={t('reviews.none')}>{t('reviews.noneWhat')}</Empty> : (
              <LongTable label={t('nav.reviews')} rows={rows} keyOf={({ id }) => id}
                heads={<><Table.Th>{t('reviews.said')}</Table.Th><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('reviews.asks')}</Table.Th><Table.Th>{t('optouts.source')}</Table.Th><Table.Th>{t('optouts.since')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></>}
                cells={(row) => (
                  <>
                    <Table.Td style={{ minInlineSize: 200, maxInlineSize: 420 }}><blockquote className="quote" dir="auto">{row.said}</blockquote>{row.campaign_id != null && <div className="tiny dim"><Link to="/campaigns/$campaign" params={{ campaign: String(row.campaign_id) }}><Name>{campaigns.get(row.campaign_id) ?? String(row.campaign_id)}</Name></Link></div>}</Table.Td>
                    <Table.Td><Phone number={row.person} /></Table.Td>
                    <Table.Td><State tone={row.asks === 'start' ? 'accent' : 'warn'} icon={row.asks === 'start' ? 'play' : 'doubt'}>{t(`reviews.means.${row.asks}`, { defaultValue: row.asks })}</State></Table.Td>
                    <Table.Td className="small">{t(`reviews.how.${row.source}`, { defaultValue: row.source })}</Table.Td>
                    <Table.Td className="small"><Time at={row.at} /></Table.Td>
                    <Table.Td><div className="acts-cell">
                      {stops && row.asks !== 'start' && <Button size="xs" onClick={() => setRuling({ review: row, as: 'confirm' })}>{t('reviews.confirm')}</Button>}
                      {audits && <Button size="xs" variant="default" onClick={() => setRuling({ review: row, as: 'dismiss' })}>{t(row.asks === 'start' ? 'reviews.settle' : 'reviews.dismiss')}</Button>}
                    </div></Table.Td>
                  </>
                )}
                more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
            )}
          </Card>
        )}</Awaited>
      )}
      <Confirm opened={ruling !== null} close={() => setRuling(null)} title={t(ruling?.as === 'confirm' ? 'reviews.confirmTitle' : 'reviews.dismissTitle')}
        yes={t(ruling?.as === 'confirm' ? 'reviews.confirm' : ruling?.review.asks === 'start' ? 'reviews.settle' : 'reviews.dismiss')} ask={{ label: t('reason.label'), hint: t('reason.ledger'), required: true }}
        does={async (reason) => {
          if (ruling === null) return;
          const path = { params: { path: { review: ruling.review.id } }, body: { reason } };
          if (ruling.as === 'confirm') await answer(api.POST('/api/v1/optouts/reviews/{review}/confirm', path));
          else await answer(api.POST('/api/v1/optouts/reviews/{review}/dismiss', path));
          said(t(ruling.as === 'confirm' ? 'optouts.added' : 'reviews.dismissed'));
        }}>
        {ruling && <blockquote className="quote" dir="auto">{ruling.review.said}</blockquote>}
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t(ruling?.as === 'confirm' ? 'reviews.confirmWhat' : ruling?.review.asks === 'start' ? 'reviews.startWhat' : 'reviews.dismissWhat')}</p>
      </Confirm>
    </Page>
  );
}
