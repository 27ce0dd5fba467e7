// A new campaign in four steps: what, to whom, when, and the check before it goes. The draft is made when the check is
// asked for; going back and changing something makes it anew.
import { Button, Code, Radio, Select, Stepper, TextInput } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type BusinessNumber, type Campaign, type List, type NewCampaign, type Template } from '../api/client.ts';
import { languageName } from '../format.ts';
import { client, useLists, useNumbers, useTemplates } from '../queries.ts';
import { askedCare, type Care, careFlaws, USUAL_CARE } from '../care.ts';
import { columnsOf, examplesOf, offersAWayOut } from '../template.ts';
import { asked as askedTerms, type Choice, flaws, USUAL_RHYTHM } from '../terms.ts';
import { useAct } from '../ui/act.tsx';
import { Audience, filterOf, type Some } from '../ui/audience.tsx';
import { Bubble } from '../ui/bubble.tsx';
import { CareFields } from '../ui/care.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Empty, Ident, Notice, Page, ProblemNotice } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { CheckAndLaunch } from '../ui/preflight.tsx';
import { type Pace, Schedule } from '../ui/schedule.tsx';
import { OWN_ZONE } from '../zone.ts';

interface Plan {
  name: string;
  template: string | null;
  params: Record<string, string>;
  lists: string[];
  excluded: string[];
  some: Some;
  numbers: string[];
  terms: Choice;
  pace: Pace;
  care: Care;
}

export const keyOf = (template: Template): string => `${template.account}\n${template.name}\n${template.language}`;

export function Wizard() {
  const { t } = useTranslation();
  const templates = useTemplates();
  const lists = useLists();
  const numbers = useNumbers();
  return (
    <Page title={t('campaigns.new')}>
      <Awaited asked={templates}>{(allTemplates) => (
        <Awaited asked={lists}>{(allLists) => (
          <Awaited asked={numbers}>{(allNumbers) => {
            if (allTemplates.length === 0 || allNumbers.length === 0) {
              return <Card><Empty icon="account" title={t('wizard.noAccount')} act={<LinkButton to="/accounts">{t('begin.account.act')}</LinkButton>}>{t('wizard.noAccountWhat')}</Empty></Card>;
            }
            if (allLists.length === 0) {
              return <Card><Empty icon="people" title={t('wizard.noList')} act={<LinkButton to="/lists/import">{t('begin.people.act')}</LinkButton>}>{t('wizard.noListWhat')}</Empty></Card>;
            }
            return <Steps templates={allTemplates} lists={allLists} numbers={allNumbers} />;
          }}</Awaited>
        )}</Awaited>
      )}</Awaited>
    </Page>
  );
}

function Steps({ templates, lists, numbers }: { templates: Template[]; lists: List[]; numbers: BusinessNumber[] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const asked = useSearch({ from: '/campaigns/new' });
  const [step, setStep] = useState(0);
  const [draft, setDraft] = useState<Campaign | null>(null);
  const heading = useRef<HTMLDivElement>(null);
  const [plan, setPlan] = useState<Plan>(() => {
    const wanted = templates.find(({ name, language }) => name === asked.template && language === asked.language);
    return {
      name: '', template: wanted ? keyOf(wanted) : null, params: wanted ? suggested(wanted) : {}, lists: asked.list ? [asked.list] : [], excluded: [], some: { rested: '', never: false, text: '' },
      numbers: [], pace: { rate: '', weight: '10' }, care: USUAL_CARE,
      terms: { when: 'now', at: '', rhythm: USUAL_RHYTHM, zone: OWN_ZONE, guard: '', latest: '', quiet: false, from: '21:00', to: '09:00', blackouts: [], human: false, over: '', unit: 'h', until: '' },
    };
  });
  const change = (part: Partial<Plan>) => setPlan((before) => ({ ...before, ...part }));
  const template = templates.find((each) => keyOf(each) === plan.template);
  const own = numbers.filter((number) => number.account === template?.account && number.status !== 'REMOVED');
  const chosen = plan.numbers.filter((id) => own.some((number) => number.phone_number_id === id));

  const go = (to: number) => {
    setStep(to);
    setTimeout(() => heading.current?.focus({ preventScroll: false }), 0);
  };

  const { act: makeDraft, busy, error, forget } = useAct(async () => {
    if (draft) await answer(api.DELETE('/api/v1/campaigns/{campaign}', { params: { path: { campaign: String(draft.id) } } }));
    setDraft(null);
    const filter = filterOf(plan.some);
    const body: NewCampaign = {
      name: plan.name.trim(), template: template?.name ?? '', language: template?.language ?? '', lists: plan.lists, excluded_lists: plan.excluded,
      numbers: chosen, params: plan.params, weight: Number(plan.pace.weight), ...(filter !== null && { filter }),
      ...(plan.pace.rate !== '' && { rate: Number(plan.pace.rate) }),
      ...(plan.terms.human && (plan.pace.rate !== '' || plan.terms.over !== '') && { gaps: 'human' as const }),
      ...askedTerms(plan.terms), ...askedCare(plan.care),
    };
    const made = await answer(api.POST('/api/v1/campaigns', { body }));
    // An id is given again once its draft is gone: what was found of that one is not to be shown for this one.
    client.removeQueries({ queryKey: ['preflight', made.id] });
    setDraft(made);
    go(3);
  });

  const missing = (template?.parameters ?? []).filter((key) => !(plan.params[key] ?? '').trim());
  const ready = [
    plan.name.trim() !== '' && template !== undefined && missing.length === 0 && template.unsupported.length === 0,
    plan.lists.length > 0 && chosen.length > 0,
    flaws(plan.terms, Date.now()).length === 0 && careFlaws(plan.care).length === 0,
  ];
  return (
    <>
      <Stepper className="steps" active={step} onStepClick={(to) => { if (to < step || (to < 3 && ready.slice(0, to).every(Boolean))) { forget(); go(to); } }} size="sm" iconSize={30} allowNextStepsSelect={false}>
        {(['template', 'audience', 'schedule', 'check'] as const).map((name) => <Stepper.Step key={name} label={t(`wizard.${name}.title`)} />)}
      </Stepper>
      <div ref={heading} tabIndex={-1} style={{ outline: 'none' }} role="group" aria-label={t('wizard.step', { step: step + 1, of: 4 })}>
        {step === 0 && <What plan={plan} change={change} templates={templates} template={template} />}
        {step === 1 && <Audience plan={plan} change={change} lists={lists} numbers={own} chosen={chosen} />}
        {step === 2 && <Schedule choice={plan.terms} pace={plan.pace} change={(part) => setPlan((before) => ({ ...before, terms: { ...before.terms, ...part } }))} setPace={(part) => setPlan((before) => ({ ...before, pace: { ...before.pace, ...part } }))} numbers={own.filter(({ phone_number_id }) => chosen.includes(phone_number_id))} />}
        {step === 2 && <CareFields care={plan.care} change={(part) => setPlan((before) => ({ ...before, care: { ...before.care, ...part } }))} />}
        {step === 3 && draft && <CheckAndLaunch campaign={draft} launched={() => void navigate({ to: '/campaigns/$campaign', params: { campaign: String(draft.id) } })} />}
      </div>
      <div style={{ marginBlockStart: 14 }}><ProblemNotice error={error} /></div>
      <div className="footacts">
        {step > 0 ? <Button variant="default" onClick={() => { forget(); go(step - 1); }} leftSection={<Icon name="back" size={17} />}>{t('act.back')}</Button> : <span />}
        {step < 2 && <Button disabled={!ready[step]} onClick={() => go(step + 1)} rightSection={<Icon name="forward" size={17} />}>{t('act.next')}</Button>}
        {step === 2 && <Button disabled={!ready.every(Boolean)} loading={busy} onClick={() => void makeDraft()} rightSection={<Icon name="forward" size={17} />}>{t('wizard.toCheck')}</Button>}
        {step === 3 && draft && <LinkButton variant="subtle" to="/campaigns/$campaign" params={{ campaign: String(draft.id) }}>{t('wizard.keepDraft')}</LinkButton>}
      </div>
    </>
  );
}

/** What somebody without a name is called, in the template's language. */
const NAMELESS: Record<string, string> = { en: 'friend', ar: 'صديقنا', es: 'cliente', pt: 'cliente', fr: 'client' };

/** A first guess at what fills the variables: the name where Meta's example stands first, its example elsewhere. */
function suggested(template: Template): Record<string, string> {
  const examples = examplesOf(template.components);
  const first = template.parameters[0];
  return Object.fromEntries(template.parameters.map((key) => {
    if (/name|nombre|nome/i.test(key) || (key === first && key === '1')) {
      const fallback = NAMELESS[template.language.slice(0, 2)];
      return [key, fallback === undefined ? '{name}' : `{name|${fallback}}`];
    }
    return [key, examples[key] ?? ''];
  }));
}

function What({ plan, change, templates, template }: {
  plan: Plan; change: (part: Partial<Plan>) => void; templates: Template[]; template: Template | undefined;
}) {
  const { t } = useTranslation();
  const [sample, setSample] = useState<'with' | 'without'>('with');
  const several = new Set(templates.map(({ account }) => account)).size > 1;
  const options = useMemo(() => {
    const groups = new Map<string, { value: string; label: string; disabled: boolean }[]>();
    for (const each of templates) {
      const sendable = each.status === 'APPROVED';
      const label = `${each.name} · ${languageName(each.language)}${several ? ` · ${each.account}` : ''}${sendable ? '' : ` (${t(`templateState.${each.status}`, { defaultValue: each.status })})`}`;
      const group = t(`category.${each.category}`, { defaultValue: each.category });
      groups.set(group, [...(groups.get(group) ?? []), { value: keyOf(each), label, disabled: !sendable }]);
    }
    return [...groups].map(([group, items]) => ({ group, items }));
  }, [templates, several, t]);
  const columns = useMemo(() => {
    const examples = template ? examplesOf(template.components) : {};
    const known: Record<string, string> = {};
    for (const [key, text] of Object.entries(plan.params)) for (const { name } of columnsOf(text)) known[name] = examples[key] ?? `‹${name}›`;
    return known;
  }, [plan.params, template]);
  return (
    <div className="columns">
      <Card title={t('wizard.template.title')}>
        <div className="stack">
          <TextInput label={t('wizard.name')} description={t('wizard.nameHint')} required maxLength={100} value={plan.name} onChange={(event) => change({ name: event.currentTarget.value })} />
          <Select label={t('wizard.template.choose')} required searchable data={options} value={plan.template} allowDeselect={false} nothingFoundMessage={t('campaigns.noMatch')}
            onChange={(value) => { const next = templates.find((each) => keyOf(each) === value); change({ template: value, params: next ? suggested(next) : {} }); }} />
          {template && template.unsupported.length > 0 && <Notice tone="bad"><p>{t('wizard.template.unsupported', { what: template.unsupported.join(', ') })}</p></Notice>}
          {template && template.category === 'MARKETING' && !offersAWayOut(template.components) && <Notice tone="warn"><p>{t('templates.noWayOut')}</p></Notice>}
          {template && template.parameters.length > 0 && (
            <fieldset style={{ border: 0, padding: 0, margin: '20px 0 0' }}>
              <legend className="strong" style={{ padding: 0 }}>{t('wizard.fill')}</legend>
              <p className="small dim" style={{ margin: '2px 0 10px' }}>{t('wizard.fillHint')} <Code dir="ltr">{'{name|friend}'}</Code></p>
              {template.parameters.map((key) => (
                <TextInput key={key} mt={8} required label={<>{t('wizard.variable')} <Ident>{key}</Ident></>} value={plan.params[key] ?? ''} dir="auto"
                  onChange={(event) => change({ params: { ...plan.params, [key]: event.currentTarget.value } })} />
              ))}
            </fieldset>
          )}
        </div>
      </Card>
      <Card title={t('bubble.title')}>
        {template ? (
          <>
            <Bubble template={template} params={plan.params} columns={sample === 'with' ? columns : {}} />
            {Object.keys(columns).length > 0 && (
              <Radio.Group value={sample} onChange={(value) => setSample(value as 'with' | 'without')} label={t('bubble.person')} mt="sm">
                <div style={{ display: 'grid', gap: 10, marginBlockStart: 8 }}>
                  <Radio value="with" label={t('bubble.with')} /><Radio value="without" label={t('bubble.without')} />
                </div>
              </Radio.Group>
            )}
          </>
        ) : <p className="dim" style={{ margin: 0 }}>{t('bubble.choose')}</p>}
      </Card>
    </div>
  );
}
