// Whom a campaign left out, by which rule, and whether that was found as its audience was planned or as the message was
// about to leave. For whoever answers for consent.
import { Button, Table } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { answer, api, download } from '../api/client.ts';
import { askAbout } from '../asked.ts';
import { useCampaign, useMay } from '../queries.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { LinkButton } from '../ui/link.tsx';
import { LongTable } from '../ui/long.tsx';
import { Awaited, Card, Empty, Ident, Name, Notice, Page, Phone, ProblemNotice, Time } from '../ui/parts.tsx';
import { useScope } from '../ui/scope.tsx';
import { useSkipReason } from '../ui/words.tsx';

export function LeftOut() {
  const { t } = useTranslation();
  const { campaign: id } = useParams({ from: '/campaigns/$campaign/left-out' });
  const audits = useMay('audit');
  const campaign = useCampaign(id).data;
  const navigate = useNavigate();
  const why = useSkipReason();
  const scope = useScope();
  const save = useAct(() => download(`/api/v1/ledger/exclusions/${id}/export`, `exclusions-${id}.csv`));
  const pages = useInfiniteQuery({
    queryKey: ['left-out', id], enabled: audits,
    queryFn: ({ pageParam }) => answer(api.GET('/api/v1/ledger/exclusions/{campaign}', { params: { path: { campaign: id }, query: { limit: 500, ...(pageParam && { after: pageParam }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const rows = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const evidence = (person: string) => {
    askAbout(person);
    void navigate({ to: '/person' });
  };
  return (
    <Page title={t('leftOut.title')} sub={campaign && <Name>{campaign.name}</Name>} acts={
      <>
        <LinkButton variant="default" to="/campaigns/$campaign" params={{ campaign: id }} leftSection={<Icon name="back" size={17} />}>{t('leftOut.back')}</LinkButton>
        {audits && <Button variant="default" loading={save.busy} onClick={() => void save.act()} leftSection={<Icon name="download" size={17} />}>{t('campaign.export')}</Button>}
      </>
    }>
      <ProblemNotice error={save.error} />
      {!audits ? <Notice tone="warn"><p>{t('leftOut.notYours')}</p></Notice> : (
        <Awaited asked={pages}>{() => (
          <Card flush>
            {rows.length === 0 ? <Empty icon="check" title={t('campaign.skippedNone')}>{t('leftOut.noneWhat')}</Empty> : (
              <LongTable label={t('leftOut.title')} rows={rows} keyOf={({ contact_id: contact }) => contact}
                heads={<><Table.Th>{t('optouts.who')}</Table.Th><Table.Th>{t('campaign.why')}</Table.Th><Table.Th>{t('leftOut.found')}</Table.Th><Table.Th>{t('optouts.scope')}</Table.Th><Table.Th className="num">{t('optouts.evidence')}</Table.Th></>}
                cells={(row) => (
                  <>
                    <Table.Td><Phone number={row.phone} />{row.phone && <div><button type="button" className="linklike tiny" style={{ fontWeight: 400, color: 'var(--accent)' }} onClick={() => evidence(row.phone as string)}>{t('lifts.evidence')}</button></div>}</Table.Td>
                    <Table.Td className="small">{why(row.reason)}</Table.Td>
                    <Table.Td className="small">{t(`leftOut.at.${row.found_at}`, { defaultValue: row.found_at })}{row.at && <div className="tiny dim"><Time at={row.at} /></div>}</Table.Td>
                    <Table.Td className="small">{row.scope ? scope(row.scope) : <span className="dim">—</span>}</Table.Td>
                    <Table.Td className="num">{row.evidence_id == null ? '—' : <Ident>{row.evidence_id}</Ident>}</Table.Td>
                  </>
                )}
                more={{ has: pages.hasNextPage, busy: pages.isFetchingNextPage, fetch: () => void pages.fetchNextPage() }} />
            )}
          </Card>
        )}</Awaited>
      )}
    </Page>
  );
}
