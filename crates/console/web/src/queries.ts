// What the pages ask, and how often. What moves is told by a stream (live.ts), and asked every two seconds while there
// is none; the rest is asked again while its page is looked at. react-query stops when the tab is hidden.
import { QueryClient, type UseQueryResult, useQuery } from '@tanstack/react-query';

import { answer, api, type Me, type Permission, Refusal } from './api/client.ts';
import { useIsTold, useWatch } from './live.ts';

export const LIVE = 2_000;

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: true,
      // The server is on this machine or near: one more try for a connection that broke, none for a refusal.
      retry: (failures, error) => failures < 1 && !(error instanceof Refusal && error.problem.status >= 400),
    },
  },
});

/** After something was done, everything that is shown is asked again. */
export function askAgain(): Promise<void> {
  return client.invalidateQueries();
}

export function useMe() {
  return useQuery({ queryKey: ['me'], queryFn: () => answer(api.GET('/api/v1/me')), staleTime: 60_000 });
}

export function may(me: Me | undefined, permission: Permission): boolean {
  return me?.permissions.includes(permission) ?? false;
}

export function useMay(permission: Permission): boolean {
  return may(useMe().data, permission);
}

export function useNumbers(live = false) {
  const told = useIsTold();
  return useQuery({
    queryKey: ['numbers'], queryFn: async () => (await answer(api.GET('/api/v1/numbers'))).items,
    // What the stream tells of a number is in its queue; the rest of it changes by the hour.
    refetchInterval: live ? (told ? 5 * LIVE : LIVE) : false,
  });
}

export function useQueue() {
  const told = useIsTold();
  return useQuery({ queryKey: ['queue'], queryFn: () => answer(api.GET('/api/v1/queue')), refetchInterval: told ? false : LIVE, refetchOnWindowFocus: !told });
}

export function useAccounts() {
  return useQuery({ queryKey: ['accounts'], queryFn: async () => (await answer(api.GET('/api/v1/accounts'))).items });
}

export function useTemplates() {
  return useQuery({ queryKey: ['templates'], queryFn: async () => (await answer(api.GET('/api/v1/templates'))).items });
}

export function useLists() {
  return useQuery({ queryKey: ['lists'], queryFn: async () => (await answer(api.GET('/api/v1/lists'))).items });
}

export function useCampaigns(limit = 50) {
  return useQuery({
    queryKey: ['campaigns', limit],
    queryFn: async () => (await answer(api.GET('/api/v1/campaigns', { params: { query: { limit } } }))).items,
    refetchInterval: LIVE,
  });
}

/** Campaigns that wait for a second person's approval, for whoever may give it. */
export function useAwaitingApproval(enabled: boolean) {
  return useQuery({
    queryKey: ['campaigns', 'awaiting'], enabled, refetchInterval: 5 * LIVE,
    queryFn: async () => (await answer(api.GET('/api/v1/campaigns', { params: { query: { awaiting: 'approval', limit: 20 } } }))).items,
  });
}

export function useCampaign(id: string) {
  return useQuery({
    queryKey: ['campaign', id],
    queryFn: () => answer(api.GET('/api/v1/campaigns/{campaign}', { params: { path: { campaign: id } } })),
  });
}

/** The campaign whose page is open: it is told by the stream, as long as there is one. */
export function useWatched(id: string) {
  const told = useIsTold();
  useWatch(id);
  return useQuery({
    queryKey: ['campaign', id],
    queryFn: () => answer(api.GET('/api/v1/campaigns/{campaign}', { params: { path: { campaign: id } } })),
    refetchInterval: told ? false : LIVE,
    refetchOnWindowFocus: !told,
  });
}

/** Sends in doubt, only as far as a badge needs to count them. */
export function useDoubtCount(): UseQueryResult<number> {
  const allowed = useMay('look_at_persons');
  return useQuery({
    queryKey: ['doubt', 'count'],
    queryFn: async () => (await answer(api.GET('/api/v1/sends/in-doubt', { params: { query: { limit: 1000 } } }))).items.length,
    enabled: allowed,
    refetchInterval: 10_000,
  });
}

/** Messages that somebody should read, only as far as a badge needs to count them. */
export function useReviewCount(): UseQueryResult<number> {
  const allowed = useMay('read_messages');
  return useQuery({
    queryKey: ['reviews', 'count'],
    queryFn: async () => (await answer(api.GET('/api/v1/optouts/reviews', { params: { query: { limit: 100 } } }))).items.length,
    enabled: allowed,
    refetchInterval: 20_000,
  });
}

/** Lifts that wait for a second person, only as far as a badge needs to count them. */
export function useLiftCount(): UseQueryResult<number> {
  const allowed = useMay('lift_opt_outs');
  return useQuery({
    queryKey: ['lifts', 'count'],
    queryFn: async () => (await answer(api.GET('/api/v1/optouts/lifts', { params: { query: { limit: 100 } } }))).items.length,
    enabled: allowed,
    refetchInterval: 20_000,
  });
}
