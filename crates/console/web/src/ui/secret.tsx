// A new app secret, while webhooks that the old one signed still come in: both vouch until the old one is dropped.
import { Button, Group, Modal, PasswordInput, Stack } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { type Account, answer, api } from '../api/client.ts';
import { Confirm, said, useAct } from './act.tsx';
import { Notice, ProblemNotice, Time } from './parts.tsx';

const pathOf = (account: Account) => ({ params: { path: { account: account.name } } });

/** Begins it: told here first, then at Meta. */
export function NewSecret({ account }: { account: Account }) {
  const { t } = useTranslation();
  const [opened, { open, close }] = useDisclosure(false);
  const [secret, setSecret] = useState('');
  const shut = () => {
    setSecret('');
    close();
  };
  const begin = useAct(async () => {
    await answer(api.POST('/api/v1/accounts/{account}/secret', { ...pathOf(account), body: { app_secret: secret.trim() } }));
    said(t('secret.begun'));
  }, shut);
  if (account.secret_rotation_since) return null;
  return (
    <>
      <Button size="xs" variant="default" onClick={open}>{t('secret.new')}</Button>
      <Modal opened={opened} onClose={shut} title={t('secret.title')} closeButtonProps={{ 'aria-label': t('act.close') }}>
        <form onSubmit={(event) => { event.preventDefault(); void begin.act(); }}>
          <Stack gap="md">
            <p className="small dim" style={{ margin: 0 }}>{t('secret.what')}</p>
            <PasswordInput data-autofocus label={t('accounts.field.app_secret')} required value={secret} autoComplete="off" onChange={(event) => setSecret(event.currentTarget.value)}
              visibilityToggleButtonProps={{ 'aria-label': t('signin.show') }} styles={{ innerInput: { direction: 'ltr' } }} />
            <ProblemNotice error={begin.error} />
            <Group justify="flex-end"><Button variant="default" onClick={shut}>{t('act.notNow')}</Button><Button type="submit" loading={begin.busy} disabled={secret.trim() === ''}>{t('secret.begin')}</Button></Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}

/** While it is under way, and the means to end it. */
export function Rotating({ account, may }: { account: Account; may: boolean }) {
  const { t } = useTranslation();
  const [asking, { open, close }] = useDisclosure(false);
  if (!account.secret_rotation_since) return null;
  return (
    <div style={{ marginBlockStart: 12 }}>
      <Notice tone="warn">
        <p className="strong">{t('secret.both')} <Time at={account.secret_rotation_since} /></p>
        <p>{t('secret.next')}</p>
        {may && <p style={{ marginBlockStart: 8 }}><Button size="xs" variant="default" onClick={open}>{t('secret.end')}</Button></p>}
      </Notice>
      <Confirm opened={asking} close={close} danger title={t('secret.endTitle')} yes={t('secret.end')} no={t('secret.keep')}
        does={() => answer(api.DELETE('/api/v1/accounts/{account}/secret', pathOf(account))).then(() => said(t('secret.ended')))}>{t('secret.endWhat')}</Confirm>
    </div>
  );
}
