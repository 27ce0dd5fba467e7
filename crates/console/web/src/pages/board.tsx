// The operator's one screen: a row for each business number, why it does not send, and the means to stop it.
import { Button, Group, Modal, NumberInput, Radio, Stack, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type BusinessNumber, type QueueRow } from '../api/client.ts';
import { useFormat } from '../format.ts';
import type { Point } from '../progress.ts';
import { useCampaigns, useDoubtCount, useMay, useNumbers, useQueue } from '../queries.ts';
import { Confirm, said, useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { AsOf, Awaited, Card, Empty, Fact, Ident, Meter, Name, Num, Page, Phone, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { PaceWithTable } from '../ui/pace.tsx';
import { LaneState, Quality, Reason } from '../ui/words.tsx';

export function Board() {
  const { t } = useTranslation();
  const format = useFormat();
  const operates = useMay('operate');
  const queue = useQueue();
  const numbers = useNumbers(true).data ?? [];
  const running = (useCampaigns(50).data ?? []).filter(({ state }) => state === 'running').length;
  const doubt = useDoubtCount();
  const [pausingAll, pauseAll] = useDisclosure(false);
  const points = usePaces(queue.data, queue.dataUpdatedAt);
  const byId = new Map(numbers.map((number) => [number.phone_number_id, number]));
  return (
    <Page title={t('nav.queue')} acts={
      <>
        <AsOf at={queue.dataUpdatedAt} />
        {operates && (queue.data?.length ?? 0) > 0 && <Button variant="outline" color="red.8" c="var(--bad)" onClick={pauseAll.open} leftSection={<Icon name="pause" size={17} />}>{t('board.pauseAll')}</Button>}
      </>
    }>
      <Awaited asked={queue}>{(rows) => {
        if (rows.length === 0) return <Card><Empty icon="gauge" title={t('board.none')} act={<LinkButton to="/accounts">{t('nav.accounts')}</LinkButton>}>{t('board.noneWhat')}</Empty></Card>;
        const pace = rows.reduce((sum, row) => sum + row.pace, 0);
        const limit = rows.every(({ rate }) => rate != null) ? rows.reduce((sum, row) => sum + (row.rate ?? 0), 0) : null;
        const ready = rows.reduce((sum, row) => sum + row.ready, 0);
        const delayed = rows.reduce((sum, row) => sum + row.delayed, 0);
        const flying = rows.reduce((sum, row) => sum + row.in_flight, 0);
        const oldest = Math.max(0, ...rows.map((row) => row.oldest_seconds));
        return (
          <>
            <div className="facts">
              <Fact label={t('board.pace')} value={t('pace.perSecond', { pace: format.number(pace) })} note={limit === null ? t('pace.noLimit') : t('pace.ofLimit', { limit: format.number(limit) })} />
              <Fact label={t('board.ready')} value={<Num>{ready}</Num>} note={delayed > 0 ? t('board.delayedToo', { count: delayed }) : undefined} />
              <Fact label={t('board.inFlight')} value={<Num>{flying}</Num>} />
              <Fact label={t('board.oldest')} value={oldest > 0 ? format.span(oldest) : '—'} tone={oldest > 60 ? 'warn' : undefined} />
              <Fact label={t('home.running')} value={<Num>{running}</Num>} />
              {doubt.data !== undefined && <Fact label={t('nav.doubt')} value={<Num>{doubt.data}</Num>} tone={doubt.data > 0 ? 'warn' : undefined} note={doubt.data > 0 ? <Link to="/in-doubt">{t('act.look')}</Link> : undefined} />}
            </div>
            <Card flush>
              <Scroll label={t('board.numbers')}>
                <Table>
                  <Table.Caption>{t('board.numbers')}</Table.Caption>
                  <Table.Thead><Table.Tr>
                    <Table.Th>{t('board.number')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th style={{ minInlineSize: 104 }}>{t('board.paceOfLimit')}</Table.Th>
                    <Table.Th className="num">{t('board.ready')}</Table.Th><Table.Th className="num">{t('board.oldest')}</Table.Th>
                    <Table.Th>{t('board.limit')}</Table.Th><Table.Th>{t('board.quality')}</Table.Th><Table.Th><span className="skip">{t('act.acts')}</span></Table.Th>
                  </Table.Tr></Table.Thead>
                  <Table.Tbody>{rows.map((row) => <Row key={row.phone_number_id} row={row} number={byId.get(row.phone_number_id)} />)}</Table.Tbody>
                </Table>
              </Scroll>
            </Card>
            <div style={{ marginBlockStart: 16 }}>
              <Card title={t('pace.title')} aside={limit !== null && <span className="small dim">{t('pace.ofLimit', { limit: format.number(limit) })}</span>}><PaceWithTable points={points} limit={limit} /></Card>
            </div>
            <p className="tiny dim">{t('board.live')}</p>
          </>
        );
      }}</Awaited>
      <Confirm opened={pausingAll} close={pauseAll.close} danger title={t('board.pauseAllTitle')} yes={t('board.pauseAll')} no={t('board.keepSending')} ask={{ label: t('reason.label'), hint: t('reason.everybody'), required: true }}
        does={(reason) => answer(api.POST('/api/v1/numbers/pause-all', { body: { reason } })).then(() => said(t('board.allPaused')))}>
        {t('board.pauseAllWhat')}
      </Confirm>
    </Page>
  );
}

function Row({ row, number }: { row: QueueRow; number: BusinessNumber | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const rate = row.rate ?? null;
  return (
    <Table.Tr>
      <Table.Td style={{ minInlineSize: 160 }}>
        <div className="strong"><Name>{number?.verified_name ?? '—'}</Name></div>
        <div className="small dim">{number ? <Phone number={number.display} raw /> : <Ident>{row.phone_number_id}</Ident>}</div>
      </Table.Td>
      <Table.Td style={{ minInlineSize: 140 }}>
        <LaneState state={row.state} />
        {row.reason && <div className="small dim" style={{ marginBlockStart: 3, maxInlineSize: 300 }}><Reason words={row.reason} /></div>}
      </Table.Td>
      <Table.Td>
        <div className="small nowrap" style={{ marginBlockEnd: 5 }}><span className="strong"><Num>{row.pace}</Num></span> <span className="dim">/ {rate === null ? t('pace.free') : format.number(rate)}</span></div>
        <Meter parts={[{ share: rate === null ? (row.pace > 0 ? 1 : 0) : row.pace / rate, tone: row.pace > 0 ? undefined : 'soft' }]} label={t('board.paceOf', { name: number?.verified_name ?? row.phone_number_id })} />
      </Table.Td>
      <Table.Td className="num"><Num>{row.ready}</Num>{row.delayed > 0 && <div className="tiny dim">{t('board.delayedToo', { count: row.delayed })}</div>}{row.in_flight > 0 && <div className="tiny dim">{t('board.onTheWay', { count: row.in_flight })}</div>}</Table.Td>
      <Table.Td className="num">{row.oldest_seconds > 0 ? format.span(row.oldest_seconds) : '—'}</Table.Td>
      <Table.Td><Reached limit={row.limit} name={number?.verified_name ?? row.phone_number_id} /></Table.Td>
      <Table.Td>{number && <Quality quality={number.quality} />}</Table.Td>
      <Table.Td><div className="acts-cell">{number && <NumberActs number={number} />}</div></Table.Td>
    </Table.Tr>
  );
}

/** How many people the number's portfolio has reached in 24 hours, of those it may. */
function Reached({ limit, name }: { limit: QueueRow['limit']; name: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (limit == null) return <span className="dim small">{t('pace.free')}</span>;
  const share = limit.used / Math.max(1, limit.people);
  return (
    <>
      <div className="small nowrap" style={{ marginBlockEnd: 5 }}><span className="strong"><Num>{limit.used}</Num></span> <span className="dim">/ {format.number(limit.people)}</span></div>
      <Meter parts={[{ share, tone: share >= 1 ? 'bad' : share >= 0.8 ? 'warn' : undefined }]} label={t('board.limitOf', { name })} />
      {!limit.counted && <div className="tiny dim">{t('board.counting')}</div>}
      {share >= 1 && limit.free_at && <div className="tiny dim">{t('board.freeAt')} <Time at={limit.free_at} /></div>}
    </>
  );
}

/** The paces that were seen while the console is open, as the lanes themselves measure them: never above their limits. */
const seen: Point[] = [];

function usePaces(rows: QueueRow[] | undefined, at: number): Point[] {
  const [points, setPoints] = useState<Point[]>(seen);
  useEffect(() => {
    if (!rows || at - (seen.at(-1)?.at ?? 0) < 1_000) return;
    const limit = rows.length > 0 && rows.every(({ rate }) => rate != null) ? rows.reduce((sum, { rate }) => sum + (rate ?? 0), 0) : null;
    seen.push({ at, pace: rows.reduce((sum, { pace }) => sum + pace, 0), limit });
    seen.splice(0, seen.length - 600);
    setPoints([...seen]);
  }, [rows, at]);
  return points;
}

/** Pause, resume and pace of one business number, for those who may. */
export function NumberActs({ number }: { number: BusinessNumber }) {
  const { t } = useTranslation();
  const operates = useMay('operate');
  const [pausing, pause] = useDisclosure(false);
  const [setting, set] = useDisclosure(false);
  const path = { params: { path: { phone_number_id: number.phone_number_id } } };
  const resume = useAct(() => answer(api.POST('/api/v1/numbers/{phone_number_id}/resume', path)).then(() => said(t('board.resumed'))));
  if (!operates) return null;
  return (
    <>
      <Button size="xs" variant="default" onClick={set.open} aria-label={`${t('board.setRate')}: ${number.verified_name}`}>{t('board.setRate')}</Button>
      {number.paused_reason
        ? <Button size="xs" loading={resume.busy} onClick={() => void resume.act()} aria-label={`${t('board.resume')}: ${number.verified_name}`}>{t('board.resume')}</Button>
        : <Button size="xs" variant="default" onClick={pause.open} aria-label={`${t('board.pause')}: ${number.verified_name}`}>{t('board.pause')}</Button>}
      <ProblemNotice error={resume.error} />
      <Confirm opened={pausing} close={pause.close} title={t('board.pauseTitle')} yes={t('board.pause')} no={t('board.keepSending')} ask={{ label: t('reason.label'), hint: t('reason.everybody'), required: true }}
        does={(reason) => answer(api.POST('/api/v1/numbers/{phone_number_id}/pause', { ...path, body: { reason } })).then(() => said(t('board.paused')))}>
        <Name>{number.verified_name}</Name> · <Phone number={number.display} raw />
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('board.pauseWhat')}</p>
      </Confirm>
      <Rate number={number} opened={setting} close={set.close} />
    </>
  );
}

function Rate({ number, opened, close }: { number: BusinessNumber; opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const [mode, setMode] = useState<'level' | 'own'>(number.set_rate == null ? 'level' : 'own');
  const [rate, setRate] = useState<string | number>(number.set_rate ?? number.rate ?? 80);
  const save = useAct(async () => {
    await answer(api.POST('/api/v1/numbers/{phone_number_id}/rate', {
      params: { path: { phone_number_id: number.phone_number_id } }, body: { rate: mode === 'level' ? 'level' : Number(rate) },
    }));
    said(t('board.rateSet'));
  }, close);
  return (
    <Modal opened={opened} onClose={close} title={t('board.rateTitle')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); void save.act(); }}>
        <Stack gap="md">
          <div><Name>{number.verified_name}</Name> · <Phone number={number.display} raw /></div>
          <Radio.Group value={mode} onChange={(value) => setMode(value as 'level' | 'own')} aria-label={t('board.rateTitle')}>
            <div className="choice"><Radio value="level" label={t('board.rateLevel')} description={t('board.rateLevelWhat', { level: number.throughput })} /></div>
            <div className="choice"><div className="about"><Radio value="own" label={t('board.rateOwn')} />
              {mode === 'own' && <NumberInput mt={8} aria-label={t('board.perSecond')} value={rate} onChange={setRate} min={1} max={1000} allowDecimal={false} dir="ltr" description={t('board.perSecond')} inputWrapperOrder={['input', 'description']} />}
            </div></div>
          </Radio.Group>
          <ProblemNotice error={save.error} />
          <Group justify="flex-end"><Button variant="default" onClick={close}>{t('act.notNow')}</Button><Button type="submit" loading={save.busy} disabled={mode === 'own' && !(Number(rate) >= 1)}>{t('act.save')}</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
