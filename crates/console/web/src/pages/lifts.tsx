// Blocks that somebody asked to lift. A second person decides, and the ledger keeps both names and the reason.
import { Button, Table } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Lift } from '../api/client.ts';
import { askAbout } from '../asked.ts';
import { useMay, useMe } from '../queries.ts';
import { Confirm, said } from '../ui/act.tsx';
import { AsOf, Awaited, Card, Empty, Ident, Notice, Page, Phone, Scroll, Time } from '../ui/parts.tsx';

export function Lifts() {
  const { t } = useTranslation();
  const lifts = useMay('lift_opt_outs');
  const audits = useMay('audit');
  const me = useMe().data;
  const navigate = useNavigate();
  const [deciding, setDeciding] = useState<{ lift: Lift; as: 'approve' | 'refuse' } | null>(null);
  const pages = useInfiniteQuery({
    queryKey: ['lifts', 'pages'],
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/optouts/lifts', { params: { query: { limit: 200, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 5_000,
    enabled: lifts,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const evidence = (person: string) => {
    askAbout(person);
    void navigate({ to: '/person' });
  };
  if (!lifts) return <Page title={t('nav.lifts')}><Notice tone="warn"><p>{t('lifts.notYours')}</p></Notice></Page>;
  return (
    <Page title={t('nav.lifts')} sub={t('lifts.sub')} acts={<AsOf at={pages.dataUpdatedAt} />}>
      <Awaited asked={pages}>{() => (
        <Card flush>
          {rows.length === 0 ? <Empty icon="check" title={t('lifts.none')}>{t('lifts.noneWhat')}</Empty> : (
            <Scroll label={t('nav.lifts')}>
              <Table>
                <Table.Caption>{t('nav.lifts')}</Table.Caption>
                <Table.Thead><Table.Tr><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('reason.label')}</Table.Th><Table.Th>{t('lifts.by')}</Table.Th><Table.Th>{t('lifts.at')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
                <Table.Tbody>{rows.map((row) => (
                  <Table.Tr key={row.id}>
                    <Table.Td><Phone number={row.person} />{audits && row.person && <div><button type="button" className="linklike small" style={{ fontWeight: 400, color: 'var(--accent)' }} onClick={() => evidence(row.person as string)}>{t('lifts.evidence')}</button></div>}</Table.Td>
                    <Table.Td style={{ minInlineSize: 180, maxInlineSize: 380 }}><bdi className="break">{row.reason}</bdi></Table.Td>
                    <Table.Td className="small"><Ident>{row.requested_by}</Ident></Table.Td>
                    <Table.Td className="small"><Time at={row.at} /></Table.Td>
                    <Table.Td>{row.requested_by === me?.actor ? <span className="small dim">{t('lifts.own')}</span> : (
                      <div className="acts-cell">
                        <Button size="xs" variant="default" onClick={() => setDeciding({ lift: row, as: 'refuse' })}>{t('lifts.refuse')}</Button>
                        <Button size="xs" onClick={() => setDeciding({ lift: row, as: 'approve' })}>{t('lifts.approve')}</Button>
                      </div>
                    )}</Table.Td>
                  </Table.Tr>
                ))}</Table.Tbody>
              </Table>
            </Scroll>
          )}
          {pages.hasNextPage && <p style={{ padding: 14, margin: 0 }}><Button variant="default" size="xs" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t('act.more')}</Button></p>}
        </Card>
      )}</Awaited>
      <Confirm opened={deciding !== null} close={() => setDeciding(null)} title={t(deciding?.as === 'approve' ? 'lifts.approveTitle' : 'lifts.refuseTitle')}
        yes={t(deciding?.as === 'approve' ? 'lifts.approve' : 'lifts.refuse')}
        does={async () => {
          if (deciding === null) return;
          const path = { params: { path: { lift: deciding.lift.id } } };
          if (deciding.as === 'approve') await answer(api.POST('/api/v1/optouts/lifts/{lift}/approve', path));
          else await answer(api.POST('/api/v1/optouts/lifts/{lift}/refuse', path));
          said(t(deciding.as === 'approve' ? 'lifts.approved' : 'lifts.refused'));
        }}>
        {deciding && <p className="strong" style={{ marginBlockStart: 0 }}><Phone number={deciding.lift.person} /></p>}
        {deciding && <blockquote className="quote" dir="auto">{deciding.lift.reason}</blockquote>}
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t(deciding?.as === 'approve' ? 'lifts.approveWhat' : 'lifts.refuseWhat')}</p>
      </Confirm>
    </Page>
  );
}
