// Campaigns side by side: one column for each, the same rates in the same rows.
// Only this page has a field of several values.
import '@mantine/core/styles/Pill.css';
import '@mantine/core/styles/PillsInput.css';
import { Button, MultiSelect, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Compared } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useCampaigns } from '../queries.ts';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Empty, Name, Notice, Num, Page, Scroll, Time } from '../ui/parts.tsx';
import { Part, useMoney } from '../ui/results.tsx';
import { CampaignState } from '../ui/words.tsx';

/** As the server takes. */
const FEWEST = 2;
const MOST = 6;

export function Compare() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { campaigns: named = '' } = useSearch({ from: '/campaigns/compare' });
  const chosen = named.split(',').filter((id) => /^\d+$/.test(id)).slice(0, MOST);
  const campaigns = useCampaigns(200);
  const begun = (campaigns.data ?? []).filter(({ total }) => total > 0);
  const choose = (ids: string[]) => void navigate({ to: '/campaigns/compare', search: ids.length === 0 ? {} : { campaigns: ids.join(',') }, replace: true });
  const compared = useQuery({
    queryKey: ['compare', chosen.join(',')],
    queryFn: async () => (await answer(api.GET('/api/v1/campaigns/compare', { params: { query: { campaigns: chosen.join(',') } } }))).campaigns,
    enabled: chosen.length >= FEWEST,
    refetchInterval: ({ state }) => (state.data?.some(({ counted_at }) => !counted_at) ? 1_500 : 15_000),
  });
  // One that is not on the first pages of the list is named by its id until it is known.
  const options = [...begun.map(({ id, name }) => ({ value: String(id), label: name })), ...chosen.filter((id) => !begun.some((each) => String(each.id) === id)).map((id) => ({ value: id, label: compared.data?.find((each) => String(each.id) === id)?.name ?? `#${id}` }))];
  return (
    <Page title={t('compare.title')} sub={t('compare.sub')}>
      <div className="stack">
        <MultiSelect label={t('compare.which')} description={t('compare.howMany', { most: MOST })} data={options} value={chosen} onChange={choose} maxValues={MOST} searchable hidePickedOptions clearable
          clearButtonProps={{ 'aria-label': t('compare.clear') }} nothingFoundMessage={t('campaigns.noMatch')} placeholder={chosen.length === 0 ? t('compare.pick') : undefined} />
        {chosen.length < FEWEST
          ? <Card><Empty icon="sliders" title={t('compare.none')} act={chosen.length === 0 && begun.length >= FEWEST ? <Button variant="default" leftSection={<Icon name="sliders" size={17} />} onClick={() => choose(begun.slice(0, FEWEST).map(({ id }) => String(id)))}>{t('compare.lastTwo')}</Button> : undefined}>{t('compare.noneWhat')}</Empty></Card>
          : <Awaited asked={compared} rows={8}>{(data) => <Side campaigns={data} />}</Awaited>}
      </div>
    </Page>
  );
}

function Side({ campaigns }: { campaigns: Compared[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const money = useMoney();
  const counting = campaigns.filter(({ counted_at }) => !counted_at);
  const rows: [string, (campaign: Compared) => ReactNode][] = [
    ['state', ({ state }) => <CampaignState state={state} />],
    ['planned', ({ funnel }) => <Num>{funnel.planned}</Num>],
    ['accepted', ({ funnel }) => <Part of={funnel.accepted} whole={funnel.planned} />],
    ['delivered', ({ funnel }) => <Part of={funnel.delivered} whole={funnel.accepted} />],
    ['read', ({ funnel }) => <Part of={funnel.read} whole={funnel.delivered} />],
    ['replied', ({ funnel }) => <Part of={funnel.replied} whole={funnel.delivered} />],
    ['optedOut', ({ funnel }) => <Part of={funnel.opted_out} whole={funnel.delivered} />],
    ['failed', ({ funnel }) => <Part of={funnel.failed} whole={funnel.planned} />],
    ['estimate', ({ estimated }) => <bdi>{estimated ? money([estimated]) : '—'}</bdi>],
    ['cost', ({ actual, estimated }) => <bdi>{money(actual, estimated?.currency)}</bdi>],
    ['perDelivered', ({ per_delivered: per }) => <bdi>{per ? format.number(per.total, { style: 'currency', currency: per.currency, currencyDisplay: 'code', minimumFractionDigits: 4, maximumFractionDigits: 4 }) : '—'}</bdi>],
    ['asOf', ({ counted_at }) => <Time at={counted_at} />],
  ];
  return (
    <>
      {counting.length > 0 && <Notice live><p>{t('compare.counting', { count: counting.length })}</p></Notice>}
      <Card flush>
        <Scroll label={t('compare.title')}>
          <Table data-compared={campaigns.length}>
            <Table.Caption>{t('compare.title')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('compare.what')}</Table.Th>{campaigns.map(({ id, name }) => <Table.Th key={id} className="num" scope="col"><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(id) }}><Name>{name}</Name></Link></Table.Th>)}</Table.Tr></Table.Thead>
            <Table.Tbody>{rows.map(([row, cell]) => (
              <Table.Tr key={row}><Table.Th scope="row">{t(`compare.row.${row}`)}</Table.Th>{campaigns.map((campaign) => <Table.Td key={campaign.id} className="num nowrap">{campaign.counted_at || row === 'state' ? cell(campaign) : '—'}</Table.Td>)}</Table.Tr>
            ))}</Table.Tbody>
          </Table>
        </Scroll>
      </Card>
      <p className="tiny dim">{t('compare.shares')}</p>
    </>
  );
}
