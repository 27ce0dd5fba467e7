// Days on which nobody is written to: the list of them, and the form that adds one. The rules of the house and a campaign
// have them.
import { ActionIcon, Button, Group, Select, Switch, TextInput, Tooltip } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { areOver, askedDays, type BlackoutDays, daysOf, type Days, LONGEST_NAME, MOST_BLACKOUTS, NO_DAYS } from '../blackouts.ts';
import { COUNTRIES } from '../countries.ts';
import { countryName, useFormat } from '../format.ts';
import { tagOf } from '../locale.ts';
import { preferences } from '../prefs.ts';
import { Icon } from './icons.tsx';
import { Name } from './parts.tsx';

/** `27–29 May 2026`, `25 December, every year`. */
export function useDatesWords(): (dates: string) => string {
  const { t } = useTranslation();
  useFormat();
  return (dates) => {
    const days = daysOf(dates);
    if (days === null) return dates;
    const style = new Intl.DateTimeFormat(tagOf(preferences()), { day: 'numeric', month: 'long', timeZone: 'UTC', ...(!days.yearly && { year: 'numeric' }) });
    // A range of days over the end of a year would name the years.
    const words = days.from.getTime() === days.to.getTime() ? style.format(days.from)
      : days.yearly && days.to.getUTCFullYear() > days.from.getUTCFullYear() ? `${style.format(days.from)} – ${style.format(days.to)}`
        : style.formatRange(days.from, days.to);
    return days.yearly ? t('blackouts.everyYear', { days: words }) : words;
  };
}

/** The days, each with its name and for whom it holds; with `take` each can be taken away. */
export function BlackoutList({ days, take, busy = false }: { days: BlackoutDays[]; take?: ((days: BlackoutDays) => void) | undefined; busy?: boolean }) {
  const { t } = useTranslation();
  const words = useDatesWords();
  return (
    <ul className="plainlist">
      {days.map((each) => {
        const label = `${each.name ?? ''} ${words(each.dates)}`.trim();
        return (
          <li key={`${each.country ?? ''} ${each.dates} ${each.name ?? ''}`} style={{ paddingInlineEnd: take ? undefined : 12 }}>
            <span>{each.name && <><span className="strong"><Name>{each.name}</Name></span> · </>}{words(each.dates)}{each.country && <span className="dim"> · {countryName(each.country)}</span>}{areOver(each.dates, Date.now()) && <span className="dim"> · {t('blackouts.over')}</span>}</span>
            {take && <Tooltip label={t('blackouts.take')}><ActionIcon variant="subtle" color="gray" c="var(--mantine-color-dimmed)" size={30} loading={busy} aria-label={`${t('blackouts.take')}: ${label}`} onClick={() => take(each)}><Icon name="trash" size={17} /></ActionIcon></Tooltip>}
          </li>
        );
      })}
    </ul>
  );
}

/** The form that adds days to those that there are. No form element of its own: the wizard is one already. */
export function AddBlackout({ days, add, busy = false }: { days: BlackoutDays[]; add: (days: BlackoutDays) => unknown; busy?: boolean }) {
  const { t } = useTranslation();
  const [next, setNext] = useState<Days>(NO_DAYS);
  const change = (part: Partial<Days>) => setNext((before) => ({ ...before, ...part }));
  const asked = askedDays(next);
  const wrong = next.from !== '' && asked === null;
  const isThere = asked !== null && days.some((each) => each.dates === asked.dates && (each.country ?? null) === asked.country);
  if (days.length >= MOST_BLACKOUTS) return null;
  return (
    <div role="group" aria-label={t('blackouts.add')}>
      <Group gap="sm" align="flex-start" grow preventGrowOverflow={false}>
        <TextInput type="date" label={t('blackouts.from')} value={next.from} onChange={(event) => change({ from: event.currentTarget.value })} dir="ltr" error={wrong ? t('blackouts.wrong') : isThere ? t('blackouts.there') : undefined} miw={150} />
        <TextInput type="date" label={t('blackouts.to')} value={next.to} min={next.from} onChange={(event) => change({ to: event.currentTarget.value })} dir="ltr" miw={150} />
      </Group>
      <Group mt="sm" gap="sm" align="flex-start" grow preventGrowOverflow={false}>
        <TextInput label={t('blackouts.name')} placeholder={t('blackouts.nameExample')} maxLength={LONGEST_NAME} value={next.name} onChange={(event) => change({ name: event.currentTarget.value })} miw={150} />
        <Select label={t('blackouts.country')} searchable clearable value={next.country || null} onChange={(country) => change({ country: country ?? '' })} placeholder={t('blackouts.everybody')} miw={150}
          data={COUNTRIES.map((value) => ({ value, label: countryName(value) })).sort((a, b) => a.label.localeCompare(b.label))} />
      </Group>
      <Switch mt="sm" label={t('blackouts.yearly')} checked={next.yearly} onChange={(event) => change({ yearly: event.currentTarget.checked })} />
      <Button mt="sm" variant="default" loading={busy} disabled={asked === null || isThere} leftSection={<Icon name="plus" size={17} />}
        onClick={() => { if (asked !== null) void Promise.resolve(add(asked)).then((done) => { if (done !== false) setNext(NO_DAYS); }); }}>{t('blackouts.add')}</Button>
    </div>
  );
}
