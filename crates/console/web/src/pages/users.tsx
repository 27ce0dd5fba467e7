// Users: invited by a link that opens once, given another role, removed; and what each role may do.
import { Button, Group, Modal, NativeSelect, Stack, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Role, type User } from '../api/client.ts';
import { useMay, useMe } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Name, Notice, Page, ProblemNotice, Scroll, State, Time } from '../ui/parts.tsx';
import { RoleChoice, ROLES, ShownOnce } from '../ui/role.tsx';

export function Users() {
  const { t } = useTranslation();
  const administers = useMay('administer');
  const me = useMe().data;
  const users = useQuery({ queryKey: ['users'], queryFn: async () => (await answer(api.GET('/api/v1/users', { params: { query: { limit: 1000 } } }))).items, enabled: administers });
  const [inviting, setInviting] = useState(false);
  const [changing, setChanging] = useState<User | null>(null);
  const [relinking, setRelinking] = useState<User | null>(null);
  const [removing, setRemoving] = useState<User | null>(null);
  if (!administers && me) return <Page title={t('nav.users')}><Notice tone="warn"><p>{t('users.notYours')}</p></Notice></Page>;
  return (
    <Page title={t('nav.users')} sub={t('users.sub')} acts={<Button onClick={() => setInviting(true)} leftSection={<Icon name="plus" size={18} />}>{t('users.invite')}</Button>}>
      <Awaited asked={users}>{(data) => (
        <Card flush>
          {data.length === 0 ? <p className="dim" style={{ padding: 20, margin: 0 }}>{t('users.none')}</p> : (
            <Scroll label={t('nav.users')}>
              <Table>
                <Table.Caption>{t('nav.users')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('users.who')}</Table.Th><Table.Th>{t('keys.role')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th>{t('users.signedIn')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>
                  {data.map((user) => (
                    <Table.Tr key={user.id}>
                      <Table.Td><span className="strong"><Name>{user.name || '—'}</Name></span>{me?.actor === `user:${user.email}` && <span className="tiny dim"> · {t('keys.yours')}</span>}<div className="small"><bdi dir="ltr" className="break">{user.email}</bdi></div></Table.Td>
                      <Table.Td>{t(`role.${user.role}`, { defaultValue: user.role })}</Table.Td>
                      <Table.Td>{user.state === 'active' ? <State tone="good" icon="check">{t('keys.active')}</State> : <State tone="warn" icon="clock">{t('users.invited')}</State>}</Table.Td>
                      <Table.Td className="small"><Time at={user.signed_in_at} /></Table.Td>
                      <Table.Td><div className="acts-cell">
                        <Button size="xs" variant="default" onClick={() => setChanging(user)} aria-label={`${t('users.role')}: ${user.email}`}>{t('users.role')}</Button>
                        <Button size="xs" variant="default" onClick={() => setRelinking(user)} aria-label={`${t('users.link')}: ${user.email}`}>{t('users.link')}</Button>
                        <Button size="xs" variant="default" onClick={() => setRemoving(user)} aria-label={`${t('users.remove')}: ${user.email}`}>{t('users.remove')}</Button>
                      </div></Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Scroll>
          )}
        </Card>
      )}</Awaited>
      <Roles />
      {inviting && <Invite close={() => setInviting(false)} />}
      {changing && <ChangeRole user={changing} close={() => setChanging(null)} />}
      {relinking && <Relink user={relinking} close={() => setRelinking(null)} />}
      <Confirm opened={removing !== null} close={() => setRemoving(null)} danger title={t('users.removeTitle')} yes={t('users.remove')} no={t('users.keep')}
        does={() => answer(api.DELETE('/api/v1/users/{user}', { params: { path: { user: removing?.id ?? 0 } } })).then(() => said(t('users.removed')))}>
        <p style={{ margin: 0 }}><bdi dir="ltr" className="strong">{removing?.email}</bdi> · {t('users.removeWhat')}</p>
      </Confirm>
    </Page>
  );
}

/** The table that the server goes by, as it says. */
function Roles() {
  const { t } = useTranslation();
  const roles = useQuery({ queryKey: ['roles'], queryFn: async () => (await answer(api.GET('/api/v1/roles'))).items, staleTime: 3_600_000 });
  const all = roles.data?.find(({ role }) => role === 'admin')?.permissions ?? [];
  return (
    <Card title={t('users.roles')} flush>
      <Scroll label={t('users.roles')}>
        <Table>
          <Table.Caption>{t('users.roles')}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th>{t('users.may')}</Table.Th>{roles.data?.map(({ role }) => <Table.Th key={role} className="mid">{t(`role.${role}`)}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>
            {all.map((permission) => (
              <Table.Tr key={permission}>
                <Table.Td>{t(`permission.${permission}`)}</Table.Td>
                {roles.data?.map(({ role, permissions }) => (
                  <Table.Td key={role} className="mid">{permissions.includes(permission) ? <><Icon name="check" size={16} /><span className="skip">{t('users.yes')}</span></> : <><span className="dim" aria-hidden="true">·</span><span className="skip">{t('users.no')}</span></>}</Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Scroll>
    </Card>
  );
}

function Invite({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [link, setLink] = useState<string | null>(null);
  const invite = useAct(async () => {
    setLink((await answer(api.POST('/api/v1/users', { body: { email, role } }))).link ?? null);
  });
  return (
    <Modal opened onClose={close} title={t('users.inviteTitle')} closeOnClickOutside={link === null} closeButtonProps={{ 'aria-label': t('act.close') }}>
      {link !== null ? <FreshLink link={link} close={close} /> : (
        <form onSubmit={(event) => { event.preventDefault(); void invite.act(); }}>
          <Stack gap="md">
            <TextInput data-autofocus type="email" label={t('signin.email')} description={t('users.emailHint')} required value={email} onChange={(event) => setEmail(event.currentTarget.value)} autoComplete="off" styles={{ input: { direction: 'ltr' } }} />
            <RoleChoice value={role} change={setRole} />
            <ProblemNotice error={invite.error} />
            <Group justify="flex-end" gap="sm"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={invite.busy}>{t('users.invite')}</Button></Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

function FreshLink({ link, close }: { link: string; close: () => void }) {
  const { t } = useTranslation();
  return <ShownOnce secret={`${window.location.origin}${link}`} label={t('users.theLink')} warning={t('users.linkOnce')} close={close} />;
}

function ChangeRole({ user, close }: { user: User; close: () => void }) {
  const { t } = useTranslation();
  const [role, setRole] = useState(user.role as Role);
  const change = useAct(() => answer(api.POST('/api/v1/users/{user}/role', { params: { path: { user: user.id } }, body: { role } })).then(() => said(t('users.roleChanged'))), close);
  return (
    <Modal opened onClose={close} title={t('users.roleTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void change.act(); }}>
        <Stack gap="md">
          <p style={{ margin: 0 }}><bdi dir="ltr" className="strong">{user.email}</bdi></p>
          <NativeSelect data-autofocus label={t('keys.role')} description={t(`roleMay.${role}`)} value={role} onChange={(event) => setRole(event.currentTarget.value as Role)} data={ROLES.map((value) => ({ value, label: t(`role.${value}`) }))} />
          <ProblemNotice error={change.error} />
          <Group justify="flex-end" gap="sm"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={change.busy}>{t('act.save')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Relink({ user, close }: { user: User; close: () => void }) {
  const { t } = useTranslation();
  const [link, setLink] = useState<string | null>(null);
  const make = useAct(async () => {
    setLink((await answer(api.POST('/api/v1/users/{user}/link', { params: { path: { user: user.id } } }))).link ?? null);
  });
  return (
    <Modal opened onClose={close} title={t('users.linkTitle')} closeOnClickOutside={link === null} closeButtonProps={{ 'aria-label': t('act.close') }}>
      {link !== null ? <FreshLink link={link} close={close} /> : (
        <Stack gap="md">
          <p style={{ margin: 0 }}><bdi dir="ltr" className="strong">{user.email}</bdi> · {t('users.linkWhat')}</p>
          <ProblemNotice error={make.error} />
          <Group justify="flex-end" gap="sm"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button loading={make.busy} onClick={() => void make.act()}>{t('users.link')}</Button></Group>
        </Stack>
      )}
    </Modal>
  );
}
