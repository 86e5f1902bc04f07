// Who may take part: a shared secret that never crosses the wire, TLS with certificates, or both.
// To listen beyond this machine without either must be said explicitly.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { StreamError } from '../../base/stream-error.ts';
import { clusterError } from './cluster-errors.ts';

export type Security = {
  readonly secret: string | null;
  readonly tls: TlsFiles | null;
};

/** The texts of PEM files. */
export type TlsFiles = {
  readonly cert: string;
  readonly key: string;
  /** When given, both sides must show a certificate that it has signed. */
  readonly ca: string | null;
};

export const noSecurity: Security = { secret: null, tls: null };

const empty = new Uint8Array(0);

/** What proves that one knows the secret: bound to both hellos, and to who proves it. */
export function proofOf(
  secret: string | null,
  side: 'initiator' | 'acceptor',
  transcript: readonly Uint8Array[],
): Uint8Array {
  if (secret === null) return empty;
  const hmac = createHmac('sha256', secret).update(`mizzle ${side}\n`);
  for (const bytes of transcript) hmac.update(`${bytes.length}\n`).update(bytes);
  return hmac.digest();
}

export type ProofMismatch = 'missing' | 'unwanted' | 'wrong';

/** Null: the proof is the expected one. */
export function proofMismatch(expected: Uint8Array, given: Uint8Array): ProofMismatch | null {
  if (expected.length === 0) return given.length === 0 ? null : 'unwanted';
  if (given.length !== expected.length) return 'missing';
  return timingSafeEqual(expected, given) ? null : 'wrong';
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** Refuses to be open to the network with nothing that keeps strangers out. */
export function exposure(host: string, security: Security, insecure: boolean): StreamError | null {
  if (insecure || isLoopback(host)) return null;
  if (security.secret !== null || security.tls !== null) return null;
  return clusterError({
    code: 'insecure-listen',
    message: `refused to listen at "${host}" without TLS or a secret`,
    hint:
      'whoever connects could run code here: give `--secret-env NAME` or `--tls-cert` with ' +
      '`--tls-key` and `--tls-ca`, or say `--insecure` in a network where nobody else is',
    peer: host,
  });
}
