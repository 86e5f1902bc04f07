// Certificates for a test, made anew each time so that none can expire: X.509 in DER by hand, since
// Node signs but makes no certificates, and no other program need be there.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** PEM texts; the key is PKCS #8. */
export type Certificate = { readonly cert: string; readonly key: string };

export type Authority = Certificate & {
  /** Of somebody with these names (host names or addresses of IPv4). */
  issue(subject: string, options?: IssueOptions): Certificate;
};

export type IssueOptions = {
  /** Names and addresses of the host. Default: none. */
  readonly hosts?: readonly string[];
  /** Until when it is valid, epoch ms. Default: for a day. */
  readonly untilMs?: number;
};

const dayMs = 86_400_000;

export function newAuthority(name: string): Authority {
  const own = newKey();
  const untilMs = Date.now() + dayMs;
  const self = { name, key: own.privateKey };
  const cert = certificate({ subject: name, key: own, issuer: self, untilMs, hosts: null });
  return {
    cert,
    key: pemKey(own),
    issue: (subject, { hosts = [], untilMs: until = untilMs } = {}) => {
      const key = newKey();
      const made = certificate({ subject, key, issuer: self, untilMs: until, hosts });
      return { cert: made, key: pemKey(key) };
    },
  };
}

type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

function newKey(): Pair {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function pemKey({ privateKey }: Pair): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function certificate(of: {
  readonly subject: string;
  readonly key: Pair;
  readonly issuer: { readonly name: string; readonly key: KeyObject };
  readonly untilMs: number;
  /** Null: an authority. */
  readonly hosts: readonly string[] | null;
}): string {
  const { subject, key, issuer, untilMs, hosts } = of;
  const signedBy = sequence(objectId('2a8648ce3d040302'));
  const fromMs = Math.min(Date.now(), untilMs) - dayMs;
  const content = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    signedBy,
    distinguishedName(issuer.name),
    sequence(time(fromMs), time(untilMs)),
    distinguishedName(subject),
    key.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...(hosts === null ? [authorityMark()] : hostNames(hosts)))),
  );
  const signature = sign('sha256', content, issuer.key);
  const der = sequence(content, signedBy, tagged(0x03, Buffer.of(0), signature));
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** Basic constraints, critical: it may sign others. */
function authorityMark(): Buffer {
  const isCritical = tagged(0x01, Buffer.of(0xff));
  const value = sequence(tagged(0x01, Buffer.of(0xff)));
  return sequence(objectId('551d13'), isCritical, tagged(0x04, value));
}

/** Subject alternative names. */
function hostNames(hosts: readonly string[]): Buffer[] {
  if (hosts.length === 0) return [sequence(objectId('551d13'), tagged(0x04, sequence()))];
  const names = hosts.map((host) =>
    isIP(host) === 4
      ? tagged(0x87, Buffer.from(host.split('.').map(Number)))
      : tagged(0x82, Buffer.from(host)),
  );
  return [sequence(objectId('551d11'), tagged(0x04, sequence(...names)))];
}

function distinguishedName(commonName: string): Buffer {
  const name = sequence(objectId('550403'), tagged(0x0c, Buffer.from(commonName)));
  return sequence(tagged(0x31, name));
}

/** Generalized time, to the second. */
function time(epochMs: number): Buffer {
  const text = new Date(epochMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return tagged(0x18, Buffer.from(text));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function objectId(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(length);
  const short = length < 0x100 ? Buffer.of(0x81, length) : Buffer.concat([Buffer.of(0x82), size]);
  return Buffer.concat([Buffer.of(tag), short, content]);
}
