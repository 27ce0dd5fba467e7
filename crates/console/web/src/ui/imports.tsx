// The files that people came from: what became of each, its rejected rows, and the way back.
import { Button, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type ImportRecord } from '../api/client.ts';
import { LIVE, useMay } from '../queries.ts';
import { useRunning } from '../uploading.ts';
import { Confirm, said, useAct } from './act.tsx';
import { Icon } from './icons.tsx';
import { LinkButton } from './link.tsx';
import { Card, FileName, Name, Notice, Num, ProblemNotice, Scroll, Time } from './parts.tsx';
import { Said } from './said.tsx';
import { ImportState } from './words.tsx';

export function Imports() {
  const { t } = useTranslation();
  const running = useRunning();
  const pages = useInfiniteQuery({
    queryKey: ['imports'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/imports', { params: { query: { limit: 25, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => (state.data?.pages[0]?.items.some((each) => each.state === 'running' || each.state === 'undoing') ? LIVE : false),
  });
  const fetching = useAct((id: number) => download(`/api/v1/imports/${id}/rejects`, `import-${id}-rejects.csv`));
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  if (rows.length === 0) return null;
  // One that broke off, unless its file was imported again since. The newest rows come first.
  const broken = rows.find((each, place) => (each.state === 'interrupted' || (each.state === 'failed' && each.rows > 0))
    && !rows.slice(0, place).some((later) => later.list === each.list && later.file_name === each.file_name));
  return (
    <div className="stack" style={{ marginBlockStart: 16 }}>
      {running && running.summary === null && running.error == null && <Notice><p className="strong">{t('import.check.importing')} <FileName>{running.file.name}</FileName></p><p><LinkButton size="xs" variant="default" to="/lists/import">{t('act.look')}</LinkButton></p></Notice>}
      {broken && (
        <Notice tone="warn">
          <p className="strong">{t('imports.interrupted')} <FileName>{broken.file_name}</FileName></p>
          <p>{t('imports.interruptedWhat', { count: broken.accepted })}</p>
          <p style={{ marginBlockStart: 8 }}><LinkButton size="xs" variant="default" to="/lists/import" search={{ again: String(broken.import_id) }}>{t('imports.again')}</LinkButton></p>
        </Notice>
      )}
      <Card flush title={t('imports.title')}>
        {fetching.error != null && <div style={{ padding: '0 var(--pad) 12px' }}><ProblemNotice error={fetching.error} /></div>}
        <Scroll label={t('imports.title')}>
          <Table>
            <Table.Caption>{t('imports.title')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('imports.file')}</Table.Th><Table.Th>{t('imports.list')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th className="num">{t('imports.rows')}</Table.Th><Table.Th className="num">{t('imports.accepted')}</Table.Th><Table.Th className="num">{t('imports.duplicates')}</Table.Th><Table.Th className="num">{t('imports.rejected')}</Table.Th><Table.Th>{t('imports.when')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>{rows.map((each) => <Row key={each.import_id} record={each} busy={fetching.busy} fetch={(id) => void fetching.act(id)} />)}</Table.Tbody>
          </Table>
        </Scroll>
        {pages.hasNextPage && <div style={{ padding: 12, textAlign: 'center' }}><Button variant="default" size="xs" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('act.more')}</Button></div>}
      </Card>
    </div>
  );
}

function Row({ record, busy, fetch }: { record: ImportRecord; busy: boolean; fetch: (id: number) => void }) {
  const { t } = useTranslation();
  const sees = useMay('look_at_persons');
  const manages = useMay('manage_lists');
  const id = record.import_id;
  return (
    <Table.Tr>
      <Table.Td style={{ maxInlineSize: 260 }}><FileName>{record.file_name || '—'}</FileName><div className="tiny dim"><Name>{record.opt_in_source}</Name></div></Table.Td>
      <Table.Td><Name>{record.list}</Name></Table.Td>
      <Table.Td style={{ maxInlineSize: 260 }}>
        <ImportState state={record.state} />
        {record.error && <div className="tiny dim" style={{ marginBlockStart: 3 }}><Said>{record.error}</Said></div>}
        {record.same_as && <div className="tiny dim" style={{ marginBlockStart: 3 }}>{t('imports.same')} <Time at={record.same_as.at} /></div>}
      </Table.Td>
      <Table.Td className="num"><Num>{record.rows}</Num></Table.Td>
      <Table.Td className="num"><Num>{record.accepted}</Num></Table.Td>
      <Table.Td className="num"><Num>{record.duplicates}</Num></Table.Td>
      <Table.Td className="num">
        {sees && record.rejects_file && id != null
          ? <Button size="compact-sm" variant="subtle" loading={busy} onClick={() => fetch(id)} leftSection={<Icon name="download" size={15} />} aria-label={t('imports.fetch', { count: record.rejected })}><Num>{record.rejected}</Num></Button>
          : <Num>{record.rejected}</Num>}
      </Table.Td>
      <Table.Td className="small"><Time at={record.started_at} /><div className="tiny dim"><bdi dir="ltr">{record.actor}</bdi></div></Table.Td>
      <Table.Td><div className="acts-cell">{manages && id != null && ['done', 'failed', 'interrupted', 'undoing'].includes(record.state) && record.accepted > 0 && <UndoImport id={id} accepted={record.accepted} list={record.list} small />}</div></Table.Td>
    </Table.Tr>
  );
}

/** Takes an import back, as long as no campaign has used it; the server says which has. */
export function UndoImport({ id, accepted, list, small, done }: { id: number; accepted: number; list: string; small?: boolean; done?: () => void }) {
  const { t } = useTranslation();
  const [asking, { open, close }] = useDisclosure(false);
  return (
    <>
      <Button size={small ? 'xs' : undefined} variant="default" onClick={open} aria-label={small ? `${t('imports.undo')}: ${list}` : undefined}>{t('imports.undo')}</Button>
      <Confirm opened={asking} close={close} danger title={t('imports.undoTitle')} yes={t('imports.undo')} no={t('imports.undoNot')}
        does={async () => {
          const undone = await answer(api.POST('/api/v1/imports/{import}/undo', { params: { path: { import: id } } }));
          const kept = undone.kept_on_list > 0 ? [t('imports.undoneKept', { count: undone.kept_on_list })] : [];
          said([t('imports.undone', { count: undone.left_list }), ...kept].join(' '));
          done?.();
        }}>
        <p style={{ margin: 0 }}>{t('count.people', { count: accepted })} · <Name>{list}</Name></p>
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('imports.undoWhat')}</p>
      </Confirm>
    </>
  );
}
