// The typed client of Hudhud's API. Types are made from openapi.json (`npm run types`), which a test of the server
// holds against its own description.
import createClient, { type Middleware } from 'openapi-fetch';

import { credentials, signedOut } from '../session.ts';
import type { components, paths } from './schema.d.ts';

type Schemas = components['schemas'];
export type Problem = Omit<Schemas['Problem'], 'document' | 'request_id'> & { document?: unknown; request_id?: string };
export type Account = Schemas['AccountView'];
export type Approval = Schemas['ApprovalView'];
export type AuditRow = Schemas['AuditView'];
export type BusinessNumber = Schemas['NumberView'];
export type Campaign = Schemas['CampaignView'];
export type AfterStop = Schemas['AfterStopReport'];
export type CampaignReport = Schemas['CampaignReport'];
export type Compared = Schemas['Compared'];
export type Counts = Schemas['Counts'];
export type Disclosure = Schemas['DisclosureView'];
export type Doubt = Schemas['DoubtView'];
export type Erasure = Schemas['ErasureView'];
export type InboundMessage = Schemas['InboundView'];
export type ImportSummary = Schemas['ImportSummary'];
export type ImportRecord = Schemas['ImportView'];
export type Key = Schemas['KeyView'];
export type LedgerCheck = Schemas['LedgerCheck'];
export type Lift = Schemas['LiftView'];
export type LinkFor = Schemas['LinkView'];
export type List = Schemas['ListView'];
export type Me = Schemas['Me'];
export type MessageState = Schemas['MessageView'];
export type ListedMessage = Schemas['ListedMessageView'];
export type Money = Schemas['Money'];
export type NewCampaign = Schemas['NewCampaign'];
export type OptOut = Schemas['OptOutRow'];
export type OptOutImport = Schemas['OptOutImport'];
export type Permission = Schemas['Permission'];
export type Preflight = Schemas['Preflight'];
export type Proof = Schemas['Proof'];
export type QueueRow = Schemas['QueueRow'];
export type RateCard = Schemas['RateCardView'];
export type Reach = Schemas['ReachView'];
export type Review = Schemas['ReviewView'];
export type Role = Schemas['Role'];
export type Rules = Schemas['RulesView'];
export type RulesChange = Schemas['RulesChange'];
export type Session = Schemas['SessionView'];
export type Template = Schemas['TemplateView'];
export type User = Schemas['UserView'];
export type Verdict = Schemas['OptOutView'];
export type WebhookEvent = Schemas['WebhookView'];
export type Word = Schemas['WordView'];

/** A refusal, with what happened, what is kept and what to do. */
export class Refusal extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'Refusal';
    this.problem = problem;
  }

  get kind(): string {
    return this.problem.type.replace('urn:hudhud:problem:', '');
  }
}

/** No answer at all. Its words are put in by whoever shows it, in the reader's language. */
export const NO_ANSWER = 'no-answer';

function noAnswer(): Refusal {
  const type = `urn:hudhud:problem:${NO_ANSWER}`;
  return new Refusal({ type, title: '', status: 0, detail: '', kept: '', action: '' });
}

/** A name for a request, so that sending it twice does it once. */
export function requestName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const signed: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(credentials())) request.headers.set(name, value);
    if (request.method === 'POST') request.headers.set('idempotency-key', requestName());
  },
  onResponse({ response }) {
    if (response.status === 401) signedOut('refused');
  },
  onError() {
    return noAnswer();
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use(signed);

/** The answer's data; throws a {@link Refusal} for anything that is not a success. */
export async function answer<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  throw asRefusal(error, response.status);
}

export function asRefusal(error: unknown, status: number): Refusal {
  if (error instanceof Refusal) return error;
  if (typeof error === 'object' && error !== null && 'detail' in error) return new Refusal(error as Problem);
  // A proxy's page, or nothing.
  return status === 0 || status >= 502 ? noAnswer() : new Refusal({
    type: 'about:blank', title: String(status), status, detail: `HTTP ${status}`, kept: '', action: '',
  });
}

/** Fetches a file that needs the session; with a body it is asked for by POST, which keeps people out of addresses. */
async function fetched(path: string, body?: object): Promise<Blob> {
  const asked: RequestInit = body === undefined
    ? { headers: credentials() }
    : { method: 'POST', headers: { ...credentials(), 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(path, asked).catch(() => null);
  if (response === null) throw noAnswer();
  if (response.status === 401) signedOut('refused');
  if (!response.ok) throw asRefusal(await response.json().catch(() => null), response.status);
  return response.blob();
}

/** Hands something to the browser to save. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the file over by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Fetches a file and hands it to the browser to save. */
export async function download(path: string, name: string, body?: object): Promise<void> {
  save(await fetched(path, body), name);
}

/** Fetches a document and shows it in a tab of its own, where it can be read and printed. */
export async function show(path: string, name: string, body: object): Promise<void> {
  // Only a click may open a tab, and the answer comes later than the click.
  const tab = window.open('', '_blank');
  try {
    const document = await fetched(path, body);
    if (tab === null) save(document, name);
    else tab.location.replace(URL.createObjectURL(document));
  } catch (refused) {
    tab?.close();
    throw refused;
  }
}

/** Sends a file as it is. XMLHttpRequest, since fetch does not tell how much has left. */
function send<T>(method: 'POST' | 'PATCH', path: string, body: Blob, onProgress: (share: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.responseType = 'json';
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.setRequestHeader('content-type', method === 'POST' ? 'text/csv' : 'application/octet-stream');
    if (method === 'POST') request.setRequestHeader('idempotency-key', requestName());
    request.upload.onprogress = (event) => onProgress(event.total > 0 ? event.loaded / event.total : 0);
    request.onload = () => {
      if (request.status === 401) signedOut('refused');
      if (request.status >= 200 && request.status < 300) resolve(request.response as T);
      else reject(asRefusal(request.response, request.status));
    };
    request.onerror = () => reject(noAnswer());
    request.onabort = () => reject(noAnswer());
    request.send(body);
  });
}

/** A whole file, in the request that says what it is. */
export function upload<T>(path: string, file: Blob, onProgress: (share: number) => void): Promise<T> {
  return send('POST', path, file, onProgress);
}

/** A piece of a file. */
export function patch(path: string, piece: Blob, onProgress: (share: number) => void): Promise<Schemas['UploadView']> {
  return send('PATCH', path, piece, onProgress);
}
