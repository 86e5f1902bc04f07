// Where the database is, and how to say so without a secret.

import process from 'node:process';
import { StreamError } from '../../base/stream-error.ts';

export type PostgresUrl = string | { readonly env: string };

export function resolveUrl(url: PostgresUrl): string {
  if (typeof url === 'string') return url;
  const value = process.env[url.env];
  if (value !== undefined && value !== '') return value;
  throw new StreamError({
    code: 'environment-missing',
    message: `could not find the database: the environment variable ${url.env} is not set`,
    hint: 'set it to postgres://user:password@host:5432/database, on every host',
    fields: { variable: url.env },
  });
}

/** Host and database only. */
export function describePlace(url: PostgresUrl): string {
  if (typeof url !== 'string') return `$${url.env}`;
  if (!URL.canParse(url)) return 'a database';
  const { host, pathname, searchParams } = new URL(url);
  return `${host === '' ? (searchParams.get('host') ?? 'localhost') : host}${pathname}`;
}

/** The text without the passwords that the address holds. */
export function withoutSecrets(text: string, url: string): string {
  if (!URL.canParse(url)) return text.replaceAll(url, '***');
  const { password, searchParams } = new URL(url);
  const secrets = [password, decodeURIComponent(password), searchParams.get('password') ?? ''];
  return secrets
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}
