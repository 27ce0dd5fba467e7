// The second step of an import: what each column holds, where the people go, and where their consent is from.
import { Autocomplete, Button, Group, Select, Table, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { type Delimiter, DELIMITERS, delimiterOf, type Encoding, ENCODINGS, type Field, FIELDS, isNational } from '../csv.ts';
import { COUNTRIES } from '../countries.ts';
import { countryName, useFormat } from '../format.ts';
import { bookOf, type Choice, encodingIn, isReady, textOf } from '../importing.ts';
import { usePreferences } from '../prefs.ts';
import { useLists } from '../queries.ts';
import { dayOf } from '../workbook.ts';
import { Icon } from './icons.tsx';
import { Card, Cell, FileName, Name, Notice, Scroll } from './parts.tsx';

const SIGNS: Record<Delimiter, string> = { ',': 'comma', ';': 'semicolon', '\t': 'tab', '|': 'pipe' };

export function Matching({ choice, set, back, next }: { choice: Choice; set: (choice: Choice) => void; back: () => void; next: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const change = (part: Partial<Choice>) => set({ ...choice, ...part });
  const today = new Date().toISOString().slice(0, 10);
  return (
    <>
      <Card title={<><FileName>{choice.file.name}</FileName> <span className="dim small">{format.bytes(choice.file.size)}</span></>}>
        {choice.kind === 'blind' || choice.header.length === 0
          ? <Notice><p className="strong">{t('import.match.blind')}</p><p>{t('import.match.blindWhat')}</p></Notice>
          : <Sample choice={choice} change={change} />}
        {choice.recalled && <div style={{ marginBlockStart: 12 }}><Notice><p>{t('import.match.recalled')}</p></Notice></div>}
        <Reading choice={choice} set={set} />
      </Card>
      <div className="columns even" style={{ marginBlockStart: 16 }}>
        <Where choice={choice} change={change} />
        <Consent choice={choice} change={change} today={today} />
      </div>
      <div className="footacts">
        <Button variant="default" onClick={back} leftSection={<Icon name="back" size={17} />}>{t('import.other')}</Button>
        <Button disabled={!isReady(choice, today)} onClick={next} rightSection={<Icon name="forward" size={17} />}>{t('import.toCheck')}</Button>
      </div>
    </>
  );
}

interface Part {
  choice: Choice;
  change: (part: Partial<Choice>) => void;
}

function Sample({ choice, change }: Part) {
  const { t } = useTranslation();
  const { header, rows, columns } = choice;
  const named = header.filter((each) => each.trim() !== '');
  const fieldOf = (column: string) => (Object.keys(columns) as Field[]).find((field) => columns[field] === column) ?? 'column';
  function assign(column: string, field: string) {
    const next = Object.fromEntries(Object.entries(columns).filter(([key, value]) => value !== column && key !== field)) as Choice['columns'];
    if (field !== 'column') next[field as Field] = column;
    change({ columns: next, consent: next.opt_in_at ? 'column' : 'day' });
  }
  const shown = (cell: string, column: string) => (fieldOf(column) === 'opt_in_at' && choice.kind === 'book' ? dayOf(cell) : cell);
  return (
    <>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('import.match.what')}</p>
      <Scroll label={t('import.match.sample')}>
        <Table withTableBorder>
          <Table.Caption>{t('import.match.sample')}</Table.Caption>
          <Table.Thead>
            <Table.Tr>{named.map((column) => (
              <Table.Th key={column} style={{ minInlineSize: 150, verticalAlign: 'bottom' }}>
                <div className="strong" style={{ marginBlockEnd: 4 }}><Name>{column}</Name></div>
                <Select size="xs" aria-label={t('import.match.is', { column })} value={fieldOf(column)} allowDeselect={false} onChange={(value) => value && assign(column, value)}
                  data={(['column', ...FIELDS] as const).map((value) => ({ value, label: t(`import.field.${value}`) }))} />
              </Table.Th>
            ))}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.slice(0, 5).map((row, place) => (
              <Table.Tr key={place}>{header.map((column, at) => column.trim() !== '' && <Table.Td key={column} className="small" style={{ maxInlineSize: 260 }}><Cell>{shown(row[at] ?? '', column)}</Cell></Table.Td>)}</Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Scroll>
      {columns.phone === undefined && columns.user_id === undefined && <div style={{ marginBlockStart: 12 }}><Notice tone="warn" live><p>{t('import.match.noPhone')}</p></Notice></div>}
    </>
  );
}

/** How the file is read: what was found out, and the means to say otherwise. */
function Reading({ choice, set }: { choice: Choice; set: (choice: Choice) => void }) {
  const { t } = useTranslation();
  const { language } = usePreferences();
  const column = choice.columns.phone;
  const phones = column === undefined ? [] : choice.rows.map((row) => row[choice.header.indexOf(column)] ?? '');
  const national = phones.some(isNational) && choice.columns.country === undefined;
  const encoding = encodingIn(choice, language);
  const delimiter = choice.delimiter ?? delimiterOf(new TextDecoder(encoding).decode(choice.bytes, { stream: true }));
  return (
    <div style={{ display: 'flex', flexWrap: 'wrap', gap: 14, marginBlockStart: 14 }}>
      {choice.kind === 'text' && (
        <>
          <Select size="sm" w={220} label={t('import.match.encoding')} value={encoding} allowDeselect={false} onChange={(value) => value && set(textOf({ ...choice, encoding: value as Encoding }, language))} data={ENCODINGS.map((value) => ({ value, label: t(`import.encoding.${value}`) }))} />
          <Select size="sm" w={180} label={t('import.match.delimiter')} value={delimiter} allowDeselect={false} onChange={(value) => value && set(textOf({ ...choice, delimiter: value as Delimiter }, language))} data={DELIMITERS.map((value) => ({ value, label: t(`import.delimiter.${SIGNS[value]}`) }))} />
        </>
      )}
      {choice.sheets.length > 1 && <Select size="sm" w={240} label={t('import.match.sheet')} value={choice.sheet} allowDeselect={false} onChange={(value) => value && void bookOf(choice, value).then(set)} data={choice.sheets} />}
      <Select size="sm" w={300} searchable clearable label={t('import.match.region')} description={t('import.match.regionHint')} inputWrapperOrder={['label', 'input', 'description', 'error']} value={choice.region} onChange={(value) => set({ ...choice, region: value })} placeholder={t('import.match.noRegion')}
        error={national && choice.region === null ? t('import.match.needsRegion') : undefined}
        data={COUNTRIES.map((value) => ({ value, label: countryName(value) })).sort((a, b) => a.label.localeCompare(b.label))} />
    </div>
  );
}

function Where({ choice, change }: Part) {
  const { t } = useTranslation();
  const lists = useLists().data ?? [];
  const list = lists.find(({ name }) => name === choice.list.trim());
  return (
    <Card title={t('import.match.where')}>
      <Autocomplete label={t('import.match.list')} required value={choice.list} onChange={(value) => change({ list: value })} data={lists.map(({ name }) => name)} maxLength={100}
        description={list ? t('import.match.known', { count: list.members }) : t('import.match.fresh')} />
    </Card>
  );
}

function Consent({ choice, change, today }: Part & { today: string }) {
  const { t } = useTranslation();
  const ownColumn = choice.columns.opt_in_at;
  return (
    <Card title={t('import.match.consent')}>
      <TextInput label={t('import.match.source')} description={t('import.match.sourceHint')} required maxLength={200} value={choice.source} onChange={(event) => change({ source: event.currentTarget.value })} />
      <Group mt="md" gap="sm" align="flex-start">
        <Select style={{ flex: '2 1 280px' }} label={t('import.match.when')} required allowDeselect={false} value={choice.consent} onChange={(value) => value && change({ consent: value as Choice['consent'] })}
          data={[{ value: 'day', label: t('import.match.oneDay') }, { value: 'column', label: ownColumn ? t('import.match.ownColumn', { column: ownColumn }) : t('import.match.aColumn'), disabled: ownColumn === undefined }]} />
        {choice.consent === 'day'
          ? <TextInput style={{ flex: '1 1 150px' }} type="date" dir="ltr" label={t('import.match.day')} required max={today} value={choice.day} onChange={(event) => change({ day: event.currentTarget.value })} />
          : choice.kind !== 'book' && <Select style={{ flex: '1 1 240px' }} label={t('import.match.dates')} allowDeselect={false} value={choice.dates ?? ''} onChange={(value) => change({ dates: (value || null) as Choice['dates'] })}
              data={[{ value: '', label: t('import.match.datesClear') }, { value: 'dmy', label: t('import.match.dmy') }, { value: 'mdy', label: t('import.match.mdy') }]} />}
      </Group>
      <TextInput mt="md" label={t('import.match.wording')} description={t('import.match.wordingHint')} maxLength={2000} value={choice.wording} onChange={(event) => change({ wording: event.currentTarget.value })} />
    </Card>
  );
}
