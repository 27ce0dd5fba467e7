// The rules of the house: what holds for every campaign, whoever makes it, and how far stops reach.
import { ActionIcon, Button, Group, NumberInput, Switch, TextInput, Tooltip } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Rules, type RulesChange } from '../api/client.ts';
import type { BlackoutDays } from '../blackouts.ts';
import { capOf, isCap } from '../care.ts';
import { useMay } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { AddBlackout, BlackoutList } from '../ui/blackouts.tsx';
import { CapInputs, useCapWords, useRules } from '../ui/care.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Notice, Page, Phone, ProblemNotice } from '../ui/parts.tsx';
import { Reaches } from '../ui/reaches.tsx';

export function RulesPage() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const rules = useRules();
  return (
    <Page title={t('nav.rules')} sub={t('rules.sub')}>
      <Awaited asked={rules}>{(data) => (
        <div className="stack">
          {!audits && <Notice><p>{t('rules.notYours')}</p></Notice>}
          <div className="columns even">
            <Often rules={data} may={audits} key={`cap ${data.frequency_cap ?? ''}`} />
            <Two rules={data} may={audits} key={`two ${data.approval_above ?? ''}`} />
          </div>
          <Blackouts rules={data} may={audits} />
          <Own rules={data} may={audits} />
          <Reaches may={audits} />
        </div>
      )}</Awaited>
    </Page>
  );
}

interface Part { rules: Rules; may: boolean }

/** What a rule is, a form to change it, and a question before it is taken away. */
function Rule({ title, what, now, may, on, turn, changed, valid, change, removing, children }: {
  title: string; what: string; now: string; may: boolean; on: boolean; turn: (on: boolean) => void; changed: boolean; valid: boolean;
  change: () => RulesChange; removing: boolean; children: ReactNode;
}) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const apply = async () => {
    await answer(api.POST('/api/v1/rules', { body: change() }));
    said(t('rules.saved'));
  };
  const save = useAct(apply);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (removing) setAsking(true);
    else void save.act();
  };
  return (
    <Card title={title}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{what}</p>
      <p className="strong">{now}</p>
      {may && (
        <form onSubmit={submit}>
          <Switch label={t('rules.on')} aria-label={`${t('rules.on')}: ${title}`} checked={on} onChange={(event) => turn(event.currentTarget.checked)} />
          {on && children}
          <ProblemNotice error={save.error} />
          {changed && <Group mt="md"><Button type="submit" loading={save.busy} disabled={!valid}>{t('act.save')}</Button></Group>}
        </form>
      )}
      <Confirm opened={asking} close={() => setAsking(false)} danger title={t('rules.removeTitle')} yes={t('rules.remove')} no={t('rules.keep')} does={apply}>
        <p className="strong" style={{ marginBlockStart: 0 }}>{title}: {now}</p>
        <p style={{ margin: 0 }}>{t('rules.removeWhat')}</p>
      </Confirm>
    </Card>
  );
}

function Often({ rules, may }: Part) {
  const { t } = useTranslation();
  const words = useCapWords();
  const present = capOf(rules.frequency_cap);
  const [on, turn] = useState(present !== null);
  const [cap, setCap] = useState<{ messages: string | number; days: string | number }>(present ?? { messages: 4, days: 7 });
  const text = on ? `${cap.messages}/${cap.days}d` : null;
  return (
    <Rule title={t('rules.cap')} what={t('rules.capWhat')} now={words(rules.frequency_cap) ?? t('rules.noCap')} may={may} on={on} turn={turn}
      changed={text !== (rules.frequency_cap ?? null)} valid={!on || isCap(cap)} removing={!on} change={() => ({ frequency_cap: text })}>
      <CapInputs messages={cap.messages} days={cap.days} change={(part) => setCap({ ...cap, ...part })} wrong={!isCap(cap)} />
    </Rule>
  );
}

function Two({ rules, may }: Part) {
  const { t } = useTranslation();
  const present = rules.approval_above ?? null;
  const [on, turn] = useState(present !== null);
  const [above, setAbove] = useState<string | number>(present ?? 10_000);
  const people = on && above !== '' ? Number(above) : null;
  return (
    <Rule title={t('rules.two')} what={t('rules.twoWhat')} now={present === null ? t('rules.noTwo') : t('rules.twoNow', { count: present })} may={may} on={on} turn={turn}
      changed={people !== present} valid={!on || above !== ''} removing={!on} change={() => ({ approval_above: people })}>
      <NumberInput mt="md" label={t('rules.above')} description={t('rules.aboveHint')} min={0} allowDecimal={false} allowNegative={false} thousandSeparator="," value={above} onChange={setAbove} dir="ltr" maw={260} />
    </Rule>
  );
}

/** Days on which nothing of a marketing campaign is sent. */
function Blackouts({ rules, may }: Part) {
  const { t } = useTranslation();
  const days = rules.blackouts;
  const [taking, setTaking] = useState<BlackoutDays | null>(null);
  const put = async (blackouts: BlackoutDays[]) => {
    await answer(api.POST('/api/v1/rules', { body: { blackouts } }));
    said(t('rules.saved'));
  };
  const keep = useAct(put);
  return (
    <Card title={t('blackouts.title')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('blackouts.houseWhat')}</p>
      {days.length === 0 ? <p className="dim">{t('blackouts.none')}</p> : <BlackoutList days={days} take={may ? setTaking : undefined} busy={keep.busy} />}
      {may && <div style={{ maxInlineSize: 640 }}><AddBlackout days={days} busy={keep.busy} add={(one) => keep.act([...days, one])} /></div>}
      <div style={{ marginBlockStart: keep.error === null ? 0 : 12 }}><ProblemNotice error={keep.error} /></div>
      <Confirm opened={taking !== null} close={() => setTaking(null)} danger title={t('blackouts.takeTitle')} yes={t('blackouts.take')} no={t('rules.keep')} does={() => put(days.filter((each) => each !== taking))}>
        {taking && <BlackoutList days={[taking]} />}
        <p style={{ margin: 0 }}>{t('blackouts.takeWhat')}</p>
      </Confirm>
    </Card>
  );
}

/** As many as the server takes. */
const MOST_OWN = 50;

/** The numbers of the house itself, which test messages go to. */
function Own({ rules, may }: Part) {
  const { t } = useTranslation();
  const [number, setNumber] = useState('');
  const own = rules.test_numbers;
  const keep = useAct(async (numbers: string[]) => {
    await answer(api.POST('/api/v1/rules', { body: { test_numbers: numbers } }));
    said(t('rules.saved'));
  });
  const add = async (event: FormEvent) => {
    event.preventDefault();
    if (await keep.act([...own, number.trim()])) setNumber('');
  };
  return (
    <Card title={t('rules.own')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('rules.ownWhat')}</p>
      {own.length === 0 ? <p className="dim">{t('rules.ownNone')}</p> : (
        <ul className="plainlist">
          {own.map((each) => (
            <li key={each}>
              <Phone number={each} />
              {may && <Tooltip label={t('rules.take')}><ActionIcon variant="subtle" color="gray" c="var(--mantine-color-dimmed)" size={30} loading={keep.busy} aria-label={`${t('rules.take')}: ${each}`} onClick={() => void keep.act(own.filter((other) => other !== each))}><Icon name="trash" size={17} /></ActionIcon></Tooltip>}
            </li>
          ))}
        </ul>
      )}
      {may && own.length < MOST_OWN && (
        <form onSubmit={(event) => void add(event)} style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
          <TextInput label={t('rules.ownNumber')} description={t('optouts.anyForm')} value={number} onChange={(event) => setNumber(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} inputMode="tel" autoComplete="off" style={{ flex: '1 1 220px', maxInlineSize: 340 }} />
          <Button type="submit" variant="default" loading={keep.busy} disabled={number.trim() === ''} leftSection={<Icon name="plus" size={17} />}>{t('rules.ownAdd')}</Button>
        </form>
      )}
      <div style={{ marginBlockStart: keep.error === null ? 0 : 12 }}><ProblemNotice error={keep.error} /></div>
    </Card>
  );
}
