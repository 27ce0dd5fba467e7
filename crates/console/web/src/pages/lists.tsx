// Lists of people, and the files that they came from.
import { ActionIcon, Table, Tooltip } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type List } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useLists, useMay } from '../queries.ts';
import { Confirm, said } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Imports } from '../ui/imports.tsx';
import { Awaited, Card, Empty, Meter, Name, Num, Page, Scroll, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';

export function Lists() {
  const { t } = useTranslation();
  const format = useFormat();
  const manages = useMay('manage_lists');
  const drafts = useMay('draft_campaigns');
  const lists = useLists();
  const [removing, setRemoving] = useState<List | null>(null);
  const importing = manages ? <LinkButton to="/lists/import" leftSection={<Icon name="upload" size={18} />}>{t('lists.import')}</LinkButton> : undefined;
  return (
    <Page title={t('nav.lists')} acts={importing}>
      <Awaited asked={lists}>{(data) => (
        <Card flush>
          {data.length === 0 ? <Empty icon="people" title={t('lists.none')} act={importing}>{t('lists.noneWhat')}</Empty> : (
            <Scroll label={t('nav.lists')}>
              <Table highlightOnHover>
                <Table.Caption>{t('nav.lists')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('lists.name')}</Table.Th><Table.Th className="num">{t('lists.people')}</Table.Th><Table.Th className="num">{t('lists.reachable')}</Table.Th><Table.Th style={{ minInlineSize: 110 }}><span className="tiny">{t('lists.share')}</span></Table.Th><Table.Th className="num">{t('lists.stopped')}</Table.Th><Table.Th>{t('lists.created')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>
                  {data.map((list) => (
                    <Table.Tr key={list.id}>
                      <Table.Td className="strong"><Name>{list.name}</Name></Table.Td>
                      <Table.Td className="num"><Num>{list.members}</Num></Table.Td>
                      <Table.Td className="num"><Num>{list.members - list.suppressed}</Num></Table.Td>
                      <Table.Td>{list.members > 0 && <Meter parts={[{ share: (list.members - list.suppressed) / list.members }]} label={t('lists.reachOf', { name: list.name, share: format.percent((list.members - list.suppressed) / list.members) })} />}</Table.Td>
                      <Table.Td className="num"><Num>{list.suppressed}</Num></Table.Td>
                      <Table.Td className="small"><Time at={list.created_at} /></Table.Td>
                      <Table.Td>
                        <div className="acts-cell">
                          {drafts && <LinkButton size="xs" variant="default" to="/campaigns/new" search={{ list: list.name }}>{t('lists.use')}</LinkButton>}
                          {manages && <Tooltip label={t('lists.remove')}><ActionIcon variant="subtle" color="gray" c="var(--mantine-color-dimmed)" size={30} onClick={() => setRemoving(list)} aria-label={`${t('lists.remove')}: ${list.name}`}><Icon name="trash" size={18} /></ActionIcon></Tooltip>}
                        </div>
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Scroll>
          )}
        </Card>
      )}</Awaited>
      <Imports />
      <Confirm opened={removing !== null} close={() => setRemoving(null)} danger title={t('lists.removeTitle')} yes={t('lists.remove')} no={t('lists.keep')}
        does={() => answer(api.DELETE('/api/v1/lists/{list}', { params: { path: { list: removing?.name ?? '' } } })).then(() => said(t('lists.removed')))}>
        <p style={{ margin: 0 }}><span className="strong"><Name>{removing?.name}</Name></span> · {t('count.people', { count: removing?.members ?? 0 })}</p>
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('lists.removeWhat')}</p>
      </Confirm>
    </Page>
  );
}
