// A stub of the part of Confluent's HTTP API that the client uses, in this process: ids, subjects
// and references are kept; compatibility is not checked.

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Stored = {
  readonly id: number;
  readonly schema: string;
  readonly schemaType: string;
  readonly references: readonly object[];
};

export type Seen = {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
};

export class RegistryStub {
  readonly seen: Seen[] = [];
  /** Statuses to answer with first, one a request. */
  readonly failures: number[] = [];
  authorization: string | null = null;
  readonly #subjects = new Map<string, Stored[]>();
  readonly #byId = new Map<number, Stored>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(port, '127.0.0.1', done));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }

  add(
    subject: string,
    schema: string | object,
    more: { readonly schemaType?: string; readonly references?: readonly object[] } = {},
  ): number {
    const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
    const { schemaType = 'AVRO', references = [] } = more;
    const same = [...this.#byId.values()].find((each) => each.schema === text);
    const id = same?.id ?? 100 + this.#byId.size;
    const stored = { id, schema: text, schemaType, references };
    this.#byId.set(id, stored);
    const versions = this.#subjects.get(subject) ?? [];
    if (!versions.some((each) => each.id === id)) versions.push(stored);
    this.#subjects.set(subject, versions);
    return id;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const { method = '', url: path = '' } = request;
    const authorization = request.headers.authorization ?? null;
    this.seen.push({ method, path, authorization });
    const failure = this.failures.shift();
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
      response.end(JSON.stringify(body));
    };
    if (failure !== undefined) return send(failure, { error_code: failure, message: 'not now' });
    if (this.authorization !== null && authorization !== this.authorization) {
      return send(401, { error_code: 401, message: 'Unauthorized' });
    }
    const body: unknown = chunks.length === 0 ? null : JSON.parse(Buffer.concat(chunks).toString());
    const [status, answer] = this.#route(method, path.split('/').slice(1), body);
    send(status, answer);
  }

  #route(method: string, parts: readonly string[], body: unknown): [number, object] {
    const unknown: [number, object] = [404, { error_code: 40403, message: 'Not found' }];
    const [first, second = '', third, fourth] = parts;
    if (first === 'schemas' && third !== undefined) {
      const found = this.#byId.get(Number(third));
      if (found === undefined) return unknown;
      const { schema, schemaType, references } = found;
      return [
        200,
        schemaType === 'AVRO' ? { schema, references } : { schema, schemaType, references },
      ];
    }
    const subject = decodeURIComponent(second);
    const versions = this.#subjects.get(subject) ?? [];
    if (method === 'POST') {
      const { schema, ...more } = body as { readonly schema: string };
      if (third === 'versions') return [200, { id: this.add(subject, schema, more) }];
      const found = versions.find((each) => each.schema === schema);
      return found === undefined ? unknown : [200, { subject, ...found }];
    }
    const at = fourth === 'latest' ? versions.length : Number(fourth);
    const found = versions[at - 1];
    return found === undefined ? unknown : [200, { subject, version: at, ...found }];
  }
}
