// One person, for whoever answers for consent: may we write to them, since when not and why, and what shows it.
import { Button, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type Proof, show } from '../api/client.ts';
import { askedAbout } from '../asked.ts';
import { useFormat } from '../format.ts';
import { usePreferences } from '../prefs.ts';
import { useMay } from '../queries.ts';
import { ruling, standing, timeline } from '../timeline.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Certificate, Erase, type Erased } from '../ui/erase.tsx';
import { Entries, Exclusions, Story } from '../ui/evidence.tsx';
import { Icon } from '../ui/icons.tsx';
import { Card, Fact, Ident, Name, Notice, Num, Page, Phone, ProblemNotice, Time, type Tone } from '../ui/parts.tsx';
import { ScopeChoice, useForbidden, useScope, useUsualScope } from '../ui/scope.tsx';
import { useStopSource } from '../ui/words.tsx';

export function Person() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const [person, setPerson] = useState('');
  const [proof, setProof] = useState<Proof | null>(null);
  const [erased, setErased] = useState<Erased | null>(null);
  const look = useAct(async (about: string) => {
    setProof(null);
    setErased(null);
    setProof(await answer(api.POST('/api/v1/ledger/prove', { body: { person: about.trim() } })));
  });
  const search = (event: FormEvent) => {
    event.preventDefault();
    void look.act(person);
  };
  // Another page may have asked already. Once: each look is recorded.
  const begun = useRef(false);
  useEffect(() => {
    if (!audits || begun.current) return;
    begun.current = true;
    const about = askedAbout();
    if (about === null) return;
    setPerson(about);
    void look.act(about);
  });
  if (!audits) return <Page title={t('person.title')}><Notice tone="warn"><p>{t('person.notYours')}</p></Notice></Page>;
  return (
    <Page title={t('person.title')} sub={t('person.sub')}>
      <div className="stack">
        <Card>
          <form onSubmit={search} role="search" style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
            <TextInput data-search label={t('optouts.person')} description={t('optouts.anyForm')} value={person} inputMode="tel" autoComplete="off"
              onChange={(event) => { setPerson(event.currentTarget.value); setProof(null); setErased(null); look.forget(); }}
              styles={{ input: { direction: 'ltr' } }} style={{ flex: '1 1 260px', maxInlineSize: 420 }} leftSection={<Icon name="search" size={17} />} />
            <Button type="submit" loading={look.busy} disabled={person.trim() === ''}>{t('optouts.check')}</Button>
          </form>
          <div aria-live="polite" style={{ marginBlockStart: look.error || proof ? 16 : 0 }}>
            <ProblemNotice error={look.error} />
            {proof && <Verdict proof={proof} />}
          </div>
        </Card>
        {erased && <Certificate erased={erased} />}
        {proof && <Found key={proof.made_at} proof={proof} again={() => void look.act(proof.person)} erased={(gone) => { setProof(null); setErased(gone); }} />}
      </div>
    </Page>
  );
}

const TONES: Record<ReturnType<typeof ruling>, Tone> = { unknown: 'calm', erased: 'bad', stopped: 'bad', unproven: 'warn', free: 'good' };

/** The verdict, and in a line or two why. */
function Verdict({ proof }: { proof: Proof }) {
  const { t } = useTranslation();
  const source = useStopSource();
  const scope = useScope();
  const forbidden = useForbidden();
  const { verdict } = proof;
  const what = ruling(verdict);
  const stop = standing(proof);
  return (
    <Notice tone={TONES[what]}>
      <p className="strong" style={{ fontSize: '1.125rem' }}>{what === 'stopped' ? forbidden(verdict.scope) : t(`person.ruling.${what}`)}</p>
      <p><span className="strong"><Phone number={proof.person} /></span></p>
      {what === 'stopped' ? (
        <dl className="pairs small" style={{ marginBlockStart: 8 }}>
          <dt>{t('optouts.since')}</dt><dd><Time at={verdict.since} withSeconds /></dd>
          {stop && <><dt>{t('optouts.source')}</dt><dd>{source(stop.source)}{stop.said !== '' && !stop.erased && <> · <bdi className="break">{stop.said}</bdi></>}</dd></>}
          <dt>{t('optouts.scope')}</dt><dd>{(verdict.scopes ?? [verdict.scope ?? 'all']).map((each, place) => <span key={each}>{place > 0 && ' · '}{scope(each)}</span>)}</dd>
          {stop?.campaign && <><dt>{t('optouts.through')}</dt><dd><Name>{stop.campaign}</Name></dd></>}
        </dl>
      ) : <p>{t(`person.because.${what}`)}</p>}
      {verdict.unexplained > 0 && <p className="strong" style={{ marginBlockStart: 8 }}>{t('person.broken', { count: verdict.unexplained })}</p>}
      {verdict.unexplained === 0 && verdict.after_stop > 0 && <p className="small" style={{ marginBlockStart: 8 }}>{t('person.explained', { count: verdict.after_stop })}</p>}
      {verdict.after_stop === 0 && proof.stops.length > 0 && <p className="small" style={{ marginBlockStart: 8 }}>{t('person.kept')}</p>}
    </Notice>
  );
}

function Found({ proof, again, erased }: { proof: Proof; again: () => void; erased: (gone: Erased) => void }) {
  const { t } = useTranslation();
  const others = proof.known_as.filter((name) => name !== proof.person);
  if (!proof.verdict.known && !proof.verdict.suppressed) return <Acts proof={proof} again={again} erased={erased} />;
  return (
    <>
      <Acts proof={proof} again={again} erased={erased} />
      <div className="facts" style={{ marginBlockEnd: 0 }}>
        <Fact label={t('person.fact.consents')} value={<Num>{proof.consents.length}</Num>} tone={proof.consents.length === 0 ? 'warn' : undefined} />
        <Fact label={t('person.fact.messages')} value={<Num>{proof.verdict.messages}</Num>} note={t('person.fact.messagesWhat')} />
        <Fact label={t('person.fact.stops')} value={<Num>{proof.stops.length}</Num>} />
        <Fact label={t('person.fact.exclusions')} value={<Num>{proof.exclusions.length}</Num>} note={proof.verdict.excluded_since > 0 ? t('person.fact.since', { count: proof.verdict.excluded_since }) : undefined} />
      </div>
      {others.length > 0 && <p className="small" style={{ marginBlockEnd: 0 }}><span className="dim">{t('person.knownAs')}</span> {others.map((name, place) => <span key={name}>{place > 0 && ' · '}<Ident>{name}</Ident></span>)}</p>}
      <Story happened={timeline(proof)} />
      <Exclusions rows={proof.exclusions} />
      <Entries entries={proof.entries} heads={proof.signed_heads.length} />
    </>
  );
}

/** What can be done about them: documents to hand out, the list, and erasing. */
function Acts({ proof, again, erased }: { proof: Proof; again: () => void; erased: (gone: Erased) => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { language } = usePreferences();
  const [stops, lifts] = [useMay('opt_out'), useMay('lift_opt_outs')];
  const [adding, add] = useDisclosure(false);
  const usual = useUsualScope();
  const [scope, setScope] = useState<string | null>(null);
  const [lifting, lift] = useDisclosure(false);
  const [erasing, erase] = useDisclosure(false);
  const { person, verdict } = proof;
  const day = proof.made_at.slice(0, 10);
  const page = useAct(() => show('/api/v1/ledger/prove/document', `proof-${day}.html`, { person, language }));
  const file = useAct(() => download('/api/v1/ledger/prove', `proof-${day}.json`, { person }));
  const held = useAct(() => download('/api/v1/persons/export', `person-${day}.json`, { person }));
  const gone = verdict.erased;
  return (
    <Card title={t('person.acts')}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('person.asOf', { at: format.time(proof.made_at, { timeStyle: 'medium' }) })}</p>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: 10 }}>
        <Button variant="default" loading={page.busy} onClick={() => void page.act()} leftSection={<Icon name="ledger" size={17} />}>{t('person.document')}</Button>
        <Button variant="default" loading={file.busy} onClick={() => void file.act()} leftSection={<Icon name="download" size={17} />}>{t('person.json')}</Button>
        {verdict.known && !gone && <Button variant="default" loading={held.busy} onClick={() => void held.act()} leftSection={<Icon name="download" size={17} />}>{t('person.export')}</Button>}
        {!verdict.suppressed && stops && <Button variant="default" onClick={add.open} leftSection={<Icon name="stop" size={17} />}>{t('optouts.addThis')}</Button>}
        {verdict.suppressed && !gone && lifts && <Button variant="default" onClick={lift.open} leftSection={<Icon name="reply" size={17} />}>{t('lifts.ask')}</Button>}
        {!gone && <Button variant="outline" color="red.8" c="var(--bad)" onClick={erase.open} leftSection={<Icon name="trash" size={17} />}>{t('person.erase')}</Button>}
      </div>
      <p className="tiny dim" style={{ marginBlockEnd: 0 }}>{t('person.recorded')}</p>
      {[page, file, held].map(({ error }, place) => <ProblemNotice key={place} error={error} />)}
      <Confirm opened={adding} close={add.close} title={t('optouts.addTitle')} yes={t('optouts.add')} ask={{ label: t('reason.label'), hint: t('reason.ledger'), required: true }}
        does={async (reason) => {
          await answer(api.POST('/api/v1/optouts', { body: { person, reason, scope: scope ?? usual } }));
          said(t('optouts.added'));
          again();
        }}>
        <p style={{ margin: '0 0 12px' }}><Phone number={person} /></p><ScopeChoice value={scope ?? usual} change={setScope} /><p className="small dim" style={{ marginBlockEnd: 0 }}>{t('optouts.addWhat')}</p>
      </Confirm>
      <Confirm opened={lifting} close={lift.close} title={t('lifts.askTitle')} yes={t('lifts.ask')} ask={{ label: t('reason.label'), hint: t('lifts.reasonHint'), required: true }}
        does={async (reason) => {
          await answer(api.POST('/api/v1/optouts/lifts', { body: { person, reason } }));
          said(t('lifts.asked'));
        }}>
        <p style={{ margin: 0 }}><Phone number={person} /></p><p className="small dim" style={{ marginBlockEnd: 0 }}>{t('lifts.askWhat')}</p>
      </Confirm>
      {erasing && <Erase person={person} close={erase.close} done={erased} />}
    </Card>
  );
}
