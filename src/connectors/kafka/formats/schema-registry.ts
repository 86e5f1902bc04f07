// A client of schema registries that speak Confluent's HTTP API (Confluent, Karapace, Redpanda,
// Apicurio's /apis/ccompat). Schemas never change once they have an id, so they are kept for good.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { StreamError } from '../../../base/stream-error.ts';
import type { StreamErrorOptions } from '../../../base/stream-error.ts';
import type { TextOrReference } from '../../../ports/kafka-address.ts';
import { describeReference, lookUp } from '../text-reference.ts';

export type RegistryAddress = {
  /** `https://registry:8081`, or several with commas between, which are tried in turn. */
  readonly url: TextOrReference;
  /** Default: none is sent. */
  readonly auth?:
    | { readonly username: TextOrReference; readonly password: TextOrReference }
    | { readonly token: TextOrReference };
  /** For how long a registry that fails is asked again before the run fails, ms. Default 60,000. */
  readonly patienceMs?: number;
};

export type RegistrySchema = {
  /** -1 for what is only referred to. */
  readonly id: number;
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON';
  readonly text: string;
  /** With the references of references, each once, and before those that refer to it. */
  readonly references: readonly ReferencedSchema[];
};

/** `name` is what the schema calls it: an Avro type, or an import of Protobuf. */
export type ReferencedSchema = { readonly name: string; readonly text: string };

export type SchemaReference = {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
};

export type NewSchema = {
  readonly type: 'AVRO' | 'PROTOBUF';
  readonly text: string;
  readonly references?: readonly SchemaReference[];
};

const patienceMsDefault = 60_000;
const requestMsMax = 10_000;
const pauseMsMin = 50;
const pauseMsMax = 2_000;
/** A schema with more references than this is taken for a ring or an attack. */
const referenceCountMax = 1_000;
const transientStatuses: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const surroundings = {
  environment: (name: string) => process.env[name],
  readFile: (path: string) => readFileSync(path, 'utf8'),
};
const accepted = 'application/vnd.schemaregistry.v1+json, application/json';

type Asked = {
  /** Behind "could not". */
  readonly what: string;
  readonly path: string;
  readonly body?: object;
};

type Answer = { readonly status: number; readonly body: unknown };
type Raw = { readonly [name: string]: unknown };

export class SchemaRegistry {
  readonly #address: RegistryAddress;
  readonly #byId = new Map<number, Promise<RegistrySchema>>();
  #turn = 0;

  constructor(address: RegistryAddress) {
    this.#address = address;
  }

  /** For messages and plans: never a secret. */
  get description(): string {
    const { url } = this.#address;
    return describeReference(url).replaceAll(/\/\/[^/@,]*@/g, '//');
  }

  /** Rejects with `schema-unknown` where the registry has no such id. */
  schemaById(id: number): Promise<RegistrySchema> {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const found = this.#fetchById(id);
    this.#byId.set(id, found);
    found.catch(() => this.#byId.delete(id));
    return found;
  }

  /** Rejects with `subject-unknown` where there is none. */
  async latest(subject: string): Promise<RegistrySchema> {
    const what = `find the latest schema of subject "${subject}"`;
    const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`;
    const answer = await this.#ask({ what, path });
    if (answer.status === 404) {
      const hint = `register a schema under "${subject}", or give one with \`register: true\``;
      throw this.#error(what, { code: 'subject-unknown', message: 'there is none', hint });
    }
    const raw = this.#expect(what, answer);
    return this.#complete(what, raw, Number(raw['id']));
  }

  /** Gives the id, also where the subject had this schema before. */
  async register(subject: string, schema: NewSchema): Promise<number> {
    const what = `register a schema under subject "${subject}"`;
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const { type, text, references = [] } = schema;
    const body = { schemaType: type, schema: text, references };
    const answer = await this.#ask({ what, path, body });
    if (answer.status === 409 || answer.status === 422) {
      throw this.#error(what, {
        code: 'schema-refused',
        message: saidBy(answer.body) ?? `it answered ${answer.status}`,
        hint: "fit the schema to the subject's compatibility, or take another subject",
      });
    }
    const id = Number(this.#expect(what, answer)['id']);
    if (Number.isInteger(id)) return id;
    throw this.#strange(what, 'the answer has no id');
  }

  /** Registers nothing. Rejects with `subject-unknown` where it is not there. */
  async lookUp(subject: string, schema: NewSchema): Promise<RegistrySchema> {
    const what = `find the schema that is given under subject "${subject}"`;
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const { type, text, references = [] } = schema;
    const body = { schemaType: type, schema: text, references };
    const answer = await this.#ask({ what, path, body });
    if (answer.status === 404) {
      const hint = 'register it first, or set `register: true`';
      throw this.#error(what, { code: 'subject-unknown', message: 'it is not there', hint });
    }
    const raw = this.#expect(what, answer);
    return this.#complete(what, raw, Number(raw['id']));
  }

  async #fetchById(id: number): Promise<RegistrySchema> {
    const what = `find the schema ${id}`;
    const answer = await this.#ask({ what, path: `/schemas/ids/${id}` });
    if (answer.status === 404) {
      throw this.#error(what, {
        code: 'schema-unknown',
        message: 'it knows no such id',
        hint: 'check that records were written with this registry',
      });
    }
    return this.#complete(what, this.#expect(what, answer), id);
  }

  async #complete(what: string, raw: Raw, id: number): Promise<RegistrySchema> {
    const { schema: text, schemaType: type = 'AVRO' } = raw;
    if (typeof text !== 'string') throw this.#strange(what, 'the answer has no schema');
    if (type !== 'AVRO' && type !== 'PROTOBUF' && type !== 'JSON') {
      throw this.#strange(what, `its schemas are of type ${JSON.stringify(type)}`);
    }
    const references: ReferencedSchema[] = [];
    await this.#gather(what, raw, { references, seen: new Set() });
    return { id, type, text, references };
  }

  async #gather(
    what: string,
    raw: Raw,
    into: { readonly references: ReferencedSchema[]; readonly seen: Set<string> },
  ): Promise<void> {
    const listed = Array.isArray(raw['references']) ? (raw['references'] as readonly Raw[]) : [];
    for (const { name, subject, version } of listed) {
      const key = `${String(name)} ${String(subject)} ${String(version)}`;
      if (into.seen.has(key)) continue;
      into.seen.add(key);
      if (into.seen.size > referenceCountMax) throw this.#strange(what, 'too many references');
      const path = `/subjects/${encodeURIComponent(String(subject))}/versions/${String(version)}`;
      const of = `${what}: its reference "${String(name)}"`;
      const found = this.#expect(of, await this.#ask({ what: of, path }));
      await this.#gather(what, found, into);
      if (typeof found['schema'] !== 'string') throw this.#strange(of, 'it has no schema');
      into.references.push({ name: String(name), text: found['schema'] });
    }
  }

  #expect(what: string, { status, body }: Answer): Raw {
    if (status === 401) {
      const hint = 'check `auth` of the registry';
      throw this.#error(what, { code: 'registry-login', message: 'it asks for a login', hint });
    }
    if (status === 403) {
      const message = 'this user may not';
      const hint = 'give this user the permission';
      throw this.#error(what, { code: 'registry-permission', message, hint });
    }
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
    if (status >= 200 && status < 300 && isObject) return body as Raw;
    throw this.#strange(what, saidBy(body) ?? `it answered ${status}, no schema`);
  }

  async #ask(asked: Asked): Promise<Answer> {
    const { patienceMs = patienceMsDefault } = this.#address;
    const startMs = performance.now();
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      const outcome = await this.#attempt(asked);
      if ('answer' in outcome) return outcome.answer;
      this.#turn++;
      const spentMs = performance.now() - startMs;
      if (spentMs + pauseMs > patienceMs) throw this.#givenUp(asked.what, outcome.again);
      await sleep(pauseMs);
    }
  }

  async #attempt({
    path,
    body,
    what,
  }: Asked): Promise<{ readonly answer: Answer } | { readonly again: unknown }> {
    const url = this.#url(what) + path;
    const headers = this.#headers(what, body !== undefined);
    try {
      const response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        headers,
        signal: AbortSignal.timeout(requestMsMax),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (transientStatuses.includes(response.status)) {
        return { again: new Error(saidBy(parsed(text)) ?? `it answered ${response.status}`) };
      }
      return { answer: { status: response.status, body: parsed(text) } };
    } catch (error) {
      return { again: error };
    }
  }

  #url(what: string): string {
    const urls = this.#text(what, this.#address.url)
      .split(',')
      .map((url) => url.trim().replace(/\/+$/, ''))
      .filter((url) => url !== '');
    const url = urls[this.#turn % urls.length] ?? '';
    const isHttp = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
    // Logs and messages have addresses in them, so a secret has no place there.
    const hasLogin = isHttp && (new URL(url).username !== '' || new URL(url).password !== '');
    if (isHttp && !hasLogin) return url;
    throw this.#error(what, {
      code: 'option-invalid',
      message: hasLogin ? 'the address has a login in it' : 'the address is none of http',
      hint: hasLogin ? 'give it as `auth`' : "write `url` as 'https://registry:8081'",
    });
  }

  #headers(what: string, hasBody: boolean): Record<string, string> {
    const { auth } = this.#address;
    const headers: Record<string, string> = { accept: accepted };
    if (hasBody) headers['content-type'] = 'application/vnd.schemaregistry.v1+json';
    if (auth === undefined) return headers;
    if ('token' in auth) {
      headers['authorization'] = `Bearer ${this.#text(what, auth.token)}`;
    } else {
      const login = `${this.#text(what, auth.username)}:${this.#text(what, auth.password)}`;
      headers['authorization'] = `Basic ${Buffer.from(login).toString('base64')}`;
    }
    return headers;
  }

  #text(what: string, value: TextOrReference): string {
    return lookUp(value, what, surroundings);
  }

  #givenUp(what: string, cause: unknown): StreamError {
    const { patienceMs = patienceMsDefault } = this.#address;
    return this.#error(what, {
      code: 'registry-unreachable',
      message: `${reasonOf(cause)}, for ${patienceMs} ms`,
      hint: 'check that the schema registry runs and that `url` is right',
      cause,
    });
  }

  #strange(what: string, message: string): StreamError {
    const hint = 'check that `url` is that of a schema registry with the API of Confluent';
    return this.#error(what, { code: 'registry-refused', message, hint });
  }

  #error(what: string, { message, ...rest }: StreamErrorOptions): StreamError {
    const registry = this.description;
    return new StreamError({
      ...rest,
      message: `could not ${what} at the registry ${registry}: ${message}`,
      fields: { registry },
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** The registry's own words, cut short. */
function saidBy(body: unknown): string | null {
  const message = (body as { readonly message?: unknown } | null)?.message;
  return typeof message === 'string' ? message.slice(0, 500) : null;
}

/** `fetch` says only that it failed; why is in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  const { code } = cause as { readonly code?: string };
  return cause.message === '' ? (code ?? error.message) : cause.message;
}
