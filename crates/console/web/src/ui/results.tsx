// What a campaign came to, as its report has it: answers and opt-outs, cost, hours, countries and buttons.
import { Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign, type CampaignReport, type Money } from '../api/client.ts';
import { countryName, useFormat } from '../format.ts';
import { AsOf, Awaited, Card, Fact, Name, Notice, Num, Scroll } from './parts.tsx';
import { Said } from './said.tsx';

/** A running campaign's sums move; of one that is over only late answers do. */
const RUNNING = 6_000;
const OVER = 60_000;
/** Sums that are being made are asked for again so soon. */
const SOON = 1_500;

export function useReport(campaign: Campaign) {
  const running = campaign.state === 'running' || campaign.state === 'paused';
  return useQuery({
    queryKey: ['report', campaign.id],
    queryFn: () => answer(api.GET('/api/v1/campaigns/{campaign}/report', { params: { path: { campaign: String(campaign.id) } } })),
    refetchInterval: ({ state }) => (state.data && !state.data.counted_at ? SOON : running ? RUNNING : OVER),
  });
}

/** Amounts in their currencies; nothing spent is nothing in the currency of the estimate. */
export function useMoney(): (amounts: Money[], currency?: string) => string {
  const format = useFormat();
  return (amounts, currency) => {
    const shown = amounts.length === 0 && currency ? [{ currency, total: 0 }] : amounts;
    return shown.length === 0 ? '—' : shown.map((money) => format.money(money.total, money.currency)).join(' + ');
  };
}

/** A count, and what share of which whole it is. */
export function Part({ of: part, whole }: { of: number; whole: number }) {
  const format = useFormat();
  return <><Num>{part}</Num> {whole > 0 && <span className="tiny dim">{format.percent(part / whole)}</span>}</>;
}

export function Results({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const report = useReport(campaign);
  return (
    <Awaited asked={report} rows={6}>{(data) => (data.counted_at
      ? <Shown report={data} />
      : <Notice><p className="strong">{t('report.counting')}</p><p>{t('report.countingWhat')}</p></Notice>)}</Awaited>
  );
}

function Shown({ report }: { report: CampaignReport }) {
  const { t } = useTranslation();
  const format = useFormat();
  const money = useMoney();
  const { funnel, cost } = report;
  const share = (part: number) => (funnel.delivered > 0 ? t('report.ofDelivered', { share: format.percent(part / funnel.delivered) }) : undefined);
  return (
    <div className="stack" data-report={report.counted_at}>
      <Card title={t('report.title')} aside={<AsOf at={Date.parse(report.counted_at ?? '')} />}>
        <div className="facts" style={{ marginBlockEnd: 0 }}>
          <Fact label={t('report.delivered')} value={<Num>{funnel.delivered}</Num>} note={funnel.accepted > 0 ? t('report.ofAccepted', { share: format.percent(funnel.delivered / funnel.accepted) }) : undefined} />
          <Fact label={t('report.read')} value={<Num>{funnel.read}</Num>} note={share(funnel.read)} />
          <Fact label={t('report.replied')} value={<Num>{funnel.replied}</Num>} note={share(funnel.replied)} />
          <Fact label={t('report.optedOut')} value={<Num>{funnel.opted_out}</Num>} note={share(funnel.opted_out)} />
          <Fact label={t('report.cost')} value={<bdi>{money(cost.actual, cost.estimated?.currency)}</bdi>} note={cost.estimated ? <bdi>{t('report.estimated', { cost: format.money(cost.estimated.total, cost.estimated.currency) })}</bdi> : t('report.noEstimate')} />
        </div>
      </Card>
      <Cost report={report} />
      <Hours report={report} />
      <div className="columns even">
        <Bars title={t('report.byCountry')} none={t('report.noCountry')} first={t('report.country')} more={[t('report.delivered'), t('report.read'), t('report.failed')]}
          rows={report.by_country.map((each) => ({
            key: each.country ?? '', label: each.country ? countryName(each.country) : t('report.elsewhere'), count: each.people,
            more: [<Part key="d" of={each.delivered} whole={each.people} />, <Part key="r" of={each.read} whole={each.delivered} />, <Part key="f" of={each.failed} whole={each.people} />],
          }))} />
        <Bars title={t('report.byButton')} none={t('report.noButton')} first={t('report.button')} count={t('report.tappedBy')} more={[t('report.taps')]}
          rows={report.by_button.map((each, place) => ({ key: `${place}`, label: <><Name>{each.label}</Name>{each.stops && <span className="tiny dim"> · {t('report.stops')}</span>}</>, count: each.people, more: [<Num key="t">{each.taps}</Num>] }))} />
      </div>
      {report.failures.length > 0 && <Failures report={report} />}
    </div>
  );
}

/** By market and category: what Meta said of each message, times the card's price of that day. */
function Cost({ report }: { report: CampaignReport }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { cost } = report;
  const markets = cost.estimated?.by_market ?? [];
  return (
    <Card title={t('report.costTitle')}>
      {cost.rows.length === 0 && markets.length === 0 ? <p className="dim" style={{ margin: 0 }}>{t('report.noCost')}</p> : (
        <div className="columns even">
          <Scroll label={t('report.actually')}>
            <Table>
              <Table.Caption>{t('report.actually')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th>{t('preflight.market')}</Table.Th><Table.Th>{t('rateCard.category')}</Table.Th><Table.Th className="num">{t('report.delivered')}</Table.Th><Table.Th className="num">{t('preflight.sum')}</Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>{cost.rows.map((row) => (
                <Table.Tr key={`${row.market} ${row.category} ${row.billable} ${row.currency}`}>
                  <Table.Th scope="row"><Said>{row.market}</Said></Table.Th>
                  <Table.Td>{t(`billedAs.${row.category}`)}{!row.billable && <span className="tiny dim"> · {t('report.free')}</span>}</Table.Td>
                  <Table.Td className="num"><Num>{row.messages}</Num></Table.Td>
                  <Table.Td className="num">{row.cost == null ? t('report.unpriced') : format.money(row.cost, row.currency)}</Table.Td>
                </Table.Tr>
              ))}</Table.Tbody>
            </Table>
          </Scroll>
          {cost.estimated && markets.length > 0 && (
            <Scroll label={t('report.wasEstimated')}>
              <Table>
                <Table.Caption>{t('report.wasEstimated')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('preflight.market')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th><Table.Th className="num">{t('preflight.sum')}</Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>{markets.map((market) => (
                  <Table.Tr key={market.market}><Table.Th scope="row"><Said>{market.market}</Said></Table.Th><Table.Td className="num"><Num>{market.recipients}</Num></Table.Td>
                    <Table.Td className="num">{market.total == null ? t('report.unpriced') : format.money(market.total, cost.estimated?.currency ?? 'USD')}</Table.Td></Table.Tr>
                ))}</Table.Tbody>
              </Table>
            </Scroll>
          )}
        </div>
      )}
      <p className="tiny dim" style={{ marginBlockEnd: 0 }}>{t('report.costWhat')} {cost.unsaid > 0 && t('report.unsaid', { count: cost.unsaid })} {cost.unpriced > 0 && t('report.unpricedWhat', { count: cost.unpriced })}</p>
    </Card>
  );
}

const SERIES = ['accepted', 'delivered', 'read'] as const;

/** Hour by hour, as a chart and the same in figures. */
function Hours({ report }: { report: CampaignReport }) {
  const { t } = useTranslation();
  const format = useFormat();
  const hours = report.by_hour;
  if (hours.length === 0) return null;
  /** The hours are wall clock times of the campaign's zone already: no zone may move them again. */
  const when = (hour: string, options?: Intl.DateTimeFormatOptions) => format.time(`${hour}:00Z`, { dateStyle: 'short', timeStyle: 'short', timeZone: 'UTC', ...options });
  const most = Math.max(1, ...hours.flatMap((hour) => SERIES.map((series) => hour[series])));
  const busiest = hours.reduce((best, hour) => (hour.read > best.read ? hour : best));
  const drawn = hours.slice(0, 72);
  return (
    <Card title={t('report.byHour')} aside={<span className="small dim"><bdi dir="ltr">{report.timezone}</bdi></span>}>
      <div className="columns even">
        <div>
          <div className="hours" role="img" aria-label={t('report.hoursChart', { count: hours.length, hour: when(busiest.hour), read: format.number(busiest.read) })}>
            {drawn.map((hour) => (
              <span key={hour.hour} className="hour">{SERIES.map((series) => <i key={series} className={series} style={{ blockSize: `${(hour[series] / most) * 100}%` }} />)}</span>
            ))}
          </div>
          <p className="tiny dim legend" style={{ marginBlockEnd: 0 }}>{SERIES.map((series) => <span key={series}><i className={series} aria-hidden="true" />{t(`report.${series}`)}</span>)}{hours.length > drawn.length && <span>{t('report.firstHours', { count: drawn.length })}</span>}</p>
        </div>
        <div className="tall">
          <Scroll label={t('report.byHour')}>
            <Table verticalSpacing={4}>
              <Table.Caption>{t('report.byHour')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th>{t('report.hour')}</Table.Th>{SERIES.map((series) => <Table.Th key={series} className="num">{t(`report.${series}`)}</Table.Th>)}</Table.Tr></Table.Thead>
              <Table.Tbody>{hours.map((hour) => <Table.Tr key={hour.hour}><Table.Th scope="row" className="nowrap">{when(hour.hour)}</Table.Th>{SERIES.map((series) => <Table.Td key={series} className="num"><Num>{hour[series]}</Num></Table.Td>)}</Table.Tr>)}</Table.Tbody>
            </Table>
          </Scroll>
        </div>
      </div>
    </Card>
  );
}

interface Bar { key: string; label: ReactNode; count: number; more: ReactNode[] }

/** Counts as bars in the rows of their table. */
function Bars({ title, none, first, count, more, rows }: { title: string; none: string; first: string; count?: string; more: string[]; rows: Bar[] }) {
  const { t } = useTranslation();
  const most = Math.max(1, ...rows.map((row) => row.count));
  return (
    <Card title={title}>
      {rows.length === 0 ? <p className="dim" style={{ margin: 0 }}>{none}</p> : (
        <Scroll label={title}>
          <Table verticalSpacing={6} className="funnel bars">
            <Table.Caption>{title}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{first}</Table.Th><Table.Td aria-hidden="true" /><Table.Th className="num">{count ?? t('campaigns.people')}</Table.Th>{more.map((each) => <Table.Th key={each} className="num">{each}</Table.Th>)}</Table.Tr></Table.Thead>
            <Table.Tbody>{rows.map((row) => (
              <Table.Tr key={row.key}>
                <Table.Th scope="row">{row.label}</Table.Th>
                <Table.Td className="bar" aria-hidden="true"><div className="track"><div className="fill" style={{ inlineSize: `${(row.count / most) * 100}%`, display: row.count === 0 ? 'none' : undefined }} /></div></Table.Td>
                <Table.Td className="num"><Num>{row.count}</Num></Table.Td>
                {row.more.map((each, place) => <Table.Td key={more[place]} className="num nowrap">{each}</Table.Td>)}
              </Table.Tr>
            ))}</Table.Tbody>
          </Table>
        </Scroll>
      )}
    </Card>
  );
}

/** What failed: what it means and what to do about it. */
function Failures({ report }: { report: CampaignReport }) {
  const { t } = useTranslation();
  return (
    <Card title={t('report.failures')}>
      <Table>
        <Table.Caption>{t('report.failures')}</Table.Caption>
        <Table.Thead><Table.Tr><Table.Th>{t('report.code')}</Table.Th><Table.Th>{t('report.advice')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>{report.failures.map((failure) => (
          <Table.Tr key={failure.code}><Table.Th scope="row"><bdi dir="ltr" className="mono">{failure.code}</bdi></Table.Th><Table.Td><Said>{failure.advice}</Said></Table.Td><Table.Td className="num"><Num>{failure.messages}</Num></Table.Td></Table.Tr>
        ))}</Table.Tbody>
      </Table>
    </Card>
  );
}
