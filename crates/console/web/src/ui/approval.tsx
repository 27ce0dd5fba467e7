// Two people for a large campaign: who has approved it exactly as it is, and the button for whoever may.
import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api, type Approval, type Campaign } from '../api/client.ts';
import { useMay, useMe } from '../queries.ts';
import { Confirm, said } from './act.tsx';
import { useRules } from './care.tsx';
import { Icon } from './icons.tsx';
import { Card, Ident, State, Time } from './parts.tsx';

/** Whether this stands against a launch only for want of a second person. */
export const isApproval = (words: string): boolean => /a second person must approve it/.test(words);

/** Whether somebody other than the one who looks has approved it. */
export function useApprovedByAnother(approval: Approval | null | undefined): boolean {
  const me = useMe().data?.actor;
  return !approval || approval.approved_by.some((actor) => actor !== me);
}

export function ApprovalCard({ campaign, approval, eligible, blocked }: {
  campaign: Campaign; approval: Approval;
  /** How many would get it, where that is known. */
  eligible?: number;
  /** Something else stands against it, and putting that right makes another campaign of it. */
  blocked: boolean;
}) {
  const { t } = useTranslation();
  const approves = useMay('approve_campaigns');
  const me = useMe().data?.actor;
  const [asking, { open, close }] = useDisclosure(false);
  const { approved_by: by, approved_at: at, above } = approval;
  const mine = me !== undefined && by.includes(me);
  const another = useApprovedByAnother(approval);
  return (
    <Card title={t('approval.title')} aside={another ? <State tone="good" icon="check">{t('approval.done')}</State> : <State tone="warn" icon="clock">{t('approval.missing')}</State>}>
      <p style={{ marginBlockStart: 0 }}>{t('approval.why', { count: above })}</p>
      {by.length > 0 && <p>{t('approval.by')} {by.map((actor, place) => <span key={actor}>{place > 0 && ' · '}<Ident>{actor}</Ident></span>)} {at && <span className="dim">· <Time at={at} /></span>}</p>}
      <p className="small dim" style={{ marginBlockEnd: 0 }}>{t(mine && !another ? 'approval.own' : another ? 'approval.voids' : approves ? 'approval.asks' : 'approval.send')}</p>
      {approves && !mine && (
        <p style={{ marginBlockEnd: 0 }}>
          <Button variant={another ? 'default' : 'filled'} disabled={blocked} onClick={open} leftSection={<Icon name="check" size={17} />}>{t('approval.approve')}</Button>
          {blocked && <span className="small dim" style={{ marginInlineStart: 10 }}>{t('approval.blocked')}</span>}
        </p>
      )}
      <Confirm opened={asking} close={close} title={t('approval.ask')} yes={t('approval.approve')} no={t('approval.not')}
        does={() => answer(api.POST('/api/v1/campaigns/{campaign}/approve', { params: { path: { campaign: String(campaign.id) } } })).then(() => said(t('approval.approved')))}>
        {eligible !== undefined && <p className="strong" style={{ marginBlockStart: 0 }}>{t('approval.people', { count: eligible })}</p>}
        <p style={{ margin: 0 }}>{t('approval.exactly')}</p>
        <p className="small dim" style={{ marginBlockEnd: 0 }}>{t('approval.voids')}</p>
      </Confirm>
    </Card>
  );
}

/** The same for a campaign that starts by itself, or was kept from it: asked by itself, and only where the house asks for it. */
export function ApprovalOf({ campaign }: { campaign: Campaign }) {
  const sees = useMay('preflight');
  const above = useRules().data?.approval_above;
  const checked = useQuery({
    queryKey: ['preflight', campaign.id], enabled: sees && above != null, staleTime: 30_000, retry: false,
    queryFn: () => answer(api.POST('/api/v1/campaigns/{campaign}/preflight', { params: { path: { campaign: String(campaign.id) } } })),
  }).data;
  if (!checked?.approval) return null;
  return <ApprovalCard campaign={campaign} approval={checked.approval} eligible={checked.eligible} blocked={checked.blockers.some((words) => !isApproval(words))} />;
}
