// What inviting a user and making a key have in common: a role is chosen, and something is shown once.
import { Button, CopyButton, Group, Radio, Stack } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Role } from '../api/client.ts';
import { said } from './act.tsx';
import { Icon } from './icons.tsx';
import { Notice } from './parts.tsx';

export const ROLES: Role[] = ['admin', 'marketer', 'launcher', 'operator', 'compliance', 'viewer'];

/** Every role with what it may. */
export function RoleChoice({ value, change }: { value: Role; change: (role: Role) => void }) {
  const { t } = useTranslation();
  return (
    <Radio.Group label={t('keys.role')} value={value} onChange={(role) => change(role as Role)}>
      <div style={{ marginBlockStart: 8 }}>{ROLES.map((each) => <div className="choice" style={{ paddingBlock: 9 }} key={each}><Radio value={each} label={t(`role.${each}`)} description={t(`roleMay.${each}`)} /></div>)}</div>
    </Radio.Group>
  );
}

/** A secret that is shown this once: to be copied, before the dialog is closed by saying so. */
export function ShownOnce({ secret, label, warning, close }: { secret: string; label: string; warning: string; close: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack gap="md">
      <Notice tone="warn" live><p className="strong">{warning}</p></Notice>
      <code className="cmd" dir="ltr" tabIndex={0} aria-label={label}>{secret}</code>
      <Group justify="flex-end" gap="sm">
        <CopyButton value={secret}>{({ copied, copy }) => <Button variant="default" onClick={() => { copy(); said(t('keys.copied')); }} leftSection={<Icon name={copied ? 'check' : 'copy'} size={17} />}>{t(copied ? 'keys.copied' : 'keys.copy')}</Button>}</CopyButton>
        <Button onClick={close}>{t('keys.kept')}</Button>
      </Group>
    </Stack>
  );
}
