// The interface of lb for Node, in full; lb.js is behind it. `Config` is generated from the configuration's schema.
import type { Config } from './config';
import type { Status } from './constants';

export type { Config };

/** The name of a status, as lb.h has it. */
export type StatusName = keyof typeof Status;

export interface ClientOptions {
  /** The configuration may name secrets as `{ env: NAME }` or `{ file: PATH }`. */
  secrets?: boolean;
  /** `false`: what the configuration says under `listen` is not opened. */
  listen?: boolean;
  /** Of every random choice; without one, the system's. */
  seed?: number | bigint;
  /** Calls in flight, at most. */
  callsMax?: number;
  /** 0 none, 1 error, 2 warn, 3 info, 4 debug. */
  logLevel?: number;
  /** Gets what is logged: a level, and a line of JSON. */
  log?: (level: number, line: string) => void;
}

/** How a call, or one attempt of it, ended. What is not known is not there. */
export interface Outcome {
  status: StatusName;
  /** The HTTP status of an attempt; of a call that failed before its head, the one that a gateway would answer with. */
  code?: number;
  tokensIn?: number;
  tokensOut?: number;
  tokensCached?: number;
  attempts?: number;
  queuedNs?: number;
  firstByteNs?: number;
  totalNs?: number;
  /** How long to wait before the same call makes sense again. */
  retryAfterMs?: number;
  /** The deployment. */
  upstream?: string;
  model?: string;
  message?: string;
  requestId?: string;
  /** Why it went where it went; asked for by an `x-lb-trace` header. */
  trace?: string;
}

/** What lb takes of a call beyond the standard: `fetch(url, { ..., lb: { deadlineMs: 1000 } })`. */
export interface CallOptions {
  /** `bytes` as they come (the default); `events`: a chunk is the data of one server-sent event; `whole`: one chunk. */
  delivery?: 'bytes' | 'events' | 'whole';
  /** Instead of the route's. */
  deadlineMs?: number;
  /** Delivered and not yet read, at most, instead of the route's. */
  windowBytes?: number;
  /** Higher is served first when calls have to wait. */
  priority?: number;
  /** Called for each attempt that failed without ending the call. */
  onAttempt?: (outcome: Outcome) => void;
  /** Called once, when the call has ended, however. */
  onDone?: (outcome: Outcome) => void;
}

export interface CallInit extends RequestInit {
  lb?: CallOptions;
  /** As undici has it: `half`, for bodies that are streams. */
  duplex?: 'half';
}

/**
 * What lb says went wrong. It is a `TypeError`, as the standard has it for whatever makes a fetch fail. The fields of
 * `Outcome` are there as far as they are known.
 */
export class LbError extends TypeError implements Omit<Outcome, 'message'> {
  readonly name: 'LbError';
  readonly status: StatusName;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** A JSON pointer into the configuration, when that is at fault. */
  readonly where?: string;
  /** Of `events`, when the answer was an error of the upstream's: that answer. */
  readonly response?: Response;
  readonly code?: number;
  readonly tokensIn?: number;
  readonly tokensOut?: number;
  readonly tokensCached?: number;
  readonly attempts?: number;
  readonly queuedNs?: number;
  readonly firstByteNs?: number;
  readonly totalNs?: number;
  readonly retryAfterMs?: number;
  readonly upstream?: string;
  readonly model?: string;
  readonly requestId?: string;
  readonly trace?: string;
}

/**
 * An engine: sockets, limits and health of its own, on a thread of its own. The process ends by itself when no call
 * is in flight; clients that nobody refers to any more are closed when they are collected.
 *
 * ```js
 * const client = new Client('deployments: [{name: east, url: "https://east.example/v1", models: [gpt-4o-mini]}]');
 * const openai = new OpenAI({ baseURL: 'http://lb/v1', apiKey: 'unused', maxRetries: 0, fetch: client.fetch });
 * ```
 */
export class Client implements AsyncDisposable {
  /** Opens an engine, with its listeners. `config` is YAML or JSON as a text, or an object. Throws `LbError`. */
  constructor(config: string | Config, options?: ClientOptions);

  /**
   * A WHATWG fetch, to be handed to any SDK; it needs no `this`. Of the URL only path and query matter. It rejects with
   * `LbError` when no upstream gave an answer, and with the signal's reason when that was aborted; errors that an
   * upstream answers with are responses, as always. Cancelling, aborting and dropping a response close the upstream's
   * connection; a body that is not read is not taken from there, either.
   */
  readonly fetch: (input: string | URL | Request, init?: CallInit) => Promise<Response>;

  /**
   * The data of an answer's server-sent events, one by one, without the terminal `[DONE]`. Leaving the loop cancels the
   * call. Throws `LbError` with `status: 'UPSTREAM'` and the `response` when the upstream answered with an error.
   */
  events(input: string | URL | Request, init?: CallInit): AsyncGenerator<string, void, void>;

  /** Where a listener is bound, as "host:port"; without a name, the first. */
  address(name?: string): string;
  /** Replaces the whole configuration, or changes nothing and throws. Calls in flight keep theirs. */
  configure(config: string | Config): void;
  /** Takes a deployment out for so long, or (0) back in at once; of one model, or of all. */
  mark(deployment: string, ms: number, model?: string): void;
  /** A snapshot of what is counted. */
  stats(format?: 'json'): Record<string, any>;
  stats(format: 'prometheus'): string;
  /** Takes no more calls, cancels what is left after `drainMs` (0), and frees the engine. */
  close(drainMs?: number): Promise<void>;
  /** `await using client = new Client(config)`: close() at the end of the block. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BalancerOptions {
  secrets?: boolean;
  seed?: number | bigint;
  /** Picks that have not been reported, at most. */
  picksMax?: number;
}

export interface Ask {
  /** Or the model of a route. */
  model: string;
  /** Who is counted. */
  caller?: string;
  /** A session, or the part of the prompt that a cache would serve. */
  affinity?: string;
  /** Of the prompt, in code points: four make a token. */
  characters?: number;
  /** Of the prompt, where it was counted. */
  tokensIn?: number;
  tokensOutMax?: number;
  choices?: number;
  images?: number;
  /** `target` of this call's picks that must not be repeated. */
  tried?: readonly number[];
  attempts?: number;
  /** Not the first pick of its call, also where nothing was tried. */
  retry?: boolean;
  deadlineMs?: number;
}

export interface Picked {
  status: 'OK';
  /** For `report`. */
  pick: bigint;
  /** For `tried`. */
  target: number;
  deployment: string;
  url: string;
  /** Its API key, or "". A secret. */
  key: string;
  /** What it calls the model; null: as it was asked for. */
  model: string | null;
}

export interface NotPicked {
  status: 'LIMITED' | 'NO_UPSTREAM';
  /** Until it makes sense to ask again; Infinity: until another pick is reported; 0: that was it. */
  waitMs: number;
  /** All have been tried: ask again after the wait, with none tried. */
  again: boolean;
}

export interface Reported {
  kind: 'ok' | 'error' | 'connect' | 'timeout' | 'broken' | 'cancelled' | 'not_sent';
  httpStatus?: number;
  /** Header lines, "name: value\r\n" each: Retry-After and limits are read. */
  head?: string;
  /** Of an error; its first kilobytes will do. */
  body?: string;
  tokensIn?: number;
  tokensOut?: number;
  tokensCached?: number;
  /** From the pick to the first content. */
  firstContentMs?: number;
  /** The caller has had some of the answer; there will be no other attempt. */
  delivered?: boolean;
}

export interface Next {
  next: 'stop' | 'elsewhere';
  /** For how long what failed is out of rotation. */
  outMs: number;
}

/** For those who keep their HTTP client: ask where to send a request, send it, say how it went. */
export class Balancer implements Disposable {
  constructor(config: string | Config, options?: BalancerOptions);
  configure(config: string | Config): void;
  /** Throws `LbError` when no route serves the model, or too many picks are open. */
  pick(ask: Ask): Picked | NotPicked;
  report(pick: Picked | bigint, outcome: Reported): Next;
  /** Why a pick would go where it goes; changes nothing. */
  explain(ask: Ask): Record<string, any>;
  stats(): Record<string, any>;
  mark(deployment: string, ms: number, model?: string): void;
  close(): void;
  [Symbol.dispose](): void;
}

/** Checks a configuration without opening anything or reading a secret; throws `LbError` with `where`. */
export function check(config: string | Config): void;
/** The JSON Schema of the configuration, defaults included. */
export function schema(): Record<string, any>;
/** What this was built from. */
export function buildInfo(): {
  name: string; version: string; abi: number; libuv: string; mbedtls: string; llhttp: string; cjson: string;
  linkage: string; sanitizers: string;
};
