// One campaign: where it stands and why, how far it got, who was left out, and the means to stop it.
import { Button, Group, Modal, NumberInput, Radio, Stack, Table, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign, download, type QueueRow } from '../api/client.ts';
import { languageName, useFormat } from '../format.ts';
import { doneShare, finish, funnel, gone, paces, type Point, type Sample, waiting } from '../progress.ts';
import { useCampaign, useCampaigns, useMay, useNumbers, useQueue, useWatched } from '../queries.ts';
import { examplesOf } from '../template.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { ApprovalOf } from '../ui/approval.tsx';
import { Bubble } from '../ui/bubble.tsx';
import { FirstOnes, isHarmed } from '../ui/care.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { AsOf, Awaited, Card, Fact, Ident, Meter, Name, Notice, Num, Page, Phone, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';
import { PaceWithTable } from '../ui/pace.tsx';
import { CheckAndLaunch } from '../ui/preflight.tsx';
import { Results } from '../ui/results.tsx';
import { TermRows } from '../ui/terms.tsx';
import { TrialDialog } from '../ui/trial.tsx';
import { CampaignState, Reason, useFailureReason, useSkipReason } from '../ui/words.tsx';

export function CampaignPage() {
  const { t } = useTranslation();
  const { campaign: id } = useParams({ from: '/campaigns/$campaign' });
  const asked = useWatched(id);
  const campaign = asked.data;
  return (
    <Page key={id} title={campaign?.name ?? t('campaign.title')}
      sub={campaign && <span style={{ display: 'flex', flexWrap: 'wrap', gap: '4px 12px', alignItems: 'center' }}><CampaignState state={campaign.state} />{campaign.reason && <Reason words={campaign.reason} />}<AsOf at={asked.dataUpdatedAt} /></span>}
      acts={campaign && <Acts campaign={campaign} />}>
      <Awaited asked={asked} rows={8}>{(data) => (data.state === 'draft' ? <Draft campaign={data} /> : data.cron || (data.state === 'scheduled' && data.total === 0) ? <Coming campaign={data} /> : <Standing campaign={data} at={asked.dataUpdatedAt} />)}</Awaited>
    </Page>
  );
}

function Acts({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [pausing, pause] = useDisclosure(false);
  const [cancelling, cancel] = useDisclosure(false);
  const [removing, remove] = useDisclosure(false);
  const [cloning, clone] = useDisclosure(false);
  const [pacing, setPace] = useDisclosure(false);
  const [retrying, retry] = useDisclosure(false);
  const [trying, tryOut] = useDisclosure(false);
  const open = (id: number) => navigate({ to: '/campaigns/$campaign', params: { campaign: String(id) } });
  const [stop, run, drafts, sees] = [useMay('stop_campaigns'), useMay('run_campaigns'), useMay('draft_campaigns'), useMay('look_at_persons')];
  const path = { params: { path: { campaign: String(campaign.id) } } };
  const resume = useAct(() => answer(api.POST('/api/v1/campaigns/{campaign}/resume', path)).then(() => said(t('campaign.resumed'))));
  const save = useAct(() => download(`/api/v1/campaigns/${campaign.id}/export`, `${campaign.name}.csv`));
  const left = waiting(campaign.counts);
  const out = gone(campaign.counts);
  const { state } = campaign;
  return (
    <>
      {sees && state !== 'draft' && campaign.total > 0 && <Button variant="default" loading={save.busy} onClick={() => void save.act()} leftSection={<Icon name="download" size={17} />}>{t('campaign.export')}</Button>}
      {state !== 'draft' && campaign.total > 0 && <LinkButton variant="default" to="/campaigns/compare" search={{ campaigns: String(campaign.id) }} leftSection={<Icon name="sliders" size={17} />}>{t('compare.act')}</LinkButton>}
      {drafts && <Button variant="default" onClick={clone.open} leftSection={<Icon name="copy" size={17} />}>{t('campaign.clone')}</Button>}
      {drafts && campaign.counts.failed > 0 && ['finished', 'cancelled', 'running', 'paused'].includes(state) && <Button variant="default" onClick={retry.open} leftSection={<Icon name="refresh" size={17} />}>{t('campaign.retry')}</Button>}
      {run && ['running', 'paused', 'scheduled'].includes(state) && <Button variant="default" onClick={setPace.open} leftSection={<Icon name="gauge" size={17} />}>{t('campaign.setRate')}</Button>}
      {run && ['running', 'paused', 'scheduled'].includes(state) && <Button variant="default" onClick={tryOut.open} leftSection={<Icon name="call" size={17} />}>{t('trial.act')}</Button>}
      {state === 'running' && stop && <Button variant="default" onClick={pause.open} leftSection={<Icon name="pause" size={17} />}>{t('campaign.pause')}</Button>}
      {state === 'paused' && run && !isHarmed(campaign) && <Button loading={resume.busy} onClick={() => void resume.act()} leftSection={<Icon name="play" size={17} />}>{t('campaign.resume')}</Button>}
      {['running', 'paused', 'scheduled'].includes(state) && run && <Button variant="outline" color="red.8" c="var(--bad)" onClick={cancel.open}>{t('campaign.stop')}</Button>}
      {state === 'draft' && drafts && <Button variant="default" onClick={remove.open} leftSection={<Icon name="trash" size={17} />}>{t('campaign.remove')}</Button>}
      {(resume.error ?? save.error) !== null && <div style={{ flexBasis: '100%' }}><ProblemNotice error={resume.error ?? save.error} /></div>}
      {cloning && <Clone campaign={campaign} close={clone.close} made={open} />}
      {pacing && <Rate campaign={campaign} close={setPace.close} />}
      {trying && <TrialDialog campaign={campaign} close={tryOut.close} />}
      {retrying && <Retry campaign={campaign} close={retry.close} made={open} />}
      <Confirm opened={pausing} close={pause.close} title={t('campaign.pauseTitle')} yes={t('campaign.pause')} no={t('campaign.keep')} ask={{ label: t('reason.label'), hint: t('reason.optional') }}
        does={(reason) => answer(api.POST('/api/v1/campaigns/{campaign}/pause', { ...path, body: { reason: reason || null } })).then(() => said(t('campaign.paused')))}>
        {t('campaign.pauseWhat', { count: left })}
      </Confirm>
      <Confirm opened={cancelling} close={cancel.close} danger title={t('campaign.stopTitle')} yes={t('campaign.stop')} no={t('campaign.keep')}
        does={() => answer(api.POST('/api/v1/campaigns/{campaign}/cancel', path)).then(() => said(t('campaign.stopped')))}>
        <p style={{ margin: 0 }}>{t('campaign.stopGone', { count: out })} {t('campaign.stopLeft', { count: left })}</p>
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('campaign.stopForGood')}</p>
      </Confirm>
      <Confirm opened={removing} close={remove.close} danger title={t('campaign.removeTitle')} yes={t('campaign.remove')} no={t('campaign.keepDraft')}
        does={async () => {
          await answer(api.DELETE('/api/v1/campaigns/{campaign}', path));
          await navigate({ to: '/campaigns' });
        }}>{t('campaign.removeWhat')}</Confirm>
    </>
  );
}

/** A draft for those whose message failed: all of them, or those of one reason. */
function Retry({ campaign, close, made }: { campaign: Campaign; close: () => void; made: (id: number) => Promise<void> }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useFailureReason();
  const [code, setCode] = useState('');
  const reasons = Object.entries(campaign.failed_by_code).sort((a, b) => b[1] - a[1]);
  const people = code === '' ? campaign.counts.failed : (campaign.failed_by_code[code] ?? 0);
  return (
    <Confirm opened close={close} title={t('campaign.retryTitle')} yes={t('campaign.retryYes', { count: people })} valid={people > 0}
      does={async () => {
        const child = await answer(api.POST('/api/v1/campaigns/{campaign}/retry-failed', { params: { path: { campaign: String(campaign.id) }, query: code === '' ? {} : { code } } }));
        said(t('campaign.drafted'));
        await made(child.id);
      }}>
      {reasons.length > 1 && (
        <Radio.Group mb="md" label={t('campaign.retryOnly')} value={code} onChange={setCode}>
          {[['', campaign.counts.failed] as const, ...reasons].map(([each, count]) => (
            <div className="choice" key={each}><Radio value={each} label={<>{each === '' ? t('campaign.retryAll') : words(each)} <span className="dim">· {format.number(count)}</span></>} description={each === '' ? undefined : <Ident>{each}</Ident>} /></div>
          ))}
        </Radio.Group>
      )}
      <p style={{ margin: 0 }}>{t('campaign.retryWhat', { count: people })}</p>
      <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('campaign.retryNot')}</p>
    </Confirm>
  );
}

/** A copy under another name: a draft, from which nothing is sent before it is launched. */
function Clone({ campaign, close, made }: { campaign: Campaign; close: () => void; made: (id: number) => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState(t('campaign.cloneName', { name: campaign.name }).slice(0, 100));
  const copy = useAct(async () => {
    const child = await answer(api.POST('/api/v1/campaigns/{campaign}/clone', { params: { path: { campaign: String(campaign.id) } }, body: { name: name.trim() } }));
    said(t('campaign.drafted'));
    made(child.id);
  }, close);
  return (
    <Modal opened onClose={close} title={t('campaign.cloneTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void copy.act(); }}>
        <Stack gap="md">
          <TextInput data-autofocus label={t('wizard.name')} description={t('campaign.cloneWhat')} required maxLength={100} value={name} dir="auto" onChange={(event) => setName(event.currentTarget.value)} />
          <ProblemNotice error={copy.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={copy.busy} disabled={name.trim() === ''}>{t('campaign.cloneYes')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Another limit, also while it runs. */
function Rate({ campaign, close }: { campaign: Campaign; close: () => void }) {
  const { t } = useTranslation();
  const [capped, setCapped] = useState(campaign.rate != null);
  const [rate, setRate] = useState<string | number>(campaign.rate ?? 20);
  const least = Math.max(1, campaign.numbers.length);
  const save = useAct(async () => {
    await answer(api.POST('/api/v1/campaigns/{campaign}/rate', { params: { path: { campaign: String(campaign.id) } }, body: { rate: capped ? Number(rate) : null } }));
    said(t('campaign.rateSet'));
  }, close);
  return (
    <Modal opened onClose={close} title={t('campaign.rateTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void save.act(); }}>
        <Stack gap="md">
          <Radio.Group value={capped ? 'own' : 'free'} onChange={(value) => setCapped(value === 'own')} aria-label={t('campaign.rateTitle')}>
            <div className="choice"><Radio value="free" label={t('wizard.schedule.noCap')} description={t('campaign.rateFree')} /></div>
            <div className="choice"><div className="about"><Radio value="own" label={t('campaign.rateOwn')} />
              {capped && <NumberInput mt={8} aria-label={t('board.perSecond')} value={rate} onChange={setRate} min={least} max={100_000} allowDecimal={false} allowNegative={false} dir="ltr" description={t('board.perSecond')} inputWrapperOrder={['input', 'description']} />}
            </div></div>
          </Radio.Group>
          <p className="small dim" style={{ margin: 0 }}>{t('campaign.rateWhen')}</p>
          <ProblemNotice error={save.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={save.busy} disabled={capped && !(Number(rate) >= least)}>{t('act.save')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Draft({ campaign }: { campaign: Campaign }) {
  const navigate = useNavigate();
  return (
    <div className="stack">
      <About campaign={campaign} />
      <CheckAndLaunch campaign={campaign} launched={() => void navigate({ to: '/campaigns/$campaign', params: { campaign: String(campaign.id) } })} />
    </div>
  );
}

/** A campaign that has not begun, or only makes others: when, and what came of its runs. */
function Coming({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const runs = (useCampaigns(200).data ?? []).filter(({ parent_id, occurrence }) => parent_id === campaign.id && occurrence);
  const next = campaign.next_runs[0]?.at ?? campaign.start_at;
  return (
    <div className="stack">
      {next && campaign.state === 'scheduled' && <Notice tone="calm"><p className="strong">{t('campaign.next')} <time dateTime={next}>{format.time(next, { dateStyle: 'full', timeStyle: 'short', ...(campaign.cron && campaign.timezone ? { timeZone: campaign.timezone } : {}) })}</time> · {format.relative(next)}</p><p>{t('campaign.nextWhat')}</p></Notice>}
      <ApprovalOf campaign={campaign} />
      {campaign.cron && (
        <Card flush title={t('campaign.runs')}>
          {runs.length === 0 ? <p className="dim" style={{ margin: 0, padding: '0 var(--pad) 18px' }}>{t('campaign.noRuns')}</p> : (
            <Scroll label={t('campaign.runs')}>
              <Table>
                <Table.Caption>{t('campaign.runs')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('terms.runOf')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th><Table.Th className="num">{t('count.delivered')}</Table.Th><Table.Th className="num">{t('count.failed')}</Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>{runs.map((run) => (
                  <Table.Tr key={run.id}>
                    <Table.Td><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(run.id) }}><Time at={run.occurrence} /></Link></Table.Td>
                    <Table.Td><CampaignState state={run.state} />{run.reason && <div className="tiny dim"><Reason words={run.reason} /></div>}</Table.Td>
                    <Table.Td className="num"><Num>{run.total}</Num></Table.Td><Table.Td className="num"><Num>{run.counts.delivered + run.counts.read}</Num></Table.Td><Table.Td className="num"><Num>{run.counts.failed}</Num></Table.Td>
                  </Table.Tr>
                ))}</Table.Tbody>
              </Table>
            </Scroll>
          )}
        </Card>
      )}
      <About campaign={campaign} />
    </div>
  );
}

/** How many messages had left, seen from here: kept while the console is open, so that the pace has a past. */
const seen = new Map<number, Sample[]>();

function useSamples(campaign: Campaign, at: number, limit: number | null): Sample[] {
  const [samples, setSamples] = useState<Sample[]>(seen.get(campaign.id) ?? []);
  const count = gone(campaign.counts);
  useEffect(() => {
    setSamples((before) => {
      const last = before.at(-1);
      if (last && at - last.at < 1_000) return before;
      const all = [...before, { at, gone: count, limit }].slice(-600);
      seen.set(campaign.id, all);
      return all;
    });
    // Once for each answer: the count belongs to the time at which it was given.
  }, [campaign.id, at, count, limit]);
  return samples;
}

function Standing({ campaign, at }: { campaign: Campaign; at: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queue = useQueue().data ?? [];
  const { counts, total } = campaign;
  const lanes = queue.filter((row) => campaign.numbers.includes(row.phone_number_id));
  const bound = binding(campaign, lanes);
  const samples = useSamples(campaign, at, lanes.length === 0 ? null : bound.limit);
  const points = useMemo(() => paces(samples), [samples]);
  const recent = points.slice(-3);
  const pace = recent.length === 0 ? 0 : recent.reduce((sum, point) => sum + point.pace, 0) / recent.length;
  const end = campaign.state === 'running' ? finish(counts, pace, Date.now()) : null;
  const left = waiting(counts);
  const running = campaign.state === 'running' || campaign.state === 'paused';
  return (
    <div className="stack">
      {running && (
        <section className="card">
          <Meter parts={[{ share: doneShare(campaign) }]} label={t('campaign.progress', { name: campaign.name })} />
          <div style={{ display: 'flex', flexWrap: 'wrap', justifyContent: 'space-between', gap: '2px 18px', marginBlockStart: 8 }}>
            <span className="strong">{t('home.done', { done: format.number(total - left - counts.in_doubt), total: format.number(total) })}</span>
            <span className="dim">{campaign.state === 'running' && t('pace.perSecond', { pace: format.number(Math.round(pace)) })}{end !== null && <> · {t('home.ends', { time: format.time(end, { dateStyle: undefined }), span: format.span((end - Date.now()) / 1000) })}</>}</span>
          </div>
          <Spoken share={doneShare(campaign)} />
        </section>
      )}
      {campaign.state === 'paused' && campaign.total === 0 && <ApprovalOf campaign={campaign} />}
      <FirstOnes campaign={campaign} />
      {campaign.state === 'running' && left > 0 && <WhyNot campaign={campaign} lanes={lanes} still={points.length > 1 && pace === 0} />}
      {counts.in_doubt > 0 && (
        <Notice tone="warn"><p className="strong">{t('campaign.doubt', { count: counts.in_doubt })}</p><p>{t('campaign.doubtWhat')} <Link to="/in-doubt" search={{ campaign: String(campaign.id) }}>{t('nav.doubt')}</Link></p></Notice>
      )}
      <div className="facts">
        <Fact label={t('count.total')} value={<Num>{total}</Num>} />
        <Fact label={t('count.waiting')} value={<Num>{left}</Num>} note={counts.submitting > 0 ? t('count.onTheWay', { count: counts.submitting }) : undefined} />
        <Fact label={t('count.failed')} value={<Num>{counts.failed}</Num>} tone={counts.failed > 0 ? 'bad' : undefined} note={total > 0 && counts.failed > 0 ? format.percent(counts.failed / total) : undefined} />
        <Fact label={t('count.skipped')} value={<Num>{counts.skipped}</Num>} note={counts.skipped > 0 ? t('count.skippedWhat') : undefined} />
        <Fact label={t('count.in_doubt')} value={<Num>{counts.in_doubt}</Num>} tone={counts.in_doubt > 0 ? 'warn' : undefined} />
      </div>
      <Funnel campaign={campaign} />
      {campaign.state === 'running' && <Pace points={points} bound={bound} />}
      {total > 0 && <Results campaign={campaign} />}
      <div className="columns even">
        <Reasons title={t('campaign.skippedBy')} none={t('campaign.skippedNone')} by={campaign.skipped_by_reason} useWords={useSkipReason} aside={<Skipped campaign={campaign} />} />
        <Reasons title={t('campaign.failedBy')} none={t('campaign.failedNone')} by={campaign.failed_by_code} useWords={useFailureReason} codes />
      </div>
      <About campaign={campaign} />
    </div>
  );
}

/** Says the progress aloud, at every tenth, to those who listen rather than look. */
function Spoken({ share }: { share: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  const tenth = Math.floor(share * 10) / 10;
  return <span className="skip" role="status" aria-live="polite">{tenth > 0 ? t('campaign.spoken', { share: format.percent(tenth) }) : ''}</span>;
}

function Funnel({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const steps = funnel(campaign);
  const total = Math.max(1, campaign.total);
  return (
    <Card title={t('campaign.funnel')}>
      <Table verticalSpacing={6} className="funnel">
        <Table.Caption>{t('campaign.funnel')}</Table.Caption>
        <Table.Thead><Table.Tr><Table.Th>{t('funnel.step')}</Table.Th><Table.Td aria-hidden="true" /><Table.Th className="num">{t('campaigns.people')}</Table.Th><Table.Th className="num">{t('funnel.share')}</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {steps.map(([step, people], place) => (
            <Table.Tr key={step}>
              <Table.Th scope="row">{t(`funnel.${step}`)}</Table.Th>
              <Table.Td className="bar" aria-hidden="true"><div className="track"><div className="fill" style={{ inlineSize: `${(people / total) * 100}%`, opacity: 1 - place * 0.13, display: people === 0 ? 'none' : undefined }} /></div></Table.Td>
              <Table.Td className="num"><Num>{people}</Num></Table.Td>
              <Table.Td className="num dim">{format.percent(people / total)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {(campaign.held > 0 || campaign.expired > 0) && (
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{campaign.held > 0 && t('campaign.held', { count: campaign.held })} {campaign.expired > 0 && t('campaign.expired', { count: campaign.expired })}</p>
      )}
    </Card>
  );
}

/** What holds a campaign's pace, and at how much: the least of its spread, its own limit and its numbers' limits. */
function binding(campaign: Campaign, lanes: QueueRow[]): { limit: number | null; by: 'spread' | 'cap' | 'numbers' | 'nothing' } {
  const numbers = lanes.every((row) => row.rate != null) ? lanes.reduce((sum, row) => sum + (row.rate ?? 0), 0) : null;
  const bounds = ([['spread', campaign.spread?.per_second], ['cap', campaign.rate], ['numbers', numbers]] as const).filter(([, limit]) => limit != null);
  const [by, limit] = bounds.reduce<readonly ['spread' | 'cap' | 'numbers' | 'nothing', number | null]>((least, [kind, each]) => (least[1] === null || (each as number) < least[1] ? [kind, each as number] : least), ['nothing', null]);
  return { limit, by };
}

/** Why a running campaign sends nothing just now: its own reason, or those of its numbers. */
function WhyNot({ campaign, lanes, still }: { campaign: Campaign; lanes: QueueRow[]; still: boolean }) {
  const { t } = useTranslation();
  const numbers = useNumbers().data ?? [];
  const idle = lanes.filter(({ state, reason }) => reason && state !== 'sending' && state !== 'idle');
  if (!campaign.reason && (idle.length === 0 || (idle.length < lanes.length && !still))) return null;
  return (
    <Notice tone="warn" live>
      <p className="strong">{t(idle.length > 0 && idle.length < lanes.length ? 'campaign.lessNow' : 'campaign.nothingNow')}</p>
      {campaign.reason && <p><Reason words={campaign.reason} /></p>}
      {idle.map((row) => <p key={row.phone_number_id}><Name>{numbers.find(({ phone_number_id }) => phone_number_id === row.phone_number_id)?.verified_name ?? row.phone_number_id}</Name>: <Reason words={row.reason} /></p>)}
      <p className="small dim">{t('campaign.byItself')} <Link to="/queue">{t('nav.queue')}</Link></p>
    </Notice>
  );
}

function Pace({ points, bound }: { points: Point[]; bound: ReturnType<typeof binding> }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Card title={t('pace.title')} aside={bound.limit !== null && <span className="small dim">{t(`pace.by.${bound.by}`, { limit: format.number(bound.limit, { maximumFractionDigits: 2 }) })}</span>}>
      <PaceWithTable points={points} limit={bound.limit} />
    </Card>
  );
}

/** Who was left out and why, one by one, for whoever answers for consent. */
function Skipped({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const audits = useMay('audit');
  if (!audits || campaign.counts.skipped === 0) return null;
  return <LinkButton size="xs" variant="default" to="/campaigns/$campaign/left-out" params={{ campaign: String(campaign.id) }}>{t('campaign.whoSkipped')}</LinkButton>;
}

function Reasons({ title, none, by, useWords, codes, aside }: {
  title: string; none: string; by: Record<string, number>; useWords: () => (code: string) => string; codes?: boolean; aside?: ReactNode;
}) {
  const { t } = useTranslation();
  const words = useWords();
  const rows = Object.entries(by).sort((a, b) => b[1] - a[1]);
  return (
    <Card title={title} aside={aside}>
      {rows.length === 0 ? <p className="dim" style={{ margin: 0 }}>{none}</p> : (
        <Table>
          <Table.Caption>{title}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th>{t('campaign.why')}</Table.Th><Table.Th className="num">{t('campaigns.people')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {rows.map(([code, people]) => (
              <Table.Tr key={code}><Table.Th scope="row">{words(code)}{codes && <span className="tiny dim nowrap"> <Ident>{code}</Ident></span>}</Table.Th><Table.Td className="num"><Num>{people}</Num></Table.Td></Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Card>
  );
}

function About({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const numbers = useNumbers().data ?? [];
  const template = useQuery({
    queryKey: ['template', campaign.template, campaign.language],
    queryFn: async () => (await answer(api.GET('/api/v1/templates/{name}/{language}', { params: { path: { name: campaign.template, language: campaign.language } } }))).items[0] ?? null,
    staleTime: 60_000,
    retry: false,
  });
  return (
    <div className="columns">
      <Card title={t('campaign.about')}>
        <dl className="pairs">
          <dt>{t('campaign.template')}</dt><dd><Ident>{campaign.template}</Ident> · {languageName(campaign.language)}</dd>
          <dt>{t('campaign.lists')}</dt><dd>{campaign.lists.map((name, place) => <span key={name}>{place > 0 && ' · '}<Name>{name}</Name></span>)}</dd>
          {campaign.excluded_lists.length > 0 && <><dt>{t('campaign.excluded')}</dt><dd>{campaign.excluded_lists.map((name, place) => <span key={name}>{place > 0 && ' · '}<Name>{name}</Name></span>)}</dd></>}
          {campaign.filter && <><dt>{t('audience.which')}</dt><dd><Ident>{campaign.filter}</Ident></dd></>}
          <dt>{t('campaign.numbers')}</dt>
          <dd>{campaign.numbers.map((id) => { const number = numbers.find(({ phone_number_id }) => phone_number_id === id); return <div key={id}>{number ? <><Name>{number.verified_name}</Name> <span className="dim"><Phone number={number.display} raw /></span></> : <Ident>{id}</Ident>}</div>; })}</dd>
          <dt>{t('campaign.cap')}</dt><dd>{campaign.rate == null ? t('campaign.noCap') : t('pace.perSecond', { pace: format.number(campaign.rate) })}</dd>
          <TermRows campaign={campaign} />
          {campaign.parent_id != null && <><dt>{t('campaign.parent')}</dt><dd><Parent id={campaign.parent_id} /></dd></>}
          {campaign.start_at && <><dt>{t('campaign.startAt')}</dt><dd><Time at={campaign.start_at} /></dd></>}
          <dt>{t('campaign.created')}</dt><dd><Time at={campaign.created_at} /></dd>
          {campaign.started_at && <><dt>{t('campaign.started')}</dt><dd><Time at={campaign.started_at} withSeconds /></dd></>}
          {campaign.finished_at && <><dt>{t('campaign.ended')}</dt><dd><Time at={campaign.finished_at} withSeconds />{campaign.started_at && <span className="dim"> · {t('campaign.took', { span: format.span((Date.parse(campaign.finished_at) - Date.parse(campaign.started_at)) / 1000) })}</span>}</dd></>}
        </dl>
      </Card>
      {template.data && <Card title={t('bubble.title')}><Bubble template={template.data} params={examplesOf(template.data.components)} columns={{}} /></Card>}
    </div>
  );
}

function Parent({ id }: { id: number }) {
  const parent = useCampaign(String(id)).data;
  return <Link to="/campaigns/$campaign" params={{ campaign: String(id) }}><Name>{parent?.name ?? String(id)}</Name></Link>;
}
