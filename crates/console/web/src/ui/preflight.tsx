// The check before sending, and the launch: who would get the message, who would not and why, what it costs, when it
// ends, what stands against it. A launch sends exactly what was checked, or is refused.
import { Button, Checkbox, Group, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign, type Preflight } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { client, useMay, useNumbers } from '../queries.ts';
import { Confirm, said } from './act.tsx';
import { ApprovalCard, isApproval, useApprovedByAnother } from './approval.tsx';
import { useDatesWords } from './blackouts.tsx';
import { Icon } from './icons.tsx';
import { AsOf, Awaited, Card, Fact, Name, Notice, Num, Scroll, Time } from './parts.tsx';
import { RemedyFor } from './remedy.tsx';
import { Said } from './said.tsx';
import { NextRuns } from './terms.tsx';
import { TrialCard } from './trial.tsx';
import { useSkipReason } from './words.tsx';

/** Above this many people the number itself must be typed. */
const TYPED_ABOVE = 1_000;

export function CheckAndLaunch({ campaign, launched }: { campaign: Campaign; launched: () => void }) {
  const { t } = useTranslation();
  const drafts = useMay('draft_campaigns');
  const sees = useMay('preflight');
  const checked = useQuery({
    queryKey: ['preflight', campaign.id], enabled: sees,
    queryFn: () => answer(api.POST('/api/v1/campaigns/{campaign}/preflight', { params: { path: { campaign: String(campaign.id) } } })),
    staleTime: 30_000,
  });
  if (!sees) return <Notice><p>{t('approval.check')}</p></Notice>;
  return (
    <Awaited asked={checked} rows={6}>{(preflight) => (
      <>
        <Verdict campaign={campaign} preflight={preflight} at={checked.dataUpdatedAt} />
        <div className="stack" style={{ marginBlockEnd: 16 }}>
          {preflight.approval && <ApprovalCard campaign={campaign} approval={preflight.approval} eligible={preflight.eligible} blocked={preflight.blockers.some((words) => !isApproval(words))} />}
          {drafts && <TrialCard campaign={campaign} />}
        </div>
        {drafts ? (
          <>
            <Launch campaign={campaign} preflight={preflight} launched={launched} busy={checked.isFetching} again={() => void checked.refetch()} />
            <p className="tiny dim" style={{ marginBlockStart: 10 }}>{t('preflight.frozen')}</p>
          </>
        ) : (
          <Group justify="flex-end"><Button variant="default" onClick={() => void checked.refetch()} loading={checked.isFetching} leftSection={<Icon name="refresh" size={17} />}>{t('preflight.again')}</Button></Group>
        )}
      </>
    )}</Awaited>
  );
}

function Verdict({ campaign, preflight, at }: { campaign: Campaign; preflight: Preflight; at: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  const why = useSkipReason();
  const dates = useDatesWords();
  const numbers = useNumbers().data ?? [];
  /** A sentence of the server's with our numbers by their names, as everywhere else. */
  const named = (words: string) => numbers.reduce((said, { phone_number_id, verified_name }) => said.replaceAll(phone_number_id, verified_name || phone_number_id), words);
  const { eligible, excluded, estimated_cost: cost } = preflight;
  const reasons = Object.entries(excluded).sort((a, b) => b[1] - a[1]);
  const out = reasons.reduce((sum, [, people]) => sum + people, 0);
  return (
    <div className="stack">
      <div className="facts">
        <Fact label={t('preflight.eligible')} value={<Num>{eligible}</Num>} tone={eligible > 0 ? 'good' : 'bad'} />
        <Fact label={t('preflight.leftOut')} value={<Num>{out}</Num>} note={t('preflight.ofAudience', { count: eligible + out })} />
        <Fact label={t('preflight.cost')} value={format.money(cost.total, cost.currency)} note={t('preflight.estimate')} />
        <Fact label={t('preflight.finish')} value={preflight.estimated_finish ? format.time(preflight.estimated_finish, { dateStyle: undefined }) : '—'}
          note={preflight.estimated_finish ? format.time(preflight.estimated_finish, { timeStyle: undefined }) : undefined} />
      </div>
      {preflight.binding_limit && (
        <div style={{ marginBlockEnd: 16 }}><Notice><p><span className="strong">{t('preflight.limit')}</span> <Said>{named(preflight.binding_limit)}</Said></p>{campaign.quiet_hours && <p className="small dim">{t('preflight.quiet', { hours: `\u2066${campaign.quiet_hours.hours}\u2069` })}</p>}</Notice></div>
      )}
      {preflight.waits.length > 0 && (
        <div style={{ marginBlockEnd: 16 }}><Notice>
          <p className="strong">{t('preflight.waits')}</p>
          <ul style={{ margin: 0, paddingInlineStart: 18 }}>
            {preflight.waits.map(({ days, people, until }) => (
              <li key={`${days.country ?? ''} ${days.dates} ${days.name ?? ''}`}>{t('preflight.waitsFor', { count: people })} {days.name ? <Name>{days.name}</Name> : dates(days.dates)} <span className="dim">{days.name && <>({dates(days.dates)}) </>}· {t('preflight.waitsUntil')} <Time at={until} /></span></li>
            ))}
          </ul>
        </Notice></div>
      )}
      {preflight.blockers.filter((words) => !isApproval(words)).map((words) => <Notice key={words} tone="bad"><p className="strong">{t('preflight.blocks')}</p><p><Said>{words}</Said></p><RemedyFor words={words} /></Notice>)}
      <div className="columns even" style={{ marginBlockEnd: 16 }}>
        <Card title={t('preflight.who')} aside={<AsOf at={at} />}>
          <Table>
            <Table.Caption>{t('preflight.who')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('preflight.what')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              <Table.Tr><Table.Th scope="row">{t('preflight.get')}</Table.Th><Table.Td className="num"><Num>{eligible}</Num></Table.Td></Table.Tr>
              {reasons.map(([reason, people]) => <Table.Tr key={reason}><Table.Th scope="row">{why(reason)}</Table.Th><Table.Td className="num"><Num>{people}</Num></Table.Td></Table.Tr>)}
              <Table.Tr className="total"><Table.Th scope="row">{t('preflight.audience')}</Table.Th><Table.Td className="num"><Num>{eligible + out}</Num></Table.Td></Table.Tr>
            </Table.Tbody>
          </Table>
        </Card>
        <Card title={t('preflight.costByMarket')}>
          {cost.by_market.length === 0 ? <p className="dim">{t('preflight.noCost')}</p> : (
            <Scroll label={t('preflight.costByMarket')}>
              <Table>
                <Table.Caption>{t('preflight.costByMarket')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('preflight.market')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th><Table.Th className="num">{t('preflight.rate')}</Table.Th><Table.Th className="num">{t('preflight.sum')}</Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>
                  {cost.by_market.map((market) => (
                    <Table.Tr key={market.market}><Table.Th scope="row"><Said>{market.market}</Said></Table.Th><Table.Td className="num"><Num>{market.recipients}</Num></Table.Td>
                      <Table.Td className="num">{market.rate == null ? t('report.unpriced') : format.number(market.rate, { minimumFractionDigits: 4, maximumFractionDigits: 6 })}</Table.Td><Table.Td className="num">{market.total == null ? '—' : format.number(market.total, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}</Table.Td></Table.Tr>
                  ))}
                  <Table.Tr className="total"><Table.Th scope="row">{t('preflight.total')}</Table.Th><Table.Td className="num"><Num>{eligible}</Num></Table.Td><Table.Td /><Table.Td className="num">{format.money(cost.total, cost.currency)}</Table.Td></Table.Tr>
                </Table.Tbody>
              </Table>
            </Scroll>
          )}
          {cost.unpriced > 0 && <Notice tone="warn"><p>{t('preflight.unpriced', { count: cost.unpriced })}</p></Notice>}
          <p className="tiny dim">{t('preflight.invoice')} <Said>{cost.card}</Said></p>
        </Card>
      </div>
      {campaign.cron && <Card title={t('terms.recurs')}><NextRuns runs={preflight.next_runs} zone={campaign.timezone} /></Card>}
    </div>
  );
}

function Launch({ campaign, preflight, launched, busy, again }: {
  campaign: Campaign; preflight: Preflight; launched: () => void; busy: boolean; again: () => void;
}) {
  const { t } = useTranslation();
  const format = useFormat();
  const run = useMay('run_campaigns');
  const [read, setRead] = useState<string[]>([]);
  const [asking, setAsking] = useState(false);
  const { eligible, warnings, blockers } = preflight;
  const approved = useApprovedByAnother(preflight.approval);
  const blocked = blockers.length > 0 || !approved;
  const unread = warnings.filter((words) => !read.includes(words));
  const typed = eligible > TYPED_ABOVE;
  const recurs = campaign.cron != null;
  const later = recurs || (campaign.start_at != null && new Date(campaign.start_at).getTime() > Date.now());
  async function launch() {
    const order = { expect_recipients: eligible, yes: warnings.length > 0 };
    try {
      await answer(api.POST('/api/v1/campaigns/{campaign}/launch', { params: { path: { campaign: String(campaign.id) } }, body: order }));
    } catch (refused) {
      // What was checked is no longer what would be sent: the new verdict is shown behind the refusal.
      void client.invalidateQueries({ queryKey: ['preflight', campaign.id] });
      throw refused;
    }
    said(t(later ? 'launch.scheduled' : 'launch.began'));
    launched();
  }
  return (
    <>
      {warnings.map((words) => (
        <Notice key={words} tone="warn">
          <p><Said>{words}</Said></p>
          <RemedyFor words={words} />
          {!blocked && run && (
            <Checkbox mt={8} label={t('preflight.knows')} checked={read.includes(words)}
              onChange={(event) => setRead(event.currentTarget.checked ? [...read, words] : read.filter((each) => each !== words))} />
          )}
        </Notice>
      ))}
      <Group mt="lg" gap="sm" justify="flex-end">
        <Button variant="default" onClick={again} loading={busy} leftSection={<Icon name="refresh" size={17} />}>{t('preflight.again')}</Button>
        {run && <Button size="md" disabled={blocked || unread.length > 0 || busy} onClick={() => setAsking(true)} leftSection={<Icon name={later ? 'clock' : 'send'} size={18} />}>{t(later ? 'launch.schedule' : 'launch.launch')}</Button>}
      </Group>
      {!run && <p className="small dim">{t('launch.notYours')}</p>}
      {run && !approved && <p className="small dim" style={{ textAlign: 'end' }}>{t('approval.first')}</p>}
      {run && unread.length > 0 && !blocked && <p className="small dim" style={{ textAlign: 'end' }}>{t('launch.tick')}</p>}
      <Confirm opened={asking} close={() => setAsking(false)} does={launch}
        title={t(later ? 'launch.titleLater' : 'launch.title')} yes={t(later ? 'launch.schedule' : 'launch.yes', { count: eligible })} no={t('launch.no')}
        ask={typed ? { label: t('launch.type', { count: eligible }), hint: t('launch.typeHint', { digits: String(eligible) }) } : undefined}
        mustBe={typed ? String(eligible) : undefined}>
        <p style={{ margin: 0 }}>{t('launch.what', { count: eligible })} <Name>{campaign.name}</Name></p>
        {later && <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('launch.at')} <Time at={campaign.start_at ?? preflight.next_runs[0]?.at} /></p>}
        {recurs && <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('launch.again')}</p>}
        {!later && <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('launch.cost', { cost: format.money(preflight.estimated_cost.total, preflight.estimated_cost.currency) })}</p>}
      </Confirm>
    </>
  );
}
