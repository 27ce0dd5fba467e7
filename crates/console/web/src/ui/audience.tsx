// The second step of a campaign: whose lists, less whom, which of them, and from which numbers; counted as one chooses.
import { Checkbox, Code, NumberInput, Textarea } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api, type BusinessNumber, type List } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { Card, Name, Notice, Num, Phone, ProblemNotice } from './parts.tsx';
import { Said } from './said.tsx';
import { Quality } from './words.tsx';

/** Which people of the lists: what most ask for, and anything else in the words of the filter language. */
export interface Some {
  /** Not messaged within so many days. */
  rested: string | number;
  /** Never opted out, also of those who came back. */
  never: boolean;
  text: string;
}

/** The filter that the server is told, or nothing for everybody. */
export function filterOf({ rested, never, text }: Some): string | null {
  const parts = [...(text.trim() ? [`(${text.trim()})`] : []), ...(rested !== '' ? [`not messaged within ${rested} days`] : []), ...(never ? ['never opted out'] : [])];
  return parts.length === 0 ? null : parts.join(' and ');
}

interface Chosen { lists: string[]; excluded: string[]; some: Some; numbers: string[] }
interface Part { plan: Chosen; change: (part: Partial<Chosen>) => void }

const toggle = (all: string[], one: string, on: boolean) => (on ? [...all, one] : all.filter((each) => each !== one));

export function Audience({ plan, change, lists, numbers, chosen }: Part & { lists: List[]; numbers: BusinessNumber[]; chosen: string[] }) {
  return (
    <div className="columns even">
      <div className="stack">
        <Lists plan={plan} change={change} lists={lists} />
        <Which plan={plan} change={change} />
      </div>
      <div className="stack">
        <Numbers change={change} numbers={numbers} chosen={chosen} />
        {plan.lists.length > 0 && <Count plan={plan} />}
      </div>
    </div>
  );
}

function Lists({ plan, change, lists }: Part & { lists: List[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Card title={t('wizard.audience.lists')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('wizard.audience.once')}</p>
      {lists.map((list) => {
        const out = plan.excluded.includes(list.name);
        const inside = plan.lists.includes(list.name);
        return (
          <div className="choice" key={list.id}>
            <div className="about">
              <Checkbox checked={inside} disabled={out} label={<Name>{list.name}</Name>} onChange={(event) => change({ lists: toggle(plan.lists, list.name, event.currentTarget.checked) })} />
              <div className="small dim" style={{ marginInlineStart: 32 }}>{t('lists.reach', { reach: format.number(list.members - list.suppressed), all: format.number(list.members) })}</div>
            </div>
            {!inside && <Checkbox checked={out} label={t('wizard.audience.exclude')} aria-label={`${t('wizard.audience.exclude')}: ${list.name}`} onChange={(event) => change({ excluded: toggle(plan.excluded, list.name, event.currentTarget.checked) })} />}
          </div>
        );
      })}
    </Card>
  );
}

function Which({ plan, change }: Part) {
  const { t } = useTranslation();
  const { some } = plan;
  const set = (part: Partial<Some>) => change({ some: { ...some, ...part } });
  return (
    <Card title={t('audience.which')}>
      <NumberInput label={t('audience.rested')} description={t('audience.restedHint')} min={1} max={3650} allowDecimal={false} allowNegative={false} value={some.rested} onChange={(rested) => set({ rested })} placeholder={t('audience.anybody')} dir="ltr" />
      <Checkbox mt="md" checked={some.never} onChange={(event) => set({ never: event.currentTarget.checked })} label={t('audience.never')} />
      <Textarea mt="md" label={t('audience.filter')} description={<>{t('audience.filterHint')} <Code dir="ltr">city in (Cairo, Giza) and read last campaign</Code></>} autosize minRows={1} maxRows={5} maxLength={3800} value={some.text} onChange={(event) => set({ text: event.currentTarget.value })} dir="ltr" className="monofield" spellCheck={false} />
    </Card>
  );
}

/** How many that are, as one chooses. */
function Count({ plan }: { plan: Chosen }) {
  const { t } = useTranslation();
  const order = { lists: plan.lists, excluded_lists: plan.excluded, filter: filterOf(plan.some) };
  const [asked] = useDebouncedValue(JSON.stringify(order), 400);
  const counted = useQuery({
    queryKey: ['count', asked], retry: false, placeholderData: (before) => before,
    queryFn: () => answer(api.POST('/api/v1/lists/count', { body: JSON.parse(asked) as typeof order })),
  });
  const count = counted.data;
  const rows = count === undefined ? [] : ([['excluded', count.excluded], ['filtered', count.filtered_out], ['stopped', count.suppressed], ['noAddress', count.no_address]] as const).filter(([, people]) => people > 0);
  return (
    <Card title={t('audience.count')}>
      {counted.error !== null ? <ProblemNotice error={counted.error} /> : count === undefined ? <p className="dim" style={{ margin: 0 }}>{t('state.loading')}</p> : (
        <div aria-live="polite" aria-busy={counted.isFetching}>
          <p className="headline">{t('count.people', { count: count.remaining })}</p>
          <dl className="pairs small">
            <dt>{t('audience.of')}</dt><dd><Num>{count.people}</Num></dd>
            {rows.map(([reason, people]) => <div key={reason} className="contents"><dt>{t(`audience.out.${reason}`)}</dt><dd><bdi dir="ltr">−<Num>{people}</Num></bdi></dd></div>)}
          </dl>
          {count.warnings.map((words) => <div key={words} style={{ marginBlockStart: 10 }}><Notice tone="warn"><p><Said>{words}</Said></p></Notice></div>)}
        </div>
      )}
    </Card>
  );
}

function Numbers({ change, numbers, chosen }: Pick<Part, 'change'> & { numbers: BusinessNumber[]; chosen: string[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Card title={t('wizard.audience.numbers')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('wizard.audience.numbersHint')}</p>
      {numbers.map((number) => (
        <div className="choice" key={number.id}>
          <div className="about">
            <Checkbox checked={chosen.includes(number.phone_number_id)} label={<><Name>{number.verified_name}</Name> <span className="dim"><Phone number={number.display} raw /></span></>}
              onChange={(event) => change({ numbers: toggle(chosen, number.phone_number_id, event.currentTarget.checked) })} />
            <div className="small dim" style={{ marginInlineStart: 32, display: 'flex', flexWrap: 'wrap', gap: '2px 12px' }}>
              <span>{number.rate == null ? t('pace.noLimit') : t('pace.perSecond', { pace: format.number(number.rate) })}</span>
              {number.messaging_limit && <span>{/^\d+$/.test(number.messaging_limit) ? t('numbers.limit', { count: Number(number.messaging_limit) }) : t('numbers.unlimited')}</span>}
              {number.paused_reason && <span style={{ color: 'var(--warn)' }}>{t('laneState.paused')}</span>}
            </div>
          </div>
          <Quality quality={number.quality} />
        </div>
      ))}
    </Card>
  );
}
