// A server that answers as S3 does, in memory, with faults on demand: what real ones do only when
// something breaks. That requests are right is shown by real servers, in test/integration.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

type Stored = { readonly bytes: Buffer; readonly etag: string; readonly mark: string };

/** Asked before each request is done: what becomes of it. */
export type Fault =
  | 'none'
  /** The connection breaks, and nothing was done. */
  | 'before'
  /** It is done, and then the connection breaks. */
  | 'after'
  | { readonly status: number; readonly code: string };

export class FakeS3 {
  fault: (method: string, key: string) => Fault = () => 'none';
  readonly requests: string[] = [];
  readonly #blobs = new Map<string, Stored>();
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://localhost');
    const [, bucket, ...parts] = url.pathname.split('/').map(decodeURIComponent);
    const key = parts.join('/');
    const method = request.method!;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.requests.push(`${method} ${key}`);
    const fault = this.fault(method, key);
    if (fault === 'before') return void request.socket.destroy();
    if (typeof fault === 'object') return refuse(response, fault.status, fault.code);
    if (bucket !== 'bucket') return refuse(response, 404, 'NoSuchBucket');
    const body = Buffer.concat(chunks);
    if (
      request.headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')
    ) {
      return refuse(response, 400, 'XAmzContentSHA256Mismatch');
    }
    const done = this.#done(request, { method, key, body, query: url.searchParams });
    if (fault === 'after') return void request.socket.destroy();
    if (typeof done === 'string') return refuse(response, done === 'NoSuchKey' ? 404 : 412, done);
    response.writeHead(method === 'DELETE' ? 204 : 200, done.headers);
    response.end(done.body);
  }

  #done(
    { headers }: IncomingMessage,
    request: { method: string; key: string; body: Buffer; query: URLSearchParams },
  ): string | { headers: Record<string, string>; body: Buffer | string } {
    const { method, key, body, query } = request;
    if (query.has('list-type')) return { headers: {}, body: this.#listing(query) };
    const found = this.#blobs.get(key);
    switch (method) {
      case 'PUT': {
        if (headers['if-none-match'] === '*' && found !== undefined) return 'PreconditionFailed';
        if (headers['if-match'] !== undefined) {
          if (found === undefined) return 'NoSuchKey';
          if (headers['if-match'] !== found.etag) return 'PreconditionFailed';
        }
        const etag = `"${createHash('md5').update(body).digest('hex')}"`;
        const mark = String(headers['x-amz-meta-mizzle-write']);
        this.#blobs.set(key, { bytes: body, etag, mark });
        return { headers: { etag }, body: '' };
      }
      case 'DELETE':
        this.#blobs.delete(key);
        return { headers: {}, body: '' };
      default:
        if (found === undefined) return 'NoSuchKey';
        return {
          headers: { etag: found.etag, 'x-amz-meta-mizzle-write': found.mark },
          body: method === 'HEAD' ? '' : found.bytes,
        };
    }
  }

  /** Pages of two, so that there are several. */
  #listing(query: URLSearchParams): string {
    const keys = [...this.#blobs.keys()]
      .sort()
      .filter((key) => key.startsWith(query.get('prefix')!));
    const after = query.get('continuation-token') ?? '';
    const left = keys.filter((key) => key > after);
    const page = left.slice(0, 2);
    const contents = page.map((key) => {
      const size = this.#blobs.get(key)!.bytes.length;
      const modified = '<LastModified>2026-01-02T03:04:05.000Z</LastModified>';
      const named = `<Key>${key.replaceAll('&', '&amp;')}</Key>`;
      return `<Contents>${named}${modified}<Size>${size}</Size></Contents>`;
    });
    const next = left.length > 2 ? `<NextContinuationToken>${page[1]}</NextContinuationToken>` : '';
    const truncated = `<IsTruncated>${left.length > 2}</IsTruncated>`;
    return `<ListBucketResult>${truncated}${next}${contents.join('')}</ListBucketResult>`;
  }

  /** What others put into the bucket. */
  plant(key: string): void {
    this.#blobs.set(key, { bytes: Buffer.from('x'), etag: '"e"', mark: '' });
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status);
  response.end(`<Error><Code>${code}</Code><Message>said &lt;so&gt;</Message></Error>`);
}
