// The pace as a chart and, beside it, the same in figures.
import { Table } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../format.ts';
import type { Point } from '../progress.ts';
import { PaceChart, showsLimit } from './chart.tsx';
import { Scroll } from './parts.tsx';

/** As many figures as stand beside the chart without more room. */
const FIGURES = 6;

export function PaceWithTable({ points, limit }: { points: Point[]; limit: number | null }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (points.length < 2) return <p className="dim" style={{ minBlockSize: 60 }}>{t('pace.soon')}</p>;
  const shown = points.slice(-FIGURES).reverse();
  // As many places for each: figures under each other are compared.
  const places = shown.every(({ pace }) => Number.isInteger(Math.round(pace * 10) / 10)) ? 0 : 1;
  return (
    <div className="columns charted">
      <div>
        <PaceChart points={points} limit={limit} />
        <p className="tiny dim" style={{ marginBlockEnd: 0 }}>{limit === null ? t('pace.noLimit') : t(showsLimit(points, limit) ? 'pace.dashed' : 'pace.above', { limit: format.number(limit, { maximumFractionDigits: 2 }) })}</p>
      </div>
      <Scroll label={t('pace.title')}>
        <Table verticalSpacing={4}>
          <Table.Caption>{t('pace.title')}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th>{t('pace.at')}</Table.Th><Table.Th className="num">{t('pace.messages')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>{shown.map(({ at, pace }) => <Table.Tr key={at}><Table.Td className="nowrap">{format.clock(at)}</Table.Td><Table.Td className="num">{format.number(pace, { minimumFractionDigits: places, maximumFractionDigits: places })}</Table.Td></Table.Tr>)}</Table.Tbody>
        </Table>
      </Scroll>
    </div>
  );
}
