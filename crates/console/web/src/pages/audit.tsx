// The audit log: who did what, and who was refused.
import { Button, Group, NativeSelect, Table, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type AuditRow } from '../api/client.ts';
import { useMay, useMe } from '../queries.ts';
import { Awaited, Card, Ident, Notice, Page, Scroll, State, Time } from '../ui/parts.tsx';

/** Operations that are asked for most; any other can be reached by its row. */
const ACTIONS = ['sessions_sign_in', 'users_invite', 'users_set_role', 'users_remove', 'apikeys_create', 'imports_create', 'campaigns_launch', 'campaigns_export', 'optouts_add', 'optouts_check', 'optouts_lift', 'optouts_approve'];

export function Audit() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const me = useMe().data;
  const [typed, setTyped] = useState('');
  const [actor, setActor] = useState('');
  const [action, setAction] = useState('');
  const rows = useInfiniteQuery({
    queryKey: ['audit', actor, action],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/audit', { params: { query: { actor: actor || undefined, action: action || undefined, after: pageParam } } })),
    getNextPageParam: (last) => last.next ?? undefined,
    enabled: audits,
  });
  if (!audits && me) return <Page title={t('nav.audit')}><Notice tone="warn"><p>{t('audit.notYours')}</p></Notice></Page>;
  return (
    <Page title={t('nav.audit')} sub={t('audit.sub')}>
      <form role="search" onSubmit={(event) => { event.preventDefault(); setActor(typed.trim()); }}>
        <Group gap="sm" align="flex-end" mb="md">
          <TextInput data-search label={t('audit.actor')} placeholder="user:mona@example.com" value={typed} onChange={(event) => setTyped(event.currentTarget.value)} styles={{ input: { direction: 'ltr' } }} />
          <NativeSelect label={t('audit.action')} value={action} onChange={(event) => setAction(event.currentTarget.value)}
            data={[{ value: '', label: t('audit.every') }, ...[...new Set([...ACTIONS, ...(action ? [action] : [])])].map((value) => ({ value, label: t(`auditAction.${value}`, { defaultValue: value }) }))]} />
          <Button type="submit" variant="default">{t('act.look')}</Button>
        </Group>
      </form>
      <Awaited asked={{ data: rows.data?.pages.flatMap(({ items }) => items), error: rows.error, refetch: rows.refetch }}>{(data) => (
        <Card flush>
          {data.length === 0 ? <p className="dim" style={{ padding: 20, margin: 0 }}>{t('audit.none')}</p> : (
            <Scroll label={t('nav.audit')}>
              <Table>
                <Table.Caption>{t('nav.audit')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('audit.at')}</Table.Th><Table.Th>{t('audit.who')}</Table.Th><Table.Th>{t('audit.what')}</Table.Th><Table.Th>{t('audit.came')}</Table.Th><Table.Th>{t('audit.from')}</Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>{data.map((row) => <Row key={row.id} row={row} />)}</Table.Tbody>
              </Table>
            </Scroll>
          )}
          {rows.hasNextPage && <p style={{ padding: 14, margin: 0 }}><Button variant="default" size="xs" loading={rows.isFetchingNextPage} onClick={() => void rows.fetchNextPage()}>{t('act.more')}</Button></p>}
        </Card>
      )}</Awaited>
    </Page>
  );
}

function Row({ row }: { row: AuditRow }) {
  const { t } = useTranslation();
  const done = row.status < 400;
  const words = done ? 'audit.done' : row.status === 403 ? 'audit.forbidden' : row.status === 401 || row.status === 429 ? 'audit.refused' : 'audit.failed';
  return (
    <Table.Tr>
      <Table.Td className="small"><Time at={row.at} withSeconds /></Table.Td>
      <Table.Td><bdi dir="ltr" className="break">{row.actor}</bdi></Table.Td>
      <Table.Td>{t(`auditAction.${row.action}`, { defaultValue: row.action })}{row.target !== '' && <div className="tiny"><Target of={row} /></div>}</Table.Td>
      <Table.Td><State tone={done ? 'good' : 'warn'} icon={done ? 'check' : 'cross'}>{t(words)}</State></Table.Td>
      <Table.Td className="small"><bdi dir="ltr">{row.address}</bdi></Table.Td>
    </Table.Tr>
  );
}

/** What it was done to: a campaign by a link to it, anything else by its id. */
function Target({ of: { action, target } }: { of: AuditRow }) {
  const { t } = useTranslation();
  if (!action.startsWith('campaigns_') || !/^\d+$/.test(target)) return <Ident>{target}</Ident>;
  return <Link to="/campaigns/$campaign" params={{ campaign: target }}>{t('audit.campaign', { id: target })}</Link>;
}
