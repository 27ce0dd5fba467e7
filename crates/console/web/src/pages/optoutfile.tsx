// A whole list of people who said stop elsewhere: taken over from another program, with what came of each row.
import { Button, FileButton, Select, Table } from '@mantine/core';
import { type DragEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { type OptOutImport, save, upload } from '../api/client.ts';
import { countryName, useFormat } from '../format.ts';
import { COUNTRIES } from '../countries.ts';
import { useMay } from '../queries.ts';
import { Confirm } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { Card, Fact, FileName, Ident, Meter, Notice, Num, Page, Scroll } from '../ui/parts.tsx';
import { useReaches } from '../ui/reaches.tsx';
import { Said } from '../ui/said.tsx';
import { ScopeChoice, useScope } from '../ui/scope.tsx';
import { askAgain } from '../queries.ts';

/** As much as the server takes. */
const LONGEST = 64 << 20;

export function OptOutFile() {
  const { t } = useTranslation();
  const adds = useMay('opt_out');
  const [done, setDone] = useState<{ name: string; result: OptOutImport } | null>(null);
  return (
    <Page title={t('optfile.title')} sub={t('optfile.sub')}>
      {!adds ? <Notice tone="warn"><p>{t('optfile.notYours')}</p></Notice>
        : done ? <Done name={done.name} result={done.result} again={() => setDone(null)} />
          : <Choose done={(name, result) => setDone({ name, result })} />}
    </Page>
  );
}

function Choose({ done }: { done: (name: string, result: OptOutImport) => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useScope();
  const usual = useReaches().data?.find(({ way }) => way === 'import')?.reach ?? 'all';
  const [file, setFile] = useState<File | null>(null);
  const [over, setOver] = useState(false);
  const [region, setRegion] = useState<string | null>(null);
  const [scope, setScope] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const [share, setShare] = useState<number | null>(null);
  const wrong = file === null ? null : file.size === 0 ? t('import.file.empty') : file.size > LONGEST ? t('optfile.tooLong') : null;
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    setFile(event.dataTransfer.files[0] ?? null);
  };
  const take = async () => {
    if (file === null) return;
    const query = new URLSearchParams({ scope: scope ?? usual, ...(region !== null && { region }) });
    setShare(0);
    try {
      const result = await upload<OptOutImport>(`/api/v1/optouts/import?${query}`, file, setShare);
      void askAgain();
      done(file.name, result);
    } finally {
      setShare(null);
    }
  };
  return (
    <>
      <Card>
        <div className={over ? 'drop over' : 'drop'} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
          <span className="dim"><Icon name="upload" size={34} /></span>
          <p className="strong">{file ? <FileName>{file.name}</FileName> : t('optfile.drop')}</p>
          {file && <p className="small dim">{format.bytes(file.size)}</p>}
          <FileButton onChange={setFile} accept=".csv,.tsv,.txt,text/csv,text/plain,text/tab-separated-values">{(props) => <Button {...props} variant={file ? 'default' : 'filled'}>{t(file ? 'import.other' : 'import.file.choose')}</Button>}</FileButton>
          <p className="small dim">{t('optfile.kinds')}</p>
        </div>
        {wrong && <div style={{ marginBlockStart: 14 }}><Notice tone="bad" live><p>{wrong}</p></Notice></div>}
      </Card>
      <div className="columns even" style={{ marginBlockStart: 16 }}>
        <Card title={t('optfile.reach')}><ScopeChoice value={scope ?? usual} change={setScope} /></Card>
        <Card title={t('optfile.numbers')}>
          <Select searchable clearable label={t('import.match.region')} description={t('import.match.regionHint')} value={region} onChange={setRegion} placeholder={t('import.match.noRegion')}
            data={COUNTRIES.map((value) => ({ value, label: countryName(value) })).sort((a, b) => a.label.localeCompare(b.label))} />
        </Card>
      </div>
      <div className="footacts">
        <LinkButton variant="default" to="/opt-outs" leftSection={<Icon name="back" size={17} />}>{t('nav.optouts')}</LinkButton>
        <Button disabled={file === null || wrong !== null} onClick={() => setAsking(true)} leftSection={<Icon name="stop" size={18} />}>{t('optfile.take')}</Button>
      </div>
      <Confirm opened={asking} close={() => setAsking(false)} title={t('optfile.ask')} yes={t('optfile.take')} no={t('act.notNow')} does={take}>
        <p style={{ marginBlockStart: 0 }}><FileName>{file?.name}</FileName> · {words(scope ?? usual)}</p>
        <p className="small dim" style={{ margin: 0 }}>{t('optfile.askWhat')}</p>
        {share !== null && <div style={{ marginBlockStart: 14 }} role="status"><p className="small" style={{ marginBlock: '0 6px' }}>{t(share < 1 ? 'import.check.sending' : 'optfile.taking')}</p><Meter parts={[{ share: Math.max(0.02, share) }]} label={t('import.check.sent')} /></div>}
      </Confirm>
    </>
  );
}

/** A cell of the file of rejects, which a spreadsheet must not reckon with. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

function Done({ name, result, again }: { name: string; result: OptOutImport; again: () => void }) {
  const { t } = useTranslation();
  const { rejects } = result;
  const fetch = () => save(new Blob([`\ufeffline,code,reason\r\n${rejects.map(({ line, code, reason }) => [String(line), code, reason].map(cell).join(',')).join('\r\n')}\r\n`], { type: 'text/csv' }), 'opt-outs-rejects.csv');
  return (
    <>
      <div style={{ marginBlockEnd: 16 }}><Notice tone="good" live><p className="strong">{t('optfile.done', { count: result.suppressed })}</p><p><FileName>{name}</FileName> · {t(`optfile.format.${result.format}`, { defaultValue: result.format })}</p></Notice></div>
      <div className="facts">
        <Fact label={t('imports.rows')} value={<Num>{result.rows}</Num>} />
        <Fact label={t('optfile.fresh')} value={<Num>{result.suppressed}</Num>} tone="good" />
        <Fact label={t('optfile.already')} value={<Num>{result.already}</Num>} />
        <Fact label={t('optfile.passed')} value={<Num>{result.passed_over}</Num>} note={t('optfile.passedWhat')} />
        <Fact label={t('imports.rejected')} value={<Num>{result.rejected}</Num>} tone={result.rejected > 0 ? 'warn' : undefined} note={result.rejected > 0 ? t('optfile.mend') : undefined} />
      </div>
      {rejects.length > 0 && (
        <Card flush title={t('import.check.bad')} aside={<Button size="xs" variant="default" onClick={fetch} leftSection={<Icon name="download" size={15} />}>{t('optfile.fetch')}</Button>}>
          {rejects.length < result.rejected && <p className="small dim" style={{ padding: '0 var(--pad)' }}>{t('import.check.first', { count: rejects.length, of: result.rejected })}</p>}
          <Scroll label={t('import.check.bad')}>
            <Table>
              <Table.Caption>{t('import.check.bad')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th className="num">{t('import.check.line')}</Table.Th><Table.Th>{t('import.check.why')}</Table.Th><Table.Th>{t('optfile.code')}</Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>{rejects.map((row) => <Table.Tr key={row.line}><Table.Td className="num"><Num>{row.line}</Num></Table.Td><Table.Td style={{ minInlineSize: 260 }}><Said>{row.reason}</Said></Table.Td><Table.Td className="small dim"><Ident>{row.code}</Ident></Table.Td></Table.Tr>)}</Table.Tbody>
            </Table>
          </Scroll>
        </Card>
      )}
      <div className="footacts"><Button variant="default" onClick={again}>{t('import.another')}</Button><LinkButton to="/opt-outs">{t('nav.optouts')}</LinkButton></div>
    </>
  );
}
