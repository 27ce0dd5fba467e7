// The third step of a campaign: when it starts, at what pace, when people are left in peace, and when it ends.
import { Checkbox, Group, NumberInput, Radio, Select, Switch, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { BusinessNumber } from '../api/client.ts';
import { format, useFormat } from '../format.ts';
import * as locale from '../locale.ts';
import { preferences, usePreferences } from '../prefs.ts';
import { type Choice, flaws, lineOf, type Rhythm, UNITS, type Unit } from '../terms.ts';
import { OWN_ZONE } from '../zone.ts';
import { AddBlackout, BlackoutList } from './blackouts.tsx';
import { useRules } from './care.tsx';
import { Card, Notice } from './parts.tsx';
import { useRhythmWords, Zone } from './terms.tsx';

export interface Pace {
  rate: string | number;
  weight: string;
}

/** `2026-11-22T14:05`, in the browser's own zone, as a date field wants it. */
function localMinute(at: Date): string {
  const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

export function Schedule({ choice, pace, change, setPace, numbers }: {
  choice: Choice; pace: Pace; change: (part: Partial<Choice>) => void; setPace: (part: Partial<Pace>) => void; numbers: BusinessNumber[];
}) {
  return (
    <div className="columns even">
      <div className="stack">
        <Start choice={choice} change={change} />
        <End choice={choice} change={change} />
        <DaysOff choice={choice} change={change} />
      </div>
      <div className="stack">
        <Peace choice={choice} change={change} />
        <Speed choice={choice} change={change} pace={pace} setPace={setPace} numbers={numbers} />
      </div>
    </div>
  );
}

interface Part {
  choice: Choice;
  change: (part: Partial<Choice>) => void;
}

function Start({ choice, change }: Part) {
  const { t } = useTranslation();
  const shown = useFormat();
  const past = choice.at !== '' && flaws(choice, Date.now()).includes('at');
  return (
    <Card title={t('wizard.schedule.when')}>
      <Radio.Group value={choice.when} onChange={(value) => change({ when: value as Choice['when'], at: choice.at || localMinute(new Date(Date.now() + 3_600_000)) })} aria-label={t('wizard.schedule.when')}>
        <div className="choice"><Radio value="now" label={t('wizard.schedule.now')} /></div>
        <div className="choice">
          <div className="about">
            <Radio value="later" label={t('wizard.schedule.later')} />
            {choice.when === 'later' && (
              <div className="inset">
                <TextInput type="datetime-local" label={t('wizard.schedule.at')} description={<>{t('wizard.schedule.zone')} <Zone>{OWN_ZONE}</Zone></>} value={choice.at} min={localMinute(new Date())}
                  error={past ? t('wizard.schedule.past') : undefined} onChange={(event) => change({ at: event.currentTarget.value })} dir="ltr" />
                {choice.at !== '' && !past && <p className="small dim" style={{ marginBlockEnd: 0 }}>{shown.time(new Date(choice.at).toISOString(), { dateStyle: 'full' })}</p>}
              </div>
            )}
          </div>
        </div>
        <div className="choice">
          <div className="about">
            <Radio value="again" label={t('wizard.schedule.again')} description={t('wizard.schedule.againWhat')} />
            {choice.when === 'again' && <div className="inset"><Again choice={choice} change={change} /></div>}
          </div>
        </div>
      </Radio.Group>
      {choice.when !== 'now' && (
        <Select mt="md" label={t('terms.latest')} description={t('wizard.schedule.latestHint')} allowDeselect={false} value={choice.latest} onChange={(value) => change({ latest: value ?? '' })}
          data={[{ value: '', label: t('wizard.schedule.whenever') }, ...[['30m', 1_800], ['2h', 7_200], ['6h', 21_600], ['1d', 86_400]].map(([value, size]) => ({ value: value as string, label: t('terms.latestWhat', { span: format.span(size as number) }) }))]} />
      )}
    </Card>
  );
}

function Again({ choice, change }: Part) {
  const { t } = useTranslation();
  usePreferences();
  const words = useRhythmWords();
  const { rhythm } = choice;
  const set = (part: Partial<Rhythm>) => change({ rhythm: { ...rhythm, ...part } });
  const line = lineOf(rhythm);
  return (
    <>
      <Select label={t('rhythm.how')} allowDeselect={false} value={rhythm.kind} onChange={(value) => value && set({ kind: value as Rhythm['kind'], line: rhythm.line || (line ?? '') })}
        data={(['daily', 'weekly', 'monthly', 'own'] as const).map((value) => ({ value, label: t(`rhythm.kind.${value}`) }))} />
      {rhythm.kind === 'weekly' && (
        <Checkbox.Group mt="sm" label={t('rhythm.days')} value={rhythm.days.map(String)} onChange={(days) => set({ days: days.map(Number) })}>
          <Group gap="8px 16px" mt={6}>
            {[1, 2, 3, 4, 5, 6, 0].map((day) => <Checkbox key={day} value={String(day)} label={locale.weekday(preferences(), day)} />)}
          </Group>
        </Checkbox.Group>
      )}
      {rhythm.kind === 'monthly' && <NumberInput mt="sm" label={t('rhythm.day')} description={rhythm.day > 28 ? t('rhythm.dayHint') : undefined} min={1} max={31} allowDecimal={false} value={rhythm.day} onChange={(value) => set({ day: Number(value) })} dir="ltr" />}
      {rhythm.kind === 'own'
        ? <TextInput mt="sm" label={t('rhythm.line')} description={t('rhythm.lineHint')} value={rhythm.line} onChange={(event) => set({ line: event.currentTarget.value })} dir="ltr" className="monofield" placeholder="0 10 * * 1" />
        : <TextInput mt="sm" type="time" label={t('rhythm.time')} value={rhythm.time} onChange={(event) => set({ time: event.currentTarget.value })} dir="ltr" />}
      <ZoneField label={t('rhythm.zone')} value={choice.zone} change={(zone) => change({ zone })} />
      <NumberInput mt="sm" label={t('rhythm.guard')} description={t('rhythm.guardHint')} min={1} max={1000} allowDecimal={false} value={choice.guard} onChange={(guard) => change({ guard })} suffix=" %" dir="ltr" placeholder={t('rhythm.noGuard')} />
      <p className="small" role="status" style={{ marginBlockEnd: 0 }}>{line === null ? <span className="dim">{t('rhythm.incomplete')}</span> : <span className="strong">{words(line)}</span>}</p>
    </>
  );
}

function ZoneField({ label, description, value, change }: { label: string; description?: string; value: string; change: (zone: string) => void }) {
  const { t } = useTranslation();
  const zones = useMemo(() => [...new Set([OWN_ZONE, ...Intl.supportedValuesOf('timeZone')])], []);
  return <Select mt="sm" label={label} description={description} searchable limit={60} allowDeselect={false} value={value} onChange={(zone) => zone && change(zone)} data={zones} nothingFoundMessage={t('campaigns.noMatch')} />;
}

function End({ choice, change }: Part) {
  const { t } = useTranslation();
  const wrong = flaws(choice, Date.now()).includes('until');
  return (
    <Card title={t('terms.until')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('wizard.schedule.untilWhat')}</p>
      <TextInput type="datetime-local" aria-label={t('terms.until')} description={<>{t('wizard.schedule.zone')} <Zone>{OWN_ZONE}</Zone></>} value={choice.until} error={wrong ? t('wizard.schedule.untilWrong') : undefined}
        onChange={(event) => change({ until: event.currentTarget.value })} dir="ltr" />
    </Card>
  );
}

function Peace({ choice, change }: Part) {
  const { t } = useTranslation();
  const wrong = flaws(choice, Date.now()).includes('quiet');
  return (
    <Card title={t('terms.quiet')}>
      <Switch label={t('wizard.schedule.quiet')} description={t('wizard.schedule.quietWhat')} checked={choice.quiet} onChange={(event) => change({ quiet: event.currentTarget.checked })} />
      {choice.quiet && (
        <>
          <Group grow mt="md" align="flex-start">
            <TextInput type="time" label={t('wizard.schedule.from')} value={choice.from} onChange={(event) => change({ from: event.currentTarget.value })} dir="ltr" error={wrong ? t('wizard.schedule.quietWrong') : undefined} />
            <TextInput type="time" label={t('wizard.schedule.to')} value={choice.to} onChange={(event) => change({ to: event.currentTarget.value })} dir="ltr" />
          </Group>
          <ZoneField label={t('wizard.schedule.elseZone')} description={t('wizard.schedule.elseZoneWhat')} value={choice.zone} change={(zone) => change({ zone })} />
        </>
      )}
    </Card>
  );
}

/** Days on which nobody is written to: those of the house are shown, and this campaign's own are chosen. */
function DaysOff({ choice, change }: Part) {
  const { t } = useTranslation();
  const house = useRules().data?.blackouts ?? [];
  const [adds, setAdds] = useState(choice.blackouts.length > 0);
  return (
    <Card title={t('blackouts.title')}>
      {house.length > 0 && <><p className="small dim" style={{ marginBlockStart: 0 }}>{t('blackouts.ofHouse')}</p><BlackoutList days={house} /></>}
      <Switch label={t('blackouts.own')} description={t('blackouts.ownWhat')} checked={adds} onChange={(event) => { setAdds(event.currentTarget.checked); if (!event.currentTarget.checked) change({ blackouts: [] }); }} />
      {adds && (
        <div style={{ marginBlockStart: 14 }}>
          {choice.blackouts.length > 0 && <BlackoutList days={choice.blackouts} take={(one) => change({ blackouts: choice.blackouts.filter((each) => each !== one) })} />}
          <AddBlackout days={choice.blackouts} add={(one) => change({ blackouts: [...choice.blackouts, one] })} />
          {!choice.quiet && <ZoneField label={t('wizard.schedule.elseZone')} description={t('wizard.schedule.elseZoneWhat')} value={choice.zone} change={(zone) => change({ zone })} />}
        </div>
      )}
    </Card>
  );
}

function Speed({ choice, change, pace, setPace, numbers }: Part & { pace: Pace; setPace: (part: Partial<Pace>) => void; numbers: BusinessNumber[] }) {
  const { t } = useTranslation();
  const limit = numbers.every(({ rate }) => rate != null) ? numbers.reduce((sum, { rate }) => sum + (rate ?? 0), 0) : null;
  const least = Math.max(1, numbers.length);
  const paced = pace.rate !== '' || choice.over !== '';
  return (
    <Card title={t('wizard.schedule.pace')}>
      <NumberInput label={t('wizard.schedule.cap')} description={limit === null ? t('wizard.schedule.capFree') : t('wizard.schedule.capHint', { count: limit })} min={least} max={100_000} allowDecimal={false} allowNegative={false}
        value={pace.rate} onChange={(rate) => setPace({ rate })} placeholder={t('wizard.schedule.noCap')} dir="ltr" />
      <Group mt="md" gap="sm" align="flex-end" wrap="nowrap">
        <NumberInput style={{ flex: 1 }} label={t('terms.spread')} description={t('wizard.schedule.spreadHint')} min={1} max={365} allowDecimal={false} allowNegative={false} value={choice.over} onChange={(over) => change({ over })} placeholder={t('wizard.schedule.noSpread')} dir="ltr" />
        <Select w={120} aria-label={t('wizard.schedule.unit')} allowDeselect={false} value={choice.unit} onChange={(value) => value && change({ unit: value as Unit })} data={UNITS.map((value) => ({ value, label: t(`unit.${value}`) }))} />
      </Group>
      {choice.over !== '' && pace.rate !== '' && <div style={{ marginBlockStart: 10 }}><Notice><p className="small">{t('wizard.schedule.both')}</p></Notice></div>}
      <Switch mt="md" label={t('wizard.schedule.human')} description={t(paced ? 'wizard.schedule.humanWhat' : 'wizard.schedule.humanNeeds')} disabled={!paced} checked={paced && choice.human} onChange={(event) => change({ human: event.currentTarget.checked })} />
      <Select mt="md" label={t('wizard.schedule.weight')} description={t('wizard.schedule.weightHint')} allowDeselect={false} value={pace.weight} onChange={(value) => value && setPace({ weight: value })}
        data={[{ value: '2', label: t('wizard.schedule.low') }, { value: '10', label: t('wizard.schedule.usual') }, { value: '50', label: t('wizard.schedule.urgent') }]} />
    </Card>
  );
}
