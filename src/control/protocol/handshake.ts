// How two processes of a cluster find out that they belong together, before anything else is said:
// hello → challenge → proof → welcome, or a refusal with its reason at any step. The secret never
// crosses the wire: each side sends an HMAC of the bytes of hello and challenge, which hold a fresh
// nonce of each. The first bytes of a hello are the same in every version of the protocol.
//
// | first byte | message   | then                                                                 |
// | ---------- | --------- | -------------------------------------------------------------------- |
// | 0x4d       | hello     | "ZZL", u16 protocol version, u8 role (0 to 2), texts: host,          |
// |            |           | release, runtime, time zone, plan hash, address; v incarnation,      |
// |            |           | v port, v workers, nonce                                             |
// | 64         | challenge | texts: release, runtime, time zone; nonce                            |
// | 65         | proof     | u8 length (0 or 32), HMAC                                            |
// | 66         | welcome   | u8 length (0 or 32), HMAC                                            |
// | 67         | refused   | error                                                                |

import { unreachable } from '../../base/assert.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { textBytesMax, workersMax } from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readError, writeError } from './error-codec.ts';
import type { Incarnation } from './ids.ts';
import { protocolMagic } from './version.ts';

export const nonceBytes = 32;
const macBytes = 32;

type Role = 'host' | 'peer' | 'returning';

const roles: readonly Role[] = ['host', 'peer', 'returning'];

export type Hello = {
  readonly kind: 'hello';
  readonly protocol: number;
  /**
   * A host that offers workers to a driver; one that connects to another; or one that worked for a
   * driver before this one and offers workers with what they have.
   */
  readonly role: Role;
  /** Names the process: no other has the same. */
  readonly host: string;
  readonly release: string;
  readonly runtime: string;
  readonly timeZone: string;
  /** Of the job it works for; empty when it has none yet. */
  readonly planHash: string;
  /** Where other hosts reach it; empty: at the address that the connection comes from. */
  readonly address: string;
  readonly incarnation: Incarnation;
  readonly port: number;
  readonly workers: number;
  readonly nonce: Uint8Array;
};

export type HandshakeMessage =
  | Hello
  | {
      readonly kind: 'challenge';
      readonly release: string;
      readonly runtime: string;
      readonly timeZone: string;
      readonly nonce: Uint8Array;
    }
  | { readonly kind: 'proof'; readonly mac: Uint8Array }
  | { readonly kind: 'welcome'; readonly mac: Uint8Array }
  | { readonly kind: 'refused'; readonly error: StreamErrorData };

export function writeHandshake(to: ByteWriter, message: HandshakeMessage): void {
  switch (message.kind) {
    case 'hello':
      to.u32(protocolMagic);
      to.u16(message.protocol);
      to.u8(roles.indexOf(message.role));
      to.text(message.host, textBytesMax);
      to.text(message.release, textBytesMax);
      to.text(message.runtime, textBytesMax);
      to.text(message.timeZone, textBytesMax);
      to.text(message.planHash, textBytesMax);
      to.text(message.address, textBytesMax);
      to.varint(message.incarnation);
      to.varint(message.port);
      to.varint(message.workers);
      return to.raw(message.nonce);
    case 'challenge':
      to.u8(64);
      to.text(message.release, textBytesMax);
      to.text(message.runtime, textBytesMax);
      to.text(message.timeZone, textBytesMax);
      return to.raw(message.nonce);
    case 'proof':
    case 'welcome':
      to.u8(message.kind === 'proof' ? 65 : 66);
      to.u8(message.mac.length);
      return to.raw(message.mac);
    case 'refused':
      to.u8(67);
      return writeError(to, message.error);
    default:
      unreachable(message);
  }
}

/** A hello of another version is read as far as its version; the rest means something else. */
export function readHandshake(bytes: Uint8Array, version: number): Decoded<HandshakeMessage> {
  const from = new ByteReader(bytes);
  if (bytes[0] === (protocolMagic & 0xff)) return readHello(from, version);
  switch (from.u8('message kind')) {
    case 64:
      return from.finish({
        kind: 'challenge',
        release: from.text('release', textBytesMax),
        runtime: from.text('runtime', textBytesMax),
        timeZone: from.text('time zone', textBytesMax),
        nonce: from.raw('nonce', nonceBytes).slice(),
      });
    case 65:
      return from.finish({ kind: 'proof', mac: readMac(from) });
    case 66:
      return from.finish({ kind: 'welcome', mac: readMac(from) });
    case 67:
      return from.finish({ kind: 'refused', error: readError(from) });
    default:
      from.refuse('not-ours', 'first byte');
      return from.finish(undefined as never);
  }
}

function readHello(from: ByteReader, version: number): Decoded<HandshakeMessage> {
  if (from.u32('magic') !== protocolMagic) from.refuse('not-ours', 'magic');
  const protocol = from.u16('protocol version');
  const others = from.ok && protocol !== version;
  if (others) from.rest();
  const role = others ? 0 : from.u8('role');
  if (role >= roles.length) from.refuse('out-of-range', 'role');
  const text = (what: string): string => (others ? '' : from.text(what, textBytesMax));
  const number = (what: string, max: number): number => (others ? 0 : from.varint(what, max));
  return from.finish({
    kind: 'hello',
    protocol,
    role: roles[role] ?? 'host',
    host: text('host'),
    release: text('release'),
    runtime: text('runtime'),
    timeZone: text('time zone'),
    planHash: text('plan hash'),
    address: text('address'),
    incarnation: number('incarnation', Number.MAX_SAFE_INTEGER) as Incarnation,
    port: number('port', 65_535),
    workers: number('workers', workersMax),
    nonce: others ? new Uint8Array(nonceBytes) : from.raw('nonce', nonceBytes).slice(),
  });
}

/** Empty where no secret is used. */
function readMac(from: ByteReader): Uint8Array {
  const length = from.u8('HMAC length');
  if (length !== 0 && length !== macBytes) from.refuse('out-of-range', 'HMAC length');
  return from.raw('HMAC', length).slice();
}
