// Messages that failed for good, by what Meta says of them: where a group is worth another try, a draft for it.
import { Button, Table } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useMay } from '../queries.ts';
import { Confirm, said } from '../ui/act.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Name, Num, Page, Scroll, Time } from '../ui/parts.tsx';
import { CampaignState, useFailureReason } from '../ui/words.tsx';

interface Group { code: string; people: number; campaigns: { campaign: Campaign; people: number }[] }

/** Failed messages of these campaigns, the largest group first. */
export function grouped(campaigns: Campaign[]): Group[] {
  const groups = new Map<string, Group>();
  for (const campaign of campaigns) {
    for (const [code, people] of Object.entries(campaign.failed_by_code)) {
      const group = groups.get(code) ?? { code, people: 0, campaigns: [] };
      group.people += people;
      group.campaigns.push({ campaign, people });
      groups.set(code, group);
    }
  }
  return [...groups.values()].sort((a, b) => b.people - a.people);
}

export function Failed() {
  const { t } = useTranslation();
  const format = useFormat();
  const pages = useInfiniteQuery({
    queryKey: ['campaigns', 'failed'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/campaigns', { params: { query: { limit: 200, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 10_000,
  });
  return (
    <Page title={t('nav.failed')} sub={t('failed.sub')} acts={<AsOf at={pages.dataUpdatedAt} />}>
      <Awaited asked={pages}>{(data) => {
        const campaigns = data.pages.flatMap(({ items }) => items);
        const groups = grouped(campaigns);
        return (
          <div className="stack">
            {groups.length === 0 && <Card><Empty icon="check" title={t('failed.none')}>{t('failed.noneWhat')}</Empty></Card>}
            {groups.map((group) => <One key={group.code} group={group} />)}
            {pages.hasNextPage && <div style={{ textAlign: 'center' }}><Button variant="default" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('failed.older', { n: format.number(campaigns.length) })}</Button></div>}
          </div>
        );
      }}</Awaited>
    </Page>
  );
}

function One({ group }: { group: Group }) {
  const { t } = useTranslation();
  const words = useFailureReason();
  const navigate = useNavigate();
  const drafts = useMay('draft_campaigns');
  const [retrying, setRetrying] = useState<Campaign | null>(null);
  const title = words(group.code);
  const people = retrying?.failed_by_code[group.code] ?? 0;
  return (
    <Card flush title={<>{title} <span className="tiny dim"><Ident>{group.code}</Ident></span></>} aside={<span className="strong">{t('failed.messages', { count: group.people })}</span>}>
      <Scroll label={title}>
        <Table verticalSpacing={6} className="evencols">
          <Table.Caption>{title}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th>{t('campaigns.name')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th className="num">{t('count.failed')}</Table.Th><Table.Th>{t('campaigns.when')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {group.campaigns.map(({ campaign, people }) => (
              <Table.Tr key={campaign.id}>
                <Table.Td><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(campaign.id) }}><Name>{campaign.name}</Name></Link></Table.Td>
                <Table.Td><CampaignState state={campaign.state} /></Table.Td>
                <Table.Td className="num"><Num>{people}</Num></Table.Td>
                <Table.Td className="small"><Time at={campaign.finished_at ?? campaign.started_at} /></Table.Td>
                <Table.Td>{drafts && <div className="acts-cell"><Button size="xs" variant="default" onClick={() => setRetrying(campaign)} aria-label={`${t('campaign.retry')}: ${campaign.name}`}>{t('campaign.retry')}</Button></div>}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Scroll>
      <Confirm opened={retrying !== null} close={() => setRetrying(null)} title={t('campaign.retryTitle')} yes={t('campaign.retryYes', { count: people })}
        does={async () => {
          const child = await answer(api.POST('/api/v1/campaigns/{campaign}/retry-failed', { params: { path: { campaign: String(retrying?.id) }, query: { code: group.code } } }));
          said(t('campaign.drafted'));
          await navigate({ to: '/campaigns/$campaign', params: { campaign: String(child.id) } });
        }}>
        <p style={{ margin: 0 }}>{t('campaign.retryWhat', { count: people })}</p>
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('failed.thisCode')} {t('campaign.retryNot')}</p>
      </Confirm>
    </Card>
  );
}
