// The operator's own words: what a phrase means, before the built-in ones; and a field to try a text.
import { Button, Select, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Word } from '../api/client.ts';
import { useMay } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Icon, type IconName } from '../ui/icons.tsx';
import { Awaited, Card, Empty, Ident, Name, Notice, Page, ProblemNotice, Scroll, State, Time, type Tone } from '../ui/parts.tsx';

const MEANINGS = ['stop', 'doubtful', 'start', 'nothing'] as const;
const SIGNS: Record<string, [Tone, IconName]> = { stop: ['bad', 'stop'], doubtful: ['warn', 'doubt'], start: ['accent', 'play'], nothing: ['calm', 'cross'] };

function Meaning({ code }: { code: string }) {
  const { t } = useTranslation();
  const [tone, icon] = SIGNS[code] ?? ['calm', 'info'];
  return <State tone={tone} icon={icon}>{t(`phrases.means.${code}`, { defaultValue: code })}</State>;
}

export function Phrases() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  const words = useQuery({ queryKey: ['words'], queryFn: async () => (await answer(api.GET('/api/v1/words'))).items });
  const [removing, setRemoving] = useState<Word | null>(null);
  return (
    <Page title={t('nav.phrases')} sub={t('phrases.sub')}>
      <div className="stack">
        <Try />
        {audits && <Add />}
        <Awaited asked={words}>{(rows) => (
          <Card flush title={t('phrases.own')}>
            {rows.length === 0 ? <Empty icon="message" title={t('phrases.none')}>{t('phrases.noneWhat')}</Empty> : (
              <Scroll label={t('phrases.own')}>
                <Table>
                  <Table.Caption>{t('phrases.own')}</Table.Caption>
                  <Table.Thead><Table.Tr><Table.Th>{t('phrases.phrase')}</Table.Th><Table.Th>{t('phrases.meaning')}</Table.Th><Table.Th>{t('phrases.compared')}</Table.Th><Table.Th>{t('phrases.who')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th></Table.Tr></Table.Thead>
                  <Table.Tbody>
                    {rows.map((word) => (
                      <Table.Tr key={word.phrase}>
                        <Table.Td className="strong"><Name>{word.phrase}</Name></Table.Td>
                        <Table.Td><Meaning code={word.verdict} /></Table.Td>
                        <Table.Td className="small dim"><Name>{word.compared}</Name></Table.Td>
                        <Table.Td className="small"><Time at={word.at} /><div className="tiny dim"><Ident>{word.by}</Ident></div></Table.Td>
                        <Table.Td>{audits && <div className="acts-cell"><Button size="xs" variant="default" onClick={() => setRemoving(word)} aria-label={`${t('phrases.remove')}: ${word.phrase}`}>{t('phrases.remove')}</Button></div>}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Scroll>
            )}
          </Card>
        )}</Awaited>
      </div>
      <Confirm opened={removing !== null} close={() => setRemoving(null)} title={t('phrases.removeTitle')} yes={t('phrases.remove')} no={t('keys.keep')}
        does={() => answer(api.DELETE('/api/v1/words/{phrase}', { params: { path: { phrase: removing?.phrase ?? '' } } })).then(() => said(t('phrases.removed')))}>
        <span className="strong"><Name>{removing?.phrase}</Name></span> · {t('phrases.removeWhat')}
      </Confirm>
    </Page>
  );
}

/** What a text would mean, without anything following from it. */
function Try() {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [reading, setReading] = useState<{ as_message: string; as_label: string } | null>(null);
  const read = useAct(async () => setReading(await answer(api.POST('/api/v1/words/read', { body: { text: text.trim() } }))));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void read.act();
  };
  return (
    <Card title={t('phrases.try')}>
      <form onSubmit={submit} role="search" style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
        <TextInput data-search label={t('phrases.text')} description={t('phrases.textHint')} value={text} dir="auto" maxLength={1000} style={{ flex: '1 1 260px', maxInlineSize: 520 }} onChange={(event) => { setText(event.currentTarget.value); setReading(null); }} />
        <Button type="submit" loading={read.busy} disabled={text.trim() === ''}>{t('phrases.read')}</Button>
      </form>
      <div aria-live="polite" style={{ marginBlockStart: read.error || reading ? 14 : 0 }}>
        <ProblemNotice error={read.error} />
        {reading && <dl className="pairs"><dt>{t('phrases.asMessage')}</dt><dd><Meaning code={reading.as_message} /></dd><dt>{t('phrases.asLabel')}</dt><dd><Meaning code={reading.as_label} /></dd></dl>}
      </div>
    </Card>
  );
}

function Add() {
  const { t } = useTranslation();
  const [phrase, setPhrase] = useState('');
  const [means, setMeans] = useState<string>('stop');
  const add = useAct(async () => {
    await answer(api.POST('/api/v1/words', { body: { phrase: phrase.trim(), means } }));
    said(t('phrases.added'));
    setPhrase('');
  });
  return (
    <Card title={t('phrases.add')}>
      <form onSubmit={(event) => { event.preventDefault(); void add.act(); }} style={{ display: 'flex', flexWrap: 'wrap', gap: 10, alignItems: 'flex-end' }}>
        <TextInput label={t('phrases.phrase')} description={t('phrases.phraseHint')} required value={phrase} dir="auto" maxLength={120} style={{ flex: '1 1 260px', maxInlineSize: 420 }} onChange={(event) => setPhrase(event.currentTarget.value)} />
        <Select label={t('phrases.meaning')} allowDeselect={false} value={means} onChange={(value) => value && setMeans(value)} data={MEANINGS.map((value) => ({ value, label: t(`phrases.means.${value}`) }))} style={{ flex: '0 1 240px' }} />
        <Button type="submit" loading={add.busy} disabled={phrase.trim() === ''} leftSection={<Icon name="plus" size={17} />}>{t('phrases.addIt')}</Button>
      </form>
      {means === 'nothing' && <div style={{ marginBlockStart: 12 }}><Notice tone="warn"><p>{t('phrases.nothingWarning')}</p></Notice></div>}
      <ProblemNotice error={add.error} />
    </Card>
  );
}
