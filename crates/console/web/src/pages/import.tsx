// People from a file, in four steps: the file, what its columns are, a check that keeps nothing, and the import.
import { Autocomplete, Button, FileButton, Select, Stepper, Table, TextInput } from '@mantine/core';
import { type DragEvent, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { download, type ImportSummary, upload } from '../api/client.ts';
import { BEGINNING, type Delimiter, DELIMITERS, delimiterOf, type Encoding, encodingOf, ENCODINGS, type Field, guess, isNational, rowsOf } from '../csv.ts';
import { countryName, useFormat } from '../format.ts';
import { usePreferences } from '../prefs.ts';
import { askAgain, useLists, useMay } from '../queries.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Card, Fact, Meter, Name, Notice, Num, Page, ProblemNotice, Scroll } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { Said } from '../ui/said.tsx';

interface Choice {
  file: File;
  encoding: Encoding;
  delimiter: Delimiter;
  list: string;
  region: string | null;
  columns: Partial<Record<Field, string>>;
  source: string;
  /** One day for all, or a column with each person's own. */
  consent: 'day' | 'column';
  day: string;
}

const COUNTRIES = ['EG', 'SA', 'AE', 'KW', 'QA', 'BH', 'OM', 'JO', 'LB', 'IQ', 'MA', 'DZ', 'TN', 'LY', 'SD', 'YE', 'PS', 'SY', 'ES', 'MX', 'AR', 'CO', 'CL', 'PE', 'EC', 'UY', 'BR', 'PT', 'US', 'CA', 'GB', 'IE', 'FR', 'DE', 'IT', 'NL', 'TR', 'IN', 'ID', 'PK', 'NG', 'KE', 'ZA'];

export function Import() {
  const { t } = useTranslation();
  const manages = useMay('manage_lists');
  const [step, setStep] = useState(0);
  const [choice, setChoice] = useState<Choice | null>(null);
  const [beginning, setBeginning] = useState(new Uint8Array());
  const [checked, setChecked] = useState<ImportSummary | null>(null);
  const [done, setDone] = useState<ImportSummary | null>(null);
  const { language } = usePreferences();
  const body = useRef<HTMLDivElement>(null);
  const go = (to: number) => {
    setStep(to);
    setTimeout(() => body.current?.focus({ preventScroll: false }), 0);
  };
  async function take(file: File) {
    const bytes = new Uint8Array(await file.slice(0, BEGINNING).arrayBuffer());
    const encoding = encodingOf(bytes, language);
    const text = new TextDecoder(encoding).decode(bytes, { stream: true });
    const delimiter = delimiterOf(text);
    const [header = [], ...rows] = rowsOf(text, delimiter, 21);
    const columns = guess(header, rows);
    setBeginning(bytes);
    setChecked(null);
    setChoice({
      file, encoding, delimiter, columns, region: null, list: file.name.replace(/\.[^.]*$/, '').slice(0, 80), source: '',
      consent: columns.opt_in_at ? 'column' : 'day', day: '',
    });
    go(1);
  }
  return (
    <Page title={t('import.title')} sub={t('import.sub')}>
      {!manages ? <Notice tone="warn"><p>{t('import.notYours')}</p></Notice> : (
        <>
          <Stepper className="steps" active={step} size="sm" iconSize={30} allowNextStepsSelect={false} onStepClick={(to) => { if (to < step && done === null) go(to); }}>
            {(['file', 'match', 'check', 'done'] as const).map((name) => <Stepper.Step key={name} label={t(`import.${name}.title`)} />)}
          </Stepper>
          <div ref={body} tabIndex={-1} style={{ outline: 'none' }} role="group" aria-label={t('wizard.step', { step: step + 1, of: 4 })}>
            {step === 0 && <Choosing take={(file) => void take(file)} />}
            {step === 1 && choice && <Matching choice={choice} change={(part) => { setChecked(null); setChoice({ ...choice, ...part }); }} beginning={beginning} back={() => go(0)} next={() => go(2)} />}
            {step === 2 && choice && <Checking choice={choice} checked={checked} keep={setChecked} back={() => go(1)} next={(summary) => { setDone(summary); go(3); }} />}
            {step === 3 && done && <Done summary={done} again={() => { setChoice(null); setDone(null); setChecked(null); go(0); }} />}
          </div>
        </>
      )}
    </Page>
  );
}

function Choosing({ take }: { take: (file: File) => void }) {
  const { t } = useTranslation();
  const [over, setOver] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  function accept(file: File | null | undefined) {
    if (!file) return;
    if (/\.(xlsx?|ods|numbers)$/i.test(file.name)) setWrong(t('import.file.sheet'));
    else if (file.size === 0) setWrong(t('import.file.empty'));
    else take(file);
  }
  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    accept(event.dataTransfer.files[0]);
  }
  return (
    <Card>
      <div className={over ? 'drop over' : 'drop'} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <span className="dim"><Icon name="upload" size={34} /></span>
        <p className="strong">{t('import.file.drop')}</p>
        <FileButton onChange={accept} accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values">
          {(props) => <Button {...props}>{t('import.file.choose')}</Button>}
        </FileButton>
        <p className="small dim">{t('import.file.kinds')}</p>
      </div>
      {wrong && <div style={{ marginBlockStart: 14 }}><Notice tone="bad" live><p>{wrong}</p></Notice></div>}
      <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('import.file.promise')}</p>
    </Card>
  );
}

function Matching({ choice, change, beginning, back, next }: {
  choice: Choice; change: (part: Partial<Choice>) => void; beginning: Uint8Array; back: () => void; next: () => void;
}) {
  const { t } = useTranslation();
  const format = useFormat();
  const lists = useLists().data ?? [];
  const text = useMemo(() => new TextDecoder(choice.encoding).decode(beginning, { stream: true }), [beginning, choice.encoding]);
  const [header = [], ...rows] = useMemo(() => rowsOf(text, choice.delimiter, 9), [text, choice.delimiter]);
  const named = header.filter((each) => each.trim() !== '');
  const fieldOf = (column: string) => (Object.keys(choice.columns) as Field[]).find((field) => choice.columns[field] === column) ?? 'column';
  function assign(column: string, field: string) {
    const columns = Object.fromEntries(Object.entries(choice.columns).filter(([key, value]) => value !== column && key !== field)) as Choice['columns'];
    if (field !== 'column') columns[field as Field] = column;
    const consent = columns.opt_in_at ? 'column' : choice.consent === 'column' ? 'day' : choice.consent;
    change({ columns, consent });
  }
  function reread(part: Partial<Pick<Choice, 'encoding' | 'delimiter'>>) {
    const again = rowsOf(new TextDecoder(part.encoding ?? choice.encoding).decode(beginning, { stream: true }), part.delimiter ?? choice.delimiter, 21);
    change({ ...part, columns: guess(again[0] ?? [], again.slice(1)) });
  }
  const tomorrow = new Date(Date.now()).toISOString().slice(0, 10);
  const phones = choice.columns.phone === undefined ? [] : rows.map((row) => row[header.indexOf(choice.columns.phone as string)] ?? '');
  const national = phones.some(isNational);
  const list = lists.find(({ name }) => name === choice.list.trim());
  const ready = choice.columns.phone !== undefined && choice.list.trim() !== '' && choice.source.trim() !== '' && (choice.consent === 'column' ? choice.columns.opt_in_at !== undefined : choice.day !== '' && choice.day <= tomorrow);
  return (
    <>
      <Card title={<><Name>{choice.file.name}</Name> <span className="dim small">{format.bytes(choice.file.size)}</span></>}>
        <p className="small dim" style={{ marginBlockStart: 0 }}>{t('import.match.what')}</p>
        <Scroll label={t('import.match.sample')}>
          <Table withTableBorder>
            <Table.Caption>{t('import.match.sample')}</Table.Caption>
            <Table.Thead>
              <Table.Tr>{named.map((column) => (
                <Table.Th key={column} style={{ minInlineSize: 150, verticalAlign: 'bottom' }}>
                  <div className="strong" style={{ marginBlockEnd: 4 }}><Name>{column}</Name></div>
                  <Select size="xs" aria-label={t('import.match.is', { column })} value={fieldOf(column)} allowDeselect={false} onChange={(value) => value && assign(column, value)}
                    data={(['column', 'phone', 'name', 'language', 'opt_in_at'] as const).map((value) => ({ value, label: t(`import.field.${value}`) }))} />
                </Table.Th>
              ))}</Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.slice(0, 5).map((row, place) => (
                <Table.Tr key={place}>{header.map((column, at) => column.trim() !== '' && <Table.Td key={column} className="small" style={{ maxInlineSize: 260 }}>{fieldOf(column) === 'phone' ? <bdi dir="ltr">{row[at]}</bdi> : <Name>{row[at] ?? ''}</Name>}</Table.Td>)}</Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Scroll>
        {choice.columns.phone === undefined && <div style={{ marginBlockStart: 12 }}><Notice tone="warn" live><p>{t('import.match.noPhone')}</p></Notice></div>}
        <div style={{ display: 'flex', flexWrap: 'wrap', gap: 14, marginBlockStart: 14 }}>
          <Select size="sm" w={220} label={t('import.match.encoding')} value={choice.encoding} allowDeselect={false} onChange={(value) => value && reread({ encoding: value as Encoding })} data={ENCODINGS.map((value) => ({ value, label: t(`import.encoding.${value}`) }))} />
          <Select size="sm" w={180} label={t('import.match.delimiter')} value={choice.delimiter} allowDeselect={false} onChange={(value) => value && reread({ delimiter: value as Delimiter })} data={DELIMITERS.map((value) => ({ value, label: t(`import.delimiter.${{ ',': 'comma', ';': 'semicolon', '\t': 'tab', '|': 'pipe' }[value]}`) }))} />
          <Select size="sm" w={300} searchable clearable label={t('import.match.region')} description={t('import.match.regionHint')} inputWrapperOrder={['label', 'input', 'description']} value={choice.region} onChange={(value) => change({ region: value })} placeholder={t('import.match.noRegion')}
            error={national && choice.region === null ? t('import.match.needsRegion') : undefined}
            data={COUNTRIES.map((value) => ({ value, label: countryName(value) })).sort((a, b) => a.label.localeCompare(b.label))} />
        </div>
      </Card>
      <div className="columns even" style={{ marginBlockStart: 16 }}>
        <Card title={t('import.match.where')}>
          <Autocomplete label={t('import.match.list')} required value={choice.list} onChange={(value) => change({ list: value })} data={lists.map(({ name }) => name)} maxLength={100}
            description={list ? t('import.match.known', { count: list.members }) : t('import.match.fresh')} />
        </Card>
        <Card title={t('import.match.consent')}>
          <TextInput label={t('import.match.source')} description={t('import.match.sourceHint')} required maxLength={200} value={choice.source} onChange={(event) => change({ source: event.currentTarget.value })} />
          <Select mt="md" label={t('import.match.when')} required allowDeselect={false} value={choice.consent} onChange={(value) => value && change({ consent: value as Choice['consent'] })}
            data={[{ value: 'day', label: t('import.match.oneDay') }, { value: 'column', label: choice.columns.opt_in_at ? t('import.match.ownColumn', { column: choice.columns.opt_in_at }) : t('import.match.aColumn'), disabled: choice.columns.opt_in_at === undefined }]} />
          {choice.consent === 'day' && <TextInput type="date" mt="sm" dir="ltr" label={t('import.match.day')} required max={tomorrow} value={choice.day} onChange={(event) => change({ day: event.currentTarget.value })} />}
        </Card>
      </div>
      <div className="footacts">
        <Button variant="default" onClick={back} leftSection={<Icon name="back" size={17} />}>{t('import.other')}</Button>
        <Button disabled={!ready} onClick={next} rightSection={<Icon name="forward" size={17} />}>{t('import.toCheck')}</Button>
      </div>
    </>
  );
}

function pathOf(choice: Choice, dryRun: boolean): string {
  const query = new URLSearchParams({ list: choice.list.trim(), file_name: choice.file.name, opt_in_source: choice.source.trim() });
  query.set('opt_in_at', choice.consent === 'column' ? `@${choice.columns.opt_in_at}` : `${choice.day}T00:00:00Z`);
  if (choice.region) query.set('region', choice.region);
  // UTF-8 is what Hudhud takes a file for; named, it would not strip a byte order mark that it need not know of.
  if (choice.encoding !== 'utf-8') query.set('encoding', choice.encoding);
  query.set('delimiter', choice.delimiter);
  for (const field of ['phone', 'name', 'language'] as const) {
    const column = choice.columns[field];
    if (column !== undefined) query.append('map', `${field}=${column}`);
  }
  if (dryRun) query.set('dry_run', 'true');
  return `/api/v1/imports?${query.toString()}`;
}

function Checking({ choice, checked, keep, back, next }: {
  choice: Choice; checked: ImportSummary | null; keep: (summary: ImportSummary) => void; back: () => void; next: (summary: ImportSummary) => void;
}) {
  const { t } = useTranslation();
  const [share, setShare] = useState(0);
  const begun = useRef(false);
  const check = useAct(async () => {
    setShare(0);
    keep(await upload<ImportSummary>(pathOf(choice, true), choice.file, setShare));
  });
  const run = useAct(async () => {
    setShare(0);
    const summary = await upload<ImportSummary>(pathOf(choice, false), choice.file, setShare);
    await askAgain();
    next(summary);
  });
  if (checked === null && !begun.current) {
    begun.current = true;
    setTimeout(() => void check.act(), 0);
  }
  const busy = check.busy || run.busy;
  return (
    <>
      {busy && (
        <Card>
          <p className="strong" style={{ marginBlockStart: 0 }} role="status">{t(run.busy ? 'import.check.importing' : share < 1 ? 'import.check.sending' : 'import.check.reading')}</p>
          <Meter parts={[{ share: Math.max(0.02, share) }]} label={t('import.check.sent')} />
          {check.busy && <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('import.check.keepsNothing')}</p>}
        </Card>
      )}
      <ProblemNotice error={check.error ?? run.error} again={check.error ? () => void check.act() : undefined} />
      {checked && !busy && <Outcome summary={checked} dry />}
      <div className="footacts">
        <Button variant="default" onClick={back} disabled={busy} leftSection={<Icon name="back" size={17} />}>{t('act.back')}</Button>
        <Button disabled={checked === null || checked.accepted === 0 || busy} loading={run.busy} onClick={() => void run.act()} leftSection={<Icon name="check" size={18} />}>{t('import.run', { count: checked?.accepted ?? 0 })}</Button>
      </div>
    </>
  );
}

function Outcome({ summary, dry }: { summary: ImportSummary; dry?: boolean }) {
  const { t } = useTranslation();
  const rejects = summary.first_rejects ?? [];
  const [all, setAll] = useState(false);
  return (
    <>
      <div className="facts">
        <Fact label={t('imports.rows')} value={<Num>{summary.rows}</Num>} />
        <Fact label={t(dry ? 'import.check.good' : 'imports.accepted')} value={<Num>{summary.accepted}</Num>} tone={summary.accepted > 0 ? 'good' : undefined} note={t('import.check.new', { count: summary.created })} />
        <Fact label={t('imports.duplicates')} value={<Num>{summary.duplicates}</Num>} note={t('import.check.once')} />
        <Fact label={t('imports.rejected')} value={<Num>{summary.rejected}</Num>} tone={summary.rejected > 0 ? 'warn' : undefined} note={summary.rejected > 0 ? t('import.check.mend') : undefined} />
        <Fact label={t('import.check.suppressed')} value={<Num>{summary.suppressed}</Num>} note={t('import.check.suppressedWhat')} />
      </div>
      {rejects.length > 0 && (
        <Card flush title={t('import.check.bad')} aside={<span className="small dim">{t('import.check.first', { count: rejects.length, of: summary.rejected })}</span>}>
          <Scroll label={t('import.check.bad')}>
            <Table>
              <Table.Caption>{t('import.check.bad')}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th className="num">{t('import.check.line')}</Table.Th><Table.Th>{t('import.check.column')}</Table.Th><Table.Th>{t('import.check.value')}</Table.Th><Table.Th>{t('import.check.why')}</Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>
                {rejects.slice(0, all ? 50 : 10).map((row) => (
                  <Table.Tr key={row.line}><Table.Td className="num"><Num>{row.line}</Num></Table.Td><Table.Td><Name>{row.column}</Name></Table.Td><Table.Td><bdi dir="ltr" className="mono nowrap">{row.value}</bdi></Table.Td><Table.Td className="small" style={{ minInlineSize: 260 }}><RejectReason code={row.code} reason={row.reason} /></Table.Td></Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Scroll>
          {!all && rejects.length > 10 && <div style={{ padding: 12, textAlign: 'center' }}><Button variant="default" size="xs" onClick={() => setAll(true)}>{t('act.more')}</Button></div>}
        </Card>
      )}
    </>
  );
}

function RejectReason({ code, reason }: { code: string; reason: string }) {
  const { t, i18n } = useTranslation();
  return i18n.exists(`reject.${code}`) ? <>{t(`reject.${code}`)}</> : <Said>{reason}</Said>;
}

function Done({ summary, again }: { summary: ImportSummary; again: () => void }) {
  const { t } = useTranslation();
  const drafts = useMay('draft_campaigns');
  const fetching = useAct(() => download(`/api/v1/imports/${summary.import_id}/rejects`, `import-${summary.import_id}-rejects.csv`));
  return (
    <>
      <Notice tone="good" live><p className="strong">{t('import.done.kept', { count: summary.accepted })} <Name>{summary.list}</Name></p><p>{t('import.done.nothingSent')}</p></Notice>
      <div style={{ marginBlockStart: 16 }}><Outcome summary={summary} /></div>
      {summary.rejects_file && (
        <Card title={t('import.done.rejects')}>
          <p style={{ marginBlockStart: 0 }}>{t('import.done.rejectsWhat')}</p>
          <Button variant="default" loading={fetching.busy} onClick={() => void fetching.act()} leftSection={<Icon name="download" size={17} />}>{t('imports.fetch', { count: summary.rejected })}</Button>
          <ProblemNotice error={fetching.error} />
        </Card>
      )}
      <div className="footacts">
        <Button variant="default" onClick={again}>{t('import.another')}</Button>
        <span style={{ display: 'flex', gap: 10, flexWrap: 'wrap' }}>
          <LinkButton variant="default" to="/lists">{t('nav.lists')}</LinkButton>
          {drafts && <LinkButton to="/campaigns/new" search={{ list: summary.list }}>{t('lists.use')}</LinkButton>}
        </span>
      </div>
    </>
  );
}
