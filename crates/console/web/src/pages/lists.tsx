// Lists of people, and the files that they came from.
import { ActionIcon, Button, Table, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type List } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useLists, useMay } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Empty, Meter, Name, Num, Page, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { ImportState } from '../ui/words.tsx';

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

function Imports() {
  const { t } = useTranslation();
  const sees = useMay('look_at_persons');
  const imports = useQuery({ queryKey: ['imports'], queryFn: async () => (await answer(api.GET('/api/v1/imports', { params: { query: { limit: 25 } } }))).items });
  const fetching = useAct((id: number) => download(`/api/v1/imports/${id}/rejects`, `import-${id}-rejects.csv`));
  if (!imports.data || imports.data.length === 0) return null;
  return (
    <div style={{ marginBlockStart: 16 }}>
      <Card flush title={t('imports.title')}>
        <ProblemNotice error={fetching.error} />
        <Scroll label={t('imports.title')}>
          <Table>
            <Table.Caption>{t('imports.title')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('imports.file')}</Table.Th><Table.Th>{t('imports.list')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th className="num">{t('imports.rows')}</Table.Th><Table.Th className="num">{t('imports.accepted')}</Table.Th><Table.Th className="num">{t('imports.duplicates')}</Table.Th><Table.Th className="num">{t('imports.rejected')}</Table.Th><Table.Th>{t('imports.when')}</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {imports.data.map((each) => (
                <Table.Tr key={each.import_id}>
                  <Table.Td style={{ maxInlineSize: 260 }}><Name>{each.file_name || '—'}</Name><div className="tiny dim"><Name>{each.opt_in_source}</Name></div></Table.Td>
                  <Table.Td><Name>{each.list}</Name></Table.Td>
                  <Table.Td><ImportState state={each.state} /></Table.Td>
                  <Table.Td className="num"><Num>{each.rows}</Num></Table.Td>
                  <Table.Td className="num"><Num>{each.accepted}</Num></Table.Td>
                  <Table.Td className="num"><Num>{each.duplicates}</Num></Table.Td>
                  <Table.Td className="num">
                    {sees && each.rejects_file && each.import_id != null
                      ? <Button size="compact-sm" variant="subtle" loading={fetching.busy} onClick={() => void fetching.act(each.import_id as number)} leftSection={<Icon name="download" size={15} />} aria-label={t('imports.fetch', { count: each.rejected })}><Num>{each.rejected}</Num></Button>
                      : <Num>{each.rejected}</Num>}
                  </Table.Td>
                  <Table.Td className="small"><Time at={each.started_at} /><div className="tiny dim"><bdi dir="ltr">{each.actor}</bdi></div></Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Scroll>
      </Card>
    </div>
  );
}
