// What came of an import, or would: the counts, how the file was read, and the rows that are wrong.
import { Button, Table } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { ImportSummary } from '../api/client.ts';
import { FIELDS } from '../csv.ts';
import { Card, Cell, Fact, Ident, Name, Notice, Num, Scroll, Time } from './parts.tsx';
import { Said } from './said.tsx';

export function Outcome({ summary, dry }: { summary: ImportSummary; dry?: boolean }) {
  const { t } = useTranslation();
  return (
    <>
      {summary.same_as && dry && (
        <div style={{ marginBlockEnd: 16 }}><Notice tone="warn"><p className="strong">{t('import.check.same')} <Time at={summary.same_as.at} /></p><p>{t('import.check.sameWhat')}</p></Notice></div>
      )}
      <div className="facts">
        <Fact label={t('imports.rows')} value={<Num>{summary.rows}</Num>} />
        <Fact label={t(dry ? 'import.check.good' : 'imports.accepted')} value={<Num>{summary.accepted}</Num>} tone={summary.accepted > 0 ? 'good' : undefined} note={t('import.check.new', { count: summary.created })} />
        <Fact label={t('imports.duplicates')} value={<Num>{summary.duplicates}</Num>} note={t('import.check.once')} />
        <Fact label={t('imports.rejected')} value={<Num>{summary.rejected}</Num>} tone={summary.rejected > 0 ? 'warn' : undefined} note={summary.rejected > 0 ? t('import.check.mend') : undefined} />
        <Fact label={t('import.check.suppressed')} value={<Num>{summary.suppressed}</Num>} note={t('import.check.suppressedWhat')} />
      </div>
      <div className="stack">
        <HowRead summary={summary} />
        <Rejects summary={summary} />
      </div>
    </>
  );
}

/** How the file was taken: what a person should see before its people are kept. */
function HowRead({ summary }: { summary: ImportSummary }) {
  const { t, i18n } = useTranslation();
  if (!summary.format) return null;
  const sign = { ',': 'comma', ';': 'semicolon', '\t': 'tab', '|': 'pipe' }[summary.delimiter ?? ''];
  const encoding = summary.encoding && (i18n.exists(`import.encoding.${summary.encoding}`) ? t(`import.encoding.${summary.encoding}`) : summary.encoding);
  const { mapping = {}, remarks = [] } = summary;
  const mapped = FIELDS.filter((field) => mapping[field] !== undefined);
  return (
    <Card title={t('import.read.title')}>
      <dl className="pairs small">
        <dt>{t('import.read.format')}</dt>
        <dd><Ident>{summary.format.toUpperCase()}</Ident>{encoding && <> · {encoding}</>}{sign && <> · {t(`import.delimiter.${sign}`)}</>}{summary.sheet && <> · <Name>{summary.sheet}</Name></>}</dd>
        {mapped.map((field) => <div key={field} className="contents"><dt>{t(`import.field.${field}`)}</dt><dd><Name>{mapping[field]}</Name></dd></div>)}
        {!summary.header && <><dt>{t('import.read.header')}</dt><dd>{t('import.read.noHeader')}</dd></>}
      </dl>
      {remarks.length > 0 && <ul className="small" style={{ marginBlock: '12px 0', paddingInlineStart: '1.2em' }}>{remarks.map((remark) => <li key={remark}><Said>{remark}</Said></li>)}</ul>}
    </Card>
  );
}

function Rejects({ summary }: { summary: ImportSummary }) {
  const { t } = useTranslation();
  const rejects = summary.first_rejects ?? [];
  const [all, setAll] = useState(false);
  if (rejects.length === 0) return null;
  return (
    <Card flush title={t('import.check.bad')} aside={<span className="small dim">{rejects.length < summary.rejected ? t('import.check.first', { count: rejects.length, of: summary.rejected }) : t('import.check.firstAll')}</span>}>
      <Scroll label={t('import.check.bad')}>
        <Table>
          <Table.Caption>{t('import.check.bad')}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th className="num">{t('import.check.line')}</Table.Th><Table.Th>{t('import.check.column')}</Table.Th><Table.Th>{t('import.check.value')}</Table.Th><Table.Th>{t('import.check.why')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {rejects.slice(0, all ? 50 : 10).map((row) => (
              // Reasons come in the language that was asked for.
              <Table.Tr key={row.line}><Table.Td className="num"><Num>{row.line}</Num></Table.Td><Table.Td className="nowrap"><Name>{row.column}</Name></Table.Td><Table.Td><span className="mono"><Cell>{row.value}</Cell></span></Table.Td><Table.Td className="small" style={{ minInlineSize: 260 }}><div className="sentence">{row.reason.replace(/ \(--\w+\)/g, '')}</div></Table.Td></Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Scroll>
      {!all && rejects.length > 10 && <div style={{ padding: 12, textAlign: 'center' }}><Button variant="default" size="xs" onClick={() => setAll(true)}>{t('act.more')}</Button></div>}
    </Card>
  );
}
