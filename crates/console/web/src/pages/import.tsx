// People from a file, in four steps: the file, what its columns are, a check that keeps nothing, and the import.
import { Button, FileButton, Stepper, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { type DragEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type ImportRecord, type ImportSummary, upload } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { type Choice, look, pathOf } from '../importing.ts';
import { LARGE, type Progress, sendInPieces } from '../pieces.ts';
import { preferences, usePreferences } from '../prefs.ts';
import { askAgain, LIVE, useMay } from '../queries.ts';
import { remember, withRecalled } from '../recalled.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { UndoImport } from '../ui/imports.tsx';
import { LinkButton } from '../ui/link.tsx';
import { Matching } from '../ui/matching.tsx';
import { Outcome } from '../ui/outcome.tsx';
import { Card, FileName, Meter, Name, Notice, Num, Page, ProblemNotice, Time } from '../ui/parts.tsx';
import { begin, forget, type Running, useRunning } from '../uploading.ts';
import { OWN_ZONE } from '../zone.ts';

export function Import() {
  const { t } = useTranslation();
  const manages = useMay('manage_lists');
  const { again } = useSearch({ from: '/lists/import' });
  const before = useQuery({
    queryKey: ['import', again], enabled: again !== undefined && manages, retry: false,
    queryFn: () => answer(api.GET('/api/v1/imports/{import}', { params: { path: { import: Number(again) } } })),
  }).data;
  const running = useRunning();
  const [step, setStep] = useState(0);
  const [choice, setChoice] = useState<Choice | null>(null);
  const [checked, setChecked] = useState<ImportSummary | null>(null);
  const body = useRef<HTMLDivElement>(null);
  const go = (to: number) => {
    setStep(to);
    setTimeout(() => body.current?.focus({ preventScroll: false }), 0);
  };
  async function take(file: File) {
    setChecked(null);
    setChoice(await withRecalled(await look(file, preferences().language, before ? asBefore(before) : {})));
    go(1);
  }
  const shown = running ? (running.summary ? 3 : 2) : step;
  return (
    <Page title={t('import.title')} sub={t('import.sub')}>
      {!manages ? <Notice tone="warn"><p>{t('import.notYours')}</p></Notice> : (
        <>
          <Stepper className="steps" active={shown} size="sm" iconSize={30} allowNextStepsSelect={false} onStepClick={(to) => { if (to < step && running === null) go(to); }}>
            {(['file', 'match', 'check', 'done'] as const).map((name) => <Stepper.Step key={name} label={t(`import.${name}.title`)} />)}
          </Stepper>
          <div ref={body} tabIndex={-1} style={{ outline: 'none' }} role="group" aria-label={t('wizard.step', { step: shown + 1, of: 4 })}>
            {running ? (running.summary
              ? <Done summary={running.summary} again={() => { forget(); setChoice(null); setChecked(null); go(0); }} />
              : <Under running={running} back={() => { forget(); go(choice ? 2 : 0); }} />) : (
              <>
                {step === 0 && <Choosing before={before} take={(file) => void take(file)} />}
                {step === 1 && choice && <Matching choice={choice} set={(next) => { setChecked(null); setChoice(next); }} back={() => go(0)} next={() => go(2)} />}
                {step === 2 && choice && <Checking choice={choice} sent={(upload) => setChoice({ ...choice, upload })} checked={checked} keep={setChecked} back={() => go(1)} />}
              </>
            )}
          </div>
        </>
      )}
    </Page>
  );
}

/** What an import was told, for its file to be taken up again. */
function asBefore(record: ImportRecord): Partial<Choice> {
  return {
    list: record.list, source: record.opt_in_source, wording: record.opt_in_wording, region: record.region ?? null, ...(record.opt_in_at && { day: record.opt_in_at.slice(0, 10) }),
  };
}

function Choosing({ before, take }: { before: ImportRecord | undefined; take: (file: File) => void }) {
  const { t } = useTranslation();
  const [over, setOver] = useState(false);
  const format = useFormat();
  const room = useQuery({ queryKey: ['uploads', 'room'], queryFn: () => answer(api.GET('/api/v1/uploads')), staleTime: 60_000 }).data;
  const [wrong, setWrong] = useState<string | null>(null);
  function accept(file: File | null | undefined) {
    if (!file) return;
    if (file.size === 0) setWrong(t('import.file.empty'));
    else if (room && file.size > room.limit) setWrong(t('import.file.tooLarge', { size: format.bytes(file.size), limit: format.bytes(room.limit) }));
    else if (room?.free != null && file.size * 2 > room.free) setWrong(t('import.file.noRoom', { size: format.bytes(file.size), free: format.bytes(room.free) }));
    else take(file);
  }
  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    accept(event.dataTransfer.files[0]);
  }
  return (
    <Card>
      {before && <div style={{ marginBlockEnd: 16 }}><Notice><p className="strong">{t('import.again.title')} <FileName>{before.file_name}</FileName></p><p>{t('import.again.what')}</p></Notice></div>}
      <div className={over ? 'drop over' : 'drop'} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <span className="dim"><Icon name="upload" size={34} /></span>
        <p className="strong">{t('import.file.drop')}</p>
        <FileButton onChange={accept} accept=".csv,.tsv,.txt,.xlsx,.xlsm,.xlsb,.xls,.ods,.gz,text/csv,text/tab-separated-values,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,application/vnd.ms-excel,application/vnd.oasis.opendocument.spreadsheet,application/gzip">
          {(props) => <Button {...props}>{t('import.file.choose')}</Button>}
        </FileButton>
        <p className="small dim">{t('import.file.kinds')}{room && <> {t('import.file.most', { limit: format.bytes(room.limit) })}</>}</p>
      </div>
      <Typed take={take} />
      {wrong && <div style={{ marginBlockStart: 14 }}><Notice tone="bad" live><p>{wrong}</p></Notice></div>}
      <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('import.file.promise')}</p>
    </Card>
  );
}

/** For whoever has no file: a few numbers, or rows out of a spreadsheet, typed or pasted. */
function Typed({ take }: { take: (file: File) => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const rows = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return (
    <form style={{ marginBlockStart: 20 }} onSubmit={(event) => { event.preventDefault(); take(new File([`${rows.join('\n')}\n`], `${t('import.typed.file')}.csv`, { type: 'text/csv' })); }}>
      <Textarea className="monofield" label={t('import.typed.label')} description={t('import.typed.hint')} autosize minRows={2} maxRows={10} value={text} spellCheck={false} autoComplete="off"
        styles={{ input: { direction: 'ltr' } }} onChange={(event) => setText(event.currentTarget.value)} />
      {rows.length > 0 && <Button mt="sm" type="submit" variant="default">{t('import.typed.take', { count: rows.length })}</Button>}
    </form>
  );
}

function Checking({ choice, sent, checked, keep, back }: { choice: Choice; sent: (upload: string) => void; checked: ImportSummary | null; keep: (summary: ImportSummary) => void; back: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { language } = usePreferences();
  const [{ share, waits }, setProgress] = useState<Progress>({ share: 0, waits: false });
  const begun = useRef(false);
  const check = useAct(async () => {
    setProgress({ share: 0, waits: false });
    const { file } = choice;
    if (file.size < LARGE) {
      keep(await upload<ImportSummary>(pathOf(choice, { dryRun: true, language, zone: OWN_ZONE }), file, (part) => setProgress({ share: part, waits: false })));
      return;
    }
    const id = await sendInPieces(file, setProgress);
    sent(id);
    keep(await upload<ImportSummary>(pathOf({ ...choice, upload: id }, { dryRun: true, language, zone: OWN_ZONE }), new Blob([]), () => {}));
  });
  useEffect(() => {
    if (checked !== null || begun.current) return;
    begun.current = true;
    void check.act();
  });
  const run = () => {
    remember(choice);
    void begin(pathOf(choice, { dryRun: false, language, zone: OWN_ZONE }), choice.file, choice.upload !== null).then(askAgain);
  };
  return (
    <>
      {check.busy && (
        <Card>
          <p className="strong" style={{ marginBlockStart: 0 }} role="status">{t(share < 1 ? 'import.check.sending' : 'import.check.reading')}</p>
          <Meter parts={[{ share: Math.max(0.02, share) }]} label={t('import.check.sent')} />
          {waits && <div style={{ marginBlockStart: 12 }}><Notice tone="warn" live><p className="strong">{t('import.check.broke')}</p><p>{t('import.check.goesOn', { share: format.percent(share) })}</p></Notice></div>}
          <p className="small dim" style={{ marginBlockEnd: 0 }}>{choice.file.size >= LARGE && <>{format.percent(share)} · {format.bytes(share * choice.file.size)} · </>}{t('import.check.keepsNothing')}</p>
        </Card>
      )}
      <ProblemNotice error={check.error} again={() => void check.act()} />
      {checked && !check.busy && <Outcome summary={checked} dry />}
      <div className="footacts">
        <Button variant="default" onClick={back} disabled={check.busy} leftSection={<Icon name="back" size={17} />}>{t('act.back')}</Button>
        <Button disabled={checked === null || checked.accepted === 0 || check.busy} onClick={run} leftSection={<Icon name="check" size={18} />}>{t('import.run', { count: checked?.accepted ?? 0 })}</Button>
      </div>
    </>
  );
}

/** While a file is imported: how much of it was sent, and how many rows are kept already. */
function Under({ running, back }: { running: Running; back: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const list = new URL(running.path, window.location.origin).searchParams.get('list') ?? '';
  const record = useQuery({
    queryKey: ['imports', 'running', running.begun], refetchInterval: running.error == null ? LIVE / 2 : false,
    queryFn: async () => (await answer(api.GET('/api/v1/imports', { params: { query: { limit: 10 } } }))).items.find((each) => each.file_name === running.file.name && each.list === list && Date.parse(each.started_at) >= running.begun - 60_000) ?? null,
  }).data;
  const tenth = Math.floor(running.share * 10) / 10;
  return (
    <>
      {running.error == null && (
        <Card title={<FileName>{running.file.name}</FileName>}>
          <p className="strong" style={{ marginBlockStart: 0 }}>{t(running.share < 1 ? 'import.check.sending' : 'import.check.importing')}</p>
          <Meter parts={[{ share: Math.max(0.02, running.share) }]} label={t('import.check.sent')} />
          <p className="small" style={{ marginBlockEnd: 0 }}>{format.percent(running.share)} · {format.bytes(running.share * running.file.size)}{record && <> · {t('import.under.rows', { count: record.rows })}</>}</p>
          <p className="small dim" style={{ marginBlockEnd: 0 }}>{t(running.isThere ? 'import.under.there' : 'import.under.leave')}</p>
          <span className="skip" role="status">{t('import.under.spoken', { share: format.percent(tenth) })}</span>
        </Card>
      )}
      {running.error != null && (
        <>
          <ProblemNotice error={running.error} />
          {record && record.rows > 0 && <div style={{ marginBlockStart: 12 }}><Notice><p>{t('import.under.kept', { count: record.accepted })} <Num>{record.rows}</Num></p></Notice></div>}
          <div className="footacts"><Button variant="default" onClick={back} leftSection={<Icon name="back" size={17} />}>{t('act.back')}</Button></div>
        </>
      )}
    </>
  );
}

function Done({ summary, again }: { summary: ImportSummary; again: () => void }) {
  const { t } = useTranslation();
  const drafts = useMay('draft_campaigns');
  const fetching = useAct(() => download(`/api/v1/imports/${summary.import_id}/rejects`, `import-${summary.import_id}-rejects.csv`));
  return (
    <>
      <Notice tone="good" live>
        <p className="strong">{t('import.done.kept', { count: summary.accepted })} <Name>{summary.list}</Name></p><p>{t('import.done.nothingSent')}</p>
        {summary.same_as && <p className="small">{t('import.check.same')} <Time at={summary.same_as.at} /></p>}
      </Notice>
      <div style={{ marginBlockStart: 16 }}><Outcome summary={summary} /></div>
      {summary.rejects_file && (
        <Card title={t('import.done.rejects')}>
          <p style={{ marginBlockStart: 0 }}>{t('import.done.rejectsWhat')}</p>
          <Button variant="default" loading={fetching.busy} onClick={() => void fetching.act()} leftSection={<Icon name="download" size={17} />}>{t('imports.fetch', { count: summary.rejected })}</Button>
          <ProblemNotice error={fetching.error} />
        </Card>
      )}
      <div className="footacts">
        <span style={{ display: 'flex', gap: 10, flexWrap: 'wrap' }}>
          <Button variant="default" onClick={again}>{t('import.another')}</Button>
          {summary.import_id != null && <UndoImport id={summary.import_id} accepted={summary.accepted} list={summary.list} done={again} />}
        </span>
        <span style={{ display: 'flex', gap: 10, flexWrap: 'wrap' }}>
          <LinkButton variant="default" to="/lists">{t('nav.lists')}</LinkButton>
          {drafts && <LinkButton to="/campaigns/new" search={{ list: summary.list }}>{t('lists.use')}</LinkButton>}
        </span>
      </div>
    </>
  );
}
