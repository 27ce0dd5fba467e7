// Every campaign, newest first.
import { Button, SegmentedControl, Table, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { doneShare } from '../progress.ts';
import { LIVE, useMay } from '../queries.ts';
import { Icon } from '../ui/icons.tsx';
import { AsOf, Awaited, Card, Empty, Meter, Name, Num, Page, Scroll, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { CampaignState } from '../ui/words.tsx';

const FILTERS = { all: null, open: ['running', 'paused', 'scheduled'], draft: ['draft'], ended: ['finished', 'cancelled'] } as const;

export function Campaigns() {
  const { t } = useTranslation();
  const format = useFormat();
  const drafts = useMay('draft_campaigns');
  const [filter, setFilter] = useState<keyof typeof FILTERS>('all');
  const [search, setSearch] = useState('');
  const pages = useInfiniteQuery({
    queryKey: ['campaigns', 'pages'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/campaigns', { params: { query: { limit: 50, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: LIVE,
  });
  const make = drafts ? <LinkButton to="/campaigns/new" leftSection={<Icon name="plus" size={18} />}>{t('campaigns.new')}</LinkButton> : undefined;
  return (
    <Page title={t('nav.campaigns')} acts={<><AsOf at={pages.dataUpdatedAt} /><LinkButton variant="default" to="/campaigns/compare" leftSection={<Icon name="sliders" size={17} />}>{t('compare.act')}</LinkButton>{make}</>}>
      <Awaited asked={pages}>{(data) => {
        const all = data.pages.flatMap(({ items }) => items);
        if (all.length === 0) return <Card><Empty icon="send" title={t('campaigns.none')} act={make}>{t('campaigns.noneWhat')}</Empty></Card>;
        const states: readonly string[] | null = FILTERS[filter];
        const wanted = search.trim().toLowerCase();
        const shown = all.filter(({ state, name, template }) => (states === null || states.includes(state)) && (wanted === '' || name.toLowerCase().includes(wanted) || template.includes(wanted)));
        return (
          <>
            <div style={{ display: 'flex', flexWrap: 'wrap', gap: 10, marginBlockEnd: 12 }}>
              <SegmentedControl size="sm" value={filter} onChange={(value) => setFilter(value as keyof typeof FILTERS)} aria-label={t('campaigns.filter')}
                data={Object.keys(FILTERS).map((value) => ({ value, label: t(`campaigns.show.${value}`) }))} />
              <TextInput data-search aria-label={t('campaigns.search')} placeholder={t('campaigns.search')} value={search} onChange={(event) => setSearch(event.currentTarget.value)}
                leftSection={<Icon name="search" size={17} />} style={{ flex: '1 1 200px', maxInlineSize: 320 }} />
            </div>
            <Card flush>
              <Scroll label={t('nav.campaigns')}>
                <Table highlightOnHover>
                  <Table.Caption>{t('nav.campaigns')}</Table.Caption>
                  <Table.Thead><Table.Tr>
                    <Table.Th>{t('campaigns.name')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th style={{ minInlineSize: 120 }}>{t('campaigns.progress')}</Table.Th>
                    <Table.Th className="num">{t('campaigns.people')}</Table.Th><Table.Th className="num">{t('count.delivered')}</Table.Th><Table.Th className="num">{t('count.read')}</Table.Th><Table.Th className="num">{t('count.failed')}</Table.Th>
                    <Table.Th>{t('campaigns.when')}</Table.Th>
                  </Table.Tr></Table.Thead>
                  <Table.Tbody>
                    {shown.map((campaign) => {
                      const { counts, total } = campaign;
                      const reached = counts.delivered + counts.read;
                      return (
                        <Table.Tr key={campaign.id}>
                          <Table.Td style={{ minInlineSize: 160 }}>
                            <Link to="/campaigns/$campaign" params={{ campaign: String(campaign.id) }} className="plain"><Name>{campaign.name}</Name></Link>
                            <div className="tiny dim"><bdi dir="ltr">{campaign.template}</bdi> · {campaign.language}</div>
                          </Table.Td>
                          <Table.Td><CampaignState state={campaign.state} /></Table.Td>
                          <Table.Td>{total > 0 ? <Meter parts={[{ share: doneShare(campaign) }]} label={t('campaign.progress', { name: campaign.name })} /> : <span className="dim">—</span>}</Table.Td>
                          <Table.Td className="num">{total > 0 ? <Num>{total}</Num> : '—'}</Table.Td>
                          <Table.Td className="num">{total > 0 ? <><Num>{reached}</Num> <span className="tiny dim">{format.percent(reached / total)}</span></> : '—'}</Table.Td>
                          <Table.Td className="num">{total > 0 ? <Num>{counts.read}</Num> : '—'}</Table.Td>
                          <Table.Td className="num">{total > 0 ? <Num>{counts.failed}</Num> : '—'}</Table.Td>
                          <Table.Td className="small"><Time at={campaign.finished_at ?? campaign.started_at ?? campaign.start_at ?? campaign.created_at} /></Table.Td>
                        </Table.Tr>
                      );
                    })}
                  </Table.Tbody>
                </Table>
              </Scroll>
              {shown.length === 0 && <Empty icon="search" title={t('campaigns.noMatch')} />}
              {pages.hasNextPage && <div style={{ padding: 14, textAlign: 'center' }}><Button variant="default" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('act.more')}</Button></div>}
            </Card>
          </>
        );
      }}</Awaited>
    </Page>
  );
}
