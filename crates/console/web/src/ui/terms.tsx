// A campaign's terms in words: its rhythm and next runs, quiet hours, spread, end.
import { useTranslation } from 'react-i18next';

import type { Campaign } from '../api/client.ts';
import { format, useFormat } from '../format.ts';
import * as locale from '../locale.ts';
import { preferences } from '../prefs.ts';
import { seconds } from '../sentences.ts';
import { rhythmOf } from '../terms.ts';
import { BlackoutList } from './blackouts.tsx';
import { CareRows } from './care.tsx';
import { Time } from './parts.tsx';
import { Said } from './said.tsx';

/** The name of a time zone, which is never reordered. */
export function Zone({ children }: { children: string }) {
  return <bdi dir="ltr">{children}</bdi>;
}

/** `Every Monday and Thursday at 10:00`. */
export function useRhythmWords(): (line: string) => string {
  const { t } = useTranslation();
  useFormat();
  return (line) => {
    const { kind, time, days, day } = rhythmOf(line);
    if (kind === 'own') return t('rhythm.own', { line: `\u2066${line}\u2069` });
    const names = days.map((each) => locale.weekday(preferences(), each));
    const list = new Intl.ListFormat(preferences().language, { type: 'conjunction' }).format(names);
    return t(`rhythm.${kind}`, { time: `\u2066${time}\u2069`, days: list, day: format.number(day) });
  };
}

/** When a campaign that recurs runs next, by the clock of its own zone. */
export function NextRuns({ runs, zone }: { runs: Campaign['next_runs']; zone: string | null | undefined }) {
  const { t } = useTranslation();
  const shown = useFormat();
  if (runs.length === 0) return null;
  return (
    <>
      <p className="small dim" style={{ marginBlock: '0 4px' }}>{t('rhythm.next')} {zone && <>(<Zone>{zone}</Zone>)</>}</p>
      <ol className="runs">
        {runs.map(({ at }) => <li key={at}><time dateTime={at}>{shown.time(at, { dateStyle: 'full', timeStyle: 'short', ...(zone && { timeZone: zone }) })}</time></li>)}
      </ol>
    </>
  );
}

/** Rows for a list of pairs; only the terms that a campaign has. */
export function TermRows({ campaign }: { campaign: Campaign }) {
  const { t } = useTranslation();
  const shown = useFormat();
  const rhythm = useRhythmWords();
  const length = (text: string) => { const whole = seconds(text); return whole === null ? text : shown.span(whole); };
  const { cron, timezone, quiet_hours: quiet, spread, latest_start: latest, stop_at: until, next_runs: runs } = campaign;
  return (
    <>
      {cron && (
        <>
          <dt>{t('terms.recurs')}</dt>
          <dd>{rhythm(cron)}{timezone && <span className="dim"> · <Zone>{timezone}</Zone></span>}{runs.length > 0 && <div style={{ marginBlockStart: 6 }}><NextRuns runs={runs} zone={timezone} /></div>}</dd>
        </>
      )}
      {spread && <><dt>{t('terms.spread')}</dt><dd>{t('terms.over', { span: length(spread.over) })}{spread.per_second != null && <span className="dim"> · {t('pace.perSecond', { pace: shown.number(spread.per_second, { maximumFractionDigits: 2 }) })}</span>}</dd></>}
      {campaign.gaps === 'human' && <><dt>{t('terms.gaps')}</dt><dd>{t('terms.human')}</dd></>}
      {quiet && <><dt>{t('terms.quiet')}</dt><dd><bdi dir="ltr">{quiet.hours}</bdi> · {t('terms.theirClock')}<div className="small dim"><Said>{quiet.rule}</Said></div></dd></>}
      {campaign.blackouts.length > 0 && <><dt>{t('blackouts.title')}</dt><dd><BlackoutList days={campaign.blackouts} /></dd></>}
      {latest && <><dt>{t('terms.latest')}</dt><dd>{t('terms.latestWhat', { span: length(latest) })}</dd></>}
      <CareRows campaign={campaign} />
      {until && <><dt>{t('terms.until')}</dt><dd><Time at={until} /></dd></>}
      {campaign.occurrence && <><dt>{t('terms.runOf')}</dt><dd><Time at={campaign.occurrence} /></dd></>}
    </>
  );
}
