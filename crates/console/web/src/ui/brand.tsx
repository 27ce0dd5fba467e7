// The brand that a business number sends for: whoever stops a brand gets no marketing from any number of it.
import { Autocomplete, Button, Group, Modal, Stack } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type BusinessNumber } from '../api/client.ts';
import { useMay, useNumbers } from '../queries.ts';
import { said, useAct } from './act.tsx';
import { Name, Phone, ProblemNotice } from './parts.tsx';

export function Brand({ number }: { number: BusinessNumber }) {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const [asking, { open, close }] = useDisclosure(false);
  return (
    <>
      {number.brand ? <Name>{number.brand}</Name> : <span className="dim">—</span>}
      {audits && <div><Button size="compact-xs" variant="subtle" c="var(--accent)" onClick={open} aria-label={`${t('accounts.brandSet')}: ${number.verified_name}`} style={{ marginInlineStart: -8 }}>{t('accounts.brandSet')}</Button></div>}
      {asking && <SetBrand number={number} close={close} />}
    </>
  );
}

function SetBrand({ number, close }: { number: BusinessNumber; close: () => void }) {
  const { t } = useTranslation();
  const known = [...new Set((useNumbers().data ?? []).flatMap(({ brand }) => (brand ? [brand] : [])))];
  const [brand, setBrand] = useState(number.brand ?? '');
  const save = useAct(async () => {
    await answer(api.POST('/api/v1/numbers/{phone_number_id}/brand', { params: { path: { phone_number_id: number.phone_number_id } }, body: { brand: brand.trim() || null } }));
    said(t('accounts.brandSaved'));
  }, close);
  return (
    <Modal opened onClose={close} title={t('accounts.brandTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void save.act(); }}>
        <Stack gap="md">
          <div><Name>{number.verified_name}</Name> · <Phone number={number.display} raw /></div>
          <Autocomplete data-autofocus label={t('accounts.brand')} description={t('accounts.brandHint')} value={brand} onChange={setBrand} data={known} maxLength={60} dir="auto" />
          <ProblemNotice error={save.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={save.busy}>{t('act.save')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
