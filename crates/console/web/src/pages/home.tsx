// What is sending, when it ends, what needs somebody.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { doneShare, finish, waiting } from '../progress.ts';
import { may, useAccounts, useAwaitingApproval, useCampaigns, useDoubtCount, useLists, useMay, useMe, useNumbers, useQueue, useTemplates } from '../queries.ts';
import { Icon } from '../ui/icons.tsx';
import { AsOf, Awaited, Card, Empty, Fact, Meter, Name, Notice, Num, Page, Phone, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { CampaignState, Reason } from '../ui/words.tsx';

export function Home() {
  const { t } = useTranslation();
  const me = useMe().data;
  const accounts = useAccounts();
  const lists = useLists();
  const campaigns = useCampaigns(20);
  const all = campaigns.data ?? [];
  const starting = accounts.data !== undefined && lists.data !== undefined && campaigns.data !== undefined
    && (accounts.data.length === 0 || lists.data.length === 0 || all.every(({ state }) => state === 'draft'));
  return (
    <Page title={t('home.title')} acts={
      <>
        <AsOf at={campaigns.dataUpdatedAt} />
        {may(me, 'draft_campaigns') && !starting && <LinkButton to="/campaigns/new" leftSection={<Icon name="plus" size={18} />}>{t('campaigns.new')}</LinkButton>}
      </>
    }>
      {starting && <Begin accounts={accounts.data?.length ?? 0} lists={lists.data?.length ?? 0} campaigns={all.length} />}
      {(accounts.data?.length ?? 0) > 0 && <Today campaigns={all} />}
      <Attention campaigns={all} />
      <Awaited asked={campaigns}>{(data) => <Running campaigns={data} starting={starting} />}</Awaited>
    </Page>
  );
}

/** The way from nothing to a first message, for whoever opens the console for the first time. */
function Begin({ accounts, lists, campaigns }: { accounts: number; lists: number; campaigns: number }) {
  const { t } = useTranslation();
  const me = useMe().data;
  const steps = [
    { key: 'account', done: accounts > 0, to: '/accounts', may: may(me, 'administer') },
    { key: 'people', done: lists > 0, to: '/lists/import', may: may(me, 'manage_lists') },
    { key: 'campaign', done: false, to: campaigns > 0 ? '/campaigns' : '/campaigns/new', may: may(me, 'draft_campaigns') },
  ] as const;
  const next = steps.findIndex(({ done }) => !done);
  return (
    <div style={{ marginBlockEnd: 16 }}>
      <Card title={t('begin.title')}>
        <ol className="begin">
          {steps.map(({ key, done, to, may }, place) => (
            <li key={key} aria-current={place === next ? 'step' : undefined}>
              <span className={done ? 'tick done' : 'tick'}>{done ? <Icon name="check" size={15} /> : <Num>{place + 1}</Num>}</span>
              <div className="about">
                <span className="strong">{t(`begin.${key}.title`)}</span>{done && <span className="dim"> · {t('begin.done')}</span>}
                <p className="small">{t(`begin.${key}.what`)}</p>
              </div>
              {!done && may && <LinkButton to={to} variant={place === next ? 'filled' : 'default'}>{t(`begin.${key}.act`)}</LinkButton>}
            </li>
          ))}
        </ol>
      </Card>
    </div>
  );
}

function midnight(): string {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate()).toISOString();
}

function Today({ campaigns }: { campaigns: Campaign[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe().data;
  const queue = useQueue().data ?? [];
  const sees = may(me, 'look_at_persons');
  const stopped = useQuery({
    queryKey: ['optouts', 'today'],
    queryFn: async () => (await answer(api.GET('/api/v1/optouts', { params: { query: { since: midnight(), limit: 1000 } } }))).items.length,
    enabled: sees,
    refetchInterval: 10_000,
  });
  const pace = queue.reduce((sum, row) => sum + row.pace, 0);
  const limit = queue.every((row) => row.rate != null) ? queue.reduce((sum, row) => sum + (row.rate ?? 0), 0) : null;
  const left = queue.reduce((sum, row) => sum + row.ready + row.delayed, 0);
  const running = campaigns.filter(({ state }) => state === 'running').length;
  return (
    <div className="facts">
      <Fact label={t('home.running')} value={<Num>{running}</Num>} />
      <Fact label={t('home.pace')} value={t('pace.perSecond', { pace: format.number(pace) })} note={limit === null ? t('pace.noLimit') : t('pace.ofLimit', { limit: format.number(limit) })} />
      <Fact label={t('home.waiting')} value={<Num>{left}</Num>} note={left > 0 && pace > 0 ? t('home.emptyIn', { span: format.span(left / pace) }) : undefined} />
      {sees && <Fact label={t('home.stopped')} value={stopped.data === undefined ? '…' : stopped.data >= 1000 ? `${format.number(999)}+` : format.number(stopped.data)} note={<Link to="/opt-outs">{t('home.seeStopped')}</Link>} />}
    </div>
  );
}

function Attention({ campaigns }: { campaigns: Campaign[] }) {
  const { t } = useTranslation();
  const accounts = useAccounts().data ?? [];
  const numbers = useNumbers(true).data ?? [];
  const queue = useQueue().data ?? [];
  const templates = useTemplates().data ?? [];
  const doubt = useDoubtCount().data ?? 0;
  const approves = useMay('approve_campaigns');
  const awaiting = useAwaitingApproval(approves).data ?? [];
  const shownAs = new Map(numbers.map((number) => [number.phone_number_id, number]));
  const used = new Set(campaigns.filter(({ state }) => state === 'running' || state === 'paused' || state === 'scheduled').map(({ template, language }) => `${template} ${language}`));
  const items: { key: string; tone: 'bad' | 'warn'; words: ReactNode; to: string }[] = [];
  for (const account of accounts) {
    if (account.stopped_reason) items.push({ key: `a${account.id}`, tone: 'bad', to: '/accounts', words: <>{t('attention.account')} <Name>{account.name}</Name>: <Reason words={account.stopped_reason} /></> });
  }
  for (const row of queue) {
    if (row.state !== 'outage' && row.state !== 'no-worker') continue;
    items.push({ key: `q${row.phone_number_id}`, tone: 'bad', to: '/queue', words: <><Phone number={shownAs.get(row.phone_number_id)?.display ?? row.phone_number_id} raw />: <Reason words={row.reason} /></> });
  }
  for (const number of numbers) {
    if (number.paused_reason) items.push({ key: `n${number.id}`, tone: 'warn', to: '/queue', words: <><Phone number={number.display} raw /> {t('attention.paused')}: <Reason words={number.paused_reason} /></> });
    if (number.quality === 'RED') items.push({ key: `r${number.id}`, tone: 'bad', to: '/accounts', words: <><Phone number={number.display} raw />: {t('attention.red')}</> });
  }
  for (const campaign of campaigns) {
    if (campaign.state === 'paused') items.push({ key: `c${campaign.id}`, tone: 'warn', to: `/campaigns/${campaign.id}`, words: <>{t('attention.campaign')} <Name>{campaign.name}</Name>: <Reason words={campaign.reason} /></> });
  }
  for (const campaign of awaiting) items.push({ key: `w${campaign.id}`, tone: 'warn', to: `/campaigns/${campaign.id}`, words: <>{t('attention.approval')} <Name>{campaign.name}</Name></> });
  for (const template of templates) {
    if (template.status !== 'APPROVED' && used.has(`${template.name} ${template.language}`)) items.push({ key: `t${template.id}`, tone: 'warn', to: '/templates', words: t('attention.template', { name: template.name, state: t(`templateState.${template.status}`, { defaultValue: template.status }) }) });
  }
  if (doubt > 0) items.push({ key: 'doubt', tone: 'warn', to: '/in-doubt', words: t('attention.doubt', { count: doubt }) });
  if (items.length === 0) return null;
  return (
    <div style={{ marginBlockEnd: 16 }}>
      <Card title={t('attention.title')}>
        {items.map(({ key, tone, words, to }) => (
          <Notice key={key} tone={tone}>
            <div style={{ display: 'flex', flexWrap: 'wrap', gap: '4px 14px', justifyContent: 'space-between' }}><span className="break">{words}</span><Link to={to}>{t('act.look')}</Link></div>
          </Notice>
        ))}
      </Card>
    </div>
  );
}

function Running({ campaigns, starting }: { campaigns: Campaign[]; starting: boolean }) {
  const { t } = useTranslation();
  const me = useMe().data;
  const open = campaigns.filter(({ state }) => state === 'running' || state === 'paused');
  const next = campaigns.filter(({ state }) => state === 'scheduled').sort((a, b) => (a.start_at ?? '').localeCompare(b.start_at ?? ''));
  const rest = campaigns.filter(({ state }) => !['running', 'paused', 'scheduled'].includes(state)).slice(0, 5);
  if (campaigns.length === 0 && starting) return null;
  return (
    <>
      {open.length === 0 && next.length === 0 && (
        <Card><Empty icon="send" title={t('home.quiet')} act={may(me, 'draft_campaigns') ? <LinkButton to="/campaigns/new">{t('campaigns.new')}</LinkButton> : undefined}>{t('home.quietWhat')}</Empty></Card>
      )}
      {open.length > 0 && <div className={open.length > 1 ? 'columns even' : undefined}>{open.map((campaign) => <Progress key={campaign.id} campaign={campaign} />)}</div>}
      {next.length > 0 && <div style={{ marginBlockStart: 16 }}><Card title={t('home.next')}><Short campaigns={next} /></Card></div>}
      {rest.length > 0 && <div style={{ marginBlockStart: 16 }}><Card title={t('home.lately')} aside={<Link to="/campaigns">{t('home.all')}</Link>}><Short campaigns={rest} /></Card></div>}
    </>
  );
}

function Progress({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queue = useQueue().data ?? [];
  const pace = queue.filter((row) => campaign.numbers.includes(row.phone_number_id)).reduce((sum, row) => sum + row.pace, 0);
  const end = campaign.state === 'running' ? finish(campaign.counts, campaign.rate ? Math.min(campaign.rate, pace) : pace, Date.now()) : null;
  const left = waiting(campaign.counts);
  return (
    <section className="card">
      <div className="cardhead">
        <h2 style={{ fontSize: '1.0625rem' }}><Link to="/campaigns/$campaign" params={{ campaign: String(campaign.id) }} className="plain"><Name>{campaign.name}</Name></Link></h2>
        <CampaignState state={campaign.state} />
      </div>
      <Meter parts={[{ share: doneShare(campaign) }]} label={t('campaign.progress', { name: campaign.name })} />
      <p className="small" style={{ margin: '8px 0 0', display: 'flex', flexWrap: 'wrap', justifyContent: 'space-between', gap: '0 16px' }}>
        <span>{t('home.done', { done: format.number(campaign.total - left - campaign.counts.in_doubt), total: format.number(campaign.total) })}</span>
        <span className="dim">
          {campaign.state === 'running' && t('pace.perSecond', { pace: format.number(pace) })}
          {end !== null && <> · {t('home.ends', { time: format.time(end, { dateStyle: undefined }), span: format.span((end - Date.now()) / 1000) })}</>}
        </span>
      </p>
      {campaign.reason && <p className="small dim" style={{ margin: '6px 0 0' }}><Reason words={campaign.reason} /></p>}
    </section>
  );
}

function Short({ campaigns }: { campaigns: Campaign[] }) {
  return (
    <ul className="begin">
      {campaigns.map((campaign) => (
        <li key={campaign.id} style={{ paddingBlock: 9, alignItems: 'center', flexWrap: 'wrap', gap: '4px 14px' }}>
          <div className="about"><Link to="/campaigns/$campaign" params={{ campaign: String(campaign.id) }} className="plain"><Name>{campaign.name}</Name></Link></div>
          <CampaignState state={campaign.state} />
          <span className="small dim"><Time at={campaign.start_at && campaign.state === 'scheduled' ? campaign.start_at : (campaign.finished_at ?? campaign.created_at)} /></span>
        </li>
      ))}
    </ul>
  );
}
