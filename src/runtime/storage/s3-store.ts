// An S3-compatible object store as a blob store. Conditional writes are the store's own
// (`If-None-Match`, `If-Match`). Every write carries a mark, so that a write whose answer was lost,
// and that is then refused because it happened, is known as our own.

import { createHash, randomUUID } from 'node:crypto';
import { AwsClient } from 'aws4fetch';
import { checkBlobKey, checkKeyPrefix, isBlobKey } from '../../control/storage/blob-key.ts';
import type { BlobEntry, BlobStore, StoredBlob } from '../../ports/blob-store.ts';
import { parseListing } from './s3-listing.ts';
import type { S3Failure } from './s3-errors.ts';
import { isTransientFailure, s3Error, s3Failure, S3Refusal } from './s3-errors.ts';
import { mapped } from './run-script.ts';
import type { RetryOptions } from './retry.ts';
import { retried, retryDefaults } from './retry.ts';

export type S3Location = {
  readonly bucket: string;
  /** Empty, or ends in `/`. */
  readonly prefix: string;
  /** `https://…`; null: Amazon's own for the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** The bucket in the path, not in the host's name. */
  readonly pathStyle: boolean;
};

export type S3Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
};

/** A request that is silent for so long is tried again, ms; large bodies get time on top. */
const requestMs = 10_000;
/** What the slowest usable network carries, bytes a ms. */
const bytesPerMs = 1000;
/** Deletions under way at a time. */
const deletesMax = 16;

const markHeader = 'x-amz-meta-mizzle-write';

type Call = {
  readonly attempt: string;
  readonly key: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};

export class S3Store implements BlobStore {
  readonly description: string;
  readonly #location: S3Location;
  readonly #address: string;
  readonly #client: AwsClient;
  readonly #retry: RetryOptions;
  readonly #pageKeys: number;

  constructor(
    location: S3Location,
    credentials: S3Credentials,
    options: { readonly retry?: RetryOptions | undefined; readonly pageKeys?: number } = {},
  ) {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    this.#location = location;
    this.#address = addressOf(location);
    this.#retry = options.retry ?? retryDefaults;
    this.#pageKeys = options.pageKeys ?? 1000;
    this.description = `s3://${location.bucket}/${location.prefix}`;
    this.#client = new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === null ? {} : { sessionToken }),
      service: 's3',
      region: location.region,
      retries: 0,
    });
  }

  async get(key: string): Promise<StoredBlob | null> {
    checkBlobKey(key);
    return this.#retried({ attempt: 'read', key, method: 'GET' }, async (call) => {
      const response = await this.#send(call);
      if (response.ok) {
        const bytes = new Uint8Array(await response.arrayBuffer());
        return { bytes, tag: tagOf(response) };
      }
      return notFound(await s3Failure(response));
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    checkBlobKey(key);
    await this.#retried(writeCall('write', key, bytes), async (call) => {
      const response = await this.#send(call);
      if (!response.ok) throw new S3Refusal(await s3Failure(response));
      await response.body?.cancel();
    });
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    checkBlobKey(key);
    const call = writeCall('create', key, bytes, { 'if-none-match': '*' });
    return (await this.#conditional(call)) !== null;
  }

  async replace(key: string, bytes: Uint8Array, tag: string): Promise<string | null> {
    checkBlobKey(key);
    return this.#conditional(writeCall('replace', key, bytes, { 'if-match': tag }));
  }

  async *list(prefix: string): AsyncIterable<BlobEntry> {
    checkKeyPrefix(prefix);
    const own = this.#location.prefix;
    let after: string | null = null;
    do {
      const query = new URLSearchParams({
        'list-type': '2',
        'max-keys': String(this.#pageKeys),
        prefix: `${own}${prefix}`,
      });
      if (after !== null) query.set('continuation-token', after);
      const call: Call = {
        attempt: 'list',
        key: prefix,
        method: 'GET',
        query: query.toString().replaceAll('+', '%20'),
      };
      const page = await this.#retried(call, async () => {
        const response = await this.#send(call);
        if (!response.ok) throw new S3Refusal(await s3Failure(response));
        return parseListing(await response.text());
      });
      for (const { key, bytes, modifiedMs } of page.entries) {
        const inside = key.slice(own.length);
        // What others have put there is none of ours.
        if (isBlobKey(inside)) yield { key: inside, bytes, modifiedMs };
      }
      after = page.next;
    } while (after !== null);
  }

  async delete(keys: readonly string[]): Promise<void> {
    keys.forEach(checkBlobKey);
    await mapped(keys, deletesMax, (key) =>
      this.#retried({ attempt: 'delete', key, method: 'DELETE' }, async (call) => {
        const response = await this.#send(call);
        if (response.ok) await response.body?.cancel();
        else notFound(await s3Failure(response));
      }),
    );
  }

  /** The new tag, or null: refused. */
  async #conditional(call: Call): Promise<string | null> {
    return this.#retried(call, async (_, number) => {
      const response = await this.#send(call);
      if (response.ok) {
        await response.body?.cancel();
        return tagOf(response);
      }
      const failure = await s3Failure(response);
      const isRefused = failure.status === 412 || isMissingKey(failure);
      if (!isRefused) throw new S3Refusal(failure);
      return number === 0 ? null : this.#ownTag(call);
    });
  }

  /** After an answer was lost: the tag, if what is there is what the call wrote. */
  async #ownTag({ attempt, key, headers }: Call): Promise<string | null> {
    const response = await this.#send({ attempt, key, method: 'HEAD' });
    if (!response.ok) return notFound(await s3Failure(response));
    const isOwn = response.headers.get(markHeader) === headers?.[markHeader];
    return isOwn ? tagOf(response) : null;
  }

  async #retried<Result>(
    call: Call,
    attempt: (call: Call, number: number) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await retried((number) => attempt(call, number), isTransientFailure, this.#retry);
    } catch (error) {
      const { attempt: what, key } = call;
      throw s3Error(error, { what, key, location: this.#location, store: this.description });
    }
  }

  async #send({ key, method, query, headers, body }: Call): Promise<Response> {
    // A listing is asked of the bucket.
    const path = query === undefined ? encodedKey(`${this.#location.prefix}${key}`) : '';
    const url = `${this.#address}/${path}${query === undefined ? '' : `?${query}`}`;
    const hash = createHash('sha256')
      .update(body ?? '')
      .digest('hex');
    return this.#client.fetch(url, {
      method,
      headers: { ...headers, 'x-amz-content-sha256': hash },
      redirect: 'manual',
      signal: AbortSignal.timeout(requestMs + Math.ceil((body?.length ?? 0) / bytesPerMs)),
      // The client takes no shared memory.
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
  }
}

function writeCall(
  attempt: string,
  key: string,
  bytes: Uint8Array,
  condition: Readonly<Record<string, string>> = {},
): Call {
  const body = bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes;
  const headers = { ...condition, [markHeader]: randomUUID() };
  return { attempt, key, method: 'PUT', headers, body };
}

function addressOf({ bucket, endpoint, region, pathStyle }: S3Location): string {
  const host = endpoint ?? `https://s3.${region}.amazonaws.com`;
  if (pathStyle) return `${host}/${bucket}`;
  return host.replace('://', `://${bucket}.`);
}

function encodedKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

function tagOf(response: Response): string {
  return response.headers.get('etag') ?? '';
}

/** Null for a key that is not there; any other failure is thrown. */
function notFound(failure: S3Failure): null {
  if (isMissingKey(failure)) return null;
  throw new S3Refusal(failure);
}

/** An answer to HEAD has no body, and so no code. */
function isMissingKey({ status, code }: S3Failure): boolean {
  return status === 404 && (code === 'NoSuchKey' || code === '');
}
