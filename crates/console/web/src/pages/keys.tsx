// API keys: made, shown once, revoked.
import { Button, Group, Modal, Stack, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Key, type Role } from '../api/client.ts';
import { useMay, useMe } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Name, Notice, Page, ProblemNotice, Scroll, State, Time } from '../ui/parts.tsx';
import { RoleChoice, ShownOnce } from '../ui/role.tsx';

export function Keys() {
  const { t } = useTranslation();
  const administers = useMay('administer');
  const me = useMe().data;
  const keys = useQuery({ queryKey: ['keys'], queryFn: async () => (await answer(api.GET('/api/v1/apikeys'))).items, enabled: administers });
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  return (
    <Page title={t('nav.keys')} sub={t('keys.sub')} acts={administers && <Button onClick={() => setMaking(true)} leftSection={<Icon name="plus" size={18} />}>{t('keys.make')}</Button>}>
      {!administers && me ? <Notice tone="warn"><p>{t('keys.notYours')}</p></Notice> : (
        <Awaited asked={keys}>{(data) => (
          <Card flush>
            <Scroll label={t('nav.keys')}>
              <Table>
                <Table.Caption>{t('nav.keys')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('keys.name')}</Table.Th><Table.Th>{t('keys.role')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th>{t('keys.used')}</Table.Th><Table.Th>{t('keys.made')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>
                  {data.map((key) => (
                    <Table.Tr key={key.id}>
                      <Table.Td className="strong"><Name>{key.name}</Name>{me?.actor === `key:${key.name}` && <span className="tiny dim"> · {t('keys.yours')}</span>}</Table.Td>
                      <Table.Td>{t(`role.${key.role}`, { defaultValue: key.role })}</Table.Td>
                      <Table.Td>{key.revoked_at ? <State tone="calm" icon="cross">{t('keys.revoked')}</State> : <State tone="good" icon="check">{t('keys.active')}</State>}</Table.Td>
                      <Table.Td className="small"><Time at={key.last_used_at} /></Table.Td>
                      <Table.Td className="small"><Time at={key.created_at} /><div className="tiny dim"><bdi dir="ltr">{key.created_by}</bdi></div></Table.Td>
                      <Table.Td><div className="acts-cell">{!key.revoked_at && <Button size="xs" variant="default" onClick={() => setRevoking(key)} aria-label={`${t('keys.revoke')}: ${key.name}`}>{t('keys.revoke')}</Button>}</div></Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Scroll>
          </Card>
        )}</Awaited>
      )}
      <Confirm opened={revoking !== null} close={() => setRevoking(null)} danger title={t('keys.revokeTitle')} yes={t('keys.revoke')} no={t('keys.keep')}
        does={() => answer(api.DELETE('/api/v1/apikeys/{name}', { params: { path: { name: revoking?.name ?? '' } } })).then(() => said(t('keys.isRevoked')))}>
        <p style={{ margin: 0 }}><span className="strong"><Name>{revoking?.name}</Name></span> · {t('keys.revokeWhat')}</p>
        {me?.actor === `key:${revoking?.name}` && <p style={{ marginBlockEnd: 0, color: 'var(--bad)' }}>{t('keys.revokeOwn')}</p>}
      </Confirm>
      {making && <Make close={() => setMaking(false)} />}
    </Page>
  );
}

function Make({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [fresh, setFresh] = useState<string | null>(null);
  const make = useAct(async () => {
    const made = await answer(api.POST('/api/v1/apikeys', { body: { name: name.trim(), role } }));
    setFresh(made.key ?? null);
  });
  return (
    <Modal opened onClose={close} title={t('keys.makeTitle')} closeOnClickOutside={fresh === null} closeButtonProps={{ 'aria-label': t('act.close') }}>
      {fresh === null ? (
        <form onSubmit={(event) => { event.preventDefault(); void make.act(); }}>
          <Stack gap="md">
            <TextInput data-autofocus label={t('keys.name')} description={t('keys.nameHint')} required maxLength={100} value={name} onChange={(event) => setName(event.currentTarget.value)} autoComplete="off" />
            <RoleChoice value={role} change={setRole} />
            <ProblemNotice error={make.error} />
            <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={make.busy} disabled={name.trim() === ''}>{t('keys.make')}</Button></Group>
          </Stack>
        </form>
      ) : (
        <ShownOnce secret={fresh} label={t('keys.theKey')} warning={t('keys.once')} close={close} />
      )}
    </Modal>
  );
}
