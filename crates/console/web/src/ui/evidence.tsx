// The evidence about one person: what happened in its order, what they were left out of, and the ledger's entries.
import { Table } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Proof } from '../api/client.ts';
import { useFormat } from '../format.ts';
import type { Happening } from '../timeline.ts';
import { Icon, type IconName } from './icons.tsx';
import { Card, FileName, Ident, Name, Num, Scroll, Time, type Tone } from './parts.tsx';
import { useScope } from './scope.tsx';
import { useFailureReason, useSkipReason, useStopSource } from './words.tsx';

const SIGNS: Record<Happening['kind'], [IconName, Tone]> = {
  consent: ['check', 'good'], message: ['send', 'accent'], reply: ['message', 'calm'], stop: ['stop', 'bad'], exclusion: ['cross', 'calm'], lift: ['reply', 'warn'],
};

export function Story({ happened }: { happened: Happening[] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('person.story')}>
      {happened.length === 0 ? <p className="dim" style={{ margin: 0 }}>{t('person.storyNone')}</p> : (
        <ol className="story">
          {happened.map((each, place) => {
            const [icon, tone] = SIGNS[each.kind];
            return (
              <li key={place} className={tone}>
                <span className="sign"><Icon name={icon} size={16} /></span>
                <div className="about">
                  <div className="line"><span className="strong">{t(`person.event.${each.kind}`)}</span><span className="small dim"><Time at={each.at} withSeconds /></span></div>
                  <What happening={each} />
                </div>
              </li>
            );
          })}
        </ol>
      )}
    </Card>
  );
}

function What({ happening }: { happening: Happening }) {
  switch (happening.kind) {
    case 'consent': return <Consent consent={happening.of} />;
    case 'message': return <Message message={happening.of} />;
    case 'reply': return <blockquote className="quote" dir="auto">{happening.of.said}</blockquote>;
    case 'stop': return <Stop stop={happening.of} />;
    case 'exclusion': return <Excluded exclusion={happening.of} />;
    case 'lift': return <Lifted lift={happening.of} />;
  }
}

/** Names and values, without those that nothing is known of. */
function Facts({ of }: { of: [string, ReactNode][] }) {
  const known = of.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return <dl className="pairs small">{known.map(([name, value]) => <div className="contents" key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function Consent({ consent }: { consent: Proof['consents'][number] }) {
  const { t } = useTranslation();
  const { import: from } = consent;
  return (
    <Facts of={[
      [t('person.consent.source'), <bdi>{consent.source}</bdi>],
      [t('person.consent.wording'), consent.wording === '' ? null : <bdi>{consent.wording}</bdi>],
      [t('person.consent.file'), from && <><FileName>{from.file_name}</FileName> · <Name>{from.list}</Name> · <Ident>{from.actor}</Ident></>],
      [t('person.consent.fileHash'), from && from.sha256 !== '' && <Ident>{from.sha256}</Ident>],
      [t('optouts.evidence'), consent.entry != null && <>{t('optouts.entry')} <Ident>{consent.entry}</Ident></>],
    ]} />
  );
}

function Message({ message }: { message: Proof['messages'][number] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const why = useFailureReason();
  const steps = (['accepted_at', 'delivered_at', 'read_at', 'failed_at'] as const).flatMap((step) => (message[step] ? [<span key={step} className="nowrap">{t(`person.message.${step}`)} {format.time(message[step], { dateStyle: undefined, timeStyle: 'medium' })}</span>] : []));
  return (
    <Facts of={[
      [t('person.message.campaign'), <Link to="/campaigns/$campaign" params={{ campaign: String(message.campaign_id) }}><Name>{message.campaign}</Name></Link>],
      [t('person.message.template'), <><Ident>{message.template}</Ident> · {t(`category.${message.category}`, { defaultValue: message.category.toLowerCase() })}</>],
      [t('person.message.state'), t(`sendState.${message.state}`, { defaultValue: message.state })],
      [t('person.message.steps'), steps.length > 0 && steps.map((step, place) => <span key={place}>{place > 0 && ' · '}{step}</span>)],
      [t('person.message.code'), message.code != null && <>{why(String(message.code))} <Ident>{message.code}</Ident></>],
      [t('person.message.id'), message.wamid && <Ident>{message.wamid}</Ident>],
      [t('person.message.after'), message.after_stop && <><Num>{message.after_stop.ms}</Num> ms · {t(`person.why.${message.after_stop.why}`, { defaultValue: message.after_stop.why })}</>],
    ]} />
  );
}

function Stop({ stop }: { stop: Proof['stops'][number] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const source = useStopSource();
  const scope = useScope();
  if (stop.erased) return <Facts of={[[t('optouts.source'), t('person.stop.erased')], [t('optouts.evidence'), <>{t('optouts.entry')} <Ident>{stop.entry}</Ident></>]]} />;
  return (
    <>
      <Facts of={[
        [t('optouts.source'), source(stop.source)],
        [t('optouts.scope'), scope(stop.scope)],
        [t('person.stop.said'), stop.said === '' ? null : <bdi className="break">{stop.said}</bdi>],
        [t('person.stop.saidAt'), <Time at={stop.said_at} withSeconds />],
        [t('person.stop.effective'), format.number(stop.seconds_until_effective, { maximumFractionDigits: 3, style: 'unit', unit: 'second' })],
        [t('person.message.campaign'), stop.campaign && <Name>{stop.campaign}</Name>],
        [t('person.by'), <Ident>{stop.actor}</Ident>],
        [t('optouts.evidence'), <>{t('optouts.entry')} <Ident>{stop.entry}</Ident></>],
      ]} />
      {(stop.raw || stop.signature || stop.body_sha256) && (
        <details style={{ marginBlockStart: 6 }}>
          <summary className="small">{t('person.stop.raw')}</summary>
          <Facts of={[[t('person.stop.bodyHash'), stop.body_sha256 && <Ident>{stop.body_sha256}</Ident>], [t('ledger.signature'), stop.signature && <Ident>{stop.signature}</Ident>]]} />
          {stop.raw && <pre className="raw" dir="ltr" tabIndex={0}>{stop.raw}</pre>}
        </details>
      )}
    </>
  );
}

function Lifted({ lift }: { lift: Proof['lifts'][number] }) {
  const { t } = useTranslation();
  return <Facts of={[[t('person.by'), <Ident>{lift.actor}</Ident>], [t('reason.label'), <bdi className="break">{lift.said}</bdi>], [t('optouts.evidence'), <>{t('optouts.entry')} <Ident>{lift.entry}</Ident></>]]} />;
}

function Excluded({ exclusion }: { exclusion: Proof['exclusions'][number] }) {
  const { t } = useTranslation();
  const skip = useSkipReason();
  return <Facts of={[[t('person.message.campaign'), <Name>{exclusion.campaign}</Name>], [t('campaign.why'), skip(exclusion.reason)], [t('person.exclusions.found'), t(`person.found.${exclusion.found_at}`, { defaultValue: exclusion.found_at })]]} />;
}

export function Exclusions({ rows }: { rows: Proof['exclusions'] }) {
  const { t } = useTranslation();
  const skip = useSkipReason();
  return (
    <Card flush title={t('person.exclusions.title')}>
      {rows.length === 0 ? <p className="dim" style={{ margin: 0, padding: '0 var(--pad) 18px' }}>{t('person.exclusions.none')}</p> : (
        <Scroll label={t('person.exclusions.title')}>
          <Table>
            <Table.Caption>{t('person.exclusions.title')}</Table.Caption>
            <Table.Thead><Table.Tr><Table.Th>{t('person.message.campaign')}</Table.Th><Table.Th>{t('campaign.why')}</Table.Th><Table.Th>{t('person.exclusions.found')}</Table.Th><Table.Th>{t('person.exclusions.at')}</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>{rows.map((row) => (
              <Table.Tr key={row.campaign_id}>
                <Table.Td><Link className="plain" to="/campaigns/$campaign" params={{ campaign: String(row.campaign_id) }}><Name>{row.campaign}</Name></Link></Table.Td>
                <Table.Td>{skip(row.reason)}</Table.Td>
                <Table.Td className="small">{t(`person.found.${row.found_at}`, { defaultValue: row.found_at })}</Table.Td>
                <Table.Td className="small"><Time at={row.at} /></Table.Td>
              </Table.Tr>
            ))}</Table.Tbody>
          </Table>
        </Scroll>
      )}
    </Card>
  );
}

/** The entries of the chain behind all that, for whoever wants to hold them against an exported ledger. */
export function Entries({ entries, heads }: { entries: Proof['entries']; heads: number }) {
  const { t } = useTranslation();
  if (entries.length === 0) return null;
  return (
    <Card flush title={t('person.entries.title')} aside={<span className="small dim">{heads === 0 ? t('person.entries.unsigned') : t('person.entries.heads', { count: heads })}</span>}>
      <Scroll label={t('person.entries.title')}>
        <Table>
          <Table.Caption>{t('person.entries.title')}</Table.Caption>
          <Table.Thead><Table.Tr><Table.Th className="num">{t('person.entries.place')}</Table.Th><Table.Th>{t('person.entries.kind')}</Table.Th><Table.Th>{t('person.exclusions.at')}</Table.Th><Table.Th>{t('person.by')}</Table.Th><Table.Th>{t('ledger.hash')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>{entries.map((entry) => (
            <Table.Tr key={entry.id}>
              <Table.Td className="num">{entry.seq == null ? t('ledger.unsealed') : <Ident>{entry.seq}</Ident>}</Table.Td>
              <Table.Td>{t(`person.entryKind.${entry.kind}`, { defaultValue: entry.kind })}</Table.Td>
              <Table.Td className="small"><Time at={new Date(entry.at).toISOString()} withSeconds /></Table.Td>
              <Table.Td className="small"><Ident>{entry.actor}</Ident></Table.Td>
              <Table.Td className="tiny"><Ident>{entry.hash.slice(0, 16)}{entry.hash.length > 16 && '…'}</Ident></Table.Td>
            </Table.Tr>
          ))}</Table.Tbody>
        </Table>
      </Scroll>
    </Card>
  );
}
