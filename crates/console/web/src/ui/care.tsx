// A few people first, and nobody too often: the fields of the wizard, the rows of a campaign, and how the first ones
// took it.
import { Button, Group, NumberInput, Select, Switch } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { answer, api, type Campaign } from '../api/client.ts';
import { capOf, type Care, careFlaws, harmOf, MOST_CAP, MOST_FIRST, sizeOf } from '../care.ts';
import { useFormat } from '../format.ts';
import { waiting } from '../progress.ts';
import { useMay } from '../queries.ts';
import { seconds } from '../sentences.ts';
import { Confirm, said } from './act.tsx';
import { Icon } from './icons.tsx';
import { Card, Notice, State } from './parts.tsx';

export function useRules() {
  return useQuery({ queryKey: ['rules'], queryFn: () => answer(api.GET('/api/v1/rules')), staleTime: 30_000 });
}

/** `at most 4 marketing messages in 7 days`, or nothing where there is no such rule. */
export function useCapWords(): (cap: string | null | undefined) => string | null {
  const { t } = useTranslation();
  const format = useFormat();
  return (text) => {
    const cap = capOf(text);
    return cap === null ? null : t('care.capWords', { count: cap.messages, span: format.days(cap.days) });
  };
}

interface Part { care: Care; change: (part: Partial<Care>) => void }

export function CareFields({ care, change }: Part) {
  return (
    <div className="columns even" style={{ marginBlockStart: 16 }}>
      <First care={care} change={change} />
      <Cap care={care} change={change} />
    </div>
  );
}

function First({ care, change }: Part) {
  const { t } = useTranslation();
  const format = useFormat();
  const flaws = careFlaws(care);
  const share = { min: 0, max: 100, decimalScale: 1, allowNegative: false, suffix: ' %', dir: 'ltr' } as const;
  const wrong = flaws.includes('thresholds') ? t('care.thresholdsWrong') : undefined;
  return (
    <Card title={t('care.first')}>
      <Switch label={t('care.firstOn')} description={t('care.firstWhat')} checked={care.first} onChange={(event) => change({ first: event.currentTarget.checked })} />
      {care.first && (
        <>
          <Group mt="md" gap="sm" align="flex-start" wrap="nowrap">
            <NumberInput style={{ flex: 1 }} label={t('care.size')} min={1} max={MOST_FIRST[care.unit]} allowDecimal={false} allowNegative={false} value={care.size} onChange={(size) => change({ size })} dir="ltr"
              error={flaws.includes('size') ? t('care.sizeWrong', { most: format.number(MOST_FIRST[care.unit]) }) : undefined} />
            <Select style={{ flex: 1 }} label={t('care.unit')} allowDeselect={false} value={care.unit} onChange={(unit) => unit && change({ unit: unit as Care['unit'], size: unit === 'percent' ? 1 : 100 })}
              data={(['people', 'percent'] as const).map((value) => ({ value, label: t(`care.units.${value}`) }))} />
          </Group>
          <Select mt="md" label={t('care.wait')} description={t('care.waitHint')} allowDeselect={false} value={care.wait} onChange={(wait) => wait && change({ wait })}
            data={[['10m', 600], ['30m', 1_800], ['1h', 3_600], ['2h', 7_200], ['6h', 21_600], ['1d', 86_400]].map(([value, size]) => ({ value: value as string, label: format.span(size as number) }))} />
          <Group mt="md" gap="sm" align="flex-start" grow>
            <NumberInput {...share} label={t('care.mostFailed')} value={care.mostFailed} onChange={(mostFailed) => change({ mostFailed })} error={wrong} />
            <NumberInput {...share} label={t('care.mostOptedOut')} value={care.mostOptedOut} onChange={(mostOptedOut) => change({ mostOptedOut })} error={wrong} />
          </Group>
          <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('care.thresholdsWhat')}</p>
        </>
      )}
    </Card>
  );
}

function Cap({ care, change }: Part) {
  const { t } = useTranslation();
  const house = useCapWords()(useRules().data?.frequency_cap);
  return (
    <Card title={t('care.cap')}>
      <Switch label={t('care.capOn')} description={t('care.capWhat')} checked={care.capped} onChange={(event) => change({ capped: event.currentTarget.checked })} />
      {care.capped && <CapInputs messages={care.messages} days={care.days} change={change} wrong={careFlaws(care).includes('cap')} />}
      <p className="small dim" style={{ marginBlockEnd: 0 }}>{house === null ? t('care.noHouse') : t('care.house', { cap: house })} <Link to="/rules">{t('nav.rules')}</Link></p>
    </Card>
  );
}

/** So many messages in so many days. */
export function CapInputs({ messages, days, change, wrong }: Pick<Care, 'messages' | 'days'> & { change: (part: Partial<Pick<Care, 'messages' | 'days'>>) => void; wrong: boolean }) {
  const { t } = useTranslation();
  const whole = { min: 1, allowDecimal: false, allowNegative: false, dir: 'ltr' } as const;
  return (
    <Group mt="md" gap="sm" align="flex-start" grow>
      <NumberInput {...whole} label={t('care.messages')} max={MOST_CAP.messages} value={messages} onChange={(value) => change({ messages: value })} error={wrong ? t('care.capWrong') : undefined} />
      <NumberInput {...whole} label={t('care.days')} max={MOST_CAP.days} value={days} onChange={(value) => change({ days: value })} />
    </Group>
  );
}

function useFirstWords(): (canary: NonNullable<Campaign['canary']>) => string {
  const { t } = useTranslation();
  const format = useFormat();
  return (canary) => {
    const size = sizeOf(canary.size);
    return 'people' in size ? t('count.people', { count: size.people }) : t('care.ofAudience', { share: format.percent(size.share) });
  };
}

/** Rows for a list of pairs; only what a campaign has. */
export function CareRows({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useFirstWords();
  const cap = useCapWords()(campaign.frequency_cap);
  const { canary } = campaign;
  const percent = (value: number) => format.percent(value / 100);
  return (
    <>
      {canary && (
        <>
          <dt>{t('care.first')}</dt>
          <dd>
            {words(canary)} {campaign.started_at && <CanaryState state={canary.state} />}
            <div className="small dim">{t('care.terms', { span: format.span(seconds(canary.wait) ?? 0), failed: percent(canary.most_failed), stopped: percent(canary.most_opted_out) })}</div>
          </dd>
        </>
      )}
      {cap && <><dt>{t('care.cap')}</dt><dd>{cap}</dd></>}
    </>
  );
}

function CanaryState({ state }: { state: string }) {
  const { t } = useTranslation();
  const [tone, icon] = ({ passed: ['good', 'check'], failed: ['bad', 'warning'] } as const)[state] ?? (['accent', 'clock'] as const);
  return <State tone={tone} icon={icon}>{t(`care.state.${state}`, { defaultValue: state })}</State>;
}

/** Whether a campaign stands still because the first ones took it badly. */
export const isHarmed = (campaign: Campaign): boolean => campaign.state === 'paused' && campaign.canary?.state === 'failed' && /^The canary failed/.test(campaign.reason ?? '');

/** While the first ones have the word: who they are, what the others wait for, and what to do when they took it badly. */
export function FirstOnes({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useFirstWords();
  const run = useMay('run_campaigns');
  const [asking, { open, close }] = useDisclosure(false);
  const { canary, reason } = campaign;
  if (!canary) return null;
  if (isHarmed(campaign)) {
    const harm = harmOf(reason);
    const left = waiting(campaign.counts);
    return (
      <Notice tone="bad" live>
        <p className="strong">{harm === null ? t('care.harm') : t(`care.harmed.${harm.what}`, { count: harm.count, of: format.number(harm.of), most: format.percent(harm.most / 100) })}</p>
        <p>{t('care.held', { count: left })}</p>
        <p>{t('care.harmDo')}</p>
        {run && <p style={{ marginBlockStart: 8 }}><Button size="xs" variant="default" onClick={open} leftSection={<Icon name="play" size={15} />}>{t('care.goOn')}</Button></p>}
        <Confirm opened={asking} close={close} danger title={t('care.goOnTitle')} yes={t('care.goOn')} no={t('care.stay')}
          does={() => answer(api.POST('/api/v1/campaigns/{campaign}/resume', { params: { path: { campaign: String(campaign.id) } } })).then(() => said(t('campaign.resumed')))}>
          {t('care.goOnWhat', { count: left })}
        </Confirm>
      </Notice>
    );
  }
  if (canary.state !== 'waiting' || campaign.state !== 'running') return null;
  return (
    <Notice tone="calm">
      <p className="strong">{t('care.waiting', { who: words(canary) })}</p>
      <p>{t('care.terms', { span: format.span(seconds(canary.wait) ?? 0), failed: format.percent(canary.most_failed / 100), stopped: format.percent(canary.most_opted_out / 100) })}</p>
    </Notice>
  );
}
