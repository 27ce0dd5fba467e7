// What messages cost: the card that is valid now and every other one, and a new one made of it.
import { Button, FileButton, Group, NativeSelect, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type RateCard, save as saveFile } from '../api/client.ts';
import { useFormat } from '../format.ts';
import { useMay } from '../queries.ts';
import { said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Notice, Page, ProblemNotice, Scroll, State, Time } from '../ui/parts.tsx';
import { Said, useSaying } from '../ui/said.tsx';

/** Every card has these; others are shown where it has a price for them. */
const USUAL = ['marketing', 'utility', 'authentication'];
const ALL = [...USUAL, 'marketing_lite', 'authentication_international', 'service'];

const cell = (market: string, category: string) => `${market}\n${category}`;
const idOf = (card: RateCard['card']) => String(card.id ?? 0);

export function RateCardPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const may = useMay('administer');
  const [chosen, choose] = useState<string | null>(null);
  const [editing, edit] = useState(false);
  const asked = useQuery({
    queryKey: ['rate-card', chosen],
    queryFn: () => answer(api.GET('/api/v1/rate-card', { params: { query: chosen === null ? {} : { card: Number(chosen) } } })),
  });
  const saved = (card: RateCard) => {
    said(t('rateCard.saved', { day: format.time(card.card.valid_from, { dateStyle: 'medium', timeStyle: undefined, timeZone: 'UTC' }) }));
    choose(idOf(card.card));
    edit(false);
  };
  const read = useAct(async (file: File | null) => {
    if (file) saved(await answer(api.POST('/api/v1/rate-card', { body: { csv: await file.text(), ...((await file.slice(0, 8).text()).startsWith('#') ? {} : { source: file.name }) } })));
  });
  return (
    <Page title={t('nav.rateCard')} sub={t('rateCard.sub')}
      acts={asked.data && !editing && (
        <>
          <Button variant="default" leftSection={<Icon name="download" size={17} />} onClick={() => saveFile(new Blob(['\uFEFF', asked.data.csv], { type: 'text/csv' }), `rate-card-${asked.data.card.valid_from}.csv`)}>{t('rateCard.export')}</Button>
          {may && <FileButton accept=".csv,text/csv" onChange={(file) => void read.act(file)} inputProps={{ 'aria-label': t('rateCard.import') }}>{(props) => <Button {...props} variant="default" loading={read.busy} leftSection={<Icon name="upload" size={17} />}>{t('rateCard.import')}</Button>}</FileButton>}
          {may && <Button onClick={() => edit(true)} leftSection={<Icon name="edit" size={17} />}>{t('rateCard.edit')}</Button>}
        </>
      )}>
      <Awaited asked={asked} rows={10}>{(data) => (
        <div className="stack">
          <ProblemNotice error={read.error} />
          {!may && <Notice><p>{t('rateCard.notYours')}</p></Notice>}
          {editing ? <Edit key={idOf(data.card)} from={data} saved={saved} close={() => edit(false)} /> : <Shown card={data} choose={choose} />}
        </div>
      )}</Awaited>
    </Page>
  );
}

/** A day of the calendar, whatever the reader's zone. */
function useDay(): (day: string) => string {
  const format = useFormat();
  return (day) => format.time(day, { dateStyle: 'medium', timeStyle: undefined, timeZone: 'UTC' });
}

function Shown({ card: data, choose }: { card: RateCard; choose: (id: string) => void }) {
  const { t } = useTranslation();
  const day = useDay();
  const { card, cards } = data;
  const prices = new Map(data.rates.map(({ market, category, rate }) => [cell(market, category), rate]));
  const categories = ALL.filter((category) => USUAL.includes(category) || data.rates.some((rate) => rate.category === category));
  return (
    <>
      <Card title={t('rateCard.which')} aside={card.in_force ? <State tone="good" icon="check">{t('rateCard.inForce')}</State> : undefined}>
        {cards.length > 1 && <NativeSelect mb="md" maw={460} label={t('rateCard.pick')} value={idOf(card)} onChange={(event) => choose(event.currentTarget.value)}
          data={cards.map((each) => ({ value: idOf(each), label: `${day(each.valid_from)} · ${each.currency}${each.in_force ? ` · ${t('rateCard.inForce')}` : ''}` }))} />}
        <dl className="pairs">
          <dt>{t('rateCard.validFrom')}</dt><dd>{day(card.valid_from)}</dd>
          <dt>{t('rateCard.currency')}</dt><dd><bdi dir="ltr">{card.currency}</bdi></dd>
          <dt>{t('rateCard.source')}</dt><dd><Said>{card.source}</Said></dd>
          {card.saved_by && <><dt>{t('rateCard.savedBy')}</dt><dd><bdi dir="ltr">{card.saved_by}</bdi> · <Time at={card.saved_at} /></dd></>}
        </dl>
        <p className="tiny dim" style={{ marginBlockEnd: 0 }}>{t('rateCard.kept')}</p>
      </Card>
      <Card flush title={t('rateCard.prices', { currency: card.currency })}>
        <Scroll label={t('rateCard.prices', { currency: card.currency })}>
          <Table data-rates={data.rates.length}>
            <Table.Caption>{t('rateCard.prices', { currency: card.currency })}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('preflight.market')}</Table.Th>{categories.map((category) => <Table.Th key={category} className="num">{t(`billedAs.${category}`)}</Table.Th>)}</Table.Tr></Table.Thead>
            <Table.Tbody>{data.markets.map((market) => (
              <Table.Tr key={market}><Table.Th scope="row"><Said>{market}</Said></Table.Th>{categories.map((category) => <Table.Td key={category} className="num"><Price rate={prices.get(cell(market, category))} /></Table.Td>)}</Table.Tr>
            ))}</Table.Tbody>
          </Table>
        </Scroll>
      </Card>
    </>
  );
}

function Price({ rate }: { rate: string | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (rate === undefined) return <span className="dim small">{t('report.unpriced')}</span>;
  return <>{format.number(Number(rate), { minimumFractionDigits: 4, maximumFractionDigits: 6 })}</>;
}

/** A new card, made of the one that is shown. */
function Edit({ from, saved, close }: { from: RateCard; saved: (card: RateCard) => void; close: () => void }) {
  const { t } = useTranslation();
  const say = useSaying();
  const [prices, setPrices] = useState(() => new Map(from.rates.map(({ market, category, rate }) => [cell(market, category), rate])));
  const [day, setDay] = useState(from.card.valid_from);
  const [currency, setCurrency] = useState(from.card.currency);
  const [source, setSource] = useState('');
  const categories = ALL.filter((category) => category !== 'marketing_lite' || from.rates.some((rate) => rate.category === category));
  const keep = useAct(async () => {
    const rates = [...prices].filter(([, rate]) => rate.trim() !== '').map(([key, rate]) => {
      const [market = '', category = ''] = key.split('\n');
      return { market, category, rate: rate.trim() };
    });
    saved(await answer(api.POST('/api/v1/rate-card', { body: { valid_from: day, currency: currency.trim(), source: source.trim(), rates } })));
  });
  const wrong = (rate: string | undefined) => rate !== undefined && rate.trim() !== '' && !/^\d{0,6}([.,]\d{1,6})?$/.test(rate.trim());
  const valid = source.trim() !== '' && /^[A-Za-z]{3}$/.test(currency.trim()) && /^\d{4}-\d{2}-\d{2}$/.test(day) && ![...prices.values()].some(wrong);
  return (
    <form onSubmit={(event: FormEvent) => { event.preventDefault(); if (valid) void keep.act(); }}>
      <div className="stack">
        <Card title={t('rateCard.new')}>
          <p className="small dim" style={{ marginBlockStart: 0 }}>{t('rateCard.newWhat')}</p>
          <Group align="flex-start" gap="md">
            <TextInput type="date" label={t('rateCard.validFrom')} description={t('rateCard.midnight')} required value={day} onChange={(event) => setDay(event.currentTarget.value)} dir="ltr" />
            <TextInput label={t('rateCard.currency')} description={t('rateCard.letters')} required maxLength={3} value={currency} onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())} dir="ltr" w={150} />
            <TextInput label={t('rateCard.source')} description={t('rateCard.sourceHint')} required maxLength={200} value={source} onChange={(event) => setSource(event.currentTarget.value)} dir="auto" style={{ flex: '1 1 240px' }} />
          </Group>
        </Card>
        <Card flush title={t('rateCard.prices', { currency })}>
          <Scroll label={t('rateCard.prices', { currency })}>
            <Table verticalSpacing={4}>
              <Table.Caption>{t('rateCard.prices', { currency })}</Table.Caption>
              <Table.Thead><Table.Tr><Table.Th>{t('preflight.market')}</Table.Th>{categories.map((category) => <Table.Th key={category}>{t(`billedAs.${category}`)}</Table.Th>)}</Table.Tr></Table.Thead>
              <Table.Tbody>{from.markets.map((market) => (
                <Table.Tr key={market}><Table.Th scope="row"><Said>{market}</Said></Table.Th>{categories.map((category) => {
                  const key = cell(market, category);
                  return (
                    <Table.Td key={category}><TextInput size="xs" w={96} inputMode="decimal" autoComplete="off" maxLength={14} dir="ltr" aria-label={`${say(market) ?? market}: ${t(`billedAs.${category}`)}`} value={prices.get(key) ?? ''} error={wrong(prices.get(key))}
                      onChange={(event) => setPrices(new Map(prices).set(key, event.currentTarget.value))} /></Table.Td>
                  );
                })}</Table.Tr>
              ))}</Table.Tbody>
            </Table>
          </Scroll>
        </Card>
        <ProblemNotice error={keep.error} />
        <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={keep.busy} disabled={!valid}>{t('rateCard.save')}</Button></Group>
      </div>
    </form>
  );
}
