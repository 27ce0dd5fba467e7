// How far a stop reaches, by the way it comes: everything, all marketing, or the marketing of the brand or the number
// that it was said to.
import { NativeSelect, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Reach } from '../api/client.ts';
import { Confirm, said } from './act.tsx';
import { Awaited, Card, Ident, Scroll, Time } from './parts.tsx';

/** Only what is said to one of our numbers can be for that number, or its brand, alone. */
const NARROW = new Set(['button', 'text']);

export function useReaches() {
  return useQuery({ queryKey: ['reaches'], queryFn: async () => (await answer(api.GET('/api/v1/optouts/scopes'))).items, staleTime: 60_000 });
}

export function Reaches({ may }: { may: boolean }) {
  const { t } = useTranslation();
  const reaches = useReaches();
  const [changing, setChanging] = useState<{ way: Reach; reach: string } | null>(null);
  const wider = (way: Reach) => (NARROW.has(way.way) ? ['all', 'marketing', 'brand', 'number'] : ['all', 'marketing']);
  return (
    <Awaited asked={reaches}>{(rows) => (
      <Card flush title={t('reach.title')}>
        <p className="small dim" style={{ padding: '0 var(--pad)', marginBlockStart: 0 }}>{t('reach.what')} {t('reach.brands')} <Link to="/accounts">{t('nav.accounts')}</Link></p>
        <Scroll label={t('reach.title')}>
          <Table>
            <Table.Caption>{t('reach.title')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('reach.way')}</Table.Th><Table.Th>{t('reach.stops')}</Table.Th><Table.Th>{t('reach.set')}</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.way}>
                  <Table.Th scope="row">{t(`reach.ways.${row.way}`, { defaultValue: row.way })}</Table.Th>
                  <Table.Td style={{ minInlineSize: 240 }}>
                    {may
                      ? <NativeSelect size="sm" aria-label={`${t('reach.stops')}: ${t(`reach.ways.${row.way}`, { defaultValue: row.way })}`} value={row.reach} onChange={(event) => setChanging({ way: row, reach: event.currentTarget.value })}
                          data={wider(row).map((value) => ({ value, label: `${t(`reach.to.${value}`)}${value === row.usual ? ` (${t('reach.usual')})` : ''}` }))} />
                      : <>{t(`reach.to.${row.reach}`, { defaultValue: row.reach })} {row.reach === row.usual && <span className="dim">({t('reach.usual')})</span>}</>}
                  </Table.Td>
                  <Table.Td className="small">{row.at ? <><Time at={row.at} /><div className="tiny dim"><Ident>{row.by}</Ident></div></> : <span className="dim">—</span>}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Scroll>
        <Confirm opened={changing !== null} close={() => setChanging(null)} title={t('reach.changeTitle')} yes={t('reach.change')} no={t('reach.leave')}
          does={() => answer(api.POST('/api/v1/optouts/scopes', { body: { way: changing?.way.way ?? '', reach: changing?.reach ?? '' } })).then(() => said(t('rules.saved')))}>
          {changing && <dl className="pairs" style={{ marginBlockEnd: 12 }}><dt>{t('reach.way')}</dt><dd>{t(`reach.ways.${changing.way.way}`)}</dd><dt>{t('reach.before')}</dt><dd>{t(`reach.to.${changing.way.reach}`)}</dd><dt>{t('reach.after')}</dt><dd className="strong">{t(`reach.to.${changing.reach}`)}</dd></dl>}
          <p className="small dim" style={{ margin: 0 }}>{t('reach.changeWhat')}</p>
        </Confirm>
      </Card>
    )}</Awaited>
  );
}
