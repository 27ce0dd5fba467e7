// Erasing a person: what goes, what stays, their number typed and a reason given; and what was done, to be kept.
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Erasure, save } from '../api/client.ts';
import { isSame } from '../timeline.ts';
import { said, useAct } from './act.tsx';
import { Icon } from './icons.tsx';
import { Card, Notice, Num, Phone, ProblemNotice, Time } from './parts.tsx';

export interface Erased {
  at: string;
  reason: string;
  result: Erasure;
}

export function Erase({ person, close, done }: { person: string; close: () => void; done: (erased: Erased) => void }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const matches = isSame(typed, person);
  const erase = useAct(async () => {
    const result = await answer(api.POST('/api/v1/persons/erase', { body: { person, reason: reason.trim() } }));
    said(t('person.erased.done'));
    done({ at: new Date().toISOString(), reason: reason.trim(), result });
  }, close);
  return (
    <Modal opened onClose={close} size="lg" title={t('person.erased.title')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); if (matches && reason.trim() !== '') void erase.act(); }}>
        <Stack gap="md">
          <p className="strong" style={{ margin: 0, fontSize: '1.125rem' }}><Phone number={person} /></p>
          <dl className="pairs">
            <dt>{t('person.erased.goes')}</dt><dd>{t('person.erased.goesWhat')}</dd>
            <dt>{t('person.erased.stays')}</dt><dd>{t('person.erased.staysWhat')}</dd>
          </dl>
          <Notice tone="warn"><p>{t('person.erased.forGood')}</p></Notice>
          <TextInput data-autofocus label={t('reason.label')} description={t('person.erased.reasonHint')} required value={reason} maxLength={200} autoComplete="off" onChange={(event) => setReason(event.currentTarget.value)} />
          <TextInput label={t('person.erased.type')} description={t('person.erased.typeHint')} required value={typed} autoComplete="off" inputMode="tel" styles={{ input: { direction: 'ltr' } }} onChange={(event) => setTyped(event.currentTarget.value)}
            error={typed.replace(/\D/g, '').length > 7 && !matches && !isBeginning(typed, person) ? t('person.erased.other') : undefined} />
          <ProblemNotice error={erase.error} />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={close}>{t('person.erased.keep')}</Button>
            <Button type="submit" color="red.8" loading={erase.busy} disabled={!matches || reason.trim() === ''}>{t('person.erased.yes')}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Whether somebody may still be on the way to the number. */
function isBeginning(typed: string, person: string): boolean {
  return person.replace(/\D/g, '').startsWith(typed.replace(/\D/g, '').replace(/^00/, ''));
}

const COUNTED = ['memberships', 'replies', 'sends', 'consents', 'ledger_entries', 'rejected_rows', 'other_rows'] as const;

/** What was erased, without naming whom: it can be filed. */
export function Certificate({ erased: { at, reason, result } }: { erased: Erased }) {
  const { t } = useTranslation();
  const keep = () => save(new Blob([JSON.stringify({ format: 'hudhud erasure 1', erased_at: at, reason, ...result }, null, 2)], { type: 'application/json' }), `erasure-${at.slice(0, 10)}.json`);
  return (
    <Card title={t('person.erased.certificate')} aside={<Button variant="default" onClick={keep} leftSection={<Icon name="download" size={17} />}>{t('ledger.download')}</Button>}>
      <Notice tone="good" live><p className="strong">{t('person.erased.done')}</p><p>{t('person.erased.blocked')}</p></Notice>
      <dl className="pairs small" style={{ marginBlockStart: 14 }}>
        <dt>{t('person.erased.at')}</dt><dd><Time at={at} withSeconds /></dd>
        <dt>{t('reason.label')}</dt><dd><bdi>{reason}</bdi></dd>
        {COUNTED.map((kind) => <div className="contents" key={kind}><dt>{t(`person.erased.count.${kind}`)}</dt><dd><Num>{result[kind]}</Num></dd></div>)}
        <dt>{t('person.erased.file')}</dt><dd>{t(`person.erased.files.${result.file}`, { defaultValue: result.file })}</dd>
      </dl>
    </Card>
  );
}
