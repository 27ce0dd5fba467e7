// A long table: only the rows in sight are in the document, however many were fetched; more are fetched as the end
// comes near.
import { Button, Table } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

export function LongTable<T>({ label, heads, rows, keyOf, cells, more }: {
  label: string;
  heads: ReactNode;
  rows: T[];
  keyOf: (row: T) => string | number;
  cells: (row: T) => ReactNode;
  more: { has: boolean; busy: boolean; fetch: () => void };
}) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => 46, overscan: 8, getItemKey: (place) => keyOf(rows[place] as T) });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const { has, busy, fetch } = more;
  useEffect(() => {
    if (has && !busy && rows.length > 0 && last >= rows.length - 10 && rows.length >= 100 && last > 20) fetch();
  }, [last, rows.length, has, busy, fetch]);
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <>
      <div className="virtual scroll" ref={box} role="region" aria-label={label} tabIndex={0}>
        <Table stickyHeader aria-rowcount={has ? -1 : rows.length + 1}>
          <Table.Caption>{label}</Table.Caption>
          <Table.Thead><Table.Tr aria-rowindex={1}>{heads}</Table.Tr></Table.Thead>
          <Table.Tbody>
            {before > 0 && <tr aria-hidden="true" style={{ blockSize: before }} />}
            {items.map(({ index, key }) => <Table.Tr key={key} data-index={index} ref={virtual.measureElement} aria-rowindex={index + 2}>{cells(rows[index] as T)}</Table.Tr>)}
            {after > 0 && <tr aria-hidden="true" style={{ blockSize: after }} />}
          </Table.Tbody>
        </Table>
      </div>
      {has && <div style={{ padding: 12, textAlign: 'center', borderBlockStart: '1px solid var(--line)' }}><Button variant="default" size="xs" loading={busy} onClick={fetch}>{t('act.more')}</Button></div>}
    </>
  );
}
